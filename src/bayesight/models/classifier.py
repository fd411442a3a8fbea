"""A network and what is believed about its classes: images in, the four terms of Bayes' theorem out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from bayesight.errors import RunUnreadable
from bayesight.models.base import ImageModel

__all__ = ["Classes", "Classifier", "fit_temperature", "logits_of"]


@dataclass(frozen=True)
class Classes:
    """What a run's numbers 0 .. K-1 and its pixels mean.

    Args:
        names: class names in the order of the network's outputs; never recomputed.
        mode: "L" or "RGB".
        size: (height, width) in pixels.
    """

    names: tuple[str, ...]
    mode: str
    size: tuple[int, int]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) as the network sees an image."""
        return (1 if self.mode == "L" else 3, *self.size)


@dataclass(frozen=True)
class Classifier:
    """A trained network whose answers are beliefs.

    The network's softmax was trained under the class shares of its training images, so its log-probabilities
    less the log of those shares are log-likelihoods, up to a constant an image. With a prior they give the
    posterior where the classifier is used.

    Args:
        network: in evaluation mode.
        classes: what its outputs mean.
        counts: (K,) training images of each class, float64.
        temperature: divides the logits; fitted on validation images.
    """

    network: ImageModel
    classes: Classes
    counts: Tensor
    temperature: float

    @property
    def training_prior(self) -> Tensor:
        """(K,) shares of the classes in the training images."""
        return self.counts / self.counts.sum()

    def log_likelihood(self, logits: Tensor) -> Tensor:
        """(N, K) log p(image | class) in nats, up to a constant an image.

        Args:
            logits: (N, K) of the network.
        """
        calibrated = (logits.double() / self.temperature).log_softmax(dim=1)
        return calibrated - self.training_prior.log()

    def log_posterior(self, logits: Tensor, prior: Tensor | None = None) -> Tensor:
        """(N, K) log p(class | image) in nats under ``prior``, by default the training shares.

        Args:
            logits: (N, K) of the network.
            prior: (K,) probabilities.
        """
        log_prior = (self.training_prior if prior is None else prior).log()
        return (self.log_likelihood(logits) + log_prior).log_softmax(dim=1)

    @classmethod
    def from_tensors(cls, network: ImageModel, classes: Classes, tensors: Mapping[str, Tensor]) -> Classifier:
        """The classifier whose ``tensors`` these are.

        Raises:
            RunUnreadable: tensors that are missing or of the wrong shape.
        """
        try:
            counts, temperature = tensors["counts"].double(), float(tensors["temperature"])
            if counts.shape != (len(classes.names),) or not temperature > 0:
                raise ValueError("wrong shape or value")
        except (KeyError, ValueError, RuntimeError) as problem:
            raise RunUnreadable(f"belief.safetensors is damaged ({problem}).") from problem
        return cls(network, classes, counts, temperature)

    def tensors(self) -> dict[str, Tensor]:
        """What ``belief.safetensors`` holds."""
        return {
            "counts": self.counts,
            "temperature": torch.tensor(self.temperature, dtype=torch.float64),
        }


@torch.no_grad()
def logits_of(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """(N, K) float32 logits on the CPU, of every batch in order.

    Args:
        network: images (B, C, H, W) in [0, 1] to logits (B, K), in evaluation mode.
        batches: (uint8 images, anything) pairs, as ``Examples.in_order`` gives them.
    """
    device = next(network.parameters()).device
    return torch.cat([network(images.to(device).float().div_(255)).cpu() for images, _ in batches])


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature T > 0 that minimises the log-loss of softmax(logits / T) (Guo et al. 2017, sec. 4.2).

    Args:
        logits: (N, K).
        labels: (N,) class numbers.
    """
    scores = logits.double()

    def loss(log_t: float) -> float:
        return F.cross_entropy(scores / math.exp(log_t), labels).item()

    found = minimize_scalar(loss, bounds=(math.log(0.05), math.log(20.0)), method="bounded")
    return math.exp(found.x)
