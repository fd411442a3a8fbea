"""A service on a small run, asked in the same process."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from bayesight.service import Settings, create_app


def png(pixels: np.ndarray) -> bytes:
    """An array as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def drawing(name: str, seed: int = 3) -> bytes:
    """A PNG of a bar, a disc or a ring, in its own place."""
    rng = np.random.default_rng([seed, *name.encode()])
    y, x = np.mgrid[:28, :28]
    cy, cx = rng.uniform(12, 16, 2)
    distance = np.hypot(y - cy, x - cx)
    shape = {"bar": np.abs(x - cx) < 3, "disc": distance < 8, "ring": np.abs(distance - 7) < 2}[name]
    return png(np.clip(shape * 100 + 60 + rng.normal(0, 20, (28, 28)), 0, 255).astype(np.uint8))


def stripes(seed: int = 0) -> bytes:
    """A PNG unlike anything the run was trained on."""
    rng = np.random.default_rng(seed)
    rows = (np.arange(28) // 3 % 2)[:, None] * 200 + rng.normal(0, 10, (28, 28)) + 20
    return png(np.clip(rows, 0, 255).astype(np.uint8))


@pytest.fixture
def settings(shapes_run: Path, tmp_path: Path) -> Settings:
    """How the service of a test is run: on loopback, with a ledger of its own, as fast as it can."""
    return Settings(str(shapes_run), str(tmp_path / "ledger.sqlite"), rate="")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A service and whoever asks it."""
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def draw():
    """Draw a bar, a disc or a ring; a seed for each."""
    return drawing


@pytest.fixture
def strange() -> bytes:
    """A PNG unlike anything the run was trained on."""
    return stripes()
