"""A budget for reading a container: what it may hold once inflated, measured by what it weighs.

A few bytes can stand for gigabytes: zeros deflate to a thousandth, bzip2 writes them in a fifty-thousandth,
and the entries of a zip file may all point to one stream. Real images do not come near such ratios.
"""

from __future__ import annotations

from pathlib import Path

from bayesight.errors import SourceUnreadable

__all__ = ["BYTES_A_BYTE", "BYTES_FREE", "MEMBERS_FREE", "XZ_MEMORY_BYTES", "ContainerBudget"]

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
