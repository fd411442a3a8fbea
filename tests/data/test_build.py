"""A first look: sizes and modes as the files have them, and nothing where nothing can be read."""

import numpy as np
import pytest
from PIL import Image

from bayesight.data.build import first_frames


@pytest.fixture
def mixed(tmp_path):
    folder = tmp_path / "photos"
    for name, size, mode in (("a", (40, 30), "RGB"), ("b", (30, 40), "L")):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(np.zeros(size[::-1] + ((3,) if mode == "RGB" else ()), np.uint8)).save(
                folder / name / f"{number}.png"
            )
    return folder


def test_frames_are_those_of_the_files(mixed):
    frames = first_frames(mixed)
    assert [(f.height, f.width, f.mode) for f in frames] == [(30, 40, "RGB")] * 6 + [(40, 30, "L")] * 6
    assert len(first_frames(mixed, most=3)) == 3


def test_a_broken_file_is_passed_over(mixed):
    (mixed / "a" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert len(first_frames(mixed)) == 11


def test_what_cannot_be_read_has_none(tmp_path):
    assert first_frames(tmp_path / "none") == []
    (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8b\x08")
    assert first_frames(tmp_path / "cut.tar.gz") == []
