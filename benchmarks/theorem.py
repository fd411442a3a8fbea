"""Is Bayes' theorem over millions of subjects as cheap as moving the numbers, and cheaper than pgmpy?

    python benchmarks/theorem.py [--subjects 10000000] [--threads 1 2] [--repeats 7] [--questions update ...]

Three questions, a row for each answer in results/theorem.csv:

* update: 10 million subjects x 10 hypotheses, against copying the same arrays (reading log-likelihoods, and
  the priors where every subject has its own, and writing the posteriors). The goal is a ratio of 3 at most.
* logsumexp: 100,000 subjects x 10 and x 1,000 hypotheses, against a sum, torch's logsumexp and a difference,
  each in new memory as `update` has it. Below a ratio of 2 the blocks of `bayes/_fused.py` would not be worth
  their lines.
* pgmpy: queries of a two-node network by its VariableElimination, against `update` on a batch of queries, and
  one at a time. The goal is 100 for the batch.

The two sides of a ratio take turns, so that a busy machine disturbs both.
"""

from __future__ import annotations

import argparse
import csv
import logging
import statistics
import subprocess
import time
import warnings
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import torch

from bayesight.bayes.theorem import Belief, update

RESULTS = Path(__file__).parent / "results" / "theorem.csv"
SEED = 0


def clock(repeats, *calls):
    """Seconds of each call, taken in turns: one list a call."""
    for call in calls:
        call()
    times = [[] for _ in calls]
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return times


def update_rows(subjects, threads, repeats):
    k, rng = 10, torch.Generator().manual_seed(SEED)
    torch.set_num_threads(threads)
    for dtype in (torch.float64, torch.float32):
        ll = torch.randn(subjects, k, generator=rng, dtype=dtype) * 2 - 3
        own = torch.randn(k, generator=rng, dtype=dtype).log_softmax(-1).repeat(subjects, 1)
        out = (torch.zeros_like(ll), torch.zeros(subjects, dtype=dtype))
        for name, log_prior in (("one prior", own[0].clone()), ("own priors", own)):
            prior = Belief(log_prior)

            def move(log_prior=log_prior, ll=ll, out=out):
                if log_prior.ndim == 1:
                    out[0].copy_(ll)
                else:  # reads both, writes one
                    torch.add(log_prior, ll, out=out[0])

            moved, taken = clock(
                repeats, move, lambda prior=prior, ll=ll, out=out: update(prior, ll, out=out)
            )
            yield (f"update {name} {str(dtype).removeprefix('torch.')}", threads, taken, moved, False)
        del ll, own, out


def logsumexp_rows(repeats, subjects=100_000):
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(SEED)
    for k, dtype in product((10, 1000), (torch.float32, torch.float64)):
        ll = torch.randn(subjects, k, generator=rng, dtype=dtype) * 2 - 3
        prior = Belief(torch.randn(k, generator=rng, dtype=dtype).log_softmax(-1))

        def plain(ll=ll, log_prior=prior.log_p):
            joint = log_prior + ll
            log_z = joint.logsumexp(-1)
            return joint - log_z[:, None], log_z, bool(log_z.isfinite().all())

        taken, theirs = clock(repeats, lambda ll=ll, prior=prior: update(prior, ll), plain)
        yield f"logsumexp over update, K = {k} {str(dtype).removeprefix('torch.')}", 1, taken, theirs, True


def pgmpy_rows(repeats, queries=200, batch=100_000):
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.inference import VariableElimination
    from pgmpy.models import DiscreteBayesianNetwork

    torch.set_num_threads(1)
    prior, table = [0.15, 0.25, 0.6], [[0.7, 0.2, 0.05], [0.2, 0.5, 0.15], [0.1, 0.3, 0.8]]
    network = DiscreteBayesianNetwork([("class", "reading")])
    network.add_cpds(
        TabularCPD("class", 3, [[p] for p in prior]),
        TabularCPD("reading", 3, table, evidence=["class"], evidence_card=[3]),
    )
    engine = VariableElimination(network)
    belief, log_table = Belief.from_probabilities(prior), torch.tensor(table, dtype=torch.float64).log()
    readings = torch.randint(3, (batch,), generator=torch.Generator().manual_seed(SEED))

    def theirs():
        for r in range(queries):
            engine.query(["class"], {"reading": r % 3}, show_progress=False)

    def ours_single():
        for r in range(queries):
            update(belief, log_table[r % 3])

    taken, one, many = clock(repeats, theirs, ours_single, lambda: update(belief, log_table[readings]))
    theirs_s = [t / queries for t in taken]
    yield "pgmpy over batch, per query", 1, [t / batch for t in many], theirs_s, True
    yield "pgmpy over one at a time, per query", 1, [t / queries for t in one], theirs_s, True


def row(question, threads, ours, baseline, higher_is_better):
    ratio = [b / o if higher_is_better else o / b for o, b in zip(ours, baseline, strict=True)]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "question": question,
        "threads": threads,
        "median_s": f"{statistics.median(ours):.4g}",
        "min_s": f"{min(ours):.4g}",
        "max_s": f"{max(ours):.4g}",
        "baseline_median_s": f"{statistics.median(baseline):.4g}",
        "baseline_min_s": f"{min(baseline):.4g}",
        "ratio": f"{statistics.median(ratio):.3g}",
        "ratio_min": f"{min(ratio):.3g}",
        "ratio_max": f"{max(ratio):.3g}",
        "seed": SEED,
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subjects", type=int, default=10_000_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--questions", nargs="+", default=["update", "logsumexp", "pgmpy"])
    options = parser.parse_args()
    found = []
    for threads in options.threads * ("update" in options.questions):
        found += [row(*r) for r in update_rows(options.subjects, threads, options.repeats)]
    if "logsumexp" in options.questions:
        found += [row(*r) for r in logsumexp_rows(options.repeats)]
    if "pgmpy" in options.questions:
        found += [row(*r) for r in pgmpy_rows(options.repeats)]
    for line in found:
        spread = f"{line['ratio_min']} to {line['ratio_max']}"
        print(
            f"{line['question']:<38} {line['threads']} thread(s): {line['ratio']} ({spread}), "
            f"{line['median_s']} s"
        )
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(found[0]))
        if fresh:
            writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
