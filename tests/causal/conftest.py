"""Random graphs for the causal tests."""

import numpy as np
import pytest

from bayesight.causal.graph import Dag


def make_dag(seed, nodes=7, density=0.35, hidden=0.2):
    """A random graph over T, Y and others, in a random causal order, some of the others unobserved."""
    rng = np.random.default_rng(seed)
    names = ["T", "Y", *(f"V{i}" for i in range(nodes - 2))]
    order = [names[i] for i in rng.permutation(nodes)]
    edges = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if rng.random() < density]
    unseen = frozenset(n for n in names[2:] if rng.random() < hidden)
    return Dag(tuple(names), tuple(edges), unseen)


@pytest.fixture(scope="session")
def random_dag():
    return make_dag
