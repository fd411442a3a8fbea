"""Do 95 % intervals of a rare class's precision, and of accuracy, hold the truth at other base rates?

    python benchmarks/precision.py [--repeats 1000] [--seed 0] [--look]

A classifier whose rates are known is tried on so many images a class. The class asked about is rare where it
is used; the others share the rest evenly, unequally (Dirichlet .5), or one of them has nearly all of it.
Compared are the intervals of ``diagnose_classes`` and ``mixture_draws`` with the figures of the known rates.
One row a world in results/precision.csv: coverage, the share of truths below and above, the mean width, and
beside it how far apart the 2.5th and 97.5th percentiles of the counted shares lie from sample to sample.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
from support.record import append, facts

from bayesight.bayes import diagnose_classes
from bayesight.bayes.rates import mixture_draws

OTHERS = ("even", "unequal", "one has nearly all")


def shares(rng, others, count):
    """Base rates of the other classes."""
    if others == "even":
        return np.full(count, 1 / count)
    if others == "unequal":
        return rng.dirichlet(np.full(count, 0.5))
    return np.r_[0.95, np.full(count - 1, 0.05 / (count - 1))] if count > 1 else np.ones(1)


def trial(rng, k, images, rare, others):
    """Truth, interval and spread of the counted share: of the precision, and of the accuracy."""
    prior = np.r_[rare, (1 - rare) * shares(rng, others, k - 1)]
    support = rng.integers(images // 2, 2 * images, k)
    named, missed = np.minimum(rng.gamma(0.7, 0.02, k), 0.9), np.minimum(rng.gamma(2, 0.03, k), 0.9)
    named[0] = 1 - missed[0]

    table, rest = np.zeros((k, k)), np.arange(1, k)
    table[:, 0] = rng.binomial(support, named)
    table[0, 1], table[rest, rest] = support[0] - table[0, 0], (support - table[:, 0])[1:]
    found = diagnose_classes(table, prior, draws=1000, seed=1)[0].precision
    again = rng.binomial(support, named, (200, k)) / support
    counted = rare * again[:, 0] / np.maximum(again @ prior, 1e-12)
    yield "precision", rare * named[0] / (prior @ named), (found.low, found.high), counted

    errors = mixture_draws(rng.binomial(support, missed), support, prior, rng, draws=1000)
    counted = 1 - (rng.binomial(support, missed, (200, k)) / support) @ prior
    yield "accuracy", 1 - prior @ missed, np.quantile(1 - errors, [0.025, 0.975]), counted


def study(k, images, rare, others, repeats, seed):
    """A row a figure."""
    start, rng = time.perf_counter(), np.random.default_rng([seed, k, images, round(1e6 * rare)])
    kept = {"precision": [], "accuracy": []}
    for _ in range(repeats):
        for name, truth, (low, high), counted in trial(rng, k, images, rare, others):
            spread = np.ptp(np.quantile(counted, [0.025, 0.975]))
            kept[name].append((truth < low, truth > high, high - low, spread))
    for name, rows in kept.items():
        below, above, width, spread = (round(float(x), 4) for x in np.mean(rows, axis=0))
        yield {
            "figure": name,
            "classes": k,
            "images_a_class": images,
            "base_rate": rare,
            "others": others,
            "repeats": repeats,
            "coverage": round(1 - below - above, 4),
            "below": below,
            "above": above,
            "width": width,
            "spread_of_the_share": spread,
            "seconds": round(time.perf_counter() - start, 1),
            "seed": seed,
        }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--look", action="store_true", help="record nothing")
    options = parser.parse_args()
    kept = []
    for k, images, rare, others in itertools.product((3, 10), (30, 100, 1000), (0.05, 0.01, 0.001), OTHERS):
        for row in study(k, images, rare, others, options.repeats, options.seed):
            print(row, flush=True)
            kept.append({**facts(), **row})
    if not options.look:
        append("precision.csv", kept)


if __name__ == "__main__":
    main()
