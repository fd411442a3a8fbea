"""A generative model's recipe against data: batches with noise, turns, and what is measured."""

import pytest
import torch
from torch import nn

from bayesight.data.batches import Batches
from bayesight.errors import InvalidInput
from bayesight.models import GENERATORS, build_generator
from bayesight.training.engine import fit
from bayesight.training.generation import FEWEST, NoiseBatches, generation, measure_generator
from bayesight.training.recipe import Recipe

SMALL = {
    "autoencoder": {"hidden": [12], "code": 4},
    "gan": {"code": 4, "widths": [6]},
    "vae": {"code": 4, "widths": [6]},
}
MODEL = nn.Linear(1, 1)  # only asked on which device it is
every_model = pytest.mark.parametrize("name", GENERATORS.names())


def recipe(name, **changes):
    options = {f"model.{option}": value for option, value in SMALL[name].items()}
    default = Recipe.default(name)
    return default.changed(
        {"data.batch": 16, "optimization.epochs": 2, "data.augment": {"name": "none"}, **options, **changes}
    )


def test_a_batch_is_its_images_and_noise_of_its_step(examples):
    batches = Batches(examples(40), 8, 3)
    noisy = NoiseBatches(batches, 5000, seed=7)
    images, noise = noisy(MODEL, 2)
    assert torch.equal(images, batches(MODEL, 2)[0])
    assert noise.shape == (8, 5000)
    assert float(noise.mean()) == pytest.approx(0, abs=4 / 40_000**0.5)
    assert float(noise.std()) == pytest.approx(1, abs=4 / 80_000**0.5)
    assert torch.equal(noise, noisy(MODEL, 2)[1])
    assert not torch.equal(noise, noisy(MODEL, 3)[1])
    assert not torch.equal(noise, NoiseBatches(batches, 5000, seed=8)(MODEL, 2)[1])


@every_model
def test_a_recipe_becomes_a_plan_that_trains(name, examples, hardware):
    plan = generation(recipe(name), examples(48), examples(20, seed=1), hardware)
    assert (plan.budget.steps, plan.budget.evaluate_every) == (6, 3)
    turns = list(plan.network.turns())
    assert [update.name for update in plan.task.updates] == list(plan.task.losses) == turns
    assert set(plan.budget.diverged_above) == {f"{turn}.total" for turn in turns}
    monitor = plan.network.monitor
    assert plan.budget.monitor == (monitor.name if monitor else None)
    assert (plan.budget.patience is None) or monitor is not None
    before = {key: value.clone() for key, value in plan.network.named_parameters()}
    state = fit(plan.task, plan.budget, fabric=hardware.fabric, evaluate=plan.evaluate)
    assert set(state.history[0]) >= {one.name for one in plan.network.measures}
    assert any(not torch.equal(value, before[key]) for key, value in plan.network.named_parameters())


@every_model
def test_measures_are_means_over_the_images_whatever_the_batch(name, examples):
    network = build_generator(name, (1, 8, 8), seed=0, **SMALL[name]).eval()
    data = examples(23)
    found = measure_generator(network, data, batch=512)
    images = torch.from_numpy(data.arrays[0]).float()[:, None] / 255
    if name == "autoencoder":
        with torch.no_grad():
            expected = (network(images) - images).square().flatten(1).sum(1).double().mean()
        assert found["squared_error"] == pytest.approx(float(expected), rel=1e-6)
        small = measure_generator(network, data, batch=5)
        assert small["squared_error"] == pytest.approx(found["squared_error"], rel=1e-6)
    assert set(found) == {one.name for one in network.measures}
    assert measure_generator(network, data) == found  # its noise is always the same


def test_what_cannot_be_trained_is_refused(examples, hardware):
    with pytest.raises(InvalidInput, match="got 15; expected at least 16"):
        generation(recipe("vae"), examples(FEWEST - 1), examples(20), hardware)
    averaged = recipe("vae", **{"optimization.average": 0.9})
    with pytest.raises(InvalidInput, match=r"optimization\.average: got a value"):
        generation(averaged, examples(20), examples(20), hardware)
