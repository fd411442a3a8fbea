"""A task on images, by all that it has of its own; reading, training, saving and reporting are shared."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from bayesight.bayes import theorem
from bayesight.bayes.rates import Estimate
from bayesight.belief.classifier import Classes
from bayesight.data.annotated import AnnotatedImages, AnnotationReader
from bayesight.data.augment import SceneAugment
from bayesight.errors import listed
from bayesight.formatting import columns, decimal, padded, percent
from bayesight.language import marked, tr
from bayesight.models import Lite0Encoder, start_from_imagenet
from bayesight.models.outline import initialised
from bayesight.registry import Registry
from bayesight.report import Section
from bayesight.run_schema import TaskFile
from bayesight.training.engine import Batch, Loss
from bayesight.training.recipe import DataKey, Kind, Recipe
from bayesight.types import FloatArray, ImageArray, IntArray

A = TypeVar("A")
F = TypeVar("F", bound=TaskFile)


@dataclass(frozen=True, eq=False)
class Trained(Generic[F]):
    """A network with all that its answers depend on.

    Args:
        network: in evaluation mode.
        classes: names, and the frame that images are brought to.
        facts: what the run's ``task.json`` holds: calibration, base rates, whatever the task needs.
    """

    network: nn.Module
    classes: Classes
    facts: F

    @property
    def device(self) -> torch.device:
        """The device that the network is on."""
        return next(self.network.parameters()).device

    def with_facts(self, facts: F) -> Trained[F]:
        """The same with other facts."""
        return replace(self, facts=facts)


@dataclass(frozen=True, eq=False)
class Judgement:
    """A trained task measured on annotated images.

    Args:
        figures: measures by name, with intervals, for ``--json``.
        text: the same in a sentence or a table, for a terminal.
        sections: of the report: pictures beside the truth, classes, reliability.
    """

    figures: Mapping[str, Any]
    text: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Asked:
    """A question to an image.

    Args:
        prior: (K,) stated base rates; None for those of the training images.
        question: of a task that answers questions.
        boxes: left, top, right, bottom of the figures that are asked about, pixels of the image; none for
            the one that is there.
    """

    prior: Tensor | None = None
    question: str = ""
    boxes: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class ImageAnswer:
    """The answer for one image.

    Args:
        row: of the document that ``--json`` prints.
        text: lines for a terminal.
        overlay: the image with the answer drawn over it, uint8 (h, w, 3), in the image's own size.
    """

    row: Mapping[str, Any]
    text: str
    overlay: ImageArray


class ImageTask(ABC, Generic[A, F]):
    """A kind of question about images: segmentation, detection, ... One file says what is special about it.

    ``A`` is an image's annotation in the frame's pixels, ``F`` what a run keeps beside its network.

    Attributes:
        name: of ``--task``.
        kind: of run.
        model: whose recipe is taken unless another is named.
        file: the model of ``task.json``.
        measure: what the looks during training show, as a column of the history and in words.
        meant: beginnings of the names of weights that stand for ``meanings``.
        glyphs: its scenes are composed of glyphs.
        asks: what an image is asked beside its prior: a question, or boxes.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    model: ClassVar[str]
    file: ClassVar[type[Any]]
    measure: ClassVar[tuple[str, str]]
    meant: ClassVar[tuple[str, ...]] = ("head.",)
    glyphs: ClassVar[bool] = True
    asks: ClassVar[Literal["", "question", "box"]] = ""

    @abstractmethod
    def reader(self, data: DataKey, trained: Trained[F] | None) -> AnnotationReader[Any, A]:
        """The reader of annotations, held to a run's classes where there is one."""

    @abstractmethod
    def learned(
        self, train: AnnotatedImages[A], validation: AnnotatedImages[A], data: DataKey
    ) -> tuple[tuple[str, ...], F, tuple[str, ...]]:
        """Class names, facts and what is to be said, of images learned from and held out.

        Raises:
            InvalidInput: nothing can be learned from them.
        """

    @abstractmethod
    def network(self, recipe: Recipe, classes: Classes, facts: F) -> nn.Module:
        """The recipe's network, its weights drawn from the seed."""

    def meanings(self, classes: Classes, facts: F) -> object:
        """All that inputs and outputs of the network are named by; equal where weights mean the same."""
        return classes.names

    def start(self, network: nn.Module) -> None:
        """Give a network that is to be trained ImageNet's weights for its way down, where that has some."""
        for part in network.children():
            if isinstance(part, Lite0Encoder):
                start_from_imagenet(part)

    @staticmethod
    def made(members: Registry[Any], recipe: Recipe, shape: tuple[int, int, int], *sizes: int) -> nn.Module:
        """The member of a registry that a recipe names, its weights drawn from the seed.

        Args:
            members: of the task.
            recipe: names it, its options and the seed.
            shape: (C, H, W) of images.
            sizes: what it is made of beside C and its options.
        """
        model = recipe.model
        network: nn.Module = initialised(
            lambda: members.build(model.name, shape[0], *sizes, **model.options),
            f"model {model.name!r}",
            shape,
            recipe.seed,
        )
        return network

    @abstractmethod
    def batch(
        self,
        images: Tensor,
        annotations: Sequence[A],
        facts: F,
        augment: SceneAugment | None,
        generator: torch.Generator,
    ) -> Batch:
        """Images (B, C, H, W) in [0, 1], moved where that is wanted, and their targets."""

    @abstractmethod
    def loss(self, recipe: Recipe, facts: F) -> Loss:
        """The loss of a batch; its ``total`` is differentiated."""

    @abstractmethod
    def look(self, trained: Trained[F], images: AnnotatedImages[A]) -> Mapping[str, float]:
        """Measures of images held out; ``log_loss``, nats, chooses the weights."""

    @abstractmethod
    def calibrated(self, trained: Trained[F], images: AnnotatedImages[A]) -> F:
        """The facts with a calibration fitted on images held out."""

    @abstractmethod
    def judge(self, trained: Trained[F], images: AnnotatedImages[A], prior: Tensor | None) -> Judgement:
        """The answers measured, at stated base rates (K,) where there are some."""

    @abstractmethod
    def scenes(
        self, glyphs: ImageArray, labels: IntArray, names: Sequence[str], count: int, seed: int
    ) -> Iterator[tuple[str, bytes]]:
        """Files of generated scenes in the layout that the task reads, as (path, content).

        Args:
            glyphs: (M, h, w) uint8, white ink on black.
            labels: (M,) their classes.
            names: (K,) of those.
            count: scenes.
            seed: everything random follows from it.
        """

    @abstractmethod
    def answer(self, trained: Trained[F], blob: bytes, asked: Asked) -> ImageAnswer:
        """The answer for an image file; raises ``RasterRefusal`` where it cannot be read."""


def on_one_side(
    names: Sequence[str], learned: Iterable[Any], held: Iterable[Any]
) -> Iterator[tuple[str, str, str]]:
    """Classes that one side of the split alone has: the side that lacks them, their names, and the other.

    Args:
        names: (K,) of the classes.
        learned: how often each is in images learned from; whatever follows the K-th is left out.
        held: the same of images held out.
    """
    counts = list(zip(names, learned, held, strict=False))
    here, there = marked("learned from"), marked("held out")
    for side, missing, other in ((here, 1, there), (there, 2, here)):
        alone = [row[0] for row in counts if not row[missing] and row[3 - missing]]
        if alone:
            yield side, listed(alone), other


def in_percent(one: Estimate, show: Callable[[float], str] = percent) -> str:
    """A measure with its interval in words."""
    return f"{show(one.mean)} ({tr('{low} to {high}', low=show(one.low), high=show(one.high))})"


def in_decimals(one: Estimate) -> str:
    """The same as a number between 0 and 1."""
    return in_percent(one, lambda value: decimal(value, 3))


def lines_of(rows: Mapping[str, Estimate], show: Callable[[Estimate], str]) -> list[str]:
    """A line for each class, point or kind with its measure, which is NaN where there is none of it."""
    width = max(map(columns, rows))
    return [
        marked(f"  {padded(name, width)}  not in these images")
        if math.isnan(one.mean)
        else f"  {padded(name, width)}  {show(one)}"
        for name, one in rows.items()
    ]


def measures_of(
    rows: Mapping[str, Estimate], measure: str, counts: Mapping[str, int], unit: str
) -> dict[str, dict[str, Any]]:
    """A measure of each class, point or kind with its interval, and of how many, for ``--json``."""
    return {
        name: {measure: one.mean, "interval": [one.low, one.high], unit: counts[name]}
        for name, one in rows.items()
    }


def rates_of(prior: Tensor | None, names: Sequence[str]) -> dict[str, float] | None:
    """Stated base rates (K,) by class, for ``--json``; None where none are."""
    return None if prior is None else dict(zip(names, prior.tolist(), strict=True))


def weights_at(prior: FloatArray, counts: FloatArray | IntArray) -> FloatArray:
    """(K,) how much one of each class counts where they have stated base rates; 0 of those not there."""
    shares = counts / max(counts.sum(), 1)
    ratio: FloatArray = np.divide(prior, shares, out=np.zeros(len(shares)), where=shares > 0)
    return ratio


def at_rates(log_p: Tensor, shares: Sequence[float], prior: Tensor | None) -> Tensor:
    """Log-posteriors (..., K), nats, moved from the base rates of training to stated ones (K,)."""
    if prior is None:
        return log_p
    likelihood = log_p - torch.tensor(list(shares), dtype=torch.float64).log()
    return theorem.update(theorem.Belief(prior.double().log()), likelihood)[0].log_p
