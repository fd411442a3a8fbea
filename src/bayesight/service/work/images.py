"""Images as requests bring them: encoded files, checked before they are opened, made to fit the run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from torch import Tensor

from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data.dataset import gather
from bayesight.data.decode import decode, native_frames
from bayesight.errors import SourceUnreadable

__all__ = ["Pixels", "Upload", "from_base64", "is_small", "read_uploads"]

_SMALL_IMAGES = 16
_FROM_URL_ALPHABET = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class Upload:
    """One image file of a request.

    Args:
        name: what its sender calls it; shown again, and used for nothing else.
        content: the file.
    """

    name: str
    content: bytes


@dataclass(frozen=True)
class Pixels:
    """Images as the network sees them.

    Args:
        images: (N, C, H, W) uint8.
        digests: N times 32 hexadecimal digits, by which a run knows an image again.
        names: what their senders call them.
    """

    images: Tensor
    digests: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.digests)


def is_small(uploads: Sequence[Upload]) -> bool:
    """True of images that are read sooner than handed to another thread."""
    return len(uploads) <= _SMALL_IMAGES and sum(len(upload.content) for upload in uploads) <= 16_384


def read_uploads(uploads: Sequence[Upload], classes: Classes, *, pixels: int) -> Pixels:
    """Decode image files and bring them to a run's size and mode.

    Args:
        uploads: one or more.
        classes: of the run.
        pixels: the most there may be in all of them together, by their headers: a small file may hold a
            huge image.

    Raises:
        InvalidInput: more pixels than that.
        SourceUnreadable: a file that is no image, with the reason.

    Example:
        >>> import torch
        >>> from bayesight.data.codecs import quick_png
        >>> classes = Classes(("A", "B"), "L", (28, 28))
        >>> black = Upload("black.png", quick_png(torch.zeros(1, 28, 28, dtype=torch.uint8)))
        >>> read_uploads([black], classes, pixels=784).images.shape
        torch.Size([1, 1, 28, 28])
    """
    blobs = [upload.content for upload in uploads]
    found = [(f.height, f.width) for f in native_frames(blobs) if f is not None]
    total = sum(height * width for height, width in found)
    if total > pixels:
        came = f"{total:,} pixels, the largest being {'x'.join(map(str, max(found)))}"
        check(False, "images", came, f"at most {pixels:,} in one request", "Scale them down first.")
    decoded = decode(blobs, classes.frame)
    if decoded.refused:
        index, reason = decoded.refused[0]
        which = f"image {index + 1} of {len(uploads)}" if len(uploads) > 1 else "the image"
        raise SourceUnreadable(
            f"{which} cannot be read: {reason}; expected a PNG, JPEG or another common file."
        )
    digests = tuple(hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in decoded.images)
    names = tuple(upload.name for upload in uploads)
    return Pixels(gather(decoded.images, decoded.kept), digests, names)


def from_base64(text: str) -> bytes:
    r"""Bytes from base64 as people send it: a data URL, in lines, in the alphabet for URLs, without padding.

    Raises:
        ValueError: empty, or none; the message says which.

    Example:
        >>> from_base64("QmF5ZXM="), from_base64("data:text/plain;base64,QmF5\n ZXM"), from_base64("-_8")
        (b'Bayes', b'Bayes', b'\xfb\xff')
    """
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        content = _from_odd_base64(text)
    if not content:
        raise ValueError("it is empty")
    return content


def _from_odd_base64(text: str) -> bytes:
    text = text.strip()
    if text[:5].lower() == "data:":
        kind, comma, text = text.partition(",")
        if not comma or not kind.rstrip().lower().endswith(";base64"):
            raise ValueError("a data URL that does not say ';base64,'")
        text = unquote(text)
    bare = "".join(text.split()).translate(_FROM_URL_ALPHABET).rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError as problem:
        raise ValueError("no base64") from problem
