"""The families against scipy, quadrature and least squares, at values that are nobody's defaults."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import betaln

from bayesight.bayes.conjugate import beta, dirichlet, normal, regression, wishart
from bayesight.errors import InvalidInput

F64 = torch.float64


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def test_beta_against_scipy():
    data = torch.tensor([1, 1, 0, 1, 0, 1, 1])
    state, evidence = beta.update(beta.prior(2.5, 0.7), data)
    posterior = stats.beta(7.5, 2.7)
    assert beta.mean(state)["rate"].item() == pytest.approx(posterior.mean())
    low, high = beta.interval(state, 0.9)["rate"]
    assert (low.item(), high.item()) == pytest.approx(posterior.interval(0.9))
    assert evidence.item() == pytest.approx(betaln(7.5, 2.7) - betaln(2.5, 0.7))
    # Of the counts, in any order, it is scipy's beta-binomial.
    assert evidence.item() + math.log(math.comb(7, 5)) == pytest.approx(
        stats.betabinom.logpmf(5, 7, 2.5, 0.7)
    )


def test_dirichlet_against_scipy():
    alpha, data = [0.4, 1.0, 2.0], torch.tensor([0, 2, 2, 1, 2])
    state, evidence = dirichlet.update(dirichlet.prior(alpha), data)
    posterior = stats.dirichlet([1.4, 2.0, 5.0])
    assert np.allclose(dirichlet.mean(state)["probabilities"], posterior.mean())
    low, high = dirichlet.interval(state, 0.9)["probabilities"]
    for k, a in enumerate([1.4, 2.0, 5.0]):
        assert (low[k].item(), high[k].item()) == pytest.approx(stats.beta(a, 8.4 - a).interval(0.9))
    coefficient = math.log(math.factorial(5) / math.factorial(3))
    assert evidence.item() + coefficient == pytest.approx(
        stats.dirichlet_multinomial.logpmf([1, 1, 3], alpha, 5)
    )


def test_normal_against_scipy_and_quadrature():
    data = rows(6) * 2 + 3
    state, evidence = normal.update(normal.prior(-1.0, 2.5, 1.7, 3.0), data)
    x = data.numpy()
    k, a = 2.5 + 6, 1.7 + 3
    m = (2.5 * -1 + 6 * x.mean()) / k
    b = 3.0 + 0.5 * (x**2).sum() + 0.5 * 2.5 * 1 - 0.5 * k * m**2
    location = stats.t(2 * a, m, math.sqrt(b / (a * k)))
    spread = stats.invgamma(a, scale=b)
    found = normal.interval(state, 0.9)
    assert [v.item() for v in found["mean"]] == pytest.approx(location.interval(0.9))
    assert [v.item() for v in found["variance"]] == pytest.approx(spread.interval(0.9))
    assert normal.mean(state)["mean"].item() == pytest.approx(location.mean())
    assert normal.mean(state)["variance"].item() == pytest.approx(spread.mean())
    at = torch.tensor([0.3, 4.0], dtype=F64)
    density = stats.t(2 * a, m, math.sqrt(b * (k + 1) / (a * k))).logpdf(at.numpy())
    assert normal.log_predictive(state, at).tolist() == pytest.approx(density.tolist())

    # Quadrature of prior times likelihood over the mean and the logarithm of the variance.
    mu, log_v = np.linspace(-60, 60, 24_001)[:, None], np.linspace(-4, 14, 301)[None]
    v = np.exp(log_v)
    log_prior = stats.norm.logpdf(mu, -1, np.sqrt(v / 2.5)) + stats.invgamma.logpdf(v, 1.7, scale=3.0)
    squares = ((x - x.mean()) ** 2).sum() + 6 * (mu - x.mean()) ** 2
    log_likelihood = -3 * np.log(2 * np.pi * v) - squares / (2 * v)
    mass = np.exp(log_prior + log_likelihood + log_v)
    total = mass.sum() * (mu[1, 0] - mu[0, 0]) * (log_v[0, 1] - log_v[0, 0])
    assert evidence.item() == pytest.approx(math.log(total), abs=1e-6)


def test_beta_intervals_cover_as_often_as_they_say():
    rng, start, hits, rounds = np.random.default_rng(8), beta.prior(2.5, 0.7), 0, 1500
    for rate in rng.beta(2.5, 0.7, rounds):
        data = torch.as_tensor(rng.random(12) < rate)
        low, high = beta.interval(beta.update(start, data)[0], 0.8)["rate"]
        hits += int(low <= rate <= high)
    assert abs(hits / rounds - 0.8) < 4 * (0.8 * 0.2 / rounds) ** 0.5


def test_wishart_against_scipy_and_its_one_dimensional_self():
    scale = torch.tensor([[2.0, 0.3], [0.3, 1.0]], dtype=F64)
    data = rows(9, 2, seed=1) @ torch.tensor([[1.0, 0.5], [0.0, 2.0]], dtype=F64)
    state, _ = wishart.update(wishart.prior(torch.tensor([1.0, -1.0]), 1.5, 4.2, scale), data)
    x, m0 = data.numpy(), np.array([1.0, -1.0])
    k, nu = 1.5 + 9, 4.2 + 9
    m = (1.5 * m0 + x.sum(0)) / k
    psi = scale.numpy() + x.T @ x + 1.5 * np.outer(m0, m0) - k * np.outer(m, m)
    posterior = stats.invwishart(nu, psi)
    assert np.allclose(wishart.mean(state)["covariance"], posterior.mean())
    assert np.allclose(wishart.mean(state)["mean"], m)
    t = stats.multivariate_t(m, psi * (k + 1) / (k * (nu - 1)), nu - 1)
    at = rows(4, 2, seed=2)
    assert np.allclose(wishart.log_predictive(state, at), t.logpdf(at.numpy()))
    low, high = wishart.interval(state, 0.9)["variance"]
    for j in range(2):
        marginal = stats.invgamma((nu - 1) / 2, scale=psi[j, j] / 2)
        assert (low[j].item(), high[j].item()) == pytest.approx(marginal.interval(0.9))
        centre = stats.t(nu - 1, m[j], math.sqrt(psi[j, j] / (k * (nu - 1))))
        assert [v[j].item() for v in wishart.interval(state, 0.9)["mean"]] == pytest.approx(
            centre.interval(0.9)
        )
    # In one dimension it is the normal family with a = ν/2 and b = Ψ/2.
    line = rows(7, 1, seed=3)
    one, e1 = wishart.update(wishart.prior(torch.tensor([0.5]), 2.0, 3.0, torch.tensor([[1.5]])), line)
    other, e2 = normal.update(normal.prior(0.5, 2.0, 1.5, 0.75), line)
    assert e1.item() == pytest.approx(e2.item(), abs=1e-12)
    assert wishart.mean(one)["covariance"].item() == pytest.approx(normal.mean(other)["variance"].item())
    assert wishart.interval(one)["variance"][0].item() == pytest.approx(
        normal.interval(other)["variance"][0].item()
    )


@pytest.mark.parametrize("intercept", [True, False])
def test_regression_against_its_matrix_form_and_a_multivariate_t(intercept):
    x, noise = rows(12, 2, seed=4) * 2 + 1, rows(12, seed=5)
    y = 1.0 * intercept + x @ torch.tensor([0.5, -2.0], dtype=F64) + noise
    p = 2 + intercept
    lam = torch.diag(torch.tensor([0.5, 1.5, 0.3], dtype=F64)[:p]) + 0.1
    m0 = torch.tensor([0.2, -0.4, 0.9], dtype=F64)[:p]
    start = regression.prior(m0, lam, features=2, intercept=intercept, shape=1.4, rate=2.2)
    state, evidence = regression.update(start, torch.cat([x, y[:, None]], 1))
    X = np.column_stack([np.ones(12), x.numpy()]) if intercept else x.numpy()
    L, m, t = lam.numpy(), m0.numpy(), y.numpy()
    Ln = L + X.T @ X
    mn = np.linalg.solve(Ln, L @ m + X.T @ t)
    an, bn = 1.4 + 6, 2.2 + 0.5 * (t @ t + m @ L @ m - mn @ Ln @ mn)
    assert np.allclose(regression.mean(state)["coefficients"], mn)
    assert regression.mean(state)["variance"].item() == pytest.approx(bn / (an - 1))
    # All responses together are a multivariate t with the prior's own predictive covariance.
    joint = stats.multivariate_t(X @ m, 2.2 / 1.4 * (np.eye(12) + X @ np.linalg.inv(L) @ X.T), 2.8)
    assert evidence.item() == pytest.approx(joint.logpdf(t))
    low, high = regression.interval(state, 0.9)["coefficients"]
    for j in range(p):
        marginal = stats.t(2 * an, mn[j], math.sqrt(bn / an * np.linalg.inv(Ln)[j, j]))
        assert (low[j].item(), high[j].item()) == pytest.approx(marginal.interval(0.9))


def test_slope_and_intercept_against_least_squares():
    x = torch.linspace(0, 10, 40, dtype=F64)
    y = 3.0 - 0.7 * x + rows(40, seed=6) * 0.5
    data = torch.stack([x, y], 1)
    state, _ = regression.update(regression.prior(precision=1e-8, shape=1e-6, rate=1e-6), data)
    fit = stats.linregress(x.numpy(), y.numpy())
    best = regression.maximum_likelihood(state)
    assert best["coefficients"].tolist() == pytest.approx([fit.intercept, fit.slope])
    residuals = y - best["coefficients"][0] - best["coefficients"][1] * x
    assert best["variance"].item() == pytest.approx(residuals.square().mean().item())
    # With next to no prior the credible interval is the confidence interval, but for n - 2 against n.
    assert regression.mean(state)["coefficients"].tolist() == pytest.approx(
        [fit.intercept, fit.slope], abs=1e-6
    )
    low, high = regression.interval(state)["coefficients"]
    classical = 2 * stats.t(38).ppf(0.975) * fit.stderr
    assert (high[1] - low[1]).item() == pytest.approx(classical, rel=0.04)


def test_maximum_likelihood_without_intercept_and_when_unsettled():
    x = rows(8, 2, seed=7)
    data = torch.cat([x, (x @ torch.tensor([1.0, 2.0], dtype=F64))[:, None] + 1], 1)
    state, _ = regression.update(regression.prior(features=2, intercept=False), data)
    expected, *_ = np.linalg.lstsq(x.numpy(), data[:, 2].numpy())
    assert regression.maximum_likelihood(state)["coefficients"].tolist() == pytest.approx(expected.tolist())
    flat, _ = regression.update(regression.prior(), torch.tensor([[1.0, 2.0], [1.0, 3.0]]))
    with pytest.raises(InvalidInput, match="2 rows; expected 2 or more that differ"):
        regression.maximum_likelihood(flat)


def test_variances_are_infinite_while_they_have_no_mean():
    assert normal.mean(normal.prior(shape=0.8))["variance"].item() == math.inf
    assert wishart.mean(wishart.prior(torch.zeros(2), df=2.5))["covariance"].max().item() == math.inf
    assert regression.mean(regression.prior(shape=1.0))["variance"].item() == math.inf


@pytest.mark.parametrize(
    "make",
    [
        lambda: beta.prior(0, 1),
        lambda: beta.prior(math.nan, 1),
        lambda: dirichlet.prior([1.0]),
        lambda: dirichlet.prior([1.0, -1.0]),
        lambda: normal.prior(strength=0),
        lambda: normal.prior(mean=math.inf),
        lambda: wishart.prior(torch.zeros(2), df=1.0),
        lambda: wishart.prior(torch.zeros(2), scale=torch.tensor([[1.0, 2.0], [2.0, 1.0]])),
        lambda: wishart.prior(torch.zeros(2, 2)),
        lambda: regression.prior(precision=-1.0),
        lambda: regression.prior(torch.zeros(3)),
        lambda: regression.prior(features=0, intercept=False),
        lambda: regression.prior(rate=0.0),
        lambda: beta.update(beta.prior(), torch.tensor([0.5])),
        lambda: dirichlet.update(dirichlet.prior([1, 1]), torch.tensor([2])),
        lambda: dirichlet.log_predictive(dirichlet.prior([1, 1]), torch.tensor([-1])),
    ],
)
def test_bad_input_is_refused(make):
    with pytest.raises(InvalidInput, match="expected"):
        make()


def test_a_reference_prior_gives_the_t_interval_of_scipy():
    numbers = torch.tensor([36.6, 36.9, 37.1, 36.8, 36.4], dtype=torch.float64)
    state, _ = normal.update(normal.reference(), numbers)
    low, high = normal.interval(state, 0.9)["mean"]
    expected = stats.ttest_1samp(numbers.numpy(), 0).confidence_interval(0.9)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), rel=1e-12)
    ratio = 4 * numbers.var().item() / np.array(stats.chi2(4).ppf([0.95, 0.05]))
    low, high = normal.interval(state, 0.9)["variance"]
    assert (float(low), float(high)) == pytest.approx(tuple(ratio), rel=1e-12)


def test_a_reference_prior_gives_the_line_of_scipy_far_from_zero():
    years = torch.arange(1990, 2021, dtype=torch.float64)
    noise = 0.1 * torch.randn(31, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    rows = torch.stack([years, 14.2 + 0.02 * (years - 1990) + noise], 1)
    state, _ = regression.update(regression.reference(), rows)
    found = stats.linregress(*rows.T.numpy())
    reach = stats.t(29).ppf(0.975) * np.array([found.intercept_stderr, found.stderr])
    centre = np.array([found.intercept, found.slope])
    np.testing.assert_allclose(regression.mean(state)["coefficients"].numpy(), centre, rtol=1e-9)
    low, high = regression.interval(state)["coefficients"]
    np.testing.assert_allclose(torch.stack([low, high]).numpy(), [centre - reach, centre + reach], rtol=1e-9)
    new = torch.tensor([[2025.0, 15.0]], dtype=torch.float64)
    spread = (31 + 1) / 31 + (2025 - 2005) ** 2 / float(rows[:, 0].var() * 30)
    residual = float(state.squares(regression.mean(state)["coefficients"])) / 29
    at = found.intercept + found.slope * 2025
    expected = stats.t(29, at, (residual * spread) ** 0.5).logpdf(15.0)
    assert float(regression.log_predictive(state, new)) == pytest.approx(expected, rel=1e-7)


def test_a_reference_prior_gives_the_t_interval_of_hotelling():
    rows = torch.randn(12, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 3 + 5
    state, _ = wishart.update(wishart.reference(3), rows)
    low, high = wishart.interval(state)["mean"]
    scatter = np.cov(rows.T.numpy()) * 11
    reach = stats.t(9).ppf(0.975) * np.sqrt(np.diag(scatter) / (12 * 9))
    np.testing.assert_allclose(((high - low) / 2).numpy(), reach, rtol=1e-10)


def test_what_is_said_of_the_mean_alone_leaves_the_variance_to_the_data():
    numbers = torch.tensor([3.0, 5.0, 4.0], dtype=torch.float64)
    state, _ = normal.update(normal.reference(mean=1.0, strength=2.0), numbers)
    assert normal.mean(state)["mean"].item() == pytest.approx((2 * 1 + 12) / 5)
    squares = ((numbers - 4) ** 2).sum().item() + 2 * 3 / 5 * 9
    low, high = normal.interval(state)["variance"]
    expected = squares / np.array(stats.chi2(3).ppf([0.975, 0.025]))
    assert (float(low), float(high)) == pytest.approx(tuple(expected), rel=1e-12)
