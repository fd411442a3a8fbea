"""Annotations of images: masks, boxes, key points and questions, out of the formats that people have them in.

```
masks/NAME.png            grey or palette values are class numbers; colours by a table
Annotations/NAME.xml      Pascal VOC: boxes with names
instances.json            COCO: boxes and key points of many images
questions.jsonl           one {"image": …, "question": …, "answer": …} a line
```

Each reader takes the bytes of a file, from whoever, and gives what it holds with its faults: annotations that
had to be left out, each with a reason. Only a file of which nothing can be read is refused.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

import numpy as np
from PIL import Image

from bayesight.checks import check
from bayesight.data.rasters import PIXEL_LIMIT
from bayesight.errors import InvalidInput, shown
from bayesight.language import marked
from bayesight.names import MISSING
from bayesight.types import FloatArray, ImageArray, IntArray

MOST_BOXES = 10_000
"""Boxes of one image that are read; more are no annotation but an attack, or a mistake."""
_LONGEST = 10_000  # characters of a question
_ENDS = ("xmin", "ymin", "xmax", "ymax")
_FARTHEST = 1e9  # pixels of any picture
_MOST_POINTS = 1_000
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Skeleton:
    """The key points that things of a class have.

    Args:
        points: (P,) their names.
        lines: pairs of points, from 0 on, that are drawn with a line between them.
    """

    points: tuple[str, ...] = ()
    lines: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Annotated:
    """The boxes of one image, and their key points where they have any.

    Args:
        image: the name of its file, as the annotation has it.
        size: (height, width) in pixels as the annotation has it; None where it says nothing.
        names: (G,) classes of the boxes.
        boxes: (G, 4) left, top, right, bottom in pixels, from the outer edge of the first pixel on.
        difficult: (G,) boxes that need not be found.
        points: (G, P, 3) key points: x, y, and whether each is there; P is 0 where there are none.
        faults: what had to be left out, and why.
        skeleton: names of the points, and the lines between them.
    """

    image: str
    size: tuple[int, int] | None
    names: tuple[str, ...]
    boxes: FloatArray
    difficult: IntArray
    points: FloatArray
    faults: tuple[str, ...] = ()
    skeleton: Skeleton = Skeleton()


@dataclass(frozen=True)
class Question:
    """A question about an image.

    Args:
        image: the name of its file.
        question: what is asked.
        answer: the answer that is right; empty where none is given.
        kind: of the question, such as "relational"; empty where none is given.
    """

    image: str
    question: str
    answer: str = ""
    kind: str = ""


@dataclass
class _Gathered:
    """The boxes of an image while they are read."""

    image: str
    size: tuple[int, int] | None
    skeleton: Skeleton = Skeleton()
    names: list[str] = field(default_factory=list)
    boxes: list[Sequence[float]] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)
    points: list[FloatArray] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(
        self, name: str, box: Sequence[float], *, difficult: bool, points: FloatArray | None = None
    ) -> None:
        """A box, unless it is none or there are too many."""
        fault = _fault_of(name, box, self.size)
        if len(self.boxes) >= MOST_BOXES:
            fault = marked(f"more than {MOST_BOXES:,} boxes")
        if fault:
            self.faults.append(fault)
            return
        self.names.append(name)
        self.boxes.append(box)
        self.difficult.append(difficult)
        points = np.zeros((len(self.skeleton.points), 3)) if points is None else points
        if self.size is not None:
            inside = ((points[:, :2] >= 0) & (points[:, :2] <= self.size[::-1])).all(axis=1)
            for k in np.flatnonzero(~inside & (points[:, 2] > 0)).tolist():
                told = "{} at {:g}, {:g}".format(self.skeleton.points[k], *points[k, :2])
                self.faults.append(marked(f"{told}: outside the picture of {self.size[1]}x{self.size[0]}"))
                points[k, 2] = 0
        self.points.append(points)

    def done(self) -> Annotated:
        """All that was gathered."""
        count = len(self.boxes)
        boxes = np.array(self.boxes, dtype=float).reshape(count, 4)
        if self.size is not None:
            height, width = self.size
            boxes = np.clip(boxes, 0, [width, height, width, height])
        points = np.array(self.points, dtype=float).reshape(count, len(self.skeleton.points), 3)
        difficult = np.array(self.difficult, dtype=bool)
        return Annotated(
            self.image,
            self.size,
            tuple(self.names),
            boxes,
            difficult,
            points,
            tuple(self.faults),
            self.skeleton,
        )


def read_voc(content: bytes, where: str) -> Annotated:
    """The boxes of one image, as Pascal VOC writes them: pixels from 1 on, both ends inside.

    Args:
        content: of the XML file.
        where: its name, for messages.

    Raises:
        InvalidInput: no XML, one that declares entities, or no annotation.
    """
    check(b"<!" not in content.replace(b"<!--", b""), where, "a document type or entities", "plain XML")
    try:
        root = fromstring(content)  # noqa: S314 - entities are refused above
    except (ParseError, ValueError, LookupError) as problem:
        raise InvalidInput(
            f"{where}: not XML ({problem}); expected an annotation of Pascal VOC."
        ) from problem
    check(root.tag == "annotation", where, f"<{root.tag}>", "<annotation>, as Pascal VOC has it")
    size = None
    height, width = (_number(root, f"size/{side}") for side in ("height", "width"))
    if height > 0 and width > 0:
        size = (int(height), int(width))
    found = _Gathered(root.findtext("filename", "").strip(), size)
    for thing in root.iter("object"):
        left, top, right, bottom = (_number(thing, f"bndbox/{end}") for end in _ENDS)
        name = thing.findtext("name", "").strip()
        hard = _number(thing, "difficult") == 1
        found.add(name, (left - 1, top - 1, right, bottom), difficult=hard)
    return found.done()


def read_coco(content: bytes, where: str) -> list[Annotated]:
    """The boxes and key points of many images, as COCO writes them: left, top, width, height.

    Crowds of things are boxes that need not be found.

    Args:
        content: of the JSON file.
        where: its name, for messages.

    Raises:
        InvalidInput: no JSON, one that is cut off, or one without images, categories and annotations.
    """
    tree = _json(content, where)
    lists: dict[str, list[Any]] = {}
    for name in ("images", "categories", "annotations"):
        found = tree.get(name) if isinstance(tree, Mapping) else None
        want = "images, categories and annotations of COCO"
        check(isinstance(found, list), where, f"no list {name!r}", want)
        lists[name] = list(found or ())
    categories = {one["id"]: one for one in lists["categories"] if _has(one, "id", "name")}
    skeletons = [_skeleton(one) for one in categories.values()]
    skeleton = max(skeletons, key=lambda one: len(one.points), default=Skeleton())
    gathered: dict[Any, _Gathered] = {}
    for one in lists["images"]:
        if _has(one, "id", "file_name"):
            sides = _numbers([one.get("height"), one.get("width")], 2)
            size = (int(sides[0]), int(sides[1])) if sides and min(sides) >= 1 else None
            gathered[one["id"]] = _Gathered(str(one["file_name"]), size, skeleton)
    lost: list[str] = []
    for one in lists["annotations"]:
        image = gathered.get(one.get("image_id")) if _has(one, "image_id", "category_id", "bbox") else None
        if image is None:
            lost.append(
                marked(
                    f"annotation {shown(one.get('id') if isinstance(one, Mapping) else one)} has no "
                    "image or box"
                )
            )
            continue
        category, box = categories.get(one["category_id"], {}), _numbers(one["bbox"], 4)
        if box is None:
            image.faults.append(marked(f"box {shown(one['bbox'])}"))
            continue
        left, top, width, height = box
        marks, count = one.get("keypoints"), len(skeleton.points)
        points = _points(marks, count)
        if marks and points is None and count:
            many = f"{len(marks)} values" if isinstance(marks, list) else shown(marks)
            image.faults.append(marked(f"key points of {many}; expected {3 * count} numbers"))
        image.add(
            str(category.get("name", "")),
            (left, top, left + width, top + height),
            difficult=one.get("iscrowd") == 1,
            points=points,
        )
    read = [image.done() for image in gathered.values()]
    return [*read, _Gathered("", None, skeleton, faults=lost).done()] if lost else read


def read_questions(content: bytes, where: str) -> tuple[list[Question], list[str]]:
    """Questions, a line of JSON each, and what had to be left out.

    Args:
        content: UTF-8.
        where: its name, for messages.

    Raises:
        InvalidInput: not UTF-8, or no line that is a question.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as problem:
        at = content[: problem.start].count(b"\n") + 1
        raise InvalidInput(f"{where}, line {at:,}: not UTF-8; expected lines of JSON in UTF-8.") from problem
    found, faults = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = _json(line.encode(), f"line {number:,}")
        except InvalidInput as problem:
            faults.append(str(problem))
            continue
        known = {name: one.get(name, "") if isinstance(one, Mapping) else None for name in _QUESTION}
        wrong = [name for name, value in known.items() if not isinstance(value, str | int | float)]
        if wrong or not (known["image"] and known["question"]) or len(str(known["question"])) > _LONGEST:
            faults.append(marked(f"line {number:,}: expected image, question and answer as texts"))
            continue
        asked = Question(*(str(known[name]).strip() for name in _QUESTION))
        found.append(replace(asked, answer="") if asked.answer in MISSING else asked)
    check(
        bool(found),
        where,
        f"{len(lines):,} lines without a question",
        '{"image": …, "question": …, "answer": …}',
    )
    return found, faults


_QUESTION = ("image", "question", "answer", "kind")


def read_mask(
    blob: bytes,
    where: str,
    *,
    size: tuple[int, int] | None = None,
    colours: Mapping[tuple[int, int, int], int] | None = None,
) -> ImageArray:
    """The class number of every pixel: uint8 (H, W).

    Args:
        blob: of an image file without loss: grey, palette, or in colours of a table.
        where: its name, for messages.
        size: (height, width) of its picture; None takes any.
        colours: the class of each colour (red, green, blue); None takes grey and palette values themselves.

    Raises:
        InvalidInput: no image, one of another size, in colours without a table, or of values that are none.
    """
    try:
        with Image.open(io.BytesIO(blob)) as image:
            pixels = image.width * image.height
            check(pixels <= PIXEL_LIMIT, where, f"{pixels:,} pixels", f"{PIXEL_LIMIT:,} at most")
            lossy = image.format in ("JPEG", "MPO", "JPEG2000")
            check(not lossy, where, f"a mask as {image.format}, which changes class numbers", "one as PNG")
            fits, came = size in (None, image.size[::-1]), f"a mask of {image.width}x{image.height}"
            check(fits, where, came, "{1}x{0}, the size of its picture".format(*(size or (0, 0))))
            grey = colours is None and image.mode in ("1", "L", "P", "I;16", "I")
            mask = np.asarray(image if grey else image.convert("RGB"))
    except InvalidInput:
        raise
    except Exception as problem:
        raise InvalidInput(f"{where}: cannot be read as an image ({problem}); expected a mask.") from problem
    if colours is not None:
        return _of_colours(mask, colours, where)
    if not grey:  # equal values of red, green and blue are grey ones, as many programs save them
        want = "class numbers as grey or palette values, or a table of colours"
        check(bool((mask == mask[..., :1]).all()), where, "a mask in colours", want)
        mask = mask[..., 0]
    highest = mask.max(initial=0)
    check(highest < 256, where, f"the value {highest}", "class numbers from 0 to 255")
    return mask.astype(np.uint8)


def _of_colours(pixels: ImageArray, colours: Mapping[tuple[int, int, int], int], where: str) -> ImageArray:
    """Colours (H, W, 3) by a table."""
    packed = pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    kinds, place = np.unique(packed, return_inverse=True)
    table = {(red << 16) + (green << 8) + blue: number for (red, green, blue), number in colours.items()}
    wrong = [int(kind) for kind in kinds if int(kind) not in table]
    came = f"the colour #{wrong[0]:06x}" if wrong else ""
    check(not wrong, where, came, f"one of the {len(table)} colours of its table")
    numbers = np.array([table[int(kind)] for kind in kinds], np.uint8)
    mask: ImageArray = numbers[place].reshape(packed.shape)
    return mask


def _fault_of(name: str, box: Sequence[float], size: tuple[int, int] | None) -> str:
    """The reason why this is no box of a class, or nothing."""
    if not name:
        return marked("a box without a class")
    left, top, right, bottom = box
    told = "{} at {:g}, {:g} to {:g}, {:g}".format(name, *box)
    if not all(math.isfinite(end) for end in box):
        return marked(f"{name}: a box whose ends are no numbers")
    if right <= left or bottom <= top:
        return marked(f"{told}: a box without area")
    if size is not None and (left >= size[1] or top >= size[0] or right <= 0 or bottom <= 0):
        return marked(f"{told}: outside the picture of {size[1]}x{size[0]}")
    return ""


def _number(tree: Element, path: str) -> float:
    """The number at a path; NaN where there is none."""
    try:
        return float(tree.findtext(path, "nan"))
    except ValueError:
        return math.nan


def _numbers(values: Any, count: int) -> list[float] | None:
    """So many numbers, or nothing."""
    if not isinstance(values, list) or len(values) != count:
        return None
    plain = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return [float(value) for value in values] if plain and max(map(abs, values)) <= _FARTHEST else None


def _points(values: Any, count: int) -> FloatArray | None:
    """Key points (P, 3) out of COCO's list, visibility as 0 or 1; nothing where there are none."""
    numbers = _numbers(values, 3 * count) if count else None
    if numbers is None:
        return None
    points = np.array(numbers).reshape(count, 3)
    points[:, 2] = points[:, 2] > 0
    return points


def _skeleton(category: Mapping[str, Any]) -> Skeleton:
    """The key points of a category, and the lines between them, counted from 1 in COCO."""
    named, pairs = category.get("keypoints"), category.get("skeleton")
    if not isinstance(named, list) or len(named) > _MOST_POINTS:
        return Skeleton()
    each = [_numbers(pair, 2) for pair in pairs] if isinstance(pairs, list) else []
    lines = [(int(pair[0]) - 1, int(pair[1]) - 1) for pair in each if pair is not None]
    known = [pair for pair in lines if min(pair) >= 0 and max(pair) < len(named)]
    return Skeleton(tuple(str(name)[:_LONGEST_NAME] for name in named), tuple(known[: 10 * _MOST_POINTS]))


def _has(one: Any, *names: str) -> bool:
    """A mapping with these entries, of which those called an id can be looked up."""
    plain = isinstance(one, Mapping) and all(name in one for name in names)
    return plain and all(isinstance(one[n], int | str) for n in names if n.endswith("id"))


def _json(content: bytes, where: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as problem:  # also a file that is cut off, or 5,000 brackets
        raise InvalidInput(f"{where}: not JSON ({problem}); expected a whole document.") from problem
