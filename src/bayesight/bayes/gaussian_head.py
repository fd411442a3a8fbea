"""Class-conditional Gaussians with one tied covariance: a Bayesian head that can be updated exactly.

A feature vector of class k is x ~ N(mu_k, Sigma), one Sigma for all classes, with a normal-inverse-Wishart
prior Sigma ~ IW(lambda I, nu), mu_k | Sigma ~ N(0, Sigma / kappa) on standardised features. Everything the
data have to say is in the counts, the sums and one matrix of second moments. They add up, so batches of any
size and order give the same posterior, workers merge by summing, images can be taken out again, and a class
can join at any time.

Source: K. P. Murphy, *Conjugate Bayesian analysis of the Gaussian distribution* (2007), section 9; the tied
covariance sums the scatter over the classes. Power prior (``discount``): Ibrahim and Chen, *Statistical
Science* 15 (2000), eq. 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesight.bayes.calibrate import TEMPERATURES, best_temperature, temperature_losses
from bayesight.checks import check

__all__ = [
    "Absorbed",
    "GaussianHead",
    "HeadPrior",
    "Predictive",
    "absorb",
    "add_class",
    "class_log_prior",
    "discount",
    "empty",
    "fit",
    "fit_temperature",
    "log_density",
    "log_evidence",
    "log_likelihood",
    "log_posterior",
    "merge",
    "predictive",
    "remove",
    "retemper",
    "sufficient_statistics",
]

_ROWS = 512  # a block of rows in float64 stays in the cache
_HALF_SHARE = 50.0
_SHRINKAGES = (1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)


@dataclass(frozen=True)
class HeadPrior:
    """The normal-inverse-Wishart prior on standardised features.

    Args:
        mean_strength: kappa > 0, how many images the prior mean (the centre of all features) is worth per
            class.
        scatter: lambda > 0; the prior scatter is lambda times the identity, which shrinks the tied
            covariance.
        extra_dof: the degrees of freedom are D + 1 + extra_dof; at 1 the prior's own covariance has a weight
            of one image.
    """

    mean_strength: float = 1.0
    scatter: float = 1.0
    extra_dof: float = 1.0

    def __post_init__(self) -> None:
        for name in ("mean_strength", "scatter", "extra_dof"):
            value = getattr(self, name)
            check(
                math.isfinite(value) and value > 0, f"HeadPrior.{name}", f"got {value}", "a finite number > 0"
            )


@dataclass(frozen=True)
class GaussianHead:
    """The head's whole state, float64; the statistics are of standardised features.

    Args:
        classes: names, in the order of every K axis; classes added later are at the end.
        shift: (D,) subtracted from a feature vector, fixed when the head is fitted.
        scale: (D,) > 0, divides it then.
        prior: the hyperparameters.
        counts: (K,) rows absorbed per class (a sum of weights).
        sums: (K, D) sum of the rows per class.
        second_moments: (2, D, D) sum of x x^T over the rows of the founding classes, and of those added
            later.
        founding: how many classes, the first of ``classes``, the head started with.
        temperature: > 0; widens the predictive covariance, 1 is the model's own.
        losses: (G,) log-loss in nats summed over ``scored`` rows at each of ``calibrate.TEMPERATURES``.
        scored: how many rows (weights) the losses sum over.
    """

    classes: tuple[str, ...]
    shift: Tensor
    scale: Tensor
    prior: HeadPrior
    counts: Tensor
    sums: Tensor
    second_moments: Tensor
    founding: int
    temperature: float
    losses: Tensor
    scored: float

    @property
    def dimension(self) -> int:
        """D, the number of features."""
        return int(self.shift.shape[0])


@dataclass(frozen=True)
class Absorbed:
    """What was learned on the way.

    Args:
        rows: how many rows came.
        weight: the sum of their weights.
        log_evidence: log p(these rows | everything before), nats; what the head thought of them before it
            learned them.
        log_loss: mean nats of the given labels, predicted before absorbing; NaN when no class was known yet.
        accuracy: share of rows whose class was predicted before absorbing; NaN likewise.
    """

    rows: int
    weight: float
    log_evidence: float
    log_loss: float
    accuracy: float


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
        temperature: of the head.
    """

    shift: Tensor
    scale: Tensor
    whiten: Tensor
    means: Tensor
    strength: Tensor
    dof: float
    log_det: float
    temperature: float


def empty(
    classes: Sequence[str],
    shift: Tensor,
    scale: Tensor,
    prior: HeadPrior | None = None,
    temperature: float = 1.0,
) -> GaussianHead:
    """A head that has seen nothing.

    Args:
        classes: K >= 1 different names.
        shift: (D,) centre of the features.
        scale: (D,) their scale, > 0.
        prior: hyperparameters.
        temperature: > 0.

    Raises:
        InvalidInput: repeated names, shapes that differ, or a scale that is not positive.
    """
    names = tuple(classes)
    check(len(names) > 0, "classes", "none", "at least one name")
    check(len(set(names)) == len(names), "classes", f"repeated names in {names}", "every name once")
    check(
        shift.ndim == 1 and shift.shape == scale.shape,
        "shift and scale",
        _shapes(shift, scale),
        "two (D,) tensors",
    )
    check(bool((scale > 0).all()), "scale", "a value that is not positive", "positive numbers")
    _check_temperature(temperature)
    count, size = len(names), shift.shape[0]

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=shift.device)

    return GaussianHead(
        names, shift.double(), scale.double(), prior or HeadPrior(), zeros(count), zeros(count, size),
        zeros(2, size, size), count, float(temperature), zeros(len(TEMPERATURES)), 0.0,
    )  # fmt: skip


def fit(
    features: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    *,
    weights: Tensor | None = None,
    validation: tuple[Tensor, Tensor] | None = None,
    prior: HeadPrior | None = None,
) -> GaussianHead:
    """A head fitted to training features.

    Without ``prior`` the shrinkage is chosen from a fixed grid (shares of the mean variance of a standardised
    feature): by the log-loss of the validation images, each candidate at its own best temperature, or, when
    there are none, by the closed-form log-evidence.

    Args:
        features: (N, D), any float type.
        labels: (N,) indices into ``classes``.
        classes: names.
        weights: (N,) in [0, 1], the trust in each label; all 1 when left out.
        validation: (features, labels) that trained nothing; they set the temperature and start its running
            record.
        prior: hyperparameters, when they are not to be chosen.

    Example:
        >>> x = torch.tensor([[0.0, 0.1], [0.2, 0.0], [3.0, 3.1], [3.2, 2.9]])
        >>> head = fit(x, torch.tensor([0, 0, 1, 1]), ("left", "right"))
        >>> log_posterior(head, torch.tensor([[0.1, 0.1], [3.0, 3.0]])).argmax(1).tolist()
        [0, 1]

    Raises:
        InvalidInput: no rows, shapes that do not match, labels outside ``classes``, or features that are not
            finite.
    """
    check(features.ndim == 2 and len(features) > 0, "features", _shapes(features), "(N, D) with N >= 1")
    scale, shift = torch.std_mean(features.double(), dim=0, correction=0)
    scale = torch.where(
        scale > 1e-6 * scale.max(), scale, scale.max().clamp_min(1e-12)
    )  # a dead feature stays silent
    head = empty(classes, shift, scale, prior)
    counts, sums, second = sufficient_statistics(head, features, labels, weights)
    head = replace(head, counts=counts, sums=sums, second_moments=second)
    total = float(counts.sum())
    candidates = [prior] if prior else [HeadPrior(scatter=s * max(total, 1.0)) for s in _SHRINKAGES]
    heads = [replace(head, prior=p) for p in candidates]
    if validation is None:
        return max(heads, key=log_evidence)
    return min((fit_temperature(h, *validation) for h in heads), key=lambda h: float(h.losses.min()))


def sufficient_statistics(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Counts (K,), sums (K, D) and second moments (2, D, D) of standardised rows.

    They are the blocks of one matrix product, [x, e_y]^T [x, e_y] with e_y the one-hot label.
    """
    features, labels, weights = _checked(head, features, labels, weights)
    size = head.dimension
    late = labels >= head.founding
    if not bool(late.any()):
        gram = _gram(head, features, labels, weights)
        second = torch.stack([gram[:size, :size], torch.zeros_like(gram[:size, :size])])
    else:
        grams = [
            _gram(head, features[rows], labels[rows], None if weights is None else weights[rows])
            for rows in (~late, late)
        ]
        gram, second = grams[0] + grams[1], torch.stack([g[:size, :size] for g in grams])
    return gram.diagonal()[size:].clone(), gram[size:, :size].clone(), second


def _gram(head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """[x, e_y]^T [x, e_y] of standardised rows, (D + K, D + K), block by block.

    The rows are only centred; the scale divides the finished product, which saves a pass over the data.
    """
    size, count = head.dimension, len(head.classes)
    gram = torch.zeros(size + count, size + count, dtype=torch.float64, device=features.device)
    block = torch.empty(min(_ROWS, len(features)), size + count, dtype=torch.float64, device=features.device)
    for start in range(0, len(features), _ROWS):
        part = features[start : start + _ROWS]
        rows = block[: len(part)]
        torch.sub(part, head.shift, out=rows[:, :size])
        rows[:, size:].zero_().scatter_(1, labels[start : start + _ROWS, None], 1.0)
        weighted = rows if weights is None else rows * weights[start : start + _ROWS, None]
        gram.addmm_(weighted.T, rows)
    _check_finite(gram)  # what is not finite in a row is not finite here
    scale = torch.cat([head.scale, head.scale.new_ones(count)])
    return gram.div_(scale).div_(scale[:, None])


def absorb(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None = None
) -> tuple[GaussianHead, Absorbed]:
    """Yesterday's posterior is today's prior: add labelled rows.

    The rows are predicted before they are absorbed, and the log-loss of these honest predictions is added to
    the head's record at every temperature of the grid, which keeps as much of its past as the head does. The
    temperature itself stays as it is, so that the order of batches cannot matter; ``retemper`` moves it to
    the best of the record.

    Args:
        head: the state; it is not changed.
        features: (N, D); N may be 0.
        labels: (N,) indices into ``head.classes`` (``add_class`` first for a class that is new).
        weights: (N,) in [0, 1].

    Returns:
        The new state, and what was learned.

    Raises:
        InvalidInput: shapes, labels or values that break the contract; nothing was absorbed.
    """
    counts, sums, second = sufficient_statistics(head, features, labels, weights)
    losses, scored, accuracy = _honest_losses(head, features, labels, weights)
    kept = float(head.counts.sum() / (head.counts.sum() + counts.sum()).clamp_min(1e-300))
    after = replace(
        head,
        counts=head.counts + counts,
        sums=head.sums + sums,
        second_moments=head.second_moments + second,
        losses=kept * head.losses + losses,
        scored=kept * head.scored + scored,
    )
    at = int((TEMPERATURES - head.temperature).abs().argmin())
    learned = Absorbed(
        rows=len(features),
        weight=float(counts.sum()),
        log_evidence=log_evidence(after) - log_evidence(head),
        log_loss=float(losses[at]) / scored if scored > 0 else math.nan,
        accuracy=accuracy,
    )
    return after, learned


def remove(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None = None
) -> GaussianHead:
    """Take rows out again, as if they had never come; give the weights they came with.

    The record of honest predictions stays: it says how well the head predicted at the time.

    Raises:
        InvalidInput: the rows cannot have been absorbed: a count would fall below zero, or a scatter would be
            negative. Rows like the absorbed ones cannot be told apart by statistics alone; who needs
            certainty keeps a ledger.
    """
    counts, sums, second = sufficient_statistics(head, features, labels, weights)
    left, left_sums, left_second = head.counts - counts, head.sums - sums, head.second_moments - second
    mend = "Remove only rows that were absorbed, with the labels and weights they had then."
    short = [name for name, c in zip(head.classes, left.tolist(), strict=True) if c < -1e-6]
    check(
        not short,
        "remove",
        f"more rows of {', '.join(short)} than were absorbed",
        "rows absorbed before",
        mend,
    )
    gone = left < 1e-6
    size = head.second_moments.diagonal(dim1=1, dim2=2).sum().clamp_min(1.0)
    check(
        float(left_sums[gone].square().sum()) <= 1e-12 * float(size) ** 2 + 1e-9,
        "remove", "rows that differ from those absorbed", "rows absorbed before", mend,
    )  # fmt: skip
    left, left_sums = left.masked_fill(gone, 0.0), left_sums.masked_fill(gone[:, None], 0.0)
    for group, present in enumerate((left[: head.founding], left[head.founding :])):
        if not bool((present > 0).any()):
            left_second[group] = 0.0
    after = replace(head, counts=left, sums=left_sums, second_moments=left_second)
    smallest = float(torch.linalg.eigvalsh(_within(after, 0.0)).min())
    check(
        smallest >= -1e-9 * float(size), "remove", f"rows that leave a negative scatter ({smallest:.3g})",
        "rows absorbed before", mend,
    )  # fmt: skip
    return after


def merge(one: GaussianHead, other: GaussianHead) -> GaussianHead:
    """The head that has absorbed what both have; classes are matched by name.

    Raises:
        InvalidInput: the two do not share standardisation and prior, so their sums mean different things.
    """
    same = (
        one.prior == other.prior
        and torch.equal(one.shift, other.shift)
        and torch.equal(one.scale, other.scale)
    )
    check(
        same, "merge", "heads of different prior or standardisation", "heads that grew from one",
        "Start every worker from the same empty or fitted-and-shared head.",
    )  # fmt: skip
    result = one
    for name in other.classes:
        if name not in result.classes:
            result = add_class(result, name)
    at = torch.tensor([result.classes.index(name) for name in other.classes], device=one.counts.device)
    return replace(
        result,
        counts=result.counts.index_add(0, at, other.counts),
        sums=result.sums.index_add(0, at, other.sums),
        second_moments=result.second_moments + other.second_moments,
        losses=result.losses + other.losses,
        scored=result.scored + other.scored,
    )


def add_class(head: GaussianHead, name: str) -> GaussianHead:
    """A head that also knows of ``name``, of which it has seen nothing yet; the class comes last.

    Raises:
        InvalidInput: there is such a class already.
    """
    check(name not in head.classes, "add_class", f"{name!r}, which is a class already", "a new name")
    return replace(
        head,
        classes=(*head.classes, name),
        counts=torch.cat([head.counts, head.counts.new_zeros(1)]),
        sums=torch.cat([head.sums, head.sums.new_zeros(1, head.dimension)]),
    )


def discount(head: GaussianHead, trust_past: float) -> GaussianHead:
    """Let the past count for less, so that new data matter: a past row counts ``trust_past`` of a row.

    The shrinkage was set in proportion to the past and is discounted with it, and so is the temperature's
    record.

    Args:
        head: the state.
        trust_past: in (0, 1]; 1 changes nothing.

    Raises:
        InvalidInput: ``trust_past`` outside (0, 1].
    """
    came = f"got {trust_past}"
    check(0 < trust_past <= 1, "trust_past", came, "a number in (0, 1]", "1 keeps the past as it is.")
    return replace(
        head,
        prior=replace(head.prior, scatter=head.prior.scatter * trust_past),
        counts=head.counts * trust_past,
        sums=head.sums * trust_past,
        second_moments=head.second_moments * trust_past,
        losses=head.losses * trust_past,
        scored=head.scored * trust_past,
    )


def predictive(head: GaussianHead) -> Predictive:
    """The Student-t predictive of each class (Murphy 2007, eq. 232), parameters integrated out."""
    strength = head.prior.mean_strength + head.counts
    means = head.sums / strength[:, None]
    scatter = _balanced_scatter(head)
    dof = head.prior.extra_dof + 2.0 + float(head.counts.sum())  # nu_n - D + 1 with nu_0 = D + 1 + extra_dof
    factor = torch.linalg.cholesky(scatter / dof)
    eye = torch.eye(head.dimension, dtype=torch.float64, device=factor.device)
    whiten = torch.linalg.solve_triangular(factor, eye, upper=False)
    log_det = 2 * float(factor.diagonal().log().sum() + head.scale.log().sum())
    return Predictive(
        head.shift, head.scale, whiten, means @ whiten.T, strength, dof, log_det, head.temperature
    )  # fmt: skip


def log_density(ready: Predictive, features: Tensor, temperature: float | Tensor | None = None) -> Tensor:
    """Log p(x | class), nats, (N, K); a normalised density over features at every temperature.

    The scale matrix of class k is S (T + 1 / kappa_k): the temperature T widens the scatter of an image about
    its class mean, and the uncertainty of the mean itself comes on top. Near the data this acts like the
    likelihood to the power 1 / T; unlike that power it is a density, so evidence and posterior keep their
    meaning, and a class of few rows is not pushed out by a volume term that the temperature has left behind.

    Args:
        ready: from ``predictive``.
        features: (N, D) as the network gives them.
        temperature: in place of the head's own; a (G,) tensor gives (G, N, K).
    """
    x = ((features.double() - ready.shift) / ready.scale) @ ready.whiten.T
    distance = x.square().sum(1, keepdim=True) - 2 * x @ ready.means.T + ready.means.square().sum(1)
    t = torch.as_tensor(ready.temperature if temperature is None else temperature, dtype=torch.float64)
    width = t.to(x.device)[..., None, None] + 1 / ready.strength  # (..., 1, K)
    size, dof = ready.whiten.shape[0], ready.dof
    constant = math.lgamma((dof + size) / 2) - math.lgamma(dof / 2) - size / 2 * math.log(dof * math.pi)
    log_scale = ready.log_det + size * width.log()
    return constant - 0.5 * log_scale - (dof + size) / 2 * torch.log1p(distance.clamp_min(0) / (dof * width))


def log_likelihood(head: GaussianHead, features: Tensor) -> Tensor:
    """Log p(x | class), nats, (N, K): ``log_density`` of ``predictive``."""
    _check_features(head, features)
    _check_finite(features)
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


def log_evidence(head: GaussianHead) -> float:
    """Log p(all rows absorbed | their labels), nats, in the units of the features (Murphy 2007, eq. 266).

    It ignores the temperature: it is the evidence of the model itself.
    """
    size, total = head.dimension, float(head.counts.sum())
    strength = head.prior.mean_strength + head.counts
    scatter = _within(head, head.prior.mean_strength).sum(0)
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


def fit_temperature(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None = None
) -> GaussianHead:
    """The head at its best temperature for rows it has not absorbed; its record starts from them."""
    fresh = replace(head, losses=torch.zeros_like(head.losses), scored=0.0)
    losses, scored, _ = _honest_losses(fresh, features, labels, weights)
    check(scored > 0, "fit_temperature", "no rows of a known class", "at least one")
    return retemper(replace(fresh, losses=losses, scored=scored))


def retemper(head: GaussianHead) -> GaussianHead:
    """The head at the best temperature of its record of rows predicted before they were absorbed.

    Raises:
        InvalidInput: nothing was scored yet.
    """
    check(head.scored > 0, "retemper", "an empty record", "rows predicted before they were absorbed")
    return replace(head, temperature=best_temperature(head.losses))


def _honest_losses(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None
) -> tuple[Tensor, float, float]:
    """Log-loss sums (G,) of rows of a known class, their weight, and the accuracy, before absorbing them."""
    known = head.counts > 0
    keep = known[labels]
    if int(known.sum()) < 2 or not bool(keep.any()):
        return torch.zeros_like(head.losses), 0.0, math.nan
    features, labels = features[keep], labels[keep]
    weight = torch.ones(len(labels), dtype=torch.float64) if weights is None else weights[keep].double()
    prior = class_log_prior(head).masked_fill(~known, -math.inf)
    ready = predictive(head)
    losses = temperature_losses(
        lambda t: log_density(ready, features, t) + prior, labels, weight.to(labels.device)
    )
    at = log_density(ready, features) + prior
    return losses, float(weight.sum()), float((at.argmax(1) == labels).double().mean())


def _within(head: GaussianHead, strength: float) -> Tensor:
    """Scatter about the (shrunk) class means, (2, D, D): of the founding classes and of later ones."""
    weight = (head.counts + strength).clamp_min(1e-300)
    scaled = head.sums / weight.sqrt()[:, None]
    parts = (scaled[: head.founding], scaled[head.founding :])
    within = head.second_moments - torch.stack([part.T @ part for part in parts])
    return 0.5 * (within + within.mT)


def _balanced_scatter(head: GaussianHead) -> Tensor:
    """Prior scatter plus the tied scatter, in which classes added later weigh as classes and not as rows.

    A network gathers the classes it was trained on into tight clusters and leaves others wide. Pooling rows
    would let thousands of old images hide how wide a new class is, so the later classes as a group get the
    share of their number of classes, reached gradually as rows come in (half of it at ``_HALF_SHARE`` rows a
    class).
    """
    old, new = _within(head, head.prior.mean_strength)
    total, late = float(head.counts.sum()), head.counts[head.founding :]
    present, rows = int((late > 0).sum()), float(late.sum())
    degrees = rows - present
    pooled: Tensor = old + new
    if degrees > 0 and total > rows:
        share = present / (present + int((head.counts[: head.founding] > 0).sum()))
        share *= degrees / (degrees + _HALF_SHARE * present)
        share = max(share, rows / total)
        pooled = total * ((1 - share) * old / (total - rows) + share * new / degrees)
    pooled.diagonal().add_(head.prior.scatter)
    return pooled


def _checked(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    _check_features(head, features)
    check(
        labels.shape == features.shape[:1] and not labels.is_floating_point(),
        "labels", f"{labels.dtype} {_shapes(labels)}", f"{len(features)} integers",
    )  # fmt: skip
    inside = len(labels) == 0 or bool((labels.min() >= 0) & (labels.max() < len(head.classes)))
    check(
        inside, "labels", "an index outside the classes", f"0 to {len(head.classes) - 1}",
        "Call add_class first for a new class.",
    )  # fmt: skip
    if weights is not None:
        check(weights.shape == labels.shape, "weights", _shapes(weights), f"({len(labels)},)")
        check(
            bool(((weights >= 0) & (weights <= 1)).all()),
            "weights",
            "a value outside [0, 1]",
            "trust in [0, 1]",
        )
        weights = weights.double()
    return features, labels.long(), weights


def _check_features(head: GaussianHead, features: Tensor) -> None:
    fits = features.ndim == 2 and features.shape[1] == head.dimension
    check(
        fits,
        "features",
        _shapes(features),
        f"(N, {head.dimension})",
        "Use the network this head was fitted with.",
    )


def _check_finite(values: Tensor) -> None:
    check(bool(torch.isfinite(values).all()), "features", "NaN or infinity", "finite numbers")


def _check_temperature(temperature: float) -> None:
    good = math.isfinite(temperature) and temperature > 0
    check(good, "temperature", f"got {temperature}", "a finite number > 0")


def _shapes(*tensors: Tensor) -> str:
    return " and ".join(str(tuple(t.shape)) for t in tensors)
