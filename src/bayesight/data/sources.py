"""Sources of images: a folder, a ``.tar`` (plain, gzip, bzip2 or xz), a ``.zip``, or IDX data.

The first bytes of a file say what it is, not its name; a zip file may have a program in front of it. Only the
parts of an archive that was cut into several files are known by theirs. Whether a source still holds the
bytes a store was made of is told by its times, or else by reading.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from bayesight.checks import existing_path
from bayesight.data.folder import file_stamp, folder_signature
from bayesight.data.idx import beside, holds_idx
from bayesight.data.streams import ByteStream, compression_of
from bayesight.data.tar import checksum_holds
from bayesight.data.zip import ends_as_zip
from bayesight.errors import InvalidInput, SourceUnreadable
from bayesight.files import entries_of, reading

_ZIP_STARTS = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
_UNSUPPORTED = {
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
    b"\x04\x22\x4d\x18": "LZ4",
    b"LZIP": "lzip",
    b"\x89LZO": "lzop",
    b"]\0\0": "LZMA, the forerunner of xz",
    b"\x1f\x9d": "compress",
    b"MSCF": "Microsoft's Cabinet",
    b"xar!": "xar",
    b"0707": "cpio",
    b"!<ar": "ar",
}
_IDX_NAME = re.compile(r".*images.*idx[34].*", re.IGNORECASE)
_CUT = re.compile(
    r"(?P<whole>.+\.(?:zip|tar|tgz|tbz2?|txz|7z|rar|tar\.\w{2,4})[._-])"
    r"(?:\d{1,4}|part[._-]?\d+|(?!gz|xz|bz|lz|zs)[a-z]{2})",
    re.IGNORECASE,
)
_SPANNED = re.compile(r"(?P<stem>.+)\.(?:z\d{2,3}|zip)", re.IGNORECASE)
_TICK_NS = 20_000_000
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class ContainerOptions:
    """The way folders and archives are read, where they do not say it themselves.

    Args:
        names: encoding of names in archives that do not say theirs ("cp949", "shift_jis").
        follow_links: follow symbolic links out of a folder.
        share: (i, n), the i-th of n shares of the members, told apart by their names; (0, 1) is all of them.
    """

    names: str | None = None
    follow_links: bool = False
    share: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        """Refuse an encoding that cannot be that of names."""
        try:
            fits = self.names is None or b"a/\xe9".decode(self.names, "replace")[:2] == "a/"
        except (LookupError, ValueError):
            fits = False
        if not fits:
            raise InvalidInput(
                f"--names: got {self.names!r}; expected an encoding of names in archives, as cp437, cp949, "
                "shift_jis, gbk or latin-1"
            )

    def shares(self, name: bytes) -> bool:
        """True for a member of the share that is asked for."""
        place, count = self.share
        return count == 1 or crc32(name) % count == place

    def decoded(self, name: bytes) -> bytes:
        """A name in UTF-8, or as it is where it is not in the encoding stated."""
        if self.names is None or name.isascii():
            return name
        try:
            return name.decode(self.names).encode()
        except UnicodeError:
            return name


AS_STORED = ContainerOptions()
"""Nothing asked for."""


@dataclass(frozen=True)
class Source:
    """A folder or file that images come from.

    Args:
        path: the absolute path.
        kind: what holds them.
        labels: the labels of an IDX file; None when it has none or they are not wanted.
        options: how it is read, where it does not say that itself.
    """

    path: Path
    kind: Literal["folder", "tar", "zip", "idx"]
    labels: Path | None = None
    options: ContainerOptions = AS_STORED


def find_source(
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    labelled: bool = True,
    options: ContainerOptions = AS_STORED,
) -> Source:
    """Say what kind of source a path is.

    Args:
        path: a folder or file.
        labels: the labels of an IDX file that are not beside it under MNIST's name.
        labelled: False when labels are not needed.
        options: how it is read, where it does not say that itself.

    Raises:
        SourceNotFound: nothing is there.
        SourceUnreadable: neither a folder nor an archive nor IDX data; labels wanted and not found.
    """
    full = existing_path(path)
    _refuse_part(full)
    if full.is_dir():
        found = _idx_in(full)
        if found is None:
            _refuse_labels(full, labels)
            return Source(full, "folder", options=options)
        full = found
    elif not full.is_file():
        raise SourceUnreadable(f"{full} is neither a file nor a folder; expected an archive of images")
    kind = _kind_of(full)
    if kind != "idx":
        _refuse_labels(full, labels)
        return Source(full, kind, options=options)
    if not labelled:
        return Source(full, kind, options=options)
    known = existing_path(labels) if labels is not None else beside(full)
    if known is None:
        expected = full.name.replace("images", "labels").replace("idx3", "idx1")
        raise SourceUnreadable(
            f"{full} is IDX data without labels: no {expected} lies beside it; "
            "name its labels with --labels-file"
        )
    return Source(full, kind, known, options)


def holds_images(path: Path) -> bool:
    """True for a folder, an archive or IDX data, by its first bytes; False for an image or another file.

    A single file packed with gzip counts as an archive: what it holds, only reading it shows.

    Raises:
        SourceUnreadable: it may not be read, or is one of several parts of an archive.
    """
    if path.is_dir() or not path.is_file():
        return path.is_dir()
    _refuse_part(path)
    with reading(path), path.open("rb") as file:
        start = file.read(512)
    packed = compression_of(start) is not None or start.startswith((*_ZIP_STARTS, *_UNSUPPORTED))
    return packed or holds_idx(start) or (len(start) == 512 and checksum_holds(start))


def _kind_of(path: Path) -> Literal["tar", "zip", "idx"]:
    """The kind of container that a file is, by its first bytes, or else by its end."""
    with ByteStream(path) as stream:
        start = next(stream, b"")
        packed = stream.compression
    if packed is None and start.startswith(_ZIP_STARTS):
        return "zip"
    if holds_idx(start):
        return "idx"
    if len(start) < 512 or not checksum_holds(start[:512]):
        if packed is None and ends_as_zip(path):
            return "zip"
        _refuse_known(path, start, packed)
    return "tar"


def _refuse_known(path: Path, start: bytes, packed: str | None) -> None:
    """Refuse what is known by name and not read, be it packed or not."""
    known = next((name for magic, name in _UNSUPPORTED.items() if start.startswith(magic)), None)
    if packed and (start.startswith(_ZIP_STARTS) or known or compression_of(start)):
        known = known or compression_of(start) or "zip"
        raise SourceUnreadable(
            f"{path} is packed twice, with {known} and then with {packed}; unpack it once, and name what "
            "comes of it"
        )
    if known:
        raise SourceUnreadable(
            f"{path} is packed with {known}, which is not read; "
            "expected a folder, .tar, .tar.gz, .tar.xz, .tar.bz2, .zip or IDX .gz: pack it again"
        )


def _idx_in(folder: Path) -> Path | None:
    """The one IDX file of images in a folder that holds nothing else to read; None for a folder of images."""
    with reading(folder):
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


def _refuse_labels(source: Path, labels: object) -> None:
    """Labels in a file of their own belong to IDX data only."""
    if labels is not None:
        raise InvalidInput(
            f"{source} is no IDX file of images; expected one beside a file of labels ({labels}). "
            "In folders and archives the name of its folder is an image's label: leave --labels-file out"
        )


def _refuse_part(path: Path) -> None:
    """Refuse one of several parts of an archive, and say how to join them."""
    cut, spanned = _CUT.fullmatch(path.name), _SPANNED.fullmatch(path.name)
    if path.is_dir() or not (cut or spanned):
        return
    beside = [other.name for other in entries_of(path.parent)]
    if cut:
        whole = cut["whole"]
        target = whole.rstrip("._-")
        parts = sum(name.startswith(whole) and _CUT.fullmatch(name) is not None for name in beside)
        join = f"cat {shlex.quote(whole)}* > {shlex.quote(target)}"
    elif spanned:
        stem = spanned["stem"]
        target = f"{stem}-whole.zip"
        is_part = re.compile(re.escape(stem) + r"\.z\d{2,3}", re.IGNORECASE).fullmatch
        parts = 1 + sum(is_part(name) is not None for name in beside)
        join = f"zip -s 0 {shlex.quote(stem)}.zip --out {shlex.quote(target)}"
    if parts > 1:
        raise SourceUnreadable(
            f"{path} is one of {parts} parts of an archive; expected the whole: join them with '{join}' and "
            f"name {target}"
        )


@dataclass(frozen=True)
class Stamp:
    """The file system's account of a source, without reading it.

    Args:
        values: equal only for a source that was not touched; as JSON gives them back.
        files: how many files it has, where that is known.
        tells: whether equal values prove equal bytes here.
    """

    values: list[Any]
    files: int | None
    tells: bool


def stamp(source: Source) -> Stamp:
    """Look at a source's files, once they have been at rest for a tick of the file system's clock.

    A write within the same tick as the look would leave every time as it was.

    Raises:
        SourceUnreadable: a file cannot be looked at.
    """
    found, newest = _look(source)
    tick = 2 * _SECOND_NS if newest % _SECOND_NS == 0 else _TICK_NS  # some keep whole seconds only
    if time.time_ns() - newest < tick:
        time.sleep(tick / 1e9)
        found, _ = _look(source)
    return found


def content_of(source: Source, stamped: Stamp) -> list[Any]:
    """A value that changes when a source's bytes do: an archive's hash of its files, a folder's stamp.

    Raises:
        SourceUnreadable: a file cannot be read.
    """
    if source.kind == "folder":
        return stamped.values
    return [source.kind, *[digest_of(path) for path in _files(source)]]


def _look(source: Source) -> tuple[Stamp, int]:
    """(what the file system says, the time of the last change in ns)."""
    if source.kind == "folder":
        count, digest, newest = folder_signature(source.path, follow_links=source.options.follow_links)
        return Stamp(["folder", count, digest], count, tells=True), newest
    with reading(source.path):
        found = [path.stat() for path in _files(source)]
    values = [source.kind, *[list(file_stamp(status)) for status in found]]
    return Stamp(values, None, tells=os.name == "posix"), max(status.st_ctime_ns for status in found)


def _files(source: Source) -> list[Path]:
    return [path for path in (source.path, source.labels) if path is not None]


def digest_of(path: Path) -> str:
    """The hash of a file's bytes.

    Raises:
        SourceUnreadable: it cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
