"""Every figure: well-formed, deterministic, coloured by role; and the marks stand where the data say."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes.frequencies import NaturalFrequencies
from bayesight.bayes.rates import Estimate
from bayesight.errors import InvalidInput
from bayesight.evaluation import reliability
from bayesight.report import figures as f
from bayesight.report.figures.axes import Axes, Axis, numbers, spanned
from bayesight.report.figures.drawing import ROLES

SVG = "{http://www.w3.org/2000/svg}"
RNG = np.random.default_rng(0)
LOG_P = np.log(RNG.dirichlet([3, 1, 1], 400))
SCORES = RNG.normal(size=9)
GRID = np.linspace(0.01, 1, 30)

DRAWINGS = {
    "loss": lambda: f.line_chart(
        [f.Line("validation", [1, 2, 3], [1.1, 0.7, 0.6]), f.Line("training", [1, 2, 3], [1, 0.5, np.nan])],
        "epoch",
        "loss",
        marks={"kept": 3},
    ),
    "arms": lambda: f.line_chart([f.Line(n, [1, 2], [0.5, 0.9]) for n in "ab"], "step", "loss", named=True),
    "unknown": lambda: f.line_chart([f.Line("a", [1, 2], [np.nan, np.nan])], "step", "loss"),
    "precision": lambda: f.rate_curve(
        [f.Line("B", GRID, GRID, GRID * 0.9, GRID)],
        "base rate",
        "precision",
        marks={"here": 0.1, "there": 0.12},
    ),
    "linear": lambda: f.rate_curve(
        [f.Line("a", GRID, GRID), f.Line("b", GRID, 1 - GRID)], "x", "y", log=False
    ),
    "reliability": lambda: f.reliability_diagram(reliability(LOG_P, np.zeros(400, int))),
    "novelty": lambda: f.novelty_histogram(SCORES, [3.0, 4.0], 1.6),
    "one score": lambda: f.novelty_histogram([2.0], threshold=2.0),
    "confusion": lambda: f.confusion_heat_map([[5, 1], [0, 7]], ["<a>", "b&"]),
    "beliefs": lambda: f.belief_bars(["ill", "well"], {"prior": [0.1, 0.9], "1st": [0.5, 0.5]}),
    "counts": lambda: f.count_bars({"A": 3, "B": 0}),
    "no counts": lambda: f.count_bars({}),
    "change": lambda: f.interval_rows(
        ["A", "B"], [[0.9, np.nan], [Estimate(0.95, 0.9, 0.97), 0.8]], fraction=True, change=True
    ),
    "people": lambda: f.people_dots(NaturalFrequencies(99, 1, 90, 810)),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_well_formed_and_free_of_what_would_reach_into_the_page(name):
    svg = DRAWINGS[name]()
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label")
    width, height = (float(x) for x in root.get("viewBox").split()[2:])
    assert (float(root.get("width")), float(root.get("height"))) == (width, height)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert not tags & {"style", "metadata", "script", "foreignObject", "image"}
    assert not re.findall(r'\sid="|url\(#|href=', svg)  # figures stand side by side on a page
    assert "DejaVu" not in svg
    assert "nan" not in svg.lower()
    assert "style=" not in svg  # a page may allow no styles


@pytest.mark.parametrize("name", DRAWINGS)
def test_colours_are_roles_only(name):
    svg = DRAWINGS[name]()
    bare = re.sub(r"var\(--[a-z0-9-]+, #[0-9a-f]{6,8}\)", "ROLE", svg)
    assert not re.findall(r"#[0-9a-f]{3,8}\b", bare)
    assert not re.search(r"rgb|black|white", bare)


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_twice(name):
    assert DRAWINGS[name]() == DRAWINGS[name]()


def rects(svg: str, role: str) -> list[ET.Element]:
    """Rectangles drawn in a role, or inside a group that is."""
    found = []
    for element in ET.fromstring(svg).iter():
        if element.get("fill") == ROLES[role]:
            found += [e for e in element.iter() if e.tag == f"{SVG}rect"]
    return found


def test_heat_map_draws_each_cell_that_holds_something():
    m = np.array([[5, 0, 1], [2, 7, 0], [0, 0, 0]])
    svg = f.confusion_heat_map(m, ["A", "B", "C"])
    right, wrong = rects(svg, "c1"), rects(svg, "c2")
    assert (len(right), len(wrong)) == (2, 2)
    assert [r.find(f"{SVG}title").text for r in wrong] == ["A called C: 1", "B called A: 2"]
    opacity = [float(r.get("fill-opacity")) for r in right + wrong]
    np.testing.assert_allclose(opacity[:2], [0.12 + 0.83 * 5 / 6, 0.12 + 0.83 * 7 / 9], atol=0.005)
    np.testing.assert_allclose(
        opacity[2:], [0.14 + 0.81 * (1 / 6) ** 0.5, 0.14 + 0.81 * (2 / 9) ** 0.5], atol=0.005
    )
    a_c, b_a = ((float(r.get("x")), float(r.get("y"))) for r in wrong)
    assert a_c[0] > b_a[0]
    assert a_c[1] < b_a[1]


@pytest.mark.parametrize("classes", [2, 12, 13, 40, 60])
def test_heat_map_labels_stay_inside_the_picture(classes):
    names = [f"a rather long name {i}" for i in range(classes)]
    root = ET.fromstring(f.confusion_heat_map(np.eye(classes) * 3, names))
    width, height = float(root.get("width")), float(root.get("height"))
    cells = [r for r in root.iter(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    assert len(cells) == classes
    axes = next(root.iter(f"{SVG}rect"))
    for size, start, side in ((width, "x", "width"), (height, "y", "height")):
        assert 0 < float(axes.get(start)) < float(axes.get(start)) + float(axes.get(side)) <= size


def test_belief_bars_are_as_long_as_the_beliefs_at_every_step():
    steps = {"prior": [0.25, 0.75], "news": [0.9, 0.1], "more": [0.99999, 0.00001]}
    bars = rects(f.belief_bars(["a", "b"], steps), "c1")
    widths = np.array([float(bar.get("width")) for bar in bars])
    np.testing.assert_allclose(widths[:5] / widths[0], [1, 3, 3.6, 0.4, 4], rtol=1e-3)


def test_many_beliefs_keep_the_strongest_and_sum_the_rest():
    p = np.full(200, 0.5 / 199)
    p[150] = 0.5
    svg = f.belief_bars([f"n{i}" for i in range(200)], {"prior": np.full(200, 1 / 200), "news": p})
    assert "n150" in svg
    assert "189 others" in svg
    assert len(rects(svg, "c1")) == 24


def test_count_bars_are_in_proportion_and_leave_out_the_middle_of_many():
    widths = [float(bar.get("width")) for bar in rects(f.count_bars({"A": 800, "B": 200}), "c1")]
    assert widths[0] == pytest.approx(4 * widths[1], rel=1e-3)
    svg = f.count_bars({f"c{i}": i for i in range(100)})
    assert "… 40 more …" in svg
    assert len(rects(svg, "c1")) == 60


def test_change_rows_put_marks_on_a_common_scale():
    rows = [[0.80, 0.90, np.nan], [0.85, 0.95, 1.0]]
    root = ET.fromstring(f.interval_rows(["A", "B", "new"], rows, fraction=True, change=True))
    rings = [c for c in root.iter(f"{SVG}circle") if c.get("fill") == ROLES["paper"]]
    dots = [c for c in root.iter(f"{SVG}circle") if c.get("fill") != ROLES["paper"]]
    assert (len(rings), len(dots)) == (2, 3)
    x = [float(c.get("cx")) for c in (*rings, *dots)]
    step = x[1] - x[0]
    np.testing.assert_allclose(
        [x[2] - x[0], x[3] - x[0], x[4] - x[0]], [step / 2, 1.5 * step, 2 * step], atol=0.05
    )
    assert max(x) <= float(root.get("width"))


def test_the_worked_example_as_people():
    svg = f.people_dots(NaturalFrequencies(99, 1, 90, 810))
    dots = [path.get("d") for path in ET.fromstring(svg).iter(f"{SVG}path")]
    assert [d.count("M") for d in dots] == [99, 1, 90, 810]
    places = re.findall(r"M([\d.]+) ([\d.]+)h0", "".join(dots))
    assert len(set(places)) == 999


def test_one_extreme_score_does_not_flatten_the_histogram():
    scores = np.append(np.random.default_rng(1).normal(size=3000), 1e9)
    svg = f.novelty_histogram(scores, threshold=1.6)
    ticks = [t.text for t in ET.fromstring(svg).iter(f"{SVG}text")]
    assert {"0", "2"} <= set(ticks)


def test_the_threshold_stands_at_its_value_and_points_to_the_unknown():
    words = {t.text: t for t in ET.fromstring(f.novelty_histogram(np.arange(50.0), threshold=20)).iter()}
    assert float(words["unknown →"].get("x")) == pytest.approx(float(words["20"].get("x")), abs=0.02)


def test_marks_outside_the_curve_are_left_out():
    svg = f.rate_curve([f.Line("", GRID, GRID)], "base rate", "precision", marks={"far": 0.0001, "near": 0.2})
    assert "near" in svg
    assert "far" not in svg


def points(svg: str, role: str) -> list[list[tuple[float, float]]]:
    """The unfilled lines drawn in a role, each as the points it runs through."""
    paths = [e for e in ET.fromstring(svg).iter(f"{SVG}path") if e.get("stroke") == ROLES[role]]
    pairs = [re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", e.get("d")) for e in paths]
    return [[(float(x), float(y)) for x, y in pair] for pair in pairs]


@pytest.mark.parametrize("log", [False, True])
def test_a_curve_stands_where_its_values_do(log):
    x, y = np.array([0.01, 0.03, 0.2, 0.9]), np.array([0.0, 0.25, 0.6, 1.0])
    (line,) = points(f.rate_curve([f.Line("", x, y)], "a", "b", log=log), "c1")
    across, down = np.array(line).T
    expected = np.log(x) if log else x
    np.testing.assert_allclose(
        (across - across[0]) / np.ptp(across), (expected - expected[0]) / np.ptp(expected), atol=1e-4
    )
    np.testing.assert_allclose((down[0] - down) / (down[0] - down[-1]), y, atol=1e-4)


def test_a_value_that_is_missing_interrupts_the_line():
    svg = f.line_chart([f.Line("", [1, 2, 3, 4, 5], [1, 2, np.nan, 1, 2])], "epoch", "loss")
    assert [e.get("d").count("M") for e in ET.fromstring(svg).iter(f"{SVG}path")] == [2]
    lonely = f.line_chart([f.Line("", [1, 2, 3], [np.nan, 2, np.nan])], "epoch", "loss")
    assert len(list(ET.fromstring(lonely).iter(f"{SVG}circle"))) == 1


def test_a_logarithmic_axis_has_powers_alone_where_threes_would_crowd_it():
    assert numbers(1e-4, 0.9, log=True).ticks == [1e-4, 1e-3, 1e-2, 0.1]
    assert numbers(1e-4, 0.05, log=True).ticks == [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]


@given(low=st.floats(-1e6, 1e6), length=st.floats(1e-6, 1e7), most=st.integers(2, 12), whole=st.booleans())
@settings(deadline=None, max_examples=200)
def test_ticks_are_even_inside_and_neither_too_many_nor_too_few(low, length, most, whole):
    length = max(length, 2.0 * most) if whole else max(length, 1e-6 * abs(low))
    axis = numbers(low, low + length, most=most, whole=whole)
    ticks = np.array(axis.ticks)
    assert (ticks >= low - 1e-6 * length).all()
    assert (ticks <= low + length * (1 + 1e-6)).all()
    assert most / 3 - 1 <= len(ticks) <= most + 1
    if len(ticks) > 2:
        np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0], rtol=1e-4)
    if whole:
        assert all(float(tick).is_integer() for tick in ticks)
    assert len({axis.words(tick) for tick in ticks}) == len(ticks) or np.abs(ticks).max() >= 1e6


def test_scales_hold_what_they_are_made_for():
    assert spanned([[1.0, np.nan, 3.0], [2.0]], 0.1) == pytest.approx((0.8, 3.2))
    assert spanned([[np.nan]]) == (0.0, 1.0)
    low, high = spanned([[5.0, 5.0]])
    assert low < 5 < high
    axes = Axes(Axis(0, 2), Axis(0, 1))
    assert axes.across([0, 2]).tolist() == [axes.left, axes.right]
    assert axes.down([0, 1]).tolist() == [axes.bottom, axes.top]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: f.confusion_heat_map(np.eye(2), ["A"]), "1 names for a matrix"),
        (
            lambda: f.line_chart([f.Line("", [1, 2], [1.0])], "epoch", "loss"),
            r"\(1,\) values for \(2,\).*one value for each",
        ),
        (lambda: f.belief_bars(["a"], {"x": [0.5, 0.5]}), "one for each, at every step"),
        (lambda: f.belief_bars(["a"], {}), "one for each, at every step"),
        (lambda: f.interval_rows(["a"], [[0.1, 0.2], [0.3]]), "1 names"),
        (lambda: f.novelty_histogram([]), "no known scores"),
        (lambda: f.novelty_histogram([np.nan]), "holds NaN"),
        (lambda: f.people_dots(NaturalFrequencies(10_001, 0, 0, 0)), "at most 10,000"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_mend(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
