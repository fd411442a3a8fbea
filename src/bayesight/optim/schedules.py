"""Learning-rate schedules: pure functions of the step, so that a resumed run needs no state.

A schedule maps step s in 0 .. total-1 to the factor that multiplies the base learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from bayesight.checks import check, probability
from bayesight.registry import Registry
from bayesight.values import Share

Schedule: TypeAlias = Callable[[int], float]

SCHEDULES: Registry[Callable[..., Schedule]] = Registry("schedule")


def build_schedule(name: str, total_steps: int, **options: Any) -> Schedule:
    """A schedule by name over ``total_steps`` steps.

    Raises:
        UnknownName: no such schedule.
        InvalidConfig: options it does not have.
        InvalidInput: no steps, or a share outside [0, 1].

    Example:
        >>> factor = build_schedule("cosine", 100, warmup=0.1)
        >>> factor(0), factor(9), round(factor(55), 2), round(factor(99), 4)
        (0.1, 1.0, 0.5, 0.0003)
    """
    check(total_steps >= 1, f"schedule {name!r}", f"{total_steps} steps", "at least one")
    schedule: Schedule = SCHEDULES.build(name, total_steps, **options)
    return schedule


@SCHEDULES.register("constant")
def constant(total_steps: int, *, warmup: Share = 0.0) -> Schedule:
    """The base rate throughout, after a linear rise over the first ``warmup`` share of the steps."""
    return _after_warmup(total_steps, warmup, lambda _: 1.0)


@SCHEDULES.register("cosine")
def cosine(total_steps: int, *, warmup: Share = 0.0, final: Share = 0.0) -> Schedule:
    """A linear rise, then half a cosine down to ``final`` times the base rate (Loshchilov, Hutter 2017)."""
    probability(final, "cosine.final")
    return _after_warmup(
        total_steps, warmup, lambda t: final + (1 - final) * 0.5 * (1 + math.cos(math.pi * t))
    )


@SCHEDULES.register("one_cycle")
def one_cycle(total_steps: int, *, warmup: Share = 0.3, start: Share = 0.04, final: Share = 4e-6) -> Schedule:
    """Up from ``start`` and down to ``final`` times the base rate, both along half a cosine (Smith 2018).

    The defaults are those of ``torch.optim.lr_scheduler.OneCycleLR``.
    """
    probability(warmup, "one_cycle.warmup")
    peak = warmup * total_steps - 1

    def factor(step: int) -> float:
        if step <= peak:
            return _half_cosine(start, 1.0, step / peak if peak > 0 else 1.0)
        return _half_cosine(1.0, final, (step - peak) / max(total_steps - 1 - peak, 1e-12))

    return factor


@SCHEDULES.register("trapezoid")
def trapezoid(
    total_steps: int, *, warmup: Share = 0.0, cooldown: Share = 0.4, final: Share = 0.0
) -> Schedule:
    """A linear rise, the base rate, a linear fall to ``final`` times it over the last ``cooldown`` share."""
    probability(cooldown, "trapezoid.cooldown")
    fall = max(cooldown * total_steps, 1e-12)

    def factor(step: int) -> float:
        left = (total_steps - step) / fall
        return risen(step) * min(1.0, final + (1 - final) * left)

    risen = _after_warmup(total_steps, warmup, lambda _: 1.0)
    return factor


def _after_warmup(total_steps: int, warmup: Share, rest: Callable[[float], float]) -> Schedule:
    probability(warmup, "schedule.warmup")
    rise = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return rest((step - rise) / max(total_steps - rise, 1))

    return factor


def _half_cosine(start: float, end: float, t: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * t))
