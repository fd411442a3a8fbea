"""Predictions of outcome and treatment from what is held fixed, by models that may bend.

Four kinds of model are fitted on all folds but one and predict the rows of that one: main effects, the same
shared by all treatments, penalised splines with pairwise interactions (again for each treatment and shared),
and gradient-boosted trees. A convex combination, weighted by their loss on the rows they have not seen, is
the prediction (short-stacking: Ahrens, Hansen, Schaffer and Wiemann 2024, arXiv:2301.09397; super learning:
van der Laan, Polley and Hubbard 2007).

Everything is seeded, folds do not depend on the order of rows, and trees are grown on one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.optimize import nnls
from scipy.special import ndtri

from bayesight.causal.regression import expit, independent, logistic
from bayesight.causal.sample import Numeric, Sample, centre_and_scale, sums
from bayesight.language import marked
from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray, IntArray

LEARNERS = (marked("main effects"), marked("splines"), marked("trees"))
_OWN = ("main effects", "splines")
"""Those fitted to each treatment alone; every other is fitted to all of them, with a level for each."""
FOLDS = 5
MOST_TRAINED = 20_000
"""Rows a model is fitted on at most, drawn at random: errors of these models count in products only."""
_LEAST_FOR_TREES, _MANY = 500, 2500
"""Rows from which trees are tried, and from which twice as many are grown."""
_MOST_COLUMNS = 120
"""Spline and interaction columns at most; beyond, interactions are left to the trees, then splines are."""
_FAR = 5.0
"""Standard deviations from the mean beyond which a value's square would outweigh the others."""
_KNOTS = (0.02, 0.2, 0.4, 0.6, 0.8, 0.98)
_GCV = 1.4
"""Price of a degree of freedom in generalised cross-validation (Kim and Gu 2004)."""
_BLOCK = 50_000
Predictor = Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class Basis:
    """Regressors of what is held fixed.

    Attributes:
        raw: continuous variables, centred and scaled (R, D).
        even: the same, or normal scores of their ranks where a row is far out, to be bent (R, D).
        dummies: levels of discrete variables but the first (R, Q).
        owner: which discrete variable each dummy belongs to (Q,).
        codes: levels of discrete variables as numbers, for trees (R, V).
    """

    raw: FloatArray
    even: FloatArray
    dummies: FloatArray
    owner: IntArray
    codes: FloatArray

    @cached_property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """Pairs of columns of (even, dummies) that interact; none where there would be too many."""
        width = self.even.shape[1]
        first, second = np.triu_indices(width + self.dummies.shape[1], 1)
        owner = np.concatenate([-1 - np.arange(width), self.owner])
        apart = owner[first] != owner[second]
        numeric = second < width
        room = _MOST_COLUMNS - width * len(_KNOTS) - self.dummies.shape[1]
        for wanted in (apart, apart & (first < width), numeric):
            if wanted.sum() <= room:
                return first[wanted].astype(np.int64), second[wanted].astype(np.int64)
        return np.zeros(0, np.int64), np.zeros(0, np.int64)

    def linear(self, rows: IntArray) -> FloatArray:
        """Intercept and main effects (r, 1 + D + Q)."""
        return np.column_stack([np.ones(len(rows)), self.raw[rows], self.dummies[rows]])

    def bent(self, rows: IntArray) -> FloatArray:
        """Splines and interactions beside the main effects, without intercept (r, ...)."""
        z, both = self.even[rows], np.column_stack([self.even[rows], self.dummies[rows]])
        first, second = self.pairs
        splines = [_natural(z[:, j], k) for j, k in enumerate(self.knots.T)] if self.splined else []
        return np.column_stack([z, z**2, both[:, first] * both[:, second], *splines])

    @cached_property
    def knots(self) -> FloatArray:
        """Knots of each continuous variable's spline (6, D)."""
        return np.quantile(self.even, _KNOTS, axis=0)

    @property
    def splined(self) -> bool:
        """True of few enough continuous variables for splines."""
        return bool(self.even.shape[1] * len(_KNOTS) <= _MOST_COLUMNS)

    @property
    def cost(self) -> FloatArray:
        """Penalty of each column of ``linear`` but the first, and of ``bent``."""
        plain = self.raw.shape[1] + self.dummies.shape[1] + self.even.shape[1]
        quadratic = self.even.shape[1] + len(self.pairs[0])
        splines = self.even.shape[1] * (len(_KNOTS) - 2) * self.splined
        return np.repeat([0.1, 0.3, 1.0], [plain, quadratic, splines])

    def trees(self, rows: IntArray) -> FloatArray:
        """Values and codes (r, D + V)."""
        return np.column_stack([self.raw[rows], self.codes[rows]])


@dataclass(frozen=True)
class Folds:
    """The fold that each row is held out with.

    Attributes:
        fold: (R,).
        folds: how many.
    """

    fold: IntArray
    folds: int


@dataclass(frozen=True)
class CrossFit:
    """Predictions of rows by models that have not seen them.

    Attributes:
        predicted: for each treatment that was asked for (R, K).
        weights: kind of model to its share in the prediction of each treatment (K,).
    """

    predicted: FloatArray
    weights: dict[str, FloatArray]

    @property
    def shared(self) -> FloatArray:
        """Share of models that all treatments have in common (K,)."""
        return np.asarray(sum(w for name, w in self.weights.items() if name not in _OWN))


def basis_of(sample: Sample, names: Sequence[str]) -> Basis:
    """Regressors from the named columns; quantities that others determine are left out."""
    raw, even, dummies, owner, codes = [], [], [], [], []
    for v, name in enumerate(names):
        column = sample.column(name)
        if isinstance(column, Numeric):
            centre, scale = centre_and_scale(column.values, sample.n)
            raw.append((column.values - centre) / (scale or 1.0))
            far = np.abs(raw[-1]).max() > _FAR
            even.append(_scores(column.values, sample.n) if far else raw[-1])
        else:
            dummies += [(column.codes == k).astype(np.float64) for k in range(1, len(column.levels))]
            owner += [v] * (len(column.levels) - 1)
            codes.append(column.codes.astype(np.float64))
    rows = len(sample.n)
    kept = independent(_columns(raw, rows), sample.n)
    raw, even = [raw[k] for k in kept], [even[k] for k in kept]
    return Basis(
        _columns(raw, rows), _columns(even, rows), _columns(dummies, rows),
        np.array(owner, np.int64), _columns(codes, rows),
    )  # fmt: skip


def folds_of(keys: Sequence[FloatArray], treatment: IntArray, seed: int = 0) -> Folds:
    """Folds, each with its share of every treatment, that do not depend on the order of the rows.

    Args:
        keys: what tells rows apart, each (R,); equal rows may be exchanged.
        treatment: groups to be spread evenly (R,).
        seed: the split follows from it.
    """
    least = int(np.bincount(treatment)[np.unique(treatment)].min())
    folds = max(2, min(FOLDS, least))
    order = np.lexsort([*keys, treatment])
    rng = numpy_generator(seed, "folds")
    fold = np.zeros(len(treatment), np.int64)
    for k in np.unique(treatment):
        rows = order[treatment[order] == k]
        fold[rows] = rng.permutation(len(rows)) % folds
    return Folds(fold, folds)


def cross_fit(
    basis: Basis, y: FloatArray, n: FloatArray, folds: Folds, *,
    treatment: IntArray | None = None, treatments: int = 1, binary: bool = False,
    learners: Sequence[str] = LEARNERS,
) -> CrossFit:  # fmt: skip
    """Predict each row's target from models that have not seen it.

    Args:
        basis: regressors.
        y: target (R,); 0 or 1 when ``binary``.
        n: rows each stands for (R,).
        folds: of the rows.
        treatment: of each row (R,); the target is then predicted under each of them.
        treatments: K.
        binary: whether predictions are probabilities.
        learners: kinds of model, of ``LEARNERS``.
    """
    rows = np.arange(len(y))
    treatment = np.zeros(len(y), np.int64) if treatment is None else treatment
    if len(y) < _LEAST_FOR_TREES and len(learners) > 1:
        learners = tuple(name for name in learners if name != "trees")
    out: dict[str, FloatArray] = {}
    for k in range(folds.folds):
        train, test = rows[folds.fold != k], rows[folds.fold == k]
        for name, predict in _fitted(basis, y, n, train, treatment, treatments, binary, learners, k).items():
            place = out.setdefault(name, np.full((len(y), treatments), np.nan))
            for a in range(treatments):
                place[test, a] = _by_blocks(partial(predict, a), test)
        if k == 0 and "trees" in out and not _promising(out, y, n, test, treatment, binary):
            learners = tuple(name for name in learners if name != "trees")
            del out["trees"]
    predicted, shares = np.zeros((len(y), treatments)), {name: np.zeros(treatments) for name in out}
    every = np.stack([out[name] for name in out])
    for a in range(treatments):
        own = treatment == a
        share = _stack(every[:, own, a].T, y[own], n[own], binary)
        predicted[:, a] = np.tensordot(share, every[:, :, a], 1)
        for name, s in zip(out, share, strict=True):
            shares[name][a] = s
    return CrossFit(predicted, shares)


def _fitted(
    basis: Basis, y: FloatArray, n: FloatArray, train: IntArray, treatment: IntArray, treatments: int,
    binary: bool, learners: Sequence[str], k: int,
) -> dict[str, Callable[[int, IntArray], FloatArray]]:  # fmt: skip
    """Every kind of model fitted on the rows of ``train``, as functions of treatment and rows."""
    if len(train) > MOST_TRAINED:
        train = np.sort(numpy_generator(k, "trained").choice(train, MOST_TRAINED, replace=False))
    found: dict[str, Callable[[int, IntArray], FloatArray]] = {}
    groups = [train[treatment[train] == a] for a in range(treatments)]

    def joint(matrix: Callable[[IntArray], FloatArray]) -> Callable[[IntArray, int | None], FloatArray]:
        def with_treatment(rows: IntArray, a: int | None) -> FloatArray:
            codes = treatment[rows] if a is None else np.full(len(rows), a)
            return np.column_stack([matrix(rows), codes[:, None] == np.arange(1, treatments)])

        return with_treatment

    if "main effects" in learners:
        own = [_linear(basis.linear(g), y[g], n[g], binary) for g in groups]
        found["main effects"] = lambda a, r: own[a](basis.linear(r))
        if treatments > 1:
            plain = joint(basis.linear)
            shared = _linear(plain(train, None), y[train], n[train], binary)
            found[marked("main effects, shared")] = lambda a, r: shared(plain(r, a))
    if "splines" in learners:
        if treatments > 1:
            bent = [_penalised(_wide(basis, g), basis.cost, y[g], n[g], binary) for g in groups]
            found["splines"] = lambda a, r: bent[a](_wide(basis, r))
        w, t = joint(lambda r: _wide(basis, r)), joint(basis.trees)
        cost = np.append(basis.cost, np.full(treatments - 1, 1e-4))
        x = w(train, None)
        both = _penalised(x, cost, y[train], n[train], binary)
        found[marked("splines, shared")] = lambda a, r: both(w(r, a))
        if "trees" in learners:
            grown = _trees(t(train, None), y[train], both(x), n[train], binary)
            found["trees"] = lambda a, r: grown(t(r, a), both(w(r, a)))
    return found


def _wide(basis: Basis, rows: IntArray) -> FloatArray:
    return np.column_stack([basis.linear(rows)[:, 1:], basis.bent(rows)])


def _linear(x: FloatArray, y: FloatArray, n: FloatArray, binary: bool) -> Callable[[FloatArray], FloatArray]:
    kept = independent(x, n)
    if binary:
        beta = logistic(x[:, kept], y, n)
        return lambda new: expit(new[:, kept] @ beta)
    root = np.sqrt(n)
    slopes = np.linalg.lstsq(x[:, kept] * root[:, None], y * root, rcond=None)[0]
    return lambda new: np.asarray(new[:, kept] @ slopes)


def _penalised(
    x: FloatArray, cost: FloatArray, y: FloatArray, n: FloatArray, binary: bool
) -> Callable[[FloatArray], FloatArray]:
    """Ridge regression, its strength by generalised cross-validation; main effects are penalised less.

    A logistic one is a row of weighted ones (performance iteration: Gu 1992; Wood 2017, section 3.4).
    """
    centre, scale = centre_and_scale(x, n)
    scale = np.where(scale > 1e-9, scale, np.inf)
    scale = scale * np.sqrt(cost)
    f = np.column_stack([np.ones(len(y)), (x - centre) / scale])
    if not binary:
        beta = _ridge(f, y, n)
        low, high = float(y.min()), float(y.max())
        slack = 0.1 * (high - low)
        return lambda new: np.clip(beta[0] + (new - centre) / scale @ beta[1:], low - slack, high + slack)
    p = np.clip(np.full(len(y), np.average(y, weights=n)), 1e-3, 1 - 1e-3)
    eta = np.log(p / (1 - p))
    for _ in range(8):
        weight = np.maximum(p * (1 - p), 1e-4)
        beta = _ridge(f, eta + (y - p) / weight, n * weight)
        before, eta = eta, np.clip(f @ beta, -12, 12)
        p = expit(eta)
        if float(n @ (eta - before) ** 2 / n.sum()) < 1e-4:
            break
    return lambda new: expit(np.clip(beta[0] + (new - centre) / scale @ beta[1:], -12, 12))


def _ridge(f: FloatArray, y: FloatArray, n: FloatArray) -> FloatArray:
    """Coefficients, the first without penalty, at the penalty of least generalised cross-validation."""
    total, rows = float(n.sum()), float(len(y))
    mean_x, mean_y = n @ f[:, 1:] / total, float(n @ y) / total
    a, b = f[:, 1:] - mean_x, y - mean_y
    values, vectors = np.linalg.eigh(a.T @ (a * n[:, None]))
    values = np.maximum(values, 0.0)
    pull = vectors.T @ (a.T @ (n * b))
    size = float(n @ b**2)
    best, chosen = np.inf, np.zeros(len(values))
    for strength in 10.0 ** np.arange(-5, 2.01, 0.5):
        inverse = 1 / (values + strength * total)
        part = inverse * pull
        loss = size - 2 * float(part @ pull) + float(values @ part**2)
        left = rows - _GCV * (1 + float(values @ inverse))
        score = max(loss, 0.0) / left**2 if left > 0 else np.inf
        if score < best:
            best, chosen = score, part
    beta: FloatArray = vectors @ chosen
    return np.concatenate([[mean_y - mean_x @ beta], beta])


def _trees(
    x: FloatArray, y: FloatArray, base: FloatArray, n: FloatArray, binary: bool
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Boosted trees on what a first prediction leaves over."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    options = {"max_leaf_nodes": 12, "min_samples_leaf": 10, "max_bins": 64, "early_stopping": False}
    trees = 30 if binary else 150 if len(y) < _MANY else 300
    model = HistGradientBoostingRegressor(max_iter=trees, random_state=0, **options)
    with threadpool_limits(1):
        model.fit(x, y - base, sample_weight=None if np.ptp(n) == 0 else n)

    def predict(new: FloatArray, first: FloatArray) -> FloatArray:
        with threadpool_limits(1):
            sure = first + np.asarray(model.predict(new))
        return np.asarray(np.clip(sure, 1e-3, 1 - 1e-3) if binary else sure)

    return predict


def _promising(
    out: dict[str, FloatArray], y: FloatArray, n: FloatArray, test: IntArray, treatment: IntArray,
    binary: bool,
) -> bool:  # fmt: skip
    """True of trees that come near the others on the first fold; else they are spared the rest."""

    def loss(name: str) -> float:
        p = out[name][test, treatment[test]]
        if binary:
            p = np.clip(p, 1e-3, 1 - 1e-3)
            return float(-n[test] @ np.where(y[test] > 0, np.log(p), np.log1p(-p)))
        return float(n[test] @ (y[test] - p) ** 2)

    others = [loss(name) for name in out if name != "trees"]
    return not others or loss("trees") < (1.02 if binary else 1.15) * min(others)


def _stack(p: FloatArray, y: FloatArray, n: FloatArray, binary: bool) -> FloatArray:
    """Weights (M,), none negative, adding to 1, of least loss: squares, or log-likelihood."""
    models = p.shape[1]
    if models == 1 or not len(y):
        return np.full(models, 1 / models)
    if binary:
        likelihood = np.where(y[:, None] > 0, p, 1 - p).clip(1e-6)
        share = np.full(models, 1 / models)
        for _ in range(200):  # expectation and maximisation of a mixture's weights
            owed = likelihood * share
            share = n @ (owed / owed.sum(axis=1, keepdims=True)) / n.sum()
        return share
    centre = float(np.average(y, weights=n))
    root = np.sqrt(n)[:, None] / (np.sqrt(float(n @ (y - centre) ** 2)) or 1.0)
    rows = np.vstack([(p - centre) * root, np.full((1, models), 1e3)])
    share = nnls(rows, np.append((y - centre) * root[:, 0], 1e3))[0]
    return np.asarray(share / share.sum())


def _by_blocks(predict: Predictor, rows: IntArray) -> FloatArray:
    parts = [predict(rows[i : i + _BLOCK]) for i in range(0, len(rows), _BLOCK)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _natural(z: FloatArray, knots: FloatArray) -> FloatArray:
    """Natural cubic splines beyond the straight line (Hastie et al. 2009, eq. 5.4)."""
    cubes = np.maximum(z[:, None] - knots, 0) ** 3
    apart = knots[-1] - knots[:-1]
    d = (cubes[:, :-1] - cubes[:, -1:]) / np.where(apart > 0, apart, np.inf)
    return np.asarray(d[:, :-1] - d[:, -1:])


def _scores(values: FloatArray, n: FloatArray) -> FloatArray:
    """Normal scores of mid-ranks."""
    different, code = np.unique(values, return_inverse=True)
    rows = sums(code, len(different), n)
    middle = (np.cumsum(rows) - rows / 2) / rows.sum()
    return np.asarray(ndtri(middle)[code])


def _columns(parts: list[FloatArray], rows: int) -> FloatArray:
    return np.column_stack(parts) if parts else np.zeros((rows, 0))
