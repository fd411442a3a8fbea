"""The moving average of the weights: its formula, and the model's own weights left as they were."""

import math

import pytest
import torch
from torch import nn

from bayesight.errors import InvalidInput
from bayesight.training.average import WeightAverage


def test_the_average_is_its_formula():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, 0.6)
    shadow = model.weight.item()
    for step, value in enumerate([1.0, 2.0, -1.0, 4.0, 4.0, 4.0]):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update(step)
        decay = min(0.6, (1 + step) / (10 + step))
        shadow = decay * shadow + (1 - decay) * value
    with average.applied():
        assert math.isclose(model.weight.item(), shadow, rel_tol=1e-6)
    assert model.weight.item() == 4.0


def test_buffers_are_averaged_and_counters_are_not():
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, 0.5)
    model.running_mean.fill_(4.0)
    model.num_batches_tracked.fill_(7)
    average.update(100)
    with average.applied():
        assert model.running_mean.tolist() == [2.0, 2.0]
        assert model.num_batches_tracked.item() == 7
    assert model.running_mean.tolist() == [4.0, 4.0]


def test_the_models_own_weights_come_back_whatever_happens():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, 0.5)
    own = model.weight.item()
    with torch.no_grad():
        model.weight.add_(1)
    with pytest.raises(ZeroDivisionError), average.applied():
        raise ZeroDivisionError
    assert model.weight.item() == pytest.approx(own + 1)


def test_it_begins_anew_from_the_weights_of_now():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, 0.9)
    nn.init.constant_(model.weight, 5.0)
    average.restart()
    with average.applied():
        assert model.weight.item() == 5.0


@pytest.mark.parametrize("decay", [-0.1, 1.5, math.nan])
def test_what_is_no_decay_is_refused(decay):
    with pytest.raises(InvalidInput, match=r"optimization\.average"):
        WeightAverage(nn.Linear(1, 1), decay)
