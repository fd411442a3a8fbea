"""Decisions on an answer: the action of least expected cost, the value of a reading, sets of classes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bayesight.bayes.decision import (
    HAND_OVER,
    Costs,
    Reading,
    decide,
    value_of_reading,
)
from bayesight.bayes.theorem import Belief
from bayesight.belief.classifier import Classifier
from bayesight.checks import check, existing_path
from bayesight.errors import InvalidInput, UnknownName
from bayesight.evaluation import confusion_matrix
from bayesight.evaluation.conformal import ConformalReference, conformal_reference, prediction_sets
from bayesight.names import known_as

OTHERS = "*"


@dataclass(frozen=True)
class Stakes:
    """Costs of the actions and of a reading, as people state them.

    Args:
        costs: ``zero-one`` (believing a class costs 1 when it is wrong) or the path of a JSON file with
            {action: {class: cost}}; ``"*"`` stands for the classes an action does not name.
        hand_over: the cost of handing the image to a person; None when nobody is there.
        reading: the cost of one more reading of the same subject; None when there can be none.
    """

    costs: str = "zero-one"
    hand_over: float | None = None
    reading: float | None = None

    def __post_init__(self) -> None:
        if self.reading is not None:
            good = math.isfinite(self.reading) and self.reading >= 0
            check(good, "the cost of a reading", f"got {self.reading:g}", "a finite number, 0 or more")
        if self.hand_over is not None:
            check(math.isfinite(self.hand_over), "--hand-over", f"got {self.hand_over:g}", "a finite cost")


@dataclass(frozen=True)
class ImageDecision:
    """The action for one image.

    Args:
        action: of least expected cost.
        expected_cost: of every action, in the unit of the costs.
        information_bits: what one more reading would tell about the class; None without readings.
        reading_saves: expected cost one more reading would save, its own cost not deducted; None likewise.
    """

    action: str
    expected_cost: dict[str, float]
    information_bits: float | None = None
    reading_saves: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return dict(vars(self))


def choose(
    belief: Belief, stakes: Stakes, costs: Costs, reading: Reading | None, *, known: bool
) -> ImageDecision:
    """The action for one image.

    Args:
        belief: log_p (K,), the posterior.
        stakes: what was stated.
        costs: ``stakes.costs``, read.
        reading: what one more reading could say; None when there can be none.
        known: False for an image like nothing seen. The costs suppose that it is of one of the classes, so
            that it goes to a person where there is one.
    """
    made = decide(belief, costs, reading=reading, hand_over=stakes.hand_over)
    action = made.action if known or stakes.hand_over is None else HAND_OVER
    expected = dict(zip(made.actions, made.expected_cost.tolist(), strict=True))
    if reading is None:
        return ImageDecision(action, expected)
    value = value_of_reading(belief, costs, reading)
    return ImageDecision(action, expected, float(value.bits), float(value.saving))


def reading_of(classifier: Classifier, cost: float) -> Reading:
    """One more reading of the same subject by this classifier, independent of the first given the class.

    Its results are the classes it may call, as often as it called them on held-out images of each class; a
    class gets half an image of each result beforehand (Jeffreys' prior).

    Args:
        classifier: the belief.
        cost: of taking the reading.
    """
    names = classifier.classes.names
    log_p = classifier.judged_log_likelihood + classifier.prior.log()
    table = confusion_matrix(classifier.judged.labels.numpy(), log_p.argmax(dim=1).numpy(), len(names))
    called = torch.from_numpy(table).double().T + 0.5
    return Reading((called / called.sum(dim=0)).log(), cost, names)


def parse_costs(text: str, names: Sequence[str]) -> Costs:
    """Costs over a run's classes.

    Args:
        text: as in ``Stakes.costs``.
        names: the K classes, in the run's order.

    Raises:
        SourceNotFound: no such file.
        UnknownName: a class the run does not know.
        InvalidInput: no table of costs, or a class without a cost.

    Example:
        >>> parse_costs("zero-one", ["A", "B"]).table.tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    if text == "zero-one":
        return Costs.zero_one(names)
    path = existing_path(text)
    try:
        tree: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as problem:
        raise InvalidInput(f"--costs: {text} is not JSON ({problem}).") from problem
    good = isinstance(tree, Mapping) and len(tree) > 0 and all(_is_row(row) for row in tree.values())
    check(good, "--costs", f"{text} holds no table of costs", 'JSON like {"act": {"A": 0, "*": 5}}')
    return Costs.from_mapping({action: _whole_row(action, row, names) for action, row in tree.items()})


def _is_row(row: Any) -> bool:
    return isinstance(row, Mapping) and all(
        isinstance(cost, int | float) and not isinstance(cost, bool) for cost in row.values()
    )


def _whole_row(action: str, row: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The row with a cost for every class, in order."""
    for name in row:
        if name != OTHERS and known_as(name, names) is None:
            raise UnknownName("class", name, names)
    row = {known_as(name, names) or name: cost for name, cost in row.items()}
    left_out = [name for name in names if name not in row]
    check(
        not left_out or OTHERS in row, "--costs", f"{action!r} has no cost for {', '.join(left_out)}",
        "a cost for every class", f'Give them one with "{OTHERS}".',
    )  # fmt: skip
    return {name: float(row.get(name, row.get(OTHERS, 0.0))) for name in names}


@dataclass(frozen=True)
class SetCheck:
    """The sets of labelled images: how often they hold the truth, and how many classes that takes.

    Args:
        asked: share of images whose class is to be in the set.
        held: share of images whose class is.
        interval: 95 % credible interval of it.
        mean_size: classes in a set.
        single: share of sets of one class.
    """

    asked: float
    held: float
    interval: tuple[float, float]
    mean_size: float
    single: float

    def as_dict(self) -> dict[str, Any]:
        """The entry ``sets`` of ``--json``."""
        return vars(self) | {"interval": list(self.interval)}


def sets_reference(classifier: Classifier, prior: Tensor) -> ConformalReference:
    """The labelled images that judge a classifier, weighed as their classes are common under a prior (K,)."""
    judged = classifier.judged
    log_posterior = (classifier.judged_log_likelihood + prior.log()).log_softmax(dim=1)
    shift = prior / classifier.predictive.log_prior.exp().clamp_min(torch.finfo(torch.float64).tiny)
    return conformal_reference(log_posterior, judged.labels, judged.weights * shift[judged.labels])


def class_sets(
    classifier: Classifier, coverage: float | None, prior: Tensor, posterior: Tensor
) -> Sequence[tuple[str, ...] | None]:
    """The classes of each image, the most probable first; None for each where no coverage is asked for.

    Args:
        classifier: the belief.
        coverage: share of images whose class is to be in the set.
        prior: (K,) base rates here.
        posterior: (N, K) under them.
    """
    if coverage is None:
        return [None] * len(posterior)
    names = classifier.classes.names
    order = posterior.argsort(dim=1, descending=True, stable=True)
    inside = prediction_sets(posterior.log(), sets_reference(classifier, prior), coverage)
    return [
        tuple(names[k] for k, is_in in zip(ks, row, strict=True) if is_in)
        for ks, row in zip(order.tolist(), inside.gather(1, order).tolist(), strict=True)
    ]
