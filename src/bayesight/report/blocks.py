"""The parts of a page, between data and HTML: a section becomes a few of these, a template draws each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from markupsafe import Markup

from bayesight.report.figures.lines import Line, style_of
from bayesight.types import ImageArray


@dataclass(frozen=True)
class Words:
    """Paragraphs of plain text; ``quiet`` ones are set smaller."""

    paragraphs: Sequence[str]
    quiet: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    sentences: Sequence[str]
    ordered: bool = False


@dataclass(frozen=True)
class Tile:
    """One large figure with its name and its interval or meaning."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Tiles:
    """Large figures in a row."""

    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Key:
    """One entry of a legend: the role of its colour, the shape of its mark, its name.

    ``mark`` is one of line, dashes, dot, ring, band, tick.
    """

    role: str
    mark: str
    name: str


def line_keys(lines: Sequence[Line]) -> list[Key]:
    """The legend of a chart of lines."""
    styles = (style_of(number) for number in range(len(lines)))
    return [
        Key(role, "dashes" if dash else "line", line.name)
        for (role, dash), line in zip(styles, lines, strict=True)
    ]


@dataclass(frozen=True)
class Chart:
    """A figure: an SVG element of our own, its legend, a caption; one that scrolls keeps its width."""

    svg: Markup
    keys: Sequence[Key] = ()
    caption: str = ""
    scrolls: bool = False


@dataclass(frozen=True)
class Facts:
    """Terms with their values."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what stands large and what stands small beneath it."""

    text: str
    detail: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its name, what it means in one line, and whether it holds numbers."""

    name: str
    meaning: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class TableBlock:
    """A table whose first column names its rows."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str


@dataclass(frozen=True, eq=False)
class Card:
    """A picture uint8 (H, W) or (H, W, 3), lines below it, and what a screen reader says, if not these."""

    image: ImageArray
    title: str = ""
    lines: Sequence[str] = ()
    path: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures in rows: small ones pixel by pixel, or ``wide`` ones with room to be read."""

    cards: Sequence[Card]
    wide: bool = False


@dataclass(frozen=True)
class Step:
    """One step: what was done, what came of it, its command line, its duration in seconds."""

    title: str
    words: str
    command: str = ""
    elapsed_s: float | None = None


@dataclass(frozen=True)
class Story:
    """Numbered steps."""

    steps: Sequence[Step]


@dataclass(frozen=True)
class Grid:
    """Figures side by side where there is room."""

    charts: Sequence[Chart]


@dataclass(frozen=True)
class Beside:
    """A figure with words beside it."""

    chart: Chart
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Fold:
    """Blocks that unfold."""

    summary: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Alternatives:
    """Alternatives by name, of which the reader picks one, without a script; the first is shown first."""

    question: str
    options: Sequence[tuple[str, Sequence[Block]]]


Block: TypeAlias = (
    Words | Items | Tiles | Chart | Facts | TableBlock | Gallery | Story | Grid | Beside | Fold | Alternatives
)
"""Anything that can stand on a page."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    heading: str
    blocks: Sequence[Block]

    def with_note(self, note: str) -> Section:
        """The section with a further paragraph; an empty one adds nothing."""
        return replace(self, blocks=[*self.blocks, Words([note])]) if note else self
