"""Continuations: the same with a cache as without, rightly distributed, beyond the end of the context."""

from __future__ import annotations

import pytest
import torch

from bayesight.errors import InvalidInput
from bayesight.models import CausalTransformer
from bayesight.models.language import continuation


def network(context=8, **options):
    torch.manual_seed(3)
    model = CausalTransformer(11, context, layers=2, width=12, heads=3, seed=1, **options).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return model


def drawn(model, prompt, count, **options):
    return torch.stack(list(continuation(model, prompt, count, **options)), 1)


PROMPT = torch.tensor([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_with_a_cache_and_without_it_is_the_same_text(positions, temperature):
    model = network(positions=positions)
    one, other = (
        drawn(
            model, PROMPT, 30, temperature=temperature, generator=torch.Generator().manual_seed(5), cached=c
        )
        for c in (True, False)
    )
    assert one.shape == (2, 30)  # several times the context
    assert torch.equal(one, other)


@torch.no_grad()
def test_greedy_takes_the_most_probable_and_draws_follow_the_softmax():
    model = network()
    logits = model(PROMPT)[:, -1]
    assert torch.equal(drawn(model, PROMPT, 1, temperature=0)[:, 0], logits.argmax(-1))
    many = PROMPT[:1].expand(20_000, 3)
    generator = torch.Generator().manual_seed(1)
    for temperature, top in ((1.0, None), (2.0, None), (1.0, 3)):
        found = drawn(model, many, 1, temperature=temperature, top=top, generator=generator)[:, 0]
        expected = logits[0] / temperature
        if top:
            expected = expected.masked_fill(expected < expected.topk(top).values[-1], -torch.inf)
        shares = found.bincount(minlength=11) / 20_000
        torch.testing.assert_close(shares, expected.softmax(-1), rtol=0, atol=0.015)


def test_a_long_prompt_is_read_from_its_end():
    model = network()
    long = torch.arange(20)[None] % 11
    assert torch.equal(drawn(model, long, 3, temperature=0), drawn(model, long[:, -4:], 3, temperature=0))


def test_what_cannot_be_is_refused():
    model = network()
    for options, match in (({"temperature": -1}, "temperature"), ({"top": 0}, "top")):
        with pytest.raises(InvalidInput, match=match):
            drawn(model, PROMPT, 1, **options)
    with pytest.raises(InvalidInput, match="prompt"):
        drawn(model, PROMPT[:, :0], 1)
    with pytest.raises(InvalidInput, match="count"):
        drawn(model, PROMPT, 0)
