"""What counts as wrong in a game of two: one network makes images, the other tells them from real ones.

Both losses are cross-entropies on the discriminator's logits, the log-odds that an image is real (Goodfellow
et al. 2014, "Generative Adversarial Nets", eq. 1 and sec. 3).
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import probability
from bayesight.losses.registry import GENERATIVE_LOSSES
from bayesight.values import Within

__all__ = ["Adversarial"]


@GENERATIVE_LOSSES.register("adversarial")
class Adversarial:
    """The two sides of the game.

    Args:
        smoothing: share taken from the target of real images, which keeps the discriminator from growing too
            sure of itself (Salimans et al. 2016, sec. 3.4); in [0, 0.5].

    Raises:
        InvalidInput: a smoothing out of range.

    Example:
        >>> import torch
        >>> undecided = torch.zeros(4)
        >>> round(Adversarial().discriminator(undecided, undecided).item(), 4)  # 2 ln 2
        1.3863
    """

    def __init__(self, *, smoothing: Annotated[float, Within(0, 0.5)] = 0.0) -> None:
        probability(2 * smoothing, "adversarial.smoothing, doubled,")
        self.smoothing = smoothing

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E ln D(real) - E ln(1 - D(fake)), in nats.

        Args:
            real: (B,) logits of real images.
            fake: (B',) logits of made ones, which must not carry a gradient to the generator.
        """
        real, fake = real.float(), fake.float()
        right = (1 - self.smoothing) * F.softplus(-real) + self.smoothing * F.softplus(real)
        return right.mean() + F.softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        """-E ln D(fake), in nats: the form that does not saturate while the discriminator wins.

        Args:
            fake: (B,) logits of made images.
        """
        return F.softplus(-fake.float()).mean()
