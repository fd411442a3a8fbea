"""A classifier as one graph of plain operations: images and base rates in, the four terms and novelty out.

What does not depend on the image is computed beforehand, so that the graph needs no gamma function and no
factorisation, and runs wherever matrix products, logarithms and softmax do.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from bayesight.bayes.head import gaussian
from bayesight.bayes.head.gaussian import Distances, Predictive
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
    exemplars: Tensor
    exemplar_squares: Tensor
    background_project: Tensor
    background_mean: Tensor
    novelty_mean: Tensor
    novelty_deviation: Tensor

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        ready, reference = classifier.predictive, classifier.novelty_reference
        self.network = copy.deepcopy(classifier.network).eval()
        if classifier.precision == "bf16":
            _round_results(self.network)
        project = ready.whiten / ready.scale  # (D, D), rows of features to the metric of the scatter
        size, means = len(ready.shift), ready.means
        self._keep("shift", ready.shift)
        self._keep("project", project.T)
        self._keep("means", -2 * means.T)
        self._keep("mean_squares", means.square().sum(1))
        self._keep("own_log_prior", ready.log_prior.exp().clamp_min(torch.finfo(torch.float64).tiny).log())
        self._keep("unmet", ready.log_prior.isneginf())
        temperatures = torch.cat([torch.tensor([classifier.temperature]), ready.sharpness[:, 0]]).double()
        # A density is constant + tail * log(1 + squared / (dof * width)), one row (S + 1, K) a temperature.
        self._keep("constant", gaussian.density_at(ready, _at_the_means(ready), temperatures)[:, 0])
        self._keep("width", ready.dof * (temperatures[:, None] + 1 / ready.strength))
        self.tail = (ready.dof + size) / 2
        _, weights, slips = ready.sharpness.T
        self._keep("weights", (weights * (1 - slips))[:, None, None])
        self.slip = float(weights @ slips)
        self.softened = not (len(ready.sharpness) == 1 and self.slip == 0)
        exemplars = classifier.absorbed.exemplars
        self._keep("exemplars", exemplars)
        self._keep("exemplar_squares", exemplars.float().square().sum(1))
        background = gaussian.background(classifier.head)
        self._keep("background_project", (background.whiten / background.scale).T)
        self._keep("background_mean", background.means[0])
        self.background_width = background.dof * (classifier.temperature + 1 / float(background.strength))
        at_mean = gaussian.density_at(background, _at_the_means(background), classifier.temperature)
        self.background_constant = float(at_mean)
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
        averaged = (answers * self.weights).sum(0) + self.slip * self.own_log_prior.exp()
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


def _at_the_means(ready: Predictive) -> Distances:
    """One row that lies at the mean of every class."""
    dof, log_det = torch.tensor([ready.dof, ready.log_det], dtype=torch.float64)[:, None, None]
    nothing = torch.zeros_like(ready.strength)[None]
    return Distances(len(ready.shift), nothing, ready.strength[None], dof, log_det)


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
