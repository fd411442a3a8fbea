import math

import pytest
import torch

from bayesight.belief.features import features_of, reader_of
from bayesight.errors import InvalidConfig, InvalidInput
from bayesight.models import build
from bayesight.models.text import PADDING

SHAPE = (60, 1, 12)
SMALL = {"layers": 2, "width": 16, "heads": 2}


def texts(count, generator=0):
    drawn = torch.randint(1, 60, (count, 12), generator=torch.Generator().manual_seed(generator))
    lengths = torch.arange(count) % 11 + 2
    return drawn.masked_fill(torch.arange(12) >= lengths[:, None], PADDING).int()


def test_features_are_the_mean_over_places_at_a_mean_square_of_one():
    network = build("bert", SHAPE, 3, seed=1, **SMALL).eval()
    x = texts(6)
    found = network.features(x)
    for row, text in zip(found, x, strict=True):
        alone = text[text != PADDING][None].long()
        mean = network.encoder(alone)[0].mean(0)
        expected = mean / mean.norm() * math.sqrt(16)
        assert torch.allclose(row, expected, atol=1e-5)
    assert torch.equal(network.evidence_features(x), found)
    assert torch.allclose(network(x), network.head(found))
    assert network.evidence_size == 16


@pytest.mark.parametrize("batch", [1, 3, 64, 70])
def test_batches_of_any_size_give_the_same_bits(batch):
    network = build("bert", SHAPE, 3, **SMALL)
    x = texts(70)
    reader = reader_of(network, "32")
    whole = features_of(reader, [(x, None)])
    assert torch.equal(features_of(reader, [(part, None) for part in x.split(batch)]), whole)


def test_padding_is_left_out_of_a_training_batch_and_changes_nothing():
    network = build("bert", SHAPE, 3, **SMALL)
    x = texts(3)
    symbols, present = network.train().present(x)
    assert symbols.shape == present.shape == (3, 4)
    assert torch.allclose(network(x), network.eval()(x), atol=1e-5)
    assert network.present(x)[0].shape == (3, 12)


def test_initial_weights_follow_from_the_seed():
    one, same, other = (build("bert", SHAPE, 3, seed=seed, **SMALL).state_dict() for seed in (1, 1, 2))
    name = "encoder.embed.symbol.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


@pytest.mark.parametrize(("tune", "learned"), [(None, 2), (0, 0), (1, 1), (2, 2)])
def test_the_last_blocks_learn_and_the_others_are_held(tune, learned):
    network = build("bert", SHAPE, 3, tune=tune, **SMALL)
    network.freeze()
    blocks = [block.expand.weight.requires_grad for block in network.encoder.blocks]
    assert blocks == [False] * (2 - learned) + [True] * learned
    assert network.encoder.embed.symbol.weight.requires_grad == (tune is None)
    assert network.learns_head_alone == (tune == 0)
    assert not network.encoder.transform.weight.requires_grad


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidInput, match=r"model.tune: got 3 of 2 blocks; expected 0 to 2"):
        build("bert", SHAPE, 3, tune=3, **SMALL)
    with pytest.raises(InvalidInput, match=r"model.places: got 4; expected 12 or more"):
        build("bert", SHAPE, 3, places=4, **SMALL)
    with pytest.raises(InvalidConfig, match="no option 'hidden'"):
        build("bert", SHAPE, 3, hidden=(3,))
