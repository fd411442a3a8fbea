"""One suite over every registered network, and what is particular to each."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bayesight.errors import InvalidConfig, InvalidInput, UnknownName
from bayesight.models import MLP, MODELS, ResidualBlock, Standardisation, build, kaiming_normal

SHAPES = [(1, 28, 28), (3, 32, 40)]
SMALL = {name: {"side": 32} for name in ("lite0", "lite1", "lite2")}
every_model = pytest.mark.parametrize("name", MODELS.names())


def images(count, shape, seed=0):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


@every_model
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_the_two_parts(name, shape):
    model = build(name, shape, 7, seed=3, **SMALL.get(name, {})).eval()
    x = images(5, shape)
    assert model(x).shape == (5, 7)
    assert model.features(x).shape == (5, model.feature_size)
    assert torch.equal(model(x), model.head(model.features(x)))
    assert torch.equal(model.features(x), model.pool(model.stages(x)[-1]))


@every_model
def test_same_seed_same_weights_and_no_touch_of_the_global_generator(name):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one, same, other = (build(name, (1, 28, 28), 4, seed=s, **SMALL.get(name, {})) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = list(zip(one.parameters(), same.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not all(torch.equal(a, c) for a, _, c in pairs)


@every_model
def test_learns_one_batch_by_heart(name):
    model = build(name, (1, 28, 28), 3, seed=0, **SMALL.get(name, {}))
    x, y = images(12, (1, 28, 28)), torch.arange(12) % 3
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        loss = F.cross_entropy(model(x), y)
        if loss.item() < 0.05:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@every_model
def test_every_parameter_gets_a_gradient(name):
    model = build(name, (3, 28, 28), 5, seed=0, **SMALL.get(name, {}))
    model(images(4, (3, 28, 28))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_standardise_is_the_formula_and_travels_with_the_weights():
    layer = Standardisation(2)
    layer.fit([0.25, 0.5], [0.5, 0.0])
    x = images(3, (2, 4, 4))
    expected = torch.stack([(x[:, 0] - 0.25) / 0.5, x[:, 1] - 0.5], dim=1)
    torch.testing.assert_close(layer(x), expected)
    assert set(layer.state_dict()) == {"mean", "deviation"}


def test_kaiming_normal_keeps_the_variance_through_depth():
    layers = nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(400, 400), nn.ReLU())])
    torch.manual_seed(0)
    kaiming_normal(layers)
    x = torch.randn(200, 400)
    assert 0.2 < layers(x).square().mean().item() / x.square().mean().item() < 5
    weight = layers[0].weight
    assert math.isclose(weight.std().item(), math.sqrt(2 / 400), rel_tol=0.02)
    assert layers[0].bias.abs().max() == 0


def test_mlp_is_its_matrix_products():
    model = build("mlp", (1, 4, 4), 2, hidden=(6, 5), seed=4)
    x = images(3, (1, 4, 4))
    h = x.flatten(1)
    for layer in model.layers:
        h = (h @ layer.weight.T + layer.bias).clamp_min(0)
    torch.testing.assert_close(model(x), h @ model.head.weight.T + model.head.bias)
    assert sum(p.numel() for p in build("mlp", (1, 28, 28), 10).parameters()) == 669_706


def test_dropout_silences_its_share():
    model = build("mlp", (1, 4, 4), 2, hidden=(4000,), dropout=0.3, seed=0).train()
    torch.manual_seed(5)
    dropped = model.dropout(torch.ones(1, 4000))
    assert abs((dropped == 0).double().mean().item() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 4000)


def test_a_residual_block_with_a_silent_branch_is_the_identity():
    block = ResidualBlock(4, 4).eval()
    nn.init.zeros_(block.norm2.weight)
    x = images(2, (4, 8, 8))
    assert torch.equal(block(x), x)


def test_resnet_size_and_strides():
    model = build("resnet", (1, 28, 28), 10)
    assert sum(p.numel() for p in model.parameters()) == 222_570
    assert [tuple(m.shape[1:]) for m in model.stages(images(1, (1, 28, 28)))] == [
        (32, 14, 14),
        (64, 7, 7),
        (96, 4, 4),
    ]
    deeper = build("resnet", (1, 28, 28), 10, widths=(8, 16), depth=3, stem_stride=1)
    assert [tuple(m.shape[1:]) for m in deeper.stages(images(1, (1, 28, 28)))] == [(8, 28, 28)] * 3 + [
        (16, 14, 14)
    ] * 3


def test_wrong_names_options_and_shapes_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'resnet'"):
        build("resnet18x", (1, 28, 28), 10)
    with pytest.raises(InvalidConfig, match="did you mean 'dropout'"):
        build("mlp", (1, 28, 28), 10, droput=0.1)
    with pytest.raises(InvalidInput, match="28x28 or larger"):
        build("resnet", (1, 20, 28), 10)
    with pytest.raises(InvalidInput, match="called 'linear'"):
        build("mlp", (1, 28, 28), 10, hidden=())
    with pytest.raises(InvalidInput, match="at least one"):
        build("mlp", (1, 28, 28), 0)
    with pytest.raises(InvalidInput, match="depth"):
        build("resnet", (1, 28, 28), 10, depth=0)
    assert MODELS["mlp"] is MLP


@pytest.mark.parametrize("alone", [False, True])
def test_logits_of_very_many_classes_are_folded_into_signed_sums(alone):
    network = build("linear", (1, 6, 5), 40, seed=3).eval()
    network.answers_alone = alone
    images = torch.rand(50, 1, 6, 5, generator=torch.Generator().manual_seed(1))
    logits = network(images)
    if alone:
        logits = logits - logits.mean(1, keepdim=True)
    torch.testing.assert_close(network.evidence_features(images), logits, rtol=0, atol=0)
    network.widest = 12
    folded = network.evidence_features(images)
    assert folded.shape == (50, 12)
    # Each sum is of every twelfth logit, plus or minus: a column of +1, -1 and 0 that least squares finds.
    found = torch.linalg.lstsq(logits[:, 0::12].double(), folded[:, :1].double()).solution[:, 0]
    torch.testing.assert_close(found.abs(), torch.ones(4).double(), atol=1e-3, rtol=0)
    assert folded.dtype == torch.float32


def test_folded_logits_keep_distances_on_average():
    network = build("linear", (1, 40, 40), 3000, seed=3)
    network.widest = 500
    logits = torch.randn(40, 3000, generator=torch.Generator().manual_seed(2))
    ratio = F.pdist(network.folded(logits)) / F.pdist(logits)
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert ratio.std() < 0.06  # 1 / sqrt(2 * 500) is .032


def test_no_more_sums_than_the_logits_have_dimensions():
    assert build("linear", (1, 6, 5), 2000, seed=3).evidence_size == 30
    assert build("linear", (1, 6, 5), 1024, seed=3).evidence_size == 1024


def test_a_network_that_is_one_layer_learns_as_any_other():
    network = build("linear", (1, 28, 28), 3)
    network.freeze()
    assert not network.learns_head_alone  # its features for evidence are not what its layer takes
