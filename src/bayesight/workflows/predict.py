"""What single images are, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesight.checks import existing_path
from bayesight.data.dataset import gather
from bayesight.data.decode import Frame, decode
from bayesight.errors import SourceUnreadable
from bayesight.models.classifier import Classes
from bayesight.run import Run
from bayesight.workflows.priors import parse_prior

__all__ = ["Prediction", "predict", "read_images"]


@dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    Args:
        path: of the image.
        prediction: the class with the highest posterior.
        posterior: probability of each class.
        prior: probability of each class before the image was seen.
    """

    path: str
    prediction: str
    posterior: dict[str, float]
    prior: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return dict(vars(self))


def predict(
    run_path: str | Path, images: Sequence[str | Path], *, prior: str | None = None
) -> list[Prediction]:
    """Classify image files with a run.

    Args:
        run_path: the run folder.
        images: image files, of any size and mode; they are brought to the run's.
        prior: base rates as ``parse_prior`` reads them; None takes the training shares.

    Raises:
        RunUnreadable: no run, or a damaged one.
        SourceNotFound, SourceUnreadable: an image that is not there, or is none.
        InvalidInput: a prior that is none.
    """
    classifier = Run.open(run_path).classifier()
    names = classifier.classes.names
    base = classifier.prior if prior is None else parse_prior(prior, names, classifier.prior)
    pixels = read_images(images, classifier.classes)
    features = classifier.features([(pixels, torch.zeros(len(pixels)))])
    posteriors = (classifier.log_likelihood(features) + base.log()).softmax(dim=1)
    return [
        Prediction(
            path=str(path),
            prediction=names[int(posterior.argmax())],
            posterior=dict(zip(names, posterior.tolist(), strict=True)),
            prior=dict(zip(names, base.tolist(), strict=True)),
        )
        for path, posterior in zip(images, posteriors, strict=True)
    ]


def read_images(images: Sequence[str | Path], classes: Classes) -> Tensor:
    """uint8 (N, C, H, W) of image files, brought to a run's size and mode.

    Raises:
        SourceNotFound: a file that is not there.
        SourceUnreadable: a file that is no image, with the reason.
    """
    paths = [existing_path(path) for path in images]
    for given, path in zip(images, paths, strict=True):
        if not path.is_file():
            raise SourceUnreadable(f"{given} is not a file; expected an image.")
    frame = Frame(classes.size[0], classes.size[1], classes.mode)
    found = decode([path.read_bytes() for path in paths], frame)
    if found.refused:
        index, reason = found.refused[0]
        raise SourceUnreadable(f"{images[index]} is no image that can be read: {reason}.")
    return gather(found.images, found.kept)
