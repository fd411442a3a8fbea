"""The manifest of a store: all that is known of its images beside the arrays, kept as ``manifest.json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from bayesight.data.layout import EmptyClass
from bayesight.data.members import Quarantined, Remarks, SkippedFiles
from bayesight.frame import EIGHT_BIT, Fit, Frame, Levels, Treatment
from bayesight.types import ImageArray, IntArray

FORMAT = 6
"""Version of the files of a store."""
_FILE = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """The contents of a store beside its arrays, and where they came from.

    Args:
        source: absolute path of the folder or archive.
        kind: "folder", "tar", "zip", "idx" or "text"; IDX data number their classes, the others name them.
        classes: names in the order of the labels: sorted, as text.
        counts: images of each class.
        shape: (H, W) or (H, W, 3) of one image, (1, T) of a text.
        mode: "L" (grey), "RGB" or "text".
        content_hash: the same for the same images under the same class indices, whatever held them.
        choice: how size, mode and levels were chosen, one sentence.
        format: version of the layout on disk.
        parts: images of each part of the source (see ``layout.PARTS``); empty where it has none.
        notes: which folders were taken for what, in sentences, where that needs saying.
        lost: folders among those of the classes in which no image could be read.
        quarantined: members not taken in, each with its reason.
        passed: files that were passed over because they are no images, by kind and class.
        levels: the values of the images that became 0 and 255.
        fit: how images of another shape were brought to this one.
        treatment: what was done to the images, in counts.
        container: what was noticed of the folder or archive itself, in counts.
    """

    source: str
    kind: str
    classes: tuple[str, ...]
    counts: dict[str, int]
    shape: tuple[int, ...]
    mode: str
    content_hash: str
    choice: str
    format: int = FORMAT
    parts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lost: tuple[EmptyClass, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    passed: tuple[SkippedFiles, ...] = ()
    levels: Levels = EIGHT_BIT
    fit: Fit = "crop"
    treatment: Treatment = field(default_factory=Treatment)
    container: Remarks = field(default_factory=Remarks)

    @property
    def ignored(self) -> int:
        """Files that were passed over because they are no images."""
        return sum(kind.files for kind in self.passed)

    @property
    def fitted(self) -> int:
        """Images that had another size or mode, and were scaled or converted."""
        return self.treatment.fitted

    @property
    def frame(self) -> Frame:
        """The size, mode and levels all images were brought to."""
        return Frame(self.shape[0], self.shape[1], self.mode, self.levels, self.fit)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a store.

        Raises:
            OSError: there is none, or one of the store's files is missing.
            ValueError, KeyError, TypeError, AttributeError: it is another format's, or a file was cut off.
        """
        document = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        if any((folder / name).stat().st_size != size for name, size in document.pop("file_bytes").items()):
            raise ValueError("a file has another size than when it was written")
        for name, kind in (("quarantined", Quarantined), ("lost", EmptyClass), ("passed", SkippedFiles)):
            document[name] = tuple(kind(**entry) for entry in document[name])
        for name in ("classes", "shape", "levels", "notes"):
            document[name] = tuple(document[name])
        document["treatment"] = Treatment(**document["treatment"])
        document["container"] = Remarks(**document["container"])
        found = cls(**document)
        if found.format != FORMAT:
            raise ValueError(f"a store of format {found.format}; expected {FORMAT}")
        return found

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``, with the sizes of the files beside it."""
        sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        # A byte of the path that is not UTF-8 is written as JSON escapes it.
        with (folder / _FILE).open("w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump({**asdict(self), "file_bytes": sizes}, file, ensure_ascii=False, indent=1)


def digests_of(contents: Iterable[bytes | memoryview]) -> ImageArray:
    """uint8 (N, 16), the BLAKE2b-128 of each content; equal rows mean equal contents."""
    digest = hashlib.blake2b
    each = [digest(content, digest_size=16).digest() for content in contents]
    return np.frombuffer(b"".join(each), np.uint8).reshape(-1, 16)


def content_hash(frame: Frame, labels: IntArray, digests: ImageArray, parts: ImageArray) -> str:
    """A hash of what a store holds, the same for the same images with the same class indices and parts.

    Args:
        frame: size and mode.
        labels: ``(N,)`` in canonical order.
        digests: ``(N, 16)`` likewise.
        parts: ``(N,)`` likewise.
    """
    known = hashlib.blake2b(repr(frame.shape).encode(), digest_size=32)
    known.update(labels.astype("<i8").tobytes())
    known.update(digests.tobytes())
    if parts.any():
        known.update(parts.tobytes())
    return known.hexdigest()
