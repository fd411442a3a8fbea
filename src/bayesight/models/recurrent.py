"""The long short-term memory (Hochreiter, Schmidhuber 1997) as a language model."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from bayesight.checks import check, probability
from bayesight.models.outline import initial_weights

__all__ = ["RecurrentLanguageModel", "RecurrentState"]


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
