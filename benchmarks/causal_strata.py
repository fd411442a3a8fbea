"""Do 95 % intervals over strata hold the truth where strata have few rows, and how wide are they?

    python benchmarks/causal_strata.py [--draws 1000] [--seed 0] [--look]

Worlds: matched sets (1:1, 1:4, 1 against 5 to 24, 2:2, one or two against one to four), which are a sample of
sets, and rows that fall into four fixed strata at random; 5 to 200 sets, or 10 to 200 rows. The outcome is
normal, with the same spread, with a threefold spread among the treated, or with an effect that differs from
set to set (mean 1, standard deviation 1; 0, 1, 1 and 2 in the fixed strata); or it is yes or no (about one in
two, about one in eight), with a log odds ratio of 1 in each set. Beside it a regression on dummies of strata
with ordinary errors, and a bootstrap (of sets; of rows within the four fixed strata), percentiles of 200
resamples. A draw with one row of a treatment, or none, in common strata is refused by ours and left out for
all. One row a world in results/causal_strata.csv.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.stats import t as student
from support.record import append, facts

from bayesight.causal.potential_outcomes import answer
from bayesight.causal.sample import Discrete, Sample
from bayesight.causal.strata import standardise, stratify
from bayesight.errors import InvalidInput

SETS = ("1:1", "1:4", "1:many", "2:2", "mixed")
OUTCOMES = {
    "normal": {}, "spread": {"spread": 3.0}, "varied effect": {"varied": 1.0}, "even": {"base": 0.0},
    "rare": {"base": -2.5},
}  # fmt: skip
LEVELS = ("0", "1")


def sizes(rng, design, number):
    """Treated and untreated rows of each stratum."""
    if design in ("1:1", "2:2"):
        each = np.full(number, int(design[0]))
        return each, each
    if design == "1:4":
        return np.ones(number, int), np.full(number, 4)
    if design == "1:many":
        return np.ones(number, int), rng.integers(5, 25, number)
    if design == "mixed":
        return rng.integers(1, 3, number), rng.integers(1, 5, number)
    z = rng.integers(0, 4, number)
    treated = rng.random(number) < 0.3 + 0.1 * z
    return np.bincount(z[treated], minlength=4), np.bincount(z[~treated], minlength=4)


def draw(rng, design, number, outcome):
    """Stratum, treatment and outcome of each row."""
    one, other = sizes(rng, design, number)
    z = np.concatenate([np.repeat(np.arange(len(n)), n) for n in (one, other)])
    t = np.repeat([1, 0], [one.sum(), other.sum()])
    level = rng.normal(size=len(one)) if design in SETS else np.array([-1.0, 0, 0, 1])
    kind = OUTCOMES[outcome]
    if "base" in kind:
        p = 1 / (1 + np.exp(-(kind["base"] + level[z] + t - 0.5)))
        return z, t, (rng.random(len(z)) < p).astype(float)
    away = rng.normal(size=len(one)) if design in SETS else np.array([-1.0, 0, 0, 1])
    effect = 1 + kind.get("varied", 0.0) * away
    return z, t, level[z] + effect[z] * t + rng.normal(size=len(z)) * np.where(t, kind.get("spread", 1), 1)


def truth_of(design, outcome):
    kind = OUTCOMES[outcome]
    if "base" not in kind:
        return 1.0
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    if design not in SETS:
        node, weight = np.array([-1.0, 0, 1]), np.array([1.0, 2, 1])
    one, other = (1 / (1 + np.exp(-(kind["base"] + node + shift))) for shift in (0.5, -0.5))
    return float(weight @ (one - other) / weight.sum())


def ours(z, t, y, binary):
    """The interval, and the sums by stratum."""
    levels = tuple(map(str, range(z.max() + 1)))
    one = np.ones(len(z))
    table = Sample({"z": Discrete(z, levels), "t": Discrete(t, LEVELS)}, one, one)
    strata = stratify(table, "t", y, ["z"], binary=binary)
    found = answer(standardise(strata), "", LEVELS, "0").effect
    return found.low, found.high, strata


def regression(z, t, y):
    """Slope on the treatment within strata, ordinary errors."""
    n = np.bincount(z)
    used = n > 0

    def within(v):
        return v - (np.bincount(z, v) / np.maximum(n, 1))[z]

    rest, gone = within(t.astype(float)), within(y)
    slope = rest @ gone / (rest @ rest)
    dof = len(z) - used.sum() - 1
    if dof < 1:
        return np.nan, np.nan
    residual = gone - slope * rest
    reach = student.ppf(0.975, dof) * np.sqrt(residual @ residual / dof / (rest @ rest))
    return slope - reach, slope + reach


def bootstrap(rng, strata, z, t, y, resamples=200):
    """Percentiles over sets drawn again, or over rows drawn again within their cell."""
    kept = strata.overlap
    gap = (strata.mean[1] - strata.mean[0])[kept]
    size = strata.n.sum(axis=0)[kept]
    if strata.sampled:
        drawn = rng.integers(0, len(gap), (resamples, len(gap)))
        means = (gap[drawn] * size[drawn]).sum(axis=1) / size[drawn].sum(axis=1)
    else:
        means = np.zeros(resamples)
        for s in np.flatnonzero(kept):
            for arm, sign in ((1, 1), (0, -1)):
                cell = y[(z == int(strata.values[s][0])) & (t == arm)]
                again = cell[rng.integers(0, len(cell), (resamples, len(cell)))].mean(axis=1)
                means += sign * again * strata.n[:, s].sum() / size.sum()
    return np.quantile(means, [0.025, 0.975])


def study(design, number, outcome, draws, seed):
    rng = np.random.default_rng([seed, number, *map(ord, design + outcome)])
    truth, binary = truth_of(design, outcome), "base" in OUTCOMES[outcome]
    found = {"ours": [], "regression": [], "bootstrap": []}
    refused, start = 0, time.perf_counter()
    for _ in range(draws):
        z, t, y = draw(rng, design, number, outcome)
        try:
            low, high, strata = ours(z, t, y, binary)
        except InvalidInput:
            refused += 1
            continue
        found["ours"].append((low, high))
        found["regression"].append(regression(z, t, y))
        found["bootstrap"].append(bootstrap(rng, strata, z, t, y))
    row = {"design": design, "number": number, "outcome": outcome, "draws": draws, "refused": refused}
    for name, intervals in found.items():
        low, high = np.array(intervals).reshape(-1, 2).T
        inside = (low <= truth) & (truth <= high)
        there = np.isfinite(low)
        row[f"{name}_coverage"] = round(float(inside[there].mean()), 4) if there.any() else ""
        row[f"{name}_width"] = round(float(np.mean((high - low)[there])), 4) if there.any() else ""
    return {**row, "seconds": round(time.perf_counter() - start, 1), "seed": seed}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--look", action="store_true", help="record nothing")
    options = parser.parse_args()
    worlds = [(d, n) for d in SETS for n in (5, 10, 30, 100, 200)]
    worlds += [("four strata", n) for n in (10, 20, 50, 200)]
    about, kept = facts(), []
    for design, number in worlds:
        for outcome in OUTCOMES:
            row = study(design, number, outcome, options.draws, options.seed)
            kept.append({**about, **row})
            print(" ".join(f"{k}={v}" for k, v in row.items()), flush=True)
    if not options.look:
        append("causal_strata.csv", kept)


if __name__ == "__main__":
    main()
