import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors

from bayesight.errors import InvalidInput
from bayesight.evaluation import novelty

SCORES = st.lists(st.integers(-6, 6), min_size=1, max_size=40)  # integers, so that ties are common


def both(known, unknown):
    return torch.tensor(known, dtype=torch.float64), torch.tensor(unknown, dtype=torch.float64)


@settings(deadline=None, max_examples=100)
@given(SCORES, SCORES)
def test_auroc_agrees_with_scikit_learn_ties_included(known, unknown):
    expected = roc_auc_score([0] * len(known) + [1] * len(unknown), known + unknown)
    assert novelty.auroc(*both(known, unknown)) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(SCORES, SCORES, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_false_positive_rate_agrees_with_scikit_learn(known, unknown, detection):
    false, true, _ = roc_curve(
        [0] * len(known) + [1] * len(unknown), known + unknown, drop_intermediate=False
    )
    expected = false[true >= detection - 1e-9].min()
    assert novelty.false_positive_rate(*both(known, unknown), detection) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(SCORES, SCORES)
def test_swapping_known_and_unknown_mirrors_the_auroc(known, unknown):
    a, b = both(known, unknown)
    assert novelty.auroc(a, b) + novelty.auroc(b, a) == pytest.approx(1.0)


def test_p_values_of_known_images_are_uniform():
    draw = torch.Generator().manual_seed(3)
    below = []
    for _ in range(200):
        reference = novelty.fit_novelty(torch.randn(199, 3, generator=draw))
        score = novelty.novelty_score(reference, torch.randn(200, 3, generator=draw))
        below.append((novelty.p_value(reference, score) <= 0.05).double().mean())
    rates = torch.stack(below)
    assert abs(float(rates.mean()) - 0.05) < 3 * float(rates.std()) / 200**0.5


def test_p_value_counts_validation_images_at_least_as_novel():
    draw = torch.Generator().manual_seed(5)
    reference = novelty.fit_novelty(torch.randn(37, 3, generator=draw).double())
    scores = torch.linspace(-5, 5, 23, dtype=torch.float64)
    slow = [(1 + sum(v >= s for v in reference.scores.tolist())) / 38 for s in scores.tolist()]
    assert novelty.p_value(reference, scores).tolist() == pytest.approx(slow)
    assert novelty.p_value(reference, reference.scores[-1:]).item() == pytest.approx(2 / 38)


def test_threshold_flags_the_stated_share():
    draw = torch.Generator().manual_seed(6)
    reference = novelty.fit_novelty(torch.randn(4000, 3, generator=draw))
    fresh = novelty.novelty_score(reference, torch.randn(20_000, 3, generator=draw))
    flagged = float((fresh > novelty.threshold(reference, 0.05)).double().mean())
    assert 0.04 < flagged < 0.06
    with pytest.raises(InvalidInput, match="strictly between"):
        novelty.threshold(reference, 0.0)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-9, 9), min_size=2, max_size=40), st.floats(0.001, 0.999))
def test_the_threshold_is_the_quantile_of_the_validation_scores(scores, false_alarm):
    ascending = torch.tensor(sorted(scores), dtype=torch.float64)
    plain = torch.zeros(3), torch.ones(3)
    reference = novelty.NoveltyReference(*plain, ascending, torch.ones(len(ascending)).double())
    expected = np.quantile(scores, 1 - false_alarm)
    assert novelty.threshold(reference, false_alarm) == pytest.approx(expected, abs=1e-9)


def test_score_moves_with_each_opinion_in_validation_units():
    draw = torch.Generator().manual_seed(7)
    evidence, background = (torch.randn(500, generator=draw).double() * 40 - 300 for _ in range(2))
    distance = torch.rand(500, generator=draw).double() * 3
    reference = novelty.fit_novelty(novelty.opinions(evidence, background, distance))

    def score(**other):
        terms = {"log_evidence": evidence, "log_background": background, "distance": distance}
        return float(novelty.novelty_score(reference, novelty.opinions(**{**terms, **other}))[0])

    apart = float((background - evidence).std())
    assert score(distance=distance + distance.std()) == pytest.approx(score() + 1)
    assert score(log_background=background + apart) == pytest.approx(score() + 1)
    fallen = float(evidence.std())
    assert score(log_evidence=evidence - fallen) == pytest.approx(score() + 1 + fallen / apart)


def test_weights_count_images_as_often():
    draw = torch.Generator().manual_seed(8)
    seen = torch.randn(20, 3, generator=draw)
    once = novelty.fit_novelty(seen, torch.ones(20))
    twice = novelty.fit_novelty(seen, torch.tensor([2.0] * 5 + [1.0] * 15))
    mean = (seen[:5].sum(0) + seen.sum(0)).double() / 25
    torch.testing.assert_close(twice.mean, mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(once.deviation, seen.double().std(0), atol=1e-6, rtol=0)


def test_nearest_distance_agrees_with_scikit_learn():
    draw = np.random.default_rng(8)
    bank, rows = draw.normal(size=(300, 17)), draw.normal(size=(1500, 17))
    expected, _ = NearestNeighbors(n_neighbors=1).fit(bank).kneighbors(rows)
    got = novelty.nearest_distance(torch.from_numpy(rows), torch.from_numpy(bank))
    np.testing.assert_allclose(got.numpy(), expected[:, 0], rtol=2e-6)  # fp32, as the features are
    assert novelty.nearest_distance(torch.empty(0, 17), torch.from_numpy(bank)).shape == (0,)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 70))
def test_exemplars_are_shared_out_evenly(labels, limit):
    labels = torch.tensor(labels)
    picked = novelty.pick_exemplars(labels, limit, torch.Generator().manual_seed(1))
    assert len(picked) == len(picked.unique()) == min(limit, len(labels))
    kept, there = torch.bincount(labels[picked], minlength=4), torch.bincount(labels, minlength=4)
    cut = kept < there
    if cut.any():  # whoever gave up a row kept no less than any other, but for the last round
        assert int(kept[cut].min()) >= int(kept.max()) - 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: novelty.auroc(torch.empty(0), torch.zeros(2)), "N >= 1"),
        (lambda: novelty.auroc(torch.tensor([float("nan")]), torch.zeros(2)), "NaN"),
        (lambda: novelty.fit_novelty(torch.zeros(1, 3)), "V >= 2"),
        (lambda: novelty.opinions(torch.zeros(3), torch.zeros(3), torch.zeros(4)), "three"),
        (lambda: novelty.fit_novelty(torch.tensor([[0.0] * 3, [float("inf")] * 3])), "finite"),
        (lambda: novelty.nearest_distance(torch.zeros(2, 3), torch.zeros(0, 3)), "M >= 1"),
        (lambda: novelty.pick_exemplars(torch.zeros(3).long(), 0, torch.Generator()), "> 0"),
        (lambda: novelty.false_positive_rate(torch.zeros(2), torch.zeros(2), 1.5), "rate"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
