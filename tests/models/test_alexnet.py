"""AlexNet: the published count, its convolution against an independent one, and its two variants."""

import pytest
import torch
import torch.nn.functional as F

from bayesight.errors import InvalidInput
from bayesight.models import build


def test_the_published_network_has_the_published_parameters():
    model = build("alexnet", (3, 224, 224), 1000)
    assert sum(p.numel() for p in model.parameters()) == 61_100_840
    maps = model.eval().stages(torch.zeros(1, 3, 224, 224))
    shapes = [tuple(m.shape[1:]) for m in maps]
    assert shapes == [
        (64, 27, 27),
        (192, 13, 13),
        (384, 13, 13),
        (256, 13, 13),
        (256, 6, 6),
        (4096,),
        (4096,),
    ]


def test_a_convolution_is_unfold_and_a_matrix_product():
    model = build("alexnet", (3, 70, 66), 4, hidden=8, seed=2).double()
    first, second = model.convolutions[0][0], model.convolutions[1][0]
    x = torch.rand(2, 3, 70, 66, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for layer, inputs in ((first, x), (second, first(x))):
        columns = F.unfold(inputs, layer.kernel_size, padding=layer.padding, stride=layer.stride)
        product = layer.weight.flatten(1) @ columns + layer.bias[:, None]
        expected = layer(inputs)
        assert torch.allclose(product.view_as(expected), expected, atol=1e-12)


def test_the_variant_follows_the_image_and_can_be_named():
    assert len(build("alexnet", (1, 28, 28), 10).convolutions) == 3
    assert len(build("alexnet", (3, 64, 64), 10, hidden=16).convolutions) == 5
    assert len(build("alexnet", (3, 64, 64), 10, variant="small").convolutions) == 3


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((1, 28, 28), {"variant": "published"}, "images of 28x28; expected 63x63 or larger"),
        ((1, 12, 12), {}, "expected 16x16 or larger. Read them with --size 16"),
        ((1, 28, 28), {"variant": "large"}, "variant is 'large'; expected 'auto', 'published' or 'small'"),
        ((1, 28, 28), {"dropout": 1.5}, "dropout is 1.5; expected a number from 0 to below 1"),
        ((1, 28, 28), {"hidden": 0}, r"whole number from 1 to 65536 \(the nearest valid value is 1\)"),
    ],
)
def test_what_cannot_be_is_refused(shape, options, words):
    with pytest.raises(InvalidInput, match=words):
        build("alexnet", shape, 3, **options)


def test_dropout_acts_while_training_only():
    model = build("alexnet", (1, 28, 28), 3, seed=0)
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))
