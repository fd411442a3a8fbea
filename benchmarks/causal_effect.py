"""A million rows and ten binary confounders: how long does an adjusted effect with its interval take?

    python benchmarks/causal_effect.py [--rows 1000000] [--repeats 3] [--look]

* from the file: `causal effect` on a CSV, read, reduced to cells, answered; against reading it with pandas
  and asking pgmpy (a fitted network, queried under do with the same adjustment set; it has no interval)
* in memory: the same from columns that are there already, against pgmpy on the same data frame

DoWhy is left out: the versions that run on our pinned networkx and pandas are yet to come.

The sides take turns. One row a question in results/causal_effect.csv, with both answers and the truth.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from support.record import append, facts, spread

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.workflows.causal import CausalRequest, causal_effect

CONFOUNDERS = [f"Z{i}" for i in range(10)]
GRAPH = ", ".join(f"{z} -> T, {z} -> Y" for z in CONFOUNDERS) + ", T -> Y"
TRUTH = 0.1


def world(rows, seed=0):
    """Ten coins, a treatment that follows them, an outcome that follows all: the effect is 0.1."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 2, (rows, 10), dtype=np.int8)
    push = z.sum(axis=1) / 10
    t = (rng.random(rows) < 0.2 + 0.6 * push).astype(np.int8)
    y = (rng.random(rows) < 0.1 + 0.6 * push + TRUTH * t).astype(np.int8)
    return pd.DataFrame({**{name: z[:, i] for i, name in enumerate(CONFOUNDERS)}, "T": t, "Y": y})


def ours_from_file(path):
    e = causal_effect(CausalRequest(str(path), "T", "Y", GRAPH)).effect.adjusted.effect
    return e.mean, e.low, e.high


def ours_in_memory(frame):
    counted = frame.value_counts(sort=False).reset_index()
    table = sample_of({n: counted[n].to_numpy() for n in frame.columns}, counts=counted["count"].to_numpy())
    e = estimate(table, parse(GRAPH), EffectQuestion("T", "Y")).adjusted.effect
    return e.mean, e.low, e.high


def pgmpy_in_memory(frame):
    from pgmpy.inference import CausalInference
    from pgmpy.models import DiscreteBayesianNetwork

    network = DiscreteBayesianNetwork(parse(GRAPH).edges)
    network.fit(frame)
    judge = CausalInference(network)
    risk = [
        judge.query(["Y"], do={"T": t}, adjustment_set=set(CONFOUNDERS), show_progress=False).values[1]
        for t in (0, 1)
    ]
    return (risk[1] - risk[0],)


def pgmpy_from_file(path):
    return pgmpy_in_memory(pd.read_csv(path, dtype=np.int8))


def compare(question, repeats, ours, theirs, argument):
    times, answers = ([], []), [None, None]
    for _ in range(repeats):
        for side, call in enumerate((ours, theirs)):
            start = time.perf_counter()
            answers[side] = call(argument)
            times[side].append(time.perf_counter() - start)
    ratio = [b / a for a, b in zip(*times, strict=True)]
    print(f"{question}: ours {spread(times[0])} s, theirs {spread(times[1])} s, ratio {spread(ratio, 3)}")
    print("   ", *(f"{x:.4f}" for x in answers[0]), "against", *(f"{x:.4f}" for x in answers[1]))
    return {
        "question": question,
        "ours_s": spread(times[0]),
        "theirs_s": spread(times[1]),
        "ratio": f"{np.median(ratio):.3g}",
        "ours": " ".join(f"{x:.5f}" for x in answers[0]),
        "theirs": f"{answers[1][0]:.5f}",
        "truth": TRUTH,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--look", action="store_true", help="record nothing")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    machine, frame = facts(), world(options.rows)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        frame.to_csv(path, index=False)
        small = Path(folder) / "small.csv"
        frame[:20_000].to_csv(small, index=False)
        for call in (ours_from_file, pgmpy_from_file):  # imports and caches are nobody's time
            call(small)
        found.append(compare("CSV against pgmpy", options.repeats, ours_from_file, pgmpy_from_file, path))
    found.append(compare("in memory against pgmpy", options.repeats, ours_in_memory, pgmpy_in_memory, frame))
    if not options.look:
        append("causal_effect.csv", [{**machine, "rows": options.rows, **row} for row in found])


if __name__ == "__main__":
    main()
