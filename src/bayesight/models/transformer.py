"""The transformer (Vaswani et al. 2017, "Attention Is All You Need"): encoder, decoder, and both.

```
CausalTransformer          decoder alone: the next symbol from those before it (GPT)
BidirectionalTransformer   encoder alone: each place from all others (BERT)
TranslationTransformer     encoder and decoder: the next symbol from those before it and a source
```

Attention is written as two matrix products and a softmax: on a processor, in bf16, it trains faster than the
fused kernel, whose backward pass is slow there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check, probability
from bayesight.models.outline import initial_weights

Positions: TypeAlias = Literal["learned", "sinusoidal", "rotary"]
Activation: TypeAlias = Literal["relu", "gelu", "gelu_tanh", "relu_squared"]

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu_squared": lambda x: F.relu(x).square(),
}


@dataclass(frozen=True, kw_only=True)
class BlockShape:
    """Sizes and parts of a transformer's blocks.

    Args:
        width: of a place's vector.
        heads: of each attention; they share the width.
        inner: width between the two linear layers at a place; None for 4 ``width``.
        dropout: share silenced after each part while training, and of the attention weights.
        norm_first: x + f(norm(x)); False for norm(x + f(x)), as in the paper.
        norm: "layer" (mean and deviation) or "rms" (root mean square alone, without parameters).
        eps: added to the variance.
        activation: between the two linear layers.
        positions: "learned" and "sinusoidal" are added to the symbols' vectors; "rotary" turns queries and
            keys by angles that grow with the place (Su et al. 2021).
        qk_norm: queries and keys brought to a root mean square of 1 (Henry et al. 2020).
        bias: of the linear layers.

    Raises:
        InvalidInput: a size below 1, a width that the heads do not divide, a dropout outside [0, 1].
    """

    width: int = 128
    heads: int = 4
    inner: int | None = None
    dropout: float = 0.0
    norm_first: bool = True
    norm: Literal["layer", "rms"] = "layer"
    eps: float = 1e-5
    activation: Activation = "gelu"
    positions: Positions = "learned"
    qk_norm: bool = False
    bias: bool = True

    def __post_init__(self) -> None:
        came = f"width {self.width} for {self.heads} heads"
        check(
            self.heads >= 1 and self.width >= 1 and self.width % self.heads == 0,
            "transformer",
            came,
            "a width that the heads divide",
        )
        if self.positions == "rotary":
            check(self.width // self.heads % 2 == 0, "transformer", came, "an even width of a head")
        probability(self.dropout, "transformer.dropout")

    def new_norm(self) -> nn.Module:
        """A normalisation of a place's vector."""
        if self.norm == "rms":
            return nn.RMSNorm(self.width, eps=self.eps, elementwise_affine=False)
        return nn.LayerNorm(self.width, eps=self.eps)


@dataclass
class KeyValues:
    """Keys and values (B, heads, S, d) of the places an attention has seen; None before the first."""

    keys: Tensor | None = None
    values: Tensor | None = None


@dataclass
class KeyValueCache:
    """Keys and values of a decoder, so that a further symbol costs one place.

    Args:
        own: of each block's attention over the symbols.
        source: of each block's attention over the source.
        places: symbols seen.
    """

    own: list[KeyValues] = field(default_factory=list)
    source: list[KeyValues] = field(default_factory=list)
    places: int = 0

    @classmethod
    def empty(cls, layers: int) -> KeyValueCache:
        """A cache for so many blocks."""
        return cls([KeyValues() for _ in range(layers)], [KeyValues() for _ in range(layers)])

    def select(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order: beam search moves its sentences about."""
        for part in (*self.own, *self.source):
            if part.keys is not None and part.values is not None:
                part.keys, part.values = part.keys[rows], part.values[rows]


class Attention(nn.Module):
    """Each place looks at others: softmax(Q K^T / sqrt(d)) V in every head (eq. 1, sec. 3.2.2).

    Args:
        shape: sizes and parts.
        causal: a place sees itself and those before it only.

    Shape:
        (B, T, width) to the same.
    """

    def __init__(self, shape: BlockShape, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal, self.qk_norm = shape.heads, causal, shape.qk_norm
        self.project_in = nn.Linear(shape.width, 3 * shape.width, bias=shape.bias)
        self.project_out = nn.Linear(shape.width, shape.width, bias=shape.bias)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(
        self,
        x: Tensor,
        *,
        memory: Tensor | None = None,
        present: Tensor | None = None,
        angles: Tensor | None = None,
        past: KeyValues | None = None,
    ) -> Tensor:
        """The values each place attends to, mixed over the heads.

        Args:
            x: (B, T, width), the places that look.
            memory: (B, S, width), what they look at; None for themselves.
            present: (B, S) bool, False where a place looked at is padding.
            angles: (2, T, d / 2), cosine and sine by which queries and keys are turned.
            past: keys and values of the places before; those of x are appended. Of a memory they are kept.
        """
        width, places = x.shape[-1], x.shape[1]
        if memory is not None and past is not None and past.keys is not None and past.values is not None:
            q = self._placed(self._heads(self._linear(x, slice(0, width)), 1)[0], angles)
            k, v = past.keys, past.values
        else:
            if memory is None:
                q, k, v = self._heads(self.project_in(x), 3)
            else:
                q = self._heads(self._linear(x, slice(0, width)), 1)[0]
                k, v = self._heads(self._linear(memory, slice(width, 3 * width)), 2)
            q, k = self._placed(q, angles), self._placed(k, angles)
            if past is not None:
                if past.keys is not None and past.values is not None:
                    k, v = torch.cat([past.keys, k], 2), torch.cat([past.values, v], 2)
                past.keys, past.values = k, v
        # scaling the queries is cheaper than scaling the scores, and adding a mask than filling by one
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)  # (B, heads, T, S)
        if self.causal and places > 1:
            unseen = torch.full((places, k.shape[2]), -math.inf, device=x.device)
            scores = scores + unseen.triu(1 + k.shape[2] - places)
        if present is not None:
            scores = scores.masked_fill(~present[:, None, None, :], -math.inf)
        weights = self.dropout(scores.softmax(-1))
        gathered = (weights.to(v.dtype) @ v).transpose(1, 2).reshape(x.shape)
        mixed: Tensor = self.project_out(gathered)
        return mixed

    def _placed(self, x: Tensor, angles: Tensor | None) -> Tensor:
        """Queries or keys (B, heads, T, d), normalised and turned as the shape says."""
        if self.qk_norm:
            x = F.rms_norm(x, x.shape[-1:])
        return x if angles is None else _turned(x, angles)

    def _linear(self, x: Tensor, rows: slice) -> Tensor:
        bias = self.project_in.bias
        return F.linear(x, self.project_in.weight[rows], None if bias is None else bias[rows])

    def _heads(self, x: Tensor, parts: int) -> Tensor:
        """(B, T, parts W) to (parts, B, heads, T, d)."""
        return x.view(*x.shape[:2], parts, self.heads, -1).permute(2, 0, 3, 1, 4)


class Block(nn.Module):
    """Attention, for a translation attention over the source, and two linear layers at each place.

    Args:
        shape: sizes and parts.
        causal: a place sees none after it.
        crosses: whether it also looks at a memory.
    """

    def __init__(self, shape: BlockShape, *, causal: bool, crosses: bool = False) -> None:
        super().__init__()
        inner = shape.inner or 4 * shape.width
        self.norm_first, self.activation = shape.norm_first, ACTIVATIONS[shape.activation]
        self.norm1, self.norm2 = shape.new_norm(), shape.new_norm()
        self.attention = Attention(shape, causal=causal)
        self.expand = nn.Linear(shape.width, inner, bias=shape.bias)
        self.contract = nn.Linear(inner, shape.width, bias=shape.bias)
        self.dropout = nn.Dropout(shape.dropout)
        self.cross = Attention(shape, causal=False) if crosses else None
        self.norm3 = shape.new_norm() if crosses else None

    def forward(
        self,
        x: Tensor,
        *,
        present: Tensor | None = None,
        angles: Tensor | None = None,
        past: KeyValues | None = None,
        memory: Tensor | None = None,
        memory_present: Tensor | None = None,
        memory_past: KeyValues | None = None,
    ) -> Tensor:
        """(B, T, width) to the same; the arguments are those of ``Attention``."""
        x = self._added(x, self.norm1, lambda y: self.attention(y, present=present, angles=angles, past=past))
        if self.cross is not None and self.norm3 is not None:
            cross = self.cross
            x = self._added(
                x, self.norm3, lambda y: cross(y, memory=memory, present=memory_present, past=memory_past)
            )
        return self._added(x, self.norm2, lambda y: self.contract(self.activation(self.expand(y))))

    def _added(self, x: Tensor, norm: nn.Module, part: Callable[[Tensor], Tensor]) -> Tensor:
        if self.norm_first:
            deeper: Tensor = x + self.dropout(part(norm(x)))
            return deeper
        added: Tensor = norm(x + self.dropout(part(x)))
        return added


class Embedding(nn.Module):
    """Vectors of symbols, plus those of their places (sec. 3.4 and 3.5).

    Args:
        symbols: size of the vocabulary.
        context: places at most.
        shape: width, dropout and kind of positions.
        scaled: symbols' vectors times sqrt(width), as in the paper.

    Raises:
        InvalidInput: no symbols or no places.
    """

    sinusoids: Tensor

    def __init__(self, symbols: int, context: int, shape: BlockShape, *, scaled: bool = False) -> None:
        super().__init__()
        check(
            min(symbols, context) >= 1,
            "transformer",
            f"{symbols} symbols, context {context}",
            "at least 1 of each",
        )
        self.context = context
        self.scale = math.sqrt(shape.width) if scaled else 1.0
        self.head_width = shape.width // shape.heads
        self.rotary = shape.positions == "rotary"
        self.symbol = nn.Embedding(symbols, shape.width)
        self.place = nn.Embedding(context, shape.width) if shape.positions == "learned" else None
        table = sinusoids(context, shape.width) if shape.positions == "sinusoidal" else None
        self.register_buffer("sinusoids", table, persistent=False)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, symbols: Tensor, start: int = 0) -> Tensor:
        """Vectors (B, T, width) of symbols (B, T) int64 at the places from ``start``.

        Raises:
            InvalidInput: more places than the context holds.
        """
        end = start + symbols.shape[1]
        mend = "Cut the text, or build a larger one."
        check(end <= self.context, "transformer", f"{end} places", f"{self.context} at most", mend)
        x = self.symbol(symbols)
        if self.scale != 1.0:
            x = x * self.scale
        table = self.sinusoids if self.place is None else self.place.weight
        if table is not None:
            x = x + table[start:end].to(x.dtype)
        embedded: Tensor = self.dropout(x)
        return embedded

    def angles(self, places: int, start: int = 0) -> Tensor | None:
        """(2, T, d / 2): cosine and sine of each place's turn, place 10000^(-2 i / d); None unless rotary."""
        if not self.rotary:
            return None
        device = self.symbol.weight.device
        half = torch.arange(0, self.head_width, 2, device=device) / self.head_width
        turns = torch.arange(start, start + places, device=device)[:, None] * 10000.0**-half
        return torch.stack([turns.cos(), turns.sin()])


class CausalTransformer(nn.Module):
    """The next symbol from those before it: embeddings of symbol and place, blocks, and a linear layer.

    The first form is that of GPT-2 (Radford et al. 2019): the last layer shares the embedding's weights;
    all weights are normal with standard deviation 0.02, those that end a block 0.02 / sqrt(2 layers), biases
    zero.

    Args:
        symbols: size of the vocabulary.
        context: places at most.
        layers: blocks.
        tied: False gives the last layer weights of its own, and leaves torch's own initial weights, with
            embeddings of variance 1.
        zero_init: the layers that end a block, and a last layer of its own, begin at zero: the network starts
            as the identity with even odds.
        embedding_norm: normalise the embedded symbols once, before the first block.
        seed: initial weights follow from it; the global generator is left as it was.
        shape: of the blocks, as in ``BlockShape``: width, heads, dropout, positions, ...

    Raises:
        InvalidInput: a size below 1, a width that the heads do not divide, a dropout outside [0, 1].

    Example:
        >>> CausalTransformer(50, 16, layers=1, width=8, heads=2)(torch.zeros(3, 10, dtype=torch.long)).shape
        torch.Size([3, 10, 50])
    """

    def __init__(
        self,
        symbols: int,
        context: int,
        *,
        layers: int = 4,
        tied: bool = True,
        zero_init: bool = False,
        embedding_norm: bool = False,
        seed: int = 0,
        **shape: Any,
    ) -> None:
        super().__init__()
        check(layers >= 1, "transformer", f"{layers} layers", "at least 1 of each")
        self.shape = BlockShape(**shape)
        self.context = context
        with initial_weights(seed):
            self.embed = Embedding(symbols, context, self.shape)
            self.blocks = nn.ModuleList(Block(self.shape, causal=True) for _ in range(layers))
            self.norm = self.shape.new_norm()
            self.head = nn.Linear(self.shape.width, symbols, bias=False)
            self.first_norm = self.shape.new_norm() if embedding_norm else nn.Identity()
            if tied:
                self.head.weight = self.embed.symbol.weight
                _initialise(self, layers)
            if zero_init:
                _zero_ends(self.blocks)
                if not tied:
                    nn.init.zeros_(self.head.weight)

    def forward(self, symbols: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Logits (B, T, symbols) of the symbol after each of (B, T) int64.

        Args:
            symbols: the sequences; with a cache, what comes after those in it.
            cache: of the symbols before, to which these are added.

        Raises:
            InvalidInput: more places than the context holds.
        """
        start = 0 if cache is None else cache.places
        x = self.first_norm(self.embed(symbols, start))
        angles = self.embed.angles(symbols.shape[1], start)
        for number, block in enumerate(self.blocks):
            x = block(x, angles=angles, past=None if cache is None else cache.own[number])
        if cache is not None:
            cache.places += symbols.shape[1]
        logits: Tensor = self.head(self.norm(x))
        return logits

    def new_cache(self) -> KeyValueCache:
        """A cache that has seen nothing."""
        return KeyValueCache.empty(len(self.blocks))


class BidirectionalTransformer(nn.Module):
    """Each place from all others: BERT (Devlin et al. 2018).

    Embeddings of symbol, place and segment, normalised; blocks; for a masked place the logits of its symbol
    from one more layer and the embedding's weights.

    Args:
        symbols: size of the vocabulary.
        context: places at most.
        layers: blocks.
        segments: kinds of stretches, 0 for none.
        seed: initial weights follow from it, and the global generator stays as it was; None draws from that.
        shape: of the blocks, as in ``BlockShape``.

    Raises:
        InvalidInput: as of ``CausalTransformer``.

    Example:
        >>> network = BidirectionalTransformer(50, 16, layers=1, width=8, heads=2)
        >>> network(torch.zeros(3, 10, dtype=torch.long)).shape
        torch.Size([3, 10, 8])
    """

    def __init__(
        self,
        symbols: int,
        context: int,
        *,
        layers: int = 4,
        segments: int = 0,
        seed: int | None = 0,
        **shape: Any,
    ) -> None:
        super().__init__()
        check(layers >= 1, "transformer", f"{layers} layers", "at least 1 of each")
        self.shape = BlockShape(**shape)
        self.context = context
        width = self.shape.width
        with nullcontext() if seed is None else initial_weights(seed):
            self.embed = Embedding(symbols, context, self.shape)
            self.segment = nn.Embedding(segments, width) if segments else None
            self.first_norm = self.shape.new_norm()
            self.blocks = nn.ModuleList(Block(self.shape, causal=False) for _ in range(layers))
            self.norm = self.shape.new_norm() if self.shape.norm_first else nn.Identity()
            self.transform = nn.Linear(width, width)
            self.transform_norm = nn.LayerNorm(width, eps=self.shape.eps)
            self.symbol_bias = nn.Parameter(torch.zeros(symbols))
            _initialise(self, layers)

    def forward(
        self, symbols: Tensor, present: Tensor | None = None, segments: Tensor | None = None
    ) -> Tensor:
        """Vectors (B, T, width) of the places of (B, T) int64.

        Args:
            symbols: the sequences.
            present: (B, T) bool, False where a place is padding; None where none is.
            segments: (B, T) int64, the kind of each place; None for 0 everywhere.

        Raises:
            InvalidInput: more places than the context holds.
        """
        x = self.embed(symbols)
        if self.segment is not None:
            x = x + self.segment(torch.zeros_like(symbols) if segments is None else segments)
        x = self.first_norm(x)
        angles = self.embed.angles(symbols.shape[1])
        for block in self.blocks:
            x = block(x, present=present, angles=angles)
        places: Tensor = self.norm(x)
        return places

    def symbol_logits(self, places: Tensor) -> Tensor:
        """Logits (..., symbols) of the symbol at masked places, from their vectors (..., width)."""
        deeper = self.transform_norm(ACTIVATIONS[self.shape.activation](self.transform(places)))
        return F.linear(deeper, self.embed.symbol.weight, self.symbol_bias)


class TranslationTransformer(nn.Module):
    """The next symbol of a translation from those before it and the whole source: encoder and decoder.

    One embedding serves source, translation and last layer (sec. 3.4), so that both languages share their
    vocabulary.

    Args:
        symbols: size of the vocabulary.
        context: places at most, of either.
        layers: blocks of the encoder, and of the decoder.
        seed: initial weights follow from it; the global generator is left as it was.
        shape: of the blocks, as in ``BlockShape``.

    Raises:
        InvalidInput: as of ``CausalTransformer``.

    Example:
        >>> network = TranslationTransformer(50, 16, layers=1, width=8, heads=2)
        >>> source, target = torch.zeros(3, 7, dtype=torch.long), torch.zeros(3, 5, dtype=torch.long)
        >>> network(source, target, torch.ones(3, 7, dtype=torch.bool)).shape
        torch.Size([3, 5, 50])
    """

    def __init__(self, symbols: int, context: int, *, layers: int = 3, seed: int = 0, **shape: Any) -> None:
        super().__init__()
        check(layers >= 1, "transformer", f"{layers} layers", "at least 1 of each")
        self.shape = BlockShape(**{"positions": "sinusoidal", **shape})
        self.context = context
        with initial_weights(seed):
            self.embed = Embedding(symbols, context, self.shape, scaled=True)
            self.encoder = nn.ModuleList(Block(self.shape, causal=False) for _ in range(layers))
            self.decoder = nn.ModuleList(Block(self.shape, causal=True, crosses=True) for _ in range(layers))
            first = self.shape.norm_first
            self.encoder_norm = self.shape.new_norm() if first else nn.Identity()
            self.decoder_norm = self.shape.new_norm() if first else nn.Identity()
            nn.init.normal_(self.embed.symbol.weight, std=self.shape.width**-0.5)
            for name, parameter in self.named_parameters():
                if parameter.dim() == 2 and not name.startswith("embed"):
                    nn.init.xavier_uniform_(parameter)
                elif name.endswith("bias"):
                    nn.init.zeros_(parameter)

    def forward(self, source: Tensor, target: Tensor, present: Tensor, said: Tensor | None = None) -> Tensor:
        """Logits (B, T, symbols) of the symbol after each of the target (B, T), given the source (B, S).

        Those of the N places where ``said`` (B, T) is True are (N, symbols).
        """
        features = self._read(target, self.encode(source, present), present, None)
        return self._logits(features if said is None else features[said])

    def encode(self, source: Tensor, present: Tensor) -> Tensor:
        """Memory (B, S, width) of a source (B, S) int64; ``present`` (B, S) bool is False at padding."""
        x, angles = self.embed(source), self.embed.angles(source.shape[1])
        for block in self.encoder:
            x = block(x, present=present, angles=angles)
        memory: Tensor = self.encoder_norm(x)
        return memory

    def decode(
        self, target: Tensor, memory: Tensor, present: Tensor, cache: KeyValueCache | None = None
    ) -> Tensor:
        """Logits (B, T, symbols) of the symbol after each of (B, T), given a source's memory."""
        return self._logits(self._read(target, memory, present, cache))

    def new_cache(self) -> KeyValueCache:
        """A cache that has seen nothing."""
        return KeyValueCache.empty(len(self.decoder))

    def _read(self, target: Tensor, memory: Tensor, present: Tensor, cache: KeyValueCache | None) -> Tensor:
        """Vectors (B, T, width) of the places of a target (B, T)."""
        start = 0 if cache is None else cache.places
        x, angles = self.embed(target, start), self.embed.angles(target.shape[1], start)
        for number, block in enumerate(self.decoder):
            x = block(
                x,
                angles=angles,
                past=None if cache is None else cache.own[number],
                memory=memory,
                memory_present=present,
                memory_past=None if cache is None else cache.source[number],
            )
        if cache is not None:
            cache.places += target.shape[1]
        places: Tensor = self.decoder_norm(x)
        return places

    def _logits(self, places: Tensor) -> Tensor:
        """Logits (..., symbols) of the symbol after places (..., width)."""
        return F.linear(places, self.embed.symbol.weight)


def sinusoids(places: int, width: int) -> Tensor:
    """(places, width): sine in the even columns and cosine in the odd of place / 10000^(2 i / width).

    Example:
        >>> sinusoids(2, 4)[1].round(decimals=4)
        tensor([0.8415, 0.5403, 0.0100, 1.0000])
    """
    rates = 10000.0 ** -(torch.arange(0, width, 2) / width)
    angles = torch.arange(places)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    """Pairs (i, i + d / 2) of each head's numbers (B, heads, T, d), turned by their angles."""
    cosine, sine = angles.to(x.dtype)
    one, other = x.chunk(2, -1)
    return torch.cat([one * cosine - other * sine, one * sine + other * cosine], -1)


def _initialise(network: nn.Module, layers: int) -> None:
    """Normal weights of deviation 0.02, those that end a block 0.02 / sqrt(2 layers), biases zero."""
    for name, parameter in network.named_parameters():
        if parameter.dim() >= 2:
            ends = name.endswith(("project_out.weight", "contract.weight"))
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if ends else 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def _zero_ends(blocks: nn.ModuleList) -> None:
    """The layers that end a block at zero."""
    for name, parameter in blocks.named_parameters():
        if name.endswith(("project_out.weight", "contract.weight")):
            nn.init.zeros_(parameter)
