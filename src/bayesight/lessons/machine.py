"""Readiness of a classroom's machine for the lessons."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import webbrowser
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bayesight.language import tr

_PYTHON = (3, 11)
_FREE_GB = 2.0
_SLOWEST_S = 20.0
_KOREAN = re.compile(
    r"nanum|malgun|gulim|dotum|batang|apple ?(sd )?gothic|noto (sans|serif) (cjk|kr)|source han"
    r"|baekmuk|d2coding|pretendard|나눔|맑은",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MachineCheck:
    """One thing a lesson needs.

    Attributes:
        name: "python", "torch", "disk", "folder", "training", "pytest", "notebook", "browser" or "fonts".
        found: what is there, in words.
        ready: it will do.
        needed: without it lessons do not run; else only a part of them does not.
        mend: how to get it; empty where it will do.
    """

    name: str
    found: str
    ready: bool
    needed: bool
    mend: str


def check_machine(folder: Path) -> tuple[MachineCheck, ...]:
    """Everything the lessons need, looked at; takes a few seconds.

    Args:
        folder: where the learner will work.
    """
    import torch

    python, free = ".".join(map(str, sys.version_info[:3])), shutil.disk_usage(folder).free / 1e9
    seconds, font = _training_s(), _korean_font()
    notebook = next((name for name in ("jupyterlab", "notebook", "google.colab") if _installed(name)), "")
    return (
        _check("python", python, sys.version_info >= _PYTHON, tr("install Python 3.11 or newer")),
        _check("torch", torch.__version__, True, ""),
        _check("disk", f"{free:.0f} GB", free >= _FREE_GB, tr("free 2 GB")),
        _check("folder", str(folder), os.access(folder, os.W_OK), tr("choose a folder that can be written")),
        _check("training", f"{seconds:.1f} s", seconds < _SLOWEST_S, tr("close other programs")),
        _check("pytest", "", _installed("pytest"), "pip install pytest", needed=False),
        _check("notebook", notebook, bool(notebook), "pip install jupyterlab", needed=False),
        _check("browser", "", _has_browser(), tr("open pages that --html writes"), needed=False),
        _check("fonts", font, bool(font), tr("install a Korean font such as Nanum Gothic"), needed=False),
    )


def _check(name: str, found: str, ready: bool, mend: str, *, needed: bool = True) -> MachineCheck:
    return MachineCheck(name, found, ready, needed, "" if ready else mend)


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package around it is missing
        return False


def _has_browser() -> bool:
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _korean_font() -> str:
    """A font of the system with Korean letters; empty where there is none."""
    from matplotlib.font_manager import fontManager

    return next((font.name for font in fontManager.ttflist if _KOREAN.search(font.name)), "")


def _training_s() -> float:
    """Seconds for 300 steps of a perceptron on 800 images of 28 x 28, a lesson's amount."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(0)
    images = torch.rand(800, 784, generator=generator)
    labels = torch.randint(10, (800,), generator=generator)
    began = time.perf_counter()
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(300):
        rows = torch.arange(step * 32, step * 32 + 32) % 800
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
        optimizer.step()
    return time.perf_counter() - began
