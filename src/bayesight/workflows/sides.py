"""The sides of a training: images to learn from and images that choose the weights."""

from __future__ import annotations

import numpy as np

from bayesight.data import Store, split
from bayesight.errors import InvalidInput, listed
from bayesight.types import IntArray

__all__ = ["among", "sides"]


def sides(store: Store, groups: IntArray, share: float, seed: int) -> tuple[dict[str, IntArray], list[str]]:
    """Rows to train on and rows to validate with; identical images are never on both sides.

    Where folders of the source set images apart, training has those of the training part, validation those of
    the validation part or, where there is none, a share of the training part. Images of the test part take no
    part, nor does any copy of one.

    Args:
        store: the source.
        groups: (N,) what a random split deals out evenly: the class, or the class within an environment.
        share: of the images that validate where the split is random.
        seed: of the random split.

    Returns:
        Rows of "train" and "validation", and sentences that need saying.

    Raises:
        InvalidInput: classes too small to split, or missing in a part.
    """
    if not store.has_parts:
        return _at_random(store, store.rows_of(""), groups, share, seed), []
    rows = {part: store.rows_of(part) for part in ("train", "validation", "test")}
    _refuse_missing(store, rows)
    held_out, notes = rows["test"], []
    if len(held_out):
        notes.append("the test part takes no part in training; bayesight evaluate RUN SOURCE scores it")
    if len(rows["validation"]):
        notes.append("the validation part chooses the weights")
        chosen = {"validation": _without(store, rows["validation"], held_out)}
        held_out = np.concatenate([held_out, rows["validation"]])
        chosen["train"] = _without(store, rows["train"], held_out)
    else:
        kept = _without(store, rows["train"], held_out)
        _refuse_missing(store, rows | {"train": kept})
        chosen = _at_random(store, kept, groups, share, seed)
    copies = len(rows["train"]) + len(rows["validation"]) - sum(map(len, chosen.values()))
    if copies:
        notes.append(
            f"{copies:,} images that lie in another part of the source too were left out of training"
        )
    _refuse_missing(store, chosen)
    return chosen, notes


def among(store: Store, rows: IntArray, digests: np.ndarray) -> np.ndarray:
    """(N,) whether the image of each row is one of those with the given digests."""
    known = {digest.tobytes() for digest in np.ascontiguousarray(digests)}
    return np.array([digest.tobytes() in known for digest in np.asarray(store.digests)[rows]], dtype=bool)


def _without(store: Store, rows: IntArray, others: IntArray) -> IntArray:
    """Those of the rows whose image is none of the others'."""
    kept: IntArray = rows[~among(store, rows, np.asarray(store.digests)[others])]
    return kept


def _at_random(
    store: Store, rows: IntArray, groups: IntArray, share: float, seed: int
) -> dict[str, IntArray]:
    shares = {"train": 1 - share, "validation": share}
    parts = split(groups[rows], np.asarray(store.digests)[rows], shares, seed, names=store.classes)
    return {name: rows[within] for name, within in parts.items()}


def _refuse_missing(store: Store, rows: dict[str, IntArray]) -> None:
    """Refuse parts that lack classes which others have."""
    labels = {part: set(np.unique(store.labels[found]).tolist()) for part, found in rows.items()}
    learned = labels["train"]
    for part, found in labels.items():
        more = [store.classes[k] for k in sorted(found - learned)]
        if more:
            raise InvalidInput(
                f"{store.manifest.source}: class{'es' if len(more) > 1 else ''} {listed(more, quoted=True)} "
                f"in the {part} part but not in the training part; expected every class to learn from. Add "
                "images of them, or split all images at random with --no-split-folders."
            )
    fewer = [store.classes[k] for k in sorted(learned - labels["validation"])]
    if fewer and len(rows["validation"]):
        raise InvalidInput(
            f"{store.manifest.source}: the validation part has no image of {listed(fewer, quoted=True)} "
            "that the other parts do not have; expected every class to choose weights with. Add images of "
            "them, or split all images at random with --no-split-folders."
        )
    if len(learned) < 2:
        raise InvalidInput(
            f"{store.manifest.source}: the training part holds {len(learned)} "
            f"class{'' if len(learned) == 1 else 'es'} "
            f"({listed(store.classes[k] for k in sorted(learned))}); expected at least 2. "
            "--no-split-folders takes the images of all parts."
        )
