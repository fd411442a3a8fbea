"""The members of a tar stream, read from its headers and nothing else.

Understands what the writers in use produce: v7, ustar (with its prefix), GNU (long names, base-256 sizes, old
sparse files) and pax (extended and global headers). Source: POSIX.1-2001, pax interchange format; GNU tar
manual, "Basic Tar Format".
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

from bayesight.data.members import Remarks
from bayesight.errors import SourceUnreadable
from bayesight.language import marked

TarMember: TypeAlias = tuple[bytes, str | None, int, bytes | None]
"""(name, None for a regular file else what it is, size in bytes, content).

The content of a link is the name it leads to; it is None for other members that are no regular files, and for
one larger than the limit.
"""
HARD_LINK = marked("a hard link")
SYMBOLIC_LINK = marked("a symbolic link")

_BLOCK = 512
_EXTENSION_LIMIT_BYTES = 1 << 20
_KINDS = {
    b"1": HARD_LINK,
    b"2": SYMBOLIC_LINK,
    b"3": marked("a character device"),
    b"4": marked("a block device"),
    b"5": "a folder",
    b"6": marked("a named pipe"),
    b"D": "a folder",
    b"M": marked("the continuation of a file in another volume"),
    b"S": marked("a sparse file"),
    b"V": marked("a volume label"),
}
_MOST_DIGITS = 18
_USED = (b"path", b"linkpath", b"size", b"GNU.sparse.map", b"GNU.sparse.major", b"GNU.sparse.name")
_EXTENSIONS = (b"x", b"X", b"g", b"L", b"K")


def checksum_holds(header: bytes) -> bool:
    """True where 512 bytes carry the checksum of a tar header.

    The sum of all bytes, those of the checksum taken as spaces, is read off Adler-32, whose low half is 1 +
    the sum modulo 65,521: one call in C instead of a loop over 512 bytes.

    Example:
        >>> checksum_holds(bytes(512))
        False
    """
    total, low_half = _promised(header[148:156])
    if low_half == zlib.adler32(header) & 0xFFFF:
        return True
    return total == sum(header) - 256 * sum(byte > 127 for byte in header)  # summed as signed bytes, long ago


@lru_cache(4096)
def _promised(field: bytes) -> tuple[int, int]:
    """(what all bytes of a header with this checksum must sum to, the low half of their Adler-32)."""
    try:
        total = int(field.strip(b" \0"), 8) + sum(field) - 256
    except ValueError:
        return -1, -1
    return total, (total + 1) % 65521


@lru_cache(4096)
def _octal(field: bytes) -> int:
    """The number in a field, or -1 when there is none."""
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return -1


def walk(
    chunks: Iterable[bytes],
    limit: int,
    source: str,
    remarks: Remarks | None = None,
    decoded: Callable[[bytes], bytes] = bytes,
) -> Iterator[TarMember]:
    """Every member of a tar stream, in order, those of archives joined behind the first among them.

    Args:
        chunks: the bytes of the tar file, in pieces of any size.
        limit: regular files larger than this many bytes are passed over without being kept.
        source: the name of the file, for messages.
        remarks: told how the archive ends and what follows it.
        decoded: makes UTF-8 of a name that does not say its encoding, as those of pax headers do.

    Raises:
        SourceUnreadable: the stream is no tar file, is damaged, or ends inside a member.
    """
    stream = _Stream(chunks, source)
    remarks = Remarks() if remarks is None else remarks
    everywhere: dict[str, bytes] = {}  # what a global pax header says of all members
    told: dict[str, bytes] = {}  # what extended headers say of the next one
    while True:
        if stream.members and told == everywhere and stream.at_end():
            remarks.unmarked = True
            return
        header = stream.take(_BLOCK)
        if header[0] == 0 and not header.strip(b"\0"):
            if not stream.goes_on(remarks):
                return
            everywhere, told = {}, {}
            continue
        if not checksum_holds(header):
            raise stream.refused()
        kind = header[156:157]
        size = _size(header, told)
        if size < 0:
            raise stream.refused()
        if kind != b"0" and kind in _EXTENSIONS:
            if size > _EXTENSION_LIMIT_BYTES:
                raise stream.refused()
            text = stream.take(size, -size % _BLOCK)
            if kind == b"g":
                everywhere.update(_pax_records(text))
                told = {**everywhere, **told}
            else:
                told.update(_extension(kind, text, decoded))
            continue
        name = told.get("path") or decoded(_name(header))
        stream.members += 1
        if kind != b"0" and kind in _KINDS:
            if kind == b"S":
                _skip_sparse_map(stream, header)
            stream.skip(size if kind in (b"S", b"M", b"D") else 0)
            target = (told.get("linkpath") or decoded(_field(header, 157))) if kind in b"12" else None
            yield name, _KINDS[kind], size, target
        elif size > limit:
            stream.skip(size)
            yield name, None, size, None
        elif told and ("GNU.sparse.map" in told or "GNU.sparse.major" in told):
            stream.skip(size)
            yield told.get("GNU.sparse.name", name), _KINDS[b"S"], size, None
        else:
            content = stream.take(size, -size % _BLOCK)
            is_folder = kind == b"\0" and name.endswith(b"/")
            yield name, _KINDS[b"5"] if is_folder else None, size, content
        if told:
            told = dict(everywhere)


class _Stream:
    """Bytes taken from the front of a stream of chunks."""

    def __init__(self, chunks: Iterable[bytes], source: str) -> None:
        self._chunks = iter(chunks)
        self._source = source
        self._buffer = b""
        self._at = 0
        self._before = 0  # bytes of the stream that lie before the buffer
        self.members = 0

    def take(self, size: int, padding: int = 0) -> bytes:
        """The next ``size`` bytes; the ``padding`` that follows is dropped."""
        at = self._at
        end = at + size
        if end + padding > len(self._buffer):
            return self._refill(size, padding)
        self._at = end + padding
        return self._buffer[at:end]

    def skip(self, size: int) -> None:
        """Drop ``size`` bytes and their padding, without holding them."""
        left = size + -size % _BLOCK
        while left:
            part = min(left, 1 << 16)
            self.take(0, part)
            left -= part

    def at_end(self) -> bool:
        """True when nothing is left."""
        if self._at < len(self._buffer):
            return False
        self._before += self._at
        self._buffer, self._at = next(filter(None, self._chunks), b""), 0
        return not self._buffer

    def goes_on(self, remarks: Remarks) -> bool:
        """True where another archive follows the end marker and its padding; else counts what follows."""
        while not self.at_end():
            left = len(self._buffer) - self._at
            zeros = left - len(self._buffer[self._at :].lstrip(b"\0"))
            self._at += zeros
            if zeros < left:
                break
        else:
            return False
        header = self._peek(_BLOCK)
        back = (self._before + self._at) % _BLOCK
        for zeros in (back, 0):  # as its blocks lie, or where it was joined to a file of odd length
            if len(header) >= _BLOCK - zeros and checksum_holds(bytes(zeros) + header[: _BLOCK - zeros]):
                self._buffer = bytes(zeros) + self._buffer[self._at :]
                self._before, self._at = self._before + self._at - zeros, 0
                remarks.archives += 1
                return True
        count = 0
        while not self.at_end():
            count += len(self._buffer) - self._at
            self._at = len(self._buffer)
        remarks.set_after(count, header)
        return False

    def _peek(self, size: int) -> bytes:
        """The next ``size`` bytes, or as many as there are, without taking them."""
        while len(self._buffer) - self._at < size and (chunk := next(self._chunks, None)) is not None:
            self._buffer += chunk
        return self._buffer[self._at : self._at + size]

    def _refill(self, size: int, padding: int) -> bytes:
        parts = [self._buffer[self._at :]]
        have = len(parts[0])
        self._before += self._at
        while have < size + padding:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._buffer = b"".join(parts)
                raise self._cut_off(have)
            parts.append(chunk)
            have += len(chunk)
        self._buffer = b"".join(parts)
        self._at = size + padding
        return self._buffer[:size]

    def refused(self) -> SourceUnreadable:
        """The error for a header that is none."""
        place = self._before + self._at - _BLOCK
        if not self.members and place == 0:
            start = self._buffer[:16]
            return SourceUnreadable(
                marked(
                    f"{self._source} holds neither a tar archive nor IDX data: it begins with {start!r}; "
                    "expected a folder, .tar, .tar.gz, .tar.xz, .tar.bz2, .zip or IDX .gz"
                )
            )
        return SourceUnreadable(
            marked(
                f"{self._source} is damaged: no valid tar header at byte {place:,}, after {self.members:,} "
                "members; fetch or pack it again"
            )
        )

    def _cut_off(self, have: int) -> SourceUnreadable:
        total = self._before + have
        if not total:
            return SourceUnreadable(
                marked(f"{self._source} is empty; expected an archive of images, or texts")
            )
        if not self.members and total < _BLOCK:
            self._before, self._at = 0, _BLOCK
            return self.refused()
        return SourceUnreadable(
            marked(
                f"{self._source} is cut off: the tar archive ends inside a member after {total:,} bytes "
                f"and {self.members:,} members; the download is probably incomplete, fetch it again"
            )
        )


def _name(header: bytes) -> bytes:
    """The name of a member whose extended headers gave none."""
    name = _field(header, 0)
    if header[345] and header[257:263] == b"ustar\0":  # GNU keeps times where POSIX keeps the prefix
        return header[345:500].partition(b"\0")[0] + b"/" + name
    return name


def _field(header: bytes, at: int) -> bytes:
    """The text of a field of 100 bytes."""
    end = header.find(0, at, at + 100)
    return header[at : end if end >= 0 else at + 100]


def _size(header: bytes, told: dict[str, bytes]) -> int:
    """Bytes of content, or -1 when the field makes no sense."""
    if "size" in told:
        return _decimal(told["size"])
    if header[124] & 0x80:  # GNU: big-endian, for sizes of 8 GiB and more
        return int.from_bytes(header[125:136], "big") if header[124] == 0x80 else -1
    return _octal(header[124:136])


def _decimal(digits: bytes) -> int:
    """The number that digits state, or -1 when they state none, or one beyond all sizes."""
    return int(digits) if digits.isdigit() and len(digits) <= _MOST_DIGITS else -1


def _extension(kind: bytes, content: bytes, decoded: Callable[[bytes], bytes]) -> dict[str, bytes]:
    """The records that an extended header has of the next member."""
    if kind in b"LK":
        return {"path" if kind == b"L" else "linkpath": decoded(content.partition(b"\0")[0])}
    return _pax_records(content)


def _pax_records(content: bytes) -> dict[str, bytes]:
    """The records of a pax header (length, space, key=value, newline), up to the first malformed one."""
    records: dict[str, bytes] = {}
    at = 0
    while at < len(content):
        blank = content.find(b" ", at, at + _MOST_DIGITS + 1)
        length = _decimal(content[at:blank]) if blank >= 0 else -1
        if not blank - at + 1 < length <= len(content) - at:
            break
        key, _, value = content[blank + 1 : at + length - 1].partition(b"=")
        if key in _USED:
            records[key.decode()] = value
        at += length
    return records


def _skip_sparse_map(stream: _Stream, header: bytes) -> None:
    """Pass over the blocks that continue the map of an old GNU sparse file."""
    more = header[482]
    while more:
        more = stream.take(_BLOCK)[504]
