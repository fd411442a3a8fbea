"""From what is known to what a template shows: rows, sentences, figures."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesight.belief.classifier import Classes, Classifier
from bayesight.language import retold, tr
from bayesight.ledger import Entry, RenameRecord, UpdateRecord, WithdrawalRecord
from bayesight.report.blocks import Tile
from bayesight.report.words import count, plural, rate
from bayesight.service.page.details import ImageDetails, LabelView
from bayesight.service.page.figures import counted, novelty_strip, share_dots
from bayesight.service.page.history import WINDOW, History, accuracy_figure, evidence_figure, prior_figure
from bayesight.service.page.pictures import Album
from bayesight.service.work.belief import CurrentBelief
from bayesight.service.work.queue import Queue, QueueCandidate
from bayesight.workflows.evaluate import verdict_now
from bayesight.workflows.predict import Prediction

__all__ = [
    "ask_values",
    "can_be_drawn",
    "events",
    "history_values",
    "image_values",
    "new_key",
    "queue_values",
]

ROWS = 12
"""Classes shown with their terms."""
DRAWN_SIDE = 64
"""Longest side of images that may be drawn by hand."""
STILL = 0.01
"""Base rates that moved less are not worth a figure."""


@dataclass(frozen=True)
class _Row:
    """One class of the table of terms; ``fit`` is its likelihood beside the highest."""

    k: int
    name: str
    prior: float
    fit: float
    posterior: float


@dataclass(frozen=True)
class _Change:
    """One class before and after a label."""

    name: str
    before: float
    after: float


def new_key() -> str:
    """An idempotency key for the forms of one page."""
    return secrets.token_hex(12)


def ask_values(current: CurrentBelief, told: str = "") -> dict[str, Any]:
    """The values of the first view.

    Args:
        current: the belief now.
        told: what was done last, a sentence.
    """
    classifier = current.classifier
    words = {
        "stated": tr("These base rates were stated for this place."),
        "inferred": tr("These base rates were inferred from unlabelled images of this place."),
    }
    shares = tr(
        "Nobody has stated base rates: these are the shares of the images it was trained on "
        "and has learned since; a class taught later has their average, for how often somebody "
        "labelled it says little."
    )
    return {
        "verdict": retold(verdict_now(classifier)),
        "names": classifier.classes.names,
        "size": classifier.classes.size,
        "drawn": can_be_drawn(classifier.classes),
        "prior": current.prior(),
        "counts": classifier.head.counts.tolist(),
        "prior_words": words.get(current.source, shares),
        "key": new_key(),
        "told": told,
    }


def can_be_drawn(classes: Classes) -> bool:
    """A drawing may be like what was learned: small and grey images as of letters, no photographs."""
    return classes.mode == "L" and max(classes.size) <= DRAWN_SIDE


def image_values(details: ImageDetails, current: CurrentBelief, album: Album) -> dict[str, Any]:
    """Values of one image's page."""
    answer, names = details.answer, current.classifier.classes.names
    ranked = sorted(names, key=lambda name: -answer.posterior[name])
    chosen = details.best
    share = min(max(answer.prior[chosen], 0.0), 1.0)
    return {
        "details": details,
        "size": current.classifier.classes.size,
        "drawn": can_be_drawn(current.classifier.classes),
        "names": names if len(names) <= 26 else tuple(ranked),
        "rows": _rows(details, names, ranked),
        "left_out": max(0, len(names) - ROWS),
        "runner": _runner(details, ranked),
        "terms": {
            "names": names,
            "prior": [answer.prior[name] for name in names],
            "logLikelihood": [answer.log_likelihood[name] for name in names],
            "known": answer.known,
        },
        "prior": answer.prior,
        "chosen": chosen,
        "prior_dots": share_dots(share, tr("{name}, before looking", name=chosen)),
        "posterior_dots": share_dots(answer.posterior[chosen], tr("{name}, after looking", name=chosen)),
        "prior_people": counted(share),
        "posterior_people": counted(answer.posterior[chosen]),
        "strip": novelty_strip(
            current.classifier.novelty_reference.scores.numpy(), answer.novelty, details.limit
        ),
        "strangeness": _strangeness(answer),
        "said": _said(details),
        "change": _change(details),
        "total": float(current.classifier.head.counts.sum()),
        "neighbours": [vars(one) | {"pixels": album.picture(one.image)} for one in details.neighbours],
        "has_sources": album.has_sources,
        "key": new_key(),
        "picture": "",
    }


def queue_values(ranked: Queue, skipped: Sequence[str], told: ImageDetails | None) -> dict[str, Any]:
    """Values of the queue's page.

    Args:
        ranked: without those that were skipped.
        skipped: images that were skipped.
        told: the image that was named last.
    """
    return {
        "cards": [_card(one) for one in ranked.images],
        "waiting": ranked.waiting,
        "skipped": skipped,
        "told_mine": told.mine if told else None,
        "key": new_key(),
        "told": _said(told) if told else "",
        "told_image": told.seen.image if told else "",
    }


def history_values(history: History, classifier: Classifier, updates: Sequence[Entry]) -> dict[str, Any]:
    """Values of the history's page."""
    asked, told = len(history.novelty), len(history.right)
    seen = float(classifier.head.counts.sum())
    tiles = [
        Tile(tr("asked about"), count(asked), tr("images")),
        Tile(
            tr("learned from"),
            count(round(seen, 1)),
            tr("images, training included"),
        ),
        Tile(tr("updates"), count(history.updates), tr("of the belief since training")),
    ]
    if told:
        right = float(history.right.mean())
        tiles.insert(
            0,
            Tile(
                tr("right before told"),
                rate(right),
                tr("of {images}", images=plural(told, "labelled image")),
            ),
        )
    if asked:
        tiles.append(
            Tile(tr("called unknown"), rate(float(history.unknown.mean())), tr("of the images asked about"))
        )
    return {"tiles": tiles, "figures": _figures(history), "events": events(updates)}


def events(changes: Sequence[Entry]) -> list[dict[str, str]]:
    """Changes of the belief in words, newest first."""
    found = []
    for entry in changes:
        record = entry.record
        if isinstance(record, UpdateRecord):
            labels = plural(len(record.labels), "label")
            what = (
                tr("{labels} taken out", labels=labels)
                if record.remove
                else tr("{labels} learned", labels=labels)
            )
        elif isinstance(record, WithdrawalRecord):
            what = tr("a label taken back")
        elif isinstance(record, RenameRecord):
            what = tr("{old} is called {new}", old=record.old, new=record.new)
        else:
            continue
        if not isinstance(record, RenameRecord):
            what += tr("; new: {names}", names=", ".join(record.new_classes)) if record.new_classes else ""
            what += tr("; gone: {names}", names=", ".join(record.gone_classes)) if record.gone_classes else ""
        at = entry.at[:19].replace("T", " ")
        found.append({"at": at, "what": what, "belief": record.after[:12]})
    return found


def _card(ranked: QueueCandidate) -> dict[str, Any]:
    """One image of the queue; the most probable classes can be said with a click."""
    posterior = ranked.answer.posterior
    names = sorted(posterior, key=lambda name: -posterior[name])
    shares = [f"{name} {rate(posterior[name])}" for name in names[:2]]
    words = (
        tr(" or ").join(shares)
        if ranked.answer.known
        else tr("Unknown; of its classes {share}", share=shares[0])
    )
    return {
        "image": ranked.record.image,
        "pixels": ranked.record.pixels,
        "best": names[0],
        "names": names,
        "words": words,
        "information": ranked.information_bits,
        "key": new_key(),
    }


def _figures(history: History) -> list[dict[str, str]]:
    """The three lines over time, each once it has two points."""
    found = []
    if len(history.right) >= 2:
        lately = tr(" Dashed: the last {count}.", count=WINDOW) if len(history.right) >= 2 * WINDOW else ""
        words = tr(
            "Each image counts once, with the answer given before its label was absorbed; a class "
            "nobody had taught counts as right when the answer was “unknown”. Band: 95 %.{lately} "
            "Labelled images are no random sample: corrections and hard cases come first, so this "
            "errs on the low side.",
            lately=lately,
        )
        found.append(
            {
                "heading": tr("How often it was right before it was told"),
                "svg": accuracy_figure(history),
                "words": words,
            }
        )
    if len(history.novelty) >= 2:
        words = tr("The base rates each answer was given with; of many classes those that moved most.")
        moved = float(np.ptp(history.priors, axis=0).max())
        if moved < STILL:
            words = tr(
                "The base rates answers were given with have not moved by more than {moved}.",
                moved=rate(moved),
            )
        svg = prior_figure(history) if moved >= STILL else ""
        found.append({"heading": tr("Prior"), "svg": svg, "words": words})
        words = tr("How probable the images were at all. Where it falls for long, the world has changed.")
        found.append({"heading": tr("Evidence"), "svg": evidence_figure(history), "words": words})
    return found


def _rows(details: ImageDetails, names: Sequence[str], ranked: Sequence[str]) -> list[_Row]:
    answer = details.answer
    most = max(answer.log_likelihood.values())
    shown = set(ranked[:ROWS])
    return [
        _Row(
            k, name, answer.prior[name], math.exp(answer.log_likelihood[name] - most), answer.posterior[name]
        )
        for k, name in enumerate(names)
        if name in shown
    ]


def _runner(details: ImageDetails, ranked: Sequence[str]) -> tuple[str, float] | None:
    """The second most probable class, where it is worth a word."""
    if len(ranked) < 2 or details.answer.posterior[ranked[1]] < 0.001:
        return None
    return ranked[1], details.answer.posterior[ranked[1]]


def _change(details: ImageDetails) -> list[_Change]:
    """The classes a label moved: what it named, what it had been called, what was believed, what is now."""
    if details.before is None or not details.called:
        return []
    before, after, last = details.before, details.answer.posterior, details.called[0]
    named = (last.label, last.former or last.label, max(before, key=lambda name: before[name]), details.best)
    return [_Change(name, before.get(name, 0.0), after.get(name, 0.0)) for name in dict.fromkeys(named)]


def _said(details: ImageDetails) -> str:
    """The effect of the newest label, in a sentence; who gave it is nobody else's business."""
    if not details.called:
        return ""
    last = details.called[0]
    back = max(details.called, key=lambda one: one.taken_back)
    if back.taken_back > last.entry:
        return _taken_back(details, back)
    if last.removed:
        return tr("The label {label} was taken out.", label=last.label)
    if not last.learned:
        return tr("Called {label}; it will be learned in a moment.", label=last.label)
    if last.former == last.label:
        return tr("Repeated: it was {label} already, and nothing changes.", label=last.label)
    changed = (
        tr("Corrected: was {former}, is {label}", former=last.former, label=last.label)
        if last.former
        else tr("Learned: this is {label}", label=last.label)
    )
    now = details.answer.posterior.get(last.label, 0.0)
    if details.before is None:
        return tr(
            "{changed}. Belief in {label} is {now} now.", changed=changed, label=last.label, now=rate(now)
        )
    then = details.before.get(last.label, 0.0)
    return tr(
        "{changed}. Belief in {label} went from {then} to {now}.",
        changed=changed,
        label=last.label,
        then=rate(then),
        now=rate(now),
    )


def _taken_back(details: ImageDetails, back: LabelView) -> str:
    """A label that was taken back, and what stands now, in a sentence or two."""
    stands = (
        tr("it is called {label} again", label=details.stands)
        if details.stands
        else tr("it has no label now")
    )
    gone = "".join(tr(" The class {name} had no other image and is gone.", name=name) for name in back.gone)
    return tr("The label {label} was taken back; {stands}.{gone}", label=back.label, stands=stands, gone=gone)


def _strangeness(answer: Prediction) -> str:
    """An image's p-value of novelty, in words."""
    count = round(100 * answer.p_value)
    if answer.p_value < 0.0095:
        told = tr("Fewer than 1 in 100 images of known kinds are as strange as this one.")
    elif answer.strangest:
        told = tr("Of 100 images of known kinds, at most {count} are as strange as this one.", count=count)
    else:
        told = tr(
            "Of 100 images of known kinds, {count} are at least as strange as this one.",
            count=count,
        )
    return told if answer.known else tr("{told} So it is called unknown, whatever its posterior.", told=told)
