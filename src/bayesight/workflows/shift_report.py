"""The experiment of the shifting colour as a report."""

from __future__ import annotations

import os
from pathlib import Path

from bayesight.report import Prose, Section, ShiftMethod, ShiftTable
from bayesight.report.words import rate
from bayesight.workflows.reporting import write_report
from bayesight.workflows.shift import PUBLISHED, SELECTION, ShiftResult

__all__ = ["shift_report", "shift_sections"]


def shift_report(found: ShiftResult, path: str | os.PathLike[str]) -> Path:
    """Write the report; returns its path.

    Raises:
        StorageFailed: the folder cannot be made or written.
    """
    return write_report(
        "Why the causal classifier holds", shift_sections(found), Path(path), found.letters.source
    )


def shift_sections(found: ShiftResult) -> list[Section]:
    """The table with its curves, and how it came about."""
    plan, chosen = found.options.plan, found.chosen
    methods = tuple(_method(found, name) for name in found.arms)
    drawn = dict.fromkeys(["ordinary", chosen or "reweight", "dfr", "irm"])
    table = ShiftTable(
        methods,
        plan.train,
        plan.test,
        tuple(drawn),
        chosen,
        1 - plan.noise,
        found.options.seeds,
        note="Published: Colored MNIST, 50,000 digits (Arjovsky et al. 2019, table 1); the options of their "
        "invariant risk were chosen with test data.",
    )
    sizes = {name: len(rows) for name, rows in found.letters.parts.items()}
    (first, second), batch = found.letters.kinds, plan.balanced
    how = Prose(
        (
            f"{sizes['train']:,} letters to train with and {sizes['test']:,} others to test, {first[0]}-"
            f"{first[-1]} against {second[0]}-{second[-1]}. {rate(plan.noise)} of all labels are wrong, also "
            f"those of the balanced batch, whose {batch} letters are left out of the training.",
            SELECTION,
        ),
        heading="How this was measured",
    )
    return [table, how]


def _method(found: ShiftResult, name: str) -> ShiftMethod:
    figures = found.figures(name)
    tests = list(figures["test"].values())
    return ShiftMethod(
        name,
        figures["title"],
        figures["sees"],
        tuple(spread["median"] for spread in figures["validation"].values()),
        tuple(spread["median"] for spread in tests),
        tuple(spread["low"] for spread in tests),
        tuple(spread["high"] for spread in tests),
        PUBLISHED.get(name),
    )
