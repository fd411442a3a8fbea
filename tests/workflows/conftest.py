"""Runs that tests may change, and trainings that are killed."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_TRAINING = """if True:
    import os, signal, sys
    from pathlib import Path
    from bayesight.training.events import StepEvent
    from bayesight.training.recipe import Recipe
    from bayesight.workflows.train import TrainRequest, train
    source, recipe, out = map(Path, sys.argv[1:4])
    stop, every_s = int(sys.argv[4]), float(sys.argv[5])
    def kill(event):
        if isinstance(event, StepEvent) and event.step == stop:
            os.kill(os.getpid(), signal.SIGKILL)
    how = {"threads": 1, "resume": True, "checkpoint_every_s": every_s}
    train(TrainRequest(source, out, Recipe.load(recipe), **how), listeners=[kill])
"""


@pytest.fixture
def killed_training() -> Callable[[Path, Path, Path, int, float], int]:
    """Train in a process that SIGKILL ends at a step, or goes on where it stopped; its exit status."""

    def run(source: Path, recipe: Path, out: Path, stop: int, every_s: float) -> int:
        arguments = [sys.executable, "-c", _TRAINING, source, recipe, out, str(stop), str(every_s)]
        return subprocess.run(arguments, check=False, timeout=300).returncode

    return run


@pytest.fixture
def run_copy(shapes_run: Path, tmp_path: Path) -> Path:
    """A copy of the run on drawings, for a test to change."""
    return Path(shutil.copytree(shapes_run, tmp_path / "run"))
