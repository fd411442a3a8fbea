"""Networks of the library ``timm``, by its names and with its weights: ``timm:convnext_tiny``."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Annotated, Any

import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.errors import InvalidInput, MissingExtra, nearest
from bayesight.models.base import ImageModel
from bayesight.models.registry import MODELS
from bayesight.values import Within

_PREFIX = "timm:"


class TimmModel(ImageModel):
    """A network of ``timm`` below a last layer of our own; images are brought to the side it works at.

    Penultimate features are what it pools; at length 1 they are the evidence features.

    Args:
        architecture: its name there, such as "convnext_tiny".
        image_shape: (C, H, W); grey images are tripled.
        classes: K.
        side: pixels of the shorter side that images are brought to; a network of a fixed size has its own.
        tune: whether training changes the whole network; else it is frozen and the last layer learns alone.

    Raises:
        MissingExtra: ``timm`` is not installed.
        InvalidInput: no architecture of that name.
    """

    own_normalisation = True

    def __init__(
        self,
        architecture: str,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        side: Annotated[int, Within(32, 1024)] = 224,
        tune: bool = False,
    ) -> None:
        super().__init__(image_shape, classes)
        check(32 <= side <= 1024, "model.side", f"got {side}", "32 to 1024")
        self.backbone = _created(architecture, pretrained=False)
        own = self.backbone.pretrained_cfg
        scale = side / min(image_shape[1:])
        self.working_size = (round(image_shape[1] * scale), round(image_shape[2] * scale))
        if own.get("fixed_input_size"):
            self.working_size = tuple(own["input_size"][1:])
        channels = image_shape[0]
        self.standardise.fit(*(_for_channels(own[name], channels) for name in ("mean", "std")))
        self.tune = tune
        self.head = nn.Linear(self.backbone.num_features, classes)

    def stages(self, x: Tensor) -> list[Tensor]:
        """The features that the network pools: (B, D)."""
        if x.shape[-2:] != self.working_size:
            shrinks = self.working_size[0] < x.shape[-2]
            x = F.interpolate(x.float(), self.working_size, mode="bilinear", antialias=shrinks).to(x.dtype)
        x = self.standardise(x)
        return [self.backbone(x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x)]

    def evidence_features(self, x: Tensor) -> Tensor:
        """The penultimate features at length 1, or the centred logits with ``answers_alone``."""
        return self.centred_logits(x) if self.answers_alone else F.normalize(self.features(x).float(), dim=1)

    def frozen_parts(self) -> Sequence[nn.Module]:
        """All of the network, unless it is tuned."""
        return () if self.tune else (self.backbone,)


@MODELS.family("timm")
def of_timm(architecture: str) -> Any:
    """The factory of an architecture: image shape and classes to a network."""
    return functools.partial(TimmModel, architecture)


def timm_weights(name: str) -> dict[str, Tensor]:
    """The published weights of ``timm:ARCHITECTURE`` by our names, from timm's cache or its hub.

    Raises:
        InvalidInput: it has none, or they cannot be fetched.
    """
    try:
        weights = _created(name.removeprefix(_PREFIX), pretrained=True).state_dict()
    except (OSError, RuntimeError) as problem:  # what its hub raises is one of them
        raise InvalidInput(
            f"model {name!r}: its weights cannot be had ({problem}). State a file with --weights, whose "
            'names begin with "backbone.".'
        ) from problem
    return {f"backbone.{key}": value for key, value in weights.items()}


def _created(architecture: str, *, pretrained: bool) -> Any:
    """An architecture without its last layer; a plain name only, for others would be fetched from a hub."""
    try:
        import timm
    except ImportError as problem:
        raise MissingExtra(f"model {_PREFIX + architecture!r}", "timm") from problem
    plain = re.fullmatch(r"[\w.]+", architecture) is not None
    if not plain or not timm.is_model(architecture.partition(".")[0]):
        hint = nearest(architecture, timm.list_models())
        meant = f"; did you mean {_PREFIX + hint!r}?" if hint else "."
        raise InvalidInput(f"model {_PREFIX + architecture!r}: timm has no such architecture{meant}")
    return timm.create_model(architecture, pretrained=pretrained, num_classes=0)


def _for_channels(values: Sequence[float], channels: int) -> list[float]:
    """Moments of three channels for as many as the images have: of grey ones their mean."""
    return [float(value) for value in values] if channels == 3 else [sum(values) / len(values)] * channels
