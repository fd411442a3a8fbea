"""Maximum likelihood and Bayes side by side while the data grow.

Early on the two differ and the interval is wide; later the data outweigh the prior and they agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from bayesight.bayes.conjugate import Family
from bayesight.errors import InvalidInput


@dataclass(frozen=True)
class Snapshot:
    """The belief after the first ``n`` observations.

    Args:
        n: how many were taken in.
        mle: maximum likelihood of each parameter; empty where so few data leave it open.
        posterior: posterior mean of each; empty while a reference prior leaves it open.
        interval: credible interval of each; likewise.
        log_evidence: of all n, nats; NaN after a reference prior.
    """

    n: int
    mle: dict[str, Tensor]
    posterior: dict[str, Tensor]
    interval: dict[str, tuple[Tensor, Tensor]]
    log_evidence: float

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {
            "n": self.n,
            "mle": {k: v.tolist() for k, v in self.mle.items()} or None,
            "posterior": {k: v.tolist() for k, v in self.posterior.items()} or None,
            "interval": {k: {"low": a.tolist(), "high": b.tolist()} for k, (a, b) in self.interval.items()}
            or None,
            "log_evidence": self.log_evidence,
        }


def grow(
    family: Family[Any], prior: Any, data: Tensor, *, at: tuple[int, ...] = (), level: float = 0.95
) -> tuple[Snapshot, ...]:
    """Snapshots after the first 1, 2, 5, 10, 20, 50 ... observations and after all.

    Args:
        family: the module of a conjugate family.
        prior: its state before any data.
        data: one observation a row, in the order they came.
        at: other places to look.
        level: of the intervals.

    Raises:
        InvalidInput: as the family's ``update``.

    Example:
        >>> import torch
        >>> from bayesight.bayes.conjugate import beta
        >>> flips = torch.tensor([1, 1, 1, 0, 1, 0, 0, 1, 1, 1])
        >>> [round(s.posterior["rate"].item(), 2) for s in grow(beta, beta.prior(5, 5), flips)]
        [0.55, 0.58, 0.6, 0.6]
    """
    snapshots, state, done = [], prior, 0
    for n in at or milestones(len(data)):
        state, _ = family.update(state, data[done:n])
        done = n
        best, mean, interval = (
            _unless_open(ask, state)
            for ask in (family.maximum_likelihood, family.mean, partial(family.interval, level=level))
        )
        snapshots.append(Snapshot(n, best, mean, interval, float(family.log_evidence(state))))
    return tuple(snapshots)


def _unless_open(ask: Callable[[Any], dict[str, Any]], state: Any) -> dict[str, Any]:
    """An answer about a state; empty where its data leave it open, as one point leaves two parameters."""
    try:
        return ask(state)
    except InvalidInput:
        return {}


def milestones(n: int) -> tuple[int, ...]:
    """1, 2, 5, 10, 20, 50 ... below n, and n.

    Example:
        >>> milestones(30)
        (1, 2, 5, 10, 20, 30)
    """
    steps = [m * 10**e for e in range(len(str(n))) for m in (1, 2, 5)]
    return (*(s for s in steps if s < n), n)
