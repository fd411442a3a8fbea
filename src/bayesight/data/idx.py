"""The IDX format of MNIST: a header of big-endian numbers, then the bytes of every image or label.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "File formats".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from bayesight.data.members import Remarks
from bayesight.data.streams import ByteStream
from bayesight.errors import SourceUnreadable
from bayesight.types import ImageArray

_UNSIGNED_BYTE = 8
_TYPES = {9: "signed bytes", 11: "16-bit integers", 12: "32-bit integers", 13: "floats", 14: "doubles"}
_BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class IdxBatch:
    """Images ``(N, H, W)`` or ``(N, H, W, 3)`` with their labels, -1 for each when there are none."""

    images: ImageArray
    labels: np.ndarray
    first: int
    fraction: float


def holds_idx(start: bytes) -> bool:
    r"""True where a stream that begins so is IDX data of any type and up to four dimensions.

    Example:
        >>> holds_idx(b"\x00\x00\x08\x03"), holds_idx(b"\x89PNG")
        (True, False)
    """
    known = {_UNSIGNED_BYTE, *_TYPES}
    return len(start) >= 4 and start[:2] == b"\0\0" and start[2] in known and 1 <= start[3] <= 4


def beside(images: Path) -> Path | None:
    """The labels that lie beside an IDX file of images, by the names MNIST gave them; None when absent."""
    for dimensions in ("idx3", "idx4"):
        name = images.name.replace(dimensions, "idx1").replace("images", "labels")
        if name == images.name or "idx1" not in name:
            continue
        bare = name.removesuffix(".gz")
        for candidate in (name, bare, bare + ".gz"):
            if (images.parent / candidate).is_file():
                return images.parent / candidate
    return None


def idx_batches(
    images: Path, labels: Path | None, pixel_limit: int, remarks: Remarks | None = None
) -> Iterator[IdxBatch]:
    """The images of an IDX file with their labels, a few MiB at a time.

    Args:
        images: IDX data of unsigned bytes in 3 or 4 dimensions, plain or compressed.
        labels: IDX data of unsigned bytes in 1 dimension; None for images without labels.
        pixel_limit: most pixels an image may have.
        remarks: told what is noticed on the way.

    Raises:
        SourceUnreadable: a wrong magic number or shape, counts that differ, data cut off or too long.
    """
    with ByteStream(images) as stream:
        reader = _Reader(stream)
        count, *shape = reader.header(dimensions=(3, 4))
        _check_shape(images, shape, pixel_limit)
        if stream.compression:
            stream.budget.count(count)
        known = _labels(labels, images, count) if labels else None
        size = prod(shape)
        step = max(1, _BATCH_BYTES // size)
        for first in range(0, count, step):
            many = min(step, count - first)
            data = reader.take(many * size)
            if len(data) < many * size:
                raise reader.cut_off(count, first + len(data) // size, size)
            block = np.frombuffer(data, np.uint8).reshape(many, *shape)
            part = np.full(many, -1) if known is None else known[first : first + many].astype(np.int64)
            yield IdxBatch(block, part, first, stream.fraction)
        reader.expect_end(count)
        if stream.after and remarks is not None:
            remarks.set_after(stream.after, stream.after_start)


def _check_shape(images: Path, shape: list[int], pixel_limit: int) -> None:
    """Refuse pictures without pixels, with too many, or with channels that are not colours."""
    if len(shape) == 3 and shape[2] != 3:
        raise SourceUnreadable(
            f"{images}: IDX images of {shape[2]} channels; expected 3 as the fourth dimension (RGB), or none"
        )
    if not 0 < shape[0] * shape[1] <= pixel_limit:
        raise SourceUnreadable(
            f"{images}: IDX images of {shape[0]}x{shape[1]} pixels; expected from 1 to {pixel_limit:,} pixels"
        )


def _labels(path: Path, images: Path, count: int) -> np.ndarray:
    """The labels ``(count,)`` of an IDX file, as bytes."""
    with ByteStream(path) as stream:
        reader = _Reader(stream)
        (promised,) = reader.header(dimensions=(1,))
        if promised != count:
            raise SourceUnreadable(
                f"{path} holds {promised:,} labels but {images} holds {count:,} images; "
                "expected one label an image: these two files do not belong together"
            )
        data = reader.take(promised)
        if len(data) < promised:
            raise reader.cut_off(promised, len(data), 1)
        reader.expect_end(promised)
    return np.frombuffer(data, np.uint8)


class _Reader:
    """Bytes taken from the front of an IDX stream."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._rest = b""

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes, or as many as there are."""
        parts = [self._rest]
        have = len(self._rest)
        while have < size:
            chunk = next(self._stream, None)
            if chunk is None:
                break
            parts.append(chunk)
            have += len(chunk)
        whole = b"".join(parts)
        self._rest = whole[size:]
        return whole[:size]

    def header(self, dimensions: tuple[int, ...]) -> list[int]:
        """The sizes the header states; refuses another magic number than that of unsigned bytes."""
        path = self._stream.path
        magic = self.take(4)
        wanted = " or ".join(f"0x{_UNSIGNED_BYTE:06x}{d:02x}" for d in dimensions)
        holds = "labels" if dimensions == (1,) else "images"
        if not holds_idx(magic):
            raise SourceUnreadable(
                f"{path} begins with 0x{magic.hex() or '(nothing)'}; expected the magic number {wanted} "
                f"of an IDX file of {holds}"
            )
        if magic[2] != _UNSIGNED_BYTE:
            raise SourceUnreadable(
                f"{path} is an IDX file of {_TYPES[magic[2]]} (0x{magic.hex()}); "
                f"expected unsigned bytes ({wanted})"
            )
        if magic[3] not in dimensions:
            hint = ""
            if magic[3] == 1:
                hint = " This is a file of labels: name the file of images, and this one with --labels-file."
            raise SourceUnreadable(
                f"{path} is an IDX file of {magic[3]} dimension{'s' if magic[3] != 1 else ''} "
                f"(0x{magic.hex()}); expected {wanted}, a file of {holds}.{hint}"
            )
        sizes = self.take(4 * magic[3])
        if len(sizes) < 4 * magic[3]:
            raise SourceUnreadable(f"{path} is cut off inside its header; fetch it again")
        return [int(n) for n in np.frombuffer(sizes, ">u4")]

    def cut_off(self, promised: int, whole: int, size: int) -> SourceUnreadable:
        """The error for data that end too early."""
        return SourceUnreadable(
            f"{self._stream.path} promises {promised:,} entries of {size:,} byte{'s' if size != 1 else ''} "
            f"but ends after {whole:,}; the download is probably incomplete, fetch it again"
        )

    def expect_end(self, promised: int) -> None:
        """Refuse bytes beyond the promised entries."""
        rest = len(self.take(1))
        if rest:
            rest += len(self._rest) + sum(len(chunk) for chunk in self._stream)
            raise SourceUnreadable(
                f"{self._stream.path} promises {promised:,} entries but {rest:,} bytes follow them; "
                "expected none: its header and its data do not belong together"
            )
