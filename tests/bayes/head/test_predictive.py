"""What the head says, against scipy, scikit-learn and its own chain rule."""

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.covariance import empirical_covariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bayesight.bayes.head import gaussian as gh
from bayesight.bayes.head import predictive as predictive_module

NAMES = ("a", "b", "c", "d")
PRIOR = gh.HeadPrior(mean_strength=0.7, scatter=3.0, extra_dof=2.5)


def test_predictive_agrees_with_scipy(sample, start):
    x, y = sample(60, seed=6)
    head, _ = gh.absorb(start(), x, y)
    got = gh.log_density(gh.predictive(head), x[:5], 3.7).numpy()
    z = ((x.double() - head.shift) / head.scale).numpy()
    kappa, nu = PRIOR.mean_strength, 6 + 1 + PRIOR.extra_dof
    counts = np.bincount(y, minlength=4)
    means = np.stack([z[y == k].sum(0) / (kappa + counts[k]) for k in range(4)])
    psi = PRIOR.scatter * np.eye(6)
    for k in range(4):
        rows = z[y == k]
        psi += len(rows) * empirical_covariance(rows)
        psi += kappa * counts[k] / (kappa + counts[k]) * np.outer(rows.mean(0), rows.mean(0))
    dof = nu + 60 - 6 + 1
    for k in range(4):
        shape = psi / dof * (3.7 + 1 / (kappa + counts[k]))
        expected = scipy.stats.multivariate_t(means[k], shape, df=dof).logpdf(z[:5])
        np.testing.assert_allclose(got[:, k], expected - float(head.scale.log().sum()), atol=1e-9)


def test_log_evidence_is_the_sum_of_one_step_predictives(sample, start):
    x, y = sample(25, seed=7, size=3)
    head = start(size=3)
    total = 0.0
    for i in range(25):
        predicted = gh.log_likelihood(head, x[i : i + 1])[0, y[i]]
        head, learned = gh.absorb(head, x[i : i + 1], y[i : i + 1])
        assert learned.log_evidence == pytest.approx(float(predicted), abs=1e-8)
        total += float(predicted)
    assert gh.log_evidence(head) == pytest.approx(total, abs=1e-7)


def test_density_integrates_to_one_at_every_temperature():
    x = torch.tensor([[0.0], [1.0], [2.0], [9.0], [10.0]])
    head = gh.fit(x, torch.tensor([0, 0, 0, 1, 1]), ("a", "b"), prior=PRIOR)
    grid = torch.linspace(-4000, 4000, 2_000_001, dtype=torch.float64)[:, None]
    for temperature in (0.3, 1.0, 12.0):
        density = gh.log_density(gh.predictive(head), grid, temperature).exp()
        torch.testing.assert_close(
            torch.trapezoid(density, grid, dim=0), torch.ones(2, dtype=torch.float64), atol=1e-4, rtol=0
        )


def test_with_much_data_it_is_linear_discriminant_analysis(sample):
    x, y = sample(4000, seed=8)
    head = gh.fit(x, y, NAMES, prior=gh.HeadPrior(mean_strength=1e-9, scatter=1e-6))
    reference = LinearDiscriminantAnalysis(solver="lsqr").fit(x.numpy(), y.numpy())
    fresh, _ = sample(300, seed=9)
    np.testing.assert_allclose(
        gh.log_posterior(head, fresh).exp().numpy(), reference.predict_proba(fresh.numpy()), atol=0.01
    )


def test_rows_that_share_their_strength_are_those_that_each_have_it(sample, start):
    head, _ = gh.absorb(start(), *sample(60, seed=6))
    ready, (x, y) = gh.predictive(head), sample(30, seed=2)
    shared, left = gh.distances(ready, x), gh.left_out(ready, x[:9], y[:9], torch.full((9,), 0.5))
    shapes = (ready.strength, shared.dof[0], shared.log_det[0])
    each = gh.Distances(6, shared.squared, *(part.repeat(30, 1) for part in shapes))
    none = torch.empty(0, dtype=torch.long)
    for one, other in (
        (shared, each),
        (shared.at(torch.tensor([3, 1])), each.at(torch.tensor([3, 1]))),
        (shared.at(torch.tensor([7])).at(torch.tensor([0, 0])), each.at(torch.tensor([7, 7]))),
        (shared.at(none), each.at(none)),
        (shared.joined(left), each.joined(left)),
        (left.joined(shared), left.joined(each)),
        (shared.split(7)[4], each.split(7)[4]),
        (shared.joined(left).split(20)[1], each.joined(left).split(20)[1]),
    ):
        assert len(one) == len(other)
        assert torch.equal(gh.density_at(ready, one, 3.7), gh.density_at(ready, other, 3.7))
    assert [len(part) for part in shared.split(7)] == [7, 7, 7, 7, 2]
    assert gh.density_at(ready, shared.at(none).split(4)[0]).shape == (0, 4)


def test_losses_of_many_judges_are_the_sum_over_blocks_of_them(sample, start, monkeypatch):
    head, _ = gh.absorb(start(), *sample(60, seed=6))
    ready, (x, y) = gh.predictive(head), sample(50, seed=3)
    weights = torch.linspace(0.1, 1, 50, dtype=torch.float64)
    whole = gh.judged_losses(ready, gh.distances(ready, x), y, weights)
    monkeypatch.setattr(gh, "_VALUES", 28)  # seven rows of four classes
    torch.testing.assert_close(
        gh.judged_losses(ready, gh.distances(ready, x), y, weights), whole, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("unseen", [False, True])
def test_densities_made_ready_once_are_those_of_rows_that_bring_their_own(sample, start, unseen, monkeypatch):
    head, _ = gh.absorb(start(), *sample(60, seed=6))
    head = gh.add_class(head, "e") if unseen else head
    judged, named = sample(50, seed=3)
    ready = gh.sharpened(gh.predictive(head), gh.distances(gh.predictive(head), judged), named)
    asked, _ = sample(30, seed=2)
    rows = gh.distances(ready, asked)
    shapes = (rows.strength[0], rows.dof[0], rows.log_det[0])
    each = gh.Distances(6, rows.squared, *(part.repeat(30, 1) for part in shapes))
    whole = gh.log_density(ready, asked)
    assert ready.softened
    assert bool(torch.isfinite(whole).all())
    torch.testing.assert_close(gh.density_at(ready, each), whole, rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(predictive_module, "_VALUES", 7 * len(ready.temperatures) * len(head.classes))
    torch.testing.assert_close(gh.log_density(ready, asked), whole, rtol=1e-12, atol=1e-12)
    assert gh.log_density(ready, asked[:0]).shape == (0, len(head.classes))
