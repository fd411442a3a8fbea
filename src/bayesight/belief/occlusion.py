"""Occlusion: the parts of an image that an answer rests on, and those that are unfamiliar.

A square of the image is replaced by its smoothed surroundings, and the classifier asked again; what the
answer loses is what the square was worth. That needs nothing of the network but its answers, so it works for
every model.

Source: M. Zeiler and R. Fergus, *Visualizing and understanding convolutional networks* (2014), section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bayesight.belief.classifier import Classifier
from bayesight.checks import check

_SIDES = 6
"""Squares along the shorter side of an image, where none overlapped; steps are half a square."""


@dataclass(frozen=True)
class OcclusionMap:
    """The worth of each pixel, as the mean over the squares that cover it.

    Args:
        support: (H, W) nats that the log-odds of the class lose without it; below 0 where it speaks against.
        strangeness: (H, W) by how much the novelty falls without it; above 0 where it is unfamiliar.
    """

    support: Tensor
    strangeness: Tensor


def occlusion(
    classifier: Classifier,
    image: Tensor,
    answer: int,
    prior: Tensor | None = None,
    *,
    side: int | None = None,
) -> OcclusionMap:
    """The worth of each part of an image to an answer.

    Args:
        classifier: the belief.
        image: uint8 (C, H, W), in the run's frame.
        answer: number of the class that is to be explained.
        prior: (K,) base rates; the classifier's own when left out.
        side: of a square, pixels; a sixth of the shorter side when left out.

    Raises:
        InvalidInput: another shape than the run's, or a class that is none.
    """
    shape, names = classifier.classes.image_shape, classifier.classes.names
    check(tuple(image.shape) == shape, "image", f"got {tuple(image.shape)}", f"{shape}, the run's frame")
    check(0 <= answer < len(names), "answer", f"got {answer}", f"a class from 0 to {len(names) - 1}")
    square = max(1, min(shape[1:]) // _SIDES) if side is None else side
    masks = _squares(shape[1], shape[2], square)
    hidden = torch.where(masks[:, None], smoothed(image, square), image)
    features = classifier.features([(torch.cat([image[None], hidden]),) * 2])
    likelihoods = classifier.log_likelihood(features)
    log_p = (likelihoods + (classifier.prior if prior is None else prior).log()).log_softmax(dim=1)
    others = torch.cat([log_p[:, :answer], log_p[:, answer + 1 :]], dim=1).logsumexp(dim=1)
    odds = log_p[:, answer] - others
    novelty = classifier.novelty(features, likelihoods)
    return OcclusionMap(_spread(masks, odds[0] - odds[1:]), _spread(masks, novelty[0] - novelty[1:]))


def smoothed(image: Tensor, side: int) -> Tensor:
    """An image (C, H, W) whose pixels are the means of what lies around them, two squares to each side."""
    reach = 2 * side
    around = functional.avg_pool2d(
        image[None].float(), 2 * reach + 1, stride=1, padding=reach, count_include_pad=False
    )
    return around[0].round().to(image.dtype)


def _squares(height: int, width: int, side: int) -> Tensor:
    """Masks bool (S, H, W) of squares half a side apart, the last ones at the border."""
    step = max(1, side // 2)
    tops, lefts = ([*range(0, length - side, step), max(0, length - side)] for length in (height, width))
    masks = torch.zeros(len(tops) * len(lefts), height, width, dtype=torch.bool)
    for number, (top, left) in enumerate((top, left) for top in tops for left in lefts):
        masks[number, top : top + side, left : left + side] = True
    return masks


def _spread(masks: Tensor, worth: Tensor) -> Tensor:
    """(H, W) mean worth of the squares that cover each pixel."""
    covering = masks.to(worth.dtype)
    return torch.einsum("shw,s->hw", covering, worth) / covering.sum(0)
