"""Cases beside the truth, classes with their measures, and masks drawn over images."""

import base64
import io
import re

import numpy as np
from PIL import Image

from bayesight.report import Card, Estimate, Report, cases, measures_by_class, render
from bayesight.report.overlays import class_colours, mask_overlay, side_by_side


def test_pixels_of_no_class_are_left_and_others_are_tinted():
    image = np.full((4, 6), 100, np.uint8)
    mask = np.full((4, 6), 255, np.uint8)
    mask[:2] = 1
    colours = class_colours(2)
    drawn = mask_overlay(image, mask, colours)
    assert (drawn[2:] == 100).all()
    assert np.abs(drawn[0, 0] - (0.45 * 100 + 0.55 * colours[1])).max() <= 0.5
    assert side_by_side([drawn, drawn]).shape == (4, 16, 3)


def test_a_page_names_its_cases_and_classes_with_intervals():
    picture = np.zeros((8, 8, 3), np.uint8)
    rows = {"road": Estimate(0.8, 0.7, 0.9), "bike": Estimate(float("nan"), 0, 0)}
    sections = (
        cases([Card(picture, "worst", ["mean IoU 0.1"], "a.png")], "The image."),
        measures_by_class("IoU", rows, {"road": 1200, "bike": 0}, "IoU", "pixels"),
    )
    page = render(Report("t", sections))
    for said in ("worst", "a.png", "mean IoU 0.1", "road", "0.800", "1,200", "70.0", "90.0"):
        assert said in page
    assert "nan" not in page


def test_cases_are_shown_large_enough_to_be_read():
    strip = np.zeros((120, 400, 3), np.uint8)
    page = render(Report("t", (cases([Card(strip, "best", ["F1 1.000"], "a.png")], "The image."),)))
    assert '<ul class="gallery wide">' in page
    assert 'alt="best: a.png"' in page
    with Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1]))) as shown:
        assert shown.size == (400, 120)
