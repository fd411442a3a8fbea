"""The recurrent encoder/decoder (Cho et al. 2014; Sutskever et al. 2014), and attention (Bahdanau et al.).

```
GRU                    the gated recurrent unit, over a sequence or one step
AdditiveAttention      the places of a source, weighted by what the decoder is about to say
RecurrentTranslator    encoder and decoder: with attention, or through one vector
```
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check, probability
from bayesight.models.outline import initial_weights


class GRU(nn.Module):
    """The gated recurrent unit: gates decide how much of a state is kept, and how much of it is seen.

    r = s(W_r x + U_r h), z = s(W_z x + U_z h), n = tanh(W_n x + r (U_n h)), h' = (1 - z) n + z h, each with
    its biases, in the order and with the bias inside r's bracket that ``nn.GRU`` has.

    Args:
        inputs: width of x.
        width: of the state h.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.input = nn.Linear(inputs, 3 * width)
        self.recurrent = nn.Linear(width, 3 * width)
        for part in (self.input, self.recurrent):
            nn.init.uniform_(part.bias, -(width**-0.5), width**-0.5)
            for gate in part.weight.data.chunk(3):
                nn.init.xavier_uniform_(gate) if part is self.input else nn.init.orthogonal_(gate)

    def forward(self, x: Tensor, present: Tensor, *, backwards: bool = False) -> Tensor:
        """States (B, T, width) of inputs (B, T, inputs), from a state of zeros.

        Args:
            x: the sequences.
            present: (B, T) bool; where it is False the state stays what it was.
            backwards: read from the last place to the first.
        """
        absent = (~present).unsqueeze(-1)
        # unbind, not an index a place: the backward pass of each index fills a tensor of all places
        places = list(zip(self.input(x).unbind(1), absent.unbind(1), strict=True))
        state = self.recurrent.weight.new_zeros(len(x), self.width)
        states: list[Tensor] = []
        padded = bool(absent.any())
        for seen, kept in reversed(places) if backwards else places:
            after = self.step(seen, state)
            state = torch.where(kept, state, after) if padded else after
            states.append(state)
        return torch.stack(states[::-1] if backwards else states, 1)

    def step(self, seen: Tensor, state: Tensor) -> Tensor:
        """The state (B, width) after one more input, of which ``seen`` (B, 3 width) is ``input``'s output."""
        reset_x, update_x, new_x = seen.chunk(3, -1)
        reset_h, update_h, new_h = self.recurrent(state).chunk(3, -1)
        new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        return new + torch.sigmoid(update_x + update_h) * (state - new)


class AdditiveAttention(nn.Module):
    """Weights of a source's places: softmax over them of v . tanh(W s + U h) (Bahdanau et al., A.1.2).

    Args:
        state: width of the decoder's state s.
        memory: width of a place's vector h.
        width: of the sum.
    """

    def __init__(self, state: int, memory: int, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(state, width, bias=False)
        self.key = nn.Linear(memory, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, state: Tensor, keys: Tensor, unseen: Tensor) -> Tensor:
        """Weights (B, S) that sum to 1, for states (B, state) and ``key`` of the memory, (B, S, width).

        ``unseen`` (B, S) is minus infinity at padding and 0 elsewhere.
        """
        sums = torch.tanh(self.query(state).unsqueeze(1) + keys)
        scores: Tensor = self.score(sums).squeeze(-1).float() + unseen
        return scores.softmax(-1)


@dataclass
class TranslatorState:
    """The decoder's state after what it has said, and what is computed once of a source.

    Args:
        state: (B, width); None before the first symbol.
        keys: (B, S, width) of the attention; None without one.
        places: symbols seen.
    """

    state: Tensor | None = None
    keys: Tensor | None = None
    places: int = 0

    def select(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order: beam search moves its sentences about."""
        self.state = None if self.state is None else self.state[rows]
        self.keys = None if self.keys is None else self.keys[rows]


class RecurrentTranslator(nn.Module):
    """The next symbol of a translation from a state that has read the source and what was said so far.

    The encoder reads the source in both directions. With attention the decoder looks, before each symbol, at
    the places that fit its state (Bahdanau et al. 2014); without, all it knows of the source is one vector,
    the two last states, which enters every step (Cho et al. 2014). One embedding serves source, translation
    and last layer.

    Args:
        symbols: size of the vocabulary.
        context: places at most, of either.
        width: of a symbol's vector, of each direction's state, and of the decoder's.
        attention: whether the decoder looks at the places of the source.
        dropout: share silenced of embeddings, memory and the last layer's input while training.
        seed: initial weights follow from it; the global generator is left as it was.

    Raises:
        InvalidInput: a size below 1, a dropout outside [0, 1].

    Example:
        >>> network = RecurrentTranslator(50, 16, width=8)
        >>> source, target = torch.zeros(3, 7, dtype=torch.long), torch.zeros(3, 5, dtype=torch.long)
        >>> network(source, target, torch.ones(3, 7, dtype=torch.bool)).shape
        torch.Size([3, 5, 50])
    """

    def __init__(
        self,
        symbols: int,
        context: int,
        *,
        width: int = 256,
        attention: bool = True,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = f"{symbols} symbols, context {context}, width {width}"
        check(min(symbols, context, width) >= 1, "gru", sizes, "at least 1 of each")
        probability(dropout, "gru.dropout")
        self.context, self.width = context, width
        with initial_weights(seed):
            self.symbol = nn.Embedding(symbols, width)
            nn.init.normal_(self.symbol.weight, std=width**-0.5)
            self.forwards, self.backwards = GRU(width, width), GRU(width, width)
            self.attention = AdditiveAttention(width, 2 * width, width) if attention else None
            self.first = nn.Linear(2 * width, width)
            self.decoder = GRU(3 * width, width)
            self.output = nn.Linear(4 * width, width)
            self.bias = nn.Parameter(torch.zeros(symbols))
            self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, target: Tensor, present: Tensor, said: Tensor | None = None) -> Tensor:
        """Logits (B, T, symbols) of the symbol after each of the target (B, T), given the source (B, S).

        Those of the N places where ``said`` (B, T) is True are (N, symbols).
        """
        features = self._features(target, self.encode(source, present), present, None)
        return self._logits(features if said is None else features[said])

    def encode(self, source: Tensor, present: Tensor) -> Tensor:
        """Memory (B, S, 2 width) of a source (B, S) int64; ``present`` (B, S) bool is False at padding."""
        x = self._embedded(source)
        memory = [self.forwards(x, present), self.backwards(x, present, backwards=True)]
        dropped: Tensor = self.dropout(torch.cat(memory, -1))
        return dropped

    def decode(
        self, target: Tensor, memory: Tensor, present: Tensor, cache: TranslatorState | None = None
    ) -> Tensor:
        """Logits (B, T, symbols) of the symbol after each of (B, T), given a source's memory."""
        return self._logits(self._features(target, memory, present, cache))

    def attended(self, source: Tensor, target: Tensor, present: Tensor) -> Tensor:
        """Weights (B, T, S) of the source's places, looked at before the symbol after each of the target."""
        check(self.attention is not None, "gru", "no attention", "one, whose weights can be shown")
        return self._read(self._embedded(target), self.encode(source, present), present, None)[2]

    def new_cache(self) -> TranslatorState:
        """A state that has said nothing."""
        return TranslatorState()

    def _embedded(self, symbols: Tensor) -> Tensor:
        """Vectors (B, T, width) of variance 1."""
        embedded: Tensor = self.dropout(self.symbol(symbols) * self.width**0.5)
        return embedded

    def _features(
        self, target: Tensor, memory: Tensor, present: Tensor, cache: TranslatorState | None
    ) -> Tensor:
        """The last layer's inputs (B, T, width)."""
        x = self._embedded(target)
        states, contexts, _ = self._read(x, memory, present, cache)
        features: Tensor = self.dropout(torch.tanh(self.output(torch.cat([states, contexts, x], -1))))
        return features

    def _logits(self, features: Tensor) -> Tensor:
        """Logits (..., symbols) of features (..., width)."""
        return F.linear(features, self.symbol.weight, self.bias)

    def _read(
        self, x: Tensor, memory: Tensor, present: Tensor, cache: TranslatorState | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, T, width), what each saw of the source (B, T, 2 width), and its weights (B, T, S)."""
        cache = cache or TranslatorState()
        summary = torch.cat([memory[:, -1, : self.width], memory[:, 0, self.width :]], -1)
        state = (
            torch.tanh(self.first(summary)).to(self.first.weight.dtype)
            if cache.state is None
            else cache.state
        )
        if self.attention is not None and cache.keys is None:
            cache.keys = self.attention.key(memory)
        unseen = torch.zeros_like(present, dtype=torch.float32).masked_fill(~present, -torch.inf)
        words, sources = self.decoder.input.weight.split([self.width, 2 * self.width], 1)
        of_words = F.linear(x, words, self.decoder.input.bias)
        seen, weights = summary, present.float() / present.sum(1, keepdim=True)
        of_summary = F.linear(summary, sources)
        states, contexts, looks = [], [], []
        for of_word in of_words.unbind(1):
            if self.attention is not None:
                assert cache.keys is not None
                weights = self.attention(state, cache.keys, unseen)
                seen = (weights.to(memory.dtype).unsqueeze(1) @ memory).squeeze(1)
                of_summary = F.linear(seen, sources)
            state = self.decoder.step(of_word + of_summary, state)
            states.append(state)
            contexts.append(seen)
            looks.append(weights)
        cache.state, cache.places = state, cache.places + x.shape[1]
        return torch.stack(states, 1), torch.stack(contexts, 1), torch.stack(looks, 1)
