"""Key points: PCK by hand, OKS and its average precision against COCO's own code, and laws."""

import contextlib
import io

import numpy as np
import pytest

from bayesight.errors import InvalidInput
from bayesight.evaluation.keypoints import (
    FigurePoints,
    FoundFigures,
    TrueFigures,
    keypoint_likeness,
    match_keypoints,
    near_keypoints,
)


def test_oks_equals_coco():
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(0)
    true = rng.uniform(0, 100, (8, 17, 2))
    found, there = true + rng.normal(0, 8, true.shape), rng.random((8, 17)) < 0.8
    areas = rng.uniform(500, 4000, 8)
    judged = COCOeval(iouType="keypoints")
    judged.params.maxDets = [1]
    expected = []
    for n in range(8):
        three = [
            np.concatenate([points, np.where(there[n], 2, 0)[:, None]], 1) for points in (true[n], found[n])
        ]
        judged._gts = {
            (1, 1): [{"keypoints": three[0].ravel().tolist(), "area": areas[n], "bbox": [0, 0, 1, 1]}]
        }
        judged._dts = {(1, 1): [{"keypoints": three[1].ravel().tolist(), "score": 1.0}]}
        expected.append(float(judged.computeOks(1, 1)[0, 0]))
    ours = keypoint_likeness(true, found, areas, judged.params.kpt_oks_sigmas, there)
    assert ours == pytest.approx(expected, rel=1e-9)


def test_points_near_enough():
    true = [[[0, 0], [10, 0], [0, 10]]] * 2
    found = [[[0, 2], [10, 2.1], [50, 10]], [[0, 0], [10, 0], [0, 10]]]
    assert near_keypoints(true, found, [10, 10], 0.2).tolist() == pytest.approx([1 / 3, 1])
    assert near_keypoints(true, found, [10, 10], 0.2, [[1, 1, 0], [0, 0, 0]])[0] == 0.5
    assert np.isnan(near_keypoints(true, found, [10, 10], 0.2, [[1, 1, 0], [0, 0, 0]])[1])


def test_units_do_not_matter():
    rng = np.random.default_rng(3)
    true, size = rng.uniform(0, 9, (5, 4, 2)), rng.uniform(3, 9, 5)
    found = true + rng.normal(size=true.shape)
    own = near_keypoints(true, found, size, 0.3)
    assert near_keypoints(7 * true, 7 * found, 7 * size, 0.3).tolist() == own.tolist()
    alike = keypoint_likeness(true, found, size**2, [0.1] * 4)
    assert keypoint_likeness(7 * true, 7 * found, 49 * size**2, [0.1] * 4) == pytest.approx(alike)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"found": np.zeros((1, 3, 2))}, "shapes"),
        ({"areas": [0.0]}, "above 0"),
        ({"tolerances": [0.1]}, "2 above 0"),
    ],
)
def test_what_does_not_fit(change, words):
    given = {
        "true": np.zeros((1, 2, 2)),
        "found": np.zeros((1, 2, 2)),
        "areas": [1.0],
        "tolerances": [0.1, 0.1],
    }
    with pytest.raises(InvalidInput, match=words):
        keypoint_likeness(**{**given, **change})


def figures(seed, images=12, points=5):
    """True figures and found ones near them, some missed and some invented."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(images):
        many = int(rng.integers(0, 4))
        true = rng.uniform(0, 100, (many, points, 2))
        there = rng.random((many, points)) < 0.8
        there[:, 0] = True
        copies = rng.integers(0, max(many, 1), int(rng.integers(0, 5))) if many else np.zeros(0, int)
        found = true[copies] + rng.normal(0, rng.choice([2, 12]), (len(copies), points, 2))
        pairs.append(
            (
                TrueFigures(true, there, rng.uniform(500, 4000, many)),
                FoundFigures(found, rng.permutation(len(copies)) + rng.random(len(copies))),
            )
        )
    return pairs


def coco_precision(pairs, tolerances):
    """Average precision over all likenesses, by COCO's own code."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = [], []
    for number, (true, given) in enumerate(pairs, 1):
        for points, there, area in zip(true.points, true.there, true.areas, strict=True):
            marks = np.concatenate([points, np.where(there, 2, 0)[:, None]], axis=1)
            truth.append(
                {
                    **{"id": len(truth) + 1, "image_id": number, "category_id": 1, "iscrowd": 0},
                    **{"area": area, "bbox": [0, 0, 1, 1], "num_keypoints": int(there.sum())},
                    "keypoints": marks.ravel().tolist(),
                }
            )
        for points, score in zip(given.points, given.scores, strict=True):
            marks = np.concatenate([points, np.ones((len(points), 1))], axis=1).ravel().tolist()
            found.append({"image_id": number, "category_id": 1, "keypoints": marks, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "images": [{"id": number} for number in range(1, len(pairs) + 1)],
            "categories": [{"id": 1, "name": "figure"}],
            "annotations": truth,
        }
        known.createIndex()
        judged = COCOeval(known, known.loadRes(found), "keypoints")
        judged.params.kpt_oks_sigmas = np.asarray(tolerances)
        judged.params.areaRng, judged.params.areaRngLbl = [[0, 1e10]], ["all"]
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"]
    return float(precision[precision > -1].mean())


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_equals_coco(seed):
    tolerances = [0.03, 0.05, 0.08, 0.1, 0.06]
    pairs = figures(seed)
    ours = match_keypoints(pairs, tolerances).mean_average_precision()
    assert ours == pytest.approx(coco_precision(pairs, tolerances), abs=1e-9)


def test_a_figure_without_points_need_not_be_found():
    points = np.zeros((2, 3, 2)) + 5
    there = np.array([[True] * 3, [False] * 3])
    true = TrueFigures(points, there, np.array([100.0, 100.0]))
    found = match_keypoints([(true, FoundFigures(points[:1], np.array([0.5])))], [0.1] * 3)
    assert found.present.tolist() == [[1]]
    assert found.mean_average_precision() == 1
    with pytest.raises(InvalidInput, match="no images"):
        match_keypoints([], [0.1])


def test_points_of_figures_image_by_image():
    """PCK as by ``near_keypoints``, its interval about it, and gaps that count what is there alone."""
    rng = np.random.default_rng(2)
    image = np.array([0, 0, 1, 2, 2, 2])
    true, sizes = rng.uniform(0, 50, (6, 4, 2)), rng.uniform(10, 30, 6)
    there = rng.random((6, 4)) < 0.7
    there[2] = False
    found = true + rng.normal(0, 2, true.shape)
    points = FigurePoints(3, image, true, there, found, sizes, sizes**2)
    each = near_keypoints(true, found, sizes, 0.1, there)
    known = there.sum(axis=1)
    share, low, high = points.pck(0.1, draws=200)
    assert share == pytest.approx(np.nansum(each * known) / known.sum())
    assert low <= share <= high
    assert points.pck(0.1, 1, draws=50)[0] == pytest.approx(points.near(0.1)[:, 1].sum() / there[:, 1].sum())
    gaps = points.mean_gaps()
    assert np.isnan(gaps[1])
    first = np.linalg.norm(found - true, axis=2)[:2] / sizes[:2, None]
    assert gaps[0] == pytest.approx(first[there[:2]].mean())
    exact = FigurePoints(3, image, true, there, true, sizes, sizes**2)
    assert exact.pck(0.01, draws=20) == (1, 1, 1)
    assert exact.matches(rng.random(6), [0.1] * 4).mean_average_precision() == 1
