"""The base of image networks: logits, penultimate features, and the feature maps of the stages."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bayesight.checks import check


class Standardisation(nn.Module):
    """Subtract the training mean and divide by the training deviation of each channel.

    Both are buffers, so a saved network carries its own normalisation.

    Args:
        channels: number of channels C.

    Shape:
        (B, C, H, W) to the same, floating point.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("deviation", torch.ones(channels, 1, 1))

    def fit(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        """Set both, one number a channel; a constant channel keeps deviation 1."""
        self.mean.copy_(torch.tensor(mean).view_as(self.mean))
        safe = [d if d > 0 else 1.0 for d in deviation]
        self.deviation.copy_(torch.tensor(safe).view_as(self.deviation))

    def forward(self, x: Tensor) -> Tensor:
        """Standardised images of the same shape and dtype."""
        return (x - self.mean.to(x.dtype)) * self.deviation.reciprocal().to(x.dtype)


class ImageModel(nn.Module):
    """A network from images to logits, in two parts that others can use separately.

    Subclasses implement ``stages`` and ``features`` and set ``self.head``, the last linear layer.

    Args:
        image_shape: (C, H, W) of one image.
        classes: number of classes K.

    Attributes:
        head: the last linear layer.
        widest: logits that are evidence features as they are; more are ``folded``.
        answers_alone: the evidence is the centred logits and nothing else. So it is for a network trained to
            leave something aside: its other features may still tell it, and a density fitted to them would
            bring it back.
        own_normalisation: the network brings the moments it standardises by, and those of its batch norms
            stay as they are.
        reads: what it is a classifier of.
        working_size: (height, width) in pixels at which it works.
    """

    head: nn.Linear
    widest: int
    answers_alone: bool
    own_normalisation: bool = False
    reads: Literal["images", "texts"] = "images"
    working_size: tuple[int, int]

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.classes = classes
        self.widest = 1024
        self.answers_alone = False
        self.working_size = image_shape[1:]
        self.held: tuple[nn.Module, ...] = ()
        self.standardise = Standardisation(image_shape[0])

    def frozen_parts(self) -> Sequence[nn.Module]:
        """Parts that training leaves as they are; none, unless a network says so."""
        return ()

    def freeze(self) -> None:
        """Hold the ``frozen_parts``: no gradient, and always in evaluation mode."""
        self.held = tuple(self.frozen_parts())
        for part in self.held:
            part.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode; what is frozen, and moments brought along, stay in the latter."""
        super().train(mode)
        for part in self.held:
            part.eval()
        if self.own_normalisation:
            keep_moments(self)
        return self

    @property
    def learns_head_alone(self) -> bool:
        """True where all but the last layer is frozen; a network that is nothing else learns as any other."""
        own = {id(part) for part in self.head.parameters()}
        learned = {id(part) for part in self.parameters() if part.requires_grad}
        return bool(self.held) and learned == own

    def stages(self, x: Tensor) -> list[Tensor]:
        """Feature maps after each block, first to last: (B, C_i, H_i, W_i), or (B, D_i) without space.

        Args:
            x: images (B, C, H, W) in [0, 1].
        """
        raise NotImplementedError

    def pool(self, last: Tensor) -> Tensor:
        """Penultimate features (B, D) from the last stage: the mean over space, where there is any."""
        return last.mean(dim=(2, 3)) if last.dim() == 4 else last

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (B, D): what the head, and the Bayesian head, see."""
        return self.pool(self.stages(x)[-1])

    def evidence_features(self, x: Tensor) -> Tensor:
        """Features for a density over images: (B, D') float32 of images (B, C, H, W) in [0, 1].

        The mean and the standard deviation over space of each channel, in each of the last two stages, every
        one of the four vectors scaled to length 1: how strongly a channel fires and how unevenly, at two
        depths, says more of an unfamiliar image than the last layer alone. Networks without space, or with
        one stage, give the square roots of their rectified penultimate features at length 1, which are
        closer to a Gaussian than the features themselves. With ``answers_alone`` it is the logits less their
        mean.
        """
        if self.answers_alone:
            return self.centred_logits(x)
        maps = self.stages(x)
        spatial = [m.float() for m in maps if m.dim() == 4][-2:]
        if len(spatial) < 2:
            return F.normalize(self.pool(maps[-1]).float().clamp_min(0).sqrt(), dim=1)
        pieces = [f(m) for m in spatial for f in (_mean_over_space, _deviation_over_space)]
        return torch.cat([F.normalize(piece, dim=1) for piece in pieces], dim=1)

    @functools.cached_property
    def evidence_size(self) -> int:
        """D', how many numbers ``evidence_features`` gives of an image.

        Raises:
            ValueError: of a black image they are not finite, so that the weights cannot be right.
        """
        training = self.training
        with torch.no_grad():
            features = self.eval().evidence_features(self.blank())
        self.train(training)
        if not bool(features.isfinite().all()):
            raise ValueError("the network's features of a black image are not finite")
        return int(features.shape[1])

    def blank(self, count: int = 1) -> Tensor:
        """Black images (count, C, H, W), as the network takes them."""
        weight = self.head.weight
        return torch.zeros(count, *self.image_shape, dtype=weight.dtype, device=weight.device)

    def centred_logits(self, x: Tensor) -> Tensor:
        """Logits (B, K) less their mean: as much as the probabilities of the classes tell, and no more."""
        logits: Tensor = self(x).float()
        return self.folded(logits - logits.mean(dim=1, keepdim=True))

    def folded(self, logits: Tensor) -> Tensor:
        """Logits (B, K) as evidence features: of more than ``widest`` classes, signed sums of the logits.

        A density over K features takes K^2 numbers. Each logit goes into one of ``widest`` sums, or of as
        many as the penultimate features have dimensions, with a sign of its own. That keeps squared distances
        on average, and nearly so where many logits differ (count sketch: Weinberger et al. 2009, "Feature
        Hashing for Large Scale Multitask Learning", section 3).
        """
        if logits.shape[1] <= self.widest:
            return logits
        generator = torch.Generator().manual_seed(0)
        signs = torch.randint(0, 2, logits.shape[1:], generator=generator).mul_(2).sub_(1)
        width = min(self.widest, self.feature_size)
        place = torch.arange(logits.shape[1], device=logits.device) % width
        sums = logits.new_zeros(len(logits), width, dtype=torch.float32)
        return sums.index_add_(1, place, logits.float() * signs.to(sums))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, H, W) in [0, 1]."""
        logits: Tensor = self.head(self.features(x))
        return logits

    @property
    def feature_size(self) -> int:
        """D, the width of the penultimate features."""
        return self.head.in_features


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its kernels laid out as convolutions like them best, if it has any; same numbers."""
    if any(isinstance(layer, nn.Conv2d) for layer in network.modules()):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def keep_moments(network: nn.Module) -> None:
    """Put batch norms in evaluation mode: a few images would spoil moments that a network brings along."""
    for part in network.modules():
        if isinstance(part, _BatchNorm):
            part.eval()


def check_side(image_shape: tuple[int, int, int], least: int, where: str, mend: str) -> None:
    """Refuse images (C, H, W) of which a side has fewer pixels than ``least``.

    Raises:
        InvalidInput: with ``mend``.
    """
    _, height, width = image_shape
    came = f"images of {width}x{height}"
    check(min(height, width) >= least, where, came, f"{least}x{least} or larger", mend)


def check_widths(widths: Sequence[int], where: str, mend: str = "") -> None:
    """Refuse no widths, and widths below 1.

    Raises:
        InvalidInput: with ``mend``.
    """
    check(len(widths) > 0 and min(widths) > 0, where, f"got {list(widths)}", "widths >= 1", mend)


def _mean_over_space(maps: Tensor) -> Tensor:
    return maps.mean(dim=(2, 3))


def _deviation_over_space(maps: Tensor) -> Tensor:
    return maps.std(dim=(2, 3), correction=0)


def kaiming_normal(module: nn.Module) -> None:
    """Initialise every convolution and linear layer inside ``module`` for rectifiers, biases at zero.

    Weights are normal with variance 2 / fan-in, so that the variance of activations neither grows nor
    vanishes with depth (He et al. 2015, "Delving Deep into Rectifiers", eq. 10).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=math.sqrt(2.0 / fan_in))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
