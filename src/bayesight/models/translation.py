"""Translation models by name, ``build_translation_model("gru", 4000, 128)``, and the search for the best."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import torch
from torch import Tensor

from bayesight.checks import check
from bayesight.models.outline import outlined
from bayesight.models.recurrent_translation import RecurrentTranslator
from bayesight.models.transformer import Activation, Positions, TranslationTransformer
from bayesight.registry import Registry
from bayesight.types import END_SYMBOL, PAD_SYMBOL, START_SYMBOL
from bayesight.values import BelowOne, Width, Within

TRANSLATION_MODELS: Registry[Any] = Registry("translation model")
TranslationModel: TypeAlias = TranslationTransformer | RecurrentTranslator
Layers: TypeAlias = Annotated[int, Within(1, 1000)]


def build_translation_model(
    name: str, symbols: int, context: int, *, seed: int = 0, **options: Any
) -> TranslationModel:
    """A freshly initialised translation model.

    It takes a source (B, S) int64, a target (B, T) int64 and where the source is not padding, (B, S) bool,
    to logits (B, T, symbols) of the symbol after each of the target.

    Args:
        name: a registered name, ``TRANSLATION_MODELS.names()`` lists them.
        symbols: size of the vocabulary that both languages share.
        context: places at most, of either.
        seed: initial weights follow from it; the global generator is left as it was.
        options: the network's own keyword arguments.

    Raises:
        UnknownName: no such network; the message suggests the nearest.
        InvalidConfig: options it does not have.
        InvalidInput: sizes that do not fit each other, or more numbers than can be held.

    Example:
        >>> build_translation_model("gru", 50, 32, width=8).context
        32
    """
    network: TranslationModel = outlined(
        lambda: TRANSLATION_MODELS.build(name, symbols, context, seed, **options), f"model {name!r}"
    )
    return network


@TRANSLATION_MODELS.register("transformer")
def transformer(
    symbols: int,
    context: int,
    seed: int,
    *,
    layers: Layers = 3,
    width: Width = 192,
    heads: Annotated[int, Within(1, 1024)] = 4,
    inner: Width | None = None,
    dropout: BelowOne = 0.1,
    norm_first: bool = True,
    norm: Literal["layer", "rms"] = "layer",
    activation: Activation = "relu",
    positions: Positions = "sinusoidal",
    qk_norm: bool = False,
    bias: bool = True,
) -> TranslationTransformer:
    """A transformer's encoder and decoder (see ``BlockShape``)."""
    return TranslationTransformer(
        symbols,
        context,
        seed=seed,
        layers=layers,
        width=width,
        heads=heads,
        inner=inner,
        dropout=dropout,
        norm_first=norm_first,
        norm=norm,
        activation=activation,
        positions=positions,
        qk_norm=qk_norm,
        bias=bias,
    )


@TRANSLATION_MODELS.register("gru")
def gru(
    symbols: int,
    context: int,
    seed: int,
    *,
    width: Width = 256,
    attention: bool = True,
    dropout: BelowOne = 0.1,
) -> RecurrentTranslator:
    """Gated recurrent units, with Bahdanau's attention or through one vector."""
    return RecurrentTranslator(symbols, context, width=width, attention=attention, dropout=dropout, seed=seed)


@torch.no_grad()
def decoded(
    network: TranslationModel,
    source: Tensor,
    *,
    beam: int = 1,
    longest: int | None = None,
    length_power: float = 1.0,
) -> list[list[int]]:
    """The most probable translations that a beam search finds.

    Of each sentence so many beginnings are kept as the beam is wide, the best by their log-probability
    divided by length^``length_power`` (Wu et al. 2016, sec. 7, in its simple form), finished ones among them;
    it ends when all kept are finished. A beam of 1 takes the most probable symbol each time.

    Args:
        network: a translation model in evaluation mode.
        source: (B, S) int64, ``PAD_SYMBOL`` behind the end of a sentence.
        beam: beginnings kept.
        longest: symbols of a translation at most; None for twice the source's and ten.
        length_power: 0 compares log-probabilities, which favours short translations; 1 those a symbol.

    Returns:
        B translations, without marks.

    Raises:
        InvalidInput: a beam or a length below 1, a power that is negative.
    """
    check(beam >= 1, "beam", f"got {beam}", "at least 1")
    check(longest is None or longest >= 1, "longest", f"got {longest}", "at least 1")
    check(length_power >= 0, "length_power", f"got {length_power:g}", "0 or more")
    rows, device = len(source), source.device
    most = min(longest or 2 * source.shape[1] + 10, network.context)
    source = source.repeat_interleave(beam, 0)
    present = source != PAD_SYMBOL
    memory = network.encode(source, present)
    cache: Any = network.new_cache()
    written = torch.full((rows * beam, 1), START_SYMBOL, device=device)
    total = torch.full((rows, beam), -torch.inf, device=device)
    total[:, 0] = 0.0  # all beginnings are the same at first, so that one stands for them
    lengths, done = torch.zeros_like(total), torch.zeros_like(total, dtype=torch.bool)
    first_row = torch.arange(rows, device=device)[:, None] * beam
    for _ in range(most):
        logits = network.decode(written[:, -1:], memory, present, cache)[:, 0].float()
        logits[:, [PAD_SYMBOL, START_SYMBOL]] = -torch.inf
        steps = logits.log_softmax(-1).view(rows, beam, -1)
        best, symbols = steps.topk(min(beam + 1, steps.shape[-1]), -1)  # of one beginning no more can win
        best[done], symbols[done] = -torch.inf, PAD_SYMBOL
        best[..., 0][done] = 0.0
        sums = total[..., None] + best
        after = (lengths + (~done).float())[..., None].expand_as(sums)
        ranks = (sums / after.clamp_min(1) ** length_power).flatten(1)
        chosen = ranks.topk(beam, -1).indices
        parents = chosen // best.shape[-1]
        total, lengths = sums.flatten(1).gather(1, chosen), after.flatten(1).gather(1, chosen)
        new = symbols.flatten(1).gather(1, chosen)
        done = done.gather(1, parents) | (new == END_SYMBOL)
        kept = (first_row + parents).flatten()
        written = torch.cat([written[kept], new.view(-1, 1)], 1)
        if bool(done.all()):
            break
        cache.select(kept)
    winners = written.view(rows, beam, -1)[:, 0, 1:].tolist()  # topk puts the best first
    return [[symbol for symbol in one if symbol not in (PAD_SYMBOL, END_SYMBOL)] for one in winners]
