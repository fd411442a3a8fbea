"""Key points out of a picture: a map of where each is, or its coordinates.

A map is a U-Net's of as many classes as there are points (``UNet``), one softmax over all places for each
point, so that it is a posterior: ``places`` answers with a place, ``mass_near`` with the probability that the
point lies that near to it.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import check_widths, kaiming_normal
from bayesight.models.encoders import Encoder
from bayesight.models.unet import UNet, two_convolutions
from bayesight.registry import Registry
from bayesight.values import Widths

POSE_MODELS: Registry[Any] = Registry("pose model")
"""Networks that answer with a map of places for each key point."""


@POSE_MODELS.register("heat_maps")
def heat_maps(
    channels: int, points: int, *, widths: Widths = (16, 32, 64, 96), encoder: Encoder = "own"
) -> UNet:
    """A map of places for each key point by a U-Net, as of ``UNet`` with as many classes.

    Args:
        channels: of the images.
        points: P.
        widths: channels at each size, the largest map first.
        encoder: the way down.
    """
    return UNet(channels, points, widths=widths, encoder=encoder)


class CoordinatePose(nn.Module):
    """Coordinates by regression: convolutions, then linear layers (Toshev, Szegedy 2014, "DeepPose").

    The convolutions are a U-Net's way down, so that both can be compared; the paper's own are AlexNet's.

    Args:
        channels: of the images.
        points: P.
        side: pixels of their sides, which fixes the size of the linear layer.
        widths: channels at each size, the largest map first.
        hidden: units of the layer between.

    Shape:
        (B, channels, side, side) in [0, 1] to x and y (B, P, 2), pixels.

    Raises:
        InvalidInput: no widths or points, or images too small for as many halves.
    """

    def __init__(
        self,
        channels: int,
        points: int,
        *,
        side: int = 48,
        widths: Widths = (16, 32, 64, 96),
        hidden: int = 128,
    ) -> None:
        super().__init__()
        check_widths(widths, "coordinates.widths")
        check(points >= 1, "coordinates", f"{points} points", "at least one")
        least = 2 ** (len(widths) - 1)
        check(side >= least, "coordinates", f"images of {side}x{side}", f"{least}x{least} or larger")
        self.points, self.side = points, side
        self.down = nn.ModuleList(two_convolutions(a, b) for a, b in itertools.pairwise((channels, *widths)))
        last = widths[-1] * (side // least) ** 2
        self.hidden, self.head = nn.Linear(last, hidden), nn.Linear(hidden, 2 * points)
        kaiming_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """Coordinates in pixels; an answer of 0 is the middle."""
        x = 2 * x - 1
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
        shares: Tensor = self.head(F.relu(self.hidden(x.flatten(1))))
        return (0.5 + shares.float().view(-1, self.points, 2)) * self.side


def log_places(maps: Tensor) -> Tensor:
    """Log-probability of every place (B, P, H, W), nats, out of a map of logits for each point."""
    return maps.float().flatten(2).log_softmax(dim=2).view(maps.shape)


def places(log_p: Tensor, window: int = 5) -> Tensor:
    """The place of each point: where a window holds most, and there the mean of what it holds.

    Args:
        log_p: (B, P, H, W), as of ``log_places``.
        window: pixels of its sides, odd.

    Returns:
        x and y (B, P, 2), pixels from the outer edge of the first one on.

    Example:
        >>> maps = torch.full((1, 1, 6, 8), -40.0)
        >>> maps[0, 0, 2, 5] = maps[0, 0, 2, 6] = 0
        >>> places(log_places(maps)).tolist()
        [[[6.0, 2.5]]]
    """
    check(window >= 1 and window % 2 == 1, "places", f"a window of {window}", "an odd number of pixels")
    x, y = _centres(log_p)
    p = log_p.exp()
    held, of_x, of_y = (
        F.avg_pool2d(part, window, 1, window // 2).flatten(2) for part in (p, p * x, p * y[:, None])
    )
    best = held.argmax(dim=2, keepdim=True)
    found = torch.stack([part.gather(2, best)[..., 0] for part in (of_x, of_y)], dim=2)
    return found / held.gather(2, best)


def mass_near(log_p: Tensor, points: Tensor, radius: Tensor | float) -> Tensor:
    """Probability (B, P) that each point lies within a radius of a place.

    Args:
        log_p: (B, P, H, W), as of ``log_places``.
        points: (B, P, 2) places, pixels.
        radius: pixels; one for all images, or (B,).

    Example:
        >>> everywhere = log_places(torch.zeros(1, 1, 4, 4))
        >>> mass_near(everywhere, torch.tensor([[[2.0, 2.0]]]), 1.0).item()
        0.25
    """
    x, y = _centres(log_p)
    one, other = points[..., 0, None, None], points[..., 1, None, None]
    distance = ((x - one).square() + (y[:, None] - other).square()).sqrt()
    limit = torch.as_tensor(radius, dtype=log_p.dtype, device=log_p.device).reshape(-1, 1, 1, 1)
    return (log_p.exp() * (distance <= limit)).sum(dim=(2, 3)).clamp(max=1)


def _centres(log_p: Tensor) -> tuple[Tensor, Tensor]:
    """Middles of pixels: x (W,) and y (H,)."""
    height, width = log_p.shape[-2:]
    return tuple(  # type: ignore[return-value]
        torch.arange(length, dtype=log_p.dtype, device=log_p.device) + 0.5 for length in (width, height)
    )
