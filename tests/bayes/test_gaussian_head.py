import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import empirical_covariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bayesight.bayes import gaussian_head as gh
from bayesight.bayes import label_noise
from bayesight.errors import InvalidInput

NAMES = ("a", "b", "c", "d")
PRIOR = gh.HeadPrior(mean_strength=0.7, scatter=3.0, extra_dof=2.5)


def sample(rows, seed=0, size=6, classes=4, spread=2.0):
    """Gaussian classes in float32, as a network gives them, with a correlated covariance."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, size, generator=torch.Generator().manual_seed(99)) * spread
    mix = torch.randn(size, size, generator=torch.Generator().manual_seed(98)) / size**0.5
    labels = torch.randint(classes, (rows,), generator=draw)
    return centres[labels] + torch.randn(rows, size, generator=draw) @ mix + 5.0, labels


def start(prior=PRIOR, size=6, names=NAMES):
    return gh.empty(names, torch.linspace(4, 6, size), torch.linspace(0.5, 2, size), prior)


def same(one, other, tolerance):
    x, _ = sample(200, seed=77, size=one.dimension)
    torch.testing.assert_close(
        gh.log_posterior(one, x).exp(), gh.log_posterior(other, x).exp(), atol=tolerance, rtol=0
    )
    for name in ("counts", "sums", "second_moments"):
        a, b = getattr(one, name), getattr(other, name)
        torch.testing.assert_close(a, b, atol=tolerance * max(1.0, float(b.abs().max())), rtol=0)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 300), max_size=8), st.integers(0, 5))
def test_batches_of_any_size_and_order_equal_one_shot(cuts, seed):
    x, y = sample(300, seed=1)
    once, _ = gh.absorb(start(), x, y)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(seed))
    head = start()
    for part in torch.tensor_split(order, sorted(cuts)):
        head, _ = gh.absorb(head, x[part], y[part])
    same(head, once, 1e-11)


def test_five_thousand_rows_in_batches_equal_one_shot_and_half_removed_equals_the_other_half():
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
def test_removing_undoes_absorbing_with_weights(rows, weight):
    x, y = sample(250, seed=4)
    before, _ = gh.absorb(start(), x[rows:], y[rows:])
    weights = torch.full((rows,), weight)
    after, learned = gh.absorb(before, x[:rows], y[:rows], weights)
    assert learned.weight == pytest.approx(rows * weight, rel=1e-6)
    same(gh.remove(after, x[:rows], y[:rows], weights), before, 1e-10)


def test_merge_of_parts_equals_the_whole_and_matches_classes_by_name():
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


def test_predictive_agrees_with_scipy():
    x, y = sample(60, seed=6)
    head, _ = gh.absorb(start(), x, y)
    head = replace(head, temperature=3.7)
    got = gh.log_likelihood(head, x[:5]).numpy()
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


def test_log_evidence_is_the_sum_of_one_step_predictives():
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


def test_with_much_data_it_is_linear_discriminant_analysis():
    x, y = sample(4000, seed=8)
    head = gh.fit(x, y, NAMES, prior=gh.HeadPrior(mean_strength=1e-9, scatter=1e-6))
    reference = LinearDiscriminantAnalysis(solver="lsqr").fit(x.numpy(), y.numpy())
    fresh, _ = sample(300, seed=9)
    np.testing.assert_allclose(
        gh.log_posterior(head, fresh).exp().numpy(), reference.predict_proba(fresh.numpy()), atol=0.01
    )


def test_temperature_minimises_log_loss_and_is_found_again_from_the_record():
    x, y = sample(2000, seed=10, spread=0.6)
    noisy = x + 1.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    head = gh.fit(x, y, NAMES, validation=(noisy, y))
    assert head.temperature > 1.5

    def loss(temperature):
        at = replace(head, temperature=temperature)
        return float(-gh.log_posterior(at, noisy).gather(1, y[:, None]).mean())

    around = [loss(head.temperature * f) for f in (0.8, 0.95, 1.0, 1.05, 1.25)]
    assert around[2] <= min(around) + 1e-5
    first, learned = gh.absorb(head, noisy[:500], y[:500])
    assert first.scored == pytest.approx(head.scored * 2000 / 2500 + 500)
    assert first.temperature == head.temperature  # only retemper moves it
    assert learned.log_loss == pytest.approx(
        float(-gh.log_posterior(head, noisy[:500]).gather(1, y[:500, None]).mean()), rel=0.02
    )


def test_a_stale_temperature_is_refreshed_from_predictions_made_before_absorbing():
    x, y = sample(3000, seed=11, spread=0.7)
    head = gh.fit(x[:2000], y[:2000], NAMES, validation=(x[2000:], y[2000:]))
    moved, labels = sample(2000, seed=12, spread=0.7)
    moved = moved + 2.0 * torch.randn(moved.shape, generator=torch.Generator().manual_seed(2))
    later = gh.discount(head, 0.02)
    for part in torch.arange(1000).split(100):
        later, _ = gh.absorb(later, moved[part], labels[part])

    def loss(h):
        return float(-gh.log_posterior(h, moved[1000:]).gather(1, labels[1000:, None]).mean())

    fresh = gh.retemper(later)
    best = min(loss(replace(later, temperature=t)) for t in np.geomspace(0.2, 20, 60))
    assert loss(fresh) <= best + 0.01
    with pytest.raises(InvalidInput, match="empty record"):
        gh.retemper(start())


def test_discount_counts_every_past_row_for_less():
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


def test_a_new_class_of_few_rows_is_recognised_and_the_old_are_kept():
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
    grown, learned = gh.absorb(grown, x[new], y[new])
    assert math.isnan(learned.log_loss)  # nothing honest to say about a class never seen
    right = gh.log_posterior(grown, test_x).argmax(1) == test_y
    assert float(right[known].double().mean()) > float(before) - 0.03
    assert float(right[~known].double().mean()) > float(before) - 0.1
    assert float(gh.class_log_prior(grown)[4].exp()) == pytest.approx(0.2)
    same(gh.remove(grown, x[new], y[new]), gh.add_class(head, "e"), 1e-9)


def test_what_was_never_absorbed_is_not_removed():
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


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (torch.zeros(3, 5), torch.zeros(3, dtype=torch.long), r"expected \(N, 6\)"),
        (torch.full((3, 6), math.nan), torch.zeros(3, dtype=torch.long), "NaN"),
        (torch.zeros(3, 6), torch.tensor([0, 1, 4]), "add_class"),
        (torch.zeros(3, 6), torch.tensor([0, 1, -1]), "outside the classes"),
        (torch.zeros(3, 6), torch.zeros(3), "integers"),
        (torch.zeros(3, 6), torch.zeros(2, dtype=torch.long), "3 integers"),
    ],
)
def test_bad_rows_are_refused(features, labels, message):
    with pytest.raises(InvalidInput, match=message):
        gh.absorb(start(), features, labels)


def test_nothing_absorbed_changes_nothing():
    x, y = sample(50, seed=16)
    head, _ = gh.absorb(start(), x, y)
    after, learned = gh.absorb(head, x[:0], y[:0])
    same(after, head, 0.0)
    assert (learned.rows, learned.log_evidence) == (0, 0.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: gh.HeadPrior(scatter=0.0),
        lambda: gh.empty(("a", "a"), torch.zeros(2), torch.ones(2)),
        lambda: gh.empty((), torch.zeros(2), torch.ones(2)),
        lambda: gh.empty(("a",), torch.zeros(2), torch.zeros(2)),
        lambda: gh.empty(("a",), torch.zeros(2), torch.ones(2), temperature=0.0),
        lambda: gh.add_class(start(), "a"),
        lambda: gh.absorb(start(), torch.zeros(1, 6), torch.zeros(1).long(), torch.tensor([1.5])),
    ],
)
def test_bad_states_are_refused(make):
    with pytest.raises(InvalidInput):
        make()


def test_flipped_labels_are_found_and_kept_out_of_the_statistics():
    x, y = sample(2000, seed=17, spread=1.2)
    draw = torch.Generator().manual_seed(4)
    wrong = torch.rand(2000, generator=draw) < 0.065
    given = torch.where(wrong, (y + torch.randint(1, 4, (2000,), generator=draw)) % 4, y)
    suspicion = label_noise.label_suspicion(x, given, NAMES)
    order = suspicion.argsort(descending=True)
    hits = wrong[order].double()
    precision = hits.cumsum(0) / torch.arange(1, 2001)
    assert float((precision * hits).sum() / hits.sum()) > 0.95
    assert float(hits[: int(wrong.sum())].mean()) > 0.9
    clean, _ = gh.absorb(start(), x, y)
    plain, _ = gh.absorb(start(), x, given)
    robust, _ = gh.absorb(start(), x, given, 1 - suspicion)

    def scatter(h):
        return float(gh._within(h, 0.0)[0].trace() / h.counts.sum())

    assert scatter(robust) < scatter(clean) + 0.1 * (scatter(plain) - scatter(clean))
    with pytest.raises(InvalidInput, match="folds"):
        label_noise.out_of_fold(x, y, NAMES, folds=1)
