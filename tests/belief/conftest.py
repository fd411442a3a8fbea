"""Labelled feature vectors, and classifiers that have learned some."""

import pytest
import torch

from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classes, fit_classifier
from bayesight.models import build

SIZE = 6


@pytest.fixture(scope="session")
def rows():
    """Draw labelled feature vectors, no two of the same image."""

    def draw_rows(count, seed, classes=3, spread=1.5):
        draw = torch.Generator().manual_seed(seed)
        centres = torch.randn(classes, SIZE, generator=torch.Generator().manual_seed(5)) * spread
        labels = torch.randint(classes, (count,), generator=draw)
        digests = torch.randint(0, 256, (count, 16), generator=draw, dtype=torch.uint8)
        return Rows(centres[labels] + torch.randn(count, SIZE, generator=draw), labels, digests)

    return draw_rows


@pytest.fixture(scope="session")
def fit(rows):
    """Fit a classifier to 90 rows."""

    def fit_rows(spread=1.5):
        network = build("mlp", (1, 8, 8), 3, hidden=(SIZE,), seed=1).eval()
        train, held = rows(90, 0, spread=spread), rows(60, 1, spread=spread)
        return fit_classifier(
            network, Classes(("bar", "disc", "ring"), "L", (8, 8)), train, held, precision="32"
        )

    return fit_rows
