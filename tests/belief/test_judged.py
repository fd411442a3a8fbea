"""Images that judge a belief: honest, and the same whatever the batches and their order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes.head import gaussian as gh
from bayesight.belief import judged
from bayesight.belief.absorbed import Rows
from bayesight.belief.updating import absorb
from bayesight.evaluation.novelty import ExemplarBank


@pytest.fixture(scope="session")
def close(rows):
    """Assert that two beliefs answer alike."""
    asked = rows(50, 3).features

    def compare(one, other, atol=1e-9):
        for ask in ("log_likelihood", "novelty"):
            torch.testing.assert_close(
                getattr(one, ask)(asked), getattr(other, ask)(asked), atol=atol, rtol=0
            )

    return compare


@settings(deadline=None, max_examples=15)
@given(order=st.permutations(range(40)), cut=st.integers(0, 40), trust=st.sampled_from([1.0, 0.3]))
def test_answers_and_novelty_follow_from_what_is_absorbed_in_any_order(fit, rows, close, order, cut, trust):
    new = rows(40, 10, classes=4)
    start = fit().discount(trust)
    whole, _ = absorb(start, new, ("stripe",))
    close(whole, whole)  # computed before more is absorbed, so that what is carried over is tried as well
    first, second = torch.tensor(order[:cut], dtype=torch.int64), torch.tensor(order[cut:], dtype=torch.int64)
    pieces = absorb(start, new.at(first), ("stripe",))[0]
    close(pieces, pieces)
    close(absorb(pieces, new.at(second))[0], whole, 1e-5)  # exemplars are compared in single precision


def test_what_is_taken_out_judges_no_more(fit, rows):
    start, new = fit(), rows(30, 11, spread=4.0)
    torch.testing.assert_close(
        absorb(start, new)[0].remove(new).predictive.sharpness, start.predictive.sharpness
    )


def test_later_images_judge_as_if_they_and_one_of_each_class_had_not_been_absorbed(fit, rows):
    new = rows(30, 12)
    after, _ = absorb(fit(), new)
    assert after.judged.labels.tolist()[60:] == after.absorbed.labels[90:][after._later - 90].tolist()
    order = after._later - 90
    together = gh.leaving_together(new.features.half().float(), new.labels)  # as exemplars are kept
    group = {int(i): some for some in together for i in some}
    for n in range(0, 30, 7):
        row = new.at(order[n : n + 1])
        gone = new.at(group[int(order[n])])
        without = gh.remove(after.head, gone.features, gone.labels)
        expected = gh.log_density(gh.predictive(without), row.features, 4.0).softmax(1)
        found = gh.density_at(gh.predictive(after.head), after.judged.rows, 4.0).softmax(1)[60 + n]
        torch.testing.assert_close(found[None], expected, atol=1e-3, rtol=0)


def test_wrong_labels_that_came_later_make_answers_softer(fit, rows):
    start = fit(spread=5.0)
    new = rows(60, 13, spread=5.0)
    wrong = Rows(new.features, (new.labels + (torch.arange(60) < 20)) % 3, new.digests)
    asked = rows(50, 14, spread=5.0).features

    def surest(belief):
        return float((belief.log_likelihood(asked) + belief.prior.log()).softmax(1).max())

    assert surest(absorb(start, wrong)[0]) < surest(start) - 0.05
    assert surest(absorb(start, new)[0]) > surest(start)


def test_classes_weigh_as_their_prior_and_the_total_is_the_effective_number(fit, rows):
    """Thirty images of one later class judge as a quarter of the images would; sixty others as three."""
    later = rows(30, 15)
    later = Rows(later.features + 9, torch.full((30,), 3), later.digests)
    after, _ = absorb(fit(), later, ("stripe",))
    shares = torch.bincount(after.judged.labels, after.judged.weights) / after.judged.weights.sum()
    torch.testing.assert_close(shares, after.prior)
    weights = after.judged.weights
    assert torch.isclose(weights.sum(), weights.sum() ** 2 / weights.square().sum())
    assert 60 < float(weights.sum()) < 90
    plain = fit().judged.weights
    assert 50 < float(plain.sum()) <= 60  # sixty images, whose shares are not quite those of training


def test_an_image_the_network_was_trained_on_is_no_judge_under_another_name(fit, rows):
    start, old = fit(), rows(90, 0)
    corrected, _ = absorb(start, Rows(old.features[:5], (old.labels[:5] + 1) % 3, old.digests[:5]))
    assert corrected.absorbed.trained.tolist() == [True] * 90
    assert len(corrected.judged.labels) == 60


def test_no_more_judge_than_the_limit_and_the_same_in_any_order(fit, rows, close, monkeypatch):
    monkeypatch.setattr(judged, "LATER_JUDGES", 10)
    start, new = fit(), rows(40, 16)
    forth, _ = absorb(start, new)
    back, _ = absorb(start, new.at(torch.arange(39, -1, -1)))
    assert len(forth.judged.labels) == 70
    close(forth, back, 1e-5)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 20), st.integers(0, 8), st.integers(0, 99))
def test_the_nearest_other_is_that_of_a_loop(old, new, seed):
    draw = torch.Generator().manual_seed(seed)
    points = torch.randint(0, 4, (old + new + 1, 3), generator=draw).float()
    positions = torch.arange(0, old + 1, 2)
    before = judged.nearest_other(ExemplarBank.of(points[: old + 1]), positions)
    after = torch.cat([positions, torch.arange(old + 1, old + new + 1)])
    expected = [
        min(float((points[i] - points[j]).norm()) for j in range(len(points)) if j != i)
        for i in after.tolist()
    ]
    bank = ExemplarBank.of(points)
    torch.testing.assert_close(judged.nearest_other(bank, after), torch.tensor(expected), atol=1e-3, rtol=0)
    moved = judged.moved_on(before, positions, bank, after, old + 1)
    torch.testing.assert_close(moved, torch.tensor(expected), atol=1e-3, rtol=0)


def test_reference_images_that_were_absorbed_judge_left_out_and_once(fit, rows):
    start, held = fit(), rows(60, 1)
    after, _ = absorb(start, held.at(torch.arange(20)))
    assert len(after.judged.labels) == 60
    assert after.judged.labels.tolist()[:40] == start.reference_labels.tolist()[20:]
    learned, chosen = after.seen(torch.cat([held.digests, rows(90, 0).digests, rows(5, 77).digests]))
    assert learned.tolist() == [True] * 20 + [False] * 40 + [True] * 90 + [False] * 5
    assert chosen.tolist() == [False] * 20 + [True] * 40 + [False] * 95
    assert len(after.novelty_reference.scores) == 60
    every, _ = absorb(start, held)
    assert len(every.judged.labels) == 60  # none is left, and none counts twice
    assert len(every.novelty_reference.scores) == 60
