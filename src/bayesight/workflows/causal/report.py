"""A causal answer as a report: the graph, both answers side by side, the strata."""

from __future__ import annotations

import os
from pathlib import Path

from bayesight import report
from bayesight.causal import AdjustFor, FrontDoor, Instrument, NotIdentified
from bayesight.causal.question import ON_WHOM
from bayesight.causal.refute import Refutation
from bayesight.language import retold, tr
from bayesight.report import Section
from bayesight.report.words import joined
from bayesight.workflows.causal.answer import CausalAnswer
from bayesight.workflows.reporting import write_report


def causal_report(found: CausalAnswer, path: str | os.PathLike[str]) -> Path:
    """Write the report of a causal answer; returns its path.

    Raises:
        StorageFailed: the folder cannot be made or written.
    """
    question = found.effect.question
    title = retold(found.title) or tr(
        "Does {treatment} change {outcome}?", treatment=question.treatment, outcome=question.outcome
    )
    return write_report(title, causal_sections(found), Path(path), retold(found.source))


def causal_sections(found: CausalAnswer) -> list[Section]:
    """The graph, both answers, and the strata when there are any."""
    effect = found.effect
    question = effect.question
    fraction = effect.binary and not effect.conditional.slope
    answers = {tr("as they are"): effect.conditional}
    if effect.adjusted is not None:
        answers[tr("if it were set")] = effect.adjusted
    answers |= {tr("if it were set, {whom}", whom=tr(ON_WHOM[a.on])): a for a in effect.instead[:1]}
    others = {} if found.bayes is None else {tr("Bayesian, Dirichlet and Beta"): found.bayes.effect}
    others |= {f"{retold(a.method)}, {tr(ON_WHOM[a.on])}": a.effect for a in effect.instead[1:]}
    said = (
        tr(", {whom}: not the answer", whom=tr(ON_WHOM[question.effect])) if effect.adjusted is None else ""
    )
    others |= {retold(a.method) + said: a.effect for a in effect.others}
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
        said.append(tr("Held fixed, as was asked: {names}.", names=joined(list(found.effect.held))))
    elif isinstance(known, AdjustFor) and known.variables:
        more = len(known.minimal) - 1
        others = tr(" {more} other minimal sets would do.", more=more) if more > 1 else ""
        others = tr(" One other minimal set would do.") if more == 1 else others
        said.append(
            tr(
                "To compare like with like, hold {names} fixed.{others}",
                names=joined(list(known.variables)),
                others=others,
            )
        )
    elif isinstance(known, AdjustFor):
        said.append(tr("Nothing has to be held fixed."))
    elif isinstance(known, FrontDoor):
        said.append(
            tr(
                "The effect is found through the front door, by way of {names}.",
                names=joined(list(known.mediators)),
            )
        )
    elif isinstance(known, Instrument):
        said.append(tr("The effect is found with the instrument {variable}.", variable=known.variable))
    elif isinstance(known, NotIdentified):
        said.append(
            tr("The effect cannot be known from these variables: {reason}.", reason=retold(known.reason))
        )
    said += [f"{name} {why}." for name, why in found.forbidden.items()]
    return tuple(said)


def _headline(found: CausalAnswer) -> str:
    effect = found.effect
    if effect.warning:
        return retold(effect.warning)
    if effect.reversal is not None:
        return retold(effect.reversal.sentence)
    if effect.adjusted is None:
        return tr("What is seen is below; what would happen if the treatment were set cannot be known.")
    if effect.held == ():
        return tr("By this graph, seeing and doing are the same: what is seen is what would happen.")
    return ""


def _sentences(found: CausalAnswer) -> tuple[str, ...]:
    effect = found.effect
    said = list(map(retold, effect.notes))
    if effect.e_value is not None:
        e = effect.e_value
        said.append(
            tr(
                "E-value {value:.2f}: something unmeasured would have to go with both treatment and "
                "outcome by this factor to explain the effect away ({bound:.2f} for the interval).",
                value=e.value,
                bound=e.bound,
            )
        )
    said += [retold(found.exact.sentence)] if found.exact else []
    return (*said, *map(_attempt, found.refutations))


def _attempt(r: Refutation) -> str:
    spread = tr(
        "{mean:.4g} ({low:.4g} to {high:.4g})", mean=r.effect.mean, low=r.effect.low, high=r.effect.high
    )
    verdict = tr("it holds") if r.passed else tr("IT FAILS")
    return tr(
        "Attempt to break it, {name}: {spread}, expected {expected}; {verdict}.",
        name=retold(r.name),
        spread=spread,
        expected=retold(r.expected),
        verdict=verdict,
    )
