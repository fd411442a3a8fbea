"""Tensors, arrays and lists, taken in as checked NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.types import FloatArray, IntArray

SUM_TOLERANCE = 1e-2
"""How far a row of probabilities may be from 1: bfloat16 posteriors are off by up to half a percent."""


def floats(values: npt.ArrayLike) -> FloatArray:
    """Any array-like, a torch tensor of any dtype, device or graph included, as a float64 array.

    Example:
        >>> floats([1, 2]).dtype
        dtype('float64')
    """
    source: Any = values
    if hasattr(source, "detach"):  # NumPy can neither read bfloat16 nor a tensor that requires grad
        source = source.detach().cpu().double()
    return np.asarray(source, dtype=np.float64)


def row_blocks(rows: int, columns: int, values: int = 1 << 20) -> Iterator[slice]:
    """The rows of a (rows, columns) array in blocks of at most ``values`` numbers, or of one row.

    Example:
        >>> list(row_blocks(5, 10, values=20))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, values // columns)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def class_indices(values: npt.ArrayLike, classes: int, where: str) -> IntArray:
    """Class indices (N,), each in [0, ``classes``).

    Raises:
        InvalidInput: not one-dimensional, not integers, or an index outside the classes.
    """
    source: Any = values
    if hasattr(source, "detach"):
        source = source.detach().cpu()
    array = np.asarray(source)
    if array.size == 0:
        array = array.astype(np.int64)
    check(array.ndim == 1, where, f"got shape {array.shape}", "one class index for each example, shape (N,)")
    mend = "Pass indices into the class names, not names or probabilities."
    check(np.issubdtype(array.dtype, np.integer), where, f"got {array.dtype}", "integers", mend)
    wrong = array[(array < 0) | (array >= classes)]
    came = f"holds {wrong[0]}" if wrong.size else ""
    mend = "-1 stands for an example without a label: leave those out." if -1 in wrong else ""
    check(not wrong.size, where, came, f"indices from 0 to {classes - 1}", mend)
    return array.astype(np.int64)


def log_scores(log_p: npt.ArrayLike, where: str) -> tuple[FloatArray, FloatArray]:
    """Log-posteriors (N, K) as they came, and what is to be subtracted from each row (N,) to normalise it.

    Rows that sum to 1 within ``SUM_TOLERANCE`` are accepted, to be renormalised, so that half precision
    upstream does not tilt a score.

    Raises:
        InvalidInput: not (N, K) with K at least 2, N at least 1, a NaN, or rows that are no distribution.
    """
    array = floats(log_p)
    expected = "shape (N, K): one row for each example, one column for each class"
    check(array.ndim == 2 and array.shape[1] > 1, where, f"got shape {array.shape}", expected)
    check(len(array) > 0, where, "got no examples", "at least one")
    top = array.max(axis=1)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(over="ignore", divide="ignore"):
        total: FloatArray = np.log(np.exp(array - top[:, None]).sum(axis=1)) + top
    check(not np.isnan(total).any(), where, "holds NaN", "log-probabilities in nats")
    worst = int(np.argmax(np.abs(total)))
    came = f"row {worst} sums to exp({total[worst]:.4g}) as probabilities"
    mend = "If these are logits, pass their log_softmax; if probabilities, their logarithm."
    check(bool(np.abs(total[worst]) <= SUM_TOLERANCE), where, came, "1", mend)
    return array, total
