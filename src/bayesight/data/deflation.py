"""Inflating many small pieces of known size: libdeflate, or zlib where there is no build of it.

libdeflate takes half the time of zlib for pieces of a few hundred bytes, and that time is half of reading an
archive of small PNGs. Both check the Adler-32 of what they inflate and never make more than was asked for.
"""

from __future__ import annotations

import zlib

try:
    from deflate import DeflateError, crc32, zlib_decompress
except ImportError:
    from zlib import crc32  # type: ignore[assignment]
    from zlib import error as DeflateError  # type: ignore[assignment]

    _SAFE_BYTES = 1 << 14  # deflate makes at most 1,032 bytes of one, so 16 MiB of this

    def zlib_decompress(data: bytes, originalsize: int) -> bytearray:  # type: ignore[misc]
        """Inflate a zlib stream to at most ``originalsize`` bytes."""
        if len(data) <= _SAFE_BYTES:
            raw = zlib.decompress(data, 15, originalsize + 300)  # room that lets zlib take its fast way
        else:
            inflater = zlib.decompressobj()
            raw = inflater.decompress(data, originalsize + 1)
            if not inflater.eof:
                raise zlib.error("cut off, or more data than there should be")
        if len(raw) > originalsize:
            raise zlib.error("more data than there should be")
        return bytearray(raw)


__all__ = ["DeflateError", "crc32", "zlib_decompress"]
