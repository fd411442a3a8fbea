"""Answers drawn over images: what is drawn, where, and in what colour."""

import numpy as np

from bayesight.report.overlays import box_overlay, image_grid, skeleton_overlay


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


def test_a_box_is_drawn_on_its_edge_in_its_colour_with_its_mark_inside():
    image = np.full((40, 60), 100, np.uint8)
    boxes, colours = (
        np.array([[5.0, 8, 25, 30], [-4, 33, 8, 50]]),
        np.array([[250, 0, 0], [0, 0, 250]], np.uint8),
    )
    page = box_overlay(image, boxes, colours, ["", ""])
    assert page.shape == (40, 60, 3)
    assert (page[8, 5:25] == colours[0]).all()
    assert (page[29, 5:25] == colours[0]).all()
    assert (page[8:30, [5, 24]] == colours[0]).all()
    assert (page[9:20, 8:24] == 100).all()
    assert (page[33:40, 7] == colours[1]).all()
    assert (image == 100).all()
    large = np.zeros((200, 200, 3), np.uint8)
    marked, plain = (
        box_overlay(large, np.array([[0.0, 0, 180, 100]]), colours[:1], [mark]) for mark in ("WBC 97 %", "")
    )
    changed = (marked != plain).any(axis=2)
    assert changed[:40, :100].any()
    assert not changed[:, 180:].any()
    assert not changed[100:].any()
    tight = box_overlay(large, np.array([[0.0, 0, 12, 12]]), colours[:1], ["WBC 97 %"])
    assert not tight[12:].any()


def test_a_grid_has_every_image_in_its_place_and_white_between_them():
    images = [[np.full((4, 6, 3), 10 * row + column, np.uint8) for column in range(3)] for row in range(2)]
    page = image_grid(images)
    assert page.shape == (4 + 4 + 4, 6 + 4 + 6 + 4 + 6, 3)
    assert [[page[8 * row, 10 * column, 0] for column in range(3)] for row in range(2)] == [
        [0, 1, 2],
        [10, 11, 12],
    ]
    assert (page[4:8] == 255).all()
    assert (page[:, 6:10] == 255).all()


def test_boxes_without_marks_are_outlines_alone():
    image = np.full((40, 40), 9, np.uint8)
    drawn = box_overlay(image, np.array([[4.0, 6.0, 30.0, 35.0]]), np.array([[200, 10, 60]], np.uint8))
    painted = (drawn == [200, 10, 60]).all(axis=2)
    assert painted.sum() == 2 * (26 + 29) - 4
    assert (drawn[~painted] == 9).all()
