"""Letters drawn from fonts, laid out like notMNIST, where no archive is at hand.

``fonts`` finds the files that draw the characters asked for, ``styles`` varies their strokes, ``glyphs``
draws them into an archive or into memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.letters.glyphs import RenderedImages as RenderedImages
    from bayesight.letters.glyphs import RenderOptions as RenderOptions
    from bayesight.letters.glyphs import RenderSummary as RenderSummary
    from bayesight.letters.glyphs import render as render
    from bayesight.letters.glyphs import render_arrays as render_arrays

__getattr__, __dir__, __all__ = door(__name__)
