"""Sharpness: how sure of an answer n judged images allow a classifier to be.

A network's classes look farther apart on the images it learned from than they are. Two unknowns soften what
its head says: a temperature T, which widens the density of every class, and a slip rate s, the share of
images whose class has nothing to do with how they look,

    p(class | x, T, s) = (1 - s) p_T(class | x) + s p(class).

Both are judged by images that were predicted before they were learned, and the answer is averaged over their
posterior rather than read at its best point: where all n images are told apart without a mistake, every small
temperature and every small slip rate fits them as well, and the best point would be sure of everything. The
prior of s is uniform, so that after n right answers and no wrong one an image belongs to another class than
named with probability 1/(n + 2), Laplace's rule of succession, whatever it looks like; no answer at even base
rates is surer (two classes and fewer than ten images excepted: a slip is then wrong at most half the time).
The prior of T is log-normal about 10: the heads of trained networks want 2 to 25.

The log-losses on a fixed grid of (T, s) are all that is kept. They add up, merge and can be discounted.

Sources: P. S. Laplace, *Théorie analytique des probabilités* (1812), book II, chapter 6 (rule of
succession); C. Guo et al., *On calibration of modern neural networks* (2017), section 4.2 (temperature).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bayesight.checks import check

TEMPERATURES: Tensor = torch.arange(0, 5.35, 0.1, dtype=torch.float64).exp()
"""(G,) temperatures at which losses are recorded, 1 to 200 in steps of a tenth of a nat.

None is below 1: where images are told apart without a mistake, a smaller one would draw the known classes in
below what was seen of them, and the first image of a new class, whose place is known less well, would then
claim those of all others.
"""

TEMPERATURE_LOG_PRIOR: Tensor = (-0.5 * (TEMPERATURES / 10).log().square()).log_softmax(dim=0)
"""(G,) nats: log T is normal about log 10 with a standard deviation of 1."""

SLIPS: Tensor = torch.arange(-19, 8.25, 0.5, dtype=torch.float64).sigmoid()
"""(E,) slip rates, even in log-odds, where the trapezoid rule converges exponentially."""

_SLIP_LOG_PRIOR = (SLIPS.log() + torch.log1p(-SLIPS)).log_softmax(dim=0)
"""(E,) nats: uniform on (0, 1), in log-odds."""

GRID = (len(TEMPERATURES), len(SLIPS))
"""Shape of recorded losses."""

_MOST_JUDGED, _FEWEST_JUDGES = 4_000_000, 200  # answers, images times classes; images

_NEGLIGIBLE = 1e-7
_VALUES = 1 << 20  # probabilities held at once


def most_judges(classes: int) -> int:
    """The most images to judge answers about so many classes: 4 million answers, at least 200 images."""
    return max(_FEWEST_JUDGES, _MOST_JUDGED // classes)


def judges(images: int, classes: int) -> Tensor:
    """Positions of the images that judge: all, or every n-th where they are more than ``most_judges``.

    Example:
        >>> judges(4, 10).tolist(), judges(10_000, 10_000)[:3].tolist()
        ([0, 1, 2, 3], [0, 25, 50])
    """
    return torch.arange(0, images, max(1, -(-images // most_judges(classes))))


def judged_losses(
    scores: Callable[[Tensor], Tensor], log_prior: Tensor, labels: Tensor, weights: Tensor
) -> Tensor:
    """Summed log-loss, nats, of given labels at every temperature and slip rate, (G, E).

    Args:
        scores: temperatures (g,) to unnormalised log posteriors (g, N, K); called with a few at a time.
        log_prior: (K,) log class prior, nats; -inf for a class that cannot be met.
        labels: (N,) class indices.
        weights: (N,) >= 0.
    """
    slips, slipped = SLIPS.to(labels.device), log_prior.exp()[labels]
    sums = []
    wide = max(len(labels) * max(len(log_prior), len(SLIPS)), 1)
    for some in TEMPERATURES.split(max(1, _VALUES // wide)):
        log_p = torch.log_softmax(scores(some), dim=-1)
        right = log_p.gather(-1, labels.expand(len(some), -1)[..., None])[..., 0].exp()  # (g, N)
        mixed = (1 - slips) * right[..., None] + slips * slipped[:, None]  # (g, N, E)
        sums.append(-torch.einsum("gne,n->ge", mixed.log(), weights))
    return torch.cat(sums)


def posterior(losses: Tensor) -> Tensor:
    """The posterior of temperature and slip rate, (S, 3): temperature, its weight, the mean slip rate at it.

    An answer is linear in the slip rate, so its mean at each temperature is all of it that matters.
    Temperatures of negligible weight are left out.

    Args:
        losses: (G, E) nats, from ``judged_losses``.

    Example:
        >>> perfect = torch.zeros(GRID).double() - 98 * torch.log1p(-SLIPS / 2)  # 98 right of two classes
        >>> _, weights, slips = posterior(perfect).T
        >>> round(float(weights @ slips) / 2, 4)  # the mean share that is of the other class: 1 / (98 + 2)
        0.01

    Raises:
        InvalidInput: losses that are not of this grid, or not finite.
    """
    check(losses.shape == GRID, "losses", f"shape {tuple(losses.shape)}", f"{GRID}")
    check(bool(torch.isfinite(losses).all()), "losses", "NaN or infinity", "finite numbers")
    weights = _log_joint(losses).flatten().softmax(dim=0).view_as(losses)
    of_temperature = weights.sum(dim=1)
    keep = of_temperature > _NEGLIGIBLE
    slips = (weights @ SLIPS.to(weights))[keep] / of_temperature[keep]
    share = of_temperature[keep] / of_temperature[keep].sum()
    return torch.stack([TEMPERATURES.to(share)[keep], share, slips], dim=1)


def log_evidence(losses: Tensor) -> float:
    """Log p(the judged labels), nats, temperature and slip rate integrated out."""
    return float(_log_joint(losses).logsumexp(dim=(0, 1)))


def thinned(sharpness: Tensor, most: int = 8) -> Tensor:
    """A posterior (at most ``most``, 3) in which neighbouring temperatures are one, in groups of like weight.

    For many classes, where every temperature is a density of each image under each class.
    """
    group = (sharpness[:, 1].cumsum(0) * most).ceil().long().clamp(1, most) - 1
    _, group = group.unique(return_inverse=True)
    sums = torch.zeros(int(group.max()) + 1, 3, dtype=sharpness.dtype, device=sharpness.device)
    temperatures, weights, slips = sharpness.T
    terms = torch.stack([weights * temperatures.log(), weights, weights * slips], dim=1)
    sums.index_add_(0, group, terms)
    return torch.stack([(sums[:, 0] / sums[:, 1]).exp(), sums[:, 1], sums[:, 2] / sums[:, 1]], dim=1)


def plain(temperature: float = 1.0) -> Tensor:
    """The sharpness (1, 3) of a head that nothing has judged: one temperature, no slip.

    Raises:
        InvalidInput: a temperature that is not positive and finite.
    """
    good = math.isfinite(temperature) and temperature > 0
    check(good, "temperature", f"got {temperature}", "a finite number > 0")
    return torch.tensor([[temperature, 1.0, 0.0]], dtype=torch.float64)


def centre(sharpness: Tensor) -> float:
    """The geometric mean temperature."""
    temperatures, weights, _ = sharpness.T
    return float(temperatures[0] if len(temperatures) == 1 else (weights @ temperatures.log()).exp())


def shares(sharpness: Tensor, log_prior: Tensor) -> tuple[Tensor, Tensor]:
    """The shares of an averaged answer: (S,) that of each temperature, and (K,) what slips give each class.

    Args:
        sharpness: (S, 3), from ``posterior``.
        log_prior: (K,) log class prior, nats.
    """
    _, weights, slips = sharpness.T
    return weights * (1 - slips), (weights @ slips) * log_prior.exp()


def averaged(shares: tuple[Tensor, Tensor], scores: Tensor) -> Tensor:
    """Log posterior under the class prior, nats, (N, K), averaged over temperature and slip rate.

    Args:
        shares: of the two, from ``shares`` with the class prior that is in the scores.
        scores: (S, N, K) unnormalised log posteriors at each of its temperatures.
    """
    kept, slipped = shares
    answers = scores.softmax(dim=-1)
    answer: Tensor = (kept @ answers.flatten(1)).view_as(answers[0]) + slipped
    return answer.log()


def _log_joint(losses: Tensor) -> Tensor:
    return TEMPERATURE_LOG_PRIOR.to(losses)[:, None] + _SLIP_LOG_PRIOR.to(losses) - losses
