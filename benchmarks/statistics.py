"""What absorbing rows costs: sufficient statistics against the one matrix product they cannot do without.

Run: python benchmarks/statistics.py [--rows 20000]. Prints one line a size; the ratio is to be at most 2.
"""

import argparse
import statistics
import time

import torch

from bayesight.bayes import gaussian_head


def seconds(work, repeats=7):
    """Median wall-clock seconds of a call, after one to warm up."""
    work()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main():
    """Print rows, features, both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    rows = parser.parse_args().rows
    torch.set_num_threads(1)
    print("rows,features,product_s,statistics_s,ratio")
    for size in (96, 320, 512):
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(rows, size, generator=generator)
        labels = torch.randint(10, (rows,), generator=generator)
        names = tuple("ABCDEFGHIJ")
        head = gaussian_head.empty(names, x.mean(0), x.std(0))
        wide = x.double()
        product = seconds(lambda wide=wide: wide.T @ wide)
        whole = seconds(lambda h=head, x=x, y=labels: gaussian_head.sufficient_statistics(h, x, y))
        print(f"{rows},{size},{product:.4f},{whole:.4f},{whole / product:.2f}")


if __name__ == "__main__":
    main()
