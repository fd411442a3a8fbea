"""The posterior of a found box: which class of thing it frames, or that it frames none.

A detector gives each box a logit of every class, which promises more or less than comes true. Boxes found in
images with known truth say how much: their logits times a slope plus an offset a class, beside 0 for nothing,
are the logarithms of odds (Platt 1999, with one slope for all classes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from bayesight.checks import check
from bayesight.evaluation.arrays import class_indices, floats
from bayesight.evaluation.boxes import TrueBoxes, box_overlaps
from bayesight.types import FloatArray, IntArray

__all__ = ["BoxPosterior", "box_truth", "fit_box_posterior"]

_OFFSET_DEVIATION = 3.0  # of the prior of an offset, nats: classes that were never found stay as they are
_SLOPE_DEVIATION = 1.0  # of the prior of the slope, around 1
UNKNOWN = -1
"""The truth of a box that frames what need not be found."""


@dataclass(frozen=True)
class BoxPosterior:
    """From logits of a detector to log-probabilities.

    Args:
        slope: of all logits.
        offsets: (K,) added to those of each class, nats.
        prior: (K + 1,) share of each class among the boxes it was fitted to, of nothing last.
    """

    slope: float
    offsets: FloatArray
    prior: FloatArray

    def log_p(self, logits: npt.ArrayLike) -> FloatArray:
        """Log-posteriors (N, K + 1), nothing last, of boxes with logits (N, K).

        Example:
            >>> plain = BoxPosterior(1.0, np.zeros(2), np.full(3, 1 / 3))
            >>> np.exp(plain.log_p([[0.0, 0.0]])).round(3).tolist()
            [[0.333, 0.333, 0.333]]
        """
        scores = self.slope * floats(logits) + self.offsets
        beside = np.concatenate([scores, np.zeros((len(scores), 1))], axis=1)
        found: FloatArray = log_softmax(beside, axis=1)
        return found


def box_truth(boxes: FloatArray, true: TrueBoxes, nothing: int, overlap: float = 0.5) -> IntArray:
    """The class of what each box frames, (N,); ``nothing`` where no true box is left for it.

    Each takes, in their order, the true box that it overlaps most among those that are left and that it
    overlaps enough, of whichever class. A box that frames what need not be found is ``UNKNOWN``.

    Args:
        boxes: (N, 4), the surest first.
        true: what is there.
        nothing: the number for none.
        overlap: from which on a box frames a thing.
    """
    shares = box_overlaps(boxes, true.boxes)
    hard = np.zeros(len(true.classes), bool) if true.difficult is None else np.asarray(true.difficult)
    truth = np.full(len(boxes), nothing, np.int64)
    free = np.ones(len(hard), bool)
    for row, each in enumerate(shares):
        able = np.where(free & (each >= overlap), each, 0)
        if able.any():
            taken = int(able.argmax())
            free[taken] = bool(hard[taken])
            truth[row] = UNKNOWN if hard[taken] else true.classes[taken]
    return truth


def fit_box_posterior(logits: npt.ArrayLike, truth: npt.ArrayLike) -> BoxPosterior:
    """The slope and offsets under which what is true was likeliest, with a weak prior on both.

    Args:
        logits: (N, K) of boxes found.
        truth: (N,) class of what each frames, K for nothing.

    Raises:
        InvalidInput: no boxes, logits that are not (N, K), or class numbers above K.
    """
    z = floats(logits)
    check(z.ndim == 2 and len(z) > 0, "fit_box_posterior", f"logits {z.shape}", "(N, K), N >= 1")
    count, classes = z.shape
    true = class_indices(truth, classes + 1, "fit_box_posterior truth")
    named = np.eye(classes + 1)[true]

    def cost(parameters: FloatArray) -> tuple[float, FloatArray]:
        slope, offsets = parameters[0], parameters[1:]
        posterior = BoxPosterior(slope, offsets, named.mean(axis=0))
        log_p = posterior.log_p(z)
        off = (np.exp(log_p) - named)[:, :-1]
        pulls = np.append((slope - 1) / _SLOPE_DEVIATION, offsets / _OFFSET_DEVIATION)
        value = -log_p[np.arange(count), true].sum() + 0.5 * (pulls**2).sum()
        gradient = np.append((off * z).sum(), off.sum(axis=0))
        gradient += pulls / np.append(_SLOPE_DEVIATION, np.full(classes, _OFFSET_DEVIATION))
        return float(value), gradient

    start = np.append(1.0, np.zeros(classes))
    limits = [(1e-3, None)] + [(None, None)] * classes
    best = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=limits).x
    shares = (named.sum(axis=0) + 0.5) / (count + 0.5 * (classes + 1))
    return BoxPosterior(float(best[0]), best[1:], shares)
