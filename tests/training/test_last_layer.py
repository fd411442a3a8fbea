"""The last layer trained on features of a frozen network."""

import numpy as np
import torch

from bayesight.belief.absorbed import Rows
from bayesight.data.batches import Examples
from bayesight.training.classification import classification
from bayesight.training.engine import fit
from bayesight.training.hardware import choose_hardware
from bayesight.training.last_layer import last_layer, reads_once
from bayesight.training.recipe import Recipe

RECIPE = Recipe.default("lite0").changed({"model.side": 32, "data.batch": 8, "optimization.epochs": 30})


def rows(count, seed):
    """Features of two classes two apart in every dimension."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    features = torch.randn(count, 1280, generator=generator) + 2 * labels[:, None] - 1
    return Rows(features, labels, torch.zeros(count, 16, dtype=torch.uint8))


def planned(recipe=RECIPE):
    array = np.zeros((4, 28, 28), np.uint8)
    images = Examples((array,), np.arange(4), np.arange(4) % 2)
    hardware = choose_hardware(precision="32", threads=1, device="cpu")
    return classification(recipe, images, images, 2, hardware), hardware


def test_the_head_learns_from_features_and_nothing_else_moves():
    plan, hardware = planned()
    before = {name: value.clone() for name, value in plan.network.state_dict().items()}
    alone = last_layer(plan, RECIPE, rows(20, 0), rows(40, 1), hardware)
    assert alone.budget.steps == 90
    state = fit(alone.task, alone.budget, fabric=hardware.fabric, evaluate=alone.evaluate)
    assert min(row["log_loss"] for row in state.history) < 0.2
    moved = {n for n, v in plan.network.state_dict().items() if not torch.equal(v, before[n])}
    assert moved == {"head.weight", "head.bias"}


def test_a_pass_shows_every_row_once_in_an_order_of_its_own():
    plan, hardware = planned()
    known = rows(20, 0)
    alone = last_layer(plan, RECIPE, known, rows(4, 1), hardware)
    batches = [alone.task.data(plan.network.head, step) for step in range(6)]
    assert [len(batch[1]) for batch in batches] == [8, 8, 4, 8, 8, 4]
    passes = [torch.cat([batch[0][:, 0] for batch in batches[at : at + 3]]) for at in (0, 3)]
    assert all(torch.equal(one.sort().values, known.features[:, 0].sort().values) for one in passes)
    assert not torch.equal(*passes)


def test_features_stay_only_where_nothing_before_the_head_learns_or_changes():
    assert reads_once(RECIPE, planned()[0].network)
    tuned = RECIPE.changed({"model.tune": 1})
    assert not reads_once(tuned, planned(tuned)[0].network)
    viewed = RECIPE.changed({"data.augment": {"name": "photo"}})
    assert not reads_once(viewed, planned(viewed)[0].network)
    plain = Recipe.default("mlp")
    assert not reads_once(plain, planned(plain)[0].network)
