"""The transformer against torch's attention and layers; no place sees what comes after it, or padding."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bayesight.errors import InvalidInput
from bayesight.models import CausalTransformer
from bayesight.models.transformer import (
    Attention,
    BidirectionalTransformer,
    Block,
    BlockShape,
    TranslationTransformer,
    sinusoids,
)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_is_scaled_dot_product_attention(causal):
    torch.manual_seed(3)
    attention = Attention(BlockShape(width=12, heads=3), causal=causal).double()
    x = numbers(2, 7, 12)
    q, k, v = (part.view(2, 7, 3, 4).transpose(1, 2) for part in attention.project_in(x).chunk(3, -1))
    gathered = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    expected = attention.project_out(gathered.transpose(1, 2).reshape(2, 7, 12))
    assert torch.allclose(attention(x), expected, atol=1e-14)


def torch_layer(block, width=16, heads=4, **style):
    """Torch's encoder layer, or with a cross-attention its decoder layer, with a block's weights."""
    kind = nn.TransformerEncoderLayer if block.cross is None else nn.TransformerDecoderLayer
    style = {"activation": "gelu", "norm_first": True} | style
    other = kind(width, heads, 4 * width, dropout=0.0, batch_first=True, dtype=torch.float64, **style).train()
    attentions = {other.self_attn: block.attention}  # in evaluation mode torch takes a fused path
    norms = {other.norm1: block.norm1}
    if block.cross is None:
        norms[other.norm2] = block.norm2
    else:
        attentions[other.multihead_attn] = block.cross
        norms |= {other.norm2: block.norm3, other.norm3: block.norm2}
    for theirs, ours in attentions.items():
        theirs.in_proj_weight.copy_(ours.project_in.weight)
        theirs.in_proj_bias.copy_(ours.project_in.bias)
        theirs.out_proj.load_state_dict(ours.project_out.state_dict())
    for theirs, ours in norms.items():
        theirs.load_state_dict(ours.state_dict())
    other.linear1.load_state_dict(block.expand.state_dict())
    other.linear2.load_state_dict(block.contract.state_dict())
    return other


def jolted(module, seed=7):
    """The module with every parameter moved, so that none stands at an initial 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return module.eval()


STYLES = [
    {"norm_first": first, "activation": activation}
    for first in (True, False)
    for activation in ("gelu", "relu")
]


@torch.no_grad()
@pytest.mark.parametrize("style", STYLES)
def test_a_block_is_torchs_encoder_layer_on_the_same_weights(style):
    torch.manual_seed(5)
    block = jolted(Block(BlockShape(width=16, heads=4, **style), causal=False).double())
    x, present = numbers(3, 9, 16, seed=2), torch.ones(3, 9, dtype=torch.bool)
    present[1, 6:] = False
    expected = torch_layer(block, **style)(x, src_key_padding_mask=~present)
    assert torch.allclose(block(x, present=present), expected, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("style", STYLES)
def test_a_block_that_crosses_is_torchs_decoder_layer(style):
    torch.manual_seed(6)
    block = jolted(Block(BlockShape(width=16, heads=4, **style), causal=True, crosses=True).double())
    x, memory = numbers(3, 5, 16, seed=2), numbers(3, 9, 16, seed=3)
    present = torch.ones(3, 9, dtype=torch.bool)
    present[2, 4:] = False
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    expected = torch_layer(block, **style)(x, memory, tgt_mask=mask, memory_key_padding_mask=~present)
    assert torch.allclose(block(x, memory=memory, memory_present=present), expected, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_the_whole_is_torchs_layers_under_a_causal_mask(tied):
    model = CausalTransformer(11, 8, layers=3, width=16, heads=4, tied=tied, seed=4).double().eval()
    symbols = torch.randint(11, (2, 6), generator=torch.Generator().manual_seed(1))
    x = model.embed.symbol.weight[symbols] + model.embed.place.weight[:6]
    mask = nn.Transformer.generate_square_subsequent_mask(6, dtype=torch.float64)
    for block in model.blocks:
        x = torch_layer(block)(x, src_mask=mask, is_causal=True)
    expected = F.layer_norm(x, (16,)) @ (model.embed.symbol if tied else model.head).weight.T
    assert torch.allclose(model(symbols), expected, atol=1e-13)


KINDS = [
    {},
    {"positions": "rotary", "norm": "rms", "qk_norm": True, "activation": "relu_squared", "bias": False},
    {"positions": "sinusoidal", "norm_first": False, "activation": "gelu_tanh", "tied": False},
]


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_later_symbol_changes_nothing_before_it(kind):
    model = jolted(CausalTransformer(11, 8, layers=2, width=12, heads=3, seed=1, **kind).double())
    symbols = torch.arange(8)[None] % 11
    changed = symbols.clone()
    changed[0, 5] = 10
    before, after = model(symbols), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_symbols_one_by_one_with_a_cache_are_the_whole_at_once(kind):
    model = jolted(CausalTransformer(11, 8, layers=2, width=12, heads=3, seed=1, **kind).double())
    symbols, cache = torch.randint(11, (3, 8), generator=torch.Generator().manual_seed(2)), model.new_cache()
    pieces = [model(symbols[:, :3], cache), *(model(symbols[:, i : i + 1], cache) for i in range(3, 8))]
    assert torch.allclose(torch.cat(pieces, 1), model(symbols), atol=1e-13)
    assert cache.places == 8


@torch.no_grad()
def test_rotary_positions_count_distances_only():
    """The dot product of a query and a key depends on how far apart they are, not on where they stand."""
    shape = BlockShape(width=16, heads=2, positions="rotary")
    attention = Attention(shape, causal=True).double()
    x = numbers(1, 6, 16)
    embed = CausalTransformer(3, 100, layers=1, width=16, heads=2, positions="rotary").embed
    here, there = (attention(x, angles=embed.angles(6, start)) for start in (0, 77))
    assert torch.allclose(here, there, atol=1e-5)
    assert not torch.allclose(here, attention(x), atol=1e-2)


@torch.no_grad()
def test_padding_changes_nothing():
    source = torch.randint(1, 11, (2, 6), generator=torch.Generator().manual_seed(2))
    present = torch.tensor([[True] * 4 + [False] * 2] * 2)
    other = source.clone()
    other[:, 4:] = 10 - other[:, 4:]
    encoder = jolted(BidirectionalTransformer(11, 8, layers=2, width=12, heads=3).double())
    assert torch.equal(encoder(source, present)[:, :4], encoder(other, present)[:, :4])
    torch.testing.assert_close(encoder(source, present)[:, :4], encoder(source[:, :4]))
    both = jolted(TranslationTransformer(11, 8, layers=2, width=12, heads=3).double())
    target = source[:, :3]
    assert torch.equal(both(source, target, present), both(other, target, present))
    torch.testing.assert_close(both(source, target, present), both(source[:, :4], target, present[:, :4]))


@torch.no_grad()
@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("positions", ["sinusoidal", "rotary", "learned"])
def test_a_translation_word_by_word_is_the_whole_at_once(positions, qk_norm):
    shape = {"positions": positions, "qk_norm": qk_norm}
    model = jolted(TranslationTransformer(11, 8, layers=2, width=12, heads=3, **shape).double())
    generator = torch.Generator().manual_seed(2)
    source, target = (torch.randint(11, (3, n), generator=generator) for n in (7, 5))
    present = torch.ones(3, 7, dtype=torch.bool)
    present[1, 5:] = False
    memory, cache = model.encode(source, present), model.new_cache()
    pieces = [model.decode(target[:, i : i + 1], memory, present, cache) for i in range(5)]
    assert torch.allclose(torch.cat(pieces, 1), model(source, target, present), atol=1e-13)
    rows = torch.tensor([2, 0, 0])
    cache.select(rows)
    after = model.decode(target[rows, :1], memory[rows], present[rows], cache)
    whole = model(source[rows], torch.cat([target[rows], target[rows, :1]], 1), present[rows])
    assert torch.allclose(after, whole[:, -1:], atol=1e-13)


def test_sinusoids_are_those_of_the_paper():
    table = sinusoids(50, 6)
    for place, i in ((0, 0), (7, 1), (49, 2)):
        angle = place / 10000 ** (2 * i / 6)
        assert table[place, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
        assert table[place, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_a_zero_initialised_one_starts_with_even_odds_whatever_it_reads():
    model = CausalTransformer(11, 8, layers=2, width=12, heads=3, zero_init=True, tied=False)
    assert torch.equal(model(torch.randint(11, (2, 8))), torch.zeros(2, 8, 11))


def test_it_starts_with_even_odds_from_its_seed():
    torch.manual_seed(9)
    state = torch.get_rng_state()
    one, same, other = (CausalTransformer(65, 16, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.embed.symbol.weight, same.embed.symbol.weight)
    assert not torch.equal(one.embed.symbol.weight, other.embed.symbol.weight)
    symbols = torch.randint(65, (4, 16), generator=torch.Generator().manual_seed(0))
    loss = F.cross_entropy(one(symbols).flatten(0, 1), symbols.roll(1).flatten())
    assert loss.item() == pytest.approx(math.log(65), abs=0.15)


def test_the_last_layer_is_the_embedding_or_its_own():
    tied = CausalTransformer(65, 16, layers=1, width=8, heads=2)
    own = CausalTransformer(65, 16, layers=1, width=8, heads=2, tied=False)
    assert tied.head.weight is tied.embed.symbol.weight
    count = [sum(p.numel() for p in model.parameters()) for model in (tied, own)]
    assert count[1] - count[0] == 65 * 8


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidInput, match="a width that the heads divide"):
        CausalTransformer(5, 4, width=10, heads=3)
    with pytest.raises(InvalidInput, match="at least 1 of each"):
        CausalTransformer(5, 4, layers=0)
    with pytest.raises(InvalidInput, match="9 places; expected 4 at most"):
        CausalTransformer(5, 4, layers=1, width=8, heads=2)(torch.zeros(1, 9, dtype=torch.long))
