"""A network's layers, shapes, parameters and multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchinfo
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.errors import InvalidInput, UnknownName
from bayesight.models import (
    GENERATORS,
    LANGUAGE_MODELS,
    MODELS,
    TEXT_MODELS,
    TRANSLATION_MODELS,
    GenerativeModel,
    ImageModel,
    LanguageModel,
    TranslationModel,
    build,
    build_generator,
    build_language_model,
    build_translation_model,
)
from bayesight.run import Run
from bayesight.training.recipe import FAMILIES, ON_IMAGES

BYTES, CONTEXT = 256, 128


@dataclass(frozen=True)
class Layer:
    """One row of the table.

    Args:
        name: path inside the network.
        kind: class of the layer.
        output: shape of what it puts out for one image.
        parameters: trained numbers it holds itself.
        multiply_adds: for one image.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class ModelSummary:
    """A network in numbers.

    Args:
        model: its registered name.
        parameters: trained numbers in all.
        multiply_adds: for one image.
        layers: those that hold parameters, in the order they run.
        table: for people.
    """

    model: str
    parameters: int
    multiply_adds: int
    layers: tuple[Layer, ...]
    table: str

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "layers": [vars(layer) for layer in self.layers],
        }


def summarise(what: str, *, classes: int = 10, size: int = 28, mode: str = "L") -> ModelSummary:
    """Describe a run's network, or a model by name.

    Args:
        what: a run folder or a registered name.
        classes: K, for a name; a model of texts by name is one of 256 symbols and 128 places.
        size: side of the images in pixels, for a name.
        mode: "L" or "RGB", for a name.

    Raises:
        UnknownName: neither a run nor a model.
        InvalidInput: a shape the model cannot take.
    """
    network: ImageModel | GenerativeModel | LanguageModel | TranslationModel
    if what in LANGUAGE_MODELS:
        name, network = what, build_language_model(what, BYTES, CONTEXT)
    elif what in TRANSLATION_MODELS:
        name, network = what, build_translation_model(what, BYTES, CONTEXT)
    elif what in TEXT_MODELS:
        name, network = what, build(what, (BYTES, 1, CONTEXT), classes)
    elif what in MODELS or what in GENERATORS:
        check(mode in ("L", "RGB"), "--mode", f"got {mode!r}", "L or RGB")
        check(size >= 1, "--size", f"got {size}", "at least 1")
        name, shape = what, (1 if mode == "L" else 3, size, size)
        network = build(what, shape, classes) if what in MODELS else build_generator(what, shape)
    elif Path(what).exists():
        run = Run.open(what, finished=False)
        name = run.recipe().model.name
        opened = {
            "generation": run.generator,
            "language": run.language_model,
            "translation": run.translation_model,
        }
        if run.kind in ON_IMAGES:
            raise InvalidInput(
                f"{what} is a run of {run.kind}; expected one of a classifier, or a model that makes images "
                "or texts."
            )
        network = opened.get(run.kind, run.network)()
    else:
        families = (*FAMILIES.values(), TEXT_MODELS)
        raise UnknownName("run folder or model", what, tuple(name for family in families for name in family))
    example: tuple[Tensor, ...]
    if isinstance(network, ImageModel):
        example = (network.blank(),)
    elif isinstance(network, GenerativeModel):
        example = (torch.zeros(1, *network.image_shape),)
    else:
        example = (torch.zeros(1, network.context, dtype=torch.long),)
        if isinstance(network, TranslationModel):
            example = (*example, *example, torch.ones(1, network.context, dtype=torch.bool))
    try:
        info = torchinfo.summary(
            _Whole(network),
            input_data=list(example),
            col_names=("output_size", "num_params", "mult_adds"),
            row_settings=("var_names",),
            depth=4,
            verbose=0,
        )
    except RuntimeError as problem:
        raise InvalidInput(f"{what!r} cannot take images of {size}x{size}: {problem}") from problem
    layers = tuple(
        Layer(
            _path(layer),
            layer.class_name,
            tuple(layer.output_size[1:]),
            layer.trainable_params,
            layer.macs,
        )
        for layer in info.summary_list
        if layer.is_leaf_layer and layer.trainable_params > 0
    )
    table = "\n".join(line for line in str(info).splitlines() if not line.startswith(_Whole.__name__))
    return ModelSummary(name, info.trainable_params, info.total_mult_adds, layers, table)


class _Whole(nn.Module):
    """Every part of a network once, from one image or text: what a summary runs through."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *example: Tensor) -> Tensor:
        """The output of the last part."""
        if isinstance(self.network, GenerativeModel):
            return self.network.trace(*example)
        logits: Tensor = self.network(*example)
        return logits


def _path(layer: Any) -> str:
    """Names from below the network down to the layer, joined by dots."""
    names: list[str] = []
    while layer is not None and layer.parent_info is not None:
        names.append(layer.var_name)
        layer = layer.parent_info
    return ".".join(name.lstrip("_") for name in reversed(names[:-1]))  # the outermost is the wrapper's
