"""Stick figures: the points said to be there are where the figure is."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.data.annotations import read_coco
from bayesight.errors import InvalidInput
from bayesight.letters.figures import POINTS, SKELETON, FigureOptions, coco_of, draw_figures

ALONE = FigureOptions(texture=0, noise=0, before=0, behind=0)
BLOCK = np.full((1, 20, 20), 255, np.uint8)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_points_lie_on_ink_and_the_box_holds_all_of_it(seed):
    figures = draw_figures(BLOCK, 4, ALONE, seed=seed)
    parts = figures.images, figures.points, figures.there, figures.boxes
    for image, points, there, box in zip(*parts, strict=True):
        x, y = np.floor(points[there]).astype(int).T
        bright = np.pad(image > 0.37 * 255, 1)
        near = np.max([bright[y + 1 + dy, x + 1 + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)], axis=0)
        assert near.all()
        rows, columns = np.nonzero(image > 0.4 * 255)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert found == pytest.approx(box, abs=1.5)


def test_the_left_of_an_upright_figure_is_on_the_pictures_right():
    points = draw_figures(BLOCK, 200, ALONE).points
    for joint in ("shoulder", "hip"):
        left, right = (points[:, POINTS.index(f"{side}_{joint}"), 0] for side in ("left", "right"))
        assert (left > right).mean() > 0.98
    assert {name.split("_")[0] for name in POINTS} == {"head", "left", "right"}
    assert len({point for pair in SKELETON for point in pair}) == len(POINTS) - 1


def test_limbs_keep_their_lengths():
    """Whatever the pose, both forearms are as long as both upper arms, and shins as thighs."""
    points = draw_figures(BLOCK, 20, ALONE).points
    at = POINTS.index
    for chain in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")):
        lengths = [
            np.linalg.norm(points[:, at(f"{side}_{one}")] - points[:, at(f"{side}_{other}")], axis=1)
            for side in ("left", "right")
            for one, other in itertools.pairwise(chain)
        ]
        assert np.ptp(lengths, axis=0) == pytest.approx(0, abs=1e-9)


def test_points_that_a_glyph_lies_over_are_hidden_and_those_outside_are_not_there():
    figures = draw_figures(BLOCK, 300, FigureOptions(texture=0, noise=0, behind=0))
    inside = ((figures.points >= 0) & (figures.points < 48)).all(axis=2)
    assert (figures.there == inside).all()
    assert 0.85 < inside.mean() < 1
    assert not (figures.hidden & ~figures.there).any()
    assert 0.05 < figures.hidden[figures.there].mean() < 0.35
    assert not draw_figures(BLOCK, 30, ALONE).hidden.any()
    assert draw_figures(BLOCK, 50, FigureOptions(outside=0)).there.all()


def test_the_seed_decides():
    one, again, other = (draw_figures(BLOCK, 5, seed=seed) for seed in (1, 1, 2))
    assert (one.images == again.images).all()
    assert (one.points == again.points).all()
    assert (one.points != other.points).any()


@pytest.mark.parametrize("wrong", [{"smallest": 2}, {"largest": 60}, {"before": -1}, {"outside": 0.5}])
def test_a_look_that_cannot_be(wrong):
    with pytest.raises(InvalidInput, match="figures"):
        FigureOptions(**wrong)


def test_no_glyphs():
    with pytest.raises(InvalidInput, match="M >= 1"):
        draw_figures(np.zeros((0, 8, 8), np.uint8), 1)


def test_as_coco_writes_them_they_are_read_again():
    figures = draw_figures(BLOCK, 12, seed=4)
    files = [f"{number}.png" for number in range(12)]
    found = read_coco(json.dumps(coco_of(figures, files)).encode(), "keypoints.json")
    assert [one.image for one in found] == files
    assert not [fault for one in found for fault in one.faults]
    assert (found[0].skeleton.points, found[0].skeleton.lines) == (POINTS, SKELETON)
    for number, one in enumerate(found):
        there = figures.there[number]
        assert (one.points[0, :, 2] == there).all()
        assert one.points[0, there, :2] == pytest.approx(figures.points[number, there], abs=0.01)
        assert one.boxes[0] == pytest.approx(figures.boxes[number], abs=0.02)
    seen = [one["keypoints"][2::3] for one in coco_of(figures, files)["annotations"]]
    assert (np.array(seen) == np.where(figures.there, 2 - figures.hidden, 0)).all()
