"""SVG by hand, for what needs no axes: bars, cells and dots.

Elements are built as a tree and serialised, so whatever a name contains, the result is well-formed.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from bayesight.report.figures.ink import css
from bayesight.report.words import clean

__all__ = [
    "FONT",
    "SVG",
    "dashes",
    "group",
    "node",
    "picture",
    "serialise",
    "shorten",
    "stroke",
    "text",
    "text_width",
    "width_of",
]

SVG = "{http://www.w3.org/2000/svg}"
FONT = "var(--font, system-ui, sans-serif)"

ET.register_namespace("", SVG[1:-1])


def node(tag: str, **attributes: str | float) -> ET.Element:
    """One element; underscores in attribute names stand for hyphens, numbers keep two decimals.

    Example:
        >>> serialise(node("rect", x=1.5, stroke_width=2))
        '<rect xmlns="http://www.w3.org/2000/svg" x="1.5" stroke-width="2" />'
    """
    plain = {name.rstrip("_").replace("_", "-"): _plain(value) for name, value in attributes.items()}
    return ET.Element(SVG + tag, plain)


def group(children: Iterable[ET.Element], **attributes: str | float) -> ET.Element:
    """A ``<g>`` around ``children``."""
    element = node("g", **attributes)
    element.extend(children)
    return element


def text(
    x: float,
    y: float,
    content: str,
    *,
    role: str = "ink",
    anchor: str = "start",
    size: float = 13.0,
    **more: str,
) -> ET.Element:
    """A line of text whose baseline starts, is centred or ends at (x, y)."""
    style = f"fill:{css(role)};font-size:{size:g}px;font-variant-numeric:tabular-nums"
    element = node("text", x=x, y=y, text_anchor=anchor, style=style, **more)
    element.text = clean(content)
    return element


def stroke(
    start: tuple[float, float],
    end: tuple[float, float],
    role: str,
    width: float,
    *,
    dash: str = "",
    more: str = "",
) -> ET.Element:
    """A straight line from (x, y) to (x, y).

    Args:
        start: CSS pixels.
        end: CSS pixels.
        role: its colour.
        width: CSS pixels.
        dash: lengths of dashes and gaps, in widths of the line.
        more: further declarations of style, as "stroke-linecap:round".
    """
    style = f"stroke:{css(role)};stroke-width:{width:g}" + (more and f";{more}")
    (x1, y1), (x2, y2) = start, end
    dashed = {"stroke_dasharray": dashes(dash, width)} if dash else {}
    return node("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), style=style, **dashed)


def dashes(pattern: str, width: float) -> str:
    """Lengths of dashes and gaps in CSS pixels, from those in widths of a line."""
    return " ".join(f"{float(part) * width:g}" for part in pattern.split())


def picture(width: float, height: float, label: str, children: Iterable[ET.Element]) -> str:
    """A whole SVG of ``width`` by ``height`` CSS pixels, with what a screen reader says in its place."""
    view = f"0 0 {_plain(width)} {_plain(height)}"
    root = node("svg", viewBox=view, width=width, height=height, role="img", style=f"font-family:{FONT}")
    root.set("aria-label", clean(label))
    root.extend(children)
    return serialise(root)


def serialise(root: ET.Element) -> str:
    """The element as text."""
    return ET.tostring(root, encoding="unicode")


def width_of(svg: str) -> float:
    """The width of a figure in CSS pixels, at its own size.

    Example:
        >>> width_of(picture(420, 10, "nothing", []))
        420.0
    """
    return float(svg.split('viewBox="', 1)[1].split(" ", 3)[2])


def shorten(name: str, limit: int) -> str:
    """``name`` cut in the middle to at most ``limit`` characters: both ends tell classes apart.

    Example:
        >>> shorten("golden retriever", 9)
        'gold…ever'
    """
    name = clean(name)
    if len(name) <= limit:
        return name
    head = limit // 2
    return f"{name[:head]}…{name[len(name) - (limit - head - 1) :]}"


def text_width(content: str, size: float = 13.0) -> float:
    """An upper estimate of the width of a line, in CSS pixels; East Asian characters count double."""
    return sum(1.0 if ord(c) > 0x2E7F else 0.62 for c in content) * size


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
