"""Runs that tests may change."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def run_copy(shapes_run: Path, tmp_path: Path) -> Path:
    """A copy of the run on drawings, for a test to change."""
    return Path(shutil.copytree(shapes_run, tmp_path / "run"))
