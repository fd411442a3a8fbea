"""The arithmetic of one Bayes update, in one pass over memory.

A batch of millions is limited by memory, not arithmetic, as long as every intermediate stays in the cache:
so rows go through in blocks. Taking exponentials without first subtracting the largest is exact as long as
the sum stays far from the ends of the number range; each block checks that, and one that fails
(log-densities of -10,000 and the like) is done again with the largest of each row subtracted first.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bayesight.checks import check

__all__ = ["fused_update"]

_BLOCK = 40_000  # numbers: three such blocks of float64 fit a 1 MiB second-level cache
_SAFE = {torch.float32: (1e-24, 1e28), torch.float64: (1e-280, 1e280)}
_FLOOR = {torch.float32: -85.0, torch.float64: -700.0}


def fused_update(
    log_prior: Tensor, log_likelihood: Tensor, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Log-posterior (..., K) and log-evidence (...) of the broadcast sum of the two.

    Rows without a finite evidence come back with an evidence of NaN or an infinity, for the caller to refuse.

    Args:
        log_prior: (..., K) nats.
        log_likelihood: (..., K) nats.
        out: where to write, contiguous; new tensors when None.
    """
    shape = torch.Size(np.broadcast_shapes(log_prior.shape, log_likelihood.shape))
    dtype = torch.promote_types(log_prior.dtype, log_likelihood.dtype)
    k = shape[-1]
    learning = log_prior.requires_grad or log_likelihood.requires_grad
    if out is None and (shape.numel() <= _BLOCK or dtype not in _SAFE or learning):
        joint = log_prior + log_likelihood
        log_z = joint.logsumexp(-1)
        return joint - log_z[..., None], log_z
    log_p, log_z = out or (torch.empty(shape, dtype=dtype), torch.empty(shape[:-1], dtype=dtype))
    _check_out(log_p, log_z, shape, dtype)
    rows = max(1, _BLOCK // k)
    prior, ll = _Rows(log_prior, shape, rows), _Rows(log_likelihood, shape, rows)
    flat_p, flat_z = log_p.view(-1, k), log_z.view(-1)
    scratch, ones = torch.empty(rows, k, dtype=dtype), torch.ones(k, dtype=dtype)
    for start in range(0, len(flat_z), rows):
        p, z = flat_p[start : start + rows], flat_z[start : start + rows]
        _block(prior.take(start, len(z)), ll.take(start, len(z)), p, z, scratch[: len(z)], ones)
    return log_p, log_z


def _block(prior: Tensor, ll: Tensor, p: Tensor, z: Tensor, scratch: Tensor, ones: Tensor) -> None:
    """One block of rows into ``p`` and ``z``."""
    torch.add(prior, ll, out=p)
    if _normalise(p, z, scratch, ones):
        return
    largest = p.amax(-1)
    largest = torch.where(largest.isfinite(), largest, 0)
    torch.sub(p, largest[:, None], out=p)
    if not _normalise(p, z, scratch, ones):  # a row without evidence: the caller will refuse it
        torch.logsumexp(p, -1, out=z)
    z += largest


def _normalise(p: Tensor, z: Tensor, scratch: Tensor, ones: Tensor) -> bool:
    """Normalise log-joint ``p`` in place and put its logsumexp into ``z``, if the plain sum is safe."""
    if p.min().item() >= _FLOOR[p.dtype]:
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
    p.sub_(z[:, None])
    return True


class _Rows:
    """Blocks of rows of an operand as if it had the full shape; one row for all is repeated once."""

    def __init__(self, x: Tensor, shape: torch.Size, rows: int) -> None:
        self.shared = x.numel() == shape[-1]
        k = shape[-1]
        self.rows = x.reshape(1, k).repeat(rows, 1) if self.shared else x.expand(shape).reshape(-1, k)

    def take(self, start: int, count: int) -> Tensor:
        return self.rows[:count] if self.shared else self.rows[start : start + count]


def _check_out(log_p: Tensor, log_z: Tensor, shape: torch.Size, dtype: torch.dtype) -> None:
    fits = log_p.shape == shape and log_z.shape == shape[:-1] and log_p.dtype == log_z.dtype == dtype
    whole = fits and log_p.is_contiguous() and log_z.is_contiguous()
    came = f"{tuple(log_p.shape)} {log_p.dtype} and {tuple(log_z.shape)} {log_z.dtype}"
    check(whole, "out", came, f"contiguous {tuple(shape)} and {tuple(shape[:-1])} of {dtype}")
