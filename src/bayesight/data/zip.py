"""The entries of a zip file, read from its directories and nothing else.

Every field of a directory is a claim of whoever wrote it: an entry that cannot be had is left out with its
reason, and the others are read. Several zip files joined to one are all read, each by its own directory.
Source: PKWARE, APPNOTE.TXT, .ZIP File Format Specification; Info-ZIP, proginfo/extrafld.txt.
"""

from __future__ import annotations

import bz2
import itertools
import lzma
import mmap
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from bayesight.data.members import ENCODED_LIMIT_BYTES, FOLDER, Member, Position, Remarks, Unreadable
from bayesight.data.streams import XZ_MEMORY_BYTES, ContainerBudget
from bayesight.data.unpacking import Unpacking, planned, tidy
from bayesight.errors import SourceUnreadable
from bayesight.language import marked

_END = Struct("<4s4H2LH")
_END64 = Struct("<4sQ2H2L4Q")
_END64_PLACE = Struct("<4sLQL")
_ENTRY = Struct("<4s6H3L5H2L")
_LOCAL = Struct("<4s22x2H")
_END_MARK, _END64_MARK, _END64_PLACE_MARK = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_ENTRY_MARK, _LOCAL_MARK = b"PK\1\2", b"PK\3\4"
_LONGEST_END = _END.size + (1 << 16)
_UNIX = (3, 19)
_LONGEST_LINK = 4096
_FULL = 0xFFFFFFFF
_ENCRYPTED, _UTF8 = 1, 0x800
_STORED, _DEFLATED, _BZIP2, _LZMA, _XZ, _AES = 0, 8, 12, 14, 95, 99
_METHODS = {
    1: marked("the Shrink method"),
    **dict.fromkeys((2, 3, 4, 5), marked("the Reduce method")),
    6: marked("the Implode method"),
    9: "Deflate64",
    10: "PKWARE's Implode",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    96: "a JPEG variant",
    97: "WavPack",
    98: "PPMd",
}


@dataclass(frozen=True)
class _Directory:
    """The place of the directory of one archive.

    Args:
        start: its first byte in the file.
        size: its bytes.
        first: the first byte of the archive in the file.
        end: the byte after the archive.
    """

    start: int
    size: int
    first: int
    end: int


@dataclass(frozen=True)
class _Entry:
    """One entry as its directory has it.

    Args:
        name: in UTF-8 where its encoding is known.
        what: what it is unless a regular file that can be read.
        method: how it is compressed.
        crc: checksum of its content.
        packed: bytes it takes.
        size: bytes of its content.
        offset: of its local header in the file.
        is_link: whether its content is the path of a symbolic link.
    """

    name: bytes
    what: str | None
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    is_link: bool


def zip_members(
    path: Path, position: Position, remarks: Remarks, decoded: Callable[[bytes], bytes] = bytes
) -> Iterator[Member]:
    """The entries of a zip file that count, in the order they lie in it.

    Args:
        path: an existing file.
        position: told how far the pass has come.
        remarks: told what was noticed.
        decoded: makes UTF-8 of a name that does not say its encoding.

    Raises:
        SourceUnreadable: the file has no directory of its entries, or one that makes no sense, or inflates to
            far more than archives of images do.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        budget = ContainerBudget(path, size)
        entries: list[_Entry] = []
        directories = _directories(file, size)
        if not directories:
            raise SourceUnreadable(
                f"{path} is a zip file without a usable directory at its end; "
                "the download is probably incomplete, fetch it again"
            )
        for directory in directories:
            entries += _entries(path, file, directory, budget, decoded)
        _remark(remarks, file, directories, size)
        unpacking = Unpacking()
        taken = [(entry, *_take(unpacking, entry, file, budget)) for entry in entries]
        taken.sort(key=lambda one: one[0].offset)

        def members() -> Iterator[tuple[int, Member]]:
            for done, (entry, place, what) in enumerate(taken):
                position.fraction = done / len(taken)
                read = partial(_read_entry, file, entry, budget)
                yield place, (entry.name, what or entry.what, entry.size, read)

        yield from planned(members(), unpacking.plan(), remarks, budget)


def ends_as_zip(path: Path) -> bool:
    """True where a file that begins as another ends as a zip file, as programs that unpack themselves do."""
    with path.open("rb") as file:
        return bool(_directories(file, path.stat().st_size))


def _directories(file: BinaryIO, size: int) -> list[_Directory]:
    """The directories of all archives joined in a file, the first one first."""
    found: list[_Directory] = []
    end = size
    if size < _END.size:
        return found
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while end >= _END.size:
            directory = _last_directory(data, end, anywhere=not found)
            if directory is None:
                break
            found.append(directory)
            end = directory.first
    return found[::-1]


def _last_directory(data: mmap.mmap, end: int, *, anywhere: bool) -> _Directory | None:
    """The directory that ends last before a byte of the file: in front of its end, or else anywhere."""
    close = max(0, end - _LONGEST_END)
    for first, last in ((close, end), (0, min(end, close + 4))) if anywhere else ((close, end),):
        at = data.rfind(_END_MARK, first, last)
        while at >= 0:
            directory = _directory_at(data, at, end)
            if directory is not None:
                return directory
            at = data.rfind(_END_MARK, first, at + 3)
    return None


def _directory_at(data: mmap.mmap, at: int, end: int) -> _Directory | None:
    """The directory that an end record tells of, where the two belong together."""
    if at + _END.size > end:
        return None
    *_, entries, size, offset, comment = _END.unpack_from(data, at)
    stop = at
    if at >= _END64_PLACE.size and data[at - 20 : at - 16] == _END64_PLACE_MARK:
        place = _END64_PLACE.unpack_from(data, at - 20)[2]
        for start in (at - 20 - _END64.size, place):
            if 0 <= start <= at - 20 - _END64.size and data[start : start + 4] == _END64_MARK:
                *_, entries, size, offset = _END64.unpack_from(data, start)
                stop = start
                break
    start = stop - size
    if start < 0 or offset > start or (entries and not size):
        return None
    if size and data[start : start + 4] != _ENTRY_MARK:
        return None
    return _Directory(start, size, start - offset, min(end, at + _END.size + comment))


def _entries(
    path: Path,
    file: BinaryIO,
    directory: _Directory,
    budget: ContainerBudget,
    decoded: Callable[[bytes], bytes],
) -> Iterator[_Entry]:
    """The entries that a directory lists."""
    file.seek(directory.start)
    data = file.read(directory.size)
    at = many = 0
    while at + _ENTRY.size <= len(data) and data[at : at + 4] == _ENTRY_MARK:
        fields = _ENTRY.unpack_from(data, at)
        named, more, comment = fields[10:13]
        at += _ENTRY.size
        budget.count()
        many += 1
        extra = _extra(data[at + named : at + named + more])
        yield _entry(fields, data[at : at + named], extra, directory.first, decoded)
        at += named + more + comment
    if at < len(data) and data[at : at + 4] != b"PK\5\5":  # a signature of the directory may follow
        raise SourceUnreadable(
            marked(
                f"{path} is damaged: the directory of the zip file makes no sense after {many:,} "
                "entries; fetch or pack it again"
            )
        )


def _entry(
    fields: tuple[int, ...],
    name: bytes,
    extra: dict[int, bytes],
    first: int,
    decoded: Callable[[bytes], bytes],
) -> _Entry:
    """One entry; ``fields`` as in a directory, ``first`` where its archive begins in the file."""
    made_by, _, flags, method, _, _, crc, packed, size, _, _, _, disk, _, attributes, offset = fields[1:]
    wide = extra.get(1, b"")
    numbers = []
    for number in (size, packed, offset):
        if number == _FULL and len(wide) >= 8:
            number, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        numbers.append(number)
    size, packed, offset = numbers
    mode = attributes >> 16 if made_by >> 8 in _UNIX else 0
    text = _name(name, flags, extra.get(0x7075, b""), decoded)
    link = stat.S_ISLNK(mode)
    what = None
    if text.endswith((b"/", b"\\")) or stat.S_ISDIR(mode):
        what = FOLDER
    elif not link and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        what = marked("neither a file nor a folder")
    elif method == _AES:
        what = marked("encrypted with AES, which is not supported; unpack it with its password first")
    elif flags & _ENCRYPTED:
        what = marked("encrypted")
    elif disk and disk != 0xFFFF:
        what = marked("in another part of a zip file in several parts; join them first")
    elif method not in (_STORED, _DEFLATED, _BZIP2, _LZMA, _XZ):
        called = _METHODS.get(method, marked(f"method {method}"))
        what = marked(f"compressed with {called}, which is not supported; pack it again, as with 'zip -r'")
    return _Entry(text, what, method, crc, packed, size, first + offset, link)


def _name(name: bytes, flags: int, unicode_path: bytes, decoded: Callable[[bytes], bytes]) -> bytes:
    """The name of an entry: as marked, as its Unicode Path field has it, or in the encoding stated."""
    if flags & _UTF8:
        return name
    known = len(unicode_path) > 5 and unicode_path[0] == 1
    if known and int.from_bytes(unicode_path[1:5], "little") == zlib.crc32(name):
        return unicode_path[5:]
    return decoded(name)


def _extra(data: bytes) -> dict[int, bytes]:
    """The extra fields of an entry by their number, up to the first malformed one."""
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        number, size = data[at] | data[at + 1] << 8, data[at + 2] | data[at + 3] << 8
        if at + 4 + size > len(data):
            break
        fields.setdefault(number, data[at + 4 : at + 4 + size])
        at += 4 + size
    return fields


def _take(
    unpacking: Unpacking, entry: _Entry, file: BinaryIO, budget: ContainerBudget
) -> tuple[int, str | None]:
    """(the place of an entry among what is unpacked, why it is no image for sure)."""
    if entry.what == FOLDER:
        return -1, None
    name = tidy(entry.name)
    if not entry.is_link or entry.what is not None:
        return unpacking.take(name), None
    if entry.size > _LONGEST_LINK:
        return unpacking.take(name), marked("a symbolic link with too long a path")
    try:
        target = _read_entry(file, entry, budget)
    except Unreadable as error:
        return unpacking.take(name), str(error)
    refused = unpacking.link(name, target, hard=False)
    return unpacking.last, refused


def _read_entry(file: BinaryIO, entry: _Entry, budget: ContainerBudget) -> bytes:
    """The content of an entry.

    Raises:
        Unreadable: it cannot be had.
        SourceUnreadable: all of them together are far more than archives of images hold.
    """
    try:
        file.seek(entry.offset)
        local = file.read(_LOCAL.size)
        if local[:4] != _LOCAL_MARK or len(local) < _LOCAL.size:
            raise Unreadable(marked("damaged: its header in the zip file is missing"))
        file.seek(sum(_LOCAL.unpack(local)[1:]), 1)
        packed = file.read(min(entry.packed, 2 * ENCODED_LIMIT_BYTES))
        content = packed if entry.method == _STORED else _inflated(entry, packed)
    except (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, OverflowError, MemoryError) as error:
        raise Unreadable(marked(f"damaged: {error}")) from None
    budget.spend(max(len(packed), len(content)))
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        raise Unreadable(marked("damaged: its content does not match the checksum in the zip file"))
    return content


def _inflated(entry: _Entry, content: bytes) -> bytes:
    """Content inflated to at most one byte more than it should have."""
    most = min(entry.size, ENCODED_LIMIT_BYTES) + 1
    if entry.method == _DEFLATED:
        return zlib.decompressobj(-15).decompress(content, most)
    if entry.method == _BZIP2:
        return bz2.BZ2Decompressor().decompress(content, most)
    if entry.method == _XZ:
        return lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES).decompress(content, most)
    properties = int.from_bytes(content[2:4], "little")  # after two bytes of version
    alone = content[4 : 4 + properties] + b"\xff" * 8 + content[4 + properties :]
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=XZ_MEMORY_BYTES).decompress(alone, most)


def _remark(remarks: Remarks, file: BinaryIO, directories: list[_Directory], size: int) -> None:
    """Take note of what lies around the archives."""
    remarks.archives = len(directories)
    remarks.before = directories[0].first
    for this, following in itertools.pairwise(directories):
        remarks.before += following.first - this.end
    file.seek(directories[-1].end)
    rest = file.read(1 << 20)
    if rest.strip(b"\0") or size - directories[-1].end > len(rest):
        remarks.set_after(size - directories[-1].end, rest[:4096])
