"""Losses of classifiers whose answer is to hold in every environment.

These losses also see the environment of each image: ``(logits (B, K), labels (B,), environments (B,)) ->
scalar``, in nats. They are made for the counts of the training images, (E, K), and where several processes
share a batch, each computes the whole batch's loss.
"""

from __future__ import annotations

import math
from typing import Annotated, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import check
from bayesight.losses.classification import LOSSES
from bayesight.losses.invariance import (
    backdoor_weights,
    exponentiated,
    group_means,
    invariance_penalty,
    scale_gradient,
)
from bayesight.values import Share, Within


@runtime_checkable
class EnvironmentLoss(Protocol):
    """Anything that scores logits against labels and environments."""

    sees_environments: bool
    monitor: str | None

    def __call__(self, logits: Tensor, labels: Tensor, environments: Tensor) -> Tensor:
        """The loss of a batch, a scalar in nats."""

    def at(self, step: int, steps: int) -> None:
        """Told before each step where training stands."""

    def state_dict(self) -> dict[str, Tensor]:
        """The loss's own tensors, kept between steps."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up where ``state_dict`` left off."""


def sees_environments(name: str) -> bool:
    """True when the loss registered as ``name`` needs the environment of each image.

    Raises:
        UnknownName: no such loss.

    Example:
        >>> sees_environments("irm"), sees_environments("cross_entropy")
        (True, False)
    """
    return bool(getattr(LOSSES[name], "sees_environments", False))


class _StatelessLoss:
    """A loss that is the same at every step."""

    sees_environments = True

    def at(self, step: int, steps: int) -> None:
        """Nothing changes with the step."""

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing is remembered."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Nothing was remembered."""


@LOSSES.register("reweight")
class ReweightedCrossEntropy(_StatelessLoss):
    """Cross-entropy in a world where the label does not depend on the environment.

    Every image weighs p(e) p(k) / p(e, k) over the training images (``losses.backdoor_weights``), so that
    nothing is to be gained from knowing the environment. That adjusts for the environments as stated: name
    the attribute itself where it is known.

    Args:
        classes: K.
        counts: (E, K) training images of each environment and class, none of them 0.

    Raises:
        InvalidInput: an environment without images of some class.
    """

    monitor = "adjusted_log_loss"

    def __init__(self, classes: int, counts: Tensor) -> None:
        self.weights = backdoor_weights(counts).float()

    def __call__(self, logits: Tensor, labels: Tensor, environments: Tensor) -> Tensor:
        """The weighted sum of the losses over the batch's size, a scalar in nats."""
        losses = F.cross_entropy(logits, labels, reduction="none")
        return (self.weights.to(logits)[environments, labels] * losses).mean()


@LOSSES.register("groupdro")
class GroupDRO:
    """The loss of the groups that fare worst, where a group is a class within an environment.

    The sum of q_g times group g's mean loss, q being moved towards the worse groups before each step
    (Sagawa et al. 2020, "Distributionally Robust Neural Networks", algorithm 1; their step size is .01).

    Args:
        classes: K.
        counts: (E, K) training images of each environment and class.
        step_size: eta, the rate at which q moves.
        by_class: False takes whole environments as the groups.

    Raises:
        InvalidInput: a step size that is no number > 0, or an environment without images of some class.
    """

    sees_environments = True
    monitor = "worst_group_log_loss"

    def __init__(
        self,
        classes: int,
        counts: Tensor,
        *,
        step_size: Annotated[float, Within(0, 1e6, above=True)] = 0.01,
        by_class: bool = True,
    ) -> None:
        good = math.isfinite(step_size) and step_size > 0
        check(good, "groupdro.step_size", f"got {step_size}", "a finite number > 0")
        backdoor_weights(counts)  # refuses an empty group in words
        self.classes, self.step_size, self.by_class = classes, step_size, by_class
        groups = counts.numel() if by_class else len(counts)
        self.shares = torch.full((groups,), 1 / groups)

    def __call__(self, logits: Tensor, labels: Tensor, environments: Tensor) -> Tensor:
        """The groups' mean losses weighted by q, a scalar in nats; moves q while gradients are wanted."""
        groups = environments * self.classes + labels if self.by_class else environments
        losses = F.cross_entropy(logits.float(), labels, reduction="none")
        sums, numbers = group_means(losses, groups, len(self.shares))
        means = _over_processes(sums) / _over_processes(numbers).clamp_min(1)
        shares = exponentiated(self.shares.to(means), means.detach(), self.step_size)
        if torch.is_grad_enabled():
            self.shares = shares.cpu()
        return (shares * means).sum()

    def at(self, step: int, steps: int) -> None:
        """Nothing changes with the step alone."""

    def state_dict(self) -> dict[str, Tensor]:
        """The shares q."""
        return {"shares": self.shares}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put the shares q back."""
        self.shares = state["shares"].clone()


@LOSSES.register("irm")
class InvariantRisk(_StatelessLoss):
    """One classifier that is optimal in every environment at once.

    The mean over environments of risk + weight * penalty, the penalty being the squared gradient of the risk
    with respect to a scale before the logits (Arjovsky et al. 2019, "Invariant Risk Minimization", IRMv1).
    As in the authors' experiments the weight is 1 while the features form and ``penalty`` afterwards, and
    the whole is divided by the weight, so that the gradients keep their size. Large batches serve it best:
    the penalty of a small one is mostly noise.

    Args:
        classes: K.
        counts: (E, K) training images of each environment and class.
        penalty: the weight after the first part.
        anneal: share of the steps that are the first part, in [0, 1].

    Raises:
        InvalidInput: a penalty that is no number >= 0, a share outside [0, 1], or fewer than two
            environments.
    """

    monitor: str | None = None

    def __init__(
        self,
        classes: int,
        counts: Tensor,
        *,
        penalty: Annotated[float, Within(0, 1e12)] = 1000.0,
        anneal: Share = 0.2,
    ) -> None:
        good = math.isfinite(penalty) and penalty >= 0
        check(good, "irm.penalty", f"got {penalty}", "a finite number >= 0")
        check(0 <= anneal <= 1, "irm.anneal", f"got {anneal}", "a share of the steps in [0, 1]")
        check(len(counts) >= 2, "irm", f"{len(counts)} environment", "two or more")
        self.environments, self.penalty, self.anneal = len(counts), penalty, anneal
        self.weight = min(1.0, penalty)

    def __call__(self, logits: Tensor, labels: Tensor, environments: Tensor) -> Tensor:
        """Risk and weighted penalty over the weight where that exceeds 1, a scalar in nats."""
        logits = logits.float()
        losses = F.cross_entropy(logits, labels, reduction="none")
        sums, numbers = group_means(losses, environments, self.environments)
        gradients, _ = group_means(scale_gradient(logits, labels), environments, self.environments)
        sums, gradients, numbers = (_over_processes(part) for part in (sums, gradients, numbers))
        present = (numbers > 0).sum()
        risk = (sums / numbers.clamp_min(1)).sum() / present
        penalty = invariance_penalty(gradients, numbers).sum() / present
        return (risk + self.weight * penalty) / max(self.weight, 1.0)

    def at(self, step: int, steps: int) -> None:
        """Set the weight for this step."""
        self.weight = self.penalty if step >= self.anneal * steps else min(1.0, self.penalty)


def _over_processes(sums: Tensor) -> Tensor:
    """The sums over all processes, whose gradient is right once gradients are averaged over them.

    Every process then has the same loss. Its derivative in this process's part is scaled by the number of
    processes, which averaging divides out again.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return sums
    total = sums.detach().clone()
    torch.distributed.all_reduce(total)
    return total + torch.distributed.get_world_size() * (sums - sums.detach())
