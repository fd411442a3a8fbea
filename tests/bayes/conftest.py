"""Feature vectors to learn from, and heads that start from nothing."""

import pytest
import torch

from bayesight.bayes.head import gaussian as gh

NAMES = ("a", "b", "c", "d")
PRIOR = gh.HeadPrior(mean_strength=0.7, scatter=3.0, extra_dof=2.5)


@pytest.fixture(scope="session")
def sample():
    """Draw rows of Gaussian classes in float32, as a network gives them, with a correlated covariance."""

    def draw_rows(rows, seed=0, size=6, classes=4, spread=2.0):
        draw = torch.Generator().manual_seed(seed)
        centres = torch.randn(classes, size, generator=torch.Generator().manual_seed(99)) * spread
        mix = torch.randn(size, size, generator=torch.Generator().manual_seed(98)) / size**0.5
        labels = torch.randint(classes, (rows,), generator=draw)
        return centres[labels] + torch.randn(rows, size, generator=draw) @ mix + 5.0, labels

    return draw_rows


@pytest.fixture(scope="session")
def start():
    """Make a head that has seen nothing, with hyperparameters none of which is the default."""

    def make(prior=PRIOR, size=6, names=NAMES):
        return gh.empty(names, torch.linspace(4, 6, size), torch.linspace(0.5, 2, size), prior)

    return make


@pytest.fixture(scope="session")
def same(sample):
    """Assert that two heads hold the same statistics and answer alike."""

    def compare(one, other, tolerance):
        x, _ = sample(200, seed=77, size=one.dimension)
        torch.testing.assert_close(
            gh.log_posterior(one, x).exp(), gh.log_posterior(other, x).exp(), atol=tolerance, rtol=0
        )
        for name in ("counts", "sums", "second_moments"):
            a, b = getattr(one, name), getattr(other, name)
            torch.testing.assert_close(a, b, atol=tolerance * max(1.0, float(b.abs().max())), rtol=0)

    return compare
