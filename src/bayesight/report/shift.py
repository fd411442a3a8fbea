"""What can be said of classifiers whose data shift."""

from __future__ import annotations

from dataclasses import dataclass

from bayesight.report.sections import Section

__all__ = ["ShiftMethod", "ShiftTable"]


@dataclass(frozen=True)
class ShiftMethod:
    """One way of training, measured wherever it was; medians over the seeds, accuracies being fractions.

    Attributes:
        name: short.
        title: in words.
        sees: what it was told beyond images and labels.
        train: accuracy in each training environment (E,).
        test: accuracy at each agreement (G,).
        low: least over the seeds (G,).
        high: greatest (G,).
        published: (training, test) accuracy of the paper, or None.
    """

    name: str
    title: str
    sees: str
    train: tuple[float, ...]
    test: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    published: tuple[float, float] | None = None


@dataclass(frozen=True)
class ShiftTable(Section):
    """Several ways of training as the association they could lean on turns round.

    Attributes:
        methods: in the order of the table.
        trained_at: agreement of attribute and label in each training environment (E,).
        tested_at: agreements (G,), ascending.
        drawn: names of up to four methods for the curves.
        chosen: the method chosen without looking at a test environment.
        ceiling: the best accuracy that does not rest on the attribute.
        seeds: repetitions.
    """

    methods: tuple[ShiftMethod, ...]
    trained_at: tuple[float, ...]
    tested_at: tuple[float, ...]
    drawn: tuple[str, ...]
    chosen: str | None = None
    ceiling: float = 1.0
    seeds: int = 1
