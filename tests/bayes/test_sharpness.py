"""How sure judged images allow one to be: against Laplace's rule, scipy's quadrature, and loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.head import gaussian as gh
from bayesight.errors import InvalidInput


def flat(log_p: Tensor):
    """Scores of one row a log posterior, whatever the temperature."""
    return lambda temperatures: log_p.expand(len(temperatures), *log_p.shape)


def tempered(logits: Tensor):
    return lambda temperatures: logits / temperatures[:, None, None]


def drawn(seed: int, rows: int = 40, shares=(0.5, 0.3, 0.2)):
    generator = torch.Generator().manual_seed(seed)
    log_prior = torch.tensor(shares, dtype=torch.float64).log()
    labels = torch.multinomial(log_prior.exp(), rows, replacement=True, generator=generator)
    logits = torch.randn(rows, len(shares), generator=generator, dtype=torch.float64)
    return 8 * logits + 6 * torch.nn.functional.one_hot(labels, len(shares)), labels, log_prior


@pytest.mark.parametrize("rows", [20, 98, 2000])
@pytest.mark.parametrize("classes", [2, 10])
def test_after_n_right_answers_the_next_is_wrong_with_one_in_n_plus_two(rows, classes):
    sure = torch.full((rows, classes), -900.0, dtype=torch.float64)
    labels = torch.arange(rows) % classes
    sure[torch.arange(rows), labels] = 0
    even = torch.full((classes,), -math.log(classes), dtype=torch.float64)
    losses = sharpness.judged_losses(flat(sure), even, labels, torch.ones(rows, dtype=torch.float64))
    fitted = sharpness.posterior(losses)
    answer = sharpness.averaged(sharpness.shares(fitted, even), sure.expand(len(fitted), -1, -1)).exp()
    most = (classes - 1) / classes  # a slip that says nothing is wrong that often
    total, wrong = (quad(lambda e, k=k: e**k * (1 - e) ** rows, 0, most)[0] for k in (0, 1))
    assert float(1 - answer.max()) == pytest.approx(wrong / total, rel=1e-5)
    assert float(answer.max()) <= 1 - (1 - 1e-5) / (rows + 2)
    assert float(1 - answer.max()) == pytest.approx(1 / (rows + 2), rel=1e-3)


def test_losses_are_those_of_a_loop_over_the_grid():
    logits, labels, log_prior = drawn(1, rows=7)
    weights = torch.linspace(0.2, 1, 7, dtype=torch.float64)
    got = sharpness.judged_losses(tempered(logits), log_prior, labels, weights)
    for g in (0, 17, 53):
        p = np.exp((logits / sharpness.TEMPERATURES[g]).log_softmax(1).numpy())
        for e in (0, 25, 54):
            slip = float(sharpness.SLIPS[e])
            mixed = (1 - slip) * p + slip * log_prior.exp().numpy()
            expected = -sum(
                w * math.log(mixed[i, y])
                for i, (w, y) in enumerate(zip(weights.tolist(), labels.tolist(), strict=True))
            )
            assert float(got[g, e]) == pytest.approx(expected, rel=1e-12)


def test_the_posterior_is_that_of_scipys_quadrature():
    logits, labels, log_prior = drawn(2)
    ones = torch.ones(len(labels), dtype=torch.float64)
    losses = sharpness.judged_losses(tempered(logits), log_prior, labels, ones)
    temperatures, weights, slips = sharpness.posterior(losses).T
    right = [
        (logits / t).log_softmax(1).exp().gather(1, labels[:, None])[:, 0].numpy()
        for t in sharpness.TEMPERATURES
    ]
    slipped = log_prior.exp()[labels].numpy()

    def likelihood(p, slip):
        return math.exp(np.log((1 - slip) * p + slip * slipped).sum())

    evidence = np.array([quad(lambda s, p=p: likelihood(p, s), 0, 1, epsabs=0)[0] for p in right])
    means = np.array([quad(lambda s, p=p: s * likelihood(p, s), 0, 1, epsabs=0)[0] for p in right]) / evidence
    prior = np.exp(-0.5 * np.log(sharpness.TEMPERATURES.numpy() / 10) ** 2)
    expected = prior * evidence / (prior * evidence).sum()
    at = [int((sharpness.TEMPERATURES - t).abs().argmin()) for t in temperatures]
    np.testing.assert_allclose(weights.numpy(), expected[at], rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(slips.numpy(), means[at], rtol=1e-3)
    total = math.log((prior / prior.sum() * evidence).sum())
    assert sharpness.log_evidence(losses) == pytest.approx(total, abs=1e-3)


def test_the_answer_is_the_average_over_the_whole_grid():
    logits, labels, log_prior = drawn(3)
    ones = torch.ones(len(labels), dtype=torch.float64)
    losses = sharpness.judged_losses(tempered(logits), log_prior, labels, ones)
    fitted = sharpness.posterior(losses)
    asked, _, _ = drawn(4, rows=5)
    got = sharpness.averaged(sharpness.shares(fitted, log_prior), tempered(asked)(fitted[:, 0])).exp()
    joint = (
        (sharpness.TEMPERATURE_LOG_PRIOR[:, None] - losses).exp() * sharpness.SLIPS * (1 - sharpness.SLIPS)
    )
    expected = torch.zeros_like(got)
    for g, temperature in enumerate(sharpness.TEMPERATURES):
        for e, slip in enumerate(sharpness.SLIPS):
            plain = (asked / temperature).softmax(1)
            expected += joint[g, e] / joint.sum() * ((1 - slip) * plain + slip * log_prior.exp())
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 40), weight=st.floats(0, 1))
def test_records_add_up_and_answers_are_distributions(seed, cut, weight):
    logits, labels, log_prior = drawn(seed)
    weights = torch.full((len(labels),), weight, dtype=torch.float64)

    def judged(part):
        return sharpness.judged_losses(tempered(logits[part]), log_prior, labels[part], weights[part])

    whole = judged(slice(None))
    torch.testing.assert_close(judged(slice(cut)) + judged(slice(cut, None)), whole, atol=1e-9, rtol=0)
    fitted = sharpness.posterior(whole)
    assert float(fitted[:, 1].sum()) == pytest.approx(1)
    assert bool(((fitted[:, 2] > 0) & (fitted[:, 2] < 1)).all())
    assert 1 <= sharpness.centre(fitted) <= 200.4
    answer = sharpness.averaged(sharpness.shares(fitted, log_prior), tempered(logits)(fitted[:, 0]))
    torch.testing.assert_close(answer.logsumexp(1), torch.zeros(len(labels)).double(), atol=1e-9, rtol=0)


def test_a_thinned_posterior_keeps_what_matters():
    logits, labels, log_prior = drawn(6, rows=60)
    ones = torch.ones(len(labels), dtype=torch.float64)
    whole = sharpness.posterior(sharpness.judged_losses(tempered(logits), log_prior, labels, ones))
    few = sharpness.thinned(whole, 8)
    assert len(few) <= 8 < len(whole)
    assert float(few[:, 1].sum()) == pytest.approx(1)
    assert sharpness.centre(few) == pytest.approx(sharpness.centre(whole))
    assert float(few[:, 1] @ few[:, 2]) == pytest.approx(float(whole[:, 1] @ whole[:, 2]))
    answers = [
        sharpness.averaged(sharpness.shares(s, log_prior), tempered(logits)(s[:, 0])).exp()
        for s in (whole, few)
    ]
    torch.testing.assert_close(*answers, atol=0.01, rtol=0)
    one = sharpness.plain(3.0)
    torch.testing.assert_close(sharpness.thinned(one), one)


def test_more_right_answers_allow_more():
    limits = []
    for rows in (10, 100, 1000):
        logits, labels, log_prior = drawn(5, rows=rows)
        logits = logits + 60 * torch.nn.functional.one_hot(labels, 3)
        ones = torch.ones(rows, dtype=torch.float64)
        fitted = sharpness.posterior(sharpness.judged_losses(tempered(logits), log_prior, labels, ones))
        limits.append(
            float(
                sharpness.averaged(sharpness.shares(fitted, log_prior), tempered(logits)(fitted[:, 0]))
                .max()
                .exp()
            )
        )
    assert limits[0] < 0.95 < limits[1] < 0.995 < limits[2]


def test_what_is_no_record_is_refused():
    with pytest.raises(InvalidInput, match="losses"):
        sharpness.posterior(torch.zeros(3, 4).double())
    with pytest.raises(InvalidInput, match="finite"):
        sharpness.posterior(torch.full(sharpness.GRID, math.nan, dtype=torch.float64))
    with pytest.raises(InvalidInput, match="temperature"):
        sharpness.plain(0.0)


# The head that is judged.


@pytest.fixture
def perfect():
    """A head judged by 120 rows that lie far apart, and those rows with their labels."""
    generator = torch.Generator().manual_seed(6)
    places = 40 * torch.randn(4, 12, generator=generator)
    labels = torch.arange(520) % 4
    rows = places[labels] + torch.randn(520, 12, generator=generator)
    head = gh.fit(rows[:400], labels[:400], tuple("abcd"), validation=(rows[400:], labels[400:]))
    return head, rows[400:], labels[400:]


def judged(head, rows, labels):
    ready = gh.predictive(head)
    return gh.sharpened(ready, gh.distances(ready, rows), labels)


def answered(ready, rows, log_prior):
    return (gh.log_density(ready, rows) + log_prior).log_softmax(1).exp()


def test_perfect_validation_makes_nothing_certain(perfect):
    head, rows, labels = perfect
    answer = answered(judged(*perfect), rows, gh.class_log_prior(head))
    assert bool((answer.argmax(1) == labels).all())
    assert float(answer.max()) <= 1 - 1 / 122
    assert float(answer.max()) >= 1 - 1.2 / 122
    rare = torch.full((4,), (1 - 1e-4) / 3, dtype=torch.float64)
    rare[labels[0]] = 1e-4
    assert float(answered(judged(*perfect), rows[:1], rare.log())[0, labels[0]]) < 0.1


def test_the_likelihood_is_evidence_shared_by_the_averaged_posterior(perfect):
    head, rows, _ = perfect
    ready, prior = judged(*perfect), gh.class_log_prior(head)
    evidence = torch.logsumexp(gh.log_density(ready, rows) + prior, dim=1)
    centre = sharpness.centre(ready.sharpness)
    plain = torch.logsumexp(gh.log_density(ready, rows, centre) + prior, dim=1)
    torch.testing.assert_close(evidence, plain, atol=1e-9, rtol=0)
    temperatures, weights, slips = ready.sharpness.T
    expected = slips @ weights * prior.exp() + torch.stack(
        [
            w * (1 - s) * (gh.log_density(ready, rows, float(t)) + prior).softmax(1)
            for t, w, s in zip(temperatures, weights, slips, strict=True)
        ]
    ).sum(0)
    torch.testing.assert_close(answered(ready, rows, prior), expected, atol=1e-12, rtol=0)


def test_a_class_nobody_has_shown_yet_changes_no_other(perfect):
    head, rows, labels = perfect
    wider = judged(gh.add_class(head, "later"), rows, labels)
    torch.testing.assert_close(
        gh.log_density(wider, rows)[:, :4], gh.log_density(judged(*perfect), rows), atol=1e-9, rtol=0
    )


@pytest.mark.parametrize(
    ("images", "classes", "judging"),
    [(8000, 26, 8000), (4000, 1000, 4000), (4001, 1000, 2001), (10_000, 10_000, 400), (10**6, 10**6, 200)],
)
def test_of_very_many_answers_every_nth_image_judges(images, classes, judging):
    found = sharpness.judges(images, classes)
    assert len(found) == judging <= max(200, 4_000_000 // classes)
    assert len(set(found.diff().tolist())) <= 1
