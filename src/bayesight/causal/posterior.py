"""The adjusted answer as a belief: Dirichlet over strata, Beta within them, for yes/no outcomes.

    P(z) ~ Dirichlet(1/S + counts);   P(y = 1 | t, z) ~ Beta(r_t + ones, 1 - r_t + zeros)

with S strata and r_t the share of ones among all who had treatment t: one imagined row in all for the strata,
and one in each cell that looks like its treatment. A cell without rows is not left out but unknown:
Beta(1/2, 1/2).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayesight.bayes.rates import Estimate
from bayesight.causal.potential_outcomes import Contrast, EffectEstimate
from bayesight.causal.strata import Strata
from bayesight.checks import check
from bayesight.language import marked
from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray

__all__ = ["credible_answer"]

DRAWS = 4000


def credible_answer(
    strata: Strata,
    levels: tuple[str, ...],
    reference: str,
    *,
    seed: int,
    level: float = 0.95,
    draws: int = DRAWS,
) -> EffectEstimate:
    """Posterior means and equal-tailed credible intervals of the standardised probabilities.

    Args:
        strata: counts, from ``stratify``; the outcome must be 0 or 1.
        levels: treatments (K,).
        reference: the one the others are compared with.
        seed: the draws follow from it.
        level: probability inside each interval.
        draws: from the posterior.

    Raises:
        InvalidInput: an outcome that is not yes or no, or rows with sampling weights.
    """
    check(strata.binary, "Bayesian intervals", "an outcome that is no yes or no", "0 and 1")
    check(bool((strata.n == strata.squares).all()), "Bayesian intervals", "sampling weights", "counted rows")
    rng = numpy_generator(seed, "credible")
    risk = _draws(strata, rng, draws)
    tail = (1 - level) / 2

    def summed(values: FloatArray) -> Estimate:
        low, high = np.quantile(values, [tail, 1 - tail])
        return Estimate(float(values.mean()), float(low), float(high), float(values.std() / np.sqrt(draws)))

    base = levels.index(reference)
    return EffectEstimate(
        marked("Dirichlet and Beta posterior over strata"),
        {name: summed(risk[:, k]) for k, name in enumerate(levels)},
        tuple(
            Contrast(name, reference, summed(risk[:, k] - risk[:, base]))
            for k, name in enumerate(levels)
            if k != base
        ),
    )


def _draws(strata: Strata, rng: np.random.Generator, draws: int) -> FloatArray:
    """Standardised probabilities (draws, K)."""
    import torch

    from bayesight.bayes.conjugate import beta, dirichlet

    counts = strata.n.sum(axis=0)
    if len(counts) > 1:
        start = dirichlet.prior([1 / len(counts)] * len(counts))
        weight = rng.dirichlet(replace(start, counts=torch.as_tensor(counts)).alpha.numpy(), draws)
    else:
        weight = np.ones((draws, 1))
    ones = strata.mean * strata.n
    risk = np.zeros((draws, len(strata.n)))
    for k, n in enumerate(strata.n):
        rate = float(np.clip(ones[k].sum() / max(n.sum(), 1.0), 0.01, 0.99))
        belief = beta.prior(rate, 1 - rate)
        unknown = beta.prior(0.5, 0.5)
        a = np.where(n > 0, float(belief.a) + ones[k], float(unknown.a))
        b = np.where(n > 0, float(belief.b) + np.maximum(n - ones[k], 0), float(unknown.b))
        for start_at in range(0, draws, 500):  # a few million numbers at a time
            part = slice(start_at, min(start_at + 500, draws))
            size = (part.stop - part.start, len(counts))
            risk[part, k] = (rng.beta(a, b, size) * weight[part]).sum(axis=1)
    return risk
