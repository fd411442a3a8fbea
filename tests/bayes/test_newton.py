"""Newton's method: against scipy, in NumPy as in torch, whatever the coordinates, by damped steps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize

from bayesight.bayes.newton import minimise


def logistic(seed, torn=None):
    """A logistic regression with a ridge: its loss, and the gradient with the Newton direction."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
    x = x if torn is None else x @ torn
    ridge = 0.3 * (np.eye(3) if torn is None else torn.T @ torn)

    def loss(at):
        eta = x @ at
        return float(np.logaddexp(0, eta).sum() - y @ eta + at @ ridge @ at / 2)

    def newton(at):
        p = 1 / (1 + np.exp(-x @ at))
        gradient = x.T @ (p - y) + ridge @ at
        return gradient, np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + ridge, gradient)

    return loss, newton


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(-20, 20))
def test_the_least_loss_is_scipys_from_wherever_it_starts(seed, far):
    loss, newton = logistic(seed)
    found = minimise(loss, newton, np.full(3, far), tolerance=1e-12)
    theirs = minimize(loss, np.zeros(3), jac=lambda at: newton(at)[0], method="BFGS", options={"gtol": 1e-9})
    assert found == pytest.approx(theirs.x, abs=1e-6)
    assert np.abs(newton(found)[0]).max() < 1e-6


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_other_coordinates_change_nothing(seed, scale):
    """Newton's steps are the same points in any linear coordinates (Boyd and Vandenberghe, section 9.5.1)."""
    torn = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(3, 3)))[0] * [scale, 1, 1 / scale]
    found = minimise(*logistic(seed), np.zeros(3), tolerance=1e-12, steps=2)
    turned = minimise(*logistic(seed, torn), np.zeros(3), tolerance=1e-12, steps=2)
    assert torn @ turned == pytest.approx(found, rel=1e-6, abs=1e-9)


def test_tensors_and_arrays_have_one_answer():
    loss, newton = logistic(5)
    found = minimise(loss, newton, np.zeros(3), tolerance=1e-12)
    tensor = minimise(
        lambda at: loss(at.numpy()),
        lambda at: tuple(map(torch.from_numpy, newton(at.numpy()))),
        torch.zeros(3, dtype=torch.float64),
        tolerance=1e-12,
    )
    assert tensor.tolist() == found.tolist()


def test_a_full_step_that_would_run_away_is_halved():
    """log cosh: beyond |x| = 1.09 undamped steps double; points below -1.5 are not allowed besides."""
    visited = []

    def loss(at):
        visited.append(float(at[0]))
        return math.inf if at[0] < -1.5 else float(np.log(np.cosh(at)).sum())

    def newton(at):
        return np.tanh(at), np.tanh(at) * np.cosh(at) ** 2

    found = minimise(loss, newton, np.array([2.0]), tolerance=1e-12)
    assert abs(found[0]) < 1e-9
    assert min(visited) < -1.5  # it was proposed, and refused
    assert minimise(loss, newton, np.array([2.0]), tolerance=math.inf)[0] != 2.0  # one step
    assert minimise(loss, newton, np.array([2.0]), tolerance=0, steps=0)[0] == 2.0


def test_a_step_that_hardly_lowers_the_loss_is_halved_too():
    """log cosh just within the point that an undamped step throws to its mirror image: sinh 2x = 4x."""
    start = brentq(lambda x: np.sinh(2 * x) - 4 * x, 0.5, 2) * (1 - 1e-6)
    found = minimise(
        lambda at: float(np.log(np.cosh(at)).sum()),
        lambda at: (np.tanh(at), np.tanh(at) * np.cosh(at) ** 2),
        np.array([start]),
        tolerance=math.inf,
    )
    assert abs(found[0]) < 1e-5


def test_a_direction_that_leads_up_leaves_the_point_where_it_is():
    start = np.array([1.0])
    assert minimise(lambda at: float(at @ at), lambda at: (2 * at, -at), start, tolerance=1e-9) is start
