"""What can be done with a head: its laws, and the limits of each."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes import sharpness
from bayesight.bayes.head import gaussian as gh
from bayesight.errors import InvalidInput

NAMES = ("a", "b", "c", "d")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 300), max_size=8), st.integers(0, 5))
def test_batches_of_any_size_and_order_equal_one_shot(sample, start, same, cuts, seed):
    x, y = sample(300, seed=1)
    once, _ = gh.absorb(start(), x, y)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(seed))
    head = start()
    for part in torch.tensor_split(order, sorted(cuts)):
        head, _ = gh.absorb(head, x[part], y[part])
    same(head, once, 1e-11)


def test_five_thousand_rows_in_batches_equal_one_shot_and_half_removed_equals_the_other_half(sample, same):
    x, y = sample(5000, seed=2, size=96)
    head = gh.empty(NAMES, x.mean(0), x.std(0), gh.HeadPrior(scatter=500.0))
    once, _ = gh.absorb(head, x, y)
    steps = head
    for part in torch.randperm(5000, generator=torch.Generator().manual_seed(3)).split(331):
        steps, _ = gh.absorb(steps, x[part], y[part])
    same(steps, once, 1e-9)
    half, _ = gh.absorb(head, x[:2500], y[:2500])
    same(gh.remove(once, x[2500:], y[2500:]), half, 1e-8)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 200), st.floats(0.05, 1.0))
def test_removing_undoes_absorbing_with_weights(sample, start, same, rows, weight):
    x, y = sample(250, seed=4)
    before, _ = gh.absorb(start(), x[rows:], y[rows:])
    weights = torch.full((rows,), weight)
    after, learned = gh.absorb(before, x[:rows], y[:rows], weights)
    assert learned.weight == pytest.approx(rows * weight, rel=1e-6)
    same(gh.remove(after, x[:rows], y[:rows], weights), before, 1e-10)


def test_merge_of_parts_equals_the_whole_and_matches_classes_by_name(sample, start, same):
    x, y = sample(400, seed=5)
    whole, _ = gh.absorb(start(), x, y)
    one, _ = gh.absorb(start(), x[:150], y[:150])
    other, _ = gh.absorb(start(), x[150:], y[150:])
    same(gh.merge(one, other), whole, 1e-11)
    grown = gh.add_class(other, "e")
    grown, _ = gh.absorb(grown, x[:9] + 3, torch.full((9,), 4))
    merged = gh.merge(one, grown)
    assert merged.classes == (*NAMES, "e")
    same(merged, gh.merge(grown, one), 1e-11)
    with pytest.raises(InvalidInput, match="grew from one"):
        gh.merge(one, start(gh.HeadPrior()))


def test_sharpness_suits_the_rows_that_judged_it(sample):
    x, y = sample(2000, seed=10, spread=0.6)
    noisy = x + 1.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    head = gh.fit(x, y, NAMES, validation=(noisy, y))
    ready = gh.predictive(head)
    judged = gh.sharpened(ready, gh.distances(ready, noisy), y)
    best = sharpness.centre(judged.sharpness)
    assert best > 1.5

    def loss(at):
        log_p = (gh.log_density(at, noisy) + gh.class_log_prior(head)).log_softmax(1)
        return float(-log_p.gather(1, y[:, None]).mean())

    around = [replace(ready, sharpness=sharpness.plain(best * f)) for f in (0.8, 0.95, 1.0, 1.05, 1.25)]
    assert (
        loss(judged) <= min(map(loss, around)) + 2e-3
    )  # two thousand rows leave the average little to spread


def test_one_class_or_none_is_judged_by_nothing(sample, start):
    x, y = sample(30, seed=11)
    ready = gh.predictive(gh.absorb(start(), x[y == 1], y[y == 1])[0])
    assert gh.sharpened(ready, gh.distances(ready, x), y) is ready
    ready = gh.predictive(gh.absorb(start(), x[y < 2], y[y < 2])[0])
    some = gh.sharpened(ready, gh.distances(ready, x[y < 2]), y[y < 2])
    every = gh.sharpened(ready, gh.distances(ready, x), y)
    torch.testing.assert_close(every.sharpness, some.sharpness)  # rows of classes without rows say nothing


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), later=st.booleans(), weight=st.sampled_from([1.0, 0.6, 0.05]))
def test_rows_left_out_are_rows_removed_one_of_each_class_together(seed, later, weight):
    """Up to the share of the later classes in the pooled scatter, which is left as it is."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (90,), generator=generator)
    x = torch.randn(3, 5, generator=generator)[y] * 2 + torch.randn(90, 5, generator=generator)
    head = gh.fit(x[:60], y[:60], ("a", "b", "c"), prior=gh.HeadPrior(scatter=4.0))
    if later:
        head, y = gh.add_class(head, "d"), torch.where(torch.arange(90) >= 60, 3, y)
    weights = torch.full((30,), weight, dtype=torch.float64)
    head, _ = gh.absorb(head, x[60:], y[60:], weights)
    ready = gh.predictive(head)
    found = gh.density_at(ready, gh.left_out(ready, x[60:], y[60:], weights), 3.0).softmax(1)
    expected = torch.empty_like(found)
    for at in gh.leaving_together(x[60:], y[60:]):
        assert len(y[60:][at].unique()) == len(at)
        without = gh.remove(head, x[60 + at], y[60 + at], weights[at])
        expected[at] = gh.log_density(gh.predictive(without), x[60 + at], 3.0).softmax(1)
    torch.testing.assert_close(found, expected, atol=0.02 if later else 1e-9, rtol=0)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), weight=st.sampled_from([1.0, 0.6, 0.05]))
def test_a_row_left_out_of_all_classes_as_one_is_a_row_removed(seed, weight):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 5, generator=generator) * 2 + 1
    head = gh.fit(x[:30], torch.arange(30) % 2, ("a", "b"), prior=gh.HeadPrior(scatter=4.0))
    weights = torch.full((10,), weight, dtype=torch.float64)
    head, _ = gh.absorb(head, x[30:], torch.arange(10) % 2, weights)
    found = gh.density_at(gh.background(head), gh.each_left_out(gh.background(head), x[30:], weights), 1.0)
    for row in range(10):
        at = torch.tensor([30 + row])
        without = gh.remove(head, x[at], at % 2, weights[:1])
        torch.testing.assert_close(found[row], gh.log_density(gh.background(without), x[at])[0])


def test_the_background_is_a_head_of_one_class(sample):
    x, y = sample(200, seed=12)
    head, prior = gh.fit(x, y, NAMES), gh.HeadPrior(scatter=7.0)
    head = replace(gh.add_class(head, "e"), prior=prior)
    head, _ = gh.absorb(head, x[:9] + 3, torch.full((9,), 4))
    one = gh.empty(("all",), head.shift, head.scale, prior)
    one, _ = gh.absorb(one, torch.cat([x, x[:9] + 3]), torch.zeros(209, dtype=torch.long))
    expected = gh.log_density(gh.predictive(one), x)
    torch.testing.assert_close(gh.log_density(gh.background(head), x), expected)


def test_discount_counts_every_past_row_for_less(sample, same):
    x, y = sample(300, seed=13)
    head = gh.fit(x, y, NAMES)
    weighted, _ = gh.absorb(
        gh.empty(NAMES, head.shift, head.scale, replace(head.prior, scatter=0.3 * head.prior.scatter)),
        x, y, torch.full((300,), 0.3),
    )  # fmt: skip
    same(gh.discount(head, 0.3), weighted, 1e-7)
    assert gh.discount(head, 1.0).counts.equal(head.counts)
    for wrong in (0.0, 1.2, math.nan):
        with pytest.raises(InvalidInput, match="trust_past"):
            gh.discount(head, wrong)


def test_a_new_class_of_few_rows_is_recognised_and_the_old_are_kept(sample, same):
    x, y = sample(6000, seed=14, size=40, classes=5, spread=0.35)
    old = y < 4
    head = gh.fit(x[old][:3000], y[old][:3000], NAMES)
    test_x, test_y = x[-1500:], y[-1500:]
    known = test_y < 4
    before = (gh.log_posterior(head, test_x[known]).argmax(1) == test_y[known]).double().mean()
    grown = gh.add_class(head, "e")
    unseen = gh.log_posterior(grown, test_x).exp()
    assert bool(torch.isfinite(unseen).all())
    new = torch.where(~old)[0][:40]
    grown, _ = gh.absorb(grown, x[new], y[new])
    right = gh.log_posterior(grown, test_x).argmax(1) == test_y
    assert float(right[known].double().mean()) > float(before) - 0.03
    assert float(right[~known].double().mean()) > float(before) - 0.1
    assert float(gh.class_log_prior(grown)[4].exp()) == pytest.approx(0.2)
    same(gh.remove(grown, x[new], y[new]), gh.add_class(head, "e"), 1e-9)


def test_what_was_never_absorbed_is_not_removed(sample, start):
    x, y = sample(100, seed=15)
    head, _ = gh.absorb(start(), x, y)
    with pytest.raises(InvalidInput, match="more rows of"):
        gh.remove(head, torch.cat([x, x[:3]]), torch.cat([y, y[:3]]))
    with pytest.raises(InvalidInput, match="negative scatter"):
        gh.remove(head, x[:3] + 100, y[:3])
    all_but_other_rows = x[y == 0] + 1.0
    with pytest.raises(InvalidInput, match="rows that differ"):
        gh.remove(head, all_but_other_rows, torch.zeros(len(all_but_other_rows), dtype=torch.long))
    emptied = gh.remove(head, x, y)
    assert float(emptied.second_moments.abs().max()) == 0.0
    assert float(emptied.counts.sum()) == 0.0


def test_nothing_absorbed_changes_nothing(sample, start, same):
    x, y = sample(50, seed=16)
    head, _ = gh.absorb(start(), x, y)
    after, learned = gh.absorb(head, x[:0], y[:0])
    same(after, head, 0.0)
    assert (learned.rows, learned.log_evidence) == (0, 0.0)


def test_the_first_image_of_a_new_class_leaves_the_others_theirs():
    """Classes told apart without a mistake say little of the temperature; none below 1 is considered."""
    generator = torch.Generator().manual_seed(3)
    places = torch.randn(5, 80, generator=generator)
    labels = torch.arange(300) % 4
    rows = places[labels] + torch.randn(300, 80, generator=generator)
    held_out = (rows[200:], labels[200:])
    head = gh.fit(rows[:200], labels[:200], tuple("ABCD"), validation=held_out)
    taught = gh.add_class(head, "X")
    taught, _ = gh.absorb(taught, places[4:], torch.tensor([4]))
    ready = gh.predictive(taught)
    ready = gh.sharpened(ready, gh.distances(ready, rows[200:]), labels[200:])
    assert float(ready.sharpness[:, 0].min()) == 1
    right = (gh.log_density(ready, rows[200:]) + ready.log_prior).argmax(1) == labels[200:]
    assert float(right.float().mean()) > 0.95  # at a temperature of 0.1: none
    assert int((gh.log_density(ready, places[4:]) + ready.log_prior).argmax()) == 4


def test_what_is_computed_once_belongs_to_one_head(sample, start):
    """Evidence and predictive are kept with a head; every head made of it computes its own."""
    x, y = sample(200, seed=5)
    one, _ = gh.absorb(start(), x[:80], y[:80])
    assert gh.predictive(one) is gh.predictive(one)
    two, learned = gh.absorb(one, x[80:120], y[80:120])
    fresh = replace(two)  # the same state, with nothing kept
    assert learned.log_evidence == gh.log_evidence(fresh) - gh.log_evidence(replace(one))
    for changed in (
        two,
        gh.discount(one, 0.5),
        gh.add_class(one, "later"),
    ):
        assert gh.predictive(changed) is not gh.predictive(one)
        again = gh.predictive(replace(changed))
        assert torch.equal(gh.log_density(again, x), gh.log_density(gh.predictive(changed), x))


def test_few_borrowed_rows_are_judged_as_new_ones_are():
    """Four rows a class in many dimensions: no shrinkage looks good because a class had lost a row."""
    generator = torch.Generator().manual_seed(3)
    centres = 0.25 * torch.randn(5, 300, generator=generator)

    def drawn(each):
        labels = torch.arange(5).repeat(each)
        return centres[labels] + torch.randn(len(labels), 300, generator=generator), labels

    (x, y), (new, named) = drawn(4), drawn(400)
    head = gh.fit_borrowed(x, y, tuple("abcde"))
    ready, ones = gh.predictive(head), torch.ones(len(y))
    ready = gh.sharpened(ready, gh.left_out(ready, x, y, ones), y)
    log_p = (gh.log_density(ready, new) + gh.class_log_prior(head)).log_softmax(1)
    surest, answer = log_p.exp().max(1)
    right = (answer == named).double()
    assert float(right.mean()) > 0.35  # one in five by chance
    assert abs(float(surest.mean() - right.mean())) < 0.1
    assert head.prior.scatter > 0.05 * 2 * 300


def test_rows_leave_with_the_same_ones_in_whatever_order_they_came():
    features, labels = torch.randn(40, 6, generator=torch.Generator().manual_seed(3)), torch.arange(40) % 3
    order = torch.randperm(40, generator=torch.Generator().manual_seed(4))
    one, other = gh.leaving_together(features, labels), gh.leaving_together(features[order], labels[order])
    assert [sorted(rows.tolist()) for rows in one] == [sorted(order[rows].tolist()) for rows in other]
    assert [len(rows) for rows in one] == [3] * 13 + [1]
    assert all(len(set(labels[rows].tolist())) == len(rows) for rows in one)


def test_few_rows_standardise_by_the_variance_of_all_features():
    """Of rectified features a few rows see many that hardly vary; they are not to outweigh the others."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(7).repeat(102)
    means = 0.5 * torch.randn(7, 300, generator=generator)
    x = (means[y] + torch.randn(len(y), 300, generator=generator) - 1).clamp_min(0)
    head = gh.fit_borrowed(x[:14], y[:14], tuple("abcdefg"))
    named = gh.log_likelihood(head, x[14:]).argmax(1)
    nearest = torch.cdist(x[14:], x[:14].view(2, 7, 300).mean(0)).argmin(1)
    right = [float((found == y[14:]).double().mean()) for found in (named, nearest)]
    assert right[0] > right[1]
    many = gh.fit_borrowed(x, y, tuple("abcdefg"))
    own, common = x.double().var(0, correction=0), x.double().var(0, correction=0).mean()
    torch.testing.assert_close(many.scale.square(), (len(x) * own + 10 * common) / (len(x) + 10))


def test_a_feature_that_never_varies_stays_silent():
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 5.0], [1.0, 6.0]])
    head = gh.fit_borrowed(x, torch.tensor([0, 0, 1, 1]), ("a", "b"))
    assert head.scale[0] == x[:, 1].double().std(correction=0)
    still = gh.fit_borrowed(torch.ones(4, 2), torch.tensor([0, 0, 1, 1]), ("a", "b"))
    assert bool(still.scale.isfinite().all())
    assert bool((still.scale > 0).all())
