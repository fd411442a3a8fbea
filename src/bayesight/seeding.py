"""Random numbers from one seed, as independent named streams.

``derive(seed, "split")`` and ``derive(seed, "augment", 7)`` are unrelated seeds, the same on every machine
and in every process, so the randomness of one part never moves when another part draws more or less, and
step 7 of a resumed run draws what step 7 of the uninterrupted run drew.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called ``names`` under ``seed``.

    Example:
        >>> derive(0, "split") == derive(0, "split"), derive(0, "split") == derive(0, "augment")
        (True, False)
    """
    text = "\x1f".join([str(int(seed)), *(f"{type(n).__name__}:{n}" for n in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the stream called ``names``."""
    return np.random.default_rng(derive(seed, *names))


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU torch generator for the stream called ``names``."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *names))
