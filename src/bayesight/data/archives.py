"""One reading pass over a source of images, whatever holds them; nothing is unpacked to disk.

A source is a folder, a ``.tar`` (plain, gzip, bzip2 or xz), a ``.zip``, or IDX data. What a file is, its
first bytes say, not its name. An image's class is the name of the folder it lies in, so top folders may be
nested as deep as they like. What cannot be an image of the set (a link, a name that leads out of the
archive, an encrypted entry) is quarantined with its reason; what was never meant as one (hidden files,
``__MACOSX``, texts) is ignored and counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bayesight.checks import existing_path
from bayesight.data.folders import folder_members
from bayesight.data.formats import Known, recognise
from bayesight.data.idx import beside, holds_idx
from bayesight.data.members import (
    ENCODED_LIMIT_BYTES,
    FOLDER,
    IGNORED,
    NO_CLASS,
    Content,
    Ignored,
    Judge,
    Member,
    Position,
    Quarantined,
    Unreadable,
    must_sniff,
    printable,
    printable_all,
    with_slashes,
)
from bayesight.data.multipart import refuse_part
from bayesight.data.streams import ByteStream
from bayesight.data.tarwalk import checksum_holds, walk
from bayesight.data.zips import zip_members
from bayesight.errors import InvalidInput, SourceUnreadable

__all__ = ["Batch", "Source", "batches", "find_source", "holds_images"]

_DOT = ord(".")
_BATCH_MEMBERS = 8192
_BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Source:
    """Where images come from.

    Args:
        path: the absolute path.
        kind: what holds them.
        labels: the labels of an IDX file; None when it has none or they are not wanted.
    """

    path: Path
    kind: Literal["folder", "tar", "zip", "idx"]
    labels: Path | None = None


@dataclass
class Batch:
    """Some members of a source, in its order: parallel lists of names, classes and encoded images.

    ``classes`` holds None where a member lies in no folder. ``backslashes`` counts names whose folders were
    separated by backslashes. ``fraction`` is the share of the source read so
    far, in [0, 1].
    """

    paths: list[str] = field(default_factory=list)
    classes: list[str | None] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    ignored: list[Ignored] = field(default_factory=list)
    backslashes: int = 0
    fraction: float = 0.0


def find_source(
    path: str | os.PathLike[str], *, labels: str | os.PathLike[str] | None = None, labelled: bool = True
) -> Source:
    """Say what kind of source a path is.

    Args:
        path: a folder or file.
        labels: the labels of an IDX file that are not beside it under MNIST's name.
        labelled: False when labels are not needed.

    Raises:
        SourceNotFound: nothing is there.
        SourceUnreadable: neither a folder nor an archive nor IDX data; labels wanted and not found.
    """
    full = existing_path(path)
    refuse_part(full)
    if full.is_dir():
        found = _idx_in(full)
        if found is None:
            _refuse_labels(full, labels)
            return Source(full, "folder")
        full = found
    elif not full.is_file():
        raise SourceUnreadable(f"{full} is neither a file nor a folder; expected an archive of images")
    kind = _kind_of(full)
    if kind != "idx":
        _refuse_labels(full, labels)
        return Source(full, kind)
    if not labelled:
        return Source(full, kind)
    known = existing_path(labels) if labels is not None else beside(full)
    if known is None:
        expected = full.name.replace("images", "labels").replace("idx3", "idx1")
        raise SourceUnreadable(
            f"{full} is IDX data without labels: no {expected} lies beside it; "
            "name its labels with --labels-file"
        )
    return Source(full, kind, known)


def holds_images(path: Path) -> bool:
    """Whether a path is a folder, an archive or IDX data, by its first bytes, and no image or other file.

    A single file packed with gzip counts as an archive: what it holds, only reading it shows.
    """
    if path.is_dir() or not path.is_file():
        return path.is_dir()
    with path.open("rb") as file:
        start = file.read(512)
    packed = start.startswith(
        (b"PK\3\4", b"PK\5\6", b"PK\7\x08", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", *_UNSUPPORTED)
    )
    return packed or holds_idx(start) or (len(start) == 512 and checksum_holds(start))


def batches(source: Source, *, labelled: bool = True) -> Iterator[Batch]:
    """The members of a folder, tar or zip source, in one pass.

    Args:
        source: from ``find_source``; IDX data are read by ``idx.idx_batches`` instead.
        labelled: False takes in images that lie in no folder.

    Yields:
        Batches of at most 8,192 images or about 8 MiB; memory is bounded by one batch and one member.

    Raises:
        SourceUnreadable: the archive is cut off or damaged, or cannot be read.
    """
    position = Position()
    judge = Judge(labelled=labelled)
    if source.kind == "folder":
        yield from _pack(folder_members(source.path), position, judge)
    elif source.kind == "zip":
        yield from _pack(zip_members(source.path, position), position, judge)
    else:
        with ByteStream(source.path) as stream:
            members = walk(stream, ENCODED_LIMIT_BYTES, str(source.path))
            yield from _pack(members, stream, judge)
            for _ in stream:  # what follows is padding, but only its end shows that nothing is missing
                pass


def _pack(members: Iterable[Member], position: Position | ByteStream, judge: Judge) -> Iterator[Batch]:
    """Sort members into batches of images, quarantined and ignored ones."""
    batch, names, held = Batch(), list[bytes](), 0
    for name, what, size, content in members:
        if b"\\" in name:
            name, batch.backslashes = with_slashes(name), batch.backslashes + 1
        cut = name.rfind(b"/") + 1
        class_, verdict = judge.place(name[:cut])
        plain = verdict is None and what is None and name[-4:] == b".png" and name[cut] != _DOT
        if plain and type(content) is bytes:  # nearly all of them, at the cost of this line
            blob = content
        else:
            verdict = judge(name, what, size)
            if verdict is None:
                blob, verdict = _content(name, content)
            elif verdict == NO_CLASS and must_sniff(name) and _content(name, content)[1] is not None:
                verdict = IGNORED
            if verdict == IGNORED:
                batch.ignored.append(judge.ignored(name, class_))
            elif verdict is not None and verdict != FOLDER:
                batch.quarantined.append(Quarantined(printable(name), verdict, class_))
            if verdict is not None:
                continue
        names.append(name)
        batch.classes.append(class_)
        batch.blobs.append(blob)
        held += size
        if held >= _BATCH_BYTES or len(names) >= _BATCH_MEMBERS:
            batch.paths, batch.fraction = printable_all(names), position.fraction
            yield batch
            batch, names, held = Batch(), [], 0
    batch.paths, batch.fraction = printable_all(names), 1.0
    yield batch


def _content(name: bytes, content: Content) -> tuple[bytes, str | None]:
    """(the bytes of a member, why it is no image after all)."""
    try:
        blob = content if isinstance(content, bytes) else content() if content else b""
    except Unreadable as error:
        return b"", str(error)
    if not must_sniff(name):
        return blob, None
    found = recognise(blob, name)
    if isinstance(found, Known):
        return b"", found.reason
    return blob, None if found else IGNORED


_ZIP_STARTS = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
_UNSUPPORTED = {b"\x28\xb5\x2f\xfd": "Zstandard", b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR"}


def _kind_of(path: Path) -> Literal["tar", "zip", "idx"]:
    """What a file holds, by its first bytes."""
    with ByteStream(path) as stream:
        start = next(stream, b"")
        if stream.compression is None and start.startswith(_ZIP_STARTS):
            return "zip"
    if start[:4] in _UNSUPPORTED:
        raise SourceUnreadable(
            f"{path} is packed with {_UNSUPPORTED[start[:4]]}, which is not read; "
            "expected a folder, .tar, .tar.gz, .tar.xz, .tar.bz2, .zip or IDX .gz: pack it again"
        )
    return "idx" if holds_idx(start) else "tar"


def _idx_in(folder: Path) -> Path | None:
    """The one IDX file of images in a folder that holds nothing else to read; None for a folder of images."""
    names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    found = {name.removesuffix(".gz"): name for name in names if _IDX_NAME.fullmatch(name)}
    if not found or any((folder / name).is_dir() for name in names):
        return None
    if len(found) > 1:
        raise SourceUnreadable(
            f"{folder} holds {len(found)} IDX files of images ({', '.join(found.values())}); "
            "expected one: name the file you mean"
        )
    return folder / next(iter(found.values()))


_IDX_NAME = re.compile(r".*images.*idx[34].*", re.IGNORECASE)


def _refuse_labels(source: Path, labels: object) -> None:
    """Labels in a file of their own belong to IDX data only."""
    if labels is not None:
        raise InvalidInput(
            f"{source} is no IDX file of images; expected one beside a file of labels ({labels}). "
            "In folders and archives the name of its folder is an image's label: leave --labels-file out"
        )
