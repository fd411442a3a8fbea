"""Images brought back: what the picture shows belongs together."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bayesight.milestones import Setting, find
from bayesight.milestones.bench.running import measure
from bayesight.milestones.bench.workbench import Sources


def test_under_every_image_is_its_own_copy():
    milestone = find("autoencoder")
    setting = Setting(out=Path(), smoke=True, threads=1)
    found = measure(milestone.arm("pca"), Sources(milestone, smoke=True), 0, setting)
    (page,) = found.pictures.values()
    above, below = page.reshape(2, 28, 10, 28).transpose(0, 2, 1, 3).reshape(2, 10, 784)
    alike = np.corrcoef(above, below)[:10, 10:]
    assert (alike.argmax(1) == np.arange(10)).all()
