"""A run to change, and archives that are its parts."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bayesight.data.parts import find_parts


@pytest.fixture
def run_copy(shapes_run: Path, tmp_path: Path) -> Path:
    """A copy of the run on drawings, for a test to change."""
    return Path(shutil.copytree(shapes_run, tmp_path / "run"))


@pytest.fixture
def manifest_of(tmp_path: Path) -> Callable[..., Path]:
    """Write a manifest of archives."""

    def write(*archives: Path, name: str = "PARTS.json") -> Path:
        find_parts(archives).save(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def three(make_archive: Callable[..., Path]) -> list[Path]:
    """Three parts: the second has a new class, the third has the images of the first, some under another."""
    first = make_archive("a.tar.gz", {"bar": 6, "ring": 5}, seed=3)
    second = make_archive("b.tar.gz", {"disc": 5, "star": 4}, {"star": "ring"}, seed=4)
    third = make_archive("c.tar.gz", {"bar": 6, "disc": 5}, {"disc": "ring"}, seed=3)
    return [first, second, third]
