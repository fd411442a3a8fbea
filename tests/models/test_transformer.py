"""The transformer against torch's own attention and encoder layer; no place sees what comes after it."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bayesight.errors import InvalidInput
from bayesight.models import CausalTransformer
from bayesight.models.transformer import Block, SelfAttention


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_is_scaled_dot_product_attention(causal):
    torch.manual_seed(3)
    attention = SelfAttention(12, 3, causal=causal).double()
    x = numbers(2, 7, 12)
    q, k, v = (part.view(2, 7, 3, 4).transpose(1, 2) for part in attention.project_in(x).chunk(3, -1))
    gathered = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    expected = attention.project_out(gathered.transpose(1, 2).reshape(2, 7, 12))
    assert torch.allclose(attention(x), expected, atol=1e-14)


def torch_layer(block):
    """Torch's encoder layer with a block's weights."""
    other = nn.TransformerEncoderLayer(
        16, 4, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
    ).train()  # in evaluation mode torch takes a fused path
    pairs = {
        other.self_attn.in_proj_weight: block.attention.project_in.weight,
        other.self_attn.in_proj_bias: block.attention.project_in.bias,
        other.self_attn.out_proj.weight: block.attention.project_out.weight,
        other.self_attn.out_proj.bias: block.attention.project_out.bias,
        other.linear1.weight: block.expand.weight,
        other.linear1.bias: block.expand.bias,
        other.linear2.weight: block.contract.weight,
        other.linear2.bias: block.contract.bias,
    }
    for theirs, ours in pairs.items():
        theirs.copy_(ours)
    return other


@torch.no_grad()
def test_a_block_is_torchs_encoder_layer_on_the_same_weights():
    torch.manual_seed(5)
    block, x = Block(16, 4, causal=False).double().eval(), numbers(3, 9, 16, seed=2)
    assert torch.allclose(block(x), torch_layer(block)(x), atol=1e-13)


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_the_whole_is_torchs_layers_under_a_causal_mask(tied):
    model = CausalTransformer(11, 8, layers=3, width=16, heads=4, tied=tied, seed=4).double().eval()
    symbols = torch.randint(11, (2, 6), generator=torch.Generator().manual_seed(1))
    x = model.symbol.weight[symbols] + model.place.weight[:6]
    mask = nn.Transformer.generate_square_subsequent_mask(6, dtype=torch.float64)
    for block in model.blocks:
        x = torch_layer(block)(x, src_mask=mask, is_causal=True)
    expected = F.layer_norm(x, (16,)) @ (model.symbol if tied else model.head).weight.T
    assert torch.allclose(model(symbols), expected, atol=1e-13)


@torch.no_grad()
def test_a_later_symbol_changes_nothing_before_it():
    model = CausalTransformer(11, 8, layers=2, width=12, heads=3, seed=1).double().eval()
    symbols = torch.arange(8)[None] % 11
    changed = symbols.clone()
    changed[0, 5] = 10
    before, after = model(symbols), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_it_starts_with_even_odds_from_its_seed():
    torch.manual_seed(9)
    state = torch.get_rng_state()
    one, same, other = (CausalTransformer(65, 16, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.symbol.weight, same.symbol.weight)
    assert not torch.equal(one.symbol.weight, other.symbol.weight)
    symbols = torch.randint(65, (4, 16), generator=torch.Generator().manual_seed(0))
    loss = F.cross_entropy(one(symbols).flatten(0, 1), symbols.roll(1).flatten())
    assert loss.item() == pytest.approx(math.log(65), abs=0.15)


def test_the_last_layer_is_the_embedding_or_its_own():
    tied = CausalTransformer(65, 16, layers=1, width=8, heads=2)
    own = CausalTransformer(65, 16, layers=1, width=8, heads=2, tied=False)
    assert tied.head.weight is tied.symbol.weight
    count = [sum(p.numel() for p in model.parameters()) for model in (tied, own)]
    assert count[1] - count[0] == 65 * 8


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidInput, match="a width that the heads divide"):
        CausalTransformer(5, 4, width=10, heads=3)
    with pytest.raises(InvalidInput, match="at least 1 of each"):
        CausalTransformer(5, 4, layers=0)
    with pytest.raises(InvalidInput, match="9 places; expected 4 at most"):
        CausalTransformer(5, 4, layers=1, width=8, heads=2)(torch.zeros(1, 9, dtype=torch.long))
