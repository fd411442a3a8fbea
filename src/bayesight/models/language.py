"""Language models by name: networks that say what follows, ``build_language_model("gpt", 65, 128)``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from bayesight.models.outline import outlined
from bayesight.models.recurrent import RecurrentLanguageModel
from bayesight.models.transformer import Activation, CausalTransformer, Positions
from bayesight.registry import Registry
from bayesight.values import BelowOne, Width, Within

__all__ = ["LANGUAGE_MODELS", "LanguageModel", "build_language_model"]

LANGUAGE_MODELS: Registry[Any] = Registry("language model")
LanguageModel: TypeAlias = CausalTransformer | RecurrentLanguageModel
Layers: TypeAlias = Annotated[int, Within(1, 1000)]


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
