"""Named lines: well-formed, told apart without colour, never over each other's names."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bayesight.errors import InvalidInput
from bayesight.report.figures import Line, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def chart(*lines):
    return ET.fromstring(line_chart(lines, "step", "loss", named=True))


def test_every_line_is_named_and_no_two_names_meet():
    x = np.arange(5)
    lines = [Line(f"arm {n}", x, x * 0.0 + 0.5 + 0.001 * n) for n in range(6)]
    names = [node for node in chart(*lines).iter(SVG + "text") if (node.text or "").startswith("arm")]
    assert sorted(node.text for node in names) == [f"arm {n}" for n in range(6)]
    heights = sorted(float(node.get("y")) for node in names)
    assert min(np.diff(heights)) >= 15
    assert 0 < heights[0] < heights[-1] < 320


def test_lines_are_told_apart_by_more_than_colour():
    x = np.arange(3)
    paths = [
        node
        for node in chart(*(Line(str(n), x, x + n) for n in range(8))).iter(SVG + "path")
        if node.get("stroke-linejoin")
    ]
    looks = {(node.get("stroke"), node.get("stroke-dasharray")) for node in paths}
    assert len(paths) == len(looks) == 8


def test_a_wide_range_of_positive_values_is_drawn_by_factors():
    narrow = line_chart([Line("a", [0, 1, 2], [1, 2, 3])], "step", "loss")
    wide = line_chart([Line("a", [0, 1, 2], [0.01, 0.1, 1])], "step", "loss")
    ends = [
        re.search(r'd="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', svg)
        for svg in (narrow, wide)
    ]
    for found in ends:  # equal differences, and equal factors, are equally far apart
        y = [float(found[k]) for k in (2, 4, 6)]
        assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.02)


def test_an_arm_that_came_to_nothing_is_named_and_leaves_the_others_their_places():
    x, nothing = np.arange(3), np.full(3, np.nan)
    both = line_chart(
        [Line("lost", x, nothing), Line("kept", x, [0.01, 0.1, 1.234])], "step", "loss", named=True
    )
    assert "nan" not in both
    assert {"lost", "kept"} <= {node.text for node in ET.fromstring(both).iter(SVG + "text")}
    assert ET.fromstring(both).get("aria-label") == "loss over step: kept ends at 1.23"


def test_a_band_lies_under_its_line():
    svg = line_chart([Line("a", [0, 1], [1.0, 2.0], [0.5, 1.5], [1.5, 2.5])], "step", "loss")
    assert svg.index('fill-opacity="0.15"') < svg.index("stroke-linejoin")


def test_nothing_to_draw_is_refused():
    with pytest.raises(InvalidInput, match="no line with a point"):
        line_chart([Line("a", [], [])], "step", "loss")
