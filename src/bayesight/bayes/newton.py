"""Newton's method with a line search, for losses that are convex and smooth.

A step is halved until it lowers the loss by a share of what its slope promises (Armijo 1966; Boyd and
Vandenberghe 2004, algorithm 9.5). Points are arrays of NumPy or tensors of torch: only their arithmetic is
used, and neither library is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from bayesight.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

Point = TypeVar("Point", FloatArray, "Tensor")

_SHARE = 1e-4
"""Of the decrease that the slope promises, the share a step has to bring."""
_SHORTEST = 1e-8
_ROUNDING = 1e-13
"""Of the loss: differences below this are rounding, and no reason to halve a step."""


def minimise(
    loss: Callable[[Point], float],
    newton: Callable[[Point], tuple[Point, Point]],
    start: Point,
    *,
    tolerance: float,
    steps: int = 60,
) -> Point:
    """The point of least loss.

    Args:
        loss: nats, or any unit; infinite where a point is not allowed.
        newton: from a point to the gradient there, and to the Hessian's inverse times it.
        start: a point that is allowed.
        tolerance: the last step is the one whose Newton decrement, gradient · direction, is at most this.
        steps: at most so many.

    Example:
        >>> import numpy as np
        >>> centre = np.array([3.0, -1.0])
        >>> square = lambda x: float(((x - centre) ** 2).sum())
        >>> minimise(square, lambda x: (2 * (x - centre), x - centre), np.zeros(2), tolerance=1e-9).tolist()
        [3.0, -1.0]
    """
    at, value = start, loss(start)
    for _ in range(steps):
        gradient, direction = newton(at)
        decrement = float((gradient * direction).sum())
        enough = value + _ROUNDING * abs(value)
        size = 1.0
        while not (trial := loss(at - size * direction)) <= enough - _SHARE * size * decrement:
            size /= 2
            if size < _SHORTEST:
                return at
        at, value = at - size * direction, trial
        if decrement <= tolerance:
            break
    return at
