"""The base rates where the classifier is used: known, or inferred from unlabelled images.

Prior shift means p(class) has moved and p(image | class) has not. Then the posterior is corrected by the
ratio of the priors, and an unknown prior is the maximum of a concave likelihood that EM climbs.

Sources: M. Saerens, P. Latinne and C. Decaestecker, *Neural Computation* 14 (2002), eq. 2.4 (known prior) and
2.9 (EM); A. Alexandari, A. Kundaje and A. Shrikumar (2020) for calibrating first; Z. Lipton, Y.-X. Wang and
A. Smola (2018), eq. 4 for BBSE. The answer and its interval are a posterior's; see ``class_shares``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls
from scipy.special import kolmogorov, ndtr
from torch import Tensor

from bayesight.bayes.calibrate import apply, fit_bcts
from bayesight.bayes.class_shares import draw_shares, novelty_tails
from bayesight.checks import check, distribution
from bayesight.seeding import torch_generator

_STEPS = 5000
_ANY = 0.02


@dataclass(frozen=True)
class UnknownShare:
    """Images of no known class among unlabelled ones.

    Args:
        share: posterior mean.
        low: lower end of the shortest interval, at the level of the prior's.
        high: upper end.
        probability: that there are more than 2 % of them.
    """

    share: float
    low: float
    high: float
    probability: float

    @property
    def found(self) -> bool:
        """There are such images, beyond reasonable doubt (probability .975)."""
        return self.probability >= 0.975


@dataclass(frozen=True)
class PriorEstimate:
    """Base rates inferred from unlabelled images.

    Args:
        prior: (K,) sums to 1.
        low: (K,) lower ends of the intervals.
        high: (K,) upper ends.
        level: share of the posterior in each interval.
        second_opinion: (K,) BBSE's estimate.
        images: how many unlabelled images it rests on.
        weight: images that the old prior counts for beside them, inferred (posterior median).
        unknown: the share of images of unknown kinds, which ``prior`` leaves out; None without novelty.
    """

    prior: Tensor
    low: Tensor
    high: Tensor
    level: float
    second_opinion: Tensor
    images: int
    weight: float
    unknown: UnknownShare | None


@dataclass(frozen=True)
class ShiftCheck:
    """Does a shift of the prior alone explain the unlabelled images?

    Args:
        statistic: largest gap between the distribution of their scores and the one a prior shift predicts.
        p_value: chance of such a gap under a pure prior shift.
        prior_shift: False when the gap is too large to believe in a pure prior shift.
    """

    statistic: float
    p_value: float
    prior_shift: bool


def reweight(log_posterior: Tensor, old_prior: Tensor, new_prior: Tensor) -> Tensor:
    """Log posterior (N, K) under ``new_prior``, from one under ``old_prior``.

    Args:
        log_posterior: (N, K) nats.
        old_prior: (K,) probabilities behind ``log_posterior``, all positive.
        new_prior: (K,) probabilities; 0 rules a class out.

    Example:
        >>> even, skewed = torch.tensor([0.5, 0.5]), torch.tensor([0.9, 0.1])
        >>> reweight(even[None].log(), even, skewed).exp()
        tensor([[0.9000, 0.1000]], dtype=torch.float64)

    Raises:
        InvalidInput: the priors are not probabilities over the K classes, or an old one is 0.
    """
    count = log_posterior.shape[-1]
    old, new = _positive(old_prior, count), distribution(new_prior.double(), count, "new_prior")
    return torch.log_softmax(log_posterior.double() + new.log() - old.log(), dim=-1)


def em_prior(log_posterior: Tensor, old_prior: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """The prior (K,) that makes unlabelled images most probable.

    Args:
        log_posterior: (N, K) nats, calibrated, under ``old_prior``.
        old_prior: (K,) probabilities.
        weights: (N,) >= 0, how often each image counts; (B, N) gives B priors at once, (B, K).

    Raises:
        InvalidInput: no images, or a prior that is none.

    Example:
        >>> reading = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]).log()
        >>> em_prior(reading, torch.tensor([0.5, 0.5])).round(decimals=4)
        tensor([0.8125, 0.1875], dtype=torch.float64)
    """
    count = log_posterior.shape[-1]
    came = f"shape {tuple(log_posterior.shape)}"
    check(log_posterior.ndim == 2 and len(log_posterior) > 0, "log_posterior", came, "(N, K) with N >= 1")
    old = _positive(old_prior, count)
    ratio = _ratios(log_posterior, old)
    w = torch.ones(len(ratio), dtype=torch.float64) if weights is None else weights.double()
    prior = old.expand(*w.shape[:-1], count)
    for _ in range(_STEPS):
        expected = prior * ((w / (prior @ ratio.T).clamp_min(1e-300)) @ ratio)
        previous, prior = prior, expected / expected.sum(-1, keepdim=True)
        if float((prior - previous).abs().max()) < 1e-8:
            break
    return prior


def bbse(validation: Tensor, labels: Tensor, unlabelled: Tensor) -> Tensor:
    """Black-box shift estimation (K,): the prior whose confusions best explain the mean prediction.

    Args:
        validation: (V, K) log posteriors of labelled images.
        labels: (V,) their classes, each present.
        unlabelled: (N, K) log posteriors.
    """
    count = validation.shape[1]
    one_hot = torch.nn.functional.one_hot(labels, count).double()
    per_class = one_hot.sum(0)
    check(bool((per_class > 0).all()), "labels", "a class without a validation image", "every class")
    columns = (validation.double().exp().T @ one_hot) / per_class  # p(soft prediction | class)
    weights, _ = nnls(columns.numpy(), unlabelled.double().exp().mean(0).numpy())
    prior = torch.from_numpy(weights)
    return prior / prior.sum()


def infer_prior(
    unlabelled: Tensor,
    validation: Tensor,
    labels: Tensor,
    old_prior: Tensor,
    *,
    novelty: tuple[Tensor, Tensor] | None = None,
    level: float = 0.9,
    weights: Tensor | None = None,
    resamples: int = 40,
    seed: int = 0,
) -> PriorEstimate:
    """Base rates of unlabelled images: calibration with a bias per class, posterior mean, interval.

    Three things make the interval: the unlabelled images are a sample, the calibration was fitted to one, and
    how each class is mistaken for the others is known from a sample only. How far the answer is drawn to
    ``old_prior`` and how many images are of unknown kinds is inferred with it; see ``class_shares``.

    Args:
        unlabelled: (N, K) log posteriors, nats.
        validation: (V, K) log posteriors of labelled images that trained nothing.
        labels: (V,) their classes.
        old_prior: (K,) prior behind the posteriors, which is that of the validation images.
        novelty: (V,) and (N,) novelty of both, larger is more novel; without it all are of known kinds.
        level: of the intervals.
        weights: (V,) what each validation image counts, so that they have the shares of ``old_prior``; all 1
            when left out.
        resamples: calibrations on resampled validation images, one Gibbs chain each.
        seed: of resampling and draws.

    Raises:
        InvalidInput: no images, a prior that is none, or a level outside (0, 1).
    """
    check(0 < level < 1, "level", f"got {level}", "a share strictly between 0 and 1")
    old = distribution(old_prior.double(), unlabelled.shape[-1], "old_prior")
    counted = torch.ones(len(labels), dtype=torch.float64) if weights is None else weights.double()
    order = torch.from_numpy(np.lexsort(unlabelled.T.numpy()))  # draws are the same whatever the order
    unlabelled = unlabelled[order]
    calibration = fit_bcts(validation, labels, weights=counted)
    calibrated = apply(calibration, validation)
    resampled = _resampled(len(labels), resamples, torch_generator(seed, "validation")) * counted
    versions = [apply(fit_bcts(validation, labels, weights=one), unlabelled) for one in resampled]
    tails = None
    if novelty is not None:
        tails = novelty_tails(novelty[0], labels, resampled, novelty[1][order], len(old))
    draws = draw_shares(torch.stack(versions) - old.log(), old, tails, seed=seed)
    estimate = draws.prior.flatten(0, 1).mean(0)
    noise = _confusion_noise(calibrated, labels, old, estimate, resamples, seed)
    noisy = (draws.prior + noise).clamp_min(0)
    low, high = _shortest((noisy / noisy.sum(-1, keepdim=True)).flatten(0, 1), level)
    second = bbse(calibrated, labels, apply(calibration, unlabelled))
    low, high = torch.minimum(low, estimate), torch.maximum(high, estimate)
    unknown = None if tails is None else _unknown(draws.unknown.flatten(), level)
    weight = float(draws.weight.median())
    return PriorEstimate(estimate, low, high, level, second, len(unlabelled), weight, unknown)


def check_prior_shift(
    validation_scores: Tensor, labels: Tensor, scores: Tensor, prior: Tensor, *, alarm: float = 0.001
) -> ShiftCheck:
    """Compare scores of unlabelled images (log-evidence, novelty) with what ``prior`` and validation predict.

    Under a prior shift the scores are distributed as the validation scores of each class, mixed by the new
    prior. The test is Kolmogorov and Smirnov's, the weighted validation images counted by their effective
    number.

    Args:
        validation_scores: (V,) one score an image.
        labels: (V,) classes.
        scores: (N,) of the unlabelled images.
        prior: (K,) inferred base rates.
        alarm: p-value below which a pure prior shift is not believed.
    """
    weight = _mixed(distribution(prior.double(), len(prior), "prior"), labels)
    order = validation_scores.argsort()
    ranked, steps = validation_scores[order].double(), weight[order].cumsum(0)
    steps = torch.cat([steps.new_zeros(1), steps])
    new = scores.double().sort().values
    grid = torch.cat([ranked, new])
    predicted = steps[torch.searchsorted(ranked, grid, side="right")]
    observed = torch.searchsorted(new, grid, side="right").double() / len(new)
    statistic = float((predicted - observed).abs().max())
    effective = 1 / float(weight.square().sum())
    size = (effective * len(new) / (effective + len(new))) ** 0.5
    p_value = float(kolmogorov(statistic * size))
    return ShiftCheck(statistic, p_value, p_value >= alarm)


def check_ambiguity(
    validation: Tensor, labels: Tensor, unlabelled: Tensor, old_prior: Tensor, prior: Tensor
) -> float:
    """One-sided p-value that unlabelled images are no more ambiguous than known ones under ``prior``.

    Images of an unknown kind that look as familiar as known ones still fall between the classes. Ambiguity is
    the entropy of the posterior under ``prior``; its mean rank among validation images is compared with
    theirs, mixed by ``prior`` (a rank-sum test with weights; the variance is the sum of both samples').

    Args:
        validation: (V, K) log posteriors, nats, of labelled images.
        labels: (V,) their classes.
        unlabelled: (N, K) log posteriors.
        old_prior: (K,) prior behind both.
        prior: (K,) inferred base rates.
    """
    weight = _mixed(prior, labels)
    known, new = (_entropy(reweight(log_p, old_prior, prior)) for log_p in (validation, unlabelled))
    ranked = known.sort().values

    def rank(values: Tensor) -> Tensor:
        below, up_to = (torch.searchsorted(ranked, values, side=side) for side in ("left", "right"))
        return (below + up_to).double() / (2 * len(ranked))

    expected = weight @ rank(known)
    variance = weight.square() @ (rank(known) - expected).square() + rank(new).var(correction=0) / len(new)
    shift = float(rank(new).mean() - expected)
    return float(ndtr(-shift / max(float(variance) ** 0.5, 1e-12)))


def _mixed(prior: Tensor, labels: Tensor) -> Tensor:
    """The weight of each labelled image (V,) where classes have the shares of ``prior``, 1 in all."""
    weight = prior[labels] / torch.bincount(labels, minlength=len(prior)).double()[labels]
    return weight / weight.sum()


def _entropy(log_p: Tensor) -> Tensor:
    nats: Tensor = torch.special.entr(log_p.exp()).sum(-1)
    return nats


def _confusion_noise(
    log_posterior: Tensor, labels: Tensor, old_prior: Tensor, prior: Tensor, resamples: int, seed: int
) -> Tensor:
    """Errors of EM, (resamples, K), because each class is known from its few validation images.

    Validation images are resampled within their class and weighted to ``prior``, which EM should then return.
    """
    generator = torch_generator(seed, "confusion")
    weights = torch.zeros(resamples, len(labels), dtype=torch.float64)
    for k in range(len(prior)):
        rows = torch.where(labels == k)[0]
        if len(rows):
            weights[:, rows] = _resampled(len(rows), resamples, generator) * prior[k] / len(rows)
    found = em_prior(log_posterior, old_prior, weights=weights)
    return found - found.mean(0)


def _resampled(rows: int, resamples: int, generator: torch.Generator) -> Tensor:
    """The number of times each row is drawn, (resamples, rows), of as many draws with replacement."""
    drawn = torch.randint(rows, (resamples, rows), generator=generator)
    counts = torch.zeros(resamples, rows, dtype=torch.float64)
    return counts.scatter_add_(1, drawn, torch.ones(drawn.shape, dtype=torch.float64))


def _ratios(log_posterior: Tensor, old: Tensor) -> Tensor:
    """p(class | x) / old prior, (N, K), scaled to 1 at each row's largest."""
    log_ratio = log_posterior.double() - old.clamp_min(1e-300).log()
    return (log_ratio - log_ratio.max(dim=-1, keepdim=True).values).exp()


def _unknown(draws: Tensor, level: float) -> UnknownShare:
    low, high = _shortest(draws[:, None], level)
    probability = (draws > _ANY).double().mean()
    return UnknownShare(float(draws.mean()), float(low), float(high), float(probability))


def _shortest(draws: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """The shortest interval holding ``level`` of each column of shares.

    An end that is nearer to 0 or 1 than a tenth of the interval's width lies there: draws of a share that may
    be 0 pile up beside it and never reach it.
    """
    ranked = draws.sort(0).values
    inside = round(level * (len(ranked) - 1))
    width = ranked[inside:] - ranked[: len(ranked) - inside]
    start, columns = width.argmin(0), torch.arange(draws.shape[1])
    low, high = ranked[start, columns], ranked[start + inside, columns]
    near = 0.1 * (high - low)
    low_end = torch.where(low <= near, torch.zeros_like(low), low)
    return low_end, torch.where(1 - high <= near, torch.ones_like(high), high)


def _positive(old_prior: Tensor, classes: int) -> Tensor:
    """The prior behind posteriors (K,) float64, none of its classes excluded."""
    old: Tensor = distribution(old_prior.double(), classes, "old_prior")
    check(bool((old > 0).all()), "old_prior", "a class of probability 0", "positive probabilities")
    return old
