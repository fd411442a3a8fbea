"""All that jobs on parts share: a part opened where its task is done, results kept, progress, what failed.

Nothing of a part stays on the disk of the machine where its task is done.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data.batches import Examples
from bayesight.data.parts import PartsManifest, SourcePart, local_copy, shard_labels
from bayesight.data.sources import digest_of
from bayesight.data.store import Store, open_store
from bayesight.errors import SourceUnreadable, StorageFailed
from bayesight.files import write_atomic
from bayesight.language import marked, retold, tr
from bayesight.workflows.parts.engine import Work, computed
from bayesight.workflows.sources import LabelledImages, SourceOptions, read_labelled, read_unlabelled


class ShownParts(Protocol):
    """Told how far a job is: parts done, of how many, and in words."""

    def __call__(self, done: int, total: int | None, words: str = "") -> None:
        """Show it."""


@dataclass
class PartsJob:
    """Parts that are done, and those that are not.

    Args:
        total: how many parts there are.
        progress: told after each.
        done: parts computed now.
        resumed: parts computed before, and kept.
        images: images of all these.
        sent: bytes that came back from the parts computed now.
        failures: name of a part -> why it is missing.
    """

    total: int
    progress: ShownParts | None = None
    done: int = 0
    resumed: int = 0
    images: int = 0
    sent: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    _fresh: int = 0

    def take(self, images: int, sent: int | None) -> None:
        """Count a part that is done; ``sent`` is None where it had been kept."""
        self.images += images
        if sent is None:
            self.resumed += 1
        else:
            self.done, self.sent, self._fresh = self.done + 1, self.sent + sent, self._fresh + images
        self._tell()

    def fail(self, part: SourcePart, reason: str) -> None:
        """Count a part that is given up."""
        self.failures[part.name] = reason
        self._tell()

    @property
    def seconds(self) -> float:
        """Since the job began."""
        return time.perf_counter() - self.began

    def require_any(self) -> None:
        """Refuse a job of which nothing came.

        Raises:
            SourceUnreadable: every part failed; the first reason is given.
        """
        if self.failures and not self.done and not self.resumed:
            first, reason = next(iter(self.failures.items()))
            raise SourceUnreadable(
                f"none of the {self.total:,} parts could be read; the first, {first}: {reason}"
            )

    def as_dict(self) -> dict[str, Any]:
        """The record of ``--json``."""
        return {
            "total": self.total,
            "done": self.done,
            "resumed": self.resumed,
            "missing": [{"part": name, "reason": reason} for name, reason in self.failures.items()],
            "images": self.images,
            "images_a_second": self._rate,
            "bytes_sent_a_part": self.sent / self.done if self.done else None,
            "seconds": self.seconds,
        }

    def text(self) -> str:
        """A line for people, and one for each part that is missing."""
        more = marked(f", {self.resumed:,} of them kept from before") if self.resumed else ""
        more = marked(f"{more}; {self._rate:,.0f} images a second") if self._rate else more
        ended = f"{self.done + self.resumed:,}"
        lines = [marked(f"{ended} of {self.total:,} parts in {self.seconds:.1f} s{more}")]
        failures = self.failures.items()
        lines += [tr("missing: {part}: {reason}", part=name, reason=retold(why)) for name, why in failures]
        return "\n".join(lines)

    @property
    def _rate(self) -> float:
        return self._fresh / max(self.seconds, 1e-9)

    def _tell(self) -> None:
        if self.progress is not None:
            failed = f", {len(self.failures):,} failed" if self.failures else ""
            ended = self.done + self.resumed + len(self.failures)
            self.progress(ended, self.total, f"{self.images:,} images, {self._rate:,.0f}/s{failed}")


@dataclass(frozen=True)
class _Tasks(Sequence[Any]):
    """Tasks that are made as they are asked for: what few of them hold is in memory at once."""

    make: Callable[[int], Any]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, at: Any) -> Any:
        return self.make(self.places[at])


def computed_files(
    work: Work,
    context: Any,
    make: Callable[[int], Any],
    paths: Sequence[Path],
    cluster: str | None,
    fail: Callable[[int, str], None],
) -> Iterator[tuple[int, int | None]]:
    """Results kept in files: those that are there, and then those that are computed, as they end.

    Args:
        work: as in ``computed``; gives the bytes of the file.
        context: likewise.
        make: the task of a place.
        paths: the file of each task.
        cluster: as in ``computed``.
        fail: told the place of a task that is given up, and why.

    Yields:
        The place of a task, and how many bytes came now; None where its file was there. Those that failed
        are left out.
    """
    missing = [at for at, path in enumerate(paths) if not path.exists()]
    yield from ((at, None) for at in sorted({*range(len(paths))} - {*missing}))
    for outcome in computed(work, context, _Tasks(make, missing), cluster):
        at = missing[outcome.task]
        if outcome.reason:
            fail(at, outcome.reason)
        else:
            write_atomic(paths[at], outcome.value)
            yield at, len(outcome.value)


def keep_hashes(path: Path, manifest: PartsManifest, hashes: dict[str, str]) -> None:
    """Write hashes that have become known into the manifest; one that may not be written stays as it is."""
    known = manifest.with_hashes({key: found for key, found in hashes.items() if found})
    if known != manifest:
        with suppress(StorageFailed):
            known.save(path)


_CACHE = "BAYESIGHT_CACHE"


@contextmanager
def labelled_part(
    part: SourcePart,
    classes: Classes,
    options: SourceOptions,
    *,
    new_classes: bool = False,
    parts: Sequence[str] = ("train",),
) -> Iterator[tuple[LabelledImages, str]]:
    """The labelled images of a part, and the hash of its bytes; empty for a folder.

    Args:
        part: where they are.
        classes: the run's.
        options: how it is read where it does not show.
        new_classes: as in ``read_labelled``.
        parts: likewise.

    Raises:
        SourceNotFound, SourceUnreadable, InvalidInput: as ``read_labelled`` and ``local_copy``.
    """
    with opened_part(part) as (path, folder, found):
        yield (
            read_labelled(
                path,
                classes,
                new_classes=new_classes,
                options=_options(part, path, folder, options, classes.names),
                parts=parts,
            ),
            found,
        )


@contextmanager
def unlabelled_part(
    part: SourcePart, classes: Classes, options: SourceOptions
) -> Iterator[tuple[Examples, Store]]:
    """The images of a part whose classes do not matter; the arguments are those of ``labelled_part``."""
    with opened_part(part) as (path, _, _found):
        yield read_unlabelled(path, classes, container=replace(options.container, share=part.share))


@contextmanager
def plain_part(part: SourcePart, options: SourceOptions) -> Iterator[tuple[Store, str]]:
    """A part as it is, for no run, and the hash of its bytes."""
    with opened_part(part) as (path, folder, found):
        asked = _options(part, path, folder, options, ())
        yield open_store(path, **asked.reading), found


@contextmanager
def opened_part(part: SourcePart) -> Iterator[tuple[Path, Path, str]]:
    """A path where a part can be read, a folder for what is made of it, and the hash of its bytes."""
    with tempfile.TemporaryDirectory(prefix="bayesight-store-") as folder, local_copy(part) as path:
        before = os.environ.get(_CACHE)
        os.environ[_CACHE] = folder
        try:
            found = digest_of(path) if path.is_file() else ""
            if part.hash is not None and found != part.hash:
                raise SourceUnreadable(
                    f"{part.url} has changed since its hash was taken; write the manifest anew."
                )
            yield path, Path(folder), found
        finally:
            os.environ.pop(_CACHE)
            if before is not None:
                os.environ[_CACHE] = before


def _options(
    part: SourcePart, path: Path, folder: Path, options: SourceOptions, known: Sequence[str]
) -> SourceOptions:
    """The options for a part: its share, and of a shard of WebDataset the labels beside its images."""
    asked = replace(options, container=replace(options.container, share=part.share))
    if not path.is_file() or options.layout.labels_from is not None:
        return asked
    labels = {
        name: label for name, label in shard_labels(path).items() if asked.container.shares(name.encode())
    }
    if not labels:
        return asked
    table = folder / "labels.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *labels.items()])
    layout = replace(options.layout, labels_from=f"{table}:label")
    names = set(labels.values())
    named = not known or options.numbers is not None or any(name.isdecimal() for name in known)
    positions = not named and all(name.isascii() and name.isdecimal() for name in names)
    beyond = sorted(int(name) for name in names if int(name) >= len(known)) if positions else []
    came = f"the label {beyond[0]}" if beyond else ""
    mend = "--by-name takes numbers for names."
    check(not beyond, part.url, came, f"places in the run's order, 0 to {len(known) - 1}", mend)
    return replace(asked, layout=layout, numbers="positions" if positions else options.numbers)
