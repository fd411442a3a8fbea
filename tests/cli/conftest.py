"""The command line in this process, and what it is tried on."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bayesight.cli import main


@pytest.fixture
def program(monkeypatch, capsys):
    """Run the command line in this process: exit status, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bayesight", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as leave:
            status = leave.code or 0
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def refusal(program):
    """Run a command that must be refused: exit status 1, nothing on standard output; its one sentence."""

    def run(*arguments):
        status, out, err = program(*arguments)
        assert (status, out) == (1, ""), err
        assert err.startswith("bayesight: ")
        assert err.count("\n") == 1
        return err

    return run


@pytest.fixture
def source_keys():
    """What the JSON of every command that reads a source says of it."""
    return {
        "quarantined", "ignored", "ignored_kinds", "lost_classes", "superseded", "container",
        "levels", "fit", "treatment", "notes",
    }  # fmt: skip


@pytest.fixture
def run_copy(shapes_run: Path, tmp_path: Path) -> Path:
    """A copy of the run on drawings, for a test to change."""
    return Path(shutil.copytree(shapes_run, tmp_path / "run"))


@pytest.fixture
def pictures(more_shapes: Path, tmp_path: Path) -> list[Path]:
    """A bar, a disc and a ring as image files."""
    from bayesight.data import open_store

    images = open_store(more_shapes).images
    paths = [tmp_path / f"{name}.png" for name in ("bar", "disc", "ring")]
    for row, path in zip((0, 30, 60), paths, strict=True):
        Image.fromarray(np.asarray(images[row])).save(path)
    return paths
