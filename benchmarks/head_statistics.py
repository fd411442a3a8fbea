"""What absorbing rows costs: sufficient statistics against the one matrix product they cannot do without.

    python benchmarks/head_statistics.py [--rows 20000] [--repeats 15]

The product is X^T X of the same N x D rows, already in float64; the statistics start from the network's
float32, and include checks, standardising, counts and sums. The goal is a ratio of 2 at most. Both sides take
turns, and the ratio is that of their fastest calls, so that a busy machine disturbs both alike.
"""

import argparse
import time

import torch

from bayesight.bayes.head import gaussian

SEED = 0


def fastest(repeats, *calls):
    """Seconds of the fastest run of each call, taken in turns after one to warm up."""
    for call in calls:
        call()
    best = [float("inf")] * len(calls)
    for _ in range(repeats):
        for i, call in enumerate(calls):
            began = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - began)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("rows,features,product_s,statistics_s,ratio")
    for size in (96, 320, 512):
        generator = torch.Generator().manual_seed(SEED)
        x = torch.randn(options.rows, size, generator=generator)
        labels = torch.randint(10, (options.rows,), generator=generator)
        head = gaussian.empty(tuple("ABCDEFGHIJ"), x.mean(0), x.std(0))
        wide = x.double()
        product, whole = fastest(
            options.repeats,
            lambda wide=wide: wide.T @ wide,
            lambda h=head, x=x, y=labels: gaussian.sufficient_statistics(h, x, y),
        )
        print(f"{options.rows},{size},{product:.4f},{whole:.4f},{whole / product:.2f}")


if __name__ == "__main__":
    main()
