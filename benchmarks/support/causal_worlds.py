"""Tables with a known effect: confounders that bend, and overlap from good to poor.

* twelve worlds of overlap: treated rare or common, propensity steeper and steeper, 200 to 5,000 rows, three
  confounders in straight lines
* curves: a U-shape, an interaction, Kang and Schafer's (2007) transformed covariates, unequal spread with an
  effect that varies, a quantity as treatment (partially linear), 30 confounders of which five matter
* a comparison group: few treated, most rows without overlap, as in the Panel Study's

The effect is alike for everybody unless said otherwise, so that every question has one truth.
"""

from __future__ import annotations

import time

import numpy as np

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.regression import expit, least_squares

SLOPES = np.array([0.8, 0.5, -0.3])


def lines(steep, level=0.0):
    """Three confounders in straight lines; the steeper, the less overlap."""

    def draw(n, rng):
        z = rng.normal(size=(n, 3))
        t = rng.random(n) < expit(level + steep * (z @ SLOPES))
        return z, t, z @ [1, -1, 0.5] + t + rng.normal(size=n), 1.0

    return draw


def u_shape(n, rng):
    z = rng.normal(size=(n, 1))
    t = rng.random(n) < expit(0.7 * (z[:, 0] ** 2 - 1))
    return z, t, t + z[:, 0] ** 2 + rng.normal(size=n), 1.0


def interaction(n, rng):
    z = rng.normal(size=(n, 2))
    both = z[:, 0] * z[:, 1]
    t = rng.random(n) < expit(both)
    return z, t, t + 2 * both + z.sum(axis=1) + rng.normal(size=n), 1.0


def kang_schafer(n, rng):
    x = rng.normal(size=(n, 4))
    t = rng.random(n) < expit(x @ [-1, 0.5, -0.25, -0.1])
    y = 210 + x @ [27.4, 13.7, 13.7, 13.7] + rng.normal(size=n)
    a, b, c, d = x.T
    seen = [np.exp(a / 2), b / (1 + np.exp(a)) + 10, (a * c / 25 + 0.6) ** 3, (b + d + 20) ** 2]
    return np.column_stack(seen), t, y, 0.0


def unequal_spread(n, rng):
    """The effect is 1 + z: 1 for everybody together."""
    z = rng.normal(size=(n, 2))
    t = rng.random(n) < expit(z[:, 0])
    y = t * (1 + z[:, 0]) + z[:, 0] ** 2 / 2 + z.sum(axis=1)
    return z, t, y + rng.normal(size=n) * (0.3 + np.abs(z[:, 0])), 1.0


def quantity(n, rng):
    z = rng.normal(size=(n, 2))
    t = z[:, 0] ** 2 + 0.5 * z[:, 1] + rng.normal(size=n)
    return z, t, t + 2 * z[:, 0] ** 2 + z[:, 1] + rng.normal(size=n), 1.0


def thirty(n, rng):
    z = rng.normal(size=(n, 30))
    t = rng.random(n) < expit(z[:, :5] @ [0.5, -0.5, 0.5, -0.3, 0.3])
    return z, t, t + z[:, :5] @ [1, 1, -1, 0.5, 0.5] + rng.normal(size=n), 1.0


def comparison_group(n, rng):
    """Earnings and age decide who is treated: most others are nothing like them."""
    age, school = rng.normal(size=(2, n))
    before = np.maximum(0, rng.normal(size=n) + 0.8)
    last = np.maximum(0, 0.8 * before + 0.5 * rng.normal(size=n) + 0.1)
    t = rng.random(n) < expit(-0.5 - age - 0.3 * school - 1.5 * before - 1.5 * last)
    y = t + 0.5 * age + 0.3 * school + before + last + rng.normal(size=n)
    return np.column_stack([age, school, before, last]), t, y, 1.0


WORLDS = {
    f"overlap steep {steep:g}, level {level:g}, {n}": (lines(steep, level), n)
    for steep, level, n in (
        (0.5, 0, 200), (1, 0, 200), (2, 0, 200), (1, -2, 200), (0.5, 0, 1000), (1, 0, 1000), (2, 0, 1000),
        (1, -2, 1000), (3, 0, 1000), (1, 0, 5000), (2, 0, 5000), (2, -2, 5000),
    )
} | {
    f"{draw.__name__}, {n}": (draw, n)
    for draw, n in (
        (u_shape, 500), (u_shape, 2000), (interaction, 1000), (kang_schafer, 1000), (kang_schafer, 5000),
        (unequal_spread, 1000), (quantity, 1000), (thirty, 500), (thirty, 1000), (comparison_group, 2500),
    )
}  # fmt: skip


def ours(z, t, y):
    """The interval that is offered, its degree of surprise, and whether it is for the question as asked."""
    names = [f"Z{i}" for i in range(z.shape[1])]
    graph = ", ".join(f"{name} -> T, {name} -> Y" for name in names) + ", T -> Y"
    table = sample_of({name: z[:, i] for i, name in enumerate(names)} | {"T": t, "Y": y})
    found = estimate(table, parse(graph), EffectQuestion("T", "Y"))
    e = found.offered.effect
    return e.mean, e.low, e.high, found.adjusted is not None


def regression(z, t, y):
    x = np.column_stack([np.ones(len(y)), z, t])
    fit = least_squares(x, y, np.ones(len(y)), np.ones(len(y)))
    mean, reach = fit.coefficients[-1], 1.96 * np.sqrt(fit.covariance[-1, -1])
    return mean, mean - reach, mean + reach, True


def bootstrap(z, t, y, rng, times=100):
    x = np.column_stack([np.ones(len(y)), z, t])
    rows = rng.integers(0, len(y), (times, len(y)))
    drawn = [np.linalg.lstsq(x[r], y[r], rcond=None)[0][-1] for r in rows]
    return np.mean(drawn), *np.quantile(drawn, [0.025, 0.975]), True


def study_world(name, draws, seed):
    """Coverage, bias, spread and width over draws of a world: ours, and the usual ones beside it."""
    draw, n = WORLDS[name]
    found = {"ours": [], "regression": [], "bootstrap of it": []}
    start, own = time.perf_counter(), 0.0
    for i in range(draws):
        rng = np.random.default_rng([seed, i, n])
        z, t, y, truth = draw(n, rng)
        t = t.astype(int) if t.dtype == bool else t
        before = time.process_time()
        found["ours"].append(ours(z, t, y))
        own += time.process_time() - before
        found["regression"].append(regression(z, t, y))
        if n <= 1000:
            found["bootstrap of it"].append(bootstrap(z, t, y, rng))
    rows = []
    for propensities, values in found.items():
        if not values:
            continue
        mean, low, high, asked = np.array(values, float).T
        inside = (low <= truth) & (truth <= high)
        rows.append(
            {
                "world": name, "rows": n, "estimator": propensities, "draws": draws,
                "coverage": round(float(inside.mean()), 3),
                "error": round(float(np.sqrt(0.95 * 0.05 / draws)), 3),
                "bias": round(float(mean.mean()) - truth, 4), "sd": round(float(mean.std()), 4),
                "width": round(float((high - low).mean()), 4), "as_asked": round(float(asked.mean()), 3),
                "coverage_as_asked": round(float(inside[asked > 0].mean()), 3) if asked.any() else "",
                "seconds_each": round(own / draws, 2) if propensities == "ours" else "",
                "elapsed_s": round(time.perf_counter() - start), "seed": seed,
            }
        )  # fmt: skip
    return rows
