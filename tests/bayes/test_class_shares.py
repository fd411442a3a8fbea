"""The posterior of class shares against integrals, a slow version and its own model."""

import numpy as np
import pytest
import torch
from scipy import integrate, special

from bayesight.bayes import class_shares
from bayesight.errors import InvalidInput

OLD = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def sure(counts, chains=60):
    """Likelihoods of images whose classes are beyond doubt."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    one_hot = torch.nn.functional.one_hot(labels, len(counts)).double()
    return (one_hot - 1).mul(200).expand(chains, -1, -1)


@pytest.mark.parametrize("counts", [(9, 0, 3), (20, 0, 0), (0, 0, 1), (25, 15, 10)])
def test_shares_and_the_weight_of_the_training_shares_agree_with_an_integral(counts):
    c, old = np.array(counts), OLD.numpy()

    def density(t):  # of the log weight, unnormalised
        a = np.exp(t)
        log_p = 0.5 * (t - 2 * np.log1p(a)) + special.gammaln(a) - special.gammaln(a + c.sum())
        return np.exp(log_p + (special.gammaln(a * old + c) - special.gammaln(a * old)).sum() + c.sum())

    span = (np.log(1e-4), np.log(1e4))
    total = integrate.quad(density, *span, limit=400)[0]
    share = [
        integrate.quad(
            lambda t, k=k: density(t) * (np.exp(t) * old[k] + c[k]) / (np.exp(t) + c.sum()), *span, limit=400
        )[0]
        / total
        for k in range(3)
    ]
    above = integrate.quad(density, np.log(5), span[1], limit=400)[0] / total
    draws = class_shares.draw_shares(sure(counts), OLD, seed=3)
    np.testing.assert_allclose(draws.prior.mean((0, 1)), share, atol=0.02)
    assert float((draws.weight > 5).double().mean()) == pytest.approx(above, abs=0.05)


def test_a_sample_like_the_training_images_is_pulled_and_one_of_a_single_class_is_not():
    like = class_shares.draw_shares(sure((100, 60, 40)), OLD)
    single = class_shares.draw_shares(sure((0, 0, 200)), OLD)
    assert float(like.weight.median()) > 60
    assert float(single.weight.median()) < 0.5
    assert float(single.prior[..., 2].mean()) > 0.995


def test_the_order_of_images_and_of_classes_does_not_matter():
    likelihood = torch.randn(30, 50, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    likelihood = likelihood[:1].expand(30, -1, -1) * 2
    turned = torch.tensor([2, 0, 1])
    there = class_shares.draw_shares(likelihood, OLD).prior.mean((0, 1))
    back = class_shares.draw_shares(likelihood.flip(1)[..., turned], OLD[turned]).prior.mean((0, 1))
    torch.testing.assert_close(back, there[turned], atol=0.02, rtol=0)


def test_novelty_tails_are_uniform_in_every_class_and_agree_with_a_slow_version():
    generator = torch.Generator().manual_seed(5)
    labels, fresh = (torch.randint(3, (n,), generator=generator) for n in (3000, 6000))
    noise = torch.randn(9000, generator=generator)
    scores, new = noise[:3000] * (1 + labels / 2) + labels, noise[3000:] * (1 + fresh / 2) + fresh
    weights = torch.rand(2, 3000, generator=generator)
    tails = class_shares.novelty_tails(scores, labels, weights, new, 3)
    assert tails.shape == (2, 6000, 3)
    own = tails[0, torch.arange(6000), fresh]
    for k in range(3):
        for share in (0.02, 0.1, 0.3):
            assert float((own[fresh == k] <= share).double().mean()) == pytest.approx(share, abs=0.05)
    w, s, y = weights[1].double().numpy(), scores.double().numpy(), labels.numpy()
    mean, total = np.average(s, weights=w), w.sum()
    spread = np.average((s - mean) ** 2, weights=w)
    centre, scale = np.empty(3), np.empty(3)
    for j in range(3):
        v, u = s[y == j], w[y == j]
        centre[j] = (u @ v + 5 * mean) / (u.sum() + 5)
        scale[j] = np.sqrt((u @ (v - centre[j]) ** 2 + 5 * spread) / (u.sum() + 5))
    standard = (s - centre[y]) / scale[y]
    for k in range(3):
        for i in range(0, 6000, 997):
            rarer = w[standard >= (float(new[i]) - centre[k]) / scale[k]].sum()
            assert float(tails[1, i, k]) == pytest.approx((1 + rarer) / (1 + total), rel=1e-9)


def test_only_unknown_images_leave_the_shares_open():
    tails = torch.full((20, 80, 3), 0.002, dtype=torch.float64)
    draws = class_shares.draw_shares(sure((80, 0, 0), chains=20), OLD, tails)
    assert float(draws.unknown.mean()) > 0.9
    assert bool(torch.isfinite(draws.prior).all())
    assert float(draws.prior[..., 0].std()) > 0.15


def test_familiar_images_are_all_of_known_kinds():
    tails = torch.full((20, 80, 3), 0.4, dtype=torch.float64)
    draws = class_shares.draw_shares(sure((50, 20, 10), chains=20), OLD, tails)
    assert float(draws.unknown.max()) < 0.1
    again = class_shares.draw_shares(sure((50, 20, 10), chains=20), OLD, tails)
    torch.testing.assert_close(draws.prior, again.prior, atol=0, rtol=0)


def test_refusals():
    with pytest.raises(InvalidInput):
        class_shares.draw_shares(torch.zeros(2, 0, 3), OLD)
    with pytest.raises(InvalidInput):
        class_shares.draw_shares(torch.zeros(2, 4, 3), torch.tensor([1.0, 0.0, 0.0]))
