"""A chart with axes: matplotlib draws it, and it leaves as one small SVG element for a page.

matplotlib never sees the words of a label, which may hold what its font or its formula parser cannot digest:
they travel through it veiled, as ASCII, and are put in place afterwards.
"""

from __future__ import annotations

import functools
import io
import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bayesight.report.figures.drawing import FONT, SVG, serialise
from bayesight.report.figures.ink import stand_in, with_css
from bayesight.report.words import clean, rate

__all__ = ["HEIGHT", "TEXT", "WIDTH", "chart", "isolated", "percent_axis", "to_svg", "veiled"]

WIDTH, HEIGHT = 420, 290
"""Size of a chart in CSS pixels; the page scales it down on a narrow screen."""

TEXT = 13.0
"""Size of the text in a chart, in CSS pixels at its own size."""

_XLINK = "{http://www.w3.org/1999/xlink}href"
_SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "bayesight"}
_VEIL = "veil"
_LOCK = threading.RLock()  # matplotlib's settings belong to the whole process

_P = ParamSpec("_P")


def isolated(draw: Callable[_P, str]) -> Callable[_P, str]:
    """Let ``draw`` see matplotlib's own defaults, whatever the user's settings are, and leave those alone."""

    @functools.wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> str:
        defaults: dict[Any, Any] = {k: v for k, v in matplotlib.rcParamsDefault.items() if "backend" not in k}
        with _LOCK, matplotlib.rc_context(defaults | _SETTINGS):
            return draw(*args, **kwargs)

    return drawn


def chart(
    x_label: str,
    y_label: str,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    left: int = 58,
    bottom: int = 48,
    top: int = 36,
) -> tuple[Figure, Axes]:
    """An empty chart in the house style; the label of the vertical axis stands above it, to be read upright.

    Args:
        x_label: quantity and unit of the horizontal axis.
        y_label: quantity and unit of the vertical axis.
        width: in CSS pixels.
        height: in CSS pixels.
        left: room for the tick labels of the vertical axis, in CSS pixels.
        bottom: room for the tick labels and the label of the horizontal axis.
        top: room for the label of the vertical axis, and for names of marks below it.
    """
    figure = Figure(figsize=(width / 72, height / 72))
    right = 18
    box = (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    axes = figure.add_axes(box)
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(stand_in("muted"))
    axes.tick_params(length=0, labelsize=TEXT, labelcolor=stand_in("muted"), pad=7)
    axes.grid(axis="y", color=stand_in("grid"), linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(veiled(x_label), fontsize=TEXT, color=stand_in("ink"), labelpad=8)
    figure.text(4 / width, 1 - 14 / height, veiled(y_label), fontsize=TEXT, color=stand_in("ink"))
    return figure, axes


def veiled(words: str) -> str:
    """``words`` as ASCII without a meaning to matplotlib; ``to_svg`` puts the words back.

    Example:
        >>> veiled("a$")
        'veil6124'
    """
    return _VEIL + clean(words).encode().hex()


def percent_axis(axes: Axes, which: str) -> None:
    """Show the fractions along axis ``which`` ("x" or "y") in per cent."""
    getattr(axes, f"{which}axis").set_major_formatter(FuncFormatter(lambda value, _: rate(value)))


def to_svg(figure: Figure, label: str, uid: str) -> str:
    """The figure as an SVG element that can stand among others on a page.

    Args:
        figure: drawn with stand-ins for colours.
        label: what a screen reader says in its place.
        uid: prefix of its ids, unique on the page.

    Returns:
        One ``<svg>`` element, deterministic, its colours given by role, its font by the page.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - written by matplotlib a line above
    _strip(root)
    used = _references(root)
    for element in root.iter():
        _rewrite(element, uid, used)
    for name in ("width", "height", "version"):
        del root.attrib[name]
    box = root.get("viewBox", "").split()
    root.attrib |= {"role": "img", "aria-label": clean(label), "width": box[2], "height": box[3]}
    root.attrib |= {"style": f"font-family:{FONT}", "stroke-linejoin": "round", "stroke-linecap": "butt"}
    return serialise(root)


def _strip(root: ET.Element) -> None:
    """Take out metadata and the style sheet, which would reach beyond this figure into the page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{SVG}metadata", f"{SVG}style"}:
                parent.remove(child)
        parent.text = parent.text.strip() if parent.text and parent.text.strip() else None
        parent.tail = None


def _references(root: ET.Element) -> set[str]:
    """The ids that something in the figure points to."""
    text = " ".join(value for element in root.iter() for value in element.attrib.values())
    linked = {element.attrib[_XLINK][1:] for element in root.iter() if _XLINK in element.attrib}
    return linked | set(re.findall(r"url\(#([^)]+)\)", text))


def _rewrite(element: ET.Element, uid: str, used: set[str]) -> None:
    """Give one element ids of its figure, colours by role and the font of the page."""
    a = element.attrib
    if element.text and element.text.startswith(_VEIL):
        element.text = bytes.fromhex(element.text.removeprefix(_VEIL)).decode()
    if "id" in a:
        identity = a.pop("id")
        if identity in used:
            a["id"] = f"{uid}-{identity}"
    if _XLINK in a:
        a["href"] = f"#{uid}-{a.pop(_XLINK)[1:]}"
    if "clip-path" in a:
        a["clip-path"] = a["clip-path"].replace("url(#", f"url(#{uid}-")
    if "style" in a:
        a["style"] = with_css(re.sub(r"\s*font-family:[^;]*;?", "", a["style"]))
    if "d" in a:
        a["d"] = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}", " ".join(a["d"].split()))
    if a.get("transform", "").startswith("rotate(-0 "):
        del a["transform"]
