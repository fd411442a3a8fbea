"""A language model at work: the text that follows a prompt, symbol by symbol."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bayesight.checks import check
from bayesight.models.language import LanguageModel

__all__ = ["continuation"]


@torch.no_grad()
def continuation(
    network: LanguageModel,
    prompt: Tensor,
    count: int,
    *,
    temperature: float = 1.0,
    top: int | None = None,
    generator: torch.Generator | None = None,
    cached: bool = True,
) -> Iterator[Tensor]:
    """The symbols that follow a prompt, drawn one after the other.

    Where prompt and answer fill the context, the model goes on from the last half of it.

    Args:
        network: a language model in evaluation mode.
        prompt: (B, T) int64, T at least 1.
        count: symbols to draw.
        temperature: logits are divided by it; at 0 the most probable symbol is taken.
        top: draw from so many of the most probable symbols; None from all.
        generator: the draws follow from it.
        cached: keep keys and values of what was seen; without, all is computed anew at every symbol. The
            answers are the same.

    Yields:
        (B,) int64, a symbol of each row.

    Raises:
        InvalidInput: an empty prompt, a negative temperature, ``top`` or ``count`` below 1.
    """
    check(prompt.dim() == 2 and prompt.shape[1] >= 1, "prompt", f"shape {tuple(prompt.shape)}", "(B, T >= 1)")
    check(temperature >= 0, "temperature", f"got {temperature:g}", "0 or more")
    check(count >= 1, "count", f"got {count}", "at least 1")
    check(top is None or top >= 1, "top", f"got {top}", "at least 1")
    half = max(1, network.context // 2)
    seen = prompt if prompt.shape[1] <= network.context else prompt[:, -half:]
    cache, new = network.new_cache(), seen
    for _ in range(count):
        if seen.shape[1] > network.context:
            seen = seen[:, -half:]
            cache, new = network.new_cache(), seen
        logits = network(new, cache)[:, -1] if cached else network(seen)[:, -1]
        symbol = _drawn(logits.float(), temperature, top, generator)
        yield symbol
        new = symbol[:, None]
        seen = torch.cat([seen, new], 1)


def _drawn(logits: Tensor, temperature: float, top: int | None, generator: torch.Generator | None) -> Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    if top is not None:
        least = logits.topk(min(top, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    probabilities = (logits / temperature).softmax(-1).cpu()
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0].to(logits.device)
