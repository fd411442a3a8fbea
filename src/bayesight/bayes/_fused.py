"""The arithmetic of one Bayes update, in one pass over memory.

A batch of millions is limited by memory, not arithmetic, as long as every intermediate stays in the cache:
so rows go through in blocks, in less than half the time of torch's ``logsumexp`` (``benchmarks/theorem.py``).
Taking exponentials without first subtracting the largest is exact as long as the sum stays far from the ends
of the number range; each block checks that, and one that fails (log-densities of -10,000 and the like) is
done again with the largest of each row subtracted first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from bayesight.checks import check

_SMALL = 50_000  # numbers: below this, blocks save nothing
_BLOCK_BYTES = 400_000  # a block, its exponentials and the prior fit a 2 MiB second-level cache
_BLOCK_IN_TEAM = 32_000
_SHARE = 500_000  # numbers worth a thread
_PROBE = 64  # one row in so many is looked at to choose the faster way; both are right
_WIDE = 32
_SAFE = {torch.float32: (1e-24, 1e28), torch.float64: (1e-280, 1e280)}
_FLOOR = {torch.float32: -85.0, torch.float64: -700.0}


def fused_update(
    log_prior: Tensor, log_likelihood: Tensor, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor, bool]:
    """Log-posterior (..., K) and log-evidence (...) of the broadcast sum of the two.

    Large batches are shared among as many threads as torch is set to use (``torch.set_num_threads``).

    Args:
        log_prior: (..., K) nats.
        log_likelihood: (..., K) nats.
        out: where to write, contiguous; new tensors when None.

    Returns:
        Both, and whether every evidence is a finite number; the caller refuses a batch where one is not.
    """
    shape = torch.Size(np.broadcast_shapes(log_prior.shape, log_likelihood.shape))
    dtype = torch.promote_types(log_prior.dtype, log_likelihood.dtype)
    k, n = shape[-1], shape[:-1].numel()
    learning = log_prior.requires_grad or log_likelihood.requires_grad
    if out is None and (shape.numel() <= _SMALL or dtype not in _SAFE or learning):
        joint = log_prior + log_likelihood
        log_z = joint.logsumexp(-1)
        sound = not log_z.numel() or log_z.abs().amax().item() < math.inf  # false for NaN as well
        return joint - log_z[..., None], log_z, sound
    log_p, log_z = out or (torch.empty(shape, dtype=dtype), torch.empty(shape[:-1], dtype=dtype))
    _check_out(log_p, log_z, shape, dtype)
    threads = min(torch.get_num_threads(), max(1, shape.numel() // _SHARE))
    # Operations this small torch keeps on the calling thread, so that the team has no teams of its own.
    block = _BLOCK_BYTES // dtype.itemsize if threads == 1 else _BLOCK_IN_TEAM
    rows = max(1, block // k)
    prior, ll = _Rows(log_prior, shape, rows), _Rows(log_likelihood, shape, rows)

    def share(first: int, last: int) -> bool:
        scratch, ones, sound = torch.empty(rows, k, dtype=dtype), torch.ones(k, dtype=dtype), True
        p, z = log_p.view(-1, k)[first:last].split(rows), log_z.view(-1)[first:last].split(rows)
        for block in zip(prior.blocks(first, last), ll.blocks(first, last), p, z, strict=True):
            room = scratch if len(block[-1]) == rows else scratch[: len(block[-1])]
            sound &= _block(*block, room, ones)
        return sound

    if threads == 1:
        return log_p, log_z, share(0, n)
    edges = [n * t // threads for t in range(threads + 1)]
    with ThreadPoolExecutor(threads) as team:
        return log_p, log_z, all(list(team.map(share, edges[:-1], edges[1:])))


def _block(prior: Tensor, ll: Tensor, p: Tensor, z: Tensor, scratch: Tensor, ones: Tensor) -> bool:
    """One block of rows into ``p`` and ``z``; whether every evidence is finite."""
    torch.add(prior, ll, out=p)
    if _normalise(p, z, scratch, ones):
        return True
    largest = p.amax(-1)
    largest = torch.where(largest.isfinite(), largest, 0)
    torch.sub(p, largest[:, None], out=p)
    sound = _normalise(p, z, scratch, ones)
    if not sound:
        torch.logsumexp(p, -1, out=z)
    z += largest
    return sound


def _normalise(p: Tensor, z: Tensor, scratch: Tensor, ones: Tensor) -> bool:
    """Normalise log-joint ``p`` in place and put its logsumexp into ``z``, if the plain sum is safe."""
    if p[::_PROBE].min().item() >= _FLOOR[p.dtype]:
        torch.exp(p, out=scratch)
    else:  # the exponential of what underflows takes 80 times as long, and adds nothing to a safe sum
        torch.clamp(p, min=_FLOOR[p.dtype], out=scratch)
        torch.exp(scratch, out=scratch)
    torch.mv(scratch, ones, out=z)
    low, high = torch.aminmax(z)
    least, most = _SAFE[z.dtype]
    if not (least < low.item() and high.item() < most):  # true for NaN as well
        return False
    z.log_()
    if p.dtype == torch.float32 and p.shape[1] < _WIDE:
        # Torch subtracts a narrow float32 column three times slower than a flat array of copies.
        p.view(-1).sub_(torch.from_numpy(np.repeat(z.numpy(), p.shape[1])))
    else:
        p.sub_(z[:, None])
    return True


class _Rows:
    """Blocks of rows of an operand as if it had the full shape; one row for all is repeated once."""

    def __init__(self, x: Tensor, shape: torch.Size, rows: int) -> None:
        self.shared, self.size = x.numel() == shape[-1], rows
        k = shape[-1]
        self.rows = x.reshape(1, k).repeat(rows, 1) if self.shared else x.expand(shape).reshape(-1, k)

    def blocks(self, first: int, last: int) -> Sequence[Tensor]:
        """Blocks of the rows from ``first`` to ``last``."""
        if not self.shared:
            return torch.split(self.rows[first:last], self.size)
        whole, rest = divmod(last - first, self.size)
        return [self.rows] * whole + [self.rows[:rest]] * (rest > 0)


def _check_out(log_p: Tensor, log_z: Tensor, shape: torch.Size, dtype: torch.dtype) -> None:
    fits = log_p.shape == shape and log_z.shape == shape[:-1] and log_p.dtype == log_z.dtype == dtype
    whole = fits and log_p.is_contiguous() and log_z.is_contiguous()
    came = f"{tuple(log_p.shape)} {log_p.dtype} and {tuple(log_z.shape)} {log_z.dtype}"
    check(whole, "out", came, f"contiguous {tuple(shape)} and {tuple(shape[:-1])} of {dtype}")
