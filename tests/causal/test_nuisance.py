"""Models of outcome and treatment: splines, mixtures, folds, and rows held out."""

from functools import partial

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize

from bayesight.causal import sample_of
from bayesight.causal.nuisance import _natural, _stack, basis_of, cross_fit, folds_of
from bayesight.causal.regression import expit


def test_splines_span_the_natural_cubic_ones():
    knots = np.array([-2.0, -1.0, 0.0, 0.5, 1.5, 2.5])
    z = np.linspace(-2, 2.5, 200)
    ours = np.column_stack([np.ones_like(z), z, _natural(z, knots)])
    wanted = CubicSpline(knots, [1.0, -2.0, 0.5, 3.0, 0.0, 1.0], bc_type="natural")(z)
    left = wanted - ours @ np.linalg.lstsq(ours, wanted, rcond=None)[0]
    assert np.abs(left).max() < 1e-8
    assert np.abs(np.diff(_natural(np.linspace(3, 4, 9), knots), 2, axis=0)).max() < 1e-9


@pytest.mark.parametrize("binary", [False, True])
def test_a_mixture_has_the_least_loss(binary):
    rng = np.random.default_rng(2)
    truth = rng.uniform(0.1, 0.9, 400)
    y = (rng.random(400) < truth).astype(float) if binary else truth + rng.normal(size=400) / 5
    p = np.clip(truth[:, None] + rng.normal(size=(400, 3)) * [0.05, 0.2, 0.3] + [0.1, -0.05, 0], 0.02, 0.98)
    n = rng.integers(1, 3, 400).astype(float)

    def loss(free):
        w = np.append(free, 1 - free.sum())
        m = p @ w
        return -n @ np.log(np.where(y > 0, m, 1 - m).clip(1e-9)) if binary else n @ (y - m) ** 2

    simplex = ({"type": "ineq", "fun": lambda f: 1 - f.sum()},)
    best = minimize(loss, [0.4, 0.3], bounds=[(0, 1)] * 2, constraints=simplex, method="SLSQP").fun
    share = _stack(p, y, n, binary)
    assert share.sum() == pytest.approx(1)
    assert (share >= 0).all()
    assert loss(share[:2]) == pytest.approx(best, rel=2e-3)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_folds_share_out_every_treatment_and_follow_the_rows(seed, least):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=90)
    treatment = np.repeat([0, 1, 2], [least, 40, 50 - least])[rng.permutation(90)]
    found = folds_of([z], treatment)
    assert found.folds == max(2, min(5, least, int(np.bincount(treatment).min())))
    for k in range(3):
        each = np.bincount(found.fold[treatment == k], minlength=found.folds)
        assert each.max() - each.min() <= 1
    order = rng.permutation(90)
    assert (folds_of([z[order]], treatment[order]).fold == found.fold[order]).all()


@pytest.mark.parametrize("binary", [False, True])
def test_a_rows_own_outcome_has_no_say_in_its_prediction(binary):
    """But for the mixture's weights, which one row among 300 hardly moves."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=300)
    y = (rng.random(300) < expit(z)).astype(float) if binary else z**2 + rng.normal(size=300)
    basis, folds = basis_of(sample_of({"z": z}), ["z"]), folds_of([z], np.zeros(300, np.int64))
    fit = partial(cross_fit, basis, n=np.ones(300), folds=folds, binary=binary, learners=["main effects"])
    turned = y.copy()
    turned[7] = 1 - y[7] if binary else 50.0
    before, after = (fit(v).predicted[:, 0] for v in (y, turned))
    assert before[7] == after[7]
    assert (before[folds.fold == folds.fold[7]] == after[folds.fold == folds.fold[7]]).all()
    assert (before[folds.fold != folds.fold[7]] != after[folds.fold != folds.fold[7]]).all()


def test_main_effects_are_least_squares_on_the_other_folds():
    rng = np.random.default_rng(4)
    z, g, n = rng.normal(size=200), rng.integers(0, 3, 200), rng.integers(1, 4, 200).astype(float)
    y = z - g + rng.normal(size=200)
    table = sample_of({"z": z, "g": g}, counts=n)
    folds = folds_of([z], np.zeros(200, np.int64))
    found = cross_fit(basis_of(table, ["z", "g"]), y, n, folds, learners=["main effects"])
    assert found.weights == {"main effects": pytest.approx([1])}
    x = np.column_stack([np.ones(200), z, g == 1, g == 2])
    for k in range(5):
        train, test = folds.fold != k, folds.fold == k
        slopes = sm.WLS(y[train], x[train], n[train]).fit().params
        assert found.predicted[test, 0] == pytest.approx(x[test] @ slopes, rel=1e-8)


def test_each_treatment_has_a_prediction_and_curves_are_found():
    rng = np.random.default_rng(5)
    z = rng.uniform(-2, 2, 800)
    treatment = rng.integers(0, 2, 800)
    mean = np.column_stack([z**2, 3 - z])
    y = mean[np.arange(800), treatment] + 0.3 * rng.normal(size=800)
    basis, folds = basis_of(sample_of({"z": z}), ["z"]), folds_of([z], treatment)
    found = cross_fit(basis, y, np.ones(800), folds, treatment=treatment, treatments=2)
    assert np.sqrt(((found.predicted - mean) ** 2).mean(axis=0)).max() < 0.2
    assert sum(found.weights.values()) == pytest.approx([1, 1])
    assert (found.shared >= 0).all()


def test_regressors_are_scaled_and_what_others_determine_is_left_out():
    z = np.random.default_rng(6).normal(5, 3, 60)
    far = np.append(z[:-1], 1000.0)
    basis = basis_of(
        sample_of({"z": z, "twice": 2 * z, "far": far, "g": ["a", "b", "c"] * 20}), ["z", "twice", "far", "g"]
    )
    assert basis.raw.shape == (60, 2)
    assert (basis.raw.mean(axis=0), basis.raw.std(axis=0)) == (
        pytest.approx([0, 0], abs=1e-12), pytest.approx([1, 1])
    )  # fmt: skip
    assert np.abs(basis.raw[:, 1]).max() > 5 > np.abs(basis.even[:, 1]).max()  # normal scores of ranks
    assert (np.argsort(basis.even[:, 1]) == np.argsort(far)).all()
    assert basis.dummies.sum(axis=0).tolist() == [20, 20]
    assert basis.linear(np.arange(3)).shape == (3, 5)
    assert basis.cost.shape[0] == basis.linear(np.arange(1)).shape[1] - 1 + basis.bent(np.arange(1)).shape[1]
    first, second = basis.pairs
    assert (2, 3) not in set(zip(first.tolist(), second.tolist(), strict=True))  # two levels of one variable
