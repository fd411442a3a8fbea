"""Key points: PCK by hand, OKS against COCO's own code, and laws."""

import numpy as np
import pytest

from bayesight.errors import InvalidInput
from bayesight.evaluation.keypoints import keypoint_likeness, near_keypoints


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
