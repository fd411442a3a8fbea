"""Networks that answer questions about pictures, by name: ``build_question_model("relation", ...)``.

All of them look at a picture once, however many questions are asked about it, and read a question as bits or
as words. They differ in how the places of the picture and the question come together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import check_widths
from bayesight.models.outline import initialised
from bayesight.registry import Registry
from bayesight.values import BelowOne, Width, Widths, Within

QUESTION_MODELS: Registry[Any] = Registry("model")
"""Networks that answer questions about pictures."""
Form: TypeAlias = Literal["bits", "words"]
Reader: TypeAlias = Callable[[int], nn.Module]
"""Makes what reads questions as vectors of so many numbers."""
WIDTHS = (24, 24, 24, 24)
"""Channels of the convolutions, each of which halves the map (Santoro et al. 2017, supplement)."""


class QuestionModel(nn.Module):
    """A picture and questions about it to logits of the answers.

    Args:
        question: reads questions as vectors.
        places: sees what is where in a picture; None for a network that does not look.
        reason: takes places (P, O, D), where there are any, and questions (P, Q, width) to (P, Q, width).
        width: of the question, and of the layer before the answer.
        answers: A.
        dropout: share of the numbers before the answer that training leaves out.

    Shape:
        pictures (P, C, H, W) in [0, 1] and questions (P, Q, D) bits or (P, Q, L) words, 0 being none, to
        logits (P, Q, A).
    """

    def __init__(
        self,
        question: nn.Module,
        places: nn.Module | None,
        reason: nn.Module,
        width: int,
        answers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        check(answers >= 1, "questions", f"{answers} answers", "at least one")
        self.question, self.places, self.reason = question, places, reason
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, answers))

    def forward(self, images: Tensor, questions: Tensor) -> Tensor:
        """Logits of the answers."""
        asked = self.question(questions)
        found = self.reason(asked) if self.places is None else self.reason(self.places(images), asked)
        logits: Tensor = self.head(found)
        return logits


class WordReader(nn.Module):
    """A question in words (P, Q, L), 0 being none, read from first to last: (P, Q, width)."""

    def __init__(self, symbols: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width, padding_idx=0)
        self.order = nn.GRU(width, width, batch_first=True)

    def forward(self, questions: Tensor) -> Tensor:
        """The state after the last word; questions that are the same are read once."""
        rows, place = questions.flatten(0, 1).unique(dim=0, return_inverse=True)
        last = (rows != 0).sum(dim=1).clamp(min=1) - 1
        states, _ = self.order(self.embedding(rows))
        read: Tensor = states[torch.arange(len(rows), device=rows.device), last][place]
        return read.view(*questions.shape[:2], -1)


class Places(nn.Module):
    """Places of a picture with what is there: (P, C, H, W) to (P, O, D).

    Attributes:
        count: O.
        size: D.
    """

    def __init__(self, image_shape: tuple[int, int, int], widths: Widths) -> None:
        super().__init__()
        check_widths(widths, "questions.widths")
        channels, height, width = image_shape
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise((channels, *widths)):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
            height, width = -(-height // 2), -(-width // 2)
        self.convolutions = nn.Sequential(*layers)
        self.count, self.size = height * width, widths[-1] + 2

    def forward(self, images: Tensor) -> Tensor:
        """The last map as a list of places, each with its x and y in [-1, 1]."""
        maps = self.convolutions(2 * images - 1)
        height, width = maps.shape[-2:]
        y, x = (torch.linspace(-1, 1, n, device=maps.device, dtype=maps.dtype) for n in (height, width))
        where = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])
        return torch.cat([maps, where.expand(len(maps), -1, -1, -1)], dim=1).flatten(2).transpose(1, 2)


class Whole(nn.Module):
    """All places at once, weighed by the question, then a layer that is fully connected."""

    def __init__(self, places: Places, width: int) -> None:
        super().__init__()
        self.seen, self.asked = nn.Linear(places.count * places.size, width), nn.Linear(width, width)
        self.after = nn.Linear(width, width)

    def forward(self, places: Tensor, asked: Tensor) -> Tensor:
        """From (P, O, D) and (P, Q, width)."""
        both: Tensor = self.after(F.relu(self.seen(places.flatten(1)))[:, None] * self.asked(asked))
        return both


class Pairs(nn.Module):
    """The mean over pairs of places of what each pair means to the question (Santoro et al. 2017, eq. 1).

    One place of each pair is that of which the question is, found by attention, so that of O places there are
    O pairs and not O squared. Two layers see each pair; the first is linear in the one place, in the other
    and in the question, so that it is a sum of three parts.
    """

    def __init__(self, places: Places, width: int, pairs: int, heads: int) -> None:
        super().__init__()
        self.scale, self.look = nn.LayerNorm(width), PlaceAttention(places.size, width, heads)
        self.one, self.other = nn.Linear(width, pairs), nn.Linear(places.size, pairs, bias=False)
        self.asked, self.pair = nn.Linear(width, pairs, bias=False), nn.Linear(pairs, pairs)
        self.even = nn.LayerNorm(pairs)
        self.after = nn.Sequential(nn.Linear(pairs + width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, places: Tensor, asked: Tensor) -> Tensor:
        """From (P, O, D) and (P, Q, width)."""
        asked = self.scale(asked)
        one = self.look(places, asked)
        seen = (self.one(one) + self.asked(asked))[:, :, None] + self.other(places)[:, None]
        pairs = F.relu(self.pair(F.relu(seen))).mean(dim=2)
        related: Tensor = asked + self.after(torch.cat([self.even(pairs), one], dim=-1))
        return related


class PlaceAttention(nn.Module):
    """Attention to the place that a question is of: (P, O, D) and (P, Q, width) to (P, Q, width).

    Each head takes the mean of the places, each weighing as much as it suits the question (Vaswani et al.
    2017, eq. 1).
    """

    def __init__(self, size: int, width: int, heads: int) -> None:
        super().__init__()
        check(width % heads == 0, "attention", f"{heads} heads of {width} numbers", "heads that divide them")
        self.heads = heads
        self.key, self.value, self.query = (nn.Linear(n, width) for n in (size, size, width))

    def forward(self, places: Tensor, asked: Tensor) -> Tensor:
        """The mean of each head."""
        parts = (self.query(asked), self.key(places), self.value(places))
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        found: Tensor = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return found


class Looks(nn.Module):
    """A few looks at the places one after the other, each where the question and the looks before lead."""

    def __init__(self, places: Places, width: int, looks: int, heads: int) -> None:
        super().__init__()
        check(width % heads == 0, "attention", f"{heads} heads of {width} numbers", "heads that divide them")
        self.places = nn.Sequential(nn.Linear(places.size, width), nn.ReLU(), nn.Linear(width, width))
        self.looks = nn.ModuleList(
            nn.MultiheadAttention(width, heads, batch_first=True) for _ in range(looks)
        )
        self.before = nn.ModuleList(nn.LayerNorm(width) for _ in range(looks))
        self.think = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
            )
            for _ in range(looks)
        )

    def forward(self, places: Tensor, asked: Tensor) -> Tensor:
        """From (P, O, D) and (P, Q, width)."""
        seen = self.places(places)
        for look, before, think in zip(self.looks, self.before, self.think, strict=True):
            asked = asked + look(before(asked), seen, seen, need_weights=False)[0]
            asked = asked + think(asked)
        return asked


def build_question_model(
    name: str,
    image_shape: tuple[int, int, int],
    symbols: int,
    answers: int,
    *,
    form: Form = "words",
    seed: int = 0,
    **options: Any,
) -> QuestionModel:
    """A freshly initialised network that answers questions.

    Args:
        name: a registered name; ``QUESTION_MODELS.names()`` lists them.
        image_shape: (C, H, W) of one picture.
        symbols: bits of a question, or words of the vocabulary, of which 0 stands for none.
        answers: A.
        form: of a question.
        seed: initial weights follow from it; the global generator is left as it was.
        options: the network's own keyword arguments.

    Raises:
        UnknownName: no such network; the message suggests the nearest.
        InvalidConfig: options it does not have.
        InvalidInput: no answers, or more numbers than can be held.

    Example:
        >>> network = build_question_model("blind", (3, 75, 75), 11, 10, form="bits", width=8)
        >>> network(torch.zeros(2, 3, 75, 75), torch.zeros(2, 5, 11)).shape
        torch.Size([2, 5, 10])
    """
    network: QuestionModel = initialised(
        lambda: QUESTION_MODELS.build(name, image_shape, _reader(form, symbols), answers, **options),
        f"model {name!r}",
        image_shape,
        seed,
    )
    return network


def _reader(form: Form, symbols: int) -> Reader:
    return partial(WordReader if form == "words" else nn.Linear, symbols)


@QUESTION_MODELS.register("blind")
def blind(
    image_shape: tuple[int, int, int],
    reader: Reader,
    answers: int,
    *,
    width: Width = 128,
    dropout: BelowOne = 0.0,
) -> QuestionModel:
    """An answer from the question alone: the floor under every network that looks."""
    reason = nn.Sequential(nn.ReLU(), nn.Linear(width, width))
    return QuestionModel(reader(width), None, reason, width, answers, dropout)


@QUESTION_MODELS.register("cnn-mlp")
def cnn_mlp(
    image_shape: tuple[int, int, int],
    reader: Reader,
    answers: int,
    *,
    widths: Widths = WIDTHS,
    width: Width = 128,
    dropout: BelowOne = 0.0,
) -> QuestionModel:
    """Convolutions, then layers that are fully connected (see ``Whole``)."""
    places = Places(image_shape, widths)
    return QuestionModel(reader(width), places, Whole(places, width), width, answers, dropout)


@QUESTION_MODELS.register("relation")
def relation(
    image_shape: tuple[int, int, int],
    reader: Reader,
    answers: int,
    *,
    widths: Widths = WIDTHS,
    width: Width = 128,
    pairs: Width = 128,
    heads: Annotated[int, Within(1, 1024)] = 4,
    dropout: BelowOne = 0.0,
) -> QuestionModel:
    """Convolutions, then a relation network (see ``Pairs``)."""
    places = Places(image_shape, widths)
    return QuestionModel(reader(width), places, Pairs(places, width, pairs, heads), width, answers, dropout)


@QUESTION_MODELS.register("attention")
def attention(
    image_shape: tuple[int, int, int],
    reader: Reader,
    answers: int,
    *,
    widths: Widths = WIDTHS,
    width: Width = 128,
    looks: Annotated[int, Within(1, 64)] = 3,
    heads: Annotated[int, Within(1, 1024)] = 4,
    dropout: BelowOne = 0.0,
) -> QuestionModel:
    """Convolutions, then attention (see ``Looks``)."""
    places = Places(image_shape, widths)
    return QuestionModel(reader(width), places, Looks(places, width, looks, heads), width, answers, dropout)
