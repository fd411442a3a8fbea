"""Language trials: the whole of what is held out is judged once, and pairs are what they are said to be."""

import math

import pytest
import torch

from bayesight.milestones.bench.claim import Keys, key
from bayesight.milestones.bench.language import (
    TARGET_OF_NONE,
    KeyedSequences,
    in_context,
    next_character,
)
from bayesight.milestones.bench.workbench import Bench
from bayesight.training.hardware import choose_hardware


class OneText:
    """Sources of a text."""

    def __init__(self, text):
        from bayesight.milestones.bench.sources import Text

        self.text = Text(text, "a text")


def recipe(**data):
    return Keys(
        data=key("characters", batch=4, context=16, **data),
        model=key("transformer", layers=1, width=16, heads=2),
        loss=key("next_character"),
        optimization=key("adam", lr=3e-3, steps=3),
    )


def bench(text="abc" * 400):
    return Bench(OneText(text), 0, choose_hardware(precision="32", threads=1))


def test_the_loss_is_over_the_whole_part_held_out():
    """The same as a loop over its stretches, one by one; what was held out is never learned from."""
    text = "abc" * 300 + "xyz" * 101  # the last part has other letters
    surroundings = bench(text)
    found = next_character([recipe(held_out=303 / 1203)], surroundings)
    assert found.values["loss"] > math.log(6)  # it has only seen the others
    learned = next_character([recipe(held_out=0.25).changed({"optimization.steps": 60})], bench())
    assert learned.values["loss"] < 0.4
    assert learned.values["parameters"] > 0


def test_in_each_sequence_a_key_has_one_value_and_it_changes_between_sequences():
    symbols, targets, shown = KeyedSequences(50, 20, 6, seed=1).drawn(4)
    keys, values = symbols[:, ::2], symbols[:, 1::2]
    assert keys.max() < 6 <= values.min()
    assert values.max() < 12
    assert torch.equal(targets[:, ::2], values)
    assert (targets[:, 1::2] == TARGET_OF_NONE).all()
    assignments = set()
    for row in range(50):
        pairs = list(zip(keys[row].tolist(), values[row].tolist(), strict=True))
        assert len(set(pairs)) == len({k for k, _ in pairs})
        assignments.add(tuple(sorted(set(pairs))))
        assert shown[row].tolist() == [
            sum(k == before for before, _ in pairs[:i]) for i, (k, _) in enumerate(pairs)
        ]
    assert len(assignments) == 50
    assert torch.equal(KeyedSequences(50, 20, 6, seed=1).drawn(4)[0], symbols)


def test_without_learning_a_value_is_guessed():
    arm = Keys(
        data=key("pairs", batch=4, count=12, symbols=5),
        model=key("transformer", layers=1, width=16, heads=2),
        loss=key("next_value"),
        optimization=key("adam", lr=1e-6, steps=1),
    )
    found = in_context([arm], bench()).values
    assert set(found) == {"0_shot", "1_shot", "2_shot", "4_shot"}
    assert all(value == pytest.approx(0.1, abs=0.13) for value in found.values())
