"""A causal answer as a report: the graph, both answers side by side, the strata."""

from __future__ import annotations

import os
from pathlib import Path

from bayesight import report
from bayesight.causal import AdjustFor, FrontDoor, Instrument, NotIdentified
from bayesight.causal.question import ON_WHOM
from bayesight.causal.refute import Refutation
from bayesight.report import Section
from bayesight.report.words import joined
from bayesight.workflows.causal.answer import CausalAnswer
from bayesight.workflows.reporting import write_report

__all__ = ["causal_report", "causal_sections"]


def causal_report(found: CausalAnswer, path: str | os.PathLike[str]) -> Path:
    """Write the report of a causal answer; returns its path.

    Raises:
        StorageFailed: the folder cannot be made or written.
    """
    question = found.effect.question
    title = found.title or f"Does {question.treatment} change {question.outcome}?"
    return write_report(title, causal_sections(found), Path(path), found.source)


def causal_sections(found: CausalAnswer) -> list[Section]:
    """The graph, both answers, and the strata when there are any."""
    effect = found.effect
    question = effect.question
    fraction = effect.binary and not effect.conditional.slope
    answers = {"as they are": effect.conditional}
    if effect.adjusted is not None:
        answers["if it were set"] = effect.adjusted
    answers |= {f"if it were set, {ON_WHOM[a.on]}": a for a in effect.instead[:1]}
    others = {} if found.bayes is None else {"Bayesian, Dirichlet and Beta": found.bayes.effect}
    others |= {f"{a.method}, {ON_WHOM[a.on]}": a.effect for a in effect.instead[1:]}
    said = f", {ON_WHOM[question.effect]}: not the answer" if effect.adjusted is None else ""
    others |= {a.method + said: a.effect for a in effect.others}
    sections = [
        report.causal_graph(
            found.dag,
            question.treatment,
            question.outcome,
            held=effect.held or (),
            sentences=_graph_sentences(found),
        ),
        report.seeing_and_doing(
            question.outcome if not question.success else f"{question.outcome}={question.success}",
            answers,
            fraction=fraction,
            headline=_headline(found),
            others=others,
            sentences=_sentences(found),
            level=question.level,
        ),
    ]
    if effect.strata is not None and effect.held:
        sections.append(report.strata_table(effect.strata, tuple(effect.conditional.means)))
    return sections


def _graph_sentences(found: CausalAnswer) -> tuple[str, ...]:
    known, question = found.effect.identification, found.effect.question
    said = [found.held_words] if found.held_words else []
    if found.effect.held is not None and question.adjust is not None:
        said.append(f"Held fixed, as was asked: {joined(list(found.effect.held))}.")
    elif isinstance(known, AdjustFor) and known.variables:
        more = len(known.minimal) - 1
        others = f" {more} other minimal sets would do." if more > 1 else ""
        others = " One other minimal set would do." if more == 1 else others
        said.append(f"To compare like with like, hold {joined(list(known.variables))} fixed.{others}")
    elif isinstance(known, AdjustFor):
        said.append("Nothing has to be held fixed.")
    elif isinstance(known, FrontDoor):
        said.append(f"The effect is found through the front door, by way of {joined(list(known.mediators))}.")
    elif isinstance(known, Instrument):
        said.append(f"The effect is found with the instrument {known.variable}.")
    elif isinstance(known, NotIdentified):
        said.append(f"The effect cannot be known from these variables: {known.reason}.")
    said += [f"{name} {why}." for name, why in found.forbidden.items()]
    return tuple(said)


def _headline(found: CausalAnswer) -> str:
    effect = found.effect
    if effect.warning:
        return effect.warning
    if effect.reversal is not None:
        return effect.reversal.sentence
    if effect.adjusted is None:
        return "What is seen is below; what would happen if the treatment were set cannot be known."
    if effect.held == ():
        return "By this graph, seeing and doing are the same: what is seen is what would happen."
    return ""


def _sentences(found: CausalAnswer) -> tuple[str, ...]:
    effect = found.effect
    said = list(effect.notes)
    if effect.e_value is not None:
        e = effect.e_value
        said.append(
            f"E-value {e.value:.2f}: something unmeasured would have to go with both treatment and outcome "
            f"by this factor to explain the effect away ({e.bound:.2f} for the interval)."
        )
    said += [found.exact.sentence] if found.exact else []
    return (*said, *map(_attempt, found.refutations))


def _attempt(r: Refutation) -> str:
    spread = f"{r.effect.mean:.4g} ({r.effect.low:.4g} to {r.effect.high:.4g})"
    verdict = "it holds" if r.passed else "IT FAILS"
    return f"Attempt to break it, {r.name}: {spread}, expected {r.expected}; {verdict}."
