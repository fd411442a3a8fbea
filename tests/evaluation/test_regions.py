"""Masks beside the truth: against torchmetrics, counting by hand, and laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassJaccardIndex

from bayesight.errors import InvalidInput
from bayesight.evaluation.confusion import at_prior
from bayesight.evaluation.regions import intersection_over_union, pixel_counts


def masks(seed, images=6, classes=5, shape=(9, 7)):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, (images, *shape))
    return true, np.where(rng.random(true.shape) < 0.6, true, rng.integers(0, classes, true.shape))


@pytest.mark.parametrize("void", [None, 4])
def test_equals_torchmetrics(void):
    true, found = masks(0)
    classes = 5 if void is None else 4
    found = np.minimum(found, classes - 1)
    counts = pixel_counts(zip(true, found, strict=True), classes, void)
    theirs = MulticlassJaccardIndex(classes, average="none", ignore_index=void)
    expected = theirs(torch.from_numpy(found), torch.from_numpy(true))
    assert intersection_over_union(counts.total) == pytest.approx(expected.numpy(), abs=1e-6)
    assert counts.mean_iou() == pytest.approx(float(expected.mean()), abs=1e-6)


def test_a_class_that_neither_has_is_left_out_of_the_mean():
    counts = pixel_counts([([[0, 1]], [[0, 1]]), ([[1, 1]], [[0, 1]])], 3)
    assert counts.mean_iou() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert np.isnan(pixel_counts([([[7]], [[0]])], 2, void=7).mean_iou())


def test_the_interval_holds_the_measure_and_closes_where_images_agree():
    true, found = masks(1, images=40)
    counts = pixel_counts(zip(true, found, strict=True), 5)
    low, high = counts.interval(draws=300)
    assert low < counts.mean_iou() < high
    alike = pixel_counts([(true[0], found[0])] * 20, 5)
    assert alike.interval(draws=50) == pytest.approx((alike.mean_iou(),) * 2)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.permutations(range(4)))
def test_names_of_classes_do_not_matter_and_counting_twice_neither(seed, order):
    true, found = masks(seed, images=3, classes=4)
    counts, names = pixel_counts(zip(true, found, strict=True), 4), np.array(order)
    renamed = pixel_counts(zip(names[true], names[found], strict=True), 4)
    assert renamed.mean_iou() == pytest.approx(counts.mean_iou())
    assert counts.mean_iou(np.full(3, 2.0)) == pytest.approx(counts.mean_iou())


def test_masks_that_do_not_fit():
    with pytest.raises(InvalidInput, match="one shape"):
        pixel_counts([([[0, 1]], [[0], [1]])], 2)
    with pytest.raises(InvalidInput, match="true masks: holds 2"):
        pixel_counts([([[0, 2]], [[0, 1]])], 2)
    with pytest.raises(InvalidInput, match="no images"):
        pixel_counts([], 2)


def test_intervals_of_the_classes_and_of_their_mean_are_one_bootstrap():
    true, found = masks(1, images=12)
    counts = pixel_counts(zip(true, found, strict=True), 5)
    ends = counts.class_intervals(draws=200)
    values = counts.iou(np.ones(12))
    assert values == pytest.approx(intersection_over_union(counts.total))
    assert ((ends[:, 0] <= values) & (values <= ends[:, 1])).all()
    alone = pixel_counts(zip(true[:1], found[:1], strict=True), 5)
    assert alone.class_intervals(draws=5) == pytest.approx(np.stack([alone.iou(np.ones(1))] * 2, axis=1))


def test_at_stated_rates_the_shares_are_those_and_sensitivity_stays():
    true, found = masks(2)
    counts = pixel_counts(zip(true, found, strict=True), 5)
    rates = np.array([0.6, 0.1, 0.1, 0.15, 0.05])
    there = counts.at_rates(rates).total
    assert there.sum(axis=1) / there.sum() == pytest.approx(rates)
    own = counts.total
    assert there.diagonal() / there.sum(axis=1) == pytest.approx(own.diagonal() / own.sum(axis=1))
    joint = at_prior(own, rates)
    assert intersection_over_union(there) == pytest.approx(intersection_over_union(joint))
