"""The drawings of causal reports: legible, complete, and the same in every colour scheme."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bayesight.bayes.rates import Estimate
from bayesight.errors import InvalidInput
from bayesight.report.figures import causal_graph, interval_rows

NS = "{http://www.w3.org/2000/svg}"


def boxes(svg):
    """Name to (left, top, right, bottom) of every node."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{NS}g"):
        title, rect = group.find(f"{NS}title"), group.find(f"{NS}rect")
        if title is not None:
            x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
            found[title.text] = (x, y, x + w, y + h)
    return found


def random_graph(seed):
    rng = np.random.default_rng(seed)
    names = [f"variable {i}" * int(rng.integers(1, 3)) for i in range(rng.integers(2, 12))]
    edges = [(a, b) for a, b in itertools.combinations(names, 2) if rng.random() < 0.35]
    return names, edges


@pytest.mark.parametrize("seed", range(15))
def test_boxes_do_not_overlap_and_causes_lie_left(seed):
    names, edges = random_graph(seed)
    svg = causal_graph(names, edges, treatment=names[0], outcome=names[-1])
    found = boxes(svg)
    assert set(found) == set(names)
    width, height = (float(v) for v in re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    for left, top, right, bottom in found.values():
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    for one, other in itertools.combinations(found.values(), 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart
    assert all(found[a][2] < found[b][0] for a, b in edges)


def test_marks_are_drawn():
    edges = [("Z", "T"), ("Z", "Y"), ("T", "Y"), ("U", "Y")]
    marks = {"treatment": "T", "outcome": "Y", "held": {"Z"}, "unobserved": {"U"}}
    svg = causal_graph(["Z", "T", "Y", "U"], edges, **marks)
    assert svg.count("stroke-dasharray") == 1
    assert svg.count("var(--c1") >= 1
    assert svg.count("var(--c3") == 1
    assert "Z causes T" in svg
    assert "#" not in re.sub(r"var\(--[\w-]+, #\w+\)", "", svg)  # no colour but by role


def test_names_of_strangers_stay_text():
    svg = causal_graph(["<script>", "b\x00"], [("<script>", "b\x00")])
    assert "<script>" not in svg
    ET.fromstring(svg)


def test_intervals_stand_where_their_numbers_are():
    low, high = Estimate(0.2, 0.1, 0.3), Estimate(0.6, 0.5, 0.7)
    svg = interval_rows(["a", "b"], [[low, high], [high, low]], zero=True)
    root = ET.fromstring(svg)
    x = [float(c.get("cx")) for c in root.iter(f"{NS}circle")]
    assert x[0] == x[3] < x[1] == x[2]
    with pytest.raises(InvalidInput, match="one or two of that length"):
        interval_rows(["a"], [[low, high]])
