"""Names for the shapes and arrays that travel between the parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

ImageArray: TypeAlias = npt.NDArray[np.uint8]
"""Images as stored: (N, H, W) for grey, (N, H, W, 3) for RGB; 0 is black."""

IntArray: TypeAlias = npt.NDArray[np.int64]
"""Class indices (N,), or any integer array."""

FloatArray: TypeAlias = npt.NDArray[np.float64]
"""Statistics and probabilities."""

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with (done, total); total is None while it is unknown. The caller draws the bar.

A method ``announce`` beside it, where there is one, is called with a sentence for the person who waits.
"""

ShownProgress: TypeAlias = Progress | bool | None
"""What a public function takes: True writes a line on standard error; see ``progress.reporter``."""

PAD_SYMBOL, START_SYMBOL, END_SYMBOL = 0, 1, 2
"""Marks around sentences, in every vocabulary of subwords: behind the end, before the first, and the end."""
