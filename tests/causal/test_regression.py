"""Regressions against the textbook, statsmodels and scikit-learn."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.regression import design, expit, independent, least_squares, logistic
from bayesight.errors import InvalidInput


def test_least_squares_and_its_errors_against_the_textbook(linear_table):
    z, t, y = linear_table()
    x = np.column_stack([np.ones(400), t, z])
    fit = least_squares(x, y, np.ones(400), np.ones(400))
    assert fit.coefficients == pytest.approx(np.linalg.lstsq(x, y, rcond=None)[0], abs=1e-10)
    hat = np.diag(x @ np.linalg.inv(x.T @ x) @ x.T)
    scaled = (y - x @ fit.coefficients) / (1 - hat)
    bread = np.linalg.inv(x.T @ x)
    assert fit.covariance == pytest.approx(bread @ (x.T * scaled**2) @ x @ bread, rel=1e-9)


def test_logistic_against_scikit_learn():
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(800), rng.normal(size=(800, 2))])
    y = (rng.random(800) < 1 / (1 + np.exp(-x @ [0.3, 1.2, -0.8]))).astype(float)
    n = rng.integers(1, 4, 800).astype(float)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[:, 1:], y, sample_weight=n)
    ours = logistic(x, y, n)
    assert ours == pytest.approx([theirs.intercept_[0], *theirs.coef_[0]], abs=1e-5)


def test_collinear_confounders_do_no_harm(linear_table):
    z, t, y = linear_table(500)
    dag = parse("A -> T, A -> Y, B -> T, B -> Y, T -> Y")
    columns = {"A": z[:, 0], "T": t, "Y": y}
    twice = estimate(sample_of(columns | {"B": 3 * z[:, 0] + 1}), dag, EffectQuestion("T", "Y"))
    once = estimate(sample_of(columns | {"B": np.zeros(500)}), dag, EffectQuestion("T", "Y"))
    assert twice.adjusted.slope.mean == pytest.approx(once.adjusted.slope.mean, abs=1e-9)


def test_logistic_against_statsmodels_where_outcomes_are_shares():
    rng = np.random.default_rng(5)
    x = np.column_stack([np.ones(60), rng.normal(size=(60, 3))])
    n = rng.integers(1, 30, 60).astype(float)
    y = rng.binomial(n.astype(int), 1 / (1 + np.exp(-x @ [-2.0, 1.0, 0.5, 0.0]))) / n
    theirs = sm.GLM(np.column_stack([y * n, n - y * n]), x, family=sm.families.Binomial()).fit(tol=1e-12)
    assert logistic(x, y, n) == pytest.approx(theirs.params, abs=1e-5)


def test_a_variable_that_decides_alone_has_finite_coefficients():
    x = np.column_stack([np.ones(40), np.repeat([-1.0, 1.0], 20)])
    y = np.repeat([0.0, 1.0], 20)
    beta = logistic(x, y, np.ones(40))
    assert np.isfinite(beta).all()
    assert np.abs(expit(x @ beta) - y).max() < 1e-3
    assert expit(np.array([-1e6, 0.0, 1e6])) == pytest.approx([0, 0.5, 1], abs=1e-15)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 3))
def test_independent_columns_span_what_all_span(seed, width, determined):
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(30, width)) * 10.0 ** rng.integers(-3, 4, width)
    every = np.column_stack([own, own @ rng.normal(size=(width, determined)), np.zeros(30)])
    kept = independent(every, np.ones(30))
    assert kept == list(range(width))
    turned = independent(every[:, ::-1], np.ones(30))
    assert len(turned) == width == np.linalg.matrix_rank(every[:, ::-1][:, turned] / own.std())


def test_weights_are_repeated_rows():
    rng = np.random.default_rng(6)
    x = np.column_stack([np.ones(30), rng.normal(size=30)])
    y, n = rng.normal(size=30), rng.integers(1, 4, 30)
    counted = least_squares(x, y, n.astype(float), n.astype(float))
    written = least_squares(np.repeat(x, n, axis=0), np.repeat(y, n), np.ones(n.sum()), np.ones(n.sum()))
    assert counted.coefficients == pytest.approx(written.coefficients, rel=1e-10)
    assert counted.covariance == pytest.approx(written.covariance, rel=1e-9)
    assert counted.dof == written.dof
    assert np.abs(counted.influence.T @ n).max() < 0.1


def test_a_design_has_a_column_for_each_further_level():
    table = sample_of({"g": ["a", "b", "c", "a"] * 6, "q": np.arange(24.0), "k": ["x"] * 24})
    found = design(table, ["g", "q", "k"])
    assert found.names == ("1", "g=b", "g=c", "q")
    assert found.matrix[:4, :3].tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0]]
    assert (found.matrix[:, 3].mean(), found.matrix[:, 3].std()) == pytest.approx((0, 1))


def test_regressions_without_an_answer_are_refused():
    with pytest.raises(InvalidInput, match="2 rows for 2 coefficients"):
        least_squares(np.eye(2), np.ones(2), np.ones(2), np.ones(2))
    with pytest.raises(InvalidInput, match="determine one another"):
        least_squares(np.ones((5, 2)), np.ones(5), np.ones(5), np.ones(5))
