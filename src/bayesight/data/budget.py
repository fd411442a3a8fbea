"""Budgets for reading a source: bytes, members and pixels it may hold, measured by what it weighs.

A few bytes can stand for gigabytes: zeros deflate to a thousandth, bzip2 writes them in a fifty-thousandth,
and the entries of a zip file may all point to one stream. Real images do not come near such ratios.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bayesight.errors import SourceUnreadable

BYTES_FREE = 1 << 30
BYTES_A_BYTE = 500
"""Blank bitmaps deflate to some hundredths; photographs and PNGs hardly at all."""
MEMBERS_FREE = 500_000
XZ_MEMORY_BYTES = 256 << 20
"""xz files of larger dictionaries than this memory holds are refused."""
_BYTES_A_MEMBER = 30
PIXELS_FREE = 1_000_000_000
PIXELS_A_BYTE = 500
"""Photographs hold 1 to 10 pixels for each byte, scans of drawings up to about 100."""


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


class PixelBudget:
    """Pixels that may be decoded: reading images far larger than what holds them would take for ever.

    Args:
        path: a folder or file; of a file its own size counts, of a folder that of the images read so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._grows = path.is_dir()
        self._bytes = 0 if self._grows else path.stat().st_size
        self._pixels = 0

    def earn(self, blobs: Iterable[bytes]) -> None:
        """Take note of files that are about to be decoded."""
        if self._grows:
            self._bytes += sum(map(len, blobs))

    def spend(self, pixels: int) -> None:
        """Take note of pixels that are about to be decoded.

        Raises:
            SourceUnreadable: more pixels than a thousand million, and than 500 for each byte.
        """
        self._pixels += pixels
        if self._pixels > max(PIXELS_FREE, PIXELS_A_BYTE * self._bytes):
            raise SourceUnreadable(
                f"{self._path} holds images of more than {self._pixels - pixels:,} pixels in "
                f"{self._bytes:,} bytes; expected at most {PIXELS_FREE:,}, or {PIXELS_A_BYTE} for each byte. "
                "Scale the images down first"
            )
