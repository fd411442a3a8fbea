"""The service behind routes and pages: one object a worker, made from a run and a ledger."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from starlette.concurrency import run_in_threadpool

from bayesight.checks import check
from bayesight.data.codecs import quick_png
from bayesight.errors import BayesightError, UnknownName
from bayesight.ledger import (
    Entry,
    LabelRecord,
    Ledger,
    PredictionRecord,
    PriorRecord,
    Receipt,
    WithdrawalOutcome,
)
from bayesight.ledger.records import Features
from bayesight.names import canonical, known_as
from bayesight.run import Run
from bayesight.service.ops.settings import Settings
from bayesight.service.work.batching import Batcher
from bayesight.service.work.belief import TRAINING, BeliefCache, CurrentBelief
from bayesight.service.work.images import Pixels, Upload, is_small, read_uploads
from bayesight.service.work.predicting import PredictionJob, PredictionOutcome, predict_together
from bayesight.service.work.recording import SOON_S, ImageFeatures, Recorder, find_features
from bayesight.service.work.teaching import TeachingJob, TeachingOutcome, teach_together
from bayesight.workflows.infer_prior import InferredPrior, infer
from bayesight.workflows.predict import Readings
from bayesight.workflows.priors import complete_prior, parse_prior

__all__ = ["Correction", "Service"]

log = logging.getLogger("bayesight.service")

IMAGES_AT_ONCE = 64
"""Images of concurrent requests that share a pass; a block of the network is as large."""
LESSONS_AT_ONCE = 500


@dataclass(frozen=True)
class Correction:
    """A label a person gives an image.

    Args:
        label: the class.
        image: digest of an image predicted earlier; empty where ``upload`` brings it.
        upload: the image itself.
    """

    label: str
    image: str = ""
    upload: Upload | None = None


class Service:
    """A run in daily use: it answers, learns, and writes down both.

    One object serves one worker process, its threads and its event loop. Methods that are coroutines may be
    awaited by any number of requests at once.

    Guarantees: ``predict`` and ``current_belief`` answer from a belief that holds every update committed
    before they were called, by whichever worker. When ``teach`` returns, its labels are in the ledger and on
    the disk; once, whatever is repeated with the same key. After ``close`` everything acknowledged is written
    and absorbed.

    Args:
        settings: how it is run.
        ledger: an open one, which ``close`` closes; opened from the settings when left out.

    Raises:
        RunUnreadable, SourceNotFound: no run, or no place for a ledger.
        StorageFailed, LedgerBroken, InvalidInput: as in ``Ledger.open`` and ``ledger.begin``.
    """

    def __init__(self, settings: Settings, ledger: Ledger | None = None) -> None:
        self.settings = settings
        self.run = Run.open(settings.run)
        self.ledger = ledger or Ledger.open(settings.ledger_url)
        self.beliefs = BeliefCache(self.ledger, self.run)
        self.classes = self.beliefs.last.classifier.classes
        self._lock = threading.Lock()
        self.recorder = Recorder(self.ledger, self._lock)
        self._predictor: Batcher[PredictionJob, PredictionOutcome] = Batcher(
            partial(predict_together, self.beliefs, self.recorder, settings.record),
            size=lambda question: len(question.pixels), limit=IMAGES_AT_ONCE, name="predictor",
        )  # fmt: skip
        self._teacher: Batcher[TeachingJob, TeachingOutcome] = Batcher(
            partial(teach_together, self.ledger, self.beliefs, self._lock),
            limit=LESSONS_AT_ONCE, name="teacher",
        )  # fmt: skip
        self._background: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """Finish what was acknowledged, and let go of the ledger."""
        self._predictor.close()
        self._teacher.close()
        self.recorder.close()
        try:
            while self.beliefs.absorb_queued().receipt is not None:
                pass
        except BayesightError as problem:  # it is in the ledger; the next start absorbs it
            log.warning("labels stay queued", extra={"event": "close", "reason": str(problem)})
        self.beliefs.keep()
        self.beliefs.close()
        self.ledger.close()

    async def read(self, uploads: Sequence[Upload]) -> Pixels:
        """Decode image files within the limits.

        Raises:
            InvalidInput: none, too many, or too many pixels.
            SourceUnreadable: a file that is no image.
        """
        most = self.settings.images
        check(0 < len(uploads) <= most, "images", f"got {len(uploads)}", f"1 to {most} in one request")
        work = partial(read_uploads, uploads, self.classes, pixels=self.settings.pixels)
        return work() if is_small(uploads) else await run_in_threadpool(work)

    async def predict(
        self, pixels: Pixels, how: Readings | None = None, *, person: str = ""
    ) -> PredictionOutcome:
        """The four terms for images, from the belief as it is now.

        Args:
            pixels: from ``read``.
            how: prior, repeated readings, level of the unknown; a prior of None is the one of this place.
            person: who asks.

        Raises:
            UnknownName, InvalidInput: a prior that is none.
            Impossible: no class with a positive prior allows an image.
            StorageFailed: the ledger cannot be reached.
        """
        return await self._predictor.ask(PredictionJob(pixels, how or Readings(), person))

    async def current_belief(self) -> CurrentBelief:
        """The belief with everything committed so far.

        Raises:
            StorageFailed: the ledger cannot be reached.
        """
        return await run_in_threadpool(self.beliefs.fresh)

    async def teach(
        self,
        corrections: Sequence[Correction],
        *,
        person: str = "",
        key: str = "",
        new_classes: bool = False,
        second_reading: bool = False,
        wait: bool = True,
    ) -> TeachingOutcome:
        """Take in labels.

        Args:
            corrections: one or more; uploads or images predicted earlier.
            person: who says so.
            key: idempotency key, at most 200 characters with whatever makes it the person's own.
            new_classes: labels that are no class yet are new classes; otherwise they are refused.
            second_reading: they count beside what this person said of the images before.
            wait: absorb them before returning; else shortly afterwards.

        Raises:
            UnknownName: a label that is no class, or an image nobody was told about.
            KeyReused, InvalidInput, SourceUnreadable, StorageFailed: as elsewhere. After a StorageFailed
                repeat with the same key: what was written is not written twice.
        """
        check(len(corrections) > 0, "labels", "none", "at least one")
        names = self.beliefs.last.classifier.classes.names
        corrections = [replace(c, label=known_as(c.label, names) or canonical(c.label)) for c in corrections]
        if not new_classes:
            await self._check_known(corrections)
        labels = await self._labels(corrections, person, second_reading)
        told = {label.image for label in labels}
        if any(map(self.recorder.find, told)):  # first the answer, then what is said of it
            await run_in_threadpool(self.recorder.settle, told)
        taught = await self._teacher.ask(TeachingJob(tuple(labels), key, wait))
        if not taught.absorbed:
            self.absorb_soon()
        return replace(taught, images=tuple(label.image for label in labels))

    async def take_back(self, image: str, *, person: str = "", key: str = "") -> WithdrawalOutcome:
        """Take back the last label a person gave an image; what it had replaced stands again.

        Args:
            image: its digest.
            person: whose label.
            key: idempotency key.

        Raises:
            InvalidInput: no label of theirs stands for it.
            KeyReused, StorageFailed: as elsewhere.
        """
        return await run_in_threadpool(partial(self.beliefs.take_back, image, person=person, key=key))

    async def rename_class(self, old: str, new: str, *, person: str = "", key: str = "") -> Receipt:
        """Call a class something else, here and for every worker.

        Args:
            old: its name.
            new: its name from now on.
            person: who says so.
            key: idempotency key.

        Raises:
            UnknownName: there is no such class.
            InvalidInput: no name, or that of another class.
            KeyReused, StorageFailed: as elsewhere.
        """
        old = known_as(old, self.beliefs.last.classifier.classes.names) or old
        rename = partial(self.beliefs.rename, old, canonical(new), person=person, key=key)
        return await run_in_threadpool(rename)

    def absorb_soon(self) -> None:
        """Absorb what is queued, in the background; needs a running event loop."""
        task = asyncio.get_running_loop().create_task(self._absorb())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def image(self, digest: str) -> bytes:
        """The PNG file of an image predicted or labelled earlier, of the run's size.

        Raises:
            UnknownName: it was never seen, not kept, or erased.
        """
        return (await self.find_image(digest)).pixels

    async def find_image(self, digest: str) -> ImageFeatures:
        """An image predicted or labelled earlier, by whichever worker, also while it is being written down.

        Raises:
            UnknownName: it was never seen, not kept, or erased.
        """
        for patience_s in (0.0, 2 * SOON_S, 4 * SOON_S):  # another worker may be about to write it
            await asyncio.sleep(patience_s)
            if (waiting := self.recorder.find(digest)) is not None:
                return ImageFeatures(digest, waiting.features.numpy(), quick_png(waiting.pixels))
            found = await run_in_threadpool(find_features, self.ledger, self.beliefs.name, digest)
            if found is not None:
                return found
        raise UnknownName("image seen here", digest[:40], [])

    async def state_prior(
        self,
        prior: str | Mapping[str, float | str],
        *,
        person: str = "",
        source: str = "stated",
        detail: Any = None,
    ) -> Receipt:
        """Say how common each class is where this service is used; every worker goes by it from now on.

        Args:
            prior: shares by class, those left out sharing the rest; or "uniform"; or "training", which goes
                back to the shares absorbed so far.
            person: who says so.
            source: "stated" or "inferred".
            detail: what explains it; plain JSON.

        Raises:
            UnknownName, InvalidInput: a class that is not known, or no prior.
            StorageFailed: it could not be written.
        """
        classifier = (await self.current_belief()).classifier
        names, training = classifier.classes.names, classifier.prior
        if isinstance(prior, str):
            check(
                prior in ("uniform", TRAINING), "prior", repr(prior[:40]), "'uniform', 'training' or shares"
            )
            shares = parse_prior(prior, names, training)
        else:
            shares = complete_prior(prior, names, training)
        told = dict(detail or {}) | ({"follows": TRAINING} if prior == TRAINING else {})
        record = PriorRecord(
            self.beliefs.name, dict(zip(names, shares.tolist(), strict=True)), source, told, person
        )
        return await run_in_threadpool(self._append, [record])

    async def infer_prior(
        self, pixels: Pixels | None, *, recent: int = 0, level: float = 0.9, seed: int = 0
    ) -> InferredPrior:
        """Base rates that unlabelled images speak for.

        Args:
            pixels: the images; None takes those predicted last.
            recent: how many of those.
            level: share of the posterior inside each interval.
            seed: of resampling and draws.

        Raises:
            InvalidInput: fewer than two images, or a level outside (0, 1).
        """
        check(0 < level < 1, "level", f"got {level:g}", "a share strictly between 0 and 1")
        if pixels is not None:
            answer = await self._predictor.ask(PredictionJob(pixels, None))
            classifier, features = answer.current.classifier, answer.features
        else:
            classifier = (await self.current_belief()).classifier
            found = await run_in_threadpool(self.recent, recent)
            records = [entry.record for entry in found if isinstance(entry.record, PredictionRecord)]
            rows = [record.features for record in records if record.features is not None]
            features = torch.from_numpy(np.array(rows, np.float32).reshape(-1, classifier.head.dimension))
        check(len(features) >= 2, "images", f"{len(features)}", "at least 2; some hundreds tell more")
        return await run_in_threadpool(partial(infer, classifier, features, level=level, seed=seed))

    def recent(self, limit: int) -> list[Entry]:
        """The newest predictions, newest first; those answered in the last moment may be missing."""
        return self.ledger.latest(self.beliefs.name, PredictionRecord.kind, limit=limit)

    def _append(self, records: Sequence[PriorRecord]) -> Receipt:
        with self._lock:
            return self.ledger.append(records)

    async def _absorb(self) -> None:
        try:
            await self._teacher.ask(TeachingJob(()))
        except BayesightError as problem:
            log.error("labels stay queued", extra={"event": "absorb", "reason": str(problem)})

    async def _check_known(self, corrections: Sequence[Correction]) -> None:
        asked = {correction.label for correction in corrections}
        if asked <= set(self.beliefs.last.classifier.classes.names):
            return
        known = (await self.current_belief()).classifier.classes.names
        for label in sorted(asked - set(known)):
            raise UnknownName("class", label[:60], known)

    async def _labels(
        self, corrections: Sequence[Correction], person: str, second_reading: bool
    ) -> list[LabelRecord]:
        """Labels with the features of their images, which are computed or looked up."""
        uploads = [c.upload for c in corrections if c.upload is not None]
        brought: list[tuple[str, Features, bytes]] = []
        if uploads:
            pixels = await self.read(uploads)
            answer = await self._predictor.ask(PredictionJob(pixels, None))
            images = map(quick_png, pixels.images)
            brought = list(zip(pixels.digests, answer.features.numpy(), images, strict=True))
        labels = []
        for correction in corrections:
            if correction.upload is not None:
                digest, features, png = brought.pop(0)
            else:
                digest = correction.image
                known = await self.find_image(digest)
                features, png = known.features, known.pixels
            labels.append(
                LabelRecord(
                    self.beliefs.name, digest, correction.label, person, features, png, second_reading
                )
            )
        return labels
