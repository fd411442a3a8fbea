"""Archives like notMNIST, rendered from font files: white ink on black, each glyph filling its box.

How notMNIST fills the box was measured on 8,000 of its letters: 99 % touch the top and the bottom, 94 % the
left and the right side too, a plain I is a white square, and edges overshoot as a windowed-sinc reduction
does. So glyphs are drawn large, cropped to their ink, and width and height are scaled to the image apart.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import os
import secrets
import tarfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageFont

from bayesight.checks import check
from bayesight.data.codecs import png_of
from bayesight.errors import InvalidConfig, InvalidInput, StorageFailed
from bayesight.letters.fonts import Font, LeftOut, draw, find_fonts, usable_fonts
from bayesight.letters.styles import CANVAS_PER_PIXEL, fill_box, vary
from bayesight.progress import reporter
from bayesight.seeding import numpy_generator, torch_generator
from bayesight.types import ImageArray, IntArray, Progress, ShownProgress

_CHUNK_CANVAS_PIXELS = 128 * 98 * 98
_SUFFIXES = (".tar.gz", ".tgz")
_NARROWEST = 0.5


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """The options of rendering: which characters, how many, how large.

    Args:
        characters: the classes, one character each.
        images_per_class: how many of each, spread evenly over the fonts.
        fonts: a folder of font files or a font file; None for the fixed set that comes with the
            installation, "system" for these and the operating system's.
        size: side of the images in pixels, in [8, 256].
        seed: every random choice follows from it.
        label_noise: share of the images, in [0, 1), that are filed under another class, drawn evenly.
        variation: in [0, 1]; 0 draws every font as it is, so that its images of a character are all alike.

    Raises:
        InvalidConfig: all that is wrong, at once.
    """

    characters: str = "ABCDEFGHIJ"
    images_per_class: int = 300
    fonts: str | os.PathLike[str] | None = None
    size: int = 28
    seed: int = 0
    label_noise: float = 0.0
    variation: float = 1.0

    def __post_init__(self) -> None:
        problems = [_character_problem(c) for c in self.characters]
        twice = sorted({c for c in self.characters if self.characters.count(c) > 1})
        if not self.characters:
            problems.append("characters: none given; expected at least one, such as 'ABC'")
        if twice:
            problems.append(f"characters: {', '.join(map(repr, twice))} given more than once; expected once")
        if self.images_per_class < 1:
            problems.append(f"images_per_class: got {self.images_per_class}, expected at least 1")
        if not 8 <= self.size <= 256:
            nearest = min(max(self.size, 8), 256)
            problems.append(f"size: got {self.size}, expected a side in [8, 256]; the nearest is {nearest}")
        if not 0 <= self.label_noise < 1:
            problems.append(f"label_noise: got {self.label_noise:g}, expected a share in [0, 1)")
        if self.label_noise and len(self.characters) == 1:
            problems.append("label_noise: there is one class; expected two or more to confuse")
        if not 0 <= self.variation <= 1:
            problems.append(f"variation: got {self.variation:g}, expected an amount in [0, 1]")
        if found := [problem for problem in problems if problem]:
            raise InvalidConfig("render", found)


@dataclass(frozen=True)
class RenderedImages:
    """Rendered images in memory.

    Args:
        images: (N, size, size) uint8, class after class.
        labels: (N,) the class each is filed under, wrong ones included.
        true_labels: (N,) the character each really shows.
        font_of: (N,) index into ``fonts``.
        classes: folder names, in the order of the labels.
        fonts: the fonts used.
        left_out: the fonts not used, with reasons.
    """

    images: ImageArray
    labels: IntArray
    true_labels: IntArray
    font_of: IntArray
    classes: tuple[str, ...]
    fonts: tuple[Font, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class RenderSummary:
    """The contents of a rendered archive.

    Args:
        path: the archive.
        examples: number of images.
        counts: images in each class's folder.
        fonts: the fonts used.
        left_out: the fonts not used, with reasons.
        mislabelled: number of images filed under another class.
    """

    path: Path
    examples: int
    counts: dict[str, int]
    fonts: tuple[Font, ...]
    left_out: tuple[LeftOut, ...]
    mislabelled: int


@dataclass(frozen=True)
class _Plan:
    """Every image to be made, class after class: true class, folder and font of each."""

    options: RenderOptions
    classes: tuple[str, ...]
    fonts: tuple[Font, ...]
    left_out: tuple[LeftOut, ...]
    true_labels: IntArray
    labels: IntArray
    font_of: IntArray


def render_arrays(options: RenderOptions | None = None, *, progress: ShownProgress = None) -> RenderedImages:
    """Render into memory.

    Args:
        options: what is rendered; None for 300 each of A to J.
        progress: called with (images made, images in all).

    Raises:
        SourceNotFound: the folder of fonts does not exist.
        InvalidInput: no font draws all the characters; the reasons are named.

    Example:
        >>> made = render_arrays(RenderOptions(characters="AB", images_per_class=3, seed=1))
        >>> made.images.shape, made.labels.tolist(), made.classes
        ((6, 28, 28), [0, 0, 0, 1, 1, 1], ('A', 'B'))
    """
    progress = reporter(progress, "rendering")
    plan = _plan(options or RenderOptions())
    images = np.empty((len(plan.labels), plan.options.size, plan.options.size), dtype=np.uint8)
    for places, drawn in _chunks(plan, progress):
        images[places] = drawn
    return RenderedImages(
        images, plan.labels, plan.true_labels, plan.font_of, plan.classes, plan.fonts, plan.left_out
    )


def render(
    out: str | os.PathLike[str],
    options: RenderOptions | None = None,
    *,
    overwrite: bool = False,
    progress: ShownProgress = None,
) -> RenderSummary:
    """Render into an archive laid out like notMNIST: ``TOP/CLASS/BASE64-OF-FONT-number.png``.

    Beside the class folders lies ``TOP/fonts.csv``: for every font found its file, family and licence, how
    many images it gave, which of them are filed under another class, and why it was left out if it was. The
    same options with the same fonts give the same bytes. The archive is written under another name and takes
    its own when it is complete.

    Args:
        out: the archive, ``.tar.gz`` or ``.tgz``; its folder is made if need be.
        options: what is rendered; None for 300 each of A to J.
        overwrite: replace a file that is there.
        progress: called with (images made, images in all).

    Raises:
        InvalidInput: another suffix, or no font draws all the characters.
        SourceNotFound: the folder of fonts does not exist.
        StorageFailed: a file is there already, or the disk is full or not writable.
    """
    progress = reporter(progress, "rendering")
    target = Path(os.path.normpath(Path.cwd() / Path(out).expanduser()))
    suffix = next((s for s in _SUFFIXES if target.name.lower().endswith(s)), "")
    check(bool(suffix), "render", f"the name {target.name!r}", "one that ends in .tar.gz")
    if target.exists() and not overwrite:
        raise StorageFailed(
            f"{target}: is there already; expected a new name. Pass --overwrite to replace it."
        )
    plan = _plan(options or RenderOptions())
    top = target.name[: -len(suffix)] or "glyphs"
    with _replacing(target) as file, _archive(file) as archive:
        for places, drawn in _chunks(plan, progress):
            for place, image in zip(places, drawn, strict=True):
                _add(archive, f"{top}/{_member(plan, int(place))}", png_of(image))
        _add(archive, f"{top}/fonts.csv", _fonts_csv(plan).encode())
    counts = np.bincount(plan.labels, minlength=len(plan.classes)).tolist()
    wrong = int((plan.labels != plan.true_labels).sum())
    return RenderSummary(
        target,
        len(plan.labels),
        dict(zip(plan.classes, counts, strict=True)),
        plan.fonts,
        plan.left_out,
        wrong,
    )


def folder_names(characters: Sequence[str]) -> tuple[str, ...]:
    """A folder name for each character, all different even where a file system ignores case.

    A capital, a digit, or a letter of a script without case is its own name. A small letter ``a`` is
    ``a_small``, because macOS and Windows would put it in the folder of ``A``. Whatever may not stand in a
    file name on some system, or clashes with another of the characters, is named by its code: ``U+002F``.

    Example:
        >>> folder_names("Aa3/")
        ('A', 'a_small', '3', 'U+002F')
    """
    names = [_folder_name(character) for character in characters]
    folded = [unicodedata.normalize("NFKC", name).casefold() for name in names]
    return tuple(
        name if folded.count(fold) == 1 else f"U+{ord(character):04X}"
        for character, name, fold in zip(characters, names, folded, strict=True)
    )


def _folder_name(character: str) -> str:
    if not character.isalnum() or unicodedata.normalize("NFC", character) != character:
        return f"U+{ord(character):04X}"
    return character if character == character.upper() else f"{character}_small"


def _character_problem(character: str) -> str:
    """The fault of a character, or nothing."""
    if character.isspace() or unicodedata.category(character)[0] in "CMZ":
        return f"characters: {character!r} (U+{ord(character):04X}) draws no ink of its own; leave it out"
    return ""


def _plan(options: RenderOptions) -> _Plan:
    """Choose fonts and labels of all images."""
    fonts, left_out = usable_fonts(find_fonts(options.fonts), options.characters)
    if not fonts:
        reasons = (
            "; ".join(f"{font.path.name} {font.reason}" for font in left_out[:3]) or "no font file found"
        )
        raise InvalidInput(
            f"render: no font draws all of {options.characters!r} ({reasons}); expected at least one. "
            "Try --fonts system, give --fonts a folder with fonts that do, or ask for fewer characters."
        )
    classes, each = len(options.characters), options.images_per_class
    rounds = -(-each // len(fonts))
    random = numpy_generator(options.seed, "render", "fonts")
    # every font once before any font twice, in an order of its own for each class and round
    order = random.permuted(np.tile(np.arange(len(fonts)), (classes, rounds, 1)), axis=2)
    font_of = order.reshape(classes, -1)[:, :each].ravel()
    true_labels = np.repeat(np.arange(classes), each)
    labels = _mislabelled(true_labels, classes, options)
    return _Plan(
        options,
        folder_names(options.characters),
        fonts,
        left_out,
        true_labels,
        labels,
        font_of.astype(np.int64),
    )


def _mislabelled(true_labels: IntArray, classes: int, options: RenderOptions) -> IntArray:
    """The labels with the asked share of them moved to another class, each other class as likely."""
    random = numpy_generator(options.seed, "render", "label noise")
    labels = true_labels.copy()
    wrong = random.choice(len(labels), round(options.label_noise * len(labels)), replace=False)
    if len(wrong):
        labels[wrong] = (labels[wrong] + random.integers(1, classes, len(wrong))) % classes
    return labels


def _chunks(plan: _Plan, progress: Progress | None) -> Iterator[tuple[IntArray, ImageArray]]:
    """Places and images, font after font, so that each font file is opened once."""
    options = plan.options
    canvas = round(options.size * CANVAS_PER_PIXEL)
    order = np.argsort(plan.font_of, kind="stable")
    generator = torch_generator(options.seed, "render", "glyphs")
    step = max(1, _CHUNK_CANVAS_PIXELS // canvas**2)
    for start in range(0, len(order), step):
        places = order[start : start + step]
        ink = np.stack([_on_canvas(plan, int(place), canvas) for place in places])
        varied = vary(torch.from_numpy(ink).float() / 255, options.variation, generator)
        images = fill_box(varied, options.size).mul(255).round().to(torch.uint8).numpy()
        yield places, images
        if progress:
            progress(start + len(places), len(order))


def _on_canvas(plan: _Plan, place: int, canvas: int) -> ImageArray:
    """The glyph of one image in the middle of a canvas, with room around to bend and grow."""
    path = plan.fonts[plan.font_of[place]].path
    return _drawn(str(path), plan.options.characters[plan.true_labels[place]], canvas)


@lru_cache(maxsize=256)
def _drawn(path: str, character: str, canvas: int) -> ImageArray:
    """A glyph seven tenths of the canvas high or wide; a narrow one is widened, to have pixels to show."""
    ink = Image.fromarray(np.ascontiguousarray(draw(_font(path, round(canvas * 1.4)), character)))
    room = canvas * 0.7
    scale = room / max(ink.size)
    width, height = (max(round(side * scale), round(room * _NARROWEST)) for side in ink.size)
    placed = Image.new("L", (canvas, canvas))
    placed.paste(
        ink.resize((width, height), Image.Resampling.BOX), ((canvas - width) // 2, (canvas - height) // 2)
    )
    return np.asarray(placed)


@lru_cache(maxsize=8)
def _font(path: str, size_px: int) -> ImageFont.FreeTypeFont:
    """An open font; few at a time, for each holds its file open."""
    return ImageFont.truetype(path, size_px)


def _member(plan: _Plan, place: int) -> str:
    """Folder and file name of an image. The number makes it unique; 120 bytes keep it within every limit."""
    name = plan.fonts[plan.font_of[place]].path.name.encode("utf-8", "surrogateescape")[:120]
    return f"{plan.classes[plan.labels[place]]}/{base64.urlsafe_b64encode(name).decode()}-{place:06d}.png"


def _fonts_csv(plan: _Plan) -> str:
    """One row for every font found."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "family", "licence", "images", "wrong_labels", "left_out"])
    wrong = np.flatnonzero(plan.labels != plan.true_labels)
    for number, font in enumerate(plan.fonts):
        mine = [i for i in wrong.tolist() if plan.font_of[i] == number]
        shown = "; ".join(f"{_member(plan, i)} shows {plan.classes[plan.true_labels[i]]}" for i in mine)
        images = int((plan.font_of == number).sum())
        writer.writerow([_text(font.path), font.family, font.licence, images, shown, ""])
    for left in plan.left_out:
        writer.writerow([_text(left.path), "", "", 0, "", left.reason])
    return text.getvalue()


def _text(path: Path) -> str:
    """A path that can be written as UTF-8, whatever bytes it holds."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a member that says nothing of when and by whom it was made."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@contextmanager
def _archive(file: BinaryIO) -> Iterator[tarfile.TarFile]:
    """A tar.gz without time stamps."""
    with (
        gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        yield archive


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A file that takes the target's place when all went well, and is gone when not."""
    temporary = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or error
        raise StorageFailed(
            f"{target}: could not be written ({reason}); expected a writable folder with space left. "
            "Free some space or choose another."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
