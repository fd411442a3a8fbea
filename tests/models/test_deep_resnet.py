"""The networks of the paper's section 4.2: sizes, shortcuts, and plain ones beside them."""

import pytest
import torch
from torch import nn

from bayesight.errors import InvalidInput
from bayesight.models import ResidualBlock, build

CIFAR = {"widths": (16, 32, 64), "stem_stride": 1}


def size(**options):
    return sum(p.numel() for p in build("resnet", (3, 32, 32), 10, **CIFAR, **options).parameters())


@pytest.mark.parametrize(("depth", "millions"), [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85), (18, 1.7)])
def test_table_6_of_the_paper(depth, millions):
    assert round(size(depth=depth, shortcut="pad") / 1e6, 2 if millions < 1 else 1) == millions
    assert size(depth=depth, shortcut="none") == size(depth=depth, shortcut="pad")


def test_a_padded_shortcut_takes_every_second_pixel_and_adds_zeros():
    block = ResidualBlock(2, 5, 2, shortcut="pad").eval()
    nn.init.zeros_(block.norm2.weight)
    x = torch.rand(1, 2, 8, 8)
    y = block(x)
    assert torch.equal(y[:, :2], x[:, :, ::2, ::2])
    assert not y[:, 2:].any()


def test_a_plain_block_adds_nothing():
    block = ResidualBlock(3, 3, shortcut="none").eval()
    nn.init.zeros_(block.norm2.weight)
    assert not block(torch.rand(2, 3, 5, 5)).any()


def test_the_default_is_what_it_was():
    model = build("resnet", (1, 28, 28), 10, seed=4)
    named = build("resnet", (1, 28, 28), 10, seed=4, shortcut="project")
    assert list(model.state_dict()) == list(named.state_dict())
    assert sum(p.numel() for p in model.parameters()) == 222_570


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidInput, match="shortcut is 'b'; expected 'project', 'pad' or 'none'"):
        build("resnet", (1, 28, 28), 10, shortcut="b")
    with pytest.raises(InvalidInput, match="widths that do not fall"):
        build("resnet", (1, 28, 28), 10, widths=(32, 16), shortcut="pad")
