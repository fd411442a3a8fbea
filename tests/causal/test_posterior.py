"""The Bayesian answer: near the frequentist one, and wide where there are no rows."""

import numpy as np
import pytest

from bayesight.causal import sample_of
from bayesight.causal.examples import example
from bayesight.causal.posterior import credible_answer
from bayesight.causal.strata import stratify
from bayesight.errors import InvalidInput


def test_bayesian_answer_is_near_and_reaches_where_there_are_no_rows(of_example):
    e = example("kidney-stones")
    found = of_example("kidney-stones")
    belief = credible_answer(found.strata, ("A", "B"), "B", seed=0)
    assert belief.effect.mean == pytest.approx(found.adjusted.effect.mean, abs=0.006)
    assert belief.effect.low == pytest.approx(found.adjusted.effect.low, abs=0.01)
    table = e.make()
    y = np.array([1.0, 0.0] * 4)
    one = stratify(table, "treatment", y, (), binary=True)
    plain = credible_answer(one, ("A", "B"), "B", seed=1, draws=20_000).means["A"]
    assert plain.mean == pytest.approx((273 + 0.78) / 351, abs=1e-3)  # the Beta posterior's own mean
    empty = sample_of({"Z": [0, 0, 1], "T": [0, 1, 1], "Y": [1, 0, 1]}, counts=[50, 50, 100])
    gaps = stratify(empty, "T", np.array([1.0, 0.0, 1.0]), ["Z"], binary=True)
    wide = credible_answer(gaps, ("0", "1"), "0", seed=2).means["0"]
    assert wide.high - wide.low > 0.3
    with pytest.raises(InvalidInput, match="no yes or no"):
        credible_answer(stratify(table, "treatment", y * 2, (), binary=False), ("A", "B"), "B", seed=0)
