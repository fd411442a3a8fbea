"""What a page is made of, between data and HTML: a section becomes a few of these, a template draws each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bayesight.report.figures.lines import Line, style_of

__all__ = [
    "Alternatives",
    "Beside",
    "Block",
    "Card",
    "Cell",
    "Chart",
    "Column",
    "Facts",
    "Fold",
    "Gallery",
    "Grid",
    "Items",
    "Key",
    "Option",
    "Section",
    "Step",
    "Story",
    "TableBlock",
    "Tile",
    "Tiles",
    "Words",
    "line_keys",
]


@dataclass(frozen=True)
class Words:
    """Paragraphs of plain text; ``quiet`` ones are set smaller."""

    paragraphs: tuple[str, ...]
    quiet: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    sentences: tuple[str, ...]
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

    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Key:
    """One entry of a legend: the role of its colour, the shape of its mark, its name.

    ``mark`` is one of line, dashes, dot, ring, band, tick.
    """

    role: str
    mark: str
    name: str


def line_keys(lines: Sequence[Line]) -> tuple[Key, ...]:
    """The legend of a chart of lines."""
    styles = (style_of(number) for number in range(len(lines)))
    return tuple(
        Key(role, "dashes" if dash else "line", line.name)
        for (role, dash), line in zip(styles, lines, strict=True)
    )


@dataclass(frozen=True)
class Chart:
    """A figure: an SVG element of our own, its legend, a caption; one that scrolls keeps its width."""

    svg: str
    keys: tuple[Key, ...] = ()
    caption: str = ""
    scrolls: bool = False


@dataclass(frozen=True)
class Facts:
    """Terms with their values."""

    items: tuple[tuple[str, str], ...]


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

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str


@dataclass(frozen=True)
class Card:
    """A picture as a data URI, what a screen reader says of it, and lines below it."""

    uri: str
    alt: str
    title: str
    lines: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures in rows."""

    cards: tuple[Card, ...]


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

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Grid:
    """Figures side by side where there is room."""

    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class Beside:
    """A figure with words beside it."""

    chart: Chart
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Fold:
    """Blocks that unfold."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Option:
    """One of several alternatives."""

    name: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Alternatives:
    """Alternatives of which the reader picks one, without a script.

    Attributes:
        question: what is chosen.
        options: the alternatives.
        first: index of the one shown first.
    """

    question: str
    options: tuple[Option, ...]
    first: int = 0


Block: TypeAlias = (
    Words | Items | Tiles | Chart | Facts | TableBlock | Gallery | Story | Grid | Beside | Fold | Alternatives
)
"""Anything that can stand on a page."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    heading: str
    blocks: tuple[Block, ...]

    def with_note(self, note: str) -> Section:
        """The section with a further paragraph; an empty one adds nothing."""
        return replace(self, blocks=(*self.blocks, Words((note,)))) if note else self
