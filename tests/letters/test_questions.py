"""Pictures of shapes: the answers are those that somebody would give who looks at the picture."""

import json

import numpy as np
import pytest

from bayesight.errors import InvalidInput
from bayesight.letters.questions import ANSWERS, COLOURS, question_lines, shape_scenes


def seen(image):
    """Each object's centre and shape, from the pixels alone."""
    found = {}
    for name, colour in COLOURS.items():
        rows, columns = np.nonzero((image == colour).all(axis=-1))
        box = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        found[name] = (np.array([columns.mean(), rows.mean()]), "square" if len(rows) == box else "circle")
    return found


def told(question, objects, side):
    """The answer to a question, word by word."""
    asked = next(name for name in COLOURS if f" {name} " in question)
    place, shape = objects[asked]
    others = sorted(
        (np.hypot(*(where - place)).round(6), own) for name, (where, own) in objects.items() if name != asked
    )
    if "closest" in question:
        return others[0][1]
    if "farthest" in question:
        return others[-1][1]
    if "How many" in question:
        return str(sum(own == shape for _, own in objects.values()))
    if "left" in question:
        return "yes" if place[0] < side / 2 else "no"
    if "top" in question:
        return "yes" if place[1] < side / 2 else "no"
    return shape


@pytest.mark.parametrize("side", [75, 48])
def test_answers_are_those_of_the_pixels(side):
    scenes = shape_scenes(60, side=side, seed=3)
    for picture, image in enumerate(scenes.images):
        objects = seen(image)
        for question, answer in enumerate(scenes.answers[picture]):
            asked = scenes.sentence(picture, question)
            assert told(asked, objects, side) == ANSWERS[answer], asked


def test_every_question_is_asked_once_and_its_code_tells_it():
    scenes = shape_scenes(3, questions=18)
    codes = scenes.codes()
    assert codes.shape == (3, 36, 11)
    assert (codes.sum(axis=-1) == 3).all()
    for picture in range(3):
        sentences = [scenes.sentence(picture, question) for question in range(36)]
        assert len(set(sentences)) == len(np.unique(codes[picture], axis=0)) == 36
        assert sum("objects" in one or "est" in one for one in sentences) == 18


def test_objects_keep_apart_and_stay_inside():
    scenes = shape_scenes(100, seed=8)
    for image in scenes.images:
        places = np.array([place for place, _ in seen(image).values()])
        gaps = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
        assert gaps[~np.eye(6, dtype=bool)].min() > 9
        assert (image == 255).all(axis=-1).mean() == pytest.approx(0.9, abs=0.03)


def test_the_seed_decides():
    one, again, other = (shape_scenes(5, seed=seed) for seed in (1, 1, 2))
    assert (one.images == again.images).all()
    assert (one.answers == again.answers).all()
    assert (one.images != other.images).any()


def test_lines_of_json():
    scenes = shape_scenes(2, questions=4)
    lines = [json.loads(line) for line in question_lines(scenes, ["a.png", "b.png"])]
    assert len(lines) == 16
    assert lines[9] == {
        "image": "b.png",
        "question": scenes.sentence(1, 1),
        "answer": ANSWERS[scenes.answers[1, 1]],
        "kind": "non-relational",
    }


@pytest.mark.parametrize("wrong", [{"side": 20}, {"questions": 0}, {"questions": 19}])
def test_scenes_that_cannot_be(wrong):
    with pytest.raises(InvalidInput, match="shape_scenes"):
        shape_scenes(1, **wrong)
