"""Parts of a data set for training, validation and testing: stratified, seeded, without leaks.

Images with the same digest, and images of one group where groups are given, always lie on one side, whatever
their labels say: a score on images the network was trained with says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.errors import InvalidInput, listed
from bayesight.seeding import numpy_generator
from bayesight.types import ImageArray, IntArray

_TRIES = 20


def split(
    labels: IntArray,
    digests: ImageArray,
    fractions: Mapping[str, float],
    seed: int,
    *,
    names: Sequence[str] = (),
    together: IntArray | None = None,
) -> dict[str, IntArray]:
    """Split images into named parts.

    Of each class, each part receives its fraction within rounding (and within the size of the largest group
    of images that stay together). When the fractions sum to less than 1, the rest is in no part.

    Args:
        labels: class indices ``(N,)``.
        digests: uint8 ``(N, 16)``; equal rows mean identical images.
        fractions: share of each part in (0, 1], at most 1 in all; every part receives images of every class.
        seed: the same seed gives the same parts.
        names: of the classes, for messages.
        together: (N,) groups of images that stay on one side as identical images do, such as patients.

    Returns:
        Ascending indices of each part; the parts are disjoint.

    Raises:
        InvalidInput: fractions that make no sense, or classes with too few different images or groups, all
            named.

    Example:
        >>> labels = np.repeat([0, 1], 10)
        >>> digests = np.repeat(np.arange(20, dtype=np.uint8)[:, None], 16, axis=1)  # all different
        >>> parts = split(labels, digests, {"train": 0.8, "validation": 0.2}, seed=0)
        >>> {name: np.bincount(labels[part]).tolist() for name, part in parts.items()}
        {'train': [8, 8], 'validation': [2, 2]}
    """
    _check(labels, digests, fractions)
    group_of = groups_of(digests) if together is None else linked(groups_of(digests), together)
    owner = _owner(labels, group_of)
    generator = numpy_generator(seed, "split")
    sizes = np.bincount(group_of, minlength=len(owner))
    for _ in range(_TRIES):  # where groups hold several classes, chance may leave one out
        part_of_group = np.full(len(owner), -1, np.int64)
        for label in np.unique(owner).tolist():
            groups = generator.permutation(np.flatnonzero(owner == label))
            part_of_group[groups] = _deal(sizes[groups], list(fractions.values()))
        part_of = part_of_group[group_of]
        parts = {name: np.flatnonzero(part_of == k) for k, name in enumerate(fractions)}
        missing = np.concatenate([np.setdiff1d(labels, labels[chosen]) for chosen in parts.values()])
        if not len(missing):
            return parts
    units = "different images" if together is None else "groups"
    raise _too_small(np.unique(missing).tolist(), labels, group_of, len(fractions), names, units)


def _too_small(
    small: Sequence[int], labels: IntArray, group_of: IntArray, parts: int, names: Sequence[str], units: str
) -> InvalidInput:
    """The refusal of classes that have no image in some part."""
    called = dict(enumerate(names))
    units_of = {label: len(np.unique(group_of[labels == label])) for label in small}
    told = [f"{called.get(label, label)} ({many:,})" for label, many in units_of.items()]
    if min(units_of.values()) >= parts:
        return InvalidInput(
            f"split: {units} hold images of several classes, and of {_TRIES} tries none has every class in "
            f"each of {parts} parts; missing at the last: {listed(told, 60)}. Add images of these in other "
            f"{units}, or leave them out with --without NAME."
        )
    what = "1 class is" if len(small) == 1 else f"{len(small)} classes are"
    return InvalidInput(
        f"split: {what} too small, by {units}: {listed(told, 60)}; expected at least {parts} of "
        "each class, one for every part. Add images of these, or leave them out with --without NAME."
    )


def _check(labels: IntArray, digests: ImageArray, fractions: Mapping[str, float]) -> None:
    where = "fractions of the split"
    check(len(fractions) > 0, where, "got none", "at least one part")
    for name, share in fractions.items():
        check(math.isfinite(share) and 0 < share <= 1, where, f"{name} is {share:g}", "a share in (0, 1]")
    total = math.fsum(fractions.values())
    check(total <= 1 + 1e-9, where, f"they sum to {total:g}", "1 at most")
    same = labels.ndim == 1 and digests.ndim == 2 and len(labels) == len(digests) > 0
    came = f"labels {labels.shape} and digests {digests.shape}"
    check(same, "split", came, "(N,) and (N, 16), for the same N of at least 1")


def groups_of(digests: ImageArray) -> IntArray:
    """The group of identical images (N,) that each image is in, by digests (N, 16)."""
    rows = np.ascontiguousarray(digests).view(np.dtype((np.void, digests.shape[1]))).ravel()
    inverse: IntArray = np.unique(rows, return_inverse=True)[1].astype(np.int64)
    return inverse


def linked(one: IntArray, other: IntArray) -> IntArray:
    """The groups (N,) that images are in which two kinds of groups, each (N,), link by way of each other.

    Example:
        >>> linked(np.array([0, 0, 1, 2]), np.array([5, 7, 7, 9])).tolist()
        [0, 0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers = np.unique(other, return_inverse=True)[1] + one.max() + 1
    size = int(numbers.max()) + 1
    edges = coo_array((np.ones(len(one), bool), (one, numbers)), shape=(size, size))
    found = connected_components(edges, directed=False)[1][one]
    return np.asarray(np.unique(found, return_inverse=True)[1], np.int64)


def _owner(labels: IntArray, group_of: IntArray) -> IntArray:
    """The class each group is counted under: that of most of its images, the lower one when equal."""
    order = np.lexsort((labels, group_of))
    pairs, counts = np.unique(np.stack([group_of[order], labels[order]], 1), axis=0, return_counts=True)
    best = np.lexsort((pairs[:, 1], -counts, pairs[:, 0]))
    first = np.unique(pairs[best, 0], return_index=True)[1]
    owner: IntArray = pairs[best][first, 1]
    return owner


def _deal(sizes: npt.NDArray[np.int64], shares: list[float]) -> IntArray:
    """Give each group to a part so that every part comes as near its share of images as groups allow.

    Large groups first, each to the part that lacks most, the last ones to parts that have none yet; what no
    part asks for stays -1.
    """
    total = int(sizes.sum())
    wanted = _rounded(np.array([*shares, max(0.0, 1 - math.fsum(shares))]) * total, total)
    part = np.empty(len(sizes), np.int64)
    order = np.argsort(-sizes, kind="stable")
    several = int(np.count_nonzero(sizes > 1))
    empty = set(range(len(shares)))
    for left, group in zip(range(len(sizes), 0, -1), order[:several].tolist(), strict=False):
        open_to = sorted(empty) if left <= len(empty) else range(len(wanted))
        k = max(open_to, key=lambda k: int(wanted[k]))
        part[group] = k
        wanted[k] -= sizes[group]
        empty.discard(k)
    while wanted.min() < 0:  # a group larger than what was left to give: others must do with less
        wanted[int(np.argmax(wanted))] -= 1
        wanted[int(np.argmin(wanted))] += 1
    if len(sizes) - several >= len(empty):
        wanted = _at_least_one(wanted, empty)
    part[order[several:]] = np.repeat(np.arange(len(wanted)), wanted)
    part[part == len(shares)] = -1
    return part


def _rounded(exact: npt.NDArray[np.float64], total: int) -> IntArray:
    """Whole numbers that sum to ``total``, each within 1 of the exact one (largest remainders)."""
    whole = np.floor(exact + 1e-9).astype(np.int64)
    for k in np.argsort(-(exact - whole), kind="stable")[: total - int(whole.sum())].tolist():
        whole[k] += 1
    return whole


def _at_least_one(wanted: IntArray, empty: Collection[int]) -> IntArray:
    """Move single images to parts that are ``empty`` and would stay so, from the largest of the others."""
    wanted = wanted.copy()
    for k in empty:
        if wanted[k] == 0:
            most = max(range(len(wanted)), key=lambda part: (int(wanted[part]), part not in empty))
            wanted[most] -= 1
            wanted[k] = 1
    return wanted
