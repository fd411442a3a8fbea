"""The explanation of one answer, as a picture."""

import numpy as np
from PIL import Image

from bayesight.data import open_store
from bayesight.workflows.explain import explain
from bayesight.workflows.predict import Readings, predict


def test_the_strongest_tint_lies_where_the_answer_rests(shapes_run, more_shapes, tmp_path):
    image = tmp_path / "disc.png"
    Image.fromarray(np.asarray(open_store(more_shapes).images[30])).save(image)
    found = explain(shapes_run, image, tmp_path / "why.png", Readings(prior="disc=0.5"))
    (own,) = predict(shapes_run, [image], Readings(prior="disc=0.5"))
    assert found.prediction == own
    drawn = _drawn(tmp_path / "why.png")
    assert drawn.shape == (28 * 9, 2 * 28 * 9, 3)
    tint = (drawn[:, 28 * 9 :, 0] - drawn[:, 28 * 9 :, 2])[4::9, 4::9]
    assert tint.argmax() == found.worth.support.numpy().argmax()
    assert (tint[found.worth.support.numpy() <= 0] == 0).all()


def test_an_unknown_image_shows_what_is_unfamiliar(shapes_run, tmp_path):
    noise = np.random.default_rng(3).choice([0, 255], (28, 28)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    found = explain(shapes_run, tmp_path / "noise.png", tmp_path / "why.png")
    assert not found.prediction.known
    drawn = _drawn(tmp_path / "why.png")
    assert drawn.shape == (28 * 9, 3 * 28 * 9, 3)
    third = drawn[4::9, 2 * 28 * 9 + 4 :: 9]
    assert (third[..., 2] - third[..., 0]).argmax() == found.worth.strangeness.numpy().argmax()


def _drawn(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)
