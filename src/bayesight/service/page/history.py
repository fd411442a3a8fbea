"""The belief over time, read off the ledger: how often it was right before it was told, priors, evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesight.bayes.rates import rate_interval
from bayesight.language import tr
from bayesight.ledger import Entry, LabelRecord, Ledger, PredictionRecord, UpdateRecord, WithdrawalRecord
from bayesight.ledger.applying import Renames, name_now
from bayesight.report.figures import Line, line_chart
from bayesight.report.figures.axes import QUARTERS, Axis
from bayesight.types import FloatArray

__all__ = ["History", "accuracy_figure", "evidence_figure", "history_of", "prior_figure"]

SHOWN = 2000
"""The newest records of each kind that are read."""
CLASSES = 6
WINDOW = 25


@dataclass(frozen=True)
class History:
    """The record of answers, labels and updates, oldest first.

    Attributes:
        right: for each image that was labelled after it was asked about, whether the answer had been right
            before the label was absorbed (L,); by the label that stands, where it was corrected.
        novelty: of each image asked about (P,), standard deviations of known images.
        log_evidence: of each image asked about (P,), nats.
        unknown: whether each was called unknown (P,).
        priors: probability of each class when each image was asked about (P, K), 0 before a class was known.
        classes: names (K,).
        updates: how many times the belief was updated.
        began: time of the first of these records, UTC, ISO 8601; empty without one.
        ended: of the last.
    """

    right: FloatArray
    novelty: FloatArray
    log_evidence: FloatArray
    unknown: FloatArray
    priors: FloatArray
    classes: tuple[str, ...]
    updates: int
    began: str
    ended: str


def history_of(ledger: Ledger, run: str, classes: Sequence[str]) -> History:
    """The newest part of a run's history.

    Args:
        ledger: where it is kept.
        run: its name.
        classes: names the belief knows now.
    """
    asked = ledger.latest(run, PredictionRecord.kind, limit=SHOWN)[::-1]
    labels = ledger.latest(run, LabelRecord.kind, limit=SHOWN)[::-1]
    updates = ledger.latest(run, UpdateRecord.kind, limit=SHOWN)
    back = ledger.latest(run, WithdrawalRecord.kind, limit=SHOWN)
    gone = {
        label for entry in back if isinstance(entry.record, WithdrawalRecord) for label in entry.record.labels
    }
    labels = [entry for entry in labels if entry.sequence not in gone]
    renames = ledger.renames(run)
    found = [entry.record for entry in asked if isinstance(entry.record, PredictionRecord)]
    times = sorted(entry.at for entry in (*asked, *labels))
    return History(
        right=_right(asked, labels, renames),
        novelty=np.array([p.novelty for p in found]),
        log_evidence=np.array([p.log_evidence for p in found]),
        unknown=np.array([float(not p.known) for p in found]),
        priors=_priors(asked, classes, renames),
        classes=tuple(classes),
        updates=len(updates),
        began=times[0] if times else "",
        ended=times[-1] if times else "",
    )


def accuracy_figure(history: History) -> str:
    """Share of right answers among labelled images: so far with its interval, and dashed the last ones."""
    right, n = history.right, np.arange(1, len(history.right) + 1)
    mean, low, high = rate_interval(np.cumsum(right), n)
    lines = [Line(tr("all so far"), n, mean, low, high)]
    if len(right) >= 2 * WINDOW:
        lately = np.convolve(right, np.ones(WINDOW) / WINDOW, "valid")
        lines.append(Line(tr("the last {count}", count=WINDOW), n[WINDOW - 1 :], lately))
    share = Axis(0, 1.02, tr("right before it was told"), QUARTERS)
    return line_chart(lines, tr("images labelled after they were asked about"), share)


def prior_figure(history: History) -> str:
    """The base rates answers were given with; the classes whose moved most."""
    moved = np.ptp(history.priors, axis=0)
    shown = np.sort(np.lexsort((-history.priors[-1], -moved))[:CLASSES])
    x = np.arange(1, len(history.priors) + 1)
    lines = [Line(history.classes[k], x, history.priors[:, k]) for k in shown]
    return line_chart(lines, tr("images asked about"), tr("prior probability"), named=True)


def evidence_figure(history: History) -> str:
    """Log-evidence of the images asked about, as they came and as a running median."""
    y = history.log_evidence
    x = np.arange(1, len(y) + 1)
    lines = [Line(tr("each image"), x, y)]
    if len(y) >= 2 * WINDOW:
        windows = np.lib.stride_tricks.sliding_window_view(y, WINDOW)
        lines.append(Line(tr("median of {count}", count=WINDOW), x[WINDOW - 1 :], np.median(windows, axis=1)))
    return line_chart(lines, tr("images asked about"), tr("log-evidence (nats)"), named=True)


def _priors(asked: Sequence[Entry], classes: Sequence[str], renames: Renames) -> FloatArray:
    rows = []
    for entry in asked:
        if isinstance(entry.record, PredictionRecord):
            prior = {name_now(renames, name, entry.sequence): p for name, p in entry.record.prior.items()}
            rows.append([prior.get(name, 0.0) for name in classes])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(classes))


def _right(asked: Sequence[Entry], labels: Sequence[Entry], renames: Renames) -> FloatArray:
    """1 where the last answer before an image's first label was right; "unknown" is, of an unknown class.

    The truth is what stands: the last label of the person who gave the first.
    """
    answers: dict[str, list[Entry]] = {}
    for entry in asked:
        if isinstance(entry.record, PredictionRecord):
            answers.setdefault(entry.record.image, []).append(entry)
    first: dict[str, Entry] = {}
    truth: dict[tuple[str, str], str] = {}
    for entry in labels:
        if isinstance(label := entry.record, LabelRecord):
            first.setdefault(label.image, entry)
            truth[label.image, label.person] = name_now(renames, label.label, entry.sequence)
    found = []
    for image, entry in first.items():
        before = [e for e in answers.get(image, ()) if e.sequence < entry.sequence]
        answer, label = before[-1].record if before else None, entry.record
        if isinstance(answer, PredictionRecord) and isinstance(label, LabelRecord):
            told = truth[image, label.person]
            said = {name_now(renames, n, before[-1].sequence): p for n, p in answer.posterior.items()}
            best = max(said, key=lambda name: said[name])
            found.append(best == told if told in said else not answer.known)
    return np.array(found, dtype=np.float64)
