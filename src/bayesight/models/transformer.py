"""The transformer (Vaswani et al. 2017, "Attention Is All You Need"), normalising before each part (pre-LN).

Attention is written as two matrix products and a softmax: on a processor, in bf16, it trains faster than the
fused kernel, whose backward pass is slow there.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check, probability
from bayesight.models.outline import initial_weights

__all__ = ["Block", "CausalTransformer", "SelfAttention"]


class SelfAttention(nn.Module):
    """Each place looks at the others: softmax(Q K^T / sqrt(d)) V in every head (eq. 1, sec. 3.2.2).

    Args:
        width: of a place's vector; the heads share it.
        heads: their number; divides ``width``.
        causal: a place sees itself and those before it only.
        dropout: share of the attention weights silenced while training.

    Shape:
        (B, T, width) to the same.
    """

    def __init__(self, width: int, heads: int, *, causal: bool, dropout: float = 0.0) -> None:
        super().__init__()
        came = f"width {width} for {heads} heads"
        check(heads >= 1 and width % heads == 0, "attention", came, "a width that the heads divide")
        self.heads, self.causal = heads, causal
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) to the same: the values each place attends to, mixed over the heads."""
        batch, places, width = x.shape
        # (B, T, 3W) to three of (B, heads, T, d)
        q, k, v = self.project_in(x).view(batch, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)  # (B, heads, T, T)
        if self.causal:
            later = torch.ones(places, places, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        weights = self.dropout(scores.softmax(-1))
        gathered = (weights.to(v.dtype) @ v).transpose(1, 2).reshape(batch, places, width)
        mixed: Tensor = self.project_out(gathered)
        return mixed


class Block(nn.Module):
    """Attention, then two linear layers at each place, each added to what came in: x + f(norm(x)).

    Args:
        width: of a place's vector.
        heads: of the attention.
        causal: a place sees none after it.
        dropout: share silenced after each part while training, and of the attention weights.
    """

    def __init__(self, width: int, heads: int, *, causal: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, causal=causal, dropout=dropout)
        self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) to the same."""
        x = x + self.dropout(self.attention(self.norm1(x)))
        deeper: Tensor = x + self.dropout(self.contract(F.gelu(self.expand(self.norm2(x)))))
        return deeper


class CausalTransformer(nn.Module):
    """The next symbol from those before it: embeddings of symbol and place, blocks, and a linear layer.

    The first form is that of GPT-2 (Radford et al. 2019): the last layer shares the embedding's weights;
    all weights are normal with standard deviation 0.02, those that end a block 0.02 / sqrt(2 layers), biases
    zero.

    Args:
        symbols: size of the vocabulary.
        context: places at most.
        layers: blocks.
        width: of a place's vector.
        heads: of each block's attention.
        dropout: share silenced while training.
        tied: False gives the last layer weights of its own, and leaves torch's own initial weights, with
            embeddings of variance 1.
        seed: initial weights follow from it; the global generator is left as it was.

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
        width: int = 128,
        heads: int = 4,
        dropout: float = 0.0,
        tied: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = f"{symbols} symbols, context {context}, {layers} layers"
        check(min(symbols, context, layers) >= 1, "transformer", sizes, "at least 1 of each")
        probability(dropout, "transformer.dropout")
        self.context = context
        with initial_weights(seed):
            self.symbol = nn.Embedding(symbols, width)
            self.place = nn.Embedding(context, width)
            self.dropout = nn.Dropout(dropout)
            self.blocks = nn.ModuleList(
                Block(width, heads, causal=True, dropout=dropout) for _ in range(layers)
            )
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, symbols, bias=False)
            if tied:
                self.head.weight = self.symbol.weight
                self._initialise(layers)

    def forward(self, symbols: Tensor) -> Tensor:
        """Logits (B, T, symbols) of the symbol after each of (B, T) int64.

        Raises:
            InvalidInput: more places than the context holds.
        """
        places = symbols.shape[1]
        came, mend = f"{places} places", "Cut the text, or build a larger one."
        check(places <= self.context, "transformer", came, f"{self.context} at most", mend)
        x = self.dropout(self.symbol(symbols) + self.place.weight[:places])
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits

    def _initialise(self, layers: int) -> None:
        for name, parameter in self.named_parameters():
            if parameter.dim() >= 2:
                ends = name.endswith(("project_out.weight", "contract.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if ends else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
