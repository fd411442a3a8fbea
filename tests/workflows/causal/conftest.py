"""Tables of a known world, and sites that differ."""

import numpy as np
import pytest

from bayesight.workflows.causal import CausalRequest, causal_effect, causal_simulate

GRAPH = "Z -> T, Z -> Y, T -> Y"


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """A discrete table with one confounder, and its truth."""
    path = tmp_path_factory.mktemp("causal") / "t.csv"
    return causal_simulate(GRAPH, path, rows=20_000, kind="discrete", seed=5)


@pytest.fixture(scope="session")
def ask():
    """Ask for the effect of T on Y in a file, with changes to the request."""

    def asked(path, **changes):
        return causal_effect(
            CausalRequest(path, **{"treatment": "T", "outcome": "Y", "graph": GRAPH} | changes)
        )

    return asked


@pytest.fixture(scope="session")
def sites():
    def drawn(path, count, rows=4000):
        """A world in which sites differ by 30 and the treatment adds 1, whatever the numbers of the sites."""
        rng = np.random.default_rng(7)
        level = rng.choice([-5, 5], count)
        site = rng.integers(0, count, rows)
        treated = (rng.random(rows) < np.where(level[site] > 0, 0.9, 0.1)).astype(int)
        outcome = 3 * level[site] + treated + rng.normal(size=rows)
        lines = [f"{a + 1},{b},{c:.3f}" for a, b, c in zip(site, treated, outcome, strict=True)]
        path.write_text("site,T,Y\n" + "\n".join(lines) + "\n")
        return path

    return drawn
