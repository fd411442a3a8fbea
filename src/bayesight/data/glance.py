"""A first look at a source: the frames of its first images, from their headers alone."""

from __future__ import annotations

import os

from bayesight.data.archives import batches
from bayesight.data.decode import native_frames
from bayesight.data.sources import AS_STORED, ContainerOptions, find_source
from bayesight.data.unpacking import ReadAgain
from bayesight.errors import BayesightError
from bayesight.frame import Frame

__all__ = ["first_frames"]


def first_frames(
    source: str | os.PathLike[str], *, container: ContainerOptions = AS_STORED, most: int = 500
) -> list[Frame]:
    """The frames of the first images of a source, at least one where it can be read and is no IDX data.

    Nothing is decoded and nothing is kept. A source that cannot be read has none: opening it says why.

    Args:
        source: as ``open_store`` takes it.
        container: how names in archives are encoded, and whether links are followed.
        most: images to look at.
    """
    frames: list[Frame] = []
    try:
        found = find_source(source, labelled=False, options=container)
        if found.kind == "idx":
            return []
        for batch in batches(found, labelled=False):
            frames += [frame for frame in native_frames(batch.blobs[: most - len(frames)]) if frame]
            if len(frames) >= most:
                break
    except (BayesightError, ReadAgain, OSError):
        pass
    return frames
