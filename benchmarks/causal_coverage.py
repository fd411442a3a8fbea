"""Do 95 % intervals hold the truth 95 % of the time, on random graphs whose true effects are known?

    python benchmarks/causal_coverage.py [--graphs 1000] [--rows 2000] [--seed 0]
    python benchmarks/causal_coverage.py --worlds [NAME ...] [--draws 300] [--seed 0]

Random graphs: half of them are linear-Gaussian, half are discrete tables. A graph counts when the effect is
identified by the back door; for each one the interval of the adjusted answer is compared with the effect
computed from the numbers the data were drawn from. Every adjustment set is checked by going through all
paths one by one, and every graph without a set by trying all subsets. One row a kind in
results/causal_coverage.csv.

Worlds (``support/causal_worlds.py``; all of them, or those whose names begin so): confounders that bend,
overlap from good to poor. Our interval is set beside ordinary regression on main effects (robust errors)
and, up to 1,000 rows, a bootstrap of that regression. Where overlap is lacking no answer is given to the
question as asked; then the first one offered instead is counted, and how often that was so. One row a world
and estimator in results/causal_worlds.csv: coverage, bias, spread, mean width.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
from support.causal_worlds import WORLDS, study_world
from support.record import append, facts

from bayesight.causal import AdjustFor, Dag, EffectQuestion, all_paths, estimate, identify, is_open, sample_of
from bayesight.causal.structural_model import draw, make_model, true_effect


def random_dag(rng, nodes, density, hidden):
    """T, Y and others in a random causal order; some of the others are unobserved."""
    names = ["T", "Y", *(f"V{i}" for i in range(nodes - 2))]
    order = [names[i] for i in rng.permutation(nodes)]
    edges = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if rng.random() < density]
    return Dag(tuple(names), tuple(edges), frozenset(n for n in names[2:] if rng.random() < hidden))


def valid(dag, held):
    """Pearl's criterion, path by path."""
    if set(held) & dag.descendants("T"):
        return False
    return not any(p.kind == "back-door" and is_open(dag, p, held) for p in all_paths(dag, "T", "Y").found)


def none_is_valid(dag):
    others = [v for v in dag.observed if v not in ("T", "Y")]
    subsets = itertools.chain.from_iterable(itertools.combinations(others, r) for r in range(len(others) + 1))
    return not any(valid(dag, s) for s in subsets)


def study(kind, graphs, rows, seed):
    """Counts over identified graphs until there are enough of them."""
    rng = np.random.default_rng([seed, kind == "linear"])
    found = dict.fromkeys(
        ("identified", "inside", "refused", "wrong_sets", "wrong_refusals", "without_overlap", "adjusted"), 0
    )
    share, z = [], []
    start = time.perf_counter()
    while found["identified"] < graphs:
        dag = random_dag(rng, int(rng.integers(4, 9)), rng.uniform(0.3, 0.6), rng.uniform(0, 0.3))
        known = identify(dag, "T", "Y")
        if not isinstance(known, AdjustFor):
            found["refused"] += 1
            found["wrong_refusals"] += not none_is_valid(dag)
            continue
        found["wrong_sets"] += not all(valid(dag, s) for s in known.minimal)
        number = found["identified"]
        world = make_model(dag, kind, seed=seed * 1_000_003 + number)
        columns = draw(world, rows, seed=seed * 1_000_003 + number)
        table = sample_of({n: columns[n] for n in dag.observed})
        effect = estimate(table, dag, EffectQuestion("T", "Y"))
        truth, interval = true_effect(world, "T", "Y"), effect.adjusted.effect
        inside = interval.low <= truth <= interval.high
        found["identified"] += 1
        found["inside"] += inside
        found["adjusted"] += bool(known.variables)
        found["without_overlap"] += effect.overlap is not None and effect.overlap.without > 0
        share.append(len(known.variables))
        z.append((interval.mean - truth) / ((interval.high - interval.low) / 2 / 1.96))
        if not inside and abs(z[-1]) > 4:
            print("far outside:", kind, number, dag, known.variables, f"z={z[-1]:.1f}")
    return {
        "kind": kind,
        "rows": rows,
        **found,
        "coverage": round(found["inside"] / found["identified"], 4),
        "sd_of_z": round(float(np.std(z)), 3),
        "largest_set": max(share),
        "seconds": round(time.perf_counter() - start, 1),
        "seed": seed,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worlds", nargs="*", help="instead of random graphs: names that begin so, or all")
    parser.add_argument("--draws", type=int, default=300, help="of each world")
    parser.add_argument("--look", action="store_true", help="record nothing")
    options = parser.parse_args()
    if options.worlds is not None:
        for name in WORLDS:
            if not options.worlds or name.startswith(tuple(options.worlds)):
                machine, rows = facts(), study_world(name, options.draws, options.seed)
                for row in rows:
                    print({k: row[k] for k in list(row)[:-1]}, flush=True)
                if not options.look:
                    append("causal_worlds.csv", [{**machine, **row} for row in rows])
        return
    kept = [
        {**facts(), **study(kind, options.graphs // 2, options.rows, options.seed)}
        for kind in ("linear", "discrete")
    ]
    for row in kept:
        print({k: row[k] for k in list(row)[6:]})
    if not options.look:
        append("causal_coverage.csv", kept)


if __name__ == "__main__":
    main()
