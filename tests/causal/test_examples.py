"""Published and simulated tables: their figures, and what adjusting makes of them."""

import pytest

from bayesight.causal import EffectQuestion, estimate, parse
from bayesight.causal.examples import EXAMPLES, example


def test_kidney_stones(of_example):
    found = of_example("kidney-stones")
    means = [round(a.means[t].mean, 3) for a in (found.conditional, found.adjusted) for t in "AB"]
    assert means == [0.780, 0.826, 0.833, 0.779]
    assert found.held == ("size",)
    assert found.reversal.turned == found.reversal.strata == 2
    assert "B is ahead of A (0.826 against 0.780)" in found.reversal.sentence
    assert "A is ahead (0.833 against 0.779)" in found.reversal.sentence
    by_hand = 0.51 * (81 / 87) + 0.49 * (192 / 263) - 0.51 * (234 / 270) - 0.49 * (55 / 80)
    assert found.adjusted.effect.mean == pytest.approx(by_hand, abs=1e-12)


def test_kidney_stones_were_size_a_consequence_of_treatment():
    e = example("kidney-stones")
    mediator = parse("treatment -> size, size -> success, treatment -> success")
    found = estimate(e.make(), mediator, EffectQuestion("treatment", "success", "B", "yes"))
    assert found.held == ()
    assert found.adjusted.effect == found.conditional.effect
    assert found.reversal is None


def test_berkeley_turns_round_by_department(of_example):
    found = of_example("berkeley")
    assert found.held == ("department",)
    assert found.conditional.effect.low > 0.1
    assert found.adjusted.effect.high < 0
    assert "4 of 6 strata" in found.reversal.sentence
    total = of_example("berkeley", direct=False)
    assert (
        total.held == ()
    )  # the department is a consequence of the applicant's choice: part of the total effect


def test_ice_cream_does_not_drown_anybody(of_example):
    found = of_example("ice-cream")
    assert found.conditional.slope.low > 0
    assert found.adjusted.slope.low < 0 < found.adjusted.slope.high
    assert found.reversal is None  # an effect that vanishes has not turned round


def test_birth_weight_adjusting_hurts(of_example):
    right, wrong = of_example("birth-weight"), of_example("birth-weight", adjust=("light",))
    assert right.held == ()
    assert right.adjusted.effect.mean > 3 * wrong.adjusted.effect.mean > 0
    assert "light is an effect of the treatment smoking" in wrong.notes[0]
    light = wrong.strata.values.index(("yes",))
    no, yes = wrong.strata.mean[:, light]
    assert yes < no  # among light babies, those of smokers live longer


def test_every_example_tells_its_source():
    for e in EXAMPLES.values():
        assert e.source
        assert e.title
        assert {e.treatment, e.outcome} <= set(e.make().columns)
