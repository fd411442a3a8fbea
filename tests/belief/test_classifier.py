"""A network with a belief: exact bookkeeping, exact undoing, exact saving, without a command line."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes.head import gaussian as gh
from bayesight.bayes.head.gaussian import class_log_prior
from bayesight.belief import classifier
from bayesight.belief.absorbed import AbsorbedRows, Rows
from bayesight.belief.classifier import Classes, Classifier, fit_classifier
from bayesight.belief.features import features_of, reader_of
from bayesight.errors import InvalidInput, RunUnreadable
from bayesight.evaluation.novelty import fit_novelty, opinions, pick_exemplars
from bayesight.models import MODELS, build
from bayesight.seeding import torch_generator

NAMES = ("bar", "disc", "ring")
SIZE = 6


@pytest.fixture(scope="session")
def believer(fit):
    """A classifier that has absorbed 90 rows; frozen, so tests may share it."""
    return fit()


@pytest.fixture(scope="session")
def asked(rows):
    """Features to answer."""
    return rows(200, 2).features


def posterior(belief, features):
    return (belief.log_likelihood(features) + belief.prior.log()).softmax(dim=1)


def holds_the_same(one, other):
    return all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def sums_of_weights(belief):
    absorbed = belief.absorbed
    return torch.bincount(absorbed.labels, absorbed.weights, minlength=len(belief.classes.names))


# What is absorbed, and let go again.


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 99))
def test_removing_undoes_absorbing_in_any_order(rows, believer, asked, first, second, seed):
    new = rows(first + second, 10 + seed)
    after = believer
    for part in (torch.arange(first), torch.arange(first, first + second)):
        after, learned = after.with_rows(new.at(part))
        assert learned.rows == len(part)
    assert len(after.absorbed.labels) == 90 + first + second
    order = torch.randperm(len(new), generator=torch.Generator().manual_seed(seed))
    for part in order.split(7):
        after = after.remove(new.at(part))
    assert holds_the_same(after.absorbed, believer.absorbed)
    torch.testing.assert_close(posterior(after, asked), posterior(believer, asked), atol=1e-8, rtol=0)
    torch.testing.assert_close(after.head.counts, believer.head.counts, atol=1e-9, rtol=0)


def test_training_rows_can_be_let_go_like_any_other(rows, believer, asked):
    train = rows(90, 0)
    without = believer.remove(train.at(torch.arange(20, 90)))
    few = believer.with_rows(rows(30, 3))[0].remove(train.at(torch.arange(20, 90)))
    other, _ = without.with_rows(rows(30, 3))
    assert holds_the_same(few.absorbed, other.absorbed)
    torch.testing.assert_close(posterior(few, asked), posterior(other, asked), atol=1e-8, rtol=0)
    assert torch.equal(without.absorbed.digests, train.digests[:20])


def test_a_new_class_comes_and_its_rows_go(rows, believer, asked):
    new = rows(25, 4, classes=4)
    assert int(new.labels.max()) == 3
    after, _ = believer.with_rows(new, ("stripe",))
    assert after.classes.names == after.head.classes == (*NAMES, "stripe")
    assert believer.classes.names == NAMES
    assert after.prior.shape == (4,)
    back = after.remove(new)
    assert back.classes.names == (*NAMES, "stripe")
    assert holds_the_same(back.absorbed, believer.absorbed)
    known = (back.log_likelihood(asked)[:, :3] + believer.prior.log()).softmax(dim=1)
    torch.testing.assert_close(known, posterior(believer, asked), atol=1e-8, rtol=0)


def test_duplicates_count_as_often_as_they_came(rows, believer):
    one = rows(1, 5)
    twice, _ = believer.with_rows(one.joined(one))
    assert len(twice.absorbed.labels) == len(believer.absorbed.labels) + 2
    with pytest.raises(InvalidInput, match="1 of 3 images were never absorbed"):
        twice.remove(one.joined(one).joined(one))
    once = twice.remove(one)
    assert len(once.absorbed.labels) == len(believer.absorbed.labels) + 1
    none = once.remove(one)
    assert holds_the_same(none.absorbed, believer.absorbed)
    with pytest.raises(InvalidInput, match="1 of 1 images were never absorbed"):
        none.remove(one)


def test_an_image_under_another_label_is_another_row(rows, believer):
    one = rows(1, 7)
    other = replace(one, labels=(one.labels + 1) % 3)
    after, _ = believer.with_rows(one)
    with pytest.raises(InvalidInput, match="labelled as it was then"):
        after.remove(other)
    both, _ = after.with_rows(other)
    assert holds_the_same(both.remove(other).absorbed, after.absorbed)


@settings(deadline=None, max_examples=15)
@given(st.floats(0.05, 1), st.floats(0.05, 1), st.integers(0, 9))
def test_a_discount_is_kept_row_by_row(rows, believer, first, second, seed):
    early, late = rows(20, 20 + seed), rows(15, 40 + seed)
    trust = torch.rand(20, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    after, learned = believer.discount(first).with_rows(early, weights=trust)
    assert math.isclose(learned.weight, float(trust.sum()), rel_tol=1e-12)
    after, _ = after.discount(second).with_rows(late)
    past = torch.full((90,), first * second, dtype=torch.float64)
    weights = torch.cat([past, trust * second, torch.ones(15)])
    torch.testing.assert_close(after.absorbed.weights, weights, atol=1e-12, rtol=0)
    torch.testing.assert_close(sums_of_weights(after), after.head.counts, atol=1e-9, rtol=1e-9)
    without = after.remove(early)
    alone, _ = believer.discount(first).discount(second).with_rows(late)
    assert holds_the_same(without.absorbed, alone.absorbed)
    torch.testing.assert_close(without.head.counts, alone.head.counts, atol=1e-9, rtol=0)
    torch.testing.assert_close(without.head.second_moments, alone.head.second_moments, atol=1e-8, rtol=0)


def test_of_a_discounted_and_a_fresh_copy_the_fresh_one_goes_first(rows, believer):
    train = rows(90, 0).at(torch.arange(1))
    after, _ = believer.discount(0.25).with_rows(train)
    back = after.remove(train)
    assert holds_the_same(back.absorbed, believer.discount(0.25).absorbed)
    torch.testing.assert_close(sums_of_weights(back), back.head.counts)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_bookkeeping_is_that_of_a_plain_list(rows, data):
    """Each row in a list of its own, with its exemplar if it has one, is the slow and obvious version."""
    absorbed = AbsorbedRows(
        torch.empty(0, 16, dtype=torch.uint8),
        torch.empty(0, dtype=torch.int64),
        torch.empty(0, dtype=torch.float64),
        torch.empty(0, dtype=torch.bool),
        torch.empty(0, SIZE, dtype=torch.float16),
        torch.empty(0, dtype=torch.int64),
    )
    plain = []
    for step in range(data.draw(st.integers(1, 6))):
        if plain and data.draw(st.booleans()):
            gone = data.draw(st.sets(st.integers(0, len(plain) - 1)))
            order = data.draw(st.permutations(sorted(gone)))
            absorbed = absorbed.without(torch.tensor(order, dtype=torch.int64))
            plain = [row for i, row in enumerate(plain) if i not in gone]
        else:
            new = rows(data.draw(st.integers(0, 8)), 100 + step)
            weights = torch.linspace(0.1, 1, len(new), dtype=torch.float64)
            keep = sorted(data.draw(st.sets(st.integers(0, len(new) - 1))) if len(new) else ())
            trained = new.digests[:, 0] < 128
            absorbed = absorbed.with_rows(new, weights, torch.tensor(keep, dtype=torch.int64), trained)
            parts = (
                new.digests.tolist(),
                new.labels.tolist(),
                weights.tolist(),
                new.features.half().tolist(),
            )
            plain += [(d, y, w, x if i in keep else None) for i, (d, y, w, x) in enumerate(zip(*parts))]  # noqa: B905
    assert absorbed.digests.tolist() == [d for d, _, _, _ in plain]
    assert absorbed.labels.tolist() == [y for _, y, _, _ in plain]
    assert absorbed.weights.tolist() == [w for _, _, w, _ in plain]
    assert absorbed.trained.tolist() == [d[0] < 128 for d, _, _, _ in plain]
    assert absorbed.exemplars.tolist() == [x for _, _, _, x in plain if x is not None]
    assert absorbed.exemplar_rows.tolist() == [i for i, row in enumerate(plain) if row[3] is not None]


def test_exemplars_stop_where_there_is_no_room(rows, monkeypatch):
    monkeypatch.setattr(classifier, "EXEMPLARS", 20)
    network = build("mlp", (1, 8, 8), 3, hidden=(SIZE,)).eval()
    belief = fit_classifier(network, Classes(NAMES, "L", (8, 8)), rows(90, 0), rows(60, 1), precision="32")
    chosen = pick_exemplars(rows(90, 0).labels, 20, torch_generator(0, "exemplars"))
    assert torch.equal(belief.absorbed.exemplar_rows, chosen)
    assert torch.equal(belief.absorbed.exemplars, rows(90, 0).features[chosen].half())
    more = rows(30, 8)
    after, _ = belief.with_rows(more)
    assert len(after.absorbed.exemplars) == 40
    assert after.absorbed.exemplar_rows[20:].tolist() == list(range(90, 110))
    assert len(after.with_rows(rows(5, 9))[0].absorbed.exemplars) == 40
    assert len(after.remove(more).with_rows(rows(5, 9))[0].absorbed.exemplars) == 25


# Novelty and trust.


def test_novelty_is_measured_against_the_belief_as_it_is(rows, believer, asked):
    before = believer.novelty_reference
    far = replace(rows(80, 11), features=rows(80, 11).features * 3)
    after, _ = believer.with_rows(far)
    held_out = rows(60, 1).features
    for belief, later in ((believer, far.features[:0]), (after, far.features)):
        bank = belief.absorbed.exemplars.float()
        asked_of = torch.cat([held_out, later.half().float()])
        apart = (asked_of[:, None] - bank).square().sum(2).sqrt()
        apart[60:][apart[60:] < 1e-3] = torch.inf  # not its own exemplar
        evidence = torch.logsumexp(belief.judged_log_likelihood - math.log(3), dim=1)
        torch.testing.assert_close(
            evidence[:60], torch.logsumexp(belief.log_likelihood(held_out) - math.log(3), dim=1)
        )
        order = torch.arange(60, 60 + len(later))[belief.absorbed.exemplar_rows[belief._later] - 90]
        at = torch.cat([torch.arange(60), order])
        near, background = apart.min(dim=1).values[at], under_all_classes(belief, held_out, later)[at]
        expected = fit_novelty(opinions(evidence, background, near), belief.judged.weights)
        torch.testing.assert_close(belief.novelty_reference.scores, expected.scores, atol=1e-4, rtol=0)
    assert not torch.equal(after.novelty_reference.scores, before.scores)
    assert believer.novelty_reference is before
    assert float(believer.novelty(asked + 30).min()) > float(believer.novelty(asked).max())


def under_all_classes(belief, held_out, later):
    """Log p(features) of a Gaussian over all classes; a row that was absorbed is taken out first."""
    rows = [gh.log_density(gh.background(belief.head), held_out, belief.temperature)[:, 0]]
    for row in later.half().float():
        without = gh.remove(belief.head, row[None], torch.tensor([0]), sure=True)
        rows.append(gh.log_density(gh.background(without), row[None], belief.temperature)[:, 0])
    return torch.cat(rows)


def test_what_is_computed_once_belongs_to_one_belief(rows, believer, asked):
    new = replace(rows(9, 12), labels=torch.full((9,), 3))
    taught, _ = believer.with_rows(rows(30, 11))
    changed = {
        "absorbed": taught,
        "removed": taught.remove(rows(30, 11).at(torch.arange(20))),
        "a new class": taught.with_rows(new, ("hoop",))[0],
        "discounted": taught.discount(0.5),
    }
    for belief in (believer, taught):  # everything is computed before the belief changes
        belief.novelty(asked), belief.prior
    for name, belief in changed.items():
        shares = class_log_prior(belief.head).exp()
        assert torch.equal(belief.prior, shares), name
        assert belief.prior.tolist() != believer.prior.tolist(), name
        fresh = replace(belief)
        torch.testing.assert_close(belief.log_likelihood(asked), fresh.log_likelihood(asked), rtol=0, atol=0)
        torch.testing.assert_close(belief.novelty(asked), fresh.novelty(asked), rtol=0, atol=1e-4)


def test_evidence_is_the_sum_over_classes_under_a_prior(believer, asked):
    prior = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    dense = believer.log_likelihood(asked).exp()
    torch.testing.assert_close(believer.log_evidence(asked, prior).exp(), dense @ prior)
    torch.testing.assert_close(believer.log_evidence(asked).exp(), dense.mean(dim=1))


def test_wrong_labels_are_trusted_less_and_unknown_classes_fully(rows, believer):
    new = rows(120, 12, spread=4.0)
    sure = fit_classifier(
        believer.network, believer.classes, rows(90, 0, spread=4.0), rows(60, 1, spread=4.0), precision="32"
    )
    labels = new.labels.clone()
    labels[:12] = (labels[:12] + 1) % 3
    labels[12:15] = 3
    trust = sure.trust(replace(new, labels=labels))
    assert trust.shape == (120,)
    assert bool((trust[12:15] == 1).all())
    assert float(trust[:12].mean()) < 0.2
    assert float(trust[15:].mean()) > 0.95
    strange = replace(new, labels=torch.full((120,), 4))
    assert sure.trust(strange).tolist() == [1.0] * 120


# Features.


def test_borrowed_features_let_every_image_be_learned_and_judge(believer, rows):
    train, held = rows(90, 0), rows(60, 1)
    belief = fit_classifier(believer.network, believer.classes, train, held, "32", borrowed=True)
    assert belief.head.counts.sum() == 150
    assert not bool(belief.absorbed.trained.any())
    assert len(belief.judged.labels) == 150
    assert bool(belief.seen(held.digests)[0].all())
    every = train.joined(held)
    found = gh.density_at(gh.predictive(belief.head), belief.left_out(every), 4.0)
    gone = every.at(gh.leaving_together(every.features, every.labels)[0])
    without = gh.predictive(gh.remove(belief.head, gone.features, gone.labels))
    expected = gh.log_density(without, gone.features, 4.0)
    torch.testing.assert_close(found[gh.leaving_together(every.features, every.labels)[0]], expected)
    assert fit_classifier(believer.network, believer.classes, train, held, "32").head.counts.sum() == 90


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("name", MODELS.names())
def test_features_do_not_depend_on_the_batch(name, precision):
    reader = reader_of(build(name, (1, 28, 28), 4, seed=5), precision)
    draw = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (150, 1, 28, 28), generator=draw, dtype=torch.uint8)
    whole = features_of(reader, [(images, None)])
    assert whole.dtype == torch.float32
    assert not whole.requires_grad
    order = torch.randperm(150, generator=draw)
    for size in (1, 7, 64, 149):
        parts = features_of(reader, [(part, None) for part in images[order].split(size)])
        torch.testing.assert_close(parts, whole[order], atol=0, rtol=0)


@pytest.mark.parametrize("name", MODELS.names())
def test_bf16_rounds_products_and_leaves_the_network_as_it_is(name):
    network = build(name, (1, 28, 28), 4, seed=5).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.randint(
        0, 256, (9, 1, 28, 28), generator=torch.Generator().manual_seed(4), dtype=torch.uint8
    )
    exact = features_of(reader_of(network, "32"), [(images, None)])
    with torch.no_grad():
        torch.testing.assert_close(exact, network.evidence_features(images.float() / 255))
    rounded = features_of(reader_of(network, "bf16"), [(images, None)])
    assert not torch.equal(rounded, exact)
    length = 1280**0.5 if name.startswith("lite") else 1.0  # of an image's features
    torch.testing.assert_close(rounded / length, exact / length, atol=0.02, rtol=0.02)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key], atol=0, rtol=0)


@pytest.mark.parametrize("name", MODELS.names())
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 40)])
def test_evidence_features_are_what_they_are_said_to_be(name, shape):
    network = build(name, shape, 4, seed=6).eval()
    x = torch.rand(5, *shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        got, maps = network.evidence_features(x).numpy(), [m.numpy() for m in network.stages(x)]
        logits, penultimate = network(x).numpy(), network.features(x).numpy()
    if name == "linear":
        np.testing.assert_array_equal(got, logits)
        return
    if name.startswith("lite"):  # roots of the last stage's means, at the length of as many ones
        roots = np.sqrt(maps[-1].mean(axis=(2, 3)) + 1e-6)
        expected = roots / np.linalg.norm(roots, axis=1, keepdims=True) * 1280**0.5
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(got, penultimate)
        return
    spatial = [m.reshape(*m.shape[:2], -1) for m in maps if m.ndim == 4][-2:]
    pieces = [f(m, axis=2) for m in spatial for f in (np.mean, np.std)]
    if len(spatial) < 2:
        pieces = [np.sqrt(np.maximum(penultimate, 0))]
    lengths = [np.linalg.norm(piece, axis=1, keepdims=True) for piece in pieces]
    expected = np.concatenate([p / n for p, n in zip(pieces, lengths, strict=True)], axis=1)
    np.testing.assert_allclose(got, expected, atol=2e-6)
    np.testing.assert_allclose(np.square(got).sum(axis=1), len(pieces), rtol=1e-5)


# Saving.


def test_a_belief_of_before_logits_were_folded_is_read_as_it_was_written():
    network, size = build("linear", (1, 6, 5), 40, seed=1).eval(), (1, 6, 5)
    draw = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (120, *size), generator=draw, dtype=torch.uint8)
    features, labels = features_of(network, [(images, None)]), torch.arange(120) % 40
    digests = torch.randint(0, 256, (120, 16), generator=draw, dtype=torch.uint8)
    train, held = (Rows(features[p], labels[p], digests[p]) for p in (slice(0, 80), slice(80, 120)))
    classes = Classes(tuple(f"c{k}" for k in range(40)), "L", (6, 5))
    tensors, values = fit_classifier(network, classes, train, held, precision="32").tensors()
    later = build("linear", size, 40, seed=1).eval()
    later.widest = 12
    again = Classifier.from_tensors(later, classes, tensors, values)
    assert torch.equal(again.features([(images, None)]), features)


@pytest.fixture
def saved(rows, believer):
    """A belief with a later class, a discount and weights, as it is written: tensors and plain values."""
    weights = torch.rand(25, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    after, _ = believer.discount(0.3).with_rows(rows(25, 4, classes=4), ("stripe",), weights)
    return after, *after.tensors()


def opened(belief, tensors, values):
    return Classifier.from_tensors(belief.network, Classes(NAMES, "L", (8, 8)), tensors, values)


def test_a_saved_belief_is_the_same_belief(saved, asked):
    belief, tensors, values = saved
    again = opened(belief, tensors, values)
    assert again.classes == belief.classes
    assert again.precision == belief.precision
    assert again.head.prior == belief.head.prior
    assert torch.equal(again.predictive.sharpness, belief.predictive.sharpness)
    assert (again.head.founding, again.head.kept) == (3, 0.3)
    assert holds_the_same(again.absorbed, belief.absorbed)
    assert torch.equal(again.log_likelihood(asked), belief.log_likelihood(asked))
    assert torch.equal(again.novelty(asked), belief.novelty(asked))
    twice, plain = again.tensors()
    assert plain == values
    assert twice.keys() == tensors.keys()
    assert all(torch.equal(twice[name], tensors[name]) for name in tensors)


def test_any_missing_strange_or_misshapen_tensor_is_refused(saved):
    belief, tensors, values = saved
    assert len(tensors) == 14
    for name, tensor in tensors.items():
        without = {n: t for n, t in tensors.items() if n != name}
        other = torch.float32 if tensor.dtype == torch.float64 else torch.float64
        for damaged in (
            without,
            {**without, name: tensor[:-1]},
            {**without, name: tensor[..., None]},
            {**without, name: tensor.to(other)},
            {**without, name + "x": tensor},
        ):
            with pytest.raises(RunUnreadable, match="damaged") as refused:
                opened(belief, damaged, values)
            assert str(refused.value).count("\n") == 0
    with pytest.raises(RunUnreadable, match="unknown"):
        opened(belief, tensors | {"head.more": torch.zeros(1)}, values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("absorbed.labels", 4),
        ("absorbed.labels", -1),
        ("absorbed.exemplar_rows", 115),
        ("reference_labels", 4),
        ("head.scale", 0.0),
        ("head.counts", -1.0),
        ("head.sums", math.nan),
        ("head.second_moments", math.inf),
        ("absorbed.weights", math.nan),
    ],
)
def test_numbers_no_belief_can_hold_are_refused(saved, name, value):
    belief, tensors, values = saved
    damaged = tensors[name].clone()
    damaged.flatten()[0] = value
    with pytest.raises(RunUnreadable, match="damaged"):
        opened(belief, tensors | {name: damaged}, values)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["bar", "disc", "ring"]},
        {"classes": ["bar", "disc", "ring", "ring"]},
        {"classes": ["bar", "disc", "ring", 4]},
        {"classes": None},
        {"precision": "16"},
        {"precision": None},
        {"prior": {"scatter": -1.0}},
        {"prior": {"scatter": "much"}},
        {"prior": {"strength": 1.0}},
        {"prior": None},
        {"head": {"founding": 5, "kept": 1.0}},
        {"head": {"founding": 0, "kept": 1.0}},
        {"head": {"founding": 3, "kept": "1"}},
        {"head": {"founding": 3, "kept": 0.0}},
        {"head": {"founding": 3, "kept": math.nan}},
        {"head": {"kept": 1.0}},
        {"head": {"founding": 3, "kept": 1.0, "shift": 1.0, "more": 2}},
        {"head": None},
    ],
)
def test_values_no_belief_can_have_are_refused(saved, change):
    belief, tensors, values = saved
    with pytest.raises(RunUnreadable, match="damaged"):
        opened(belief, tensors, values | change)
    left_out = {name: value for name, value in values.items() if name not in change}
    with pytest.raises(RunUnreadable, match="damaged"):
        opened(belief, tensors, left_out)
