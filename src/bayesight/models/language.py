"""Language models by name, networks that say what follows; and the text that follows a prompt.

``build_language_model("gpt", 65, 128)`` is a transformer, ``"lstm"`` the long short-term memory (Hochreiter,
Schmidhuber 1997); ``continuation`` draws symbol by symbol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from bayesight.checks import check, probability
from bayesight.models.outline import initial_weights, outlined
from bayesight.models.transformer import Activation, CausalTransformer, Positions
from bayesight.registry import Registry
from bayesight.values import BelowOne, Width, Within

LANGUAGE_MODELS: Registry[Any] = Registry("language model")
Layers: TypeAlias = Annotated[int, Within(1, 1000)]


@dataclass
class RecurrentState:
    """The state of an LSTM after what it has read; None before the first symbol."""

    carried: tuple[Tensor, Tensor] | None = None


class RecurrentLanguageModel(nn.Module):
    """The next symbol from a state that is carried from place to place: embedding, LSTM, linear layer.

    Args:
        symbols: size of the vocabulary.
        context: places it is trained on.
        width: of a symbol's vector, and of the state.
        layers: of the LSTM.
        dropout: share silenced between layers and before the last one while training.
        seed: initial weights follow from it; the global generator is left as it was.

    Raises:
        InvalidInput: a size below 1, a dropout outside [0, 1].

    Example:
        >>> import torch
        >>> RecurrentLanguageModel(50, 16, width=8, layers=1)(torch.zeros(3, 10, dtype=torch.long)).shape
        torch.Size([3, 10, 50])
    """

    def __init__(
        self,
        symbols: int,
        context: int,
        *,
        width: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = f"{symbols} symbols, context {context}, width {width}, {layers} layers"
        check(min(symbols, context, width, layers) >= 1, "lstm", sizes, "at least 1 of each")
        self.context = context
        probability(dropout, "lstm.dropout")
        with initial_weights(seed):
            self.symbol = nn.Embedding(symbols, width)
            self.lstm = nn.LSTM(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0)
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Linear(width, symbols)

    def forward(self, symbols: Tensor, cache: RecurrentState | None = None) -> Tensor:
        """Logits (B, T, symbols) of the symbol after each of (B, T) int64.

        Args:
            symbols: the sequences; with a cache, what comes after those in it.
            cache: the state after the symbols before, which is carried on.
        """
        states, carried = self.lstm(self.symbol(symbols), None if cache is None else cache.carried)
        if cache is not None:
            cache.carried = carried
        logits: Tensor = self.head(self.dropout(states))
        return logits

    def new_cache(self) -> RecurrentState:
        """A state that has read nothing."""
        return RecurrentState()


LanguageModel: TypeAlias = CausalTransformer | RecurrentLanguageModel
"""A network of either kind."""


def build_language_model(
    name: str, symbols: int, context: int, *, seed: int = 0, **options: Any
) -> LanguageModel:
    """A freshly initialised language model: (B, T) int64 symbols to logits (B, T, symbols) of the next ones.

    Args:
        name: a registered name, ``LANGUAGE_MODELS.names()`` lists them.
        symbols: size of the vocabulary.
        context: places at most.
        seed: initial weights follow from it; the global generator is left as it was.
        options: the network's own keyword arguments.

    Raises:
        UnknownName: no such network; the message suggests the nearest.
        InvalidConfig: options it does not have.
        InvalidInput: sizes that do not fit each other, or more numbers than can be held.

    Example:
        >>> import torch
        >>> build_language_model("gpt", 65, 32, layers=1)(torch.zeros(2, 5, dtype=torch.long)).shape
        torch.Size([2, 5, 65])
    """
    network: LanguageModel = outlined(
        lambda: LANGUAGE_MODELS.build(name, symbols, context, seed, **options), f"model {name!r}"
    )
    return network


@LANGUAGE_MODELS.register("gpt")
def gpt(
    symbols: int,
    context: int,
    seed: int,
    *,
    layers: Layers = 4,
    width: Width = 128,
    heads: Annotated[int, Within(1, 1024)] = 4,
    inner: Width | None = None,
    dropout: BelowOne = 0.0,
    norm: Literal["layer", "rms"] = "rms",
    activation: Activation = "relu_squared",
    positions: Positions = "rotary",
    qk_norm: bool = True,
    bias: bool = False,
    tied: bool = False,
    zero_init: bool = True,
    embedding_norm: bool = True,
) -> CausalTransformer:
    """A transformer decoder; the defaults are what has replaced GPT-2's parts since (see ``BlockShape``)."""
    return CausalTransformer(
        symbols,
        context,
        seed=seed,
        layers=layers,
        width=width,
        heads=heads,
        inner=inner,
        dropout=dropout,
        norm=norm,
        activation=activation,
        positions=positions,
        qk_norm=qk_norm,
        bias=bias,
        tied=tied,
        zero_init=zero_init,
        embedding_norm=embedding_norm,
    )


@LANGUAGE_MODELS.register("lstm")
def lstm(
    symbols: int,
    context: int,
    seed: int,
    *,
    layers: Layers = 2,
    width: Width = 256,
    dropout: BelowOne = 0.0,
) -> RecurrentLanguageModel:
    """A long short-term memory, what language models were before."""
    return RecurrentLanguageModel(
        symbols, context=context, width=width, layers=layers, dropout=dropout, seed=seed
    )


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
