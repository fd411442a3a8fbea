"""Class shares among unlabelled images, and the share of images of no known class: a posterior, by sampling.

Image i has density

    (1 - u) sum_k pi_k p_k(i) + u g(v_i) sum_k q_k p_k(i),

where p_k is the likelihood of class k, u the share of images of unknown kinds, and q says which classes those
are taken for. v_i is the share of known images at least as novel as image i among those that may be of the
same classes: it is uniform for images of known kinds, so that g is a proper density on (0, 1). An image of an
unknown kind has a low v; g is a mixture of the uniform densities on (0, 1/4), (0, 1/8), (0, 1/16), ..., which
is any density that falls in these steps. Unknown images that look as familiar as those of a known class are
counted to that class: nothing in them says otherwise.

pi is Dirichlet about the training shares with a weight of A images, and A is unknown too: A / (1 + A), the
part of the training shares in the answer from one image, has Jeffreys' prior for a share, Beta(1/2, 1/2). So
the images themselves say how far they are to be trusted against the training shares: a sample like the
training images is drawn to them strongly, one of a single class hardly at all.

Sources: Gibbs sampling of a mixture: J. Diebolt and C. Robert, *JRSS B* 56 (1994). Weight of a Dirichlet
prior integrated out: I. J. Good, *The Estimation of Probabilities* (1965), chapter 9. Falling densities as
mixtures of uniform ones: W. Feller, *An Introduction to Probability Theory* II (1971), section V.9.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.checks import check
from bayesight.seeding import torch_generator

SWEEPS, BURN_IN = 80, 40

_COMMON = 2
"""An image of an unknown kind is among the 2^-2 most novel of the class that it is taken for."""

_CLASS_IMAGES = 5.0
"""A class's mean novelty and spread count for so many images of all classes, where it has few."""

_UNKNOWN_SHARE = (0.1, 1.0)
"""Beta prior of u: most samples have few such images or none."""

_TAKEN_FOR, _STEP = 2.0, 0.5
"""Dirichlet weights, a class and a step, of q and of g."""

_WEIGHTS = torch.logspace(-4, 4, 65, dtype=torch.float64)
_WEIGHT_LOG_PRIOR = 0.5 * (_WEIGHTS.log() - 2 * torch.log1p(_WEIGHTS))


@dataclass(frozen=True)
class ShareDraws:
    """Draws of a posterior; S of each of C chains.

    Args:
        prior: (S, C, K) shares of the classes among images of known kinds.
        unknown: (S, C) share of images of unknown kinds.
        weight: (S, C) images that the training shares count for.
    """

    prior: Tensor
    unknown: Tensor
    weight: Tensor


def novelty_tails(
    validation: Tensor, labels: Tensor, weights: Tensor, scores: Tensor, classes: int
) -> Tensor:
    """The share of images of each class that are at least as novel as an unlabelled one, (C, N, K) in (0, 1].

    Classes differ in how novel their images look, and have too few images each to tell a tail. So each is
    standardised by its own mean and spread, and the tail is that of all.

    Args:
        validation: (V,) novelty of labelled images.
        labels: (V,) their classes.
        weights: (C, V) what each counts, for C resamples.
        scores: (N,) novelty of the unlabelled images.
        classes: K.
    """
    score, new = validation.double(), scores.double()
    tails = []
    for weight in weights.double():
        total = weight.sum()
        mean = score @ weight / total
        spread = (score - mean).square() @ weight / total
        none = torch.zeros(classes, dtype=torch.float64)
        counts = none.scatter_add(0, labels, weight) + _CLASS_IMAGES
        centre = (none.scatter_add(0, labels, weight * score) + _CLASS_IMAGES * mean) / counts
        square = weight * (score - centre[labels]).square()
        scale = (
            ((none.scatter_add(0, labels, square) + _CLASS_IMAGES * spread) / counts).sqrt().clamp_min(1e-12)
        )
        ranked, order = ((score - centre[labels]) / scale[labels]).sort()
        below = torch.cat([none[:1], weight[order].cumsum(0)])
        place = torch.searchsorted(ranked, (new[:, None] - centre) / scale)
        tails.append((1 + total - below[place]) / (1 + total))
    return torch.stack(tails)


def draw_shares(
    log_likelihoods: Tensor, old_prior: Tensor, tails: Tensor | None = None, *, seed: int = 0
) -> ShareDraws:
    """Posterior draws of the class shares, of the unknown share and of the weight of the training shares.

    The class of each image and whether it is known are drawn in turn with the shares. Each chain can have its
    own calibration, so that what is not known about the classifier widens the posterior too.

    Args:
        log_likelihoods: (C, N, K) nats up to a constant an image: the same N images, in C ways.
        old_prior: (K,) the training shares, all positive.
        tails: (C, N, K) of ``novelty_tails``; without them every image is of a known kind.
        seed: of the draws.

    Example:
        >>> sure = torch.tensor([[0.0, -9.0]]).expand(4, 30, 2)
        >>> draws = draw_shares(sure, torch.tensor([0.5, 0.5]))
        >>> bool(draws.prior[..., 0].mean() > 0.97)
        True

    Raises:
        InvalidInput: no images, or shares that are not positive.
    """
    came = f"shape {tuple(log_likelihoods.shape)}"
    check(
        log_likelihoods.ndim == 3 and log_likelihoods.shape[1] > 0,
        "log_likelihoods",
        came,
        "(C, N, K), N > 0",
    )
    check(bool((old_prior > 0).all()), "old_prior", "a class of probability 0", "positive probabilities")
    chains, _, count = log_likelihoods.shape
    generator, old = torch_generator(seed, "class shares"), old_prior.double()
    likelihood = (log_likelihoods.double() - log_likelihoods.amax(-1, keepdim=True)).exp()
    unknown = None if tails is None else _Unknown(tails, old, generator)
    prior = old.expand(chains, count)
    share = torch.full((chains, 1), 0.0 if unknown is None else 0.05, dtype=torch.float64)
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    for sweep in range(SWEEPS):
        joint = likelihood * prior[:, None]
        known = torch.ones(joint.shape[:2], dtype=torch.bool)
        if unknown is not None:
            strange = likelihood * unknown.density(joint)
            one, other = (1 - share) * joint.sum(-1), share * strange.sum(-1)
            known = torch.rand(one.shape, generator=generator, dtype=torch.float64) * (one + other) >= other
            joint = torch.where(known[..., None], joint, strange)
        drawn = _pick(joint, generator)
        counts = _count(drawn, known, count)
        weight = _weight(counts, old, generator)
        prior = _dirichlet(weight * old + counts, generator)
        if unknown is not None:
            unknown.learn(drawn, ~known)
            found = torch.stack([(~known).sum(1), known.sum(1)], 1) + torch.tensor(_UNKNOWN_SHARE)
            share = _dirichlet(found.double(), generator)[:, :1]
        if sweep >= BURN_IN:
            kept.append((prior, share[:, 0], weight[:, 0]))
    return ShareDraws(*(torch.stack(part) for part in zip(*kept, strict=True)))


class _Unknown:
    """Images of unknown kinds: which classes they are taken for, and how novel they are."""

    def __init__(self, tails: Tensor, old: Tensor, generator: torch.Generator) -> None:
        self._tails, self._old, self._generator = tails, old, generator
        self._steps = max(1, int(_level(tails.min())))
        self._heights = 2.0 ** (torch.arange(self._steps, dtype=torch.float64) + _COMMON)
        chains = len(tails)
        self._taken_for = old.expand(chains, len(old))
        self._step = torch.full((chains, self._steps), 1 / self._steps, dtype=torch.float64)
        self._levels = torch.empty(0)

    def density(self, known: Tensor) -> Tensor:
        """(C, N, K) q_k g(v_i), where ``known`` (C, N, K) is what classes are likely, unnormalised."""
        rare = (known * self._tails).sum(-1) / known.sum(-1).clamp_min(1e-300)
        self._levels = _level(rare).clamp(0, self._steps)
        steps = torch.nn.functional.pad((self._step * self._heights).cumsum(1), (1, 0))
        return steps.gather(1, self._levels)[..., None] * self._taken_for[:, None]

    def learn(self, drawn: Tensor, unknown: Tensor) -> None:
        """Draw q and g anew, given the unknown images and the classes (C, N) they are taken for."""
        count, generator = len(self._old), self._generator
        counts = _count(drawn, unknown, count)
        self._taken_for = _dirichlet(_TAKEN_FOR * count * self._old + counts, generator)
        under = torch.arange(self._steps) < self._levels[..., None]
        step = _pick((self._step * self._heights)[:, None] * under, generator)
        self._step = _dirichlet(_STEP + _count(step, unknown, self._steps), generator)


def _level(rare: Tensor) -> Tensor:
    """The number of steps 1/4, 1/8, ... that a share of images is below or at; negative for none."""
    return (-rare.log2()).floor().long() - (_COMMON - 1)


def _weight(counts: Tensor, old: Tensor, generator: torch.Generator) -> Tensor:
    """(C, 1) weight of the training shares, given how many images (C, K) are of each class."""
    concentration = _WEIGHTS[:, None] * old
    log_p = _WEIGHT_LOG_PRIOR + torch.lgamma(_WEIGHTS) - torch.lgamma(_WEIGHTS + counts.sum(1, keepdim=True))
    log_p = log_p + (torch.lgamma(concentration + counts[:, None]) - torch.lgamma(concentration)).sum(-1)
    return _WEIGHTS[_pick(log_p.softmax(1), generator)][:, None]


def _pick(weights: Tensor, generator: torch.Generator) -> Tensor:
    """One index of the last dimension, drawn in proportion to non-negative ``weights``."""
    cumulative = weights.cumsum(-1)
    at = torch.rand(cumulative.shape[:-1], generator=generator, dtype=torch.float64) * cumulative[..., -1]
    return torch.searchsorted(cumulative, at[..., None], side="right")[..., 0].clamp_max(
        weights.shape[-1] - 1
    )


def _count(drawn: Tensor, which: Tensor, count: int) -> Tensor:
    """(C, count) how often each index was drawn (C, N), where ``which`` is true."""
    return torch.zeros(len(drawn), count, dtype=torch.float64).scatter_add_(1, drawn, which.double())


def _dirichlet(concentration: Tensor, generator: torch.Generator) -> Tensor:
    """A draw for each row, by gamma variates; exact where concentrations are tiny.

    A gamma variate of concentration a is one of a + 1 times a uniform one to the power 1/a, of which the
    logarithm does not vanish (G. Marsaglia and W. Tsang, *ACM TOMS* 26, 2000, section 6).
    """
    power = torch.rand(concentration.shape, generator=generator, dtype=torch.float64).clamp_min(1e-300).log()
    gamma = torch._standard_gamma(concentration + 1, generator=generator)
    return (gamma.log() + power / concentration).softmax(-1)
