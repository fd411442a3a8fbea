"""The long short-term memory (Hochreiter, Schmidhuber 1997) as a language model."""

from __future__ import annotations

from torch import Tensor, nn

from bayesight.checks import check, probability
from bayesight.models.outline import initial_weights

__all__ = ["RecurrentLanguageModel"]


class RecurrentLanguageModel(nn.Module):
    """The next symbol from a state that is carried from place to place: embedding, LSTM, linear layer.

    Args:
        symbols: size of the vocabulary.
        width: of a symbol's vector, and of the state.
        layers: of the LSTM.
        dropout: share silenced between layers and before the last one while training.
        seed: initial weights follow from it; the global generator is left as it was.

    Raises:
        InvalidInput: a size below 1, a dropout outside [0, 1].

    Example:
        >>> import torch
        >>> RecurrentLanguageModel(50, width=8, layers=1)(torch.zeros(3, 10, dtype=torch.long)).shape
        torch.Size([3, 10, 50])
    """

    def __init__(
        self, symbols: int, *, width: int = 256, layers: int = 2, dropout: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__()
        sizes = f"{symbols} symbols, width {width}, {layers} layers"
        check(min(symbols, width, layers) >= 1, "lstm", sizes, "at least 1 of each")
        probability(dropout, "lstm.dropout")
        with initial_weights(seed):
            self.symbol = nn.Embedding(symbols, width)
            self.lstm = nn.LSTM(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0)
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Linear(width, symbols)

    def forward(self, symbols: Tensor) -> Tensor:
        """Logits (B, T, symbols) of the symbol after each of (B, T) int64."""
        states, _ = self.lstm(self.symbol(symbols))
        logits: Tensor = self.head(self.dropout(states))
        return logits
