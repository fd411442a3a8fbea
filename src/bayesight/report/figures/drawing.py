"""SVG by hand: its elements, and colours by role.

Elements are built as a tree and serialised, so whatever a name contains, the result is well-formed. A drawing
names roles, never colours: the page defines each role for light and dark as a CSS variable, and the fallback
reads on both, so that a figure saved on its own is legible too. The hues are told apart by colour-blind
readers, and nothing is told by hue alone. A figure sets attributes, not styles, which a page may forbid.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from markupsafe import Markup

from bayesight.report.words import clean

ROLES: Mapping[str, str] = MappingProxyType(
    {
        "ink": "currentColor",
        "muted": "var(--muted, #7b7b7b)",
        "grid": "var(--grid, #9c9c9c66)",
        "paper": "var(--paper, #ffffff)",
        "on-fill": "var(--on-fill, #ffffff)",
        "c1": "var(--c1, #2f86d1)",
        "c2": "var(--c2, #d9692b)",
        "c3": "var(--c3, #2a9d7c)",
        "c4": "var(--c4, #a268b8)",
    }
)
"""Role to CSS value."""

TEXT = 13.0
"""Size of the text in a figure, in CSS pixels at its own size."""

_SVG = "{http://www.w3.org/2000/svg}"
ET.register_namespace("", _SVG[1:-1])


def node(tag: str, *children: ET.Element | str, **attributes: str | float) -> ET.Element:
    """One element with its children, of which words come first; underscores in names stand for hyphens.

    ``fill`` and ``stroke`` are roles, ``none``, or left out.

    Example:
        >>> node("rect", x=1.5, stroke="c1", stroke_width=2).attrib
        {'x': '1.5', 'stroke': 'var(--c1, #2f86d1)', 'stroke-width': '2'}
    """
    for paint in {"fill", "stroke"} & attributes.keys():
        attributes[paint] = ROLES.get(str(attributes[paint]), attributes[paint])
    element = ET.Element(_SVG + tag, {name.replace("_", "-"): _plain(v) for name, v in attributes.items()})
    element.text = clean("".join(child for child in children if isinstance(child, str))) or None
    element.extend(child for child in children if not isinstance(child, str))
    return element


def text(
    x: float,
    y: float,
    words: str,
    *,
    role: str = "ink",
    anchor: str = "start",
    size: float = TEXT,
    **more: str,
) -> ET.Element:
    """A line of text whose baseline starts, is centred or ends at (x, y)."""
    return node("text", words, x=x, y=y, text_anchor=anchor, fill=role, font_size=size, **more)


def stroke(
    start: tuple[float, float],
    end: tuple[float, float],
    role: str,
    width: float,
    *,
    dash: str = "",
    **more: str | float,
) -> ET.Element:
    """A straight line between two points (x, y), its dashes and gaps in widths of the line."""
    ends = dict(zip(("x1", "y1", "x2", "y2"), map(float, (*start, *end)), strict=True))
    return node("line", **ends, stroke=role, stroke_width=width, **dashes(dash, width), **more)


def rect(x: float, y: float, width: float, height: float, **more: str | float) -> ET.Element:
    """A rectangle by its upper left corner."""
    return node("rect", x=x, y=y, width=width, height=height, **more)


def dot(x: float, y: float, role: str, radius: float = 5, *, ring: bool = False) -> ET.Element:
    """A round mark, filled with an edge of paper, or a ring."""
    fill, edge = ("paper", role) if ring else (role, "paper")
    return node(
        "circle", cx=float(x), cy=float(y), r=radius, fill=fill, stroke=edge, stroke_width=2 if ring else 1
    )


def dashes(pattern: str, width: float) -> dict[str, str]:
    """The attribute for lengths of dashes and gaps, given in widths of a line; none for a whole line."""
    lengths = " ".join(f"{float(part) * width:g}" for part in pattern.split())
    return {"stroke_dasharray": lengths} if lengths else {}


def picture(
    width: float, height: float, label: str, children: Iterable[ET.Element], **more: str | float
) -> Markup:
    """A whole SVG of ``width`` by ``height`` CSS pixels, with what a screen reader says in its place."""
    view, font = f"0 0 {_plain(width)} {_plain(height)}", "var(--font, system-ui, sans-serif)"
    said = {"role": "img", "aria_label": clean(label), "font_family": font}
    root = node("svg", *children, viewBox=view, width=width, height=height, **said, **more)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  # serialised, so escaped


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


def text_width(content: str, size: float = TEXT) -> float:
    """An upper estimate of the width of a line, in CSS pixels; East Asian characters count double."""
    return sum(1.0 if ord(c) > 0x2E7F else 0.62 for c in content) * size


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
