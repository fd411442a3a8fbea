"""Folder names that mean something other than a class, in the spellings people use."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Literal, TypeAlias

from bayesight.names import alike

Role: TypeAlias = Literal["train", "validation", "test"]

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("train", "training", "trn", "trainval", "훈련", "학습"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development", "검증"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout", "eval", "evaluation"), "test"),
    **dict.fromkeys(("pred", "predict", "prediction", "publictest", "privatetest"), "test"),
    **dict.fromkeys(("시험", "테스트", "평가"), "test"),
}
_WORDS = "|".join(sorted(_ROLES, key=len, reverse=True))
_PLAIN = re.compile(
    rf"({_WORDS})(?:set|data|images?|imgs?|split|part|folder|dir|samples?|용|데이터|이미지|세트|셋)*\d*"
)
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_UNLABELLED = re.compile(
    r"(un|not|non?)(label(l?ed|s)?|annotated|classified|tagged|sup(ervised)?)"
    r"(set|data|images?|imgs?|pool|part)*\d*"
)
_MASK_WORD = r"(masks?|annot(ation)?s?|ground?truths?|segmentations?(class|object|maps?)?|trimaps?|mattes?)"
_MASK = re.compile(rf"(binary|seg|segmentation|image|img|instance|pixel)?{_MASK_WORD}(images?|imgs?|png)?")
_WEAK_MASK = re.compile(r"gts?|labels?|seg|labelmaps?|targets?|depth(maps?)?|edges?")
MASK_ENDINGS = "mask|seg|segmentation|annotation|ground_?truth|gt"
"""Words, a plural s apart, behind the name of an image in that of its mask: ``x_mask.png`` of ``x.png``."""
_CONTAINER = re.compile(
    r"(images?|imgs?|photos?|photographs?|pictures?|pics?|frames?|jpe?gs?|jpe?gimages|pngs?|bmps?|tiffs?"
    r"|tifs?|webps?|raw|rgb|originals?|data|files)\d*"
)


def key(name: str) -> str:
    """A name without case, width and what separates words.

    Example:
        >>> key("Hold-out Set")
        'holdoutset'
    """
    return re.sub(r"[_\-.]+", "", alike(name))


def roles(names: Iterable[str]) -> dict[str, Role]:
    """Those of a level's folder names that name a part of a data set, as ``train`` and ``Hold-Out`` do.

    A name with more in it, such as ``seg_test``, counts where the same stands in another part's name.

    Example:
        >>> roles(["Train", "val2017", "bus"]), roles(["seg_train", "seg_test"])
        ({'Train': 'train', 'val2017': 'validation'}, {'seg_train': 'train', 'seg_test': 'test'})
        >>> roles(["test_tube", "train"]), roles(["훈련용 데이터", "시험"])
        ({'train': 'train'}, {'훈련용 데이터': 'train', '시험': 'test'})
    """
    found: dict[str, Role] = {}
    longer: dict[tuple[str, ...], dict[str, Role]] = {}
    for name in dict.fromkeys(names):
        plain = _PLAIN.fullmatch(key(name))
        if plain:
            found[name] = _ROLES[plain[1]]
            continue
        tokens = [token.casefold() for token in _TOKEN.findall(_CAMEL.sub("_", name))]
        meant = [token for token in tokens if token in _ROLES]
        if len(meant) == 1:
            rest = tuple(token for token in tokens if token != meant[0] and not token.isdecimal())
            longer.setdefault(rest, {})[name] = _ROLES[meant[0]]
    for pair in longer.values():
        if len(set(pair.values())) > 1:
            found |= pair
    return found


def is_unlabelled(name: str) -> bool:
    """True for a folder whose name says that its images have no labels.

    Example:
        >>> [is_unlabelled(name) for name in ("unlabeled", "Un-Labelled_Data", "unsup", "labels")]
        [True, True, True, False]
    """
    return _UNLABELLED.fullmatch(key(name)) is not None


def is_container(name: str) -> bool:
    """True for a folder whose name says no more than that there are images in it.

    Example:
        >>> [is_container(name) for name in ("images", "JPEGImages", "png", "kaggle")]
        [True, True, True, False]
    """
    return _CONTAINER.fullmatch(key(name)) is not None


def is_mask(name: str, *, weakly: bool = False) -> bool:
    """True for a folder named as one of masks or annotations; ``weakly``, as one beside images may be.

    Example:
        >>> is_mask("SegmentationClass"), is_mask("no_mask"), is_mask("gt"), is_mask("gt", weakly=True)
        (True, False, False, True)
    """
    folded = key(name)
    return _MASK.fullmatch(folded) is not None or (weakly and _WEAK_MASK.fullmatch(folded) is not None)


def mask_names(siblings: Collection[str]) -> dict[str, bool]:
    """Folders beside each other that may hold masks of the others' images, and whether that is certain.

    Example:
        >>> mask_names(["train", "val", "valannot", "masks", "face_mask"])
        {'valannot': True, 'masks': True}
        >>> mask_names(["cat", "dog", "mask"]), mask_names(["mask", "no_mask"])
        ({'mask': False}, {})
    """
    folded = {name: key(name) for name in siblings}
    known, parts = set(folded.values()), roles(siblings).keys()
    images = {name for name in siblings if is_container(name) and not is_mask(name, weakly=True)}
    kinds = sum("mask" in name.casefold() for name in siblings)
    found = {}
    for name, text in folded.items():
        by_itself = is_mask(name, weakly=True)
        cuts = range(1, len(text))
        if by_itself or any(text[:cut] in known and is_mask(text[cut:], weakly=True) for cut in cuts):
            certain = not by_itself or bool((images | parts) - {name})
            if certain or (is_mask(name) and len(siblings) > 1 and kinds <= ("mask" in name.casefold())):
                found[name] = certain
    return found


def names_no_class(name: str) -> bool:
    """True for a folder whose name is that of a part, of masks or of unlabelled images.

    Example:
        >>> [name for name in ("gt", "val", "unlabeled", "vale") if names_no_class(name)]
        ['gt', 'val', 'unlabeled']
    """
    return is_unlabelled(name) or is_mask(name, weakly=True) or bool(roles([name]))
