"""Images with their annotations, from a folder or an archive: paired, brought to one frame, faults named.

```
images/NAME.jpg       masks/NAME.png            a mask for each image
JPEGImages/NAME.jpg   Annotations/NAME.xml      boxes of each image (Pascal VOC)
NAME.jpg              instances.json            boxes or key points of many images (COCO)
NAME.jpg              questions.jsonl           questions about many images
```

Folders ``train``, ``val`` and ``test`` around these are parts. Whatever cannot be used is left out and named;
only a source in which nothing is left is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from bayesight.checks import check
from bayesight.data.archives import read_files
from bayesight.data.dataset import as_input, gather
from bayesight.data.decode import PixelBudget
from bayesight.data.foldernames import MASK_ENDINGS, is_container, is_mask, roles
from bayesight.data.formats import promises_image
from bayesight.data.framing import ImageSpec, asked_frame, choose, commonest_size
from bayesight.data.manifest import digests_of
from bayesight.data.rasters import Raster, RasterRefusal
from bayesight.data.sources import AS_STORED, ContainerOptions, find_source
from bayesight.errors import InvalidInput, SourceUnreadable
from bayesight.frame import Frame, Placing
from bayesight.language import marked
from bayesight.types import ImageArray, IntArray, Progress

R = TypeVar("R")
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)

MOST_BYTES = 8 << 30
"""Pixels of all images that are held in memory, at most."""
MOST_SHOWN = 4096
"""Pixels of the longer side of an image that an answer is drawn on, at most."""
_TABLES = frozenset(("txt", "csv"))
_MARK = re.compile(rf"[ _.-](?:(?i:(?:{MASK_ENDINGS}|label)s?|labelids)|L)$")
_PLURALS = {
    marked("picture"): marked("pictures"),
    marked("annotation"): marked("annotations"),
    marked("pair"): marked("pairs"),
    marked("entry"): marked("entries"),
}
"""Kinds of faults."""
_WITHOUT = {
    "masks": marked("no masks"),
    "boxes": marked("no boxes"),
    "key points": marked("no key points"),
    "questions": marked("no questions"),
}
"""Faults of pictures, by what their reader reads."""
_NAMED = 3  # faults of one kind that are named; the others are counted


@dataclass(frozen=True)
class Fault:
    """Something that takes no part.

    Args:
        path: the file inside the source.
        reason: why, as a phrase.
        kind: faults of one kind are told together: "picture", "annotation", "pair" or "entry".
    """

    path: str
    reason: str
    kind: str = "annotation"


@dataclass(frozen=True, eq=False)
class Found(Generic[R]):
    """One image's annotation as it was read.

    Args:
        image: the image's file as the annotation names it; empty where it is the one of the same name.
        raw: what was read.
        faults: entries that had to be left out, and why.
    """

    image: str
    raw: R
    faults: tuple[str, ...] = ()


class AnnotationReader(Protocol[R, A_co]):
    """A kind of annotation: the files it is in, what they say, and its place in a frame."""

    @property
    def what(self) -> str:
        """The annotations in a word, for messages: masks, boxes, questions."""

    def holds(self, path: str) -> bool:
        """True for the name of a file of such annotations."""

    def read(self, path: str, blob: bytes) -> Sequence[Found[R]]:
        """The annotations in a file; raises ``InvalidInput`` where nothing of it can be read."""

    def settled(self, found: Mapping[str, R], tables: Mapping[str, bytes]) -> AnnotationReader[R, A_co]:
        """The reader for annotations such as these, (by path) and tables of classes beside them."""

    def place(self, path: str, raw: R, placing: Placing) -> A_co:
        """The annotation in the pixels of the frame; raises ``InvalidInput`` where it is not its image's."""


@dataclass(frozen=True, eq=False)
class AnnotatedImages(Generic[A]):
    """Images in one frame, with their annotations in its pixels.

    Args:
        source: where they come from.
        frame: size and mode of all.
        paths: (N,) of the image files inside the source.
        pixels: uint8 (N, H, W) or (N, H, W, 3).
        placings: (N,) each image's place in the frame.
        annotations: (N,).
        parts: (N,) "train", "validation", "test", or empty.
        reader: as it was settled.
        faults: what takes no part.
        content_hash: SHA-256 over the files that do.
    """

    source: str
    frame: Frame
    paths: tuple[str, ...]
    pixels: ImageArray
    placings: tuple[Placing, ...]
    annotations: tuple[A, ...]
    parts: tuple[str, ...]
    reader: AnnotationReader[Any, A]
    faults: tuple[Fault, ...] = field(repr=False)
    content_hash: str

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (1 if self.frame.mode == "L" else 3), self.frame.height, self.frame.width

    @property
    def digests(self) -> ImageArray:
        """(N, 16); equal rows mean identical images."""
        return digests_of(one.tobytes() for one in self.pixels)

    @property
    def repeated(self) -> int:
        """Images that are there more than once, the first of each not counted."""
        return len(self) - len(np.unique(self.digests, axis=0))

    @property
    def notes(self) -> tuple[str, ...]:
        """Files that take no part, counted, in sentences; the first of each kind by name."""
        told = []
        for kind in dict.fromkeys(fault.kind for fault in self.faults):
            same = [fault for fault in self.faults if fault.kind == kind]
            some = "; ".join(f"{fault.path}: {fault.reason}" for fault in same[:_NAMED])
            if len(same) > _NAMED:
                some = f"{some}; {marked(f'and {len(same) - _NAMED:,} more')}"
            kinds = kind if len(same) == 1 else _PLURALS[kind]
            told.append(marked(f"left out {len(same):,} {kinds}: {some}"))
        return tuple(told)

    def at(self, rows: IntArray | Sequence[int]) -> AnnotatedImages[A]:
        """Those of the images, in the order of the rows."""
        chosen = [int(row) for row in rows]
        return replace(
            self,
            paths=tuple(self.paths[i] for i in chosen),
            pixels=self.pixels[chosen],
            placings=tuple(self.placings[i] for i in chosen),
            annotations=tuple(self.annotations[i] for i in chosen),
            parts=tuple(self.parts[i] for i in chosen),
        )

    def part(self, name: str) -> AnnotatedImages[A]:
        """Those of one part."""
        return self.at([row for row, part in enumerate(self.parts) if part == name])

    def joined(self, other: AnnotatedImages[A]) -> AnnotatedImages[A]:
        """Both, of one frame."""
        return replace(
            self,
            paths=self.paths + other.paths,
            pixels=np.concatenate([self.pixels, other.pixels]),
            placings=self.placings + other.placings,
            annotations=self.annotations + other.annotations,
            parts=self.parts + other.parts,
            faults=self.faults + other.faults,
        )

    def tensor(self, rows: IntArray | slice = slice(None), dtype: torch.dtype = torch.float32) -> Tensor:
        """Images (B, C, H, W) in [0, 1]."""
        return as_tensor(self.pixels[rows], dtype)

    def facts(self) -> dict[str, Any]:
        """The source as a run's metrics name it."""
        return {
            "source": self.source,
            "kind": "annotated",
            "content_hash": self.content_hash,
            "images": len(self),
            "left_out": len(self.faults),
        }


def as_tensor(pixels: ImageArray, dtype: torch.dtype = torch.float32) -> Tensor:
    """Images uint8 (B, H, W) or (B, H, W, 3) as (B, C, H, W) in [0, 1]."""
    return as_input(gather(pixels, np.arange(len(pixels))), dtype)


def picture_of(blob: bytes, frame: Frame) -> tuple[ImageArray, Placing]:
    """An image file's pixels in a frame, and its place there.

    Raises:
        RasterRefusal: it cannot be read.
    """
    raster = Raster.open(blob)
    own = raster.own
    return raster.fitted(frame)[0], Placing.of((own.height, own.width), frame)


def own_picture(blob: bytes) -> ImageArray:
    """An image file's pixels in its own size, (h, w) or (h, w, 3); a very large one scaled down to be shown.

    Raises:
        RasterRefusal: it cannot be read.
    """
    raster = Raster.open(blob)
    own = raster.own
    return raster.fitted(_scaled(own, own.height, own.width, MOST_SHOWN))[0]


def _scaled(frame: Frame, height: int, width: int, longest: int) -> Frame:
    """A frame of a size, scaled down where its longer side is longer than so many pixels."""
    scale = min(1.0, longest / max(height, width))
    return replace(frame, height=max(1, round(height * scale)), width=max(1, round(width * scale)))


def open_annotated(
    path: str | Path,
    reader: AnnotationReader[R, A],
    spec: ImageSpec,
    *,
    longest: int = 320,
    container: ContainerOptions = AS_STORED,
    progress: Progress | None = None,
) -> AnnotatedImages[A]:
    """Read images with their annotations.

    Args:
        path: a folder or an archive.
        reader: of the annotations.
        spec: size, mode and fit; None each for what most images have.
        longest: where no size is asked for, the side in pixels that larger images are scaled down to.
        container: how names in archives are encoded, and whether links are followed.
        progress: told how many images are decoded.

    Raises:
        SourceNotFound, SourceUnreadable: nothing there, or no image with an annotation in it.
        InvalidInput: more images than memory holds at this size.
    """
    source = find_source(path, labelled=False, options=container)
    check(source.kind != "idx", str(path), "IDX data, which hold no annotations", "a folder or an archive")
    files, lost = read_files(
        source, lambda name: promises_image(name) or reader.holds(name) or _is_table(name)
    )
    faults = [
        Fault(one.path, one.reason, "picture" if not reader.holds(one.path) else "annotation") for one in lost
    ]
    pictures = {name: blob for name, blob in files.items() if promises_image(name) and not reader.holds(name)}
    raws = _annotations(files, pictures, reader, faults)
    tables = {name: blob for name, blob in files.items() if _is_table(name) and not reader.holds(name)}
    reader = reader.settled({name: found.raw for name, found in raws.items()}, tables)
    faults += [Fault(name, _WITHOUT[reader.what], "picture") for name in pictures if name not in raws]
    sizes = _sizes({name: blob for name, blob in pictures.items() if name in raws}, faults)
    if not sizes:
        why = f": {faults[0].path}: {faults[0].reason}" if faults else ""
        raise SourceUnreadable(
            f"{path} holds no image with {reader.what}{why}; expected images beside {reader.what}, as in "
            "docs/guide/image-tasks.md"
        )
    frame = _frame(spec, Counter(sizes.values()), longest)
    came = f"{len(sizes):,} images of {frame.height}x{frame.width}"
    fits = len(sizes) * frame.size_bytes <= MOST_BYTES
    check(fits, str(path), came, f"{MOST_BYTES >> 30} GiB of pixels at most", "State a smaller --size.")
    rows = list(_placed(Path(path), pictures, sizes, raws, reader, frame, faults, progress))
    if not rows:
        raise SourceUnreadable(
            f"{path} holds no image whose {reader.what} can be used: {faults[-1].path}: {faults[-1].reason}"
        )
    names, pixels, placings, annotations = zip(*rows, strict=True)
    known = hashlib.sha256()
    for name in sorted(files):
        known.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    return AnnotatedImages(
        str(path),
        frame,
        names,
        np.stack(pixels),
        placings,
        annotations,
        tuple(map(_part_of, names)),
        reader,
        tuple(faults),
        known.hexdigest(),
    )


def _annotations(
    files: Mapping[str, bytes],
    pictures: Mapping[str, bytes],
    reader: AnnotationReader[R, A],
    faults: list[Fault],
) -> dict[str, Found[R]]:
    """The annotation of each image by its path; those without one are faults."""
    by_key, by_name = {_key(name): name for name in pictures}, _Names(pictures)
    raws: dict[str, Found[R]] = {}
    for path in files:
        if not reader.holds(path):
            continue
        try:
            read = reader.read(path, files[path])
        except InvalidInput as problem:
            faults.append(Fault(path, str(problem).removeprefix(f"{path}: "), "annotation"))
            continue
        for found in read:
            faults += [Fault(path, reason, "entry") for reason in found.faults]
            image = by_name.of(found.image, path) if found.image else None
            if image is None and len(read) == 1:
                image = by_key.get(_key(path)) or by_key.get(_key(path, marked=True))
            if image is None:
                faults.append(
                    Fault(
                        path,
                        marked(f"no image {found.image}") if found.image else marked("no image of its name"),
                    )
                )
            elif image in raws:
                faults.append(Fault(path, marked(f"{image} has {reader.what} already")))
            else:
                raws[image] = found
    return raws


class _Names:
    """Images by the ways in which an annotation may name them: the end of a path, or a bare name."""

    def __init__(self, paths: Mapping[str, bytes]) -> None:
        self.paths = paths
        self.ends: dict[str, list[str]] = {}
        for path in paths:
            self.ends.setdefault(PurePosixPath(path).name, []).append(path)

    def of(self, image: str, beside: str) -> str | None:
        """The one image meant by a name in the file ``beside``; None where there is none, or several.

        Where no path ends as the name does, an annotation has folders of another place: the one image of that
        bare name is meant then, unless the two are of different parts.
        """
        wanted = image.replace("\\", "/").lstrip("./")
        near = str(PurePosixPath(beside).parent / wanted)
        if near in self.paths:
            return near
        named = self.ends.get(PurePosixPath(wanted).name, [])
        candidates = [path for path in named if f"/{path}".endswith(f"/{wanted}")]
        if not candidates:
            candidates = [path for path in named if _part_of(wanted) in ("", _part_of(path))]
        same = [path for path in candidates if _part_of(path) == _part_of(beside)]
        chosen = same or candidates
        return chosen[0] if len(chosen) == 1 else None


def _sizes(pictures: Mapping[str, bytes], faults: list[Fault]) -> dict[str, Frame]:
    """The own frame of each image that is one."""
    sizes = {}
    for name, blob in pictures.items():
        try:
            sizes[name] = Raster.open(blob).own
        except RasterRefusal as problem:
            faults.append(Fault(name, str(problem), "picture"))
    return sizes


def _frame(spec: ImageSpec, seen: Counter[Frame], longest: int) -> Frame:
    """The frame asked for, or the images' own, scaled down where it is large."""
    frame = choose(spec, seen)
    if spec.size is not None:
        return frame
    return asked_frame(spec, _scaled(frame, *commonest_size(seen)[0], longest))


def _placed(
    source: Path,
    pictures: Mapping[str, bytes],
    sizes: Mapping[str, Frame],
    raws: Mapping[str, Found[R]],
    reader: AnnotationReader[R, A],
    frame: Frame,
    faults: list[Fault],
    progress: Progress | None,
) -> Iterator[tuple[str, ImageArray, Placing, A]]:
    """Each image that can be decoded, with an annotation that is its own."""
    budget = PixelBudget(source)
    for number, (name, own) in enumerate(sizes.items(), 1):
        budget.earn([pictures[name]])
        budget.spend(own.pixels)
        try:
            pixels, placing = picture_of(pictures[name], frame)
            yield name, pixels, placing, reader.place(name, raws[name].raw, placing)
        except RasterRefusal as problem:
            faults.append(Fault(name, str(problem), "picture"))
        except InvalidInput as problem:
            faults.append(Fault(name, str(problem).removeprefix(f"{name}: "), "pair"))
        if progress is not None:
            progress(number, len(sizes))


def _is_table(path: str) -> bool:
    """True for a small table of classes: classes.txt, labels.csv, label_colors.txt."""
    name = PurePosixPath(path)
    return name.suffix[1:].lower() in _TABLES and name.stem.lower().startswith(("class", "label"))


def _key(path: str, *, marked: bool = False) -> tuple[str, ...]:
    """The part of a path that images and annotations share: folders but the one of their kind, and the stem.

    Example:
        >>> _key("set/images/7.jpg"), _key("set/masks/7_mask.png", marked=True)
        (('set', '7'), ('set', '7'))
    """
    *folders, name = PurePosixPath(path).parts
    kept = [one for one in folders if not (is_container(one) or is_mask(one, weakly=True))]
    stem = PurePosixPath(name).stem
    return *kept, _MARK.sub("", stem) if marked else stem


def _part_of(path: str) -> str:
    """The part that a path lies in; empty for none in particular."""
    return next(iter(roles(PurePosixPath(path).parts[:-1]).values()), "")
