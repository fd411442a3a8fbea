"""A causal graph drawn in layers: causes on the left, effects on the right.

Layers by longest path, order within a layer by the mean place of neighbours, a few sweeps to and fro
(Sugiyama, Tagawa and Toda 1981, Methods for visual understanding of hierarchical system structures); arrows
that skip a layer run through places of their own, so that they go round what lies between.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Collection, Sequence
from itertools import combinations, pairwise
from statistics import fmean

from markupsafe import Markup

from bayesight.language import tr
from bayesight.report.figures.drawing import node, picture, rect, shorten, text, text_width

_HEIGHT, _GAP_X, _GAP_Y, _PAD, _SIZE = 34.0, 52.0, 26.0, 12.0, 14.0
_LONGEST = 18
_SWEEPS = 12


def causal_graph(
    nodes: Sequence[str],
    edges: Sequence[tuple[str, str]],
    *,
    treatment: str = "",
    outcome: str = "",
    held: Collection[str] = (),
    unobserved: Collection[str] = (),
) -> Markup:
    """Draw a graph without cycles.

    Args:
        nodes: names.
        edges: (cause, effect).
        treatment: the node filled in the first colour.
        outcome: the node filled in the second.
        held: nodes framed twice.
        unobserved: nodes with a dashed frame.

    Example:
        >>> svg = causal_graph(["Z", "T", "Y"], [("Z", "T"), ("Z", "Y"), ("T", "Y")], treatment="T")
        >>> svg.count("<path"), svg.count("<text")
        (6, 3)
    """
    ranks = _ranks(nodes, edges)
    chains = [_chain(a, b, ranks) for a, b in edges]
    layers = _ordered(nodes, ranks, chains)
    widths = {n: max(text_width(shorten(n, _LONGEST), _SIZE) + 2 * _PAD, 44.0) for n in nodes}
    places, size = _places(layers, widths)
    parts = [part for chain in chains for part in _arrow([places[p] for p in chain], widths, chain)]
    for n in nodes:
        fill = "c1" if n == treatment else "c2" if n == outcome else ""
        parts.append(_box(n, places[n], widths[n], fill, held=n in held, unobserved=n in unobserved))
    label = tr("causal graph: ") + ", ".join(tr("{a} causes {b}", a=a, b=b) for a, b in edges)
    return picture(*size, label, parts)


def _ranks(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Longest path from a cause without causes; such causes move up beside their first effect."""
    ranks = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for a, b in edges:
            ranks[b] = max(ranks[b], ranks[a] + 1)
    for n in nodes:
        effects = [ranks[b] for a, b in edges if a == n]
        if effects and not any(b == n for _, b in edges):
            ranks[n] = min(effects) - 1
    return ranks


def _chain(a: str, b: str, ranks: dict[str, int]) -> tuple[str, ...]:
    """An arrow's nodes: its ends, and a place of its own in every layer between."""
    return (a, *(f"\0{a}\0{b}\0{r}" for r in range(ranks[a] + 1, ranks[b])), b)


def _ordered(
    nodes: Sequence[str], ranks: dict[str, int], chains: Sequence[tuple[str, ...]]
) -> list[list[str]]:
    """Layers from left to right, each from top to bottom, with few crossings."""
    layers: list[list[str]] = [[] for _ in range(max(ranks.values()) + 1)]
    for n in nodes:
        layers[ranks[n]].append(n)
    for chain in chains:
        for r, place in enumerate(chain[1:-1], ranks[chain[0]] + 1):
            layers[r].append(place)
    steps = [step for chain in chains for step in pairwise(chain)]
    orders = [[list(layer) for layer in layers]]
    for sweep in range(_SWEEPS):
        for beside, layer in pairwise(layers if sweep % 2 == 0 else layers[::-1]):
            _sort_beside(layer, beside, steps)
        orders.append([list(layer) for layer in layers])
    return min(orders, key=lambda order: _crossings(order, steps))


def _sort_beside(layer: list[str], beside: list[str], steps: Sequence[tuple[str, str]]) -> None:
    """Order a layer by the mean place of each node's neighbours in the layer beside it."""
    at = {n: (i + 0.5) / len(beside) for i, n in enumerate(beside)}
    own = {n: (i + 0.5) / len(layer) for i, n in enumerate(layer)}
    near = {n: [at[m] for step in steps if n in step for m in step if m in at] for n in layer}
    layer.sort(key={n: fmean(near[n] or [own[n]]) for n in layer}.__getitem__)


def _crossings(layers: list[list[str]], steps: Sequence[tuple[str, str]]) -> int:
    at = {n: (r, i) for r, layer in enumerate(layers) for i, n in enumerate(layer)}
    placed = [(at[a], at[b]) for a, b in steps]
    return sum(
        a[0] == c[0] and (a[1] - c[1]) * (b[1] - d[1]) < 0 for (a, b), (c, d) in combinations(placed, 2)
    )


def _places(
    layers: list[list[str]], widths: dict[str, float]
) -> tuple[dict[str, tuple[float, float]], tuple[float, float]]:
    """Centre of every node and of every bend, and the size of the whole."""
    places, x = {}, 6.0
    tallest = max(len(layer) for layer in layers)
    height = tallest * _HEIGHT + (tallest - 1) * _GAP_Y + 12
    for layer in layers:
        wide = max(widths.get(n, 0.0) for n in layer)
        pitch = (height - 12) / len(layer)
        for i, n in enumerate(layer):
            places[n] = (x + wide / 2, 6 + pitch * (i + 0.5))
        x += wide + _GAP_X
    return places, (x - _GAP_X + 6, height)


def _box(
    name: str, place: tuple[float, float], width: float, fill: str, *, held: bool, unobserved: bool
) -> ET.Element:
    x, y = place

    def frame(room: float, **look: str | float) -> ET.Element:
        half, up = (width + room) / 2, (_HEIGHT + room) / 2
        return rect(x - half, y - up, 2 * half, 2 * up, rx=8, **look)

    dashed = {"stroke_dasharray": "4 3"} if unobserved else {}
    parts = [
        node("title", name),
        frame(0, fill=fill or "paper", stroke=fill or "muted", stroke_width=1.5, **dashed),
    ]
    if held:
        parts.append(frame(2, fill="none", stroke="c3", stroke_width=2.5))
    role = "on-fill" if fill else "muted" if unobserved else "ink"
    words = text(x, y + 5, shorten(name, _LONGEST), role=role, anchor="middle", size=_SIZE)
    return node("g", *parts, words)


def _arrow(
    points: list[tuple[float, float]], widths: dict[str, float], chain: tuple[str, ...]
) -> list[ET.Element]:
    """A curve through the points from box to box, and its head."""
    start = _edge_of(points[0], points[1], widths[chain[0]])
    end = _edge_of(points[-1], points[-2], widths[chain[-1]])
    d, before = f"M{start[0]:.1f} {start[1]:.1f}", start
    if len(points) == 2:
        d += f"L{end[0]:.1f} {end[1]:.1f}"
    else:
        for (x1, y1), (x2, y2) in pairwise([start, *points[1:-1], end]):
            middle = (x1 + x2) / 2
            d += f"C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        before = (end[0] - 10, end[1])
    angle = math.atan2(end[1] - before[1], end[0] - before[0])
    corners = ((end[0] + 9 * math.cos(a), end[1] + 9 * math.sin(a)) for a in (angle + 2.7, angle - 2.7))
    head = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (end, *corners)) + "z"
    line = node("path", d=d, fill="none", stroke="muted", stroke_width=1.6)
    return [line, node("path", d=head, fill="muted")]


def _edge_of(centre: tuple[float, float], towards: tuple[float, float], width: float) -> tuple[float, float]:
    """The place a little outside of a box that the line from its centre leaves it by."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    half_w, half_h = width / 2 + 3, _HEIGHT / 2 + 3
    scale = min(half_w / abs(dx) if dx else math.inf, half_h / abs(dy) if dy else math.inf, 1.0)
    return centre[0] + dx * scale, centre[1] + dy * scale
