"""The confusion matrix, and what is read from it.

Rows are true classes, columns predicted ones. Counts only: rates with their intervals are a matter of the
diagnostic test, which reads the four counts of ``one_vs_rest``. A matrix may be an array or a sparse array of
SciPy: of N examples at most N cells hold something, however many classes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array, sparray
from scipy.special import betaincinv

from bayesight.checks import check, distribution
from bayesight.evaluation.arrays import class_indices, floats

Matrix: TypeAlias = npt.ArrayLike | sparray


@dataclass(frozen=True)
class OneVsRest:
    """Each class read as a yes-or-no test: four counts, arrays of shape (K,).

    Attributes:
        tp: examples of the class that were called it.
        fn: examples of the class that were called something else.
        fp: examples of other classes that were called it.
        tn: examples of other classes that were called something else.
    """

    tp: npt.NDArray[Any]
    fn: npt.NDArray[Any]
    fp: npt.NDArray[Any]
    tn: npt.NDArray[Any]


@dataclass(frozen=True)
class ConfusedPair:
    """One cell off the diagonal.

    Attributes:
        true: index of the class the examples belong to.
        predicted: index of the class they were taken for.
        count: how many (a sum of weights, when the matrix was weighted).
        share: ``count`` as a fraction of the true class, in [0, 1].
    """

    true: int
    predicted: int
    count: float
    share: float


def confusion_matrix(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    classes: int | Sequence[str],
    weights: npt.ArrayLike | None = None,
) -> npt.NDArray[Any]:
    """Count how often each true class was given each name.

    Args:
        true: class indices (N,); an array, list or tensor.
        predicted: class indices (N,).
        classes: the class names, or how many there are (K).
        weights: a non-negative weight for each example (N,).

    Returns:
        (K, K), rows true, columns predicted; int64, or float64 when weighted. ``sparse_confusion`` takes no
        more memory than the examples.

    Raises:
        InvalidInput: lengths differ, an index is outside the classes, a weight is negative or not finite.

    Example:
        >>> confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2], ["A", "B", "C"]).tolist()
        [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    """
    matrix: npt.NDArray[Any] = sparse_confusion(true, predicted, classes, weights).toarray()
    return matrix


def sparse_confusion(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    classes: int | Sequence[str],
    weights: npt.ArrayLike | None = None,
) -> Any:
    """``confusion_matrix`` as a sparse array (``scipy.sparse.csr_array``) of the cells that hold something.

    Example:
        >>> sparse_confusion([0, 0, 9_999], [0, 1, 9_999], 10_000).nnz
        3
    """
    count = classes if isinstance(classes, int) else len(classes)
    check(count > 0, "confusion_matrix", f"got {count} classes", "at least one")
    rows = class_indices(true, count, "confusion_matrix true")
    columns = class_indices(predicted, count, "confusion_matrix predicted")
    came = f"{len(rows)} true classes and {len(columns)} predicted ones"
    check(len(rows) == len(columns), "confusion_matrix", came, "one of each for every example")
    if weights is None:
        return coo_array((np.ones(len(rows), np.int64), (rows, columns)), (count, count)).tocsr()
    w = floats(weights)
    check(w.shape == rows.shape, "confusion_matrix weights", f"got shape {w.shape}", f"shape {rows.shape}")
    valid = bool(np.all(np.isfinite(w) & (w >= 0)))
    check(valid, "confusion_matrix weights", "one is negative or not finite", "finite weights of at least 0")
    return coo_array((w, (rows, columns)), (count, count)).tocsr()


def one_vs_rest(matrix: Matrix) -> OneVsRest:
    """The four counts of each class against all others; each class's four sum to all examples.

    Example:
        >>> counts = one_vs_rest([[8, 2], [1, 9]])
        >>> counts.tp.tolist(), counts.fn.tolist(), counts.fp.tolist(), counts.tn.tolist()
        ([8, 9], [2, 1], [1, 2], [9, 8])
    """
    m = _square(matrix, "one_vs_rest")
    tp = m.diagonal()
    fn = m.sum(axis=1) - tp
    fp = m.sum(axis=0) - tp
    return OneVsRest(tp=tp, fn=fn, fp=fp, tn=m.sum() - tp - fn - fp)


def accuracy(matrix: Matrix) -> float:
    """The fraction of examples on the diagonal, in [0, 1].

    Raises:
        InvalidInput: the matrix holds no examples.

    Example:
        >>> accuracy([[8, 2], [1, 9]])
        0.85
    """
    m = _square(matrix, "accuracy")
    check(m.sum() > 0, "accuracy", "the matrix holds no examples", "at least one")
    return float(m.diagonal().sum() / m.sum())


def at_prior(matrix: Matrix, prior: npt.ArrayLike) -> Any:
    """The joint probability of true and predicted class where classes appear as often as ``prior`` says.

    Each row keeps its rates (they belong to the classifier) and takes the weight of its class there (which
    belongs to the place): ``P(true, predicted) = prior(true) · matrix[true, predicted] / row sum``. It holds
    for a classifier whose decisions stay as they were counted.

    Args:
        matrix: counts (K, K), rows true.
        prior: base rates (K,), summing to 1 within 1e-6.

    Returns:
        Joint probabilities (K, K), summing to 1, sparse where the counts were; ``accuracy`` and
        ``one_vs_rest`` read it like counts.

    Raises:
        InvalidInput: no distribution over the classes, or a class with a base rate but no examples.

    Example:
        >>> at_prior([[99, 1], [10, 90]], [0.1, 0.9]).round(3).tolist()
        [[0.099, 0.001], [0.09, 0.81]]
    """
    m, p = _square(matrix, "at_prior"), floats(prior)
    base = distribution(p, m.shape[0], "at_prior prior")
    support = m.sum(axis=1)
    empty = np.flatnonzero((support == 0) & (p > 0))
    came = f"class {empty[0]} has base rate {p[empty[0]]:g} but no examples" if empty.size else ""
    check(not empty.size, "at_prior", came, "at least one example of every class that occurs there")
    weight = base / np.where(support > 0, support, 1)
    joint = m.astype(np.float64).multiply(weight[:, None]).tocsr()
    return joint if isinstance(matrix, sparray) else joint.toarray()


def most_confused(matrix: Matrix, limit: int = 5) -> tuple[ConfusedPair, ...]:
    """The cells off the diagonal that hold most, largest first; empty cells are never among them.

    Equal counts are ordered by their share of the true class, then by position.

    Example:
        >>> most_confused([[8, 2, 0], [0, 9, 1], [0, 0, 5]], limit=1)
        (ConfusedPair(true=0, predicted=1, count=2.0, share=0.2),)
    """
    m = _square(matrix, "most_confused")
    support = m.sum(axis=1)
    cells = m.tocoo()
    pairs = [
        ConfusedPair(int(i), int(j), float(n), float(n / support[i]))
        for i, j, n in zip(cells.row, cells.col, cells.data, strict=True)
        if i != j and n
    ]
    pairs.sort(key=lambda pair: (-pair.count, -pair.share, pair.true, pair.predicted))
    return tuple(pairs[:limit])


def never_named(matrix: Matrix) -> tuple[int, ...]:
    """The classes that have examples and were never the answer.

    Example:
        >>> never_named([[9, 0, 0], [2, 0, 0], [0, 0, 0]])
        (1,)
    """
    m = _square(matrix, "never_named")
    return tuple(int(k) for k in np.flatnonzero((m.sum(axis=1) > 0) & (m.sum(axis=0) == 0)))


def no_better_than(matrix: Matrix, level: float = 0.95) -> int | None:
    """The commonest class, where naming it always may well be right as often; None where it is not.

    The two are compared on the same examples: of those that one has right and the other wrong, the share won
    has a Beta posterior (Jeffreys' prior), and the answers are better when its interval lies above one half.

    Args:
        matrix: (K, K) counts, or weights that sum to a number of examples; rows true.
        level: probability inside the interval.

    Example:
        >>> no_better_than([[95, 0], [4, 1]]), no_better_than([[90, 5], [2, 40]])
        (0, None)
    """
    m = _square(matrix, "no_better_than").astype(np.float64)
    support = m.sum(axis=1)
    if int((support > 0).sum()) < 2:
        return None
    # Of classes equally common, the one named most.
    commonest = int(np.where(support == support.max(), m.sum(axis=0), -1).argmax())
    won = float(m.diagonal().sum() - m[commonest, commonest])
    lost = float(support[commonest] - m[commonest, commonest])
    low = betaincinv(won + 0.5, lost + 0.5, (1 - level) / 2)
    return None if float(low) > 0.5 else commonest


def _square(matrix: Matrix, where: str) -> Any:
    """``matrix`` as a square sparse array of finite, non-negative numbers, each cell once."""
    source: Any = matrix
    if not isinstance(source, sparray):
        source = np.asarray(source.detach().cpu() if hasattr(source, "detach") else source)
    square = source.ndim == 2 and source.shape[0] == source.shape[1] and source.shape[0] > 0
    check(square, where, f"got shape {source.shape}", "a square matrix, rows true, columns predicted")
    m = csr_array(source)
    valid = bool(np.all(np.isfinite(m.data) & (m.data >= 0)))
    check(valid, where, "a cell is negative or not finite", "counts of at least 0")
    return m
