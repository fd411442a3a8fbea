"""A causal answer with everything it rests on, and its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bayesight.causal import AdjustFor, Dag, Effect, EffectEstimate, FrontDoor, Identification, Instrument
from bayesight.causal.adjustment import RULE
from bayesight.causal.exact import ExactTest, exact_test
from bayesight.causal.refute import Refutation
from bayesight.causal.sample import MAX_LEVELS
from bayesight.errors import listed
from bayesight.language import marked
from bayesight.workflows.causal.columns import CATEGORIES, LINE, QUANTITY, ColumnUse

__all__ = ["CausalAnswer", "graph_dict", "identification_dict"]


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
