"""Random graphs, example tables asked their own question, and tables drawn from known curves."""

import numpy as np
import pytest

from bayesight.causal import EffectQuestion, estimate, parse
from bayesight.causal.examples import example
from bayesight.causal.graph import Dag


def make_dag(seed, nodes=7, density=0.35, hidden=0.2):
    """A random graph over T, Y and others, in a random causal order, some of the others unobserved."""
    rng = np.random.default_rng(seed)
    names = ["T", "Y", *(f"V{i}" for i in range(nodes - 2))]
    order = [names[i] for i in rng.permutation(nodes)]
    edges = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if rng.random() < density]
    unseen = frozenset(n for n in names[2:] if rng.random() < hidden)
    return Dag(tuple(names), tuple(edges), unseen)


def ask_example(name, **changes):
    """The answer to an example's own question, or to one that differs in some of its parts."""
    e = example(name)
    asked = {"reference": e.reference, "success": e.success, "direct": e.direct} | changes
    return estimate(e.make(), parse(e.graph), EffectQuestion(e.treatment, e.outcome, **asked))


def draw_line(rows=400, seed=0):
    """Two confounders, a treatment and an outcome in straight lines, with uneven noise; the slope is 1.5."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, 2))
    t = 0.7 * z[:, 0] - 0.4 * z[:, 1] + rng.normal(size=rows)
    y = 1.5 * t + z @ [2.0, -1.0] + rng.normal(size=rows) * (0.5 + np.abs(z[:, 0]))
    return z, t, y


def draw_bend(rows, seed, slope=2.0):
    """A confounder that acts by its square on a treatment and on an outcome; the effect is 1."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=rows)
    t = (rng.random(rows) < 1 / (1 + np.exp(0.7 - 0.7 * z**2))).astype(int)
    return z, t, t + slope * z**2 + rng.normal(size=rows)


@pytest.fixture(scope="session")
def random_dag():
    return make_dag


@pytest.fixture(scope="session")
def of_example():
    return ask_example


@pytest.fixture(scope="session")
def linear_table():
    return draw_line


@pytest.fixture(scope="session")
def bent():
    return draw_bend
