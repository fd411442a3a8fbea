"""A classifier's recipe against data: what is trained, what is measured, and what chooses the weights."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bayesight.bayes import sharpness
from bayesight.belief.absorbed import Rows
from bayesight.data.batches import Examples
from bayesight.errors import InvalidInput
from bayesight.losses.invariance import backdoor_weights
from bayesight.training.classification import (
    classification,
    environment_metrics,
    fit_last_layer,
    group_counts,
    last_layer,
    log_probabilities,
    log_probability_blocks,
    new_network,
    reads_once,
)
from bayesight.training.engine import fit
from bayesight.training.hardware import choose_hardware
from bayesight.training.recipe import Recipe

RECIPE = Recipe.default("mlp").changed(
    {"model.hidden": [8], "data.batch": 16, "optimization.epochs": 3, "optimization.average": 0.5}
)

FROZEN = Recipe.default("lite0").changed({"model.side": 32, "data.batch": 8, "optimization.epochs": 30})


class Fixed(nn.Module):
    """Answers by how bright an image is, surer of it than it should be."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        centres = torch.tensor([0.46, 0.7, 0.9])
        return -400 * (images.mean(dim=(1, 2, 3))[:, None] - centres).square()


def test_log_probabilities_are_those_of_the_model_in_order(examples):
    data = examples(23)
    images = torch.from_numpy(data.arrays[0]).float()[:, None] / 255
    expected = torch.log_softmax(Fixed()(images).double(), dim=1)
    for batch in (1, 7, 23, 100):
        found = log_probabilities(Fixed(), data, batch=batch)
        assert (found.dtype, found.shape) == (torch.float64, (23, 3))
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert [len(block) for block in log_probability_blocks(Fixed(), data, batch=10)] == [10, 10, 3]


def test_groups_are_counted(examples):
    data = examples(50, environments=2)
    counts = group_counts(data, 3)
    slow = [
        [sum((e, k) == pair for pair in zip(data.environments, data.labels, strict=True)) for k in range(3)]
        for e in range(2)
    ]
    assert counts.tolist() == slow
    with pytest.raises(InvalidInput, match="examples without environments"):
        group_counts(data.without_environments(), 3)


def test_figures_of_environments_against_a_loop():
    generator = torch.Generator().manual_seed(3)
    log_p = torch.randn(90, 3, generator=generator).double().log_softmax(1)
    labels = torch.randint(3, (90,), generator=generator)
    environments = torch.randint(2, (90,), generator=generator)
    found = environment_metrics(log_p, labels, environments, 3)
    groups = {}
    for row, label, where in zip(log_p, labels.tolist(), environments.tolist(), strict=True):
        groups.setdefault((where, label), []).append((float(row.argmax() == label), -float(row[label])))
    weights = backdoor_weights(torch.tensor([[len(groups[e, k]) for k in range(3)] for e in range(2)]))
    means = {group: np.mean(rows, axis=0) for group, rows in groups.items()}
    total = sum(float(weights[group]) * np.sum(rows, axis=0) for group, rows in groups.items()) / 90
    assert found["adjusted_accuracy"] == pytest.approx(float(total[0]))
    assert found["adjusted_log_loss"] == pytest.approx(float(total[1]))
    assert found["worst_group_accuracy"] == pytest.approx(min(mean[0] for mean in means.values()))
    assert found["worst_group_log_loss"] == pytest.approx(max(mean[1] for mean in means.values()))


def test_a_group_without_images_says_nothing():
    log_p = torch.full((4, 2), 0.5).double().log()
    found = environment_metrics(log_p, torch.tensor([0, 1, 0, 0]), torch.tensor([0, 0, 1, 1]), 2)
    assert math.isnan(found["adjusted_accuracy"])
    assert math.isnan(found["worst_group_accuracy"])
    assert found["adjusted_log_loss"] == found["worst_group_log_loss"] == math.inf


def test_the_network_normalises_by_the_training_images(examples):
    data = examples(40)
    network = new_network(RECIPE, data, 3)
    pixels = torch.from_numpy(data.arrays[0]).double() / 255
    images = (pixels.float())[:, None]
    seen = network.standardise(images)
    assert abs(float(seen.mean())) < 1e-4
    assert float(seen.std()) == pytest.approx(1, abs=1e-3)
    same = new_network(RECIPE, data, 3)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), same.parameters(), strict=True))


def test_a_recipe_becomes_a_plan_that_learns(examples, hardware):
    plan = classification(RECIPE, examples(64), examples(48, seed=1), 3, hardware)
    assert (plan.budget.steps, plan.budget.evaluate_every, plan.budget.monitor) == (
        12,
        4,
        "calibrated_log_loss",
    )
    assert plan.average.decay == 0.5
    before = plan.evaluate(plan.network.eval())
    state = fit(plan.task, plan.budget, fabric=hardware.fabric, evaluate=plan.evaluate, average=plan.average)
    assert set(before) == {"accuracy", "log_loss", "calibrated_log_loss", "ece"}
    assert state.best < before["calibrated_log_loss"]
    longer = RECIPE.changed({"optimization.epochs": 0.01, "optimization.average": None})
    short = classification(longer, examples(64), examples(48, seed=1), 3, hardware)
    assert (short.budget.steps, short.average) == (1, None)


def test_the_measures_are_those_of_the_answers(examples, hardware):
    data = examples(300, seed=2)
    plan = classification(RECIPE, examples(32), data, 3, hardware)
    found = plan.evaluate(Fixed())
    log_p, labels = log_probabilities(Fixed(), data), torch.from_numpy(data.labels)
    assert len(sharpness.judges(300, 3)) == 300
    assert found["accuracy"] == pytest.approx(float((log_p.argmax(1) == labels).double().mean()))
    losses = -log_p[torch.arange(300), labels]
    assert found["log_loss"] == pytest.approx(float(losses.mean()))
    temperatures = torch.logspace(-2, 2, 2001, dtype=torch.float64)
    best = min(float(-(log_p / t).log_softmax(1)[torch.arange(300), labels].mean()) for t in temperatures)
    assert found["calibrated_log_loss"] == pytest.approx(best, abs=1e-4)


def test_answers_that_are_no_numbers_are_measured_as_such(examples, hardware):
    class Broken(Fixed):
        def forward(self, images):
            return super().forward(images) * math.nan

    plan = classification(RECIPE, examples(32), examples(20, seed=1), 3, hardware)
    assert all(math.isnan(value) for value in plan.evaluate(Broken()).values())


def test_a_loss_that_sees_environments_gets_them_and_is_chosen_by_them(examples, hardware):
    recipe = RECIPE.changed({"loss": {"name": "groupdro"}})
    plan = classification(
        recipe, examples(64, environments=2), examples(60, seed=1, environments=2), 3, hardware
    )
    assert [part.shape for part in plan.task.data(plan.network, 0)[1:]] == [(16,), (16,)]
    assert "loss" in plan.task.stateful
    assert (plan.budget.diverged_above, plan.budget.monitor) == ({}, plan.task.stateful["loss"].monitor)
    assert plan.budget.monitor in plan.evaluate(plan.network.eval())
    blind = classification(RECIPE, examples(64, environments=2), examples(60, seed=1), 3, hardware)
    assert len(blind.task.data(blind.network, 0)) == 2
    pieces = recipe.changed({"optimization.accumulate": 2})
    with pytest.raises(InvalidInput, match="accumulate = 2; expected accumulate = 1"):
        classification(pieces, examples(64, environments=2), examples(60, 1, environments=2), 3, hardware)


def test_further_images_fill_their_share_of_every_batch(examples, hardware):
    recipe = RECIPE.changed({"data.also_share": 0.25, "data.augment": {"name": "none"}})
    white = examples(20, seed=3)
    white = replace(white, arrays=(np.full_like(white.arrays[0], 255),))
    plan = classification(recipe, examples(64), examples(20, seed=1), 3, hardware, also=white)
    for step in range(6):
        images, _ = plan.task.data(plan.network, step)
        assert int((images.flatten(1).min(1).values == 1).sum()) == 4


def rows(count, seed):
    """Features of two classes two apart in every dimension."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    features = torch.randn(count, 1280, generator=generator) + 2 * labels[:, None] - 1
    return Rows(features, labels, torch.zeros(count, 16, dtype=torch.uint8))


def planned(recipe=FROZEN):
    array = np.zeros((4, 28, 28), np.uint8)
    images = Examples((array,), np.arange(4), np.arange(4) % 2)
    hardware = choose_hardware(precision="32", threads=1, device="cpu")
    return classification(recipe, images, images, 2, hardware), hardware


def test_the_head_learns_from_features_and_nothing_else_moves():
    plan, hardware = planned()
    before = {name: value.clone() for name, value in plan.network.state_dict().items()}
    alone = last_layer(plan, FROZEN, rows(20, 0), rows(40, 1), hardware)
    assert alone.budget.steps == 90
    state = fit(alone.task, alone.budget, fabric=hardware.fabric, evaluate=alone.evaluate)
    assert min(row["log_loss"] for row in state.history) < 0.2
    moved = {n for n, v in plan.network.state_dict().items() if not torch.equal(v, before[n])}
    assert moved == {"head.weight", "head.bias"}


def test_a_pass_shows_every_row_once_in_an_order_of_its_own():
    plan, hardware = planned()
    known = rows(20, 0)
    alone = last_layer(plan, FROZEN, known, rows(4, 1), hardware)
    batches = [alone.task.data(plan.network.head, step) for step in range(6)]
    assert [len(batch[1]) for batch in batches] == [8, 8, 4, 8, 8, 4]
    passes = [torch.cat([batch[0][:, 0] for batch in batches[at : at + 3]]) for at in (0, 3)]
    assert all(torch.equal(one.sort().values, known.features[:, 0].sort().values) for one in passes)
    assert not torch.equal(*passes)


def test_features_stay_only_where_nothing_before_the_head_learns_or_changes():
    assert reads_once(FROZEN, planned()[0].network)
    tuned = FROZEN.changed({"model.tune": 1})
    assert not reads_once(tuned, planned(tuned)[0].network)
    viewed = FROZEN.changed({"data.augment": {"name": "photo"}})
    assert not reads_once(viewed, planned(viewed)[0].network)
    plain = Recipe.default("mlp")
    assert not reads_once(plain, planned(plain)[0].network)


def test_the_last_layer_is_fitted_first_to_the_features_as_they_are():
    recipe = FROZEN.changed({"model.tune": 2, "optimization.average": 0.9, "data.augment": {"name": "photo"}})
    labels = np.arange(40) % 2
    array = np.random.default_rng(0).integers(0, 99, (40, 28, 28)).astype(np.uint8)
    array[:, 14:] += (150 * labels[:, None, None]).astype(np.uint8)
    images = Examples((array,), np.arange(40), labels)
    hardware = choose_hardware(precision="32", threads=1, device="cpu")
    plan = classification(recipe, images, images, 2, hardware)
    before = {name: value.clone() for name, value in plan.network.state_dict().items()}
    found = plan.evaluate(plan.network.eval())["log_loss"]
    fit_last_layer(plan, recipe, images, images, hardware)
    assert plan.evaluate(plan.network.eval())["log_loss"] < 0.7 * min(found, 0.69)
    moved = {n for n, v in plan.network.state_dict().items() if not torch.equal(v, before[n])}
    assert moved == {"head.weight", "head.bias"}
    assert torch.equal(plan.average.shadow["head.weight"], plan.network.head.weight)
    rates = {group["lr"] for group in plan.task.updates[0].optimizer.param_groups}
    assert rates == {recipe.optimization.lr}
