"""Wrong labels: found by predicting each row from the others, and kept out of the statistics by their weight.

A label y is a noisy reading of the true class z, which the features predict:

    p(y | x) = sum_z p_T(z | x) M[z, y],

where M[z, y] is the probability that an image of z is filed under y. The temperature T of the predictions and
M are fitted together, by the likelihood of the labels as given. Fitted without M, wrong labels are confident
mistakes and flatten every prediction until no label looks wrong; a class whose images are often filed under
one other then seems to look like it. Rows of M have a Dirichlet prior about even noise, the strength of which
the evidence chooses, so that both noise without a pattern and a pair of classes that are mistaken are found.

Because the head's statistics can be taken out again, leaving a fold out costs a subtraction, not a fit.
Sources: A. P. Dawid and A. M. Skene, *Applied Statistics* 28 (1979), for M and its expectation maximisation;
C. Northcutt, L. Jiang and I. Chuang, *Confident learning* (2021), for judging labels out of fold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.head.gaussian import (
    GaussianHead,
    density_at,
    distances,
    fit,
    predictive,
    sufficient_statistics,
)
from bayesight.checks import check
from bayesight.seeding import torch_generator

_CANDIDATES = 20
_STRENGTHS = torch.tensor([10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0], dtype=torch.float64)
_MOST_WRONG, _USUAL_WRONG = 0.5, 0.05
_PRIOR_WRONG, _PRIOR_ROWS = 1.0, 20.0
_MOST_STEPS = 200
_NEGLIGIBLE_NATS = 10.0
_NORMAL_95 = 1.959964
_EVERY, _START = 2, 10
_SETTLED = 2e-4
_ALL_LOG_ODDS = 60.0


@dataclass(frozen=True)
class NoiseFit:
    """Label noise as the labels and predictions of N rows show it.

    Args:
        trust: (N,) probability that each given label is right.
        suggested: (N,) the likeliest of the other classes.
        wrong_share: share of wrong labels among these rows, expected.
        interval: in which that share lies with probability 95 %, if the predictions are calibrated.
        log_likelihood: of the given labels, nats.
    """

    trust: Tensor
    suggested: Tensor
    wrong_share: float
    interval: tuple[float, float]
    log_likelihood: float


def out_of_fold(
    features: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    *,
    folds: int = 10,
    seed: int = 0,
    rounds: int = 4,
) -> Tensor:
    """Log posterior (N, K) of the true class, nats, of every row from a head that did not absorb it.

    Args:
        features: (N, D).
        labels: (N,) as given, some of them perhaps wrong.
        classes: names.
        folds: parts, each predicted from the others; 2 to N.
        seed: of the split into folds.
        rounds: most of them; after the first, rows are weighted by the trust in their label until it
            settles, so that wrong ones do not teach.

    Raises:
        InvalidInput: fewer than two folds, or more than rows.
    """
    check(2 <= folds <= len(labels), "folds", f"got {folds}", f"2 to {len(labels)}, the number of rows")
    order = torch.randperm(len(labels), generator=torch_generator(seed, "folds"))
    parts = torch.tensor_split(order, folds)
    weights = torch.ones(len(labels), dtype=torch.float64)
    log_p, at = torch.empty(0), _START
    for _ in range(rounds):
        head = fit(features, labels, classes, weights=weights)
        predicted = _predict_parts(head, features, labels, weights, parts)
        before = weights
        log_p, weights, at = _tempered(predicted, labels, at)
        if float((weights - before).abs().mean()) < _SETTLED:
            break
    return log_p


def fit_noise(log_posterior: Tensor, labels: Tensor) -> NoiseFit:
    """The most probable noise matrix, and what it says of each label.

    A label is taken to be right more often than not, whatever the class; the share of wrong ones is Beta(1,
    19) beforehand. Of many classes the 20 likeliest of each row and its given one are looked at. With r the
    trust, e the share and l the part of its information that is missing, sum r (1 - r) / (N e (1 - e)), the
    variance of e is e (1 - e) l / (N (1 - l)) (Louis, *JRSS B* 44, 1982); the interval is normal in the angle
    asin sqrt e.

    Args:
        log_posterior: (N, K) nats, of the true class, from data without the row's label.
        labels: (N,) as given.

    Raises:
        InvalidInput: fewer than two classes.

    Example:
        >>> x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
        >>> x[50:] += 9
        >>> labels = torch.arange(2).repeat_interleave(50)
        >>> labels[7] = 1
        >>> int(fit_noise(out_of_fold(x, labels, ("a", "b")), labels).trust.argmin())
        7
    """
    count = log_posterior.shape[1]
    check(count > 1, "log_posterior", f"{count} class", "at least two")
    return _fit_pairs(log_posterior.double(), _pairs(log_posterior, labels), None)[0]


@dataclass(frozen=True)
class _Pairs:
    """The pairs (true class, given class) that are looked at.

    Args:
        candidates: (N, S) classes each row may be of, the given one first.
        cells: (P,) numbers z K + y of the pairs met, ascending.
        place: (N, S) which of them each is.
        count: K.
    """

    candidates: Tensor
    cells: Tensor
    place: Tensor
    count: int


def _pairs(log_posterior: Tensor, labels: Tensor) -> _Pairs:
    count = log_posterior.shape[1]
    given = log_posterior.double().scatter(1, labels[:, None], torch.inf)
    candidates = given.topk(min(count, _CANDIDATES + 1), dim=1).indices
    cells, place = (candidates * count + labels[:, None]).unique(return_inverse=True)
    return _Pairs(candidates, cells, place, count)


def _fit_pairs(log_posterior: Tensor, pairs: _Pairs, start: Tensor | None) -> tuple[NoiseFit, Tensor]:
    """The fit, and M at the pairs' cells; expectation maximisation begins with such an M."""
    p = log_posterior.gather(1, pairs.candidates).softmax(dim=1)
    noise = _even(pairs, _USUAL_WRONG) if start is None else start
    share, evidence, wrong = p, p[:, 0], 0.0
    for _ in range(_MOST_STEPS):
        share = p * noise[pairs.place]
        evidence = share.sum(dim=1).clamp_min(1e-300)
        share = share / evidence[:, None]
        met = torch.zeros(len(pairs.cells), dtype=torch.float64)
        met.index_add_(0, pairs.place.flatten(), share.flatten())
        before, wrong = wrong, float((1 - share[:, 0]).sum())
        wrong = min((wrong + _PRIOR_WRONG) / (len(share) + _PRIOR_ROWS), _MOST_WRONG)
        noise = _noise_matrix(met, pairs, wrong)
        if math.isclose(before, wrong, rel_tol=1e-4):
            break
    trust = share[:, 0]
    suggested = pairs.candidates.gather(1, 1 + share[:, 1:].argmax(dim=1, keepdim=True))[:, 0]
    mean = float(1 - trust.mean())
    fit = NoiseFit(trust, suggested, mean, _interval(trust, mean, wrong), float(evidence.log().sum()))
    return fit, noise


def pooled(close: NoiseFit, honest: NoiseFit) -> NoiseFit:
    """Two readings of the same labels as one: which labels by both, how many by the honest one.

    A network that has seen the labels it judges knows the classes better, but has begun to learn wrong labels
    by heart and finds too few; networks that have not seen them find as many as there are. Their log-odds are
    averaged and shifted together to the honest share. The difference of the two shares says how
    far either may be off: it is taken as two standard deviations more.

    Args:
        close: by features of a network that has seen all labels; it suggests the classes.
        honest: by features of networks that have not seen the label they judge.
    """
    odds = (_log_odds(1 - close.trust) + _log_odds(1 - honest.trust)) / 2
    share = honest.wrong_share
    low, high = -_ALL_LOG_ODDS, _ALL_LOG_ODDS
    for _ in range(60):
        shift = (low + high) / 2
        low, high = (low, shift) if float((odds + shift).sigmoid().mean()) > share else (shift, high)
    one, other = _angle(close.wrong_share), _angle(share)
    below, above = map(_angle, honest.interval)
    apart, deviation = (one - other) / 2, (above - below) / 2 / _NORMAL_95
    interval = _around(other, math.hypot(apart, deviation))
    return replace(close, trust=1 - (odds + low).sigmoid(), wrong_share=share, interval=interval)


def _log_odds(p: Tensor) -> Tensor:
    return p.clamp(1e-12, 1 - 1e-12).logit()


def _even(pairs: _Pairs, wrong: float) -> Tensor:
    """M at the pairs' cells when every other class is as likely."""
    diagonal = pairs.cells // pairs.count == pairs.cells % pairs.count
    return torch.where(diagonal, 1 - wrong, wrong / (pairs.count - 1)).double()


def _noise_matrix(met: Tensor, pairs: _Pairs, wrong: float) -> Tensor:
    """M at the cells from how often each pair was met; the strength of its prior by the evidence."""
    rows, even = pairs.cells // pairs.count, _even(pairs, wrong)
    none = torch.zeros(pairs.count, dtype=torch.float64)
    of_row, prior = none.index_add(0, rows, met), _STRENGTHS[:, None]
    log_evidence = (torch.lgamma(met + prior * even) - torch.lgamma(prior * even)).sum(1)
    log_evidence += (torch.lgamma(prior) - torch.lgamma(prior + of_row)).sum(1)
    strength = float(_STRENGTHS[log_evidence.argmax()])
    diagonal = rows == pairs.cells % pairs.count
    missed = none.index_add(0, rows, met.masked_fill(diagonal, 0))
    missed = (missed + strength * wrong) / (of_row + strength)
    scale = (_MOST_WRONG / missed).clamp_max(1)
    noise = (met + strength * even) / (of_row + strength)[rows] * scale[rows]
    return torch.where(diagonal, (1 - missed * scale)[rows], noise)


def _interval(trust: Tensor, share: float, wrong: float) -> tuple[float, float]:
    """The 95 % interval of the share of wrong labels, from its posterior mean; see ``fit_noise``."""
    spread = wrong * (1 - wrong)
    missing = min(float((trust * (1 - trust)).sum()) / (len(trust) + _PRIOR_ROWS) / spread, 0.99)
    deviation = math.sqrt(missing / (1 - missing) * spread / len(trust))
    share = min(max(share, 1e-12), 1 - 1e-12)
    return _around(_angle(share), deviation / (2 * math.sqrt(share * (1 - share))))


def _angle(share: float) -> float:
    return math.asin(math.sqrt(share))


def _around(angle: float, deviation: float) -> tuple[float, float]:
    """The shares within 1.96 standard deviations of an angle."""
    low, high = (min(max(angle + side * _NORMAL_95 * deviation, 0), math.pi / 2) for side in (-1, 1))
    return math.sin(low) ** 2, math.sin(high) ** 2


def _tempered(
    predicted: Callable[[Tensor], Tensor], labels: Tensor, start: int
) -> tuple[Tensor, Tensor, int]:
    """Log posterior (N, K) and trust (N,), averaged over temperatures, and where the best one stands.

    The likelihood has one peak: temperatures are tried from ``start`` on, both ways, as long as they matter.
    """
    temperatures = sharpness.TEMPERATURES[::_EVERY]
    log_prior = sharpness.TEMPERATURE_LOG_PRIOR[::_EVERY]
    pairs = _pairs(predicted(temperatures[start]), labels)
    found: dict[int, tuple[float, NoiseFit, Tensor]] = {}

    def tried(at: int, near: int) -> float:
        fit, noise = _fit_pairs(predicted(temperatures[at]), pairs, found[near][2] if near in found else None)
        found[at] = (fit.log_likelihood + float(log_prior[at]), fit, noise)
        return found[at][0]

    best = tried(start, start)
    for step in (1, -1):
        at = start + step
        while 0 <= at < len(temperatures):
            here = tried(at, at - step)
            if here < best - _NEGLIGIBLE_NATS:
                break
            best, at = max(best, here), at + step
    log_joint = torch.tensor([one[0] for one in found.values()], dtype=torch.float64)
    posterior, trust = torch.zeros(()), torch.zeros(())
    for weight, (at, (_, one, _)) in zip(log_joint.softmax(dim=0), found.items(), strict=True):
        posterior = posterior + weight * predicted(temperatures[at]).exp()
        trust = trust + weight * one.trust
    return posterior.log(), trust.clamp_max(1), list(found)[int(log_joint.argmax())]


def _predict_parts(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor, parts: Sequence[Tensor]
) -> Callable[[Tensor], Tensor]:
    """Log posteriors (N, K) at a temperature, of each part by a head that has absorbed the others."""
    prior = ((head.counts + 1) / (head.counts + 1).sum()).log()
    found = []
    for part in parts:
        counts, sums, second = sufficient_statistics(head, features[part], labels[part], weights[part])
        rest = replace(
            head,
            counts=(head.counts - counts).clamp_min(0),
            sums=head.sums - sums,
            second_moments=head.second_moments - second,
        )
        ready = predictive(rest)
        found.append((ready, distances(ready, features[part])))

    def at(temperature: Tensor) -> Tensor:
        log_p = head.counts.new_empty(len(labels), len(head.classes))
        for part, (ready, rows) in zip(parts, found, strict=True):
            log_p[part] = torch.log_softmax(density_at(ready, rows, temperature) + prior, dim=1)
        return log_p

    return at
