"""A milestone that takes no time, and a setting for it."""

import numpy as np
import pytest

from bayesight.milestones import Arm, Claim, Keys, Measurement, Milestone, Paper, Setting, Smoke, key


class Counting:
    """A trial that measures its recipe's number, and remembers how often it was asked."""

    def __init__(self):
        self.calls = []
        self.stop_after = None

    def __call__(self, recipes, bench):
        if self.stop_after is not None and len(self.calls) >= self.stop_after:
            raise KeyboardInterrupt
        self.calls.append((recipes[-1].model["size"], bench.seed))
        steps = recipes[-1].optimization["steps"]
        picture = np.full((4, 4), 200, np.uint8)
        value = recipes[-1].model["size"] * 0.1 + bench.seed * 0.01
        curve = tuple((float(s), 1.0 / s) for s in range(1, steps + 1))
        return Measurement({"accuracy": value}, curve, {"a square": picture})


@pytest.fixture
def counting():
    return Counting()


@pytest.fixture
def toy(counting):
    """Two arms that differ in their model; the larger one is better by .3."""

    def recipe(size):
        return Keys(key("none"), key("toy", size=size), key("none"), key("sgd", lr=0.1, steps=20))

    return Milestone(
        name="toy",
        year=1999,
        paper=Paper("Nobody", "On toys", "Nowhere", "https://example.org"),
        claim="Larger is better.",
        figure="3 points.",
        displaced="smaller toys",
        key="model",
        story="The model grew.",
        arms=(Arm("large", (recipe(8),), counting), Arm("small", (recipe(5),), counting)),
        claims=(Claim("large", "accuracy", ">=", against="small", margin=0.25, differs=("model",)),),
        metrics={"accuracy": "a share"},
        watched="loss",
        source="none",
        smoke=Smoke({"optimization.steps": 3}),
        minutes=0.1,
        differences=("It is a toy.",),
    )


@pytest.fixture
def setting(tmp_path):
    return Setting(out=tmp_path / "cards", threads=1)
