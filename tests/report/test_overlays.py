"""Answers drawn over images: what is drawn, where, and in what colour."""

import numpy as np

from bayesight.report.overlays import skeleton_overlay


def test_points_are_drawn_where_they_lie_green_where_sure_and_red_where_not():
    image = np.full((40, 80), 128, np.uint8)
    points = np.array([[[10.5, 10.5], [60.5, 10.5], [60.5, 30.5]]])
    drawn = skeleton_overlay(image, points, [(0, 1), (1, 2)], np.array([[1.0, 0.0, np.nan]])).astype(int)
    assert drawn.shape == (160, 320, 3)
    green, red = drawn[42, 42], drawn[42, 242]
    assert green[1] > 150 > green[0]
    assert red[0] > 150 > red[1]
    line = drawn[42, 140]
    assert line[2] > 200
    assert (drawn[100:, :] == 128).all()  # neither a point without a probability nor its line


def test_a_large_image_keeps_its_size():
    image = np.zeros((400, 300, 3), np.uint8)
    drawn = skeleton_overlay(image, np.zeros((0, 2, 2)), [(0, 1)], np.zeros((0, 2)))
    assert drawn.shape == image.shape
    assert not drawn.any()
