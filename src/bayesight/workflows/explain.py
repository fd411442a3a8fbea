"""The explanation of one answer, as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bayesight.belief.occlusion import OcclusionMap, occlusion
from bayesight.data.codecs import png_of
from bayesight.files import write_atomic
from bayesight.run import Run
from bayesight.types import ImageArray
from bayesight.workflows.belief import belief_of
from bayesight.workflows.pictures import read_images
from bayesight.workflows.predict import Prediction, Predictions, Readings, answer_blocks, base_rates

_SHOWN_SIDE = 256
_RED, _BLUE = (255, 40, 0), (0, 90, 255)


@dataclass(frozen=True)
class Explanation:
    """An answer and what it rests on.

    Args:
        answers: to the one image, as ``predict`` gives it.
        worth: of each part of the image.
        path: of the picture.
    """

    answers: Predictions
    worth: OcclusionMap
    path: str

    @property
    def prediction(self) -> Prediction:
        """The answer."""
        return self.answers.predictions[0]


def explain(
    run_path: str | Path,
    image: str | Path,
    to: str | Path,
    how: Readings | None = None,
    *,
    ledger: str | None = None,
) -> Explanation:
    """Draw the image as the run sees it, beside it, in red, the parts that its most probable class rests on.

    For an image unlike anything seen a third picture shows, in blue, the parts that are unfamiliar.

    Args:
        run_path: the run folder.
        image: an image file.
        to: the picture, a PNG file.
        how: prior and level, as in ``predict``.
        ledger: as in ``predict``.

    Raises:
        SourceNotFound, SourceUnreadable: the image is not there, or is none.
        StorageFailed: the picture cannot be written.
    """
    classifier, how = belief_of(Run.open(run_path), ledger), how or Readings()
    classifier.classes.require_images("--explain")
    pixels = read_images([image], classifier.classes)
    (answers,) = answer_blocks(classifier, [image], how)
    (found,) = answers.predictions
    answer = max(range(len(found.posterior)), key=list(found.posterior.values()).__getitem__)
    worth = occlusion(classifier, pixels[0], answer, base_rates(classifier, how.prior))
    panels = [_panel(pixels[0]), _panel(pixels[0], worth.support, _RED)]
    if not found.known:
        panels.append(_panel(pixels[0], worth.strangeness, _BLUE))
    write_atomic(to, png_of(np.concatenate(panels, axis=1)))
    return Explanation(answers, worth, str(to))


def _panel(image: Tensor, worth: Tensor | None = None, colour: tuple[int, int, int] = _RED) -> ImageArray:
    """uint8 (H, W, 3), enlarged; pixels are tinted by how much above 0 they are worth."""
    shown = image.expand(3, -1, -1).permute(1, 2, 0).double()
    if worth is not None:
        strength = (worth / worth.max().clamp_min(1e-12)).clamp(0, 1)[..., None] * 0.7
        grey = 0.6 * shown.mean(dim=2, keepdim=True)
        shown = grey * (1 - strength) + torch.tensor(colour, dtype=torch.float64) * strength
    times = max(1, _SHOWN_SIDE // max(image.shape[1:]))
    drawn: ImageArray = shown.round().to(torch.uint8).numpy().repeat(times, axis=0).repeat(times, axis=1)
    return drawn
