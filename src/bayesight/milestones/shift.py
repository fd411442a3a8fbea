"""The milestone ``irm`` as a comparison of methods: chosen by a rule, told as a table and as a report."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bayesight import report
from bayesight.errors import UnknownName
from bayesight.milestones.bench.coloured import ColourPlan, GreyLetters, two_kinds
from bayesight.milestones.bench.running import Outcome, Setting, run
from bayesight.milestones.bench.shifting import plan_of
from bayesight.milestones.bench.sources import open_letters
from bayesight.milestones.papers.irm import MILESTONE
from bayesight.report import Section
from bayesight.report.words import rate
from bayesight.types import Progress

__all__ = ["CANDIDATES", "METHODS", "PUBLISHED", "SELECTION", "ShiftResult", "grey_letters", "shift"]

SELECTION = (
    "Weights: the lowest log-loss on held-out letters of the training environments, plain for ordinary "
    "training and the grey oracle, adjusted for the colour by the back-door formula for the others. Method: "
    "the highest accuracy on those letters after the same adjustment, at the median of the seeds, among "
    "those that are trained on the training environments alone. No test environment is looked at for either."
)
"""The rule, fixed before any test environment was measured."""

PUBLISHED = {"ordinary": (0.874, 0.171), "irm": (0.708, 0.669), "grey": (0.735, 0.730)}
"""Accuracy in the training environments and at test on Colored MNIST, 50,000 digits (Arjovsky et al. 2019,
table 1); the hyper-parameters of their IRM were chosen with test data."""


METHODS = {
    "ordinary": ("ordinary training", "nothing"),
    "reweight": ("adjusted for the colour", "the colour of each letter"),
    "groupdro": ("group DRO", "the colour of each letter"),
    "irm": ("invariant risk", "environments, and colours of held-out letters to choose the weights"),
    "belief": ("belief at equal base rates", "the colour of each letter, once ordinary training is over"),
    "dfr": ("belief with a balanced batch", "the same, and the labels of a balanced batch"),
    "grey": ("oracle without colour", "that colour is to be ignored: the images are grey"),
}
"""The milestone's arms in words: a title, and what each is told beyond images and labels."""

CANDIDATES = ("ordinary", "reweight", "groupdro", "irm")
"""Those that rest on the training environments alone, and may be chosen between."""


@dataclass(frozen=True)
class ShiftResult:
    """The methods as they were measured.

    Args:
        outcome: of the milestone's arms.
        letters: on what.
    """

    outcome: Outcome
    letters: GreyLetters

    @property
    def plan(self) -> ColourPlan:
        """The agreement of label and colour, and the noise, as they were."""
        return plan_of(self.outcome.milestone.arms[0].recipes[0].data)

    @property
    def chosen(self) -> str | None:
        """The method chosen on the training environments; None where no candidate was run."""
        names = [name for name in self.outcome.measured if name in CANDIDATES]
        return max(names, key=lambda name: self._spread(name, "adjusted_validation")["median"], default=None)

    def figures(self, name: str) -> dict[str, Any]:
        """Median, least and greatest over the seeds of every accuracy of a method."""
        (title, sees), plan = METHODS[name], self.plan
        return {
            "title": title,
            "sees": sees,
            "train": self._spreads(name, "train", plan.train),
            "validation": self._spreads(name, "validation", plan.train),
            "adjusted_validation": self._spread(name, "adjusted_validation"),
            "test": self._spreads(name, "test", plan.test),
            "published": dict(zip(("train", "test"), PUBLISHED[name], strict=True))
            if name in PUBLISHED
            else None,
        }

    def as_dict(self) -> dict[str, Any]:
        """The numbers ``--json`` prints."""
        letters, plan = self.letters, self.plan
        return {
            "source": letters.source,
            "kinds": [list(kind) for kind in letters.kinds],
            "letters": {name: len(rows) for name, rows in letters.parts.items()},
            "seeds": len(self.outcome.seeds),
            "noise": plan.noise,
            "ceiling": 1 - plan.noise,
            "agreement": {"train": list(plan.train), "test": list(plan.test)},
            "balanced_labels": plan.balanced,
            "selection": SELECTION,
            "chosen": self.chosen,
            "methods": {name: self.figures(name) for name in self.outcome.measured},
        }

    def sections(self) -> list[Section]:
        """The report: the table with its curves, and how it came about."""
        plan, chosen = self.plan, self.chosen
        table = report.shift_table(
            {name: self.figures(name) for name in self.outcome.measured},
            plan.train,
            plan.test,
            tuple(dict.fromkeys(["ordinary", chosen or "reweight", "dfr", "irm"])),
            chosen=chosen,
            ceiling=1 - plan.noise,
            seeds=len(self.outcome.seeds),
        ).with_note(
            "Published: Colored MNIST, 50,000 digits (Arjovsky et al. 2019, table 1); the options of "
            "their invariant risk were chosen with test data.",
        )
        sizes = {name: len(rows) for name, rows in self.letters.parts.items()}
        first, second = self.letters.kinds
        how = report.prose(
            "How this was measured",
            f"{sizes['train']:,} letters to train with and {sizes['test']:,} others to test, {first[0]}-"
            f"{first[-1]} against {second[0]}-{second[-1]}. {rate(plan.noise)} of all labels are wrong, "
            f"also those of the balanced batch, whose {plan.balanced} letters are left out of the "
            "training.",
            SELECTION,
        )
        return [table, how]

    def _spreads(self, name: str, part: str, agreements: Sequence[float]) -> dict[str, dict[str, Any]]:
        return {f"{agree:g}": self._spread(name, f"{part}_{agree:g}") for agree in agreements}

    def _spread(self, name: str, metric: str) -> dict[str, Any]:
        values = [one.values[metric] for one in self.outcome.measured[name]]
        return {
            "median": statistics.median(values),
            "low": min(values),
            "high": max(values),
            "seeds": values,
        }


def shift(
    setting: Setting,
    methods: Sequence[str] = tuple(METHODS),
    *,
    balanced: int | None = None,
    progress: Progress | None = None,
) -> ShiftResult:
    """Run some of the milestone's arms, without its claims.

    Args:
        setting: how; nothing is kept in its folder.
        methods: names of ``METHODS``, in the order they are to be told.
        balanced: labels of the balanced batch; None takes the milestone's own number, as a smoke run does.
        progress: told the steps done, training by training.

    Raises:
        UnknownName: no such method.
        SourceNotFound, SourceUnreadable: the data cannot be read.
        InvalidInput: fewer than two classes, too few letters, or a number out of its range.
    """
    for name in methods:
        if name not in METHODS:
            raise UnknownName("method", name, METHODS)
    changes = {} if balanced is None else {"data.balanced": balanced}
    arms = tuple(MILESTONE.arm(name).changed(changes) for name in methods)
    some = replace(MILESTONE, arms=arms, claims=())
    outcome = run(some, setting, progress=progress)
    return ShiftResult(outcome, grey_letters(setting.data, smoke=setting.smoke))


def grey_letters(data: Path | None, *, smoke: bool = False) -> GreyLetters:
    """The letters that the milestone colours: the user's, or rendered ones where there are none."""
    letters = two_kinds(open_letters(data, smoke=smoke).store)
    return letters if data else replace(letters, source="rendered letters")
