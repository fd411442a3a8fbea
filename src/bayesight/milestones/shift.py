"""The milestone ``irm`` as a comparison of methods: chosen by a rule, told as a table and as a report."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bayesight import report
from bayesight.errors import UnknownName
from bayesight.language import marked, retold, tr
from bayesight.milestones.bench.coloured import ColourPlan, GreyLetters, two_kinds
from bayesight.milestones.bench.running import Outcome, Setting, run
from bayesight.milestones.bench.shifting import plan_of
from bayesight.milestones.bench.sources import open_letters
from bayesight.milestones.papers.irm import MILESTONE
from bayesight.report import Section
from bayesight.report.words import rate
from bayesight.types import Progress

SELECTION = marked(
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
    "ordinary": (marked("ordinary training"), marked("nothing")),
    "reweight": (marked("adjusted for the colour"), marked("the colour of each letter")),
    "groupdro": (marked("group DRO"), marked("the colour of each letter")),
    "irm": (
        marked("invariant risk"),
        marked("environments, and colours of held-out letters to choose the weights"),
    ),
    "belief": (
        marked("belief at equal base rates"),
        marked("the colour of each letter, once ordinary training is over"),
    ),
    "dfr": (marked("belief with a balanced batch"), marked("the same, and the labels of a balanced batch")),
    "grey": (marked("oracle without colour"), marked("that colour is to be ignored: the images are grey")),
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
            {
                name: self.figures(name)
                | {"title": retold(METHODS[name][0]), "sees": retold(METHODS[name][1])}
                for name in self.outcome.measured
            },
            plan.train,
            plan.test,
            tuple(dict.fromkeys(["ordinary", chosen or "reweight", "dfr", "irm"])),
            chosen=chosen,
            ceiling=1 - plan.noise,
            seeds=len(self.outcome.seeds),
        ).with_note(
            tr(
                "Published: Colored MNIST, 50,000 digits (Arjovsky et al. 2019, table 1); the options of "
                "their invariant risk were chosen with test data."
            )
        )
        sizes = {name: len(rows) for name, rows in self.letters.parts.items()}
        first, second = self.letters.kinds
        how = report.prose(
            tr("How this was measured"),
            tr(
                "{train:,} letters to train with and {test:,} others to test, {first} against "
                "{second}. {noise} of all labels are wrong, also those of the balanced batch, whose "
                "{balanced} letters are left out of the training.",
                train=sizes["train"],
                test=sizes["test"],
                first=f"{first[0]}-{first[-1]}",
                second=f"{second[0]}-{second[-1]}",
                noise=rate(plan.noise),
                balanced=plan.balanced,
            ),
            retold(SELECTION),
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
    return letters if data else replace(letters, source=marked("rendered letters"))
