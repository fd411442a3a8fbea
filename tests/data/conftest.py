"""Makers of images and archives, independent of the code under test."""

import gzip
import io
import itertools
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_rows(pixels, filters, channels):
    """Filter rows by the definition in the specification, byte by byte."""
    rows = []
    above = [0] * pixels.shape[1]
    for kind, line in zip(filters, pixels.tolist(), strict=True):
        out = [kind]
        for x, value in enumerate(line):
            a = line[x - channels] if x >= channels else 0
            b = above[x]
            c = above[x - channels] if x >= channels else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            out.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
        rows.append(bytes(out))
        above = line
    return b"".join(rows)


def make_png(pixels, filters=None, *, before=(), after=(), pieces=1, level=6):
    """A PNG of (H, W) or (H, W, 3) pixels whose rows use the filters given."""
    channels = 1 if pixels.ndim == 2 else 3
    height, width = pixels.shape[:2]
    flat = pixels.reshape(height, -1)
    rows = png_rows(flat, [0] * height if filters is None else filters, channels)
    data = zlib.compress(rows, level)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    edges = [len(data) * k // pieces for k in range(pieces + 1)]
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            *(png_chunk(*chunk) for chunk in before),
            *(png_chunk(b"IDAT", data[a:b]) for a, b in itertools.pairwise(edges)),
            *(png_chunk(*chunk) for chunk in after),
            png_chunk(b"IEND", b""),
        ]
    )


def deep_png(values):
    """A PNG of 16 bits a channel: (H, W, 2) with opacity, (H, W, 3), or (H, W, 4) with opacity."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def picture(seed, height=6, width=5, colour=False):
    shape = (height, width, 3) if colour else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels, kind="PNG", **options):
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_tar(path, members, mode="w:gz", **options):
    """Write (name, bytes or TarInfo) pairs."""
    with tarfile.open(path, mode, **options) as archive:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return Path(path)


def letters(classes="AB", each=4, height=6, width=5, colour=False, top="set/"):
    """(name, PNG) pairs of random pictures, all different."""
    return [
        (f"{top}{name}/{k}.png", encoded(picture(1000 * i + k, height, width, colour)))
        for i, name in enumerate(classes)
        for k in range(each)
    ]


def make_idx(path, array, *, magic=None, count=None, extra=b"", cut=0, pack=True):
    """Write an IDX file, right or wrong."""
    sizes = [array.shape[0] if count is None else count, *array.shape[1:]]
    data = (magic or bytes([0, 0, 8, array.ndim])) + struct.pack(f">{len(sizes)}I", *sizes)
    data += array.astype(np.uint8).tobytes() + extra
    data = data[: len(data) - cut]
    Path(path).write_bytes(gzip.compress(data) if pack else data)
    return Path(path)


@pytest.fixture(scope="session")
def make():
    """The makers above, as one namespace."""

    class Make:
        png = staticmethod(make_png)
        deep_png = staticmethod(deep_png)
        chunk = staticmethod(png_chunk)
        picture = staticmethod(picture)
        encoded = staticmethod(encoded)
        tar = staticmethod(make_tar)
        letters = staticmethod(letters)
        idx = staticmethod(make_idx)

    return Make
