"""A job on parts: its tasks computed and kept, with its progress and the parts that failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from bayesight.data.parts import PartsManifest, SourcePart
from bayesight.errors import SourceUnreadable, StorageFailed
from bayesight.files import write_atomic
from bayesight.language import marked, retold, tr

__all__ = ["PartsJob", "ShownParts", "keep_hashes", "kept"]

Value = TypeVar("Value")


class ShownParts(Protocol):
    """Told how far a job is: parts done, of how many, and in words."""

    def __call__(self, done: int, total: int | None, words: str = "") -> None:
        """Show it."""


@dataclass
class PartsJob(Generic[Value]):
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
        return "\n".join(
            [
                *lines,
                *(
                    tr("missing: {part}: {reason}", part=name, reason=retold(why))
                    for name, why in self.failures.items()
                ),
            ]
        )

    @property
    def _rate(self) -> float:
        return self._fresh / max(self.seconds, 1e-9)

    def _tell(self) -> None:
        if self.progress is not None:
            failed = f", {len(self.failures):,} failed" if self.failures else ""
            ended = self.done + self.resumed + len(self.failures)
            self.progress(ended, self.total, f"{self.images:,} images, {self._rate:,.0f}/s{failed}")


def kept(
    paths: Sequence[Path], compute: Callable[[list[int]], Iterator[tuple[int, bytes | None]]]
) -> Iterator[tuple[int, int | None]]:
    """Results kept in files: those that are there, and then those that are computed, as they end.

    Args:
        paths: the file of each task.
        compute: gives the bytes of each of some tasks, None where one failed.

    Yields:
        The place of a task, and how many bytes came now; None where its file was there. Those that failed
        are left out.
    """
    missing = [at for at, path in enumerate(paths) if not path.exists()]
    gone = set(missing)
    yield from ((at, None) for at in range(len(paths)) if at not in gone)
    for at, content in compute(missing):
        if content is not None:
            write_atomic(paths[at], content)
            yield at, len(content)


def keep_hashes(path: Path, manifest: PartsManifest, hashes: dict[str, str]) -> None:
    """Write hashes that have become known into the manifest; one that may not be written stays as it is."""
    known = manifest.with_hashes({key: found for key, found in hashes.items() if found})
    if known != manifest:
        with suppress(StorageFailed):
            known.save(path)
