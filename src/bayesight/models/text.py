"""BERT (Devlin et al. 2018) in the place of an image network: a classifier of texts on an encoder.

A text of T symbols is an image of one row and T columns whose channels are the vocabulary, one of them on at
each place: shape (symbols, 1, T). It is stored and handed over as the numbers of those channels, (B, T).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import ImageModel
from bayesight.models.registry import TEXT_MODELS
from bayesight.models.transformer import Activation, BidirectionalTransformer, Positions
from bayesight.values import BelowOne, Width, Within

PADDING = 0
"""The symbol of places after the end of a text."""


@TEXT_MODELS.register("bert")
class Bert(ImageModel):
    """An encoder's last vectors, averaged over the places of a text, under a linear layer.

    Penultimate features are that mean at a mean square of 1; they are the evidence features too. While it
    trains, columns that are padding in the whole batch are left out.

    Args:
        image_shape: (symbols, 1, T).
        classes: K.
        layers: blocks.
        width: of a place's vector.
        heads: of each attention.
        inner: width between the two linear layers at a place; None for 4 ``width``.
        dropout: share silenced while training.
        norm_first: x + f(norm(x)); False for norm(x + f(x)), as published.
        norm: "layer" or "rms".
        eps: added to the variance.
        activation: between the two linear layers.
        positions: "learned", "sinusoidal" or "rotary".
        bias: of the linear layers.
        places: that positions are learned for, at least T; None for T.
        segments: kinds of stretches that the embedding tells apart, 0 for none; a text is one stretch.
        tune: blocks at the end that training changes; None for the whole network, 0 for the last layer alone.

    Raises:
        InvalidInput: more blocks to tune than there are, or fewer places than T.

    Example:
        >>> network = Bert((50, 1, 8), 3, layers=1, width=16, heads=2)
        >>> network(torch.ones(4, 8, dtype=torch.int32)).shape
        torch.Size([4, 3])
    """

    own_normalisation = True
    reads = "texts"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        layers: Annotated[int, Within(1, 1000)] = 4,
        width: Width = 128,
        heads: Annotated[int, Within(1, 1024)] = 4,
        inner: Width | None = None,
        dropout: BelowOne = 0.0,
        norm_first: bool = True,
        norm: Literal["layer", "rms"] = "layer",
        eps: Annotated[float, Within(0, 1)] = 1e-5,
        activation: Activation = "gelu",
        positions: Positions = "learned",
        bias: bool = True,
        places: Annotated[int, Within(1, 1_000_000)] | None = None,
        segments: Annotated[int, Within(0, 1000)] = 0,
        tune: Annotated[int, Within(0, 1000)] | None = None,
    ) -> None:
        super().__init__(image_shape, classes)
        symbols, _, length = image_shape
        places = places or length
        check(places >= length, "model.places", f"got {places}", f"{length} or more, those of a text")
        came = f"got {tune} of {layers} blocks"
        check(tune is None or tune <= layers, "model.tune", came, f"0 to {layers}")
        self.standardise = nn.Identity()  # type: ignore[assignment]
        self.tune = tune
        self.encoder = BidirectionalTransformer(
            symbols,
            places,
            layers=layers,
            segments=segments,
            seed=None,
            width=width,
            heads=heads,
            inner=inner,
            dropout=dropout,
            norm_first=norm_first,
            norm=norm,
            eps=eps,
            activation=activation,
            positions=positions,
            bias=bias,
        )
        self.head = nn.Linear(width, classes)
        self.name_masked(False)

    def name_masked(self, learns: bool) -> None:
        """Let the layers that name masked symbols learn, or not: a classifier has no use for them."""
        for name, parameter in self.encoder.named_parameters():
            if name.startswith(("transform", "symbol_bias")):
                parameter.requires_grad_(learns)

    def frozen_parts(self) -> Sequence[nn.Module]:
        """Every part but the last ``tune`` blocks and what comes after them."""
        encoder, tune = self.encoder, self.tune
        if tune is None:
            return ()
        if tune == 0:
            return (encoder,)
        first = [part for part in (encoder.embed, encoder.segment, encoder.first_norm) if part is not None]
        return [*first, *list(encoder.blocks)[: len(encoder.blocks) - tune]]

    def stages(self, x: Tensor) -> list[Tensor]:
        """The mean of the last vectors over the places of each text: (B, width)."""
        symbols, present = self.present(x)
        vectors = self.encoder(symbols, present).float()
        weights = present[..., None].to(vectors.dtype)
        return [(vectors * weights).sum(1) / weights.sum(1)]

    def present(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Symbols (B, T') int64 of texts (B, T), and (B, T') bool: False at padding but the first place."""
        symbols, present = x.long(), x != PADDING
        if self.training:
            longest = max(1, int(present.sum(1).max()))
            symbols, present = symbols[:, :longest], present[:, :longest]
        present = present | (torch.arange(present.shape[1], device=x.device) == 0)
        return symbols, present

    def pool(self, last: Tensor) -> Tensor:
        """The mean vector at a mean square of 1."""
        return F.normalize(last, dim=1) * math.sqrt(last.shape[1])

    def evidence_features(self, x: Tensor) -> Tensor:
        """The penultimate features, or the centred logits with ``answers_alone``."""
        return self.centred_logits(x) if self.answers_alone else self.features(x).float()

    def blank(self, count: int = 1) -> Tensor:
        """Texts of padding alone."""
        return torch.zeros(count, self.image_shape[2], dtype=torch.int32, device=self.head.weight.device)
