"""Wrong labels are found by the others and kept out of the statistics."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes.head import gaussian as gh
from bayesight.bayes.head import label_noise
from bayesight.bayes.head.state import within
from bayesight.errors import InvalidInput

NAMES = ("a", "b", "c", "d")


def test_flipped_labels_are_found_and_kept_out_of_the_statistics(sample, start):
    x, y = sample(2000, seed=17, spread=1.2)
    draw = torch.Generator().manual_seed(4)
    wrong = torch.rand(2000, generator=draw) < 0.065
    given = torch.where(wrong, (y + torch.randint(1, 4, (2000,), generator=draw)) % 4, y)
    suspicion = 1 - label_noise.fit_noise(label_noise.out_of_fold(x, given, NAMES), given).trust
    order = suspicion.argsort(descending=True)
    hits = wrong[order].double()
    precision = hits.cumsum(0) / torch.arange(1, 2001)
    assert float((precision * hits).sum() / hits.sum()) > 0.95
    assert float(hits[: int(wrong.sum())].mean()) > 0.9
    clean, _ = gh.absorb(start(), x, y)
    plain, _ = gh.absorb(start(), x, given)
    robust, _ = gh.absorb(start(), x, given, 1 - suspicion)

    def scatter(h):
        return float(within(h, 0.0)[0].trace() / h.counts.sum())

    assert scatter(robust) < scatter(clean) + 0.1 * (scatter(plain) - scatter(clean))
    with pytest.raises(InvalidInput, match="folds"):
        label_noise.out_of_fold(x, y, NAMES, folds=1)


def mislabelled(labels, share, seed, pattern, classes=4):
    """Labels of which a share is moved to any other class, or always to the next."""
    draw = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(labels), generator=draw) < share
    step = torch.randint(1, classes, labels.shape, generator=draw) if pattern == "any" else 1
    return torch.where(wrong, (labels + step) % classes, labels), wrong


@pytest.mark.parametrize("pattern", ["any", "next"])
@pytest.mark.parametrize("share", [0.02, 0.065, 0.15])
def test_the_share_of_wrong_labels_is_found_and_each_probability_is_one(sample, share, pattern):
    x, y = sample(3000, seed=23, spread=1.2)
    found, wrong = mislabelled(y, share, 5, pattern)
    fit = label_noise.fit_noise(label_noise.out_of_fold(x, found, NAMES), found)
    truth = float(wrong.double().mean())
    assert fit.wrong_share == pytest.approx(truth, rel=0.2)
    assert fit.wrong_share == pytest.approx(1 - float(fit.trust.mean()), abs=1e-9)
    low, high = fit.interval
    assert 0.97 * low < truth < 1.03 * high
    assert high - low < 0.5 * truth
    suspicion = 1 - fit.trust
    for lowest, highest in ((0.1, 0.5), (0.5, 0.9)):
        inside = (suspicion >= lowest) & (suspicion < highest)
        p, hits = suspicion[inside], wrong[inside].double()
        error = math.sqrt(float((p * (1 - p)).sum()) + 1e-9)
        assert abs(float((hits - p).sum())) < 3.5 * error
    sure = suspicion > 0.95
    assert float((fit.suggested[sure] == y[sure]).double().mean()) > 0.95


def test_intervals_cover_as_often_as_they_say_and_are_no_wider_than_need_be():
    draw = torch.Generator().manual_seed(11)
    inside, widths, errors = 0, [], []
    for _ in range(150):
        log_p = (torch.randn(800, 3, generator=draw, dtype=torch.float64) * 3).log_softmax(1)
        true = torch.multinomial(log_p.exp(), 1, generator=draw)[:, 0]
        seed = int(torch.randint(1 << 30, (), generator=draw))
        labels, wrong = mislabelled(true, 0.08, seed, "any", classes=3)
        fit = label_noise.fit_noise(log_p, labels)
        low, high = fit.interval
        truth = float(wrong.double().mean())
        inside += low <= truth <= high
        widths.append((high - low) / 2 / 1.96)
        errors.append(fit.wrong_share - truth)
    assert 0.89 <= inside / 150 <= 0.99
    spread = float(torch.tensor(errors).std())
    assert 0.8 < sum(widths) / 150 / spread < 1.25
    assert abs(sum(errors) / 150) < 0.15 * 0.08


def test_even_noise_agrees_with_a_grid_of_shares():
    draw = torch.Generator().manual_seed(3)
    log_p = (torch.randn(5000, 5, generator=draw, dtype=torch.float64) * 5).log_softmax(1)
    true = torch.multinomial(log_p.exp(), 1, generator=draw)[:, 0]
    labels, _ = mislabelled(true, 0.1, 8, "any", classes=5)
    fit = label_noise.fit_noise(log_p, labels)
    right = log_p.exp().gather(1, labels[:, None])
    share = torch.linspace(0.001, 0.4, 1500, dtype=torch.float64)
    mixed = (1 - share) * right + share * (1 - right) / 4
    weights = (mixed.log().sum(0) + 18 * torch.log1p(-share)).softmax(0)  # Beta(1, 19)
    trust = (1 - share) * right / mixed
    centre = weights @ (1 - trust.mean(0))
    variance = weights @ ((1 - trust.mean(0)) - centre).square()
    variance = variance + weights @ (trust * (1 - trust)).sum(0) / 5000**2
    assert fit.wrong_share == pytest.approx(float(centre), rel=0.02)
    low, high = fit.interval
    assert (high - low) / 2 / 1.96 == pytest.approx(float(variance.sqrt()), rel=0.05)
    assert float((fit.trust - trust @ weights).abs().mean()) < 0.005


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 30), rows=st.integers(1, 60))
def test_names_and_order_do_not_matter(seed, classes, rows):
    draw = torch.Generator().manual_seed(seed)
    log_p = (torch.randn(rows, classes, generator=draw, dtype=torch.float64) * 4).log_softmax(1)
    labels = torch.randint(classes, (rows,), generator=draw)
    fit = label_noise.fit_noise(log_p, labels)
    order, names = torch.randperm(rows, generator=draw), torch.randperm(classes, generator=draw)
    other = label_noise.fit_noise(log_p[order][:, names], names.argsort()[labels[order]])
    torch.testing.assert_close(other.trust, fit.trust[order], atol=1e-6, rtol=1e-6)
    assert torch.equal(names[other.suggested], fit.suggested[order])
    assert bool(((fit.trust >= 0) & (fit.trust <= 1)).all())
    assert bool((fit.suggested != labels).all())
    assert 0 <= fit.interval[0] <= fit.interval[1] <= 1


def test_two_readings_share_the_honest_share_and_their_difference_widens_the_interval():
    draw = torch.Generator().manual_seed(6)
    suspicion = torch.rand(500, generator=draw, dtype=torch.float64).pow(6)
    suggested = torch.zeros(500, dtype=torch.int64)

    def reading(suspicion):
        share = float(suspicion.mean())
        return label_noise.NoiseFit(1 - suspicion, suggested, share, (0.9 * share, 1.1 * share), 0.0)

    close, honest = reading(0.8 * suspicion), reading(suspicion)
    both = label_noise.pooled(close, honest)
    assert both.wrong_share == honest.wrong_share
    assert 1 - float(both.trust.mean()) == pytest.approx(honest.wrong_share, rel=1e-6)
    assert both.interval[0] < honest.interval[0] < honest.interval[1] < both.interval[1]
    assert both.interval[0] < close.wrong_share
    alike = label_noise.pooled(honest, honest)
    torch.testing.assert_close(alike.trust, honest.trust, atol=1e-9, rtol=0)
    assert alike.interval == pytest.approx(honest.interval, rel=0.02)


def test_one_class_has_no_wrong_labels():
    with pytest.raises(InvalidInput, match="at least two"):
        label_noise.fit_noise(torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64))
