"""The shared trials: what they hand to the engine, and what they measure."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesight.data.batches import Examples
from bayesight.errors import InvalidInput, TrainingDiverged
from bayesight.milestones import Bench, Keys, key
from bayesight.milestones.bench import lines
from bayesight.milestones.bench.classifying import augment_of, moved
from bayesight.milestones.bench.rates import best_rate
from bayesight.milestones.bench.workbench import Sources, update_of
from bayesight.training.average import WeightAverage
from bayesight.training.engine import Task
from bayesight.training.hardware import choose_hardware


@pytest.fixture
def bench(toy):
    return Bench(Sources(toy), 4, choose_hardware(threads=1, precision="32"))


SWEEP = Keys(key("none"), key("none"), key("none"), key("sgd", lr=(0.1, 0.2, 0.4), steps=80))


def test_the_best_of_the_rates_counts(bench):
    seen = []

    def train(recipe, bench):
        rate = recipe.optimization["lr"]
        seen.append(rate)
        if rate == 0.4:
            raise TrainingDiverged("too high")
        return [9.0] * 30 + [1.0 / rate] * 50

    found = best_rate([SWEEP], bench, train)
    assert seen == [0.1, 0.2, 0.4]
    assert found.values == {"train_loss": 5.0, "lr": 0.2}
    assert found.curve[0][1] == 9.0


def test_when_every_rate_diverges_it_says_so(bench):
    def train(recipe, bench):
        raise TrainingDiverged("no")

    with pytest.raises(TrainingDiverged, match="diverged with every rate; name lower ones"):
        best_rate([SWEEP], bench, train)


def test_the_weights_that_a_metric_chooses_are_kept(bench):
    """The metric is least at the tenth of the twenty looks, while the loss goes on falling."""
    seen = []

    def evaluate(model):
        seen.append(model.weight.item())
        return {"loss": abs(len(seen) - 10.0)}

    model = torch.nn.Linear(1, 1, bias=False)
    update = update_of(key("sgd", lr=0.01, steps=40), model)
    loss = {"train": lambda model, batch: {"total": model(batch[0]).sum()}}
    task = Task(lambda model, step: (torch.ones(1, 1),), model, loss, [update])
    losses = bench.fit(task, 40, evaluate=evaluate, monitor="loss")
    assert len(seen) == 20
    assert losses == sorted(losses, reverse=True)
    assert model.weight.item() == seen[9] != seen[-1]


def test_moved_letters_are_whole_and_where_they_should_be():
    images = np.full((300, 28, 28), 7, np.uint8)
    out = moved(Examples((images,), np.arange(300), np.zeros(300, np.int64)), 40, 6, 1)
    pixels = out.images(np.arange(300))[:, 0].numpy()
    assert pixels.shape == (300, 40, 40)
    assert (pixels.sum((1, 2), dtype=np.int64) == 7 * 28 * 28).all()
    tops = {int(np.flatnonzero(image.any(1))[0]) for image in pixels}
    assert tops == set(range(13))  # 6 in the middle, 6 to either side


def test_moving_off_the_canvas_is_refused():
    examples = Examples((np.zeros((2, 28, 28), np.uint8),), np.arange(2), np.zeros(2, np.int64))
    with pytest.raises(InvalidInput, match="got 7; expected 0 to 6 on a canvas of 40"):
        moved(examples, 40, 7, 0)


def test_an_optimization_key_becomes_an_update():
    model = torch.nn.Linear(3, 2)
    update = update_of(
        key("nesterov", lr=0.2, momentum=0.8, steps=10, schedule=key("constant", warmup=0.5), clip_norm=1.0),
        model,
    )
    assert update.optimizer.param_groups[0]["momentum"] == 0.8
    assert [update.schedule(step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 1.0])
    assert update.clip_norm == 1.0
    assert update_of(key("sgd", lr=0.2, steps=10), model).schedule(3) == 1.0


def test_what_is_kept_is_the_last_weight_or_the_moving_average(bench):
    """The weight is k after step k; its average moves towards it by 1 - min(.5, (1 + s) / (10 + s))."""
    optimization = key("sgd", lr=1.0, steps=20, average=0.5)
    kept = {}
    for decay in (None, optimization["average"]):
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(model.weight)
        downhill = {"train": lambda model, batch: {"total": -model(batch[0]).sum()}}
        task = Task(
            lambda model, step: (torch.ones(1, 1),), model, downhill, [update_of(optimization, model)]
        )
        average = None if decay is None else WeightAverage(model, decay)
        bench.fit(task, optimization["steps"], average=average)
        kept[decay] = model.weight.item()
    expected = 0.0
    for step in range(20):
        expected += (1 - min(0.5, (1 + step) / (10 + step))) * (step + 1 - expected)
    assert kept[None] == 20
    assert kept[0.5] == pytest.approx(expected, rel=1e-6)


def test_an_augmentation_is_named_or_left_out():
    assert augment_of(key("letters", batch=2)) is None
    assert augment_of(key("letters", augment="glyph")) is not None


def test_one_batch_is_the_first_of_every_step(bench):
    recipe = Keys(
        key("line", points=30, slope=1.0, intercept=0.0, noise=0.1),
        key("line"),
        key("squared_error"),
        key("sgd", lr=0.1, steps=30),
    )
    one = lines.fit_by_descent([recipe], replace(bench, one_batch=True))
    assert one.values == lines.fit_by_descent([recipe], bench).values  # every batch is the whole


def test_descent_bayes_and_numpy_agree_on_the_line(bench):
    data = key("line", points=50, slope=-1.5, intercept=0.7, noise=0.3)
    x, y = lines.points_of(data, bench)
    slope, intercept = np.polyfit(x.numpy(), y.numpy(), 1)
    descent = Keys(data, key("line"), key("squared_error"), key("sgd", lr=0.1, momentum=0.9, steps=500))
    bayes = replace(descent, model=key("line", prior_precision=1e-9))
    for found in (lines.fit_by_descent([descent], bench), lines.fit_by_bayes([bayes], bench)):
        assert found.values["slope"] == pytest.approx(slope, abs=1e-5)
        assert found.values["intercept"] == pytest.approx(intercept, abs=1e-5)
        assert found.values["slope_error"] < 1e-5
    assert found.values["slope_low"] < slope < found.values["slope_high"]
    averages = lines.fit_by_averages([descent], bench).values
    assert averages["squared_error"] > found.values["squared_error"]


def test_least_squares_agree_with_lapack():
    x = torch.rand(200, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 7 - 2
    y = 1.7 * x - 0.4 + torch.randn(200, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    design = torch.stack([x, torch.ones_like(x)], 1)
    expected = torch.linalg.lstsq(design, y[:, None]).solution[:, 0].tolist()
    assert lines.least_squares(x, y) == pytest.approx(expected, rel=1e-12)
