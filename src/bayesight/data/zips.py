"""The entries of a zip file."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bayesight.data.members import ENCODED_LIMIT_BYTES, FOLDER, Member, Position, Unreadable
from bayesight.errors import SourceUnreadable

__all__ = ["zip_members"]


def zip_members(path: Path, position: Position) -> Iterator[Member]:
    """The entries of a zip file, in the order they lie in it.

    Args:
        path: an existing file.
        position: told how far the pass has come.

    Raises:
        SourceUnreadable: the file has no directory of its entries, or one that makes no sense.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            for done, info in enumerate(infos):
                position.fraction = done / len(infos)
                read = partial(_read_entry, archive, file, info)
                yield _entry_name(info), _entry_kind(info), info.file_size, read
    except zipfile.BadZipFile as error:
        raise SourceUnreadable(
            f"{path} is a zip file without a usable directory at its end ({error}); "
            "the download is probably incomplete, fetch it again"
        ) from error
    except UnicodeDecodeError as error:
        raise SourceUnreadable(
            f"{path} is a zip file with a name that claims to be UTF-8 and is not ({error.object!r}); "
            "pack it again"
        ) from error


def _entry_name(info: zipfile.ZipInfo) -> bytes:
    """The bytes of the name: zipfile reads those not marked as UTF-8 as code page 437."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437", "backslashreplace")


def _entry_kind(info: zipfile.ZipInfo) -> str | None:
    """What an entry is unless a regular file that can be read."""
    mode = info.external_attr >> 16 if info.create_system == 3 else 0
    if info.is_dir() or info.orig_filename.endswith("\\"):
        return FOLDER
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "neither a file nor a folder"
    return "encrypted" if info.flag_bits & 1 else None


def _read_entry(archive: zipfile.ZipFile, file: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    """The content of a zip entry; stored and deflated ones are read directly, ten times faster."""
    try:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with archive.open(info) as entry:
                return entry.read(ENCODED_LIMIT_BYTES + 1)
        file.seek(info.header_offset)
        local = file.read(30)
        if local[:4] != b"PK\3\4":
            raise Unreadable("damaged: its header in the zip file is missing")
        file.seek(sum(struct.unpack_from("<HH", local, 26)), os.SEEK_CUR)
        content = file.read(min(info.compress_size, 2 * ENCODED_LIMIT_BYTES))
        if info.compress_type == zipfile.ZIP_DEFLATED:
            content = zlib.decompressobj(-15).decompress(content, info.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError) as error:
        raise Unreadable(f"damaged: {error}") from None
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise Unreadable("damaged: its content does not match the checksum in the zip file")
    return content
