"""A classifier as one graph of plain operations: images and base rates in, the four terms and novelty out.

What does not depend on the image is computed beforehand, so that the graph needs no gamma function and no
factorisation, and runs wherever matrix products, logarithms and softmax do.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from bayesight.belief.classifier import Classifier
from bayesight.models.base import ImageModel, Standardisation

OUTPUTS = ("log_likelihood", "log_evidence", "posterior", "novelty")


class _RoundedStandardisation(nn.Module):
    """``Standardisation`` in bf16."""

    mean: Tensor
    scale: Tensor

    def __init__(self, layer: Standardisation) -> None:
        super().__init__()
        self.register_buffer("mean", _rounded(layer.mean))
        self.register_buffer("scale", _rounded(layer.deviation.reciprocal()))

    def forward(self, x: Tensor) -> Tensor:
        return _rounded(_rounded(_rounded(x) - self.mean) * self.scale)


class ExportedClassifier(nn.Module):
    """The network, its head and what it measures novelty by.

    Shape:
        images (N, C, H, W) uint8 and prior (K,) float64, which sums to 1, to a tuple as ``OUTPUTS`` names it:
        log_likelihood (N, K) and log_evidence (N,) in nats, posterior (N, K), all float64; novelty (N,)
        float64, in standard deviations of images of known kinds.

    Args:
        classifier: the belief as it is now.
    """

    shift: Tensor
    project: Tensor
    means: Tensor
    mean_squares: Tensor
    own_log_prior: Tensor
    unmet: Tensor
    constant: Tensor
    width: Tensor
    weights: Tensor
    slipped: Tensor
    exemplars: Tensor
    exemplar_squares: Tensor
    background_project: Tensor
    background_mean: Tensor
    novelty_mean: Tensor
    novelty_deviation: Tensor

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        ready, background = classifier.predictive, classifier.background
        reference, exemplars = classifier.novelty_reference, classifier.absorbed.exemplars
        self.network = copy.deepcopy(classifier.network).eval()
        if classifier.precision == "bf16":
            _round_results(self.network)
        project = ready.whiten / ready.scale  # (D, D), rows of features to the metric of the scatter
        self._keep("shift", ready.shift)
        self._keep("project", project.T)
        self._keep("means", ready.minus_two_means)
        self._keep("mean_squares", ready.mean_squares)
        self._keep("own_log_prior", ready.log_prior.exp().clamp_min(torch.finfo(torch.float64).tiny).log())
        self._keep("unmet", ready.log_prior.isneginf())
        # A density is constant + tail * log(1 + squared / width), one row a temperature.
        self._keep("constant", ready.student_t.constant[:, 0])
        self._keep("width", ready.student_t.spread[:, 0])
        self.tail, self.softened = float(ready.student_t.tail), ready.softened
        kept, slipped = ready.shares
        self._keep("weights", kept[:, None, None])
        self._keep("slipped", slipped)
        self._keep("exemplars", exemplars)
        self._keep("exemplar_squares", exemplars.float().square().sum(1))
        self._keep("background_project", (background.whiten / background.scale).T)
        self._keep("background_mean", background.means[0])
        self.background_width = float(background.student_t.spread)
        self.background_constant = float(background.student_t.constant)
        self._keep("novelty_mean", reference.mean)
        self._keep("novelty_deviation", reference.deviation)

    def forward(self, images: Tensor, prior: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The terms of Bayes' theorem for each image under the base rates given."""
        features = self.network.evidence_features(images.float() / 255).float()
        log_likelihood = self._log_likelihood(features)
        joint = log_likelihood + prior.log()
        log_evidence = torch.logsumexp(joint, dim=1)
        posterior = torch.softmax(joint, dim=1)
        return log_likelihood, log_evidence, posterior, self._novelty(features, log_likelihood)

    def _log_likelihood(self, features: Tensor) -> Tensor:
        """(N, K), averaged over the sharpness; see ``bayes.head.predictive``."""
        x = (features.double() - self.shift) @ self.project
        squared = (x.square().sum(1, keepdim=True) + x @ self.means + self.mean_squares).clamp_min(0)
        at_centre = self.constant[0] - self.tail * (1 + squared / self.width[0]).log()
        if not self.softened:
            return at_centre
        log_evidence = torch.logsumexp(at_centre + self.own_log_prior, dim=1, keepdim=True)
        scores = self.constant[1:, None] - self.tail * (1 + squared / self.width[1:, None]).log()
        answers = (scores + self.own_log_prior).softmax(dim=2)
        averaged = (answers * self.weights).sum(0) + self.slipped
        shared = log_evidence + averaged.log() - self.own_log_prior
        return torch.where(self.unmet, at_centre, shared)

    def _novelty(self, features: Tensor, log_likelihood: Tensor) -> Tensor:
        """(N,), see ``evaluate.novelty``."""
        squared = self.exemplar_squares - 2 * features @ self.exemplars.float().T
        near = (squared.amin(1) + features.square().sum(1)).clamp_min(0).sqrt().double()
        even = torch.logsumexp(log_likelihood, dim=1) - math.log(log_likelihood.shape[1])
        x = (features.double() - self.shift) @ self.background_project - self.background_mean
        far = x.square().sum(1) / self.background_width
        under_all = self.background_constant - self.tail * (1 + far).log()
        seen = torch.stack([-even, near, under_all - even], dim=1)
        return ((seen - self.novelty_mean) / self.novelty_deviation).sum(1)

    def _keep(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values.detach().clone().contiguous())


def _rounded(values: Tensor) -> Tensor:
    """Values as bf16 keeps them, in fp32, in which every runtime computes."""
    return values.bfloat16().float()


def _round_results(network: ImageModel) -> None:
    """Make an fp32 network give what its bf16 reading gives: factors and results rounded, sums not."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            for weights in layer.parameters():
                weights.data = _rounded(weights.data)
        if layer is not network:
            layer.register_forward_hook(lambda _layer, _given, result: _rounded(result))
    setattr(network, "standardise", _RoundedStandardisation(network.standardise))  # noqa: B010 - not of its type
