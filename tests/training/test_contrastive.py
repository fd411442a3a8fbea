"""Two views of one image among all others: the batches, the loss, and the weights that move."""

import numpy as np
import pytest
import torch
from torch import nn

from bayesight.data.batches import Batches
from bayesight.errors import InvalidInput
from bayesight.losses import nt_xent
from bayesight.models import build
from bayesight.training.contrastive import (
    FEWEST,
    TwoViews,
    contrastive,
    contrastive_loss,
    require_enough,
)
from bayesight.training.engine import fit
from bayesight.training.recipe import PretrainKey

KEY = PretrainKey(name="simclr", epochs=2, batch=32, projection=5, augment={"name": "glyph"})


MODEL = nn.Linear(1, 1)  # only asked on which device it is


def shade(images, generator):
    """An augmentation that darkens each image by a factor of its own."""
    return images * torch.rand(len(images), 1, 1, 1, generator=generator)


def test_both_views_are_of_the_same_images_and_differ(examples):
    batches = Batches(examples(40), 8, 3)
    views = TwoViews(batches, shade, seed=5)
    images, _ = batches(MODEL, 2)
    first, second = views(MODEL, 2)
    for view in (first, second):
        assert (view.shape, view.dtype) == (images.shape, torch.float32)
        factor = view.flatten(1).sum(1) / images.flatten(1).sum(1)
        torch.testing.assert_close(view, images * factor[:, None, None, None], atol=1e-5, rtol=0)
    assert not torch.allclose(first, second)
    again = TwoViews(batches, shade, seed=5)(MODEL, 2)
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])
    assert not torch.equal(first, TwoViews(batches, shade, seed=6)(MODEL, 2)[0])
    assert TwoViews(batches, shade, seed=5, dtype=torch.bfloat16)(MODEL, 0)[0].dtype == torch.bfloat16


def test_the_loss_sees_both_views_in_one_pass():
    sizes = []

    def model(images):
        sizes.append(len(images))
        return images.flatten(1)

    first, second = torch.randn(2, 6, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    found = contrastive_loss(0.2)(model, (first, second))["total"]
    assert sizes == [12]
    torch.testing.assert_close(found, nt_xent(first.flatten(1), second.flatten(1), 0.2))


def test_the_features_learn_and_the_last_layer_stays(examples, hardware):
    network = build("mlp", (1, 8, 8), 3, hidden=(12,), seed=1)
    before = {name: value.clone() for name, value in network.named_parameters()}
    task, budget = contrastive(KEY, network, examples(70), hardware, seed=4)
    assert (budget.steps, budget.evaluate_every, budget.monitor) == (4, 2, None)
    state = fit(task, budget, fabric=hardware.fabric)
    assert [set(row) >= {"pretrain.total"} for row in state.history] == [True, True]
    moved = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    assert moved
    assert not any(name.startswith("head") for name in moved)


def test_labels_are_not_looked_at(examples, hardware):
    data, weights = examples(64), []
    for labels in (data.labels, np.zeros_like(data.labels)):
        network = build("mlp", (1, 8, 8), 3, hidden=(12,), seed=1)
        named = type(data)(data.arrays, data.rows, labels)
        task, budget = contrastive(KEY, network, named, hardware, seed=4)
        fit(task, budget, fabric=hardware.fabric)
        weights.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    assert torch.equal(*weights)


def test_too_few_images_are_refused(examples):
    require_enough(examples(FEWEST))
    with pytest.raises(InvalidInput, match=r"31 images; expected at least 32.*--unlabelled"):
        require_enough(examples(FEWEST - 1))
