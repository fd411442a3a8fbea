"""Answers about the images that can be read, whatever lies among them."""

from types import SimpleNamespace

import numpy as np
import pytest

from bayesight.data.rasters import RasterRefusal
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable, StorageFailed
from bayesight.workflows.tasks import answers
from bayesight.workflows.tasks.answers import answer_images
from bayesight.workflows.tasks.base import ImageAnswer

RUN = SimpleNamespace(kind="segmentation")


class Counting:
    """Answers with the size of a file; an empty one is no image."""

    asks = ""

    def answer(self, trained, blob, asked):
        if not blob:
            raise RasterRefusal("zero bytes")
        return ImageAnswer({"bytes": len(blob)}, f"{len(blob)} bytes", np.zeros((1, 1, 3), np.uint8))


@pytest.fixture(autouse=True)
def task(monkeypatch):
    monkeypatch.setattr(answers, "opened_task", lambda run: (Counting(), None))
    monkeypatch.setattr(answers, "ENCODED_LIMIT_BYTES", 100)


@pytest.fixture
def files(tmp_path):
    contents = {"a.png": b"123", "empty.png": b"", "large.png": b"x" * 101}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_what_cannot_be_read_is_named_and_the_others_are_answered(files):
    given = [files / name for name in ("none.png", "empty.png", "large.png", "a.png")]
    found = answer_images(RUN, given)
    assert [row["path"] for row in found.as_list()] == [str(given[k]) for k in (3, 0, 1, 2)]
    reasons = dict(found.unread)
    assert "does not exist" in reasons[str(given[0])]
    assert reasons[str(given[1])] == "zero bytes"
    assert reasons[str(given[2])] == "101 bytes, over the limit of 100 for one file"


def test_where_none_can_be_read_the_first_says_why(files):
    with pytest.raises(SourceNotFound, match=r"none\.png"):
        answer_images(RUN, [files / "none.png", files / "empty.png"])
    with pytest.raises(SourceUnreadable, match=r"empty\.png: zero bytes; expected an image"):
        answer_images(RUN, [files / "empty.png", files / "none.png"])
    with pytest.raises(SourceUnreadable, match="no image was given"):
        answer_images(RUN, [])


def test_a_folder_for_drawings_that_cannot_be_made_is_refused_in_words(files):
    (files / "taken").write_text("a file")
    with pytest.raises(
        StorageFailed, match=r"taken: could not be made \(a file is there\); expected a folder"
    ):
        answer_images(RUN, [files / "a.png"], overlay=files / "taken")


def test_a_drawing_is_a_png_by_its_name_and_a_folder_may_have_a_dot(files):
    for name in ("drawn.jpg", "drawn.txt"):
        with pytest.raises(InvalidInput, match=rf"--overlay: .*{name}; expected a name that ends in \.png"):
            answer_images(RUN, [files / "a.png"], overlay=files / name)
        assert not (files / name).exists()
    (files / "drawn.v2").mkdir()
    (row,) = answer_images(RUN, [files / "a.png"], overlay=files / "drawn.v2").as_list()
    assert row["overlay"] == str(files / "drawn.v2" / "0001-a.png")
    answer_images(RUN, [files / "a.png"], overlay=files / "B.PNG")
    assert (files / "B.PNG").read_bytes().startswith(b"\x89PNG")
