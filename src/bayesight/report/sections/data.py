"""Sections that show images and files: mistakes, suspicious labels, quarantine, duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bayesight.data.audit import Conflict
from bayesight.language import marked, tr
from bayesight.report.blocks import Block, Card, Cell, Column, Fold, Gallery, Section, TableBlock, Words
from bayesight.report.words import count, joined, plural, rate
from bayesight.types import ImageArray

_PICTURES = 60
_FILES = 200
_FOLDED = 12
_LETTERS = 400  # of a text that are shown


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


def mistakes(pictures: Sequence[Picture], *, total: int) -> Section:
    """The most confident mistakes, as pictures, or of texts as a table.

    Args:
        pictures: worst first; the first 60 are shown.
        total: how many mistakes there are in all.
    """
    heading, shown = tr("Its most confident mistakes"), pictures[:_PICTURES]
    if not shown:
        return Section(heading, [Words([tr("It made no mistake.")])])
    wrong = plural(total, "mistake")
    words = tr("It was most sure of these {shown} of its {mistakes}.", shown=len(shown), mistakes=wrong)
    if shown[0].image is None:
        names = (tr("label"), tr("said"), tr("sure"), tr("text"))
        columns = [Column(name, numeric=number == 2) for number, name in enumerate(names)]
        told = ((p.label, p.prediction, rate(p.probability), p.path[:_LETTERS]) for p in shown)
        table = TableBlock(columns, [list(map(Cell, row)) for row in told], heading)
        return Section(heading, [Words([words]), table])
    order = tr("The first name is the label, the second what it said.")
    hint = tr("Where the picture sides with the classifier, the label may be wrong.")
    alt = marked("image labelled {label}, called {prediction}")
    cards = [_card(p, alt, [tr("{probability} sure", probability=rate(p.probability))]) for p in shown]
    return Section(heading, [Words([f"{words} {order} {hint}"]), Gallery(cards)])


def suspicious_labels(pictures: Sequence[Picture], *, total: int) -> Section:
    """Labels that the other images speak against, as pictures.

    Args:
        pictures: most suspicious first, each with the probability of its label; the first 60 are shown.
        total: how many are suspicious in all.
    """
    heading, shown = tr("Labels that look wrong"), pictures[:_PICTURES]
    if not shown:
        return Section(heading, [Words([tr("No label looks wrong.")])])
    found = tr("{labels} wrong", labels=plural(total, "label looks", "labels look"))
    found += "" if total == len(shown) else tr("; the worst")
    words = tr("Judged by the other images, {found}: the label first, then what it looks like.", found=found)
    alt = marked("image labelled {label} that looks like {prediction}")
    cards = []
    for p in shown:
        both = ((p.prediction, p.probability), (p.label, p.label_probability))
        cards.append(_card(p, alt, [f"{name}: {rate(share)}" for name, share in both if share is not None]))
    return Section(heading, [Words([words]), Gallery(cards)])


def network_input(images: ImageArray, how: str) -> Section:
    """Images as the network is given them.

    Args:
        images: uint8 (N, H, W) or (N, H, W, 3).
        how: the way in which images of another shape are brought to this one.
    """
    height, width = images.shape[1:3]
    words = tr(
        "Every image is brought to {width}x{height} pixels; one of another shape is {how}.",
        width=width,
        height=height,
        how=how,
    )
    cards = [
        Card(image, alt=tr("image {n} as the network sees it", n=n)) for n, image in enumerate(images, 1)
    ]
    return Section(tr("What the network sees"), [Words([words]), Gallery(cards)])


def generated_images(images: ImageArray) -> Section:
    """Images uint8 (N, H, W) or (N, H, W, 3) that a model made."""
    words = tr("None of these images was in the archive; each was made from random numbers.")
    cards = [Card(image, alt=tr("made image {n}", n=n)) for n, image in enumerate(images[:_PICTURES], 1)]
    return Section(tr("What it made"), [Words([words]), Gallery(cards)])


def reconstructions(originals: ImageArray, copies: ImageArray) -> Section:
    """Images uint8 (N, H, W) or (N, H, W, 3), and how their codes bring them back, of the same shape."""
    words = tr("Images held out of training, each beside what its code brings back.")
    cards = []
    for n, both in enumerate(zip(originals[: _PICTURES // 2], copies, strict=False), 1):
        alts = tr("image {number}", number=n), tr("image {number} as remembered", number=n)
        told = tr("original"), tr("from its code")
        cards += [
            Card(image, f"{n}", [line], alt=alt) for image, alt, line in zip(both, alts, told, strict=True)
        ]
    return Section(tr("What its codes remember"), [Words([words]), Gallery(cards)])


def quarantine(items: Sequence[tuple[str, str]], *, ignored: int) -> Section:
    """Files that could not be read, and why.

    Args:
        items: (path, reason) of each; the first 200 are shown.
        ignored: other files that were no images and were passed over.
    """
    heading, n = tr("What could not be read"), len(items)
    words = tr("Every image could be read.")
    if n:
        words = tr("{files} could not be read and took no part in anything.", files=plural(n, "file"))
    if ignored:
        others = plural(ignored, "other file was", "other files were")
        words += tr(" {others} passed over, holding no image.", others=others)
    rows = [[Cell(path), Cell(reason)] for path, reason in items[:_FILES]]
    columns = [Column(tr("file"), numeric=False), Column(tr("reason"), numeric=False)]
    table: Block = TableBlock(columns, rows, tr("Files that could not be read"))
    if n > _FOLDED:
        first = tr("The first {shown} of {n} files", shown=_FILES, n=count(n))
        table = Fold(first if n > _FILES else tr("All {n} files", n=n), [table])
    return Section(heading, [Words([words]), table] if n else [Words([words])])


def duplicates(groups: int, extra: int, conflicts: Sequence[Conflict]) -> Section:
    """Images that are there more than once.

    Args:
        groups: sets of identical images.
        extra: images beyond the first of each set.
        conflicts: identical images with different labels; the first 60 are shown.
    """
    said = [tr("No image is there twice.")]
    if extra:
        twice = plural(groups, "image is there more than once", "images are there more than once")
        said = [
            tr(
                "{images}, which makes {extra} too many. Identical images are never both in "
                "training and in validation.",
                images=twice,
                extra=count(extra),
            )
        ]
    blocks: list[Block] = [Words(said)]
    if conflicts:
        n = len(conflicts)
        which = tr("one image is") if n == 1 else tr("{count} images are", count=count(n))
        said.append(tr("In contradiction to itself: {which} there under more than one label.", which=which))
        columns = [Column(tr("labels"), numeric=False), Column(tr("files"), numeric=False)]
        rows = [[Cell(joined(list(c.labels))), Cell(joined(c.paths))] for c in conflicts[:_PICTURES]]
        table = TableBlock(columns, rows, tr("Contradicting labels"))
        blocks.append(Fold(tr("The files of contradicting labels"), [table]))
    return Section(tr("Duplicates"), blocks)


def _card(picture: Picture, alt: str, lines: Sequence[str]) -> Card:
    assert picture.image is not None
    title = f"{picture.label} → {picture.prediction}"
    said = tr(alt, label=picture.label, prediction=picture.prediction)
    return Card(picture.image, title, lines, picture.path, said)
