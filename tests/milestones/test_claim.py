"""Claims, verdicts, and which key differs."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.milestones import Arm, Claim, Keys, differing_keys, key
from bayesight.milestones.bench.claim import judge

BASE = Keys(
    data=key("letters", batch=128, augment=key("glyph", shift_px=2)),
    model=key("mlp", hidden=(64, 32)),
    loss=key("cross_entropy"),
    optimization=key("sgd", lr=0.1, steps=300),
)
numbers = st.floats(-100, 100)


def arm(*recipes):
    return Arm("an arm", recipes, lambda recipes, bench: None)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"data.batch": 64}, ("data",)),
        ({"data.augment": key("glyph", shift_px=3)}, ("data",)),
        ({"model.hidden": (64,)}, ("model",)),
        ({"optimization.lr": 0.2}, ("optimization",)),
        ({"model.hidden": (1,), "optimization.steps": 2}, ("model", "optimization")),
        ({"model.depth": 3}, ()),
    ],
)
def test_the_keys_that_differ_are_named(change, differs):
    assert differing_keys(arm(BASE), arm(BASE.changed(change))) == differs


def test_another_name_alone_is_a_difference():
    other = replace(BASE, loss=key("forward_corrected"))
    assert differing_keys(arm(BASE), arm(other)) == ("loss",)


def test_a_stage_that_one_arm_lacks_is_named():
    pretrain = replace(BASE, stage="pretrain")
    assert differing_keys(arm(pretrain, BASE), arm(BASE)) == ("pretrain",)


def test_a_change_reaches_the_stage_it_names_and_no_other():
    pretrain = replace(BASE, stage="pretrain")
    change = {"pretrain.optimization.steps": 7}
    assert pretrain.changed(change).optimization["steps"] == 7
    assert BASE.changed(change) == BASE


def test_a_recipe_is_plain_values():
    assert BASE.as_dict()["data"] == {
        "name": "letters",
        "batch": 128,
        "augment": {"name": "glyph", "shift_px": 2},
    }
    assert BASE.as_dict()["model"]["hidden"] == [64, 32]


@settings(deadline=None, max_examples=60)
@given(numbers, numbers, st.floats(0, 5), numbers)
def test_a_claim_at_least_and_its_mirror_at_most_agree(one, other, factor, margin):
    values = {"a": [{"m": one}], "b": [{"m": other}]}
    mirrored = {"a": [{"m": -one}], "b": [{"m": -other}]}
    least = Claim("a", "m", ">=", against="b", factor=factor, margin=margin)
    most = Claim("a", "m", "<=", against="b", factor=factor, margin=-margin)
    assert judge(least, values).holds == judge(most, mirrored).holds == (one >= factor * other + margin)


def test_the_median_is_judged_and_not_the_best():
    values = {"a": [{"m": 0.0}, {"m": 1.0}, {"m": 9.0}]}
    verdict = judge(Claim("a", "m", ">=", margin=2.0), values)
    assert (verdict.measured, verdict.bound, verdict.holds) == (1.0, 2.0, False)


def test_a_smoke_run_has_its_own_terms():
    claim = Claim("a", "m", "<=", against="b", factor=0.5, smoke=(0.9, 0.1))
    values = {"a": [{"m": 0.8}], "b": [{"m": 1.0}]}
    assert not judge(claim, values).holds
    assert judge(claim, values, smoke=True).bound == pytest.approx(1.0)
    assert judge(claim, values, smoke=True).sentence == "m of a ≤ 0.9 x b + 0.1"


def test_a_claim_on_an_arm_that_is_not_there_is_refused(toy):
    with pytest.raises(InvalidInput, match="arms and a metric it has"):
        replace(toy, claims=(Claim("huge", "accuracy", ">=", margin=0.1),))
    with pytest.raises(InvalidInput, match="arms of different names"):
        replace(toy, arms=(toy.arms[0], toy.arms[0]))
