"""Pictures of six shapes with questions about them, made from a seed: Sort-of-CLEVR.

Santoro et al. 2017, "A simple neural network module for relational reasoning", sec. 4.2 and supplement: an
object of each colour, circle or square; a question without relation is of one object alone, a relational
one of that object and the others. Each question is a code of eleven bits, and a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bayesight.checks import check
from bayesight.seeding import numpy_generator
from bayesight.types import ImageArray, IntArray

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "orange": (255, 156, 0),
    "gray": (128, 128, 128),
    "yellow": (255, 255, 0),
}
ANSWERS = ("yes", "no", "square", "circle", "1", "2", "3", "4", "5", "6")
KINDS = ("non-relational", "relational")
SENTENCES = (
    (
        "What shape is the {} object?",
        "Is the {} object on the left?",
        "Is the {} object at the top?",
    ),
    (
        "What shape is closest to the {} object?",
        "What shape is farthest from the {} object?",
        "How many objects have the shape of the {} object?",
    ),
)
"""By kind; the object is named by its colour."""
_ASKED = len(COLOURS) * 3
"""Different questions of each kind."""
_RADII = 15
"""Sides of a picture, in radii of an object."""


@dataclass(frozen=True, eq=False)
class ShapeScenes:
    """Pictures and the questions about each, those of either kind one after the other.

    Args:
        images: (N, S, S, 3) uint8.
        colours: (N, Q) place in ``COLOURS`` of the object that is asked for.
        kinds: (N, Q) place in ``KINDS``.
        subtypes: (N, Q) place among the ``SENTENCES`` of its kind.
        answers: (N, Q) place in ``ANSWERS``.
    """

    images: ImageArray
    colours: IntArray
    kinds: IntArray
    subtypes: IntArray
    answers: IntArray

    def codes(self) -> ImageArray:
        """(N, Q, 11) of 0 and 1: six bits of the colour, two of the kind, three of the subtype."""
        parts = ((self.colours, len(COLOURS)), (self.kinds, 2), (self.subtypes, 3))
        return np.concatenate([np.eye(count, dtype=np.uint8)[part] for part, count in parts], axis=-1)

    def sentence(self, picture: int, question: int) -> str:
        """A question in words."""
        template = SENTENCES[self.kinds[picture, question]][self.subtypes[picture, question]]
        return template.format(tuple(COLOURS)[self.colours[picture, question]])


def shape_scenes(count: int, *, side: int = 75, questions: int = 10, seed: int = 0) -> ShapeScenes:
    """Pictures with an object of each colour, none over another, and questions that have one answer each.

    Distances are between centres, and none is a tie; an object counts among those of its own shape; left
    and top are halves of the picture.

    Args:
        count: N pictures.
        side: S pixels of their sides, at least 30.
        questions: different ones of each kind about a picture, 18 at most.
        seed: everything random follows from it.

    Example:
        >>> scenes = shape_scenes(1, questions=1)
        >>> scenes.sentence(0, 0), ANSWERS[scenes.answers[0, 0]]
        ('Is the orange object at the top?', 'yes')
    """
    check(side >= 30, "shape_scenes", f"pictures of {side} pixels", "30 or more")
    check(1 <= questions <= _ASKED, "shape_scenes", f"{questions} questions", f"1 to {_ASKED} of each kind")
    rng = numpy_generator(seed, "shapes")
    centres, circles = _placed(count, side, rng), rng.integers(2, size=(count, len(COLOURS))) == 1
    kinds = np.repeat([0, 1], questions)[None].repeat(count, axis=0)
    order = rng.random((count, 2, _ASKED)).argsort(axis=-1)[..., :questions].reshape(count, -1)
    colours, subtypes = np.divmod(order, 3)
    truth = _truth(centres, circles, side).reshape(count, 2, len(COLOURS), 3)
    answers = truth[np.arange(count)[:, None], kinds, colours, subtypes]
    return ShapeScenes(_drawn(centres, circles, side), colours, kinds, subtypes, answers)


def question_lines(scenes: ShapeScenes, names: list[str]) -> Iterator[str]:
    """Every question as a line of JSON: image, question, answer, kind.

    Args:
        scenes: N pictures.
        names: of their N files.
    """
    for picture, name in enumerate(names):
        for question, answer in enumerate(scenes.answers[picture].tolist()):
            yield json.dumps(
                {
                    "image": name,
                    "question": scenes.sentence(picture, question),
                    "answer": ANSWERS[answer],
                    "kind": KINDS[scenes.kinds[picture, question]],
                }
            )


def _placed(count: int, side: int, rng: np.random.Generator) -> IntArray:
    """Centres (N, 6, 2) as x and y; a scene in which objects touch or are equally far is drawn anew."""
    radius = side // _RADII
    centres = np.zeros((count, len(COLOURS), 2), np.int64)
    left = np.arange(count)
    while len(left):
        drawn = rng.integers(radius, side - radius, size=(len(left), len(COLOURS), 2))
        between = np.abs(drawn[:, :, None] - drawn[:, None])
        own = np.eye(len(COLOURS), dtype=bool)
        apart = (between.max(axis=-1) > 2 * radius) | own
        order = np.sort(np.square(between).sum(axis=-1), axis=-1)
        clear = (order[..., 1] < order[..., 2]) & (order[..., -2] < order[..., -1])
        fits = apart.all(axis=(1, 2)) & clear.all(axis=1)
        centres[left[fits]] = drawn[fits]
        left = left[~fits]
    return centres


def _truth(centres: IntArray, circles: IntArray, side: int) -> IntArray:
    """(N, 2, 6, 3) answers to every question: kind, colour, subtype."""
    own = 2 + circles.astype(np.int64)
    gaps = np.square(centres[:, :, None] - centres[:, None]).sum(axis=-1)
    same = np.arange(len(COLOURS))
    far = gaps.argmax(axis=-1)
    gaps[:, same, same] = 2 * side**2
    near = gaps.argmin(axis=-1)
    alike = (circles[:, :, None] == circles[:, None]).sum(axis=-1)
    rows = np.arange(len(centres))[:, None]
    beyond = (2 * centres >= side).astype(np.int64)
    alone = np.stack([own, beyond[..., 0], beyond[..., 1]], axis=-1)
    related = np.stack([own[rows, near], own[rows, far], 3 + alike], axis=-1)
    truth: IntArray = np.stack([alone, related], axis=1)
    return truth


def _drawn(centres: IntArray, circles: IntArray, side: int) -> ImageArray:
    """Pictures (N, S, S, 3) on white ground."""
    radius = side // _RADII
    steps = np.arange(-radius, radius + 1)
    inside = steps[:, None] ** 2 + steps**2 <= (radius + 0.5) ** 2
    images = np.full((len(centres), side, side, 3), 255, np.uint8)
    for number, colour in enumerate(COLOURS.values()):
        painted = inside | ~circles[:, number, None, None]
        scene, dy, dx = np.nonzero(painted)
        x, y = centres[scene, number].T
        images[scene, y + steps[dy], x + steps[dx]] = colour
    return images
