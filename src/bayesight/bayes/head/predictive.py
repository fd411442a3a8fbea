"""Predictions of a Gaussian head: likelihood and posterior of a feature vector, evidence of all it absorbed.

Parameters are integrated out: the predictive of each class is a Student-t, the evidence a ratio of Wishart
normalisers. How far the answer is to be softened is its sharpness (``bayes.sharpness``).

Source: K. P. Murphy, *Conjugate Bayesian analysis of the Gaussian distribution* (2007), section 9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.head.state import (
    GaussianHead,
    check_features,
    check_finite,
    once_a_head,
    within,
)

_HALF_SHARE = 50.0
_VALUES = 1 << 20  # densities held at once


@dataclass(frozen=True)
class Predictive:
    """The Student-t predictive of every class, ready for many queries (it took one D x D factorisation).

    Args:
        shift: (D,) of the head.
        scale: (D,) of the head.
        whiten: (D, D) lower triangular; whiten @ (x - mean) has unit predictive scale but for the class's own
            factor.
        means: (K, D) whitened class means.
        strength: (K,) rows behind each class mean, counts + mean_strength.
        dof: degrees of freedom.
        log_det: log determinant of the shared scale matrix in the units of the features.
        pooling: (K,) what the scatter of a row of each class counts in the shared scatter.
        log_prior: (K,) log prior of the classes that have rows, nats; -inf for the others.
        sharpness: (S, 3) that answers are averaged over, from ``sharpness.posterior``.
    """

    shift: Tensor
    scale: Tensor
    whiten: Tensor
    means: Tensor
    strength: Tensor
    dof: float
    log_det: float
    pooling: Tensor
    log_prior: Tensor
    sharpness: Tensor

    # What no query changes is computed for the first one.

    @cached_property
    def softened(self) -> bool:
        """True of answers that are averaged, and not those of one temperature without slips."""
        return len(self.sharpness) > 1 or bool(self.sharpness[0, 2] != 0)

    @cached_property
    def temperatures(self) -> Tensor:
        """The mean temperature and, where answers are averaged, the S they are averaged over."""
        mean = self.sharpness.new_tensor([sharpness.centre(self.sharpness)])
        return torch.cat([mean, self.sharpness[:, 0]]) if self.softened else mean

    @cached_property
    def shares(self) -> tuple[Tensor, Tensor]:
        """``sharpness.shares`` under the head's own class prior."""
        return sharpness.shares(self.sharpness, self.log_prior)

    @cached_property
    def unseen(self) -> Tensor | None:
        """(K,) which classes have no rows; None where every class has some."""
        unseen = self.log_prior.isneginf()
        return unseen if bool(unseen.any()) else None

    @cached_property
    def student_t(self) -> StudentT:
        """The density of each class at each of ``temperatures``, for rows that are not in the head."""
        return StudentT.of(self.rows(self.means.new_empty(0, len(self.means))), self.temperatures)

    @cached_property
    def mean_squares(self) -> Tensor:
        """(K,) squared length of each mean."""
        return self.means.square().sum(1)

    @cached_property
    def minus_two_means(self) -> Tensor:
        """(D, K) the means, times -2: what their product with a row adds to its squared distances."""
        return -2 * self.means.T

    def rows(self, squared: Tensor) -> Distances:
        """Rows that are not in the head, by their squared distances (N, K)."""
        dof, log_det = squared.new_tensor([self.dof, self.log_det])[:, None, None]
        return Distances(self.means.shape[1], squared, self.strength[None], dof, log_det)


@dataclass(frozen=True)
class StudentT:
    """Densities by squared distance: log p = constant - tail log(1 + squared / spread), nats.

    Args:
        constant: (..., N, K) or (..., 1, K).
        spread: likewise, > 0.
        tail: (N, 1) or (1, 1).
    """

    constant: Tensor
    spread: Tensor
    tail: Tensor

    @classmethod
    def of(cls, rows: Distances, temperature: float | Tensor) -> StudentT:
        """That of rows at one temperature, or at each of (G,); their distances do not matter."""
        width = torch.as_tensor(temperature, dtype=torch.float64, device=rows.dof.device)[..., None, None]
        width = width + 1 / rows.strength  # (..., N, K)
        tail = (rows.dof + rows.size) / 2
        constant = (
            torch.lgamma(tail) - torch.lgamma(rows.dof / 2) - rows.size / 2 * (rows.dof * math.pi).log()
        )
        return cls(constant - 0.5 * (rows.log_det + rows.size * width.log()), rows.dof * width, tail)

    def log_density(self, squared: Tensor) -> Tensor:
        """(..., N, K) of squared distances (N, K)."""
        ratio = squared.clamp_min(0) / self.spread
        return self.constant - ratio.log1p_().mul_(self.tail)


@dataclass(frozen=True)
class Distances:
    """Rows as the classes see them, at no temperature yet.

    All but the distances have one row where it is the same for every image.

    Args:
        size: D, the number of features.
        squared: (N, K) squared distance from each class mean in the metric of the scatter.
        strength: (N, K) or (1, K) rows behind each mean.
        dof: (N, 1) or (1, 1) degrees of freedom.
        log_det: (N, 1) or (1, 1) log determinant of the scale matrix.
    """

    size: int
    squared: Tensor
    strength: Tensor
    dof: Tensor
    log_det: Tensor

    def joined(self, other: Distances) -> Distances:
        """These rows and then the others."""
        both = ([part.expand(len(rows), -1) for part in rows._parts] for rows in (self, other))
        return Distances(self.size, *(torch.cat(pair) for pair in zip(*both, strict=True)))

    def at(self, rows: Tensor) -> Distances:
        """Those at the given positions."""
        return Distances(self.size, *(part if self._shared(part) else part[rows] for part in self._parts))

    def split(self, count: int) -> list[Distances]:
        """At most ``count`` rows at a time."""
        starts = range(0, max(len(self), 1), count)
        columns = [[part] * len(starts) if self._shared(part) else part.split(count) for part in self._parts]
        return [Distances(self.size, *four) for four in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return len(self.squared)

    def _shared(self, part: Tensor) -> bool:
        return len(part) == 1 and len(self) != 1

    @property
    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.squared, self.strength, self.dof, self.log_det


@once_a_head
def predictive(head: GaussianHead) -> Predictive:
    """The Student-t predictive of each class (Murphy 2007, eq. 232), parameters integrated out.

    Nothing softens it: its sharpness is plain.
    """
    strength = head.prior.mean_strength + head.counts
    means = head.sums / strength[:, None]
    scatter, pooling = _balanced_scatter(head)
    dof = head.prior.extra_dof + 2.0 + float(head.counts.sum())  # nu_n - D + 1 with nu_0 = D + 1 + extra_dof
    factor = torch.linalg.cholesky(scatter / dof)
    eye = torch.eye(head.dimension, dtype=torch.float64, device=factor.device)
    whiten = torch.linalg.solve_triangular(factor, eye, upper=False)
    log_det = 2 * float(factor.diagonal().log().sum() + head.scale.log().sum())
    known = head.counts > 0
    log_prior = class_log_prior(head)
    if bool(known.any()):
        log_prior = log_prior.masked_fill(~known, -math.inf).log_softmax(dim=0)
    return Predictive(
        head.shift, head.scale, whiten, means @ whiten.T, strength, dof, log_det, pooling, log_prior,
        sharpness.plain().to(factor.device),
    )  # fmt: skip


def log_density(ready: Predictive, features: Tensor, temperature: float | Tensor | None = None) -> Tensor:
    """Log p(x | class), nats, (N, K).

    At one temperature it is a normalised density over features. The scale matrix of class k is
    S (T + 1 / kappa_k): the temperature T widens the scatter of an image about its class mean, and the
    uncertainty of the mean itself comes on top. Near the data this acts like the likelihood to the power
    1 / T; unlike that power it is a density, so evidence and posterior keep their meaning, and a class of few
    rows is not pushed out by a volume term that the temperature has left behind.

    Without a temperature it is averaged over the sharpness: the evidence at the mean temperature, shared
    among the classes so that the posterior under the head's own class prior is the averaged one.

    Args:
        ready: from ``predictive``.
        features: (N, D) as the network gives them.
        temperature: in place of the sharpness; a (G,) tensor gives (G, N, K).
    """
    if temperature is not None:
        return density_at(ready, distances(ready, features), temperature)
    squared = _squared(ready, features)
    parts = squared.split(_rows_at_once(ready)) if len(squared) > _rows_at_once(ready) else (squared,)
    return _joined([_averaged(ready, part, ready.student_t) for part in parts])


def distances(ready: Predictive, features: Tensor) -> Distances:
    """Rows (N, D) that the head has not absorbed, or should judge as if it had not."""
    return ready.rows(_squared(ready, features))


def left_out(ready: Predictive, features: Tensor, labels: Tensor, weights: Tensor) -> Distances:
    """Rows (N, D) that the head has absorbed, each as if it had not been.

    Rows leave in groups of at most one of each class, the n-th of every class together: a class that alone
    had lost a row would be known by its wider predictive, all the better the fewer rows it has. A group takes
    one rank a row from the scatter and moves its classes' means (Woodbury, 1950). The share of the later
    classes in the pooled scatter is left as it is, which matters little.

    Args:
        ready: from ``predictive``.
        features: (N, D).
        labels: (N,) class indices under which they were absorbed.
        weights: (N,) in (0, 1], what each counts in the head.
    """
    x, size, weights = _whitened(ready, features), len(labels), weights.double()
    left = (ready.strength[labels] - weights).clamp_min(1e-6)
    squared, strength = x.new_empty(size, len(ready.means)), ready.strength.repeat(size, 1)
    dof, log_det = x.new_empty(size, 1), x.new_empty(size, 1)
    for rows in leaving_together(features, labels):
        gone, at, count = labels[rows], x[rows], weights[rows, None]
        means = ready.means.clone()
        means[gone] = (ready.strength[gone, None] * means[gone] - count * at) / left[rows, None]
        taken = ready.pooling[gone] * weights[rows] * ready.strength[gone] / left[rows] / ready.dof
        axes = taken.sqrt()[:, None] * (at - ready.means[gone])
        spread, turn = torch.linalg.eigh(axes @ axes.T)
        rest = (1 - spread).clamp_min(1e-3)  # the determinant that remains is their product
        axes = (turn / rest.sqrt()).T @ axes
        along = (at @ axes.T)[:, None] - means @ axes.T  # (rows, K, rows)
        dof[rows] = ready.dof - count.sum()
        squared[rows] = dof[rows] / ready.dof * (squared_distance(at, means) + along.square().sum(2))
        strength[rows[:, None], gone] = left[rows]
        log_det[rows] = ready.log_det + rest.log().sum() + x.shape[1] * (ready.dof / dof[rows]).log()
    return Distances(x.shape[1], squared, strength, dof, log_det)


def each_left_out(ready: Predictive, features: Tensor, weights: Tensor) -> Distances:
    """Rows (N, D) that a head of one class has absorbed, each as if it alone had not been.

    ``left_out`` in closed form, for one row takes one rank from the scatter.

    Args:
        ready: from ``predictive`` of a head with one class.
        features: (N, D).
        weights: (N,) in (0, 1], what each counts in the head.
    """
    x, weights = _whitened(ready, features), weights.double()[:, None]
    strength, far = ready.strength[None], squared_distance(x, ready.means)
    left = (strength - weights).clamp_min(1e-6)
    rest = (1 - ready.pooling * weights * strength / left / ready.dof * far).clamp_min(1e-3)
    dof, size = ready.dof - weights, x.shape[1]
    squared = dof / ready.dof * (strength / left).square() * far / rest
    return Distances(size, squared, left, dof, ready.log_det + rest.log() + size * (ready.dof / dof).log())


def leaving_together(features: Tensor, labels: Tensor) -> list[Tensor]:
    """Positions of the first row of every class, of the second of every class that has one, and so on.

    The rows of a class stand in an order of their content, so that in whatever order they came, the same
    ones leave together.

    Args:
        features: (N, D).
        labels: (N,) class indices.
    """
    by_content = _content_numbers(features).argsort(stable=True)
    by_class = by_content[labels[by_content].argsort(stable=True)]
    counts = torch.bincount(labels)
    turn = torch.arange(len(labels), device=labels.device) - (counts.cumsum(0) - counts)[labels[by_class]]
    by_turn = turn.argsort(stable=True)
    return list(by_class[by_turn].split(torch.bincount(turn).tolist()))


def _content_numbers(features: Tensor) -> Tensor:
    """(N,) int64 numbers of rows (N, D), whole arithmetic that wraps around: of equal rows the same."""
    bits = features.float().contiguous().view(torch.int32).long()
    odd = 2 * torch.arange(1, features.shape[1] + 1, device=features.device) + 1
    return (bits * (odd * 0x5851F42D)).sum(1)


def density_at(ready: Predictive, rows: Distances, temperature: float | Tensor | None = None) -> Tensor:
    """``log_density`` of rows whose distances are known; no temperature changes those."""
    if temperature is not None:
        return StudentT.of(rows, temperature).log_density(rows.squared)
    return _joined([
        _averaged(ready, part.squared, StudentT.of(part, ready.temperatures))
        for part in rows.split(_rows_at_once(ready))
    ])  # fmt: skip


def squared_distance(x: Tensor, means: Tensor) -> Tensor:
    """(N, K) of rows (N, D) from means (K, D)."""
    return x.square().sum(1, keepdim=True) - 2 * x @ means.T + means.square().sum(1)


def log_likelihood(head: GaussianHead, features: Tensor) -> Tensor:
    """Log p(x | class), nats, (N, K): ``log_density`` of ``predictive``, softened by nothing."""
    check_features(head, features)
    check_finite(features)
    return log_density(predictive(head), features)


def class_log_prior(head: GaussianHead, concentration: float = 1.0) -> Tensor:
    """(K,) log class prior: the frequencies of the founding classes, and for each later class their average.

    How many images of a new class somebody has labelled says little about how often it will be met.
    """
    counts = head.counts + concentration
    counts[head.founding :] = counts[: head.founding].mean()
    return (counts / counts.sum()).log()


def log_posterior(head: GaussianHead, features: Tensor, log_prior: Tensor | None = None) -> Tensor:
    """Log p(class | x), nats, (N, K).

    Args:
        head: the state.
        features: (N, D).
        log_prior: (K,) log class prior; ``class_log_prior`` when left out.
    """
    prior = class_log_prior(head) if log_prior is None else log_prior.double()
    return torch.log_softmax(log_likelihood(head, features) + prior, dim=-1)


@once_a_head
def log_evidence(head: GaussianHead) -> float:
    """Log p(all rows absorbed | their labels), nats, in the units of the features (Murphy 2007, eq. 266).

    It is the evidence of the model itself, whatever softens its answers.
    """
    size, total = head.dimension, float(head.counts.sum())
    strength = head.prior.mean_strength + head.counts
    scatter = within(head, head.prior.mean_strength).sum(0)
    scatter.diagonal().add_(head.prior.scatter)
    dof = size + 1 + head.prior.extra_dof
    log_det = 2 * float(torch.linalg.cholesky(scatter).diagonal().log().sum())
    gammas = torch.special.multigammaln(torch.tensor([(dof + total) / 2, dof / 2], dtype=torch.float64), size)
    return float(
        -0.5 * total * size * math.log(math.pi)
        + 0.5 * size * (head.prior.mean_strength / strength).log().sum()
        + 0.5 * dof * size * math.log(head.prior.scatter)
        - 0.5 * (dof + total) * log_det
        + gammas[0]
        - gammas[1]
        - total * head.scale.log().sum()
    )


def _whitened(ready: Predictive, features: Tensor) -> Tensor:
    return ((features.double() - ready.shift) / ready.scale) @ ready.whiten.T


def _squared(ready: Predictive, features: Tensor) -> Tensor:
    """``squared_distance`` of features (N, D) from every class."""
    x = _whitened(ready, features)
    return x.square().sum(1, keepdim=True) + x @ ready.minus_two_means + ready.mean_squares


def _averaged(ready: Predictive, squared: Tensor, student_t: StudentT) -> Tensor:
    """Log p(x | class), nats, (N, K): evidence times posterior over prior, all under the head's own.

    A class without rows was never among those judged; it keeps its plain density.
    """
    density = student_t.log_density(squared)  # (S + 1, N, K), or (1, N, K) at the mean temperature alone
    if not ready.softened:
        return density[0]
    scores = density + ready.log_prior
    log_posterior = sharpness.averaged(ready.shares, scores[1:])
    shared = scores[0].logsumexp(dim=-1, keepdim=True) + log_posterior - ready.log_prior
    return shared if ready.unseen is None else torch.where(ready.unseen, density[0], shared)


def _rows_at_once(ready: Predictive) -> int:
    return max(1, _VALUES // (len(ready.temperatures) * len(ready.means)))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _balanced_scatter(head: GaussianHead) -> tuple[Tensor, Tensor]:
    """Prior scatter plus the tied scatter, in which classes added later weigh as classes and not as rows.

    A network gathers the classes it was trained on into tight clusters and leaves others wide. Pooling rows
    would let thousands of old images hide how wide a new class is, so the later classes as a group get the
    share of their number of classes, reached gradually as rows come in (half of it at ``_HALF_SHARE`` rows a
    class).

    Returns:
        The scatter (D, D), and (K,) what the scatter of a row of each class counts in it.
    """
    old, new = within(head, head.prior.mean_strength)
    total, late = float(head.counts.sum()), head.counts[head.founding :]
    present, rows = int((late > 0).sum()), float(late.sum())
    degrees = rows - present
    factors = head.counts.new_ones(2)
    if degrees > 0 and total > rows:
        share = present / (present + int((head.counts[: head.founding] > 0).sum()))
        share *= degrees / (degrees + _HALF_SHARE * present)
        share = max(share, rows / total)
        factors = total * head.counts.new_tensor([(1 - share) / (total - rows), share / degrees])
    pooled = factors[0] * old + factors[1] * new
    pooled.diagonal().add_(head.prior.scatter)
    return pooled, factors.repeat_interleave(
        torch.tensor([head.founding, len(head.classes) - head.founding], device=factors.device)
    )
