"""A causal answer with everything it rests on, what each column was taken for, and its document."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from bayesight.causal import (
    AdjustFor,
    Dag,
    Effect,
    EffectEstimate,
    FrontDoor,
    Identification,
    Instrument,
    Sample,
)
from bayesight.causal.adjustment import RULE
from bayesight.causal.coding import reference_of
from bayesight.causal.exact import ExactTest, exact_test
from bayesight.causal.refute import Refutation
from bayesight.causal.sample import MAX_LEVELS, Discrete
from bayesight.data.columns import CountsColumn
from bayesight.data.samples import TableRead
from bayesight.errors import listed
from bayesight.formatting import is_number
from bayesight.language import marked, retold, tr


@dataclass(frozen=True)
class CausalAnswer:
    """The answer with everything it rests on.

    Attributes:
        effect: both answers.
        dag: the graph.
        forbidden: variable to why it is better left alone.
        bayes: the Bayesian answer, if asked for.
        refutations: attempts to break it, if asked for.
        rows: lines read.
        dropped: lines left out for missing values.
        title: what the table is about, for an example.
        source: where its numbers come from.
        held: each variable that is held fixed: "categories", "a quantity" (which may bend) or, in a table
            read by parts, "a straight line", and how many values it has.
        columns: what each column was taken for, treatment and outcome first.
        notes: rows that were left out, spellings that are one, and a column that might hold counts.
    """

    effect: Effect
    dag: Dag
    forbidden: dict[str, str]
    bayes: EffectEstimate | None = None
    refutations: tuple[Refutation, ...] = ()
    rows: int = 0
    dropped: int = 0
    title: str = ""
    source: str = ""
    held: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    columns: tuple[ColumnUse, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def exact(self) -> ExactTest | None:
        """The exact test of no effect in any stratum, of two treatments and a yes or no counted in strata."""
        strata, last = self.effect.strata, self.effect.conditional.difference
        if strata is None or last is None or len(strata.n) != 2:
            return None
        versus = strata.treatments.index(last.versus)
        return exact_test(strata, 1 - versus, versus, self.effect.question.level)

    @property
    def held_words(self) -> str:
        """A sentence or two on the quantities and the many categories; empty where there are none."""
        lines = [name for name, (kind, _) in self.held.items() if kind == LINE]
        bent = [name for name, (kind, _) in self.held.items() if kind == QUANTITY]
        many = [
            marked(f"{n} ({k} values)")
            for n, (kind, k) in self.held.items()
            if kind == CATEGORIES and k > MAX_LEVELS
        ]
        said = (
            [marked(f"as straight lines: {listed(lines)} (--text makes categories of one)")] if lines else []
        )
        said += (
            [marked(f"as quantities, which may bend: {listed(bent)} (--text makes categories of one)")]
            if bent
            else []
        )
        said += [marked(f"as categories: {listed(many)} (--numeric makes a line of one)")] if many else []
        slope, held = self._slope_words, "; ".join(said)
        if not held:
            return slope
        return marked(f"{slope} Held fixed {held}.") if slope else marked(f"Held fixed {held}.")

    @property
    def _slope_words(self) -> str:
        """A sentence on a treatment whose effect is a straight line's slope; empty where it is not."""
        name = self.effect.question.treatment
        if self.effect.conditional.slope is None:
            return ""
        return marked(
            f"{name} is taken as a quantity: its effect is a straight line (--text makes categories of it)."
        )

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        e, known = self.effect, self.effect.identification
        return {
            "treatment": e.question.treatment,
            "outcome": e.question.outcome,
            "effect": "direct" if e.question.direct else "total",
            **graph_dict(self.dag),
            "rows": self.rows,
            "dropped": self.dropped,
            **identification_dict(known),
            "adjustment_set": None if e.held is None else list(e.held),
            "treatment_as": CATEGORIES if e.conditional.slope is None else LINE,
            "held": {name: {"as": kind, "values": n} for name, (kind, n) in self.held.items()},
            "columns": [column.as_dict() for column in self.columns],
            "success": e.counted.value if e.counted else None,
            "reference": e.conditional.difference.versus if e.conditional.difference else None,
            "exact": self.exact.as_dict() if self.exact else None,
            "forbidden": self.forbidden,
            "conditional": e.conditional.as_dict(),
            "on": e.question.effect,
            "warning": e.warning or None,
            "adjusted": e.adjusted.as_dict() if e.adjusted else None,
            "instead": [a.as_dict() for a in e.instead],
            "others": [a.as_dict() for a in e.others],
            "bayes": self.bayes.as_dict() if self.bayes else None,
            "simpson": e.reversal.as_dict() if e.reversal else None,
            "overlap": e.overlap.as_dict() if e.overlap else None,
            "models": {name: dict(share) for name, share in e.models.items()} or None,
            "e_value": e.e_value.as_dict() if e.e_value else None,
            "refutations": [r.as_dict() for r in self.refutations],
            "level": e.question.level,
            "notes": [*self.notes, *e.notes],
            "source": self.source,
        }


def graph_dict(dag: Dag) -> dict[str, Any]:
    """``graph`` and ``unobserved``."""
    return {"graph": str(dag), "unobserved": sorted(dag.unobserved)}


def identification_dict(known: Identification) -> dict[str, Any]:
    """``identified``, ``strategy`` and what belongs to it."""
    if isinstance(known, AdjustFor):
        return {
            "identified": True,
            "strategy": "adjustment",
            "minimal_sets": [list(s) for s in known.minimal],
            "all_minimal_sets_listed": known.complete,
            "rule": RULE,
        }
    if isinstance(known, FrontDoor):
        return {"identified": True, "strategy": "front-door", "mediators": list(known.mediators)}
    if isinstance(known, Instrument):
        return {
            "identified": True,
            "strategy": "instrument",
            "instrument": known.variable,
            "given": list(known.given),
            "assumption": known.assumption,
        }
    return {"identified": False, "strategy": None, "reason": known.reason}


CATEGORIES, LINE, QUANTITY = marked("categories"), marked("a straight line"), marked("a quantity")
SLOPE = marked("its effect is a straight line's slope")


@dataclass(frozen=True)
class ColumnUse:
    """The kind a column of the table was taken for.

    Attributes:
        name: of the column.
        role: ``treatment``, ``outcome``, ``held fixed``, ``mediator``, ``instrument`` or ``counts``.
        kind: ``categories``, ``quantity``, ``yes or no`` or ``rows a line``.
        values: how many different ones it has; 0 where that was not counted.
        detail: the value that counts as 1, or that the others are compared with; empty if there is none.
        because: the part of the rule that decided, where that is not plain.
        change: the option that changes it; empty if none does.
    """

    name: str
    role: str
    kind: str
    values: int = 0
    detail: str = ""
    because: str = ""
    change: str = ""

    @property
    def sentence(self) -> str:
        """Role, kind, reason and the option that changes it, in one line."""
        kind = {"quantity": marked("a quantity"), "rows a line": marked("how many rows each line stands for")}
        told = tr(kind.get(self.kind, self.kind))
        if self.values and self.kind == CATEGORIES:
            one = self.values == 1
            told = tr("the same in every row") if one else tr("{count:,} categories", count=self.values)
        said = f"{self.name}: {tr(self.role)}, {told}"
        if self.detail and self.role == "outcome":
            said += tr(", {value} counts", value=self.detail)
        elif self.detail:
            said += tr(", against {value}", value=self.detail)
        reasons = "; ".join(part for part in (self.because, self.change) if part).split("; ")
        reason = "; ".join(map(retold, reasons))
        return f"{said} ({reason})" if reason else said

    def as_dict(self) -> dict[str, Any]:
        """All of it, as a dictionary; ``as`` is the kind."""
        return {
            "name": self.name,
            "role": self.role,
            "as": self.kind,
            "values": self.values or None,
            "value": self.detail or None,
            "because": self.because or None,
            "change": self.change or None,
        }


def column_uses(
    counts: str, found: Effect, read: TableRead, guess: CountsColumn | None
) -> tuple[ColumnUse, ...]:
    """Tell the kind each column was taken for.

    Args:
        counts: the column of counts; empty where there is none.
        found: the answer.
        read: the table.
        guess: the column that was taken for the counts, or seemed to hold them.
    """
    uses = [_treatment_use(found, read), _outcome_use(found, read)]
    known = found.identification
    roles = dict.fromkeys(found.held or (), marked("held fixed"))
    if found.held is None and isinstance(known, FrontDoor):
        roles = dict.fromkeys(known.mediators, marked("mediator"))
    elif found.held is None and isinstance(known, Instrument):
        roles = {known.variable: marked("instrument")} | dict.fromkeys(known.given, marked("held fixed"))
    uses += [_plain_use(name, role, read) for name, role in roles.items()]
    if counts:
        guessed = guess is not None and guess.certain
        because = marked("named so, and every combination of the other columns comes once") if guessed else ""
        change = marked("--counts none takes each line as one row") if guessed else ""
        uses.append(ColumnUse(counts, marked("counts"), "rows a line", because=because, change=change))
    return tuple(uses)


def _treatment_use(found: Effect, read: TableRead) -> ColumnUse:
    name = found.question.treatment
    use = _plain_use(name, marked("treatment"), read)
    if found.conditional.difference is None:
        because = "; ".join(part for part in (use.because, SLOPE) if part)
        change = marked(f"--text {shlex.quote(name)} makes categories of it")
        return replace(use, kind="quantity", because=because, change=change)
    levels, against = tuple(found.conditional.means), found.conditional.difference.versus
    if found.question.reference:
        return replace(use, detail=against)
    other = next(level for level in levels if level != against)
    reason = reference_of(levels).because
    change = marked(f"--reference {shlex.quote(other)} changes it")
    reason = "" if is_number(levels[0]) else f"{reason}; {change}"
    return replace(use, detail=against, because="; ".join(r for r in (use.because, reason) if r))


def _outcome_use(found: Effect, read: TableRead) -> ColumnUse:
    name = found.question.outcome
    counted = found.counted
    if counted is None:
        kind, one = (marked("yes or no"), "1") if found.binary else ("quantity", "")
        return ColumnUse(name, marked("outcome"), kind, detail=one)
    levels = read.sample.discrete(name).levels
    other = next((level for level in levels if level != counted.value), "")
    change = (
        marked(f"--success {shlex.quote(other)} turns it round")
        if not found.question.success and other
        else ""
    )
    return ColumnUse(
        name, marked("outcome"), marked("yes or no"), len(levels), counted.value, counted.because, change
    )


def _plain_use(name: str, role: str, read: TableRead) -> ColumnUse:
    column, kind = read.sample.column(name), read.kinds.get(name)
    because = kind.because if kind else ""
    quoted = shlex.quote(name)
    if not isinstance(column, Discrete):
        values = len(np.unique(column.values))
        change = marked(f"--text {quoted} makes categories of it") if because else ""
        return ColumnUse(name, role, "quantity", values, because=because, change=change)
    numbers = len(column.levels) > 2 and column.numbers is not None
    change = marked(f"--numeric {quoted} makes a quantity of it") if numbers else ""
    return ColumnUse(name, role, CATEGORIES, len(column.levels), because=because, change=change)


def held_kinds(found: Effect, sample: Sample) -> dict[str, tuple[str, int]]:
    """Tell of each variable held fixed how it is, and how many values it has."""
    columns = {name: sample.column(name) for name in found.held or ()}
    return {
        name: (CATEGORIES, len(column.levels))
        if isinstance(column, Discrete)
        else (QUANTITY, len(np.unique(column.values)))
        for name, column in columns.items()
    }


def suggest_counts(guess: CountsColumn | None) -> tuple[str, ...]:
    """Suggest a column that is named like counts where the table does not bear it out."""
    if guess is None or guess.certain:
        return ()
    name = shlex.quote(guess.name)
    said = marked(
        f"{guess.name} is named like a number of rows: if each line stands for so many, say --counts {name}."
    )
    return (said,)
