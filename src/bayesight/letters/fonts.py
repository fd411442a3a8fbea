"""Font files: where they are, which of them draw the characters asked for, and why the others do not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

from bayesight.checks import existing_path
from bayesight.formatting import percent
from bayesight.types import Progress

SYSTEM = "system"
"""Asks for the operating system's fonts too; a folder of that name is ``./system``."""

_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc", ".pfb")
_DRAWN_PX = 64
_LOOK_PX = 14
_LEAST_ALIKE = 0.4
_FEWEST_TO_COMPARE = 5


@dataclass(frozen=True)
class Font:
    """A font file that draws every character asked for.

    Args:
        path: the file.
        family: its family and style, as the file gives them ("DejaVu Sans Bold").
        licence: what the file says about its licence, on one line; empty if it says nothing.
    """

    path: Path
    family: str
    licence: str


@dataclass(frozen=True)
class LeftOut:
    """A font file that is not used, and why."""

    path: Path
    reason: str


class _Unusable(Exception):
    """Why a font is left out."""


def find_fonts(where: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
    """Font files that came with the installation, or below a folder, sorted by file name.

    Args:
        where: None for the fonts in matplotlib's package, the same on every machine; ``"system"`` for these
            and the operating system's; else a folder of font files or a font file.

    Raises:
        SourceNotFound: the folder does not exist.

    Example:
        >>> any(path.name == "DejaVuSans.ttf" for path in find_fonts())
        True
    """
    if where is None:
        places = [_shipped()]
    else:
        places = [_shipped(), *_system_places()] if where == SYSTEM else [existing_path(where)]
    found = {path.resolve() for place in places for path in _below(place)}
    return tuple(sorted(found, key=lambda path: (path.name, str(path))))


def usable_fonts(
    paths: Iterable[Path], characters: str, progress: Progress | None = None
) -> tuple[tuple[Font, ...], tuple[LeftOut, ...]]:
    """Which fonts draw every character, each in a shape of its own; and why the others are left out.

    Left out is a file that cannot be opened; that lacks a character, or draws the box of a missing one; that
    draws all characters alike; that draws the very shapes of an earlier file; and a symbol font: one whose
    shapes, compared with those of matplotlib's own text fonts, are seldom nearest to the character they stand
    for. The last is asked only of characters those fonts have, and where at least five are to be drawn.

    Args:
        paths: font files, in the order of preference.
        characters: what must be drawn.
        progress: called with (files looked at, files in all).
    """
    files = tuple(paths)
    reference = _reference(characters)
    used: list[Font] = []
    left_out: list[LeftOut] = []
    seen: dict[bytes, Path] = {}
    for done, path in enumerate(files, 1):
        try:
            shapes = _shapes(path, characters)
            _require_letters(shapes, reference)
            twin = seen.setdefault(shapes.tobytes(), path)
            if twin is not path:
                raise _Unusable(f"draws the same shapes as {twin}")
            used.append(_described(path))
        except _Unusable as error:
            left_out.append(LeftOut(path, str(error)))
        if progress:
            progress(done, len(files))
    return tuple(used), tuple(left_out)


def draw(font: ImageFont.FreeTypeFont, character: str) -> NDArray[np.uint8]:
    """The character's ink (H, W), cropped to it; an empty array when there is none.

    Raises:
        OSError: the font is broken at this character.
    """
    mask = font.getmask(character, mode="L")
    ink = np.frombuffer(bytes(mask), dtype=np.uint8).reshape(mask.size[1], mask.size[0])
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return np.zeros((0, 0), dtype=np.uint8)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _shipped() -> Path:
    """The folder of fonts in matplotlib's package."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def _system_places() -> list[Path]:
    """The folders in which the operating system and the user keep fonts."""
    home = Path.home()
    system = {
        "darwin": [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"],
        "win32": [
            Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",
            home / "AppData/Local/Microsoft/Windows/Fonts",
        ],
    }
    unix = [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".local/share/fonts",
        home / ".fonts",
    ]
    return system.get(sys.platform, unix)


def _below(place: Path) -> list[Path]:
    """Font files in a folder and all below it, or the file itself."""
    if place.is_file():
        return [place]
    return [
        Path(folder, name)
        for folder, _, names in os.walk(place)
        for name in names
        if name.lower().endswith(_SUFFIXES)
    ]


def _shapes(path: Path, characters: str) -> NDArray[np.float32]:
    """Every character stretched to a small square, (K, 14, 14) in [0, 255]; refuses a font that lacks one."""
    _require_in_charmap(path, characters)
    try:
        font = ImageFont.truetype(str(path), _DRAWN_PX)
        drawn = [draw(font, character) for character in characters]
        missing = draw(font, "\U0010fffe")  # never a character, so this is the box of a missing one
    except Exception as error:
        raise _Unusable(f"cannot be drawn: {error}") from error
    empty = [
        c for c, ink in zip(characters, drawn, strict=True) if not ink.size or np.array_equal(ink, missing)
    ]
    if empty:
        raise _Unusable(f"draws nothing for {_listed(empty)}")
    if len(drawn) > 1 and all(np.array_equal(ink, drawn[0]) for ink in drawn[1:]):
        raise _Unusable("draws every character alike")
    size = (_LOOK_PX, _LOOK_PX)
    return np.stack([np.asarray(Image.fromarray(ink).resize(size), dtype=np.float32) for ink in drawn])


def _require_in_charmap(path: Path, characters: str) -> None:
    """Refuse a font whose character map lacks one of them."""
    from matplotlib.ft2font import FT2Font

    try:
        charmap = FT2Font(str(path)).get_charmap()
    except Exception as error:
        raise _Unusable(f"cannot be opened: {str(error).splitlines()[0]}") from error
    missing = [character for character in characters if not charmap.get(ord(character))]
    if missing:
        raise _Unusable(f"has no {_listed(missing)}")


def _require_letters(shapes: NDArray[np.float32], reference: NDArray[np.float32] | None) -> None:
    """Refuse shapes that are seldom nearest to the character they stand for."""
    if reference is None:
        return
    alike = np.einsum("ixy,jxy->ij", _standardised(shapes), reference)
    right = float(np.mean(alike.argmax(axis=1) == np.arange(len(shapes))))
    if right < _LEAST_ALIKE:
        raise _Unusable(f"symbols: only {percent(right, 0)} of its shapes resemble their characters")


def _reference(characters: str) -> NDArray[np.float32] | None:
    """The mean shape of each character in matplotlib's text fonts; None where there is nothing to compare."""
    if len(characters) < _FEWEST_TO_COMPARE:
        return None
    shapes = []
    for name in (
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSerif",
        "DejaVuSerif-Italic",
        "cmr10",
        "STIXGeneral",
    ):
        try:
            shapes.append(_standardised(_shapes(_shipped() / f"{name}.ttf", characters)))
        except _Unusable:
            continue
    return _standardised(np.mean(shapes, axis=0)) if shapes else None


def _standardised(shapes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each shape with mean 0 and norm 1, so that products are correlations."""
    centred = shapes - shapes.mean(axis=(1, 2), keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(norm, 1e-6), dtype=np.float32)


def _described(path: Path) -> Font:
    """The words of the file about itself (OpenType name table: 13 is the licence, 14 its address)."""
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(path))
    names = {}
    for (platform, _, language, kind), raw in sorted(font.get_sfnt().items()):
        if kind in (13, 14) and (platform != 3 or language == 0x409):
            names[kind] = raw.decode("utf-16-be" if platform in (0, 3) else "mac-roman", "replace")
    licence = " ".join(" ".join(names[kind].split()) for kind in sorted(names))
    return Font(path, " ".join(f"{font.family_name} {font.style_name}".split()), licence[:300])


def _listed(characters: Sequence[str]) -> str:
    """At most five characters, quoted."""
    more = f" and {len(characters) - 5} more" if len(characters) > 5 else ""
    return ", ".join(repr(character) for character in characters[:5]) + more
