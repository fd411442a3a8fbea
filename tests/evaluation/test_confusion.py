"""The confusion matrix against scikit-learn, torchmetrics, counting by hand, and its laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import multilabel_confusion_matrix
from torchmetrics.classification import MulticlassConfusionMatrix

from bayesight.errors import InvalidInput
from bayesight.evaluation import (
    accuracy,
    at_prior,
    confusion_matrix,
    most_confused,
    never_named,
    no_better_than,
    one_vs_rest,
    sparse_confusion,
)


def draw(seed: int, n: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions that agree about two times in three, the last class never predicted."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, n)
    predicted = np.where(rng.random(n) < 0.67, true, rng.integers(0, classes - 1, n))
    return true, predicted


@pytest.mark.parametrize(("n", "classes"), [(1, 2), (57, 3), (4001, 17)])
def test_equals_scikit_learn_and_torchmetrics(n, classes):
    true, predicted = draw(n, n, classes)
    ours = confusion_matrix(true, predicted, classes)
    np.testing.assert_array_equal(ours, sklearn_confusion(true, predicted, labels=range(classes)))
    oracle = MulticlassConfusionMatrix(classes)(torch.from_numpy(predicted), torch.from_numpy(true))
    np.testing.assert_array_equal(ours, oracle.numpy())
    assert ours.dtype == np.int64


def test_weights_equal_scikit_learn():
    true, predicted = draw(3, 211, 5)
    weights = np.random.default_rng(4).gamma(0.7, size=211)
    oracle = sklearn_confusion(true, predicted, labels=range(5), sample_weight=weights)
    np.testing.assert_allclose(confusion_matrix(true, predicted, list("ABCDE"), weights), oracle, rtol=1e-12)


def test_rows_are_true_classes():
    assert confusion_matrix([0, 0, 0], [1, 1, 2], 3).tolist() == [[0, 2, 1], [0, 0, 0], [0, 0, 0]]


def test_tensors_lists_and_arrays_are_the_same():
    true, predicted = draw(5, 40, 4)
    expected = confusion_matrix(true, predicted, 4)
    np.testing.assert_array_equal(confusion_matrix(torch.tensor(true), torch.tensor(predicted), 4), expected)
    np.testing.assert_array_equal(confusion_matrix(true.tolist(), predicted.tolist(), 4), expected)
    weights = torch.ones(40, dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(confusion_matrix(true, predicted, 4, weights), expected)


def test_no_examples_give_zeros():
    assert confusion_matrix([], [], 2).tolist() == [[0, 0], [0, 0]]


def test_one_vs_rest_equals_scikit_learn():
    true, predicted = draw(6, 300, 7)
    counts = one_vs_rest(confusion_matrix(true, predicted, 7))
    oracle = multilabel_confusion_matrix(true, predicted, labels=range(7))
    np.testing.assert_array_equal(counts.tn, oracle[:, 0, 0])
    np.testing.assert_array_equal(counts.fp, oracle[:, 0, 1])
    np.testing.assert_array_equal(counts.fn, oracle[:, 1, 0])
    np.testing.assert_array_equal(counts.tp, oracle[:, 1, 1])


@settings(deadline=None, max_examples=40)
@given(
    st.integers(2, 6).flatmap(
        lambda k: st.lists(st.lists(st.integers(0, 50), min_size=k, max_size=k), min_size=k, max_size=k)
    )
)
def test_the_four_counts_are_all_examples_and_errors_are_counted_twice(matrix):
    m = np.array(matrix)
    counts = one_vs_rest(m)
    assert (counts.tp + counts.fn + counts.fp + counts.tn == m.sum()).all()
    errors = m.sum() - np.trace(m)
    assert counts.fn.sum() == counts.fp.sum() == errors
    assert sum(pair.count for pair in most_confused(m, limit=100)) == errors


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 60))
def test_matrices_of_parts_add_up_in_any_order(seed, n, cut):
    true, predicted = draw(seed, n, 4)
    order = np.random.default_rng(seed + 1).permutation(n)
    left, right = order[:cut], order[cut:]
    parts = confusion_matrix(true[left], predicted[left], 4) + confusion_matrix(
        true[right], predicted[right], 4
    )
    np.testing.assert_array_equal(parts, confusion_matrix(true, predicted, 4))


def test_accuracy_is_the_share_on_the_diagonal():
    true, predicted = draw(8, 500, 6)
    assert accuracy(confusion_matrix(true, predicted, 6)) == pytest.approx(
        np.mean(true == predicted), abs=1e-15
    )


def test_at_prior_gives_the_published_precision():
    # Sensitivity .99, false alarm .10, one in ten affected: a positive is worth .5238.
    joint = at_prior([[990, 10], [100, 900]], [0.1, 0.9])
    counts = one_vs_rest(joint)
    assert counts.tp[0] / (counts.tp[0] + counts.fp[0]) == pytest.approx(0.099 / 0.189, rel=1e-12)


def test_at_prior_equals_counting_a_weighted_sample():
    true, predicted = draw(9, 4000, 4)
    prior = np.array([0.61, 0.05, 0.04, 0.30])
    weights = (prior / np.bincount(true, minlength=4))[true]
    slow = confusion_matrix(true, predicted, 4, weights)
    np.testing.assert_allclose(at_prior(confusion_matrix(true, predicted, 4), prior), slow, rtol=1e-10)


def test_at_prior_of_the_sample_itself_changes_nothing():
    m = confusion_matrix(*draw(10, 333, 5), 5)
    np.testing.assert_allclose(at_prior(m, m.sum(axis=1) / m.sum()), m / m.sum(), rtol=1e-12)


def test_at_prior_ignores_an_absent_class_that_does_not_occur():
    joint = at_prior([[0, 0], [1, 3]], [0.0, 1.0])
    np.testing.assert_allclose(joint, [[0, 0], [0.25, 0.75]])


def test_most_confused_is_ordered_by_count_then_share():
    pairs = most_confused([[0, 3, 1], [3, 30, 0], [4, 0, 0]], limit=3)
    assert [(p.true, p.predicted, p.count) for p in pairs] == [(2, 0, 4), (0, 1, 3), (1, 0, 3)]
    assert pairs[1].share == 0.75
    assert most_confused(np.eye(3)) == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confusion_matrix([0, 1], [0], 2), "2 true classes and 1 predicted ones"),
        (lambda: confusion_matrix([0, 2], [0, 1], 2), "holds 2; expected indices from 0 to 1"),
        (lambda: confusion_matrix([-1, 0], [0, 1], 2), "leave those out"),
        (lambda: confusion_matrix([0.5], [0], 2), "got float64; expected integers"),
        (lambda: confusion_matrix(["A"], [0], 2), "not names"),
        (lambda: confusion_matrix([[0]], [0], 2), "got shape"),
        (lambda: confusion_matrix([0], [0], 0), "got 0 classes"),
        (lambda: confusion_matrix([0], [0], 2, [-1.0]), "negative or not finite"),
        (lambda: confusion_matrix([0], [0], 2, [1.0, 2.0]), r"expected shape \(1,\)"),
        (lambda: accuracy(np.zeros((2, 2))), "no examples"),
        (lambda: one_vs_rest([[1, 2, 3]]), "expected a square matrix"),
        (lambda: most_confused([[1.0, np.nan], [0, 1]]), "negative or not finite"),
        (
            lambda: at_prior(np.eye(2), [3, 1]),
            "sum 4; expected probabilities with sum 1. If these are",
        ),
        (lambda: at_prior(np.eye(2), [1.0]), "one probability for each of the 2 classes"),
        (lambda: at_prior([[0, 0], [0, 1]], [0.5, 0.5]), "class 0 has base rate 0.5 but no examples"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_mend(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(2, 9), st.booleans(), st.integers(0, 99))
def test_a_sparse_matrix_is_read_like_the_same_in_full(n, classes, weighted, seed):
    true, predicted = draw(seed, n, classes)
    weights = np.random.default_rng(seed).gamma(0.7, size=n) if weighted else None
    dense = confusion_matrix(true, predicted, classes, weights)
    sparse = sparse_confusion(true, predicted, classes, weights)
    assert sparse.nnz <= n
    np.testing.assert_array_equal(sparse.toarray(), dense)
    for name, part in vars(one_vs_rest(dense)).items():
        np.testing.assert_allclose(getattr(one_vs_rest(sparse), name), part, rtol=1e-12, atol=1e-12)
    assert accuracy(sparse) == pytest.approx(np.trace(dense) / dense.sum(), rel=1e-12)
    assert most_confused(sparse, 99) == most_confused(dense, 99)
    assert (never_named(sparse), no_better_than(sparse)) == (never_named(dense), no_better_than(dense))
    met = dense.sum(axis=1) > 0
    prior = np.where(met, np.arange(1, classes + 1), 0) / np.arange(1, classes + 1)[met].sum()
    np.testing.assert_allclose(at_prior(sparse, prior).toarray(), at_prior(dense, prior), rtol=1e-12)


def test_ten_thousand_classes_take_as_many_cells_as_examples():
    true = np.arange(10_000)  # in full it would be 800 MB
    cells = sparse_confusion(true, np.roll(true, 1), 10_000)
    assert cells.nnz == 10_000
    assert one_vs_rest(cells).fn.tolist() == [1] * 10_000
    assert accuracy(cells) == 0
