"""Student's t and inverse-gamma distributions, as the Gaussian families need them."""

from __future__ import annotations

import math

import torch
from scipy.special import gammaincinv, stdtrit
from torch import Tensor

from bayesight.checks import check, probability


def check_settled(settled: bool, family: str, count: Tensor, needed: str) -> None:
    """Refuse to read a posterior that the data have not made a distribution yet, after a reference prior."""
    came = f"{count:g} observations after a reference prior"
    check(settled, f"{family} posterior", came, needed, "Take in more, or state a prior.")


def log_student(distance: Tensor, log_scale_det: Tensor, df: Tensor, d: int = 1) -> Tensor:
    """Log-density of a d-variate Student t, nats.

    Args:
        distance: squared Mahalanobis distance to the centre, (...).
        log_scale_det: log-determinant of the scale matrix.
        df: degrees of freedom.
        d: dimension.
    """
    half = (df + d) / 2
    constant = torch.lgamma(half) - torch.lgamma(df / 2) - d / 2 * (df * math.pi).log() - log_scale_det / 2
    return constant - half * (distance / df).log1p()


def student_interval(centre: Tensor, scale: Tensor, df: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Equal-tailed interval of centre + scale·t."""
    tail = (1 - probability(level, "level", open_interval=True)) / 2
    reach = scale * float(-stdtrit(float(df), tail))
    return centre - reach, centre + reach


def inverse_gamma_interval(shape: Tensor, rate: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Equal-tailed interval of rate / Gamma(shape, 1)."""
    tail = (1 - probability(level, "level", open_interval=True)) / 2
    low, high = (rate / float(gammaincinv(float(shape), q)) for q in (1 - tail, tail))
    return low, high
