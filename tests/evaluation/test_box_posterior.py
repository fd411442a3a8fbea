"""The posterior of a box: what fits is found again, and what is promised comes true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad

from bayesight.errors import InvalidInput
from bayesight.evaluation import box_posterior, expected_calibration_error
from bayesight.evaluation.box_posterior import UNKNOWN, BoxPosterior, box_truth, fit_box_posterior
from bayesight.evaluation.boxes import TrueBoxes

KNOWN = BoxPosterior(0.6, np.array([-0.5, 1.0, 0.2]), np.full(4, 0.25))


def drawn(seed, count, posterior=KNOWN):
    """Logits of boxes, and what they frame by that posterior."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2, 3, (count, 3))
    p = np.exp(posterior.log_p(logits))
    return logits, (rng.random((count, 1)) > p.cumsum(axis=1)).sum(axis=1)


def test_slope_and_offsets_are_found_again():
    found = fit_box_posterior(*drawn(0, 40_000))
    assert found.slope == pytest.approx(0.6, abs=0.02)
    assert found.offsets == pytest.approx(KNOWN.offsets, abs=0.08)
    logits, truth = drawn(1, 40_000)
    assert expected_calibration_error(found.log_p(logits), truth) < 0.01
    assert expected_calibration_error(BoxPosterior(1, np.zeros(3), KNOWN.prior).log_p(logits), truth) > 0.05
    assert found.prior == pytest.approx(np.bincount(drawn(0, 40_000)[1], minlength=4) / 40_000, abs=1e-3)


def test_the_gradient_is_the_differences(monkeypatch):
    kept = {}

    def remembered(cost, start, **options):
        kept.update(cost=cost, start=start)
        return minimize(cost, start, **options)

    minimize = box_posterior.minimize
    monkeypatch.setattr(box_posterior, "minimize", remembered)
    fit_box_posterior(*drawn(2, 50))
    at = kept["start"] + np.array([0.3, -0.2, 0.5, 0.1])
    assert check_grad(lambda x: kept["cost"](x)[0], lambda x: kept["cost"](x)[1], at) < 1e-3


@given(st.integers(0, 10**6), st.integers(1, 30))
def test_laws(seed, count):
    """Probabilities, rising with a logit, and few boxes leave it near the detector's own."""
    logits, truth = drawn(seed, count)
    found = fit_box_posterior(logits, truth)
    p = np.exp(found.log_p(logits))
    assert p.sum(axis=1) == pytest.approx(1)
    assert found.slope > 0
    more = logits + np.array([1.0, 0, 0])
    assert (np.exp(found.log_p(more))[:, 0] > p[:, 0]).all()
    assert np.isfinite(found.offsets).all()
    assert (found.prior > 0).all()


def test_each_box_frames_what_is_left_for_it():
    true = TrueBoxes(np.array([[0.0, 0, 10, 10], [0, 0, 10, 12], [50, 50, 60, 60], [80, 80, 90, 90]]),
                     np.array([1, 0, 2, 2]), np.array([False, False, False, True]))  # fmt: skip
    boxes = np.array([
        [0.0, 0, 10, 12], [0, 0, 10, 11], [0, 0, 10, 10],  # the second box, the first, none left
        [50, 50, 60, 54], [50, 50, 60, 56],  # too little, enough
        [80, 80, 90, 90], [80, 80, 90, 91],  # both frame what need not be found
    ])  # fmt: skip
    assert box_truth(boxes, true, 3).tolist() == [0, 1, 3, 3, 2, UNKNOWN, UNKNOWN]
    assert box_truth(boxes[:0], true, 3).tolist() == []
    assert box_truth(boxes[:2], TrueBoxes(np.zeros((0, 4)), np.zeros(0, int)), 3).tolist() == [3, 3]


def test_what_cannot_be_fitted():
    with pytest.raises(InvalidInput, match="N >= 1"):
        fit_box_posterior(np.zeros((0, 2)), [])
    with pytest.raises(InvalidInput, match="truth"):
        fit_box_posterior([[0.0, 1.0]], [3])
