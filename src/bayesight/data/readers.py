"""Readers of annotations for ``data.annotated``: masks, boxes with key points, questions."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from bayesight.checks import check
from bayesight.data.annotated import Found
from bayesight.data.annotations import (
    Annotated,
    Question,
    read_coco,
    read_mask,
    read_questions,
    read_voc,
)
from bayesight.data.foldernames import is_mask
from bayesight.data.formats import promises_image, suffix_of
from bayesight.errors import InvalidInput, listed
from bayesight.frame import Placing
from bayesight.language import marked
from bayesight.types import FloatArray, ImageArray

VOID = 255
"""The number of pixels that are no class, in every mask that was read."""

Colour = tuple[int, int, int]
_HEADINGS = ({"r", "g", "b"}, {"red", "green", "blue"})
_NUMBER = re.compile(r"[0-9]{1,9}")
_NOTHING = re.compile(r"void|unlabell?ed|ignore[d]?|unknown|background_void", re.IGNORECASE)


@dataclass(frozen=True)
class MaskReader:
    """Masks: images without loss in a folder ``masks``, whose values are class numbers.

    Masks of 0 and 255 alone are those of one class on a ground. In masks of colours a table beside them,
    as ``label_colors.txt`` or ``class_dict.csv``, says which is which.

    Args:
        void: a number in the files that stands for no class, besides 255.
        classes: K, so that numbers from K on are refused; None takes all.
        names: of the classes, where a table has them.
        colours: the class of each colour; empty where numbers are given.
        binary: 255 is the class 1.
    """

    void: int | None = None
    classes: int | None = None
    names: tuple[str, ...] = ()
    colours: Mapping[Colour, int] = field(default_factory=dict)
    binary: bool = False
    what: str = marked("masks")

    def holds(self, path: str) -> bool:
        """True for an image in a folder of masks."""
        parts = PurePosixPath(path).parts[:-1]
        return promises_image(path) and any(is_mask(one, weakly=True) for one in parts)

    def read(self, path: str, blob: bytes) -> Sequence[Found[bytes]]:
        """The file itself; it is decoded beside its image."""
        return [Found("", blob)]

    def settled(self, found: Mapping[str, bytes], tables: Mapping[str, bytes]) -> MaskReader:
        """The same for the classes of a table, where there is one, and for masks of 0 and 255 alone.

        Raises:
            InvalidInput: numbers that mean other classes than those of the run.
        """
        for path in sorted(tables):
            names, colours = class_table(tables[path], self.void)
            if not names or (self.classes is not None and set(names) != set(self.names)):
                continue
            if any(len(set(colour)) > 1 for colour in colours) and any(map(_is_grey, found.values())):
                colours = {}  # kept to show the classes by; the masks hold numbers
            if self.classes is None:
                return replace(self, classes=len(names), names=names, colours=colours)
            if colours:
                own = {number: self.names.index(name) for number, name in enumerate(names)} | {VOID: VOID}
                return replace(self, colours={colour: own[number] for colour, number in colours.items()})
            check(
                names == self.names, path, f"classes {listed(names)}", f"{listed(self.names)}, as the run has"
            )
        if self.classes is not None:
            return self
        return replace(self, binary=self.void is None and _is_binary(found))

    def place(self, path: str, raw: bytes, placing: Placing) -> ImageArray:
        """(H, W) class numbers in the frame, ``VOID`` where there is no class or no image."""
        where = f"the mask of {path}"
        mask = read_mask(raw, where, size=placing.size, colours=self.colours or None).copy()
        if self.binary:
            wrong = mask[(mask > 0) & (mask < VOID)]
            known = "0 and 255, as in other masks"
            mask[mask == VOID] = 1
        else:
            mask[mask == (VOID if self.void is None or self.colours else self.void)] = VOID
            wrong = mask[(mask >= (self.classes or VOID)) & (mask != VOID)]
            known = f"class numbers from 0 to {(self.classes or VOID) - 1}"
            known += ", or 255 for none (another with --set data.void=NUMBER)"
        check(not wrong.size, where, f"the value {wrong[0]}" if wrong.size else "", known)
        return mask_in(mask, placing)


@dataclass(frozen=True)
class BoxReader:
    """Boxes, and key points where there are some, out of Pascal VOC XML and COCO JSON."""

    what: str = marked("boxes")

    def holds(self, path: str) -> bool:
        """True for XML and JSON."""
        return suffix_of(path.encode()) in (b"xml", b"json")

    def read(self, path: str, blob: bytes) -> Sequence[Found[Annotated]]:
        """The boxes of one image, or of many."""
        if suffix_of(path.encode()) == b"xml":
            found = read_voc(blob, path)
            return [Found(found.image, found, found.faults)]
        return [Found(one.image, one, one.faults) for one in read_coco(blob, path) if one.image or one.faults]

    def settled(self, found: Mapping[str, Annotated], tables: Mapping[str, bytes]) -> BoxReader:
        """The same: a box says its class itself."""
        return self

    def place(self, path: str, raw: Annotated, placing: Placing) -> Annotated:
        """Boxes and points in the frame's pixels; refused where the image has another size than was said."""
        if raw.size is not None and raw.size != placing.size:
            (height, width), (down, across) = placing.size, raw.size
            raise InvalidInput(f"{path}: boxes of an image of {across}x{down}; expected {width}x{height}.")
        corners = points_in(raw.boxes.reshape(-1, 2, 2), placing)
        points = raw.points.copy()
        points[..., :2] = points_in(points[..., :2], placing)
        return replace(raw, size=placing.frame, boxes=corners.reshape(-1, 4), points=points)


@dataclass(frozen=True)
class KeypointReader(BoxReader):
    """Figures with key points in boxes, out of COCO JSON.

    Args:
        points: the names that figures have to have; empty takes those of most images.
    """

    what: str = marked("key points")
    points: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """True for JSON."""
        return suffix_of(path.encode()) == b"json"

    def read(self, path: str, blob: bytes) -> Sequence[Found[Annotated]]:
        """The figures of many images; those without key points are left out, with crowds."""
        found = read_coco(blob, path)
        if not any(one.skeleton.points for one in found):
            raise InvalidInput(f"{path}: no category has key points; expected their names, as COCO has them.")
        return [Found(one.image, _with_points(one), one.faults) for one in found if one.image or one.faults]

    def settled(self, found: Mapping[str, Annotated], tables: Mapping[str, bytes]) -> KeypointReader:
        """The same for the points of most images."""
        seen = Counter(one.skeleton.points for one in found.values())
        return self if self.points or not seen else replace(self, points=seen.most_common(1)[0][0])

    def place(self, path: str, raw: Annotated, placing: Placing) -> Annotated:
        """Figures in the frame's pixels; refused where there are none, or of other points."""
        if raw.skeleton.points != self.points:
            came = f"key points {listed(raw.skeleton.points)}"
            raise InvalidInput(f"{path}: {came}; expected {listed(self.points)}.")
        if not len(raw.boxes):
            raise InvalidInput(f"{path}: no figure with key points; expected one at least.")
        placed = super().place(path, raw, placing)
        x, y = placed.points[..., 0], placed.points[..., 1]
        height, width = placing.frame
        placed.points[..., 2] *= (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
        return placed


def _with_points(one: Annotated) -> Annotated:
    """The figures of which a key point is there, crowds apart."""
    kept = one.points[..., 2].any(axis=1) & ~one.difficult.astype(bool)
    names = tuple(name for name, stays in zip(one.names, kept, strict=True) if stays)
    return replace(
        one,
        names=names,
        boxes=one.boxes[kept],
        difficult=one.difficult[kept],
        points=one.points[kept],
    )


@dataclass(frozen=True)
class QuestionReader:
    """Questions about images with their answers, lines of JSON; one without an answer is left out."""

    what: str = marked("questions")

    def holds(self, path: str) -> bool:
        """True for lines of JSON."""
        return suffix_of(path.encode()) in (b"jsonl", b"ndjson")

    def read(self, path: str, blob: bytes) -> Sequence[Found[tuple[Question, ...]]]:
        """The questions of each image."""
        questions, faults = read_questions(blob, path)
        by_image: dict[str, list[Question]] = {}
        for one in questions:
            if one.answer:
                by_image.setdefault(one.image, []).append(one)
            else:
                faults.append(marked(f"no answer to {one.question!r} about {one.image}"))
        came = f"{len(questions):,} questions without an answer"
        check(bool(by_image), path, came, '{"image": …, "question": …, "answer": …}')
        found = [Found(image, tuple(asked)) for image, asked in by_image.items()]
        return [replace(found[0], faults=tuple(faults)), *found[1:]]

    def settled(
        self, found: Mapping[str, tuple[Question, ...]], tables: Mapping[str, bytes]
    ) -> QuestionReader:
        """The same."""
        return self

    def place(self, path: str, raw: tuple[Question, ...], placing: Placing) -> tuple[Question, ...]:
        """The questions themselves, which have no place."""
        return raw


def points_in(points: FloatArray, placing: Placing) -> FloatArray:
    """Points (..., 2) of an image, x and y, in the pixels of its frame."""
    found: FloatArray = points * placing.scale[::-1] + placing.corner[::-1]
    return found


def points_out(points: FloatArray, placing: Placing) -> FloatArray:
    """Points (..., 2) of a frame, x and y, in the pixels of the image itself."""
    found: FloatArray = (points - placing.corner[::-1]) / placing.scale[::-1]
    return found


def mask_in(mask: ImageArray, placing: Placing) -> ImageArray:
    """A mask (h, w) in its frame (H, W), the nearest pixel of each; ``VOID`` where there is no image."""
    rows, columns = (
        (np.arange(side) + 0.5 - corner) / scale
        for side, scale, corner in zip(placing.frame, placing.scale, placing.corner, strict=True)
    )
    return _sampled(mask, rows, columns)


def mask_out(mask: ImageArray, placing: Placing) -> ImageArray:
    """A mask (H, W) of the frame in the image's own size (h, w); ``VOID`` where the image was cut away."""
    rows, columns = (
        (np.arange(side) + 0.5) * scale + corner
        for side, scale, corner in zip(placing.size, placing.scale, placing.corner, strict=True)
    )
    return _sampled(mask, rows, columns)


def _sampled(mask: ImageArray, rows: np.ndarray, columns: np.ndarray) -> ImageArray:
    """The pixels of a mask that places along its sides fall into; ``VOID`` outside."""
    found = np.pad(mask, 1, constant_values=VOID)
    places = (
        np.clip(np.floor(at), -1, n).astype(int) + 1
        for at, n in zip((rows, columns), mask.shape, strict=True)
    )
    sampled: ImageArray = found[np.ix_(*places)]
    return sampled


def class_table(content: bytes, void: int | None = None) -> tuple[tuple[str, ...], dict[Colour, int]]:
    r"""Names of classes, and their colours where each has one, out of a table of lines.

    A line has a name, and the class's number, three numbers of a colour, or both before or behind it, parted
    by blanks, tabs, commas or colons. Numbers that no line names are called by themselves. A line of a colour
    named as void, or whose number is ``void``, is ``VOID``; where masks hold numbers, these stay what they
    are, and so does a line for no class, unless it is the last.

    Returns:
        Names, empty where it is no such table, and the class of each colour.

    Example:
        >>> class_table(b"128 0 0 house\n0 128 0 tree\n0 0 0 void\n")
        (('house', 'tree'), {(128, 0, 0): 0, (0, 128, 0): 1, (0, 0, 0): 255})
        >>> class_table(b"2: tree\n1: house\n")
        (('0', 'house', 'tree'), {})
    """
    from bayesight.data.tables import encoding_of  # loads Arrow

    names: dict[int, str] = {}
    colours: dict[Colour, int] = {}
    number, lines = -1, 0
    for line in content.decode(encoding_of(content), "replace").splitlines():
        words = [word for word in re.split(r"[\s,;:]+", line.strip()) if word]
        if not words or words[0].startswith("#"):
            continue
        values = [int(word) for word in words if _NUMBER.fullmatch(word)]
        name = " ".join(word for word in words if not _NUMBER.fullmatch(word))
        coloured = len(values) in (3, 4) and max(values[-3:]) <= 255
        heading = any(len({word.casefold() for word in words} & letters) == 3 for letters in _HEADINGS)
        if not name or len(names) >= VOID or (not coloured and heading):
            continue
        number = values[0] if len(values) in (1, 4) else number + 1
        nothing = coloured and (number == void or bool(_NOTHING.fullmatch(name)))
        place = len(names) if coloured else number
        if coloured:
            red, green, blue = values[-3:]
            colours[red, green, blue] = VOID if nothing else place
        if not nothing and place < VOID:
            names[place] = name
            lines += 1
    if not colours and void is not None and void == max(names, default=-1):
        del names[void]
        lines -= 1
    whole = tuple(names.get(place, str(place)) for place in range(max(names, default=-1) + 1))
    if len(set(whole)) != len(whole) or lines != len(names) or (colours and len(colours) < len(whole)):
        return (), {}
    return whole, colours


def _is_grey(raw: bytes) -> bool:
    """True for a mask of grey values, which are numbers and no colours."""
    try:
        with Image.open(io.BytesIO(raw)) as image:
            return image.mode in ("1", "L", "I", "I;16")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _is_binary(found: Mapping[str, bytes]) -> bool:
    """True where all masks that can be read hold 0 and 255 alone, and one of them both."""
    both = False
    for path, blob in found.items():
        try:
            values = np.unique(read_mask(blob, path))
        except InvalidInput:
            continue
        if not np.isin(values, (0, 255)).all():
            return False
        both |= len(values) == 2
    return both
