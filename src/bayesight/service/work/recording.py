"""Predictions on their way into the ledger: written together, soon after they were answered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from torch import Tensor

from bayesight.data.codecs import quick_png
from bayesight.errors import BayesightError
from bayesight.ledger import LabelRecord, Ledger, PredictionRecord
from bayesight.ledger.records import Features
from bayesight.workflows.predict import Prediction

__all__ = ["ImageFeatures", "PendingPrediction", "Recorder", "find_features"]

log = logging.getLogger("bayesight.service")

SOON_S = 0.05
"""How long an answer may wait for others before it is written."""
PATIENCE_S = 1.0
"""How long labels wait for the answers they correct to be written first."""
MOST = 20_000
"""Answers kept while the ledger cannot be written; older ones are dropped then, and counted."""


@dataclass(frozen=True)
class ImageFeatures:
    """An image and its evidence features.

    Args:
        image: 32 hexadecimal digits.
        features: (D,) float32.
        pixels: a PNG file; empty where it was not kept.
    """

    image: str
    features: Features
    pixels: bytes


@dataclass(frozen=True)
class PendingPrediction:
    """One answer, as it was given.

    Args:
        run: name of the run.
        belief: digest of the belief that answered.
        image: digest of the image.
        prediction: what was said.
        person: who asked.
        features: (D,) of the image.
        pixels: (C, H, W) uint8.
    """

    run: str
    belief: str
    image: str
    prediction: Prediction
    person: str
    features: Tensor
    pixels: Tensor

    def record(self) -> PredictionRecord:
        """The record for the ledger."""
        said = self.prediction
        names = ("prediction", "prior", "log_likelihood", "log_evidence", "posterior", "novelty", "known")
        terms = {name: getattr(said, name) for name in names}
        return PredictionRecord(
            run=self.run, belief=self.belief, image=self.image, person=self.person, **terms,
            features=self.features.numpy(), pixels=quick_png(self.pixels),
        )  # fmt: skip


class Recorder:
    """Writes predictions in groups, in a thread of its own, in the order they were answered.

    Guarantees: ``write`` returns when they are in the ledger. What ``soon`` was given is written within a
    tenth of a second while the ledger can be written, and before ``close`` returns; a process that is killed
    may lose that last tenth of a second of predictions (never a label), and a ledger that stays out of reach
    the oldest beyond ``MOST``, which ``dropped`` counts.

    Args:
        ledger: where to.
        lock: held while writing, so that threads of one process do not meet in the database.
    """

    def __init__(self, ledger: Ledger, lock: threading.Lock) -> None:
        self._ledger, self._lock = ledger, lock
        self._pending: list[PendingPrediction] = []
        self._writing: list[PendingPrediction] = []
        self._changed = threading.Condition()
        self._closed = False
        self.written, self.dropped = 0, 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def soon(self, answers: Sequence[PendingPrediction]) -> None:
        """Write these shortly."""
        with self._changed:
            self._pending += answers
            surplus = len(self._pending) - MOST
            if surplus > 0:
                del self._pending[:surplus]
                self.dropped += surplus
            self._changed.notify_all()

    def write(self, answers: Sequence[PendingPrediction]) -> None:
        """Write these now.

        Raises:
            StorageFailed: they could not be written.
        """
        records = [answer.record() for answer in answers]
        with self._lock:
            self._ledger.append(records)
        self.written += len(answers)

    def find(self, image: str) -> PendingPrediction | None:
        """The newest answer about an image that may not be in the ledger yet."""
        with self._changed:
            both = (*self._writing, *self._pending)
        return next((answer for answer in reversed(both) if answer.image == image), None)

    def settle(self, images: Collection[str]) -> None:
        """Return when no answer about these images is on its way any more, or after ``PATIENCE_S``."""
        with self._changed:
            self._changed.wait_for(lambda: not any(map(self.find, images)), timeout=PATIENCE_S)

    @property
    def waiting(self) -> int:
        """The number of answers not in the ledger yet."""
        return len(self._pending) + len(self._writing)

    def close(self) -> None:
        """Write what is left, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pending and not self._closed:
                    self._changed.wait()
                if not self._pending:
                    return
                closed = self._closed
            if not closed:
                time.sleep(SOON_S)
            with self._changed:
                self._writing, self._pending = self._pending[:1000], self._pending[1000:]
            if not self._try() and closed:
                return

    def _try(self) -> bool:
        try:
            self.write(self._writing)
        except BayesightError as problem:
            log.error("predictions are not recorded", extra={"event": "record", "reason": str(problem)})
            with self._changed:
                self._pending = self._writing + self._pending
                self._writing = []
                self._changed.wait_for(lambda: self._closed, timeout=1.0)
            return False
        with self._changed:
            self._writing = []
            self._changed.notify_all()
        return True


def find_features(ledger: Ledger, run: str, image: str) -> ImageFeatures | None:
    """An image in a ledger, with its features; None where none were kept, or they were erased.

    Args:
        ledger: where predictions and labels are kept.
        run: its name.
        image: 32 hexadecimal digits.
    """
    for entry in ledger.about(run, image):
        record = entry.record
        if (
            isinstance(record, PredictionRecord | LabelRecord)
            and record.features is not None
            and len(record.features)
        ):
            return ImageFeatures(image, record.features, record.pixels)
    return None
