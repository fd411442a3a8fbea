import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.data.splits import linked, split
from bayesight.errors import InvalidInput


def digests_of(groups):
    """One digest a group number."""
    groups = np.asarray(groups, np.uint64)
    return np.stack([groups, groups * 7919], 1).view(np.uint8).reshape(-1, 16)


@settings(deadline=None, max_examples=80)
@given(
    sizes=st.lists(st.integers(3, 60), min_size=1, max_size=5),
    share=st.floats(0.05, 0.9),
    seed=st.integers(0, 1000),
)
def test_fractions_hold_within_rounding_for_each_class(sizes, share, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    fractions = {"train": 1 - share, "validation": share}
    parts = split(labels, digests_of(np.arange(len(labels))), fractions, seed)
    together = np.concatenate(list(parts.values()))
    assert sorted(together.tolist()) == list(range(len(labels)))
    for name, part in parts.items():
        assert (np.diff(part) > 0).all()
        exact = np.array(sizes) * fractions[name]
        counts = np.bincount(labels[part], minlength=len(sizes))
        assert (counts >= 1).all()
        assert (np.abs(counts - exact) < 1 + 1e-6).all()


@settings(deadline=None, max_examples=80)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=1, max_size=60),
    seed=st.integers(0, 1000),
)
def test_identical_images_are_never_on_two_sides(rows, seed):
    base = [(label, 100 + 10 * label + k) for label in range(3) for k in range(6)]
    labels, groups = np.array(rows + base).T
    parts = split(labels, digests_of(groups), {"a": 0.5, "b": 0.3, "c": 0.2}, seed)
    sides = [set(groups[part].tolist()) for part in parts.values()]
    assert sides[0].isdisjoint(sides[1] | sides[2])
    assert sides[1].isdisjoint(sides[2])
    assert sum(map(len, parts.values())) == len(labels)
    for part in parts.values():
        assert set(labels[part].tolist()) == {0, 1, 2}


@settings(deadline=None, max_examples=80)
@given(
    rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.integers(0, 12)), max_size=60),
    seed=st.integers(0, 1000),
)
def test_neither_groups_nor_identical_images_are_ever_on_two_sides(rows, seed):
    """Also where a group holds both classes, and where copies link one group to another."""
    base = [(label, 100 + 10 * label + k, 100 + 10 * label + k) for label in range(2) for k in range(6)]
    labels, images, groups = np.array(rows + base).T
    parts = split(labels, digests_of(images), {"a": 0.6, "b": 0.4}, seed, together=groups)
    for kind in (images, groups):
        assert set(kind[parts["a"]].tolist()).isdisjoint(kind[parts["b"]].tolist())
    assert sum(map(len, parts.values())) == len(labels)
    for part in parts.values():
        assert set(labels[part].tolist()) == {0, 1}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_linked_groups_are_the_components_of_a_graph(pairs):
    """Against merging two groups at a time until nothing changes."""
    one, other = np.unique(np.array(pairs)[:, 0], return_inverse=True)[1], np.array(pairs)[:, 1]
    merged = list(range(len(pairs)))
    for _ in pairs:
        for i in range(len(pairs)):
            for j in range(len(pairs)):
                if one[i] == one[j] or other[i] == other[j]:
                    merged[i] = merged[j] = min(merged[i], merged[j])
    found = linked(one, other)
    for i in range(len(pairs)):
        assert [found[i] == k for k in found] == [merged[i] == k for k in merged]
    assert set(found.tolist()) == set(range(len(set(merged))))


def test_groups_are_shared_out_by_their_size():
    """Of 40 groups of 5 images a class, a quarter validates, to the image."""
    labels, groups = np.repeat([0, 1], 200), np.repeat(np.arange(80), 5)
    shares = {"train": 0.75, "validation": 0.25}
    parts = split(labels, digests_of(np.arange(400)), shares, 3, together=groups)
    assert [np.bincount(labels[part]).tolist() for part in parts.values()] == [[150, 150], [50, 50]]


@settings(deadline=None, max_examples=80)
@given(
    sizes=st.lists(st.lists(st.integers(1, 30), min_size=3, max_size=8), min_size=1, max_size=3),
    share=st.floats(0.05, 0.4),
    seed=st.integers(0, 100),
)
def test_every_part_has_a_group_of_every_class_that_has_as_many(sizes, share, seed):
    labels = np.concatenate([np.full(sum(of_class), k) for k, of_class in enumerate(sizes)])
    groups = np.concatenate(
        [np.full(size, 100 * k + i) for k, one in enumerate(sizes) for i, size in enumerate(one)]
    )
    fractions = {"train": 1 - 2 * share, "validation": share, "test": share}
    parts = split(labels, digests_of(np.arange(len(labels))), fractions, seed, together=groups)
    for part in parts.values():
        assert set(labels[part].tolist()) == set(labels.tolist())


def test_groups_that_hold_both_classes_are_shared_out_or_refused_with_the_reason():
    labels, patients = np.repeat([0, 1], 30), np.arange(60) % 7
    different = digests_of(np.arange(60))
    parts = split(labels, different, {"train": 0.9, "validation": 0.1}, 0, together=patients)
    assert np.bincount(labels[parts["validation"]]).min() >= 4
    assert not set(patients[parts["train"]]) & set(patients[parts["validation"]])
    labels, patients = np.array([0, 0, 1, 0, 1, 0]), np.array([0, 1, 2, 2, 3, 3])
    few = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    more = np.append(labels, [0, 1]), np.append(patients, [0, 0])
    for seed in range(5):
        assert all(
            set(more[0][part]) == {0, 1}
            for part in split(more[0], digests_of(np.arange(8)), few, seed, together=more[1]).values()
        )
    with pytest.raises(
        InvalidInput, match=r"too small, by groups: 1 \(2\); expected at least 3 of each class"
    ):
        split(labels, digests_of(np.arange(6)), few, 0, together=patients)
    labels, patients = np.array([0, 1, 2, 0, 1, 0, 2, 1, 2]), np.array([0, 0, 0, 1, 1, 2, 2, 3, 3])
    with pytest.raises(InvalidInput, match=r"groups hold images of several classes, and of 20 tries none"):
        split(labels, digests_of(np.arange(9)), few, 0, together=patients)


def test_a_class_that_is_one_group_is_too_small():
    labels, groups = np.repeat([0, 1], 10), np.repeat([0, 1, 2], [5, 5, 10])
    with pytest.raises(InvalidInput, match=r"1 class is too small, by groups: B \(1\); expected at least 2"):
        split(labels, digests_of(np.arange(20)), {"a": 0.5, "b": 0.5}, 0, names="AB", together=groups)


def test_seeds_and_what_is_left_over():
    labels = np.repeat([0, 1], 50)
    digests = digests_of(np.arange(100))
    fractions = {"train": 0.6, "test": 0.2}
    one, again, other = (split(labels, digests, fractions, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(one[k], again[k]) for k in fractions)
    assert not np.array_equal(one["train"], other["train"])
    assert [np.bincount(labels[one[k]]).tolist() for k in fractions] == [[30, 30], [10, 10]]
    drawn = np.zeros(100)
    for seed in range(400):
        drawn[split(labels, digests, fractions, seed)["test"]] += 1
    assert np.abs(drawn / 400 - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / 400)


def test_real_letters_leak_nothing(real_data):
    from bayesight.data import open_store

    store = open_store(real_data / "notmnist" / "notMNIST_real8k.tar.gz")
    parts = split(store.labels, store.digests, {"train": 0.8, "validation": 0.1, "test": 0.1}, seed=3)
    keys = [{store.digests[i].tobytes() for i in part} for part in parts.values()]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]
    assert [np.bincount(store.labels[part]).tolist() for part in parts.values()] == [
        [640] * 10,
        [80] * 10,
        [80] * 10,
    ]


@pytest.mark.parametrize(
    ("fractions", "expected"),
    [
        ({}, "at least one part"),
        ({"a": 0.8, "b": 0.3}, "sum to 1.1"),
        ({"a": 0.0}, "a is 0"),
        ({"a": -0.5}, "a is -0.5"),
        ({"a": float("nan")}, "a is nan"),
    ],
)
def test_fractions_that_make_no_sense(fractions, expected):
    with pytest.raises(InvalidInput, match=expected):
        split(np.zeros(5, np.int64), digests_of(range(5)), fractions, 0)


def test_all_classes_too_small_are_named_at_once():
    labels = np.array([0] * 10 + [1] * 2 + [2] * 2 + [3])
    digests = digests_of([*range(10), 20, 20, 30, 31, 40])
    words = (
        r"3 classes are too small, by different images: owl \(1\), cat \(2\), elk \(1\); expected at least 3"
    )
    with pytest.raises(InvalidInput, match=words):
        split(labels, digests, {"a": 0.4, "b": 0.3, "c": 0.3}, 0, names=("dog", "owl", "cat", "elk"))


def test_a_class_with_too_few_images():
    labels = np.array([0] * 10 + [1])
    with pytest.raises(
        InvalidInput, match=r"1 class is too small, by different images: 1 \(1\); expected .* 2"
    ):
        split(labels, digests_of(range(11)), {"a": 0.5, "b": 0.5}, 0)
    copies = np.array([0] * 10 + [1] * 5)
    with pytest.raises(InvalidInput, match="different"):
        split(copies, digests_of([*range(10), *[99] * 5]), {"a": 0.5, "b": 0.5}, 0)
    with pytest.raises(InvalidInput, match="same N"):
        split(labels, digests_of(range(4)), {"a": 1.0}, 0)


def test_images_without_a_class_are_too_few_under_their_number():
    labels = np.array([-1, 0, 0, 0])
    with pytest.raises(InvalidInput, match=r"by different images: -1 \(1\)"):
        split(labels, digests_of(range(4)), {"a": 0.5, "b": 0.5}, 0, names=("dog",))
