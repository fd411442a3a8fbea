"""Average precision against COCO's own code, by hand, and laws."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.evaluation.boxes import (
    COCO_OVERLAPS,
    UNCOUNTED,
    FoundBoxes,
    TrueBoxes,
    box_overlaps,
    box_truth,
    match_boxes,
)
from bayesight.seeding import numpy_generator


def scene(rng, classes, most=7):
    """True boxes, and what a middling detector finds of them."""

    def drawn(count):
        corner = rng.uniform(0, 60, (count, 2))
        return np.concatenate([corner, corner + rng.uniform(8, 40, (count, 2))], axis=1)

    count = int(rng.integers(0, most))
    boxes, kinds = drawn(count), rng.integers(0, classes, count)
    kept = rng.random(count) < 0.8
    moved = boxes[kept] + rng.normal(0, 2, (int(kept.sum()), 4))
    false = drawn(int(rng.integers(0, 4)))
    found = np.concatenate([moved, false, moved[:1] + 1])
    named = np.concatenate([kinds[kept], rng.integers(0, classes, len(false)), kinds[kept][:1]])
    return TrueBoxes(boxes, kinds), FoundBoxes(found, named, rng.random(len(found)).round(3))


def scenes(seed, images=25, classes=3):
    rng = np.random.default_rng(seed)
    return [scene(rng, classes) for _ in range(images)]


def coco(pairs, classes):
    """(T, K) by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def rows(boxes, kinds, image):
        return [
            {"image_id": image + 1, "category_id": int(k) + 1, "iscrowd": 0,
             "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]], "area": (b[2] - b[0]) * (b[3] - b[1])}
            for b, k in zip(boxes.tolist(), kinds, strict=True)
        ]  # fmt: skip

    true = [row for n, (one, _) in enumerate(pairs) for row in rows(one.boxes, one.classes, n)]
    found = [
        {**row, "score": float(score)}
        for n, (_, one) in enumerate(pairs)
        for row, score in zip(rows(one.boxes, one.classes, n), one.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n + 1} for n in range(len(pairs))],
            "categories": [{"id": k + 1} for k in range(classes)],
            "annotations": [{**row, "id": n + 1} for n, row in enumerate(true)],
        }
        truth.createIndex()
        judged = COCOeval(truth, truth.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"][:, :, :, 0, 2]
    return np.where(precision.min(axis=1) < 0, np.nan, precision.mean(axis=1))


@pytest.mark.parametrize("seed", range(6))
def test_equals_coco(seed):
    pairs = scenes(seed)
    assert match_boxes(pairs, 3).average_precision() == pytest.approx(coco(pairs, 3), abs=1e-9, nan_ok=True)


def test_by_hand():
    """Two to be found; the surest is right, the next false, the third right: precision 1, then 2/3."""
    true = TrueBoxes(np.array([[0, 0, 10, 10], [20, 20, 30, 30.0]]), np.zeros(2, int))
    found = FoundBoxes(
        np.array([[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 30.0]]),
        np.zeros(3, int),
        np.array([0.9, 0.8, 0.7]),
    )
    matches = match_boxes([(true, found)], 1, overlaps=(0.5,))
    assert matches.average_precision()[0, 0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert matches.f1(0.5, 0.85) == pytest.approx(2 / 3)
    assert matches.f1(0.5, 0.0) == pytest.approx(0.8)


def test_what_need_not_be_found_counts_for_nothing():
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30.0]])
    found = FoundBoxes(boxes[::-1], np.zeros(2, int), np.array([0.9, 0.8]))
    hard = TrueBoxes(boxes, np.zeros(2, int), np.array([False, True]))
    assert match_boxes([(hard, found)], 1).mean_average_precision() == 1
    absent = FoundBoxes(boxes[:1], np.zeros(1, int), np.array([0.9]))
    assert match_boxes([(hard, absent)], 1).mean_average_precision() == 1


def test_a_box_is_found_once():
    box = np.array([[0, 0, 10, 10.0]])
    twice = FoundBoxes(np.repeat(box, 2, axis=0), np.zeros(2, int), np.array([0.9, 0.8]))
    matches = match_boxes([(TrueBoxes(box, np.zeros(1, int)), twice)], 1)
    assert matches.right[0].tolist() == [True, False]
    assert matches.mean_average_precision() == 1


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_laws(seed):
    """Scores count by their order alone, and an image counted twice is two such images."""
    pairs = scenes(seed, images=5)
    matches = match_boxes(pairs, 3)
    cubed = [(t, FoundBoxes(f.boxes, f.classes, f.scores**3)) for t, f in pairs]
    assert match_boxes(cubed, 3).average_precision() == pytest.approx(
        matches.average_precision(), nan_ok=True
    )
    doubled = match_boxes([*pairs, pairs[0]], 3, overlaps=(0.5,)).average_precision()
    weighted = match_boxes(pairs, 3, overlaps=(0.5,)).average_precision(np.array([2.0, 1, 1, 1, 1]))
    assert doubled == pytest.approx(weighted, abs=0.02, nan_ok=True)
    by_overlap = np.nan_to_num(matches.average_precision())
    assert (np.diff(by_overlap, axis=0) <= 1e-9).all()


def test_the_interval_holds_the_measure():
    matches = match_boxes(scenes(3, images=40), 3)
    low, high = matches.interval(0.5, draws=100)
    assert low < matches.mean_average_precision(overlap=0.5) < high


def test_overlaps_of_boxes():
    assert box_overlaps([[0, 0, 4, 4]], [[0, 0, 4, 4], [2, 2, 2, 9], [4, 0, 8, 4]]).tolist() == [[1, 0, 0]]
    assert box_overlaps(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)
    assert COCO_OVERLAPS[0] == 0.5
    assert COCO_OVERLAPS[-1] == 0.95


def test_nothing_to_match():
    with pytest.raises(InvalidInput, match="no images"):
        match_boxes([], 2)
    empty = TrueBoxes(np.zeros((0, 4)), np.zeros(0, int))
    none = FoundBoxes(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    assert np.isnan(match_boxes([(empty, none)], 2).mean_average_precision())
    with pytest.raises(InvalidInput, match="0 to 1"):
        match_boxes([(TrueBoxes(np.ones((1, 4)), np.array([2])), none)], 2)


def test_each_box_frames_what_is_left_for_it():
    true = TrueBoxes(np.array([[0.0, 0, 10, 10], [0, 0, 10, 12], [50, 50, 60, 60], [80, 80, 90, 90]]),
                     np.array([1, 0, 2, 2]), np.array([False, False, False, True]))  # fmt: skip
    boxes = np.array([
        [0.0, 0, 10, 12], [0, 0, 10, 11], [0, 0, 10, 10],  # the second box, the first, none left
        [50, 50, 60, 54], [50, 50, 60, 56],  # too little, enough
        [80, 80, 90, 90], [80, 80, 90, 91],  # both frame what need not be found
    ])  # fmt: skip
    assert box_truth(boxes, true, 3).tolist() == [0, 1, 3, 3, 2, UNCOUNTED, UNCOUNTED]
    assert box_truth(boxes[:0], true, 3).tolist() == []
    assert box_truth(boxes[:2], TrueBoxes(np.zeros((0, 4)), np.zeros(0, int)), 3).tolist() == [3, 3]


def test_intervals_of_classes_hold_the_classes_own_precision():
    """That of one class by drawing the images by hand; NaN where a class is never there."""
    found = match_boxes(scenes(3, 30, 2), 3)
    ends = found.class_intervals(0.5, draws=100, seed=2)
    generator = numpy_generator(2, "bootstrap")
    draws = [generator.multinomial(30, np.full(30, 1 / 30)).astype(float) for _ in range(100)]
    each = [found.average_precision(weights)[0, 1] for weights in draws]
    assert ends[1] == pytest.approx(np.quantile(each, [0.025, 0.975]))
    assert ends[1][0] < found.average_precision()[0, 1] < ends[1][1]
    assert np.isnan(ends[2]).all()
