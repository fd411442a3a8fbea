"""U-Net: sizes, skips, and that what it answers of a pixel depends on where it should."""

import pytest
import torch

from bayesight.errors import InvalidInput
from bayesight.models.outline import initial_weights
from bayesight.models.unet import UNet


@pytest.mark.parametrize("size", [(8, 8), (48, 48), (45, 51)])
@pytest.mark.parametrize("skips", [True, False])
def test_the_answer_is_as_large_as_the_image(size, skips):
    network = UNet(3, 5, widths=(4, 8, 8, 8), skips=skips).eval()
    assert network(torch.rand(2, 3, *size)).shape == (2, 5, *size)


def test_without_skips_the_way_up_sees_the_deepest_map_alone():
    """Two images whose deepest maps are one answer alike; with skips they do not."""
    for skips in (True, False):
        with initial_weights(3):
            network = UNet(1, 2, widths=(4, 8), skips=skips).eval()
        network.down[-1].register_forward_hook(lambda *found: torch.ones_like(found[2]))
        one, other = network(torch.rand(2, 1, 8, 8)).unbind()
        assert torch.equal(one, other) is not skips


def test_parameters_of_the_skips():
    with_them, without = (
        sum(p.numel() for p in UNet(1, 3, widths=(4, 8, 16), skips=skips).parameters())
        for skips in (True, False)
    )
    assert with_them - without == 9 * (8 * 8 + 4 * 4)


def test_images_too_small_and_widths_that_are_none():
    with pytest.raises(InvalidInput, match="8x8 or larger"):
        UNet(1, 2)(torch.rand(1, 1, 7, 9))
    with pytest.raises(InvalidInput, match="widths"):
        UNet(1, 2, widths=())
