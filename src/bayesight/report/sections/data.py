"""Sections that show images and files: mistakes, suspicious labels, quarantine, duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bayesight.data.audit import Conflict
from bayesight.language import tr
from bayesight.report.blocks import Block, Card, Cell, Column, Fold, Gallery, Section, TableBlock, Words
from bayesight.report.pictures import data_uri
from bayesight.report.words import count, joined, plural, rate
from bayesight.types import ImageArray

__all__ = [
    "Picture",
    "duplicates",
    "generated_images",
    "mistakes",
    "network_input",
    "quarantine",
    "reconstructions",
    "suspicious_labels",
]

_PICTURES = 60
_FILES = 200
_FOLDED = 12
_LETTERS = 400
"""Letters of a text that are shown."""


@dataclass(frozen=True)
class Picture:
    """One image with what is known of it.

    Attributes:
        image: uint8, (H, W) grey or (H, W, 3) RGB; None of a text, whose words are its path.
        label: its label, the truth as far as known; empty without one.
        prediction: the class it was called.
        probability: of the prediction, a fraction.
        path: where it comes from.
        label_probability: of the label, a fraction; shown for suspicious labels.
    """

    image: ImageArray | None
    label: str
    prediction: str
    probability: float
    path: str = ""
    label_probability: float | None = None


def mistakes(pictures: Sequence[Picture], *, total: int | None = None) -> Section:
    """The most confident mistakes, as pictures, or of texts as a table.

    Args:
        pictures: worst first; the first 60 are shown.
        total: how many mistakes there are in all.
    """
    heading = tr("Its most confident mistakes")
    if not pictures:
        return Section(heading, (Words((tr("It made no mistake."),)),))
    shown = pictures[:_PICTURES]
    in_all = total if total is not None else len(pictures)
    words = tr(
        "It was most sure of these {shown} of its {mistakes}.",
        shown=len(shown),
        mistakes=plural(in_all, "mistake"),
    )
    if shown[0].image is None:
        columns = (
            Column(tr("label"), numeric=False),
            Column(tr("said"), numeric=False),
            Column(tr("sure")),
            Column(tr("text"), numeric=False),
        )
        rows = tuple(
            tuple(map(Cell, (p.label, p.prediction, rate(p.probability), p.path[:_LETTERS]))) for p in shown
        )
        return Section(heading, (Words((words,)), TableBlock(columns, rows, heading)))
    names = tr("The first name is the label, the second what it said.")
    hint = tr("Where the picture sides with the classifier, the label may be wrong.")
    cards = tuple(_card(p) for p in shown)
    return Section(
        heading,
        (
            Words((f"{words} {names} {hint}",)),
            Gallery(cards),
        ),
    )


def suspicious_labels(pictures: Sequence[Picture], *, total: int | None = None) -> Section:
    """Labels that the other images speak against, as pictures.

    Args:
        pictures: most suspicious first; the first 60 are shown.
        total: how many are suspicious in all.
    """
    heading = tr("Labels that look wrong")
    if not pictures:
        return Section(heading, (Words((tr("No label looks wrong."),)),))
    shown = pictures[:_PICTURES]
    in_all = total if total is not None else len(pictures)
    found = tr("{labels} wrong", labels=plural(in_all, "label looks", "labels look")) + (
        "" if in_all == len(shown) else tr("; the worst")
    )
    words = tr("Judged by the other images, {found}: the label first, then what it looks like.", found=found)
    cards = tuple(_suspicious(p) for p in shown)
    return Section(heading, (Words((words,)), Gallery(cards)))


def network_input(images: ImageArray, how: str) -> Section:
    """Images as the network is given them.

    Args:
        images: uint8 (N, H, W) or (N, H, W, 3).
        how: the way in which images of another shape are brought to this one.
    """
    height, width = images.shape[1:3]
    cards = tuple(
        Card(data_uri(image), tr("image {n} as the network sees it", n=n), "")
        for n, image in enumerate(images, 1)
    )
    words = tr(
        "Every image is brought to {width}x{height} pixels; one of another shape is {how}.",
        width=width,
        height=height,
        how=how,
    )
    return Section(tr("What the network sees"), (Words((words,)), Gallery(cards)))


def generated_images(images: ImageArray) -> Section:
    """Images that a model made.

    Args:
        images: uint8 (N, H, W) or (N, H, W, 3).
    """
    shown = images[:_PICTURES]
    cards = tuple(
        Card(data_uri(image), tr("made image {n}", n=n), "") for n, image in enumerate(shown, start=1)
    )
    return Section(
        tr("What it made"),
        (
            Words((tr("None of these images was in the archive; each was made from random numbers."),)),
            Gallery(cards),
        ),
    )


def reconstructions(originals: ImageArray, copies: ImageArray) -> Section:
    """Images and how their codes bring them back.

    Args:
        originals: uint8 (N, H, W) or (N, H, W, 3).
        copies: the same shape.
    """
    cards: list[Card] = []
    pairs = zip(originals, copies, strict=True)
    for number, (original, copy) in enumerate(list(pairs)[: _PICTURES // 2], start=1):
        cards += [
            Card(data_uri(original), tr("image {number}", number=number), f"{number}", (tr("original"),)),
            Card(
                data_uri(copy),
                tr("image {number} as remembered", number=number),
                f"{number}",
                (tr("from its code"),),
            ),
        ]
    return Section(
        tr("What its codes remember"),
        (
            Words((tr("Images held out of training, each beside what its code brings back."),)),
            Gallery(tuple(cards)),
        ),
    )


def quarantine(items: Sequence[tuple[str, str]], *, ignored: int = 0) -> Section:
    """Files that could not be read, and why.

    Args:
        items: (path, reason) of each; the first 200 are shown.
        ignored: other files that were no images and were passed over.
    """
    heading = tr("What could not be read")
    n = len(items)
    none = tr("Every image could be read.")
    words = (
        tr("{files} could not be read and took no part in anything.", files=plural(n, "file")) if n else none
    )
    if ignored:
        others = plural(ignored, "other file was", "other files were")
        words += tr(" {others} passed over, holding no image.", others=others)
    if not n:
        return Section(heading, (Words((words,)),))
    rows = tuple((Cell(path), Cell(reason)) for path, reason in items[:_FILES])
    columns = (Column(tr("file"), numeric=False), Column(tr("reason"), numeric=False))
    table: Block = TableBlock(columns, rows, tr("Files that could not be read"))
    if n > _FOLDED:
        rest = (
            tr("The first {shown} of {n} files", shown=_FILES, n=count(n))
            if n > _FILES
            else tr("All {n} files", n=n)
        )
        table = Fold(rest, (table,))
    return Section(heading, (Words((words,)), table))


def duplicates(
    groups: int, extra: int, *, near_groups: int | None = None, conflicts: Sequence[Conflict] = ()
) -> Section:
    """Images that are there more than once.

    Args:
        groups: sets of identical images.
        extra: images beyond the first of each set.
        near_groups: sets of images that are almost identical, or None when nobody looked.
        conflicts: identical images with different labels; the first 60 are shown.
    """
    heading = tr("Duplicates")
    words = tr("No image is there twice.")
    if extra:
        words = tr(
            "{images}, which makes {extra} too many. Identical images are never both in "
            "training and in validation.",
            images=plural(groups, "image is there more than once", "images are there more than once"),
            extra=count(extra),
        )
    said = [words]
    if near_groups is not None:
        said.append(tr("{groups} of images are almost identical.", groups=plural(near_groups, "group")))
    if not conflicts:
        return Section(heading, (Words(tuple(said)),))
    n = len(conflicts)
    which = tr("one image is") if n == 1 else tr("{count} images are", count=count(n))
    said.append(tr("In contradiction to itself: {which} there under more than one label.", which=which))
    columns = (Column(tr("labels"), numeric=False), Column(tr("files"), numeric=False))
    rows = tuple((Cell(joined(list(c.labels))), Cell(joined(c.paths))) for c in conflicts[:_PICTURES])
    table = Fold(
        tr("The files of contradicting labels"), (TableBlock(columns, rows, tr("Contradicting labels")),)
    )
    return Section(heading, (Words(tuple(said)), table))


def _card(picture: Picture) -> Card:
    assert picture.image is not None
    title = f"{picture.label} → {picture.prediction}"
    sure = tr("{probability} sure", probability=rate(picture.probability))
    alt = tr(
        "image labelled {label}, called {prediction}", label=picture.label, prediction=picture.prediction
    )
    return Card(data_uri(picture.image), alt, title, (sure,), picture.path)


def _suspicious(picture: Picture) -> Card:
    lines = [f"{picture.prediction}: {rate(picture.probability)}"]
    if picture.label_probability is not None:
        lines.append(f"{picture.label}: {rate(picture.label_probability)}")
    assert picture.image is not None
    alt = tr(
        "image labelled {label} that looks like {prediction}",
        label=picture.label,
        prediction=picture.prediction,
    )
    title = f"{picture.label} → {picture.prediction}"
    return Card(data_uri(picture.image), alt, title, tuple(lines), picture.path)
