"""Pictures of known images: from the ledger, or from the sources that whoever serves the run has named."""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from bayesight.data import Store, open_store
from bayesight.errors import BayesightError
from bayesight.ledger import LabelRecord, Ledger, PredictionRecord
from bayesight.report.pictures import data_uri
from bayesight.run import Run

__all__ = ["Album", "as_uri"]

log = logging.getLogger("bayesight.service")


class Album:
    """Finds the picture of an image by its digest.

    Args:
        ledger: looked into first.
        run: its name in the ledger.
        folder: the run.
        sources: where training images may be looked for. A run, which may be a stranger's, names its sources
            too, but what it names is not opened.
    """

    def __init__(self, ledger: Ledger, run: str, folder: Run, sources: Sequence[str] = ()) -> None:
        self._ledger, self._run, self._folder, self._sources = ledger, run, folder, sources

    @property
    def has_sources(self) -> bool:
        """Training images can be shown."""
        return bool(self._sources)

    def picture(self, image: str) -> str:
        """The image as a ``data:`` URI; empty where it is nowhere to be had.

        Args:
            image: 32 hexadecimal digits.
        """
        for entry in self._ledger.about(self._run, image, limit=5):
            record = entry.record
            if isinstance(record, PredictionRecord | LabelRecord) and record.pixels:
                return as_uri(record.pixels)
        wanted = np.frombuffer(bytes.fromhex(image), np.uint8)
        for store in self._stores:
            rows = np.flatnonzero((np.asarray(store.digests) == wanted).all(axis=1))
            if rows.size:
                return data_uri(np.asarray(store.images[int(rows[0])]))
        return ""

    @cached_property
    def _stores(self) -> list[Store]:
        """The named sources that can still be read; none of them is needed for anything else."""
        found = []
        classes = self._folder.classes()
        for source in self._sources:
            try:
                found.append(open_store(source, **classes.reading, labelled=False))
            except BayesightError as problem:
                log.info("training images are not shown", extra={"event": "album", "reason": str(problem)})
        return found


def as_uri(png: bytes) -> str:
    """A PNG file as a ``data:`` URI; empty for none."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}" if png else ""
