"""The bytes of a file, inflated while someone else works on them.

A reader thread inflates gzip, bzip2 or xz ahead of the consumer: all three release the interpreter while they
work, so on two cores the inflation of the archive costs no time at all. Memory is bounded by the queue.

A few bytes can stand for gigabytes: zeros deflate to a thousandth, bzip2 writes them in a fifty-thousandth,
and the entries of a zip file may all point to one stream. Real images do not come near such ratios.
"""

from __future__ import annotations

import bz2
import lzma
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from bayesight.errors import SourceUnreadable
from bayesight.files import reading
from bayesight.language import marked

CHUNK_BYTES = 1 << 20
_READ_BYTES = 1 << 18
_QUEUE_CHUNKS = 4
BYTES_FREE = 1 << 30
BYTES_A_BYTE = 500
"""Blank bitmaps deflate to some hundredths; photographs and PNGs hardly at all."""
MEMBERS_FREE = 500_000
XZ_MEMORY_BYTES = 256 << 20
"""xz files of larger dictionaries than this memory holds are refused."""
_BYTES_A_MEMBER = 30


class ContainerBudget:
    """The bytes and members that a container may still yield.

    Args:
        path: the file, for messages.
        size: its bytes.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self.limit = max(BYTES_FREE, BYTES_A_BYTE * size)
        self._most = max(MEMBERS_FREE, size // _BYTES_A_MEMBER)
        self._spent = 0
        self._members = 0

    def spend(self, count: int) -> None:
        """Take note of bytes that were inflated.

        Raises:
            SourceUnreadable: more of them than an archive of images of this size holds.
        """
        self._spent += count
        if self._spent > self.limit:
            raise SourceUnreadable(
                f"{self._path} holds more than {self.limit:,} bytes once unpacked, in {self._size:,} bytes; "
                f"expected at most {BYTES_FREE:,}, or {BYTES_A_BYTE} for each byte: no archive of images is "
                "that dense, unpack it yourself if you trust it"
            )

    def count(self, members: int = 1) -> None:
        """Take note of members.

        Raises:
            SourceUnreadable: more of them than fit into an archive of this size.
        """
        self._members += members
        if self._members > self._most:
            raise SourceUnreadable(
                f"{self._path} holds more than {self._most:,} members in {self._size:,} bytes; expected at "
                f"most {MEMBERS_FREE:,}, or one for each {_BYTES_A_MEMBER} bytes: no archive of images is "
                "that dense, unpack it yourself if you trust it"
            )


class _Gzip:
    """zlib's decompressor with the interface of the other two: it keeps the input it has not yet read."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


_Inflater: TypeAlias = _Gzip | bz2.BZ2Decompressor | lzma.LZMADecompressor
_KINDS: dict[str, tuple[bytes, Callable[[], _Inflater]]] = {
    "gzip": (b"\x1f\x8b", _Gzip),
    "bzip2": (b"BZh", bz2.BZ2Decompressor),
    "xz": (b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)),
}


_LONGEST_MAGIC = max(len(magic) for magic, _ in _KINDS.values())


def compression_of(start: bytes) -> str | None:
    """The compression a file's first bytes speak of, or None.

    Example:
        >>> compression_of(b"BZh91AY"), compression_of(b"hello")
        ('bzip2', None)
    """
    return next((kind for kind, (magic, _) in _KINDS.items() if start.startswith(magic)), None)


class ByteStream:
    """An iterator over the inflated bytes of a file, in pieces of at most ``CHUNK_BYTES``.

    Use it as a context manager: leaving it stops the reader thread, whatever was left unread.
    Several compressed members in a row are read as one stream, as the gzip, bzip2 and xz programs do, and
    members of another of these kinds likewise. Whatever follows the last one is counted.

    Args:
        path: an existing file.

    Attributes:
        size: bytes of the file.
        taken: bytes of the file read so far.
        given: inflated bytes handed out so far.
        after: bytes that follow the compressed data, known at its end; 0 where they are zeros only.
        after_start: the first of them.
        budget: what the file may hold, measured by its size.

    Raises:
        SourceUnreadable: while iterating, when the compressed data are cut off or damaged, or inflate to far
            more than archives of images do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken = 0
        self.given = 0
        self.after = 0
        self.after_start = b""
        self._stop = threading.Event()
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_QUEUE_CHUNKS)
        with reading(path):
            self._file = path.open("rb")
            self.size = path.stat().st_size
            start = self._file.read(6)
            self._file.seek(0)
        self.compression = compression_of(start)
        self.budget = ContainerBudget(path, self.size)
        self._thread: threading.Thread | None = None
        if self.compression:
            self._thread = threading.Thread(target=self._read_ahead, name="bayesight-inflate", daemon=True)
            self._thread.start()

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = self._next_inflated() if self._thread else self._next_plain()
        self.given += len(chunk)
        return chunk

    @property
    def fraction(self) -> float:
        """The share of the file that has been read, in [0, 1]."""
        return min(1.0, self.taken / self.size) if self.size else 1.0

    def close(self) -> None:
        """Stop the reader thread and close the file."""
        self._stop.set()
        if self._thread:
            while self._thread.is_alive():  # it may be waiting for room in the queue
                try:
                    self._queue.get(timeout=0.01)
                except queue.Empty:
                    continue
            self._thread.join()
        self._file.close()

    def _next_plain(self) -> bytes:
        with reading(self.path):
            chunk = self._file.read(CHUNK_BYTES)
        if not chunk:
            raise StopIteration
        self.taken += len(chunk)
        return chunk

    def _next_inflated(self) -> bytes:
        item = self._queue.get()
        if isinstance(item, bytes):
            return item
        self._queue.put(item)  # whoever asks again gets the same answer
        if item is None:
            raise StopIteration
        raise item

    def _read_ahead(self) -> None:
        """The reader thread: its answer is chunks, then None or the error that ended it."""
        try:
            for chunk in self._inflated():
                if self._stop.is_set():
                    return
                self.budget.spend(len(chunk))
                self._queue.put(chunk)
            self._queue.put(None)
        except EOFError:
            self._queue.put(
                SourceUnreadable(
                    marked(
                        f"{self.path} is cut off: its {self.compression} data end in the middle, after "
                        f"{self.taken:,} bytes ({self.given:,} inflated); the download is probably "
                        "incomplete, fetch it again"
                    )
                )
            )
        except lzma.LZMAError as error:
            self._queue.put(self._too_demanding() if "emory" in str(error) else self._damaged(error))
        except (zlib.error, OSError, MemoryError) as error:
            self._queue.put(self._damaged(error))
        except BaseException as error:  # noqa: BLE001 - the consumer would wait for ever; it raises this there
            self._queue.put(error)

    def _damaged(self, error: BaseException) -> SourceUnreadable:
        return SourceUnreadable(
            marked(
                f"{self.path} is damaged: its {self.compression} data cannot be inflated after "
                f"{self.taken:,} bytes ({error}); fetch or pack it again"
            )
        )

    def _too_demanding(self) -> SourceUnreadable:
        return SourceUnreadable(
            f"{self.path} is packed by xz with a dictionary that takes more than {XZ_MEMORY_BYTES >> 20} "
            "MiB of memory to read; pack it again with 'xz -9' or less"
        )

    def _inflated(self) -> Iterator[bytes]:
        """The content of every compressed member; EOFError when the last one is incomplete."""
        kind = self.compression
        data = b""
        while kind:
            inflater = _KINDS[kind][1]()
            while not inflater.eof:
                data = data or self._more()
                if not data:
                    raise EOFError
                chunk = inflater.decompress(data, CHUNK_BYTES)
                while chunk:
                    yield chunk
                    chunk = b"" if inflater.eof else inflater.decompress(b"", CHUNK_BYTES)
                data = b""
            data = inflater.unused_data
            while len(data) < _LONGEST_MAGIC and (more := self._more()):
                data += more
            kind = compression_of(data)
        self._count_after(data)

    def _count_after(self, data: bytes) -> None:
        """Take note of what follows the last member, which is none."""
        many, start = 0, b""
        while data:
            many += len(data)
            start = start or data.lstrip(b"\0")[:512]
            data = self._more()
        self.after, self.after_start = (many, start) if start else (0, b"")

    def _more(self) -> bytes:
        """The next bytes of the file; none at its end."""
        data = self._file.read(_READ_BYTES)
        self.taken += len(data)
        return data
