"""Networks before training: their names and shapes, built in no memory, and initial weights from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bayesight.checks import check
from bayesight.seeding import derive

MOST_PARAMETERS = 500_000_000
"""Numbers a network may hold: with an optimizer's moments 8 GB; the largest model here has 61 million."""

MOST_ACTIVATIONS = 2**30
"""Numbers a layer may make of one image: 4 GB."""

Network = TypeVar("Network", bound=nn.Module)


def outline(
    make: Callable[[], Network], where: str, image_shape: tuple[int, int, int] = (1, 1, 1)
) -> Network:
    """A network on torch's meta device: every parameter has its shape and no memory.

    Args:
        make: builds it.
        where: the network's name, for the message.
        image_shape: (C, H, W) of one image, as large as a map of features may become.

    Raises:
        InvalidInput: more than ``MOST_PARAMETERS`` parameters or ``MOST_ACTIVATIONS`` numbers a layer.

    Example:
        >>> outline(lambda: nn.Linear(20_000, 10_000), "a layer").weight.shape
        torch.Size([10000, 20000])
    """
    with torch.device("meta"), _SkipInitialisation():
        network = make()
    numbers = sum(part.numel() for part in network.state_dict().values())
    mend = "Choose fewer or narrower layers, or smaller images (--size)."
    check(numbers <= MOST_PARAMETERS, where, f"{numbers:,} parameters", f"{MOST_PARAMETERS:,} at most", mend)
    layers = [one for one in network.modules() if isinstance(one, nn.Conv2d | nn.ConvTranspose2d)]
    channels = max((layer.out_channels for layer in layers), default=0)
    made = channels * image_shape[1] * image_shape[2]
    came = f"{channels:,} channels of {image_shape[2]}x{image_shape[1]} pixels"
    check(made <= MOST_ACTIVATIONS, where, came, f"{MOST_ACTIVATIONS:,} numbers a layer at most", mend)
    return network


def initialised(
    make: Callable[[], Network], where: str, image_shape: tuple[int, int, int], seed: int
) -> Network:
    """A network with its initial weights, outlined before anything is allocated.

    Args:
        make: builds it.
        where: the network's name, for the message.
        image_shape: (C, H, W) of one image.
        seed: the weights follow from it; the global generator is left as it was.

    Raises:
        InvalidInput: as ``outline``.
    """
    outline(make, where, image_shape)
    with initial_weights(seed):
        return make()


def outlined(make: Callable[[], Network], where: str) -> Network:
    """A network that draws its own initial weights, outlined before anything is allocated.

    Raises:
        InvalidInput: as ``outline``.
    """
    outline(make, where)
    return make()


@contextmanager
def initial_weights(seed: int, stream: str = "initial weights") -> Iterator[None]:
    """Weights initialised inside follow from the seed's stream; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, stream))
        yield


class _SkipInitialisation(TorchFunctionMode):
    """Leaves out drawing initial weights, which there is nothing to write to.

    On the meta device it would also load PyTorch's compiler, which takes seconds.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__name__", "") in ("normal_", "trunc_normal_"):
            return args[0] if args else (kwargs or {})["tensor"]
        return function(*args, **(kwargs or {}))
