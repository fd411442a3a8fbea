"""Sections that show images and files: mistakes, suspicious labels, quarantine, duplicates."""

from __future__ import annotations

from bayesight.report.blocks import Block, Card, Cell, Column, Fold, Gallery, Table, Words
from bayesight.report.pictures import data_uri
from bayesight.report.sections import (
    Conflict,
    Duplicates,
    GeneratedImages,
    Mistakes,
    Picture,
    Quarantine,
    Reconstructions,
    SuspiciousLabels,
)
from bayesight.report.words import count, joined, plural, rate

__all__ = ["duplicates", "made", "mistakes", "quarantine", "remembered", "suspicious_labels"]

_PICTURES = 60
_FILES = 200
_FOLDED = 12


def mistakes(section: Mistakes, uid: str) -> tuple[Block, ...]:
    """The pictures it was most sure of and wrong about."""
    if not section.pictures:
        return (Words(("It made no mistake.",)),)
    shown = section.pictures[:_PICTURES]
    total = section.total if section.total is not None else len(section.pictures)
    words = f"It was most sure of these {len(shown)} of its {plural(total, 'mistake')}."
    hint = "Where the picture sides with the classifier, the label may be wrong."
    cards = tuple(_card(p, f"{p.label} → {p.prediction}", "sure", p.probability) for p in shown)
    return Words((f"{words} The first name is the label, the second what it said. {hint}",)), Gallery(cards)


def suspicious_labels(section: SuspiciousLabels, uid: str) -> tuple[Block, ...]:
    """The pictures whose labels the other images speak against."""
    if not section.pictures:
        return (Words(("No label looks wrong.",)),)
    shown = section.pictures[:_PICTURES]
    total = section.total if section.total is not None else len(section.pictures)
    found = f"{plural(total, 'label looks', 'labels look')} wrong" + (
        "" if total == len(shown) else "; the worst"
    )
    words = f"Judged by the other images, {found}: the label first, then what it looks like."
    cards = tuple(_suspicious(p) for p in shown)
    return Words((words,)), Gallery(cards)


def made(section: GeneratedImages, uid: str) -> tuple[Block, ...]:
    """The images, none of which was ever in the archive."""
    shown = section.images[:_PICTURES]
    cards = tuple(Card(data_uri(image), f"made image {n}", "") for n, image in enumerate(shown, start=1))
    return Words(("None of these images was in the archive; each was made from random numbers.",)), Gallery(
        cards
    )


def remembered(section: Reconstructions, uid: str) -> tuple[Block, ...]:
    """Original and copy in turns."""
    cards: list[Card] = []
    pairs = zip(section.originals, section.copies, strict=True)
    for number, (original, copy) in enumerate(list(pairs)[: _PICTURES // 2], start=1):
        cards += [
            Card(data_uri(original), f"image {number}", f"{number}", ("original",)),
            Card(data_uri(copy), f"image {number} as remembered", f"{number}", ("from its code",)),
        ]
    return Words(("Images held out of training, each beside what its code brings back.",)), Gallery(
        tuple(cards)
    )


def quarantine(section: Quarantine, uid: str) -> tuple[Block, ...]:
    """The files, each with its reason."""
    n = len(section.items)
    none = "Every image could be read."
    words = f"{plural(n, 'file')} could not be read and took no part in anything." if n else none
    if section.ignored:
        others = plural(section.ignored, "other file was", "other files were")
        words += f" {others} passed over, holding no image."
    if not n:
        return (Words((words,)),)
    rows = tuple((Cell(path), Cell(reason)) for path, reason in section.items[:_FILES])
    columns = (Column("file", numeric=False), Column("reason", numeric=False))
    table: Block = Table(columns, rows, "Files that could not be read")
    if n > _FOLDED:
        rest = f"The first {_FILES} of {count(n)} files" if n > _FILES else f"All {n} files"
        table = Fold(rest, (table,))
    return Words((words,)), table


def duplicates(section: Duplicates, uid: str) -> tuple[Block, ...]:
    """How many, and the ones whose labels contradict each other."""
    words = "No image is there twice."
    if section.extra:
        held = "is there more than once" if section.groups == 1 else "are there more than once"
        words = (
            f"{plural(section.groups, 'image')} {held}, which makes {count(section.extra)} too many. "
            "Identical images are never both in training and in validation."
        )
    said = [words]
    if section.near_groups is not None:
        said.append(f"{plural(section.near_groups, 'group')} of images are almost identical.")
    if not section.conflicts:
        return (Words(tuple(said)),)
    n = len(section.conflicts)
    which = "one image is" if n == 1 else f"{count(n)} images are"
    said.append(f"In contradiction to itself: {which} there under more than one label.")
    cards = tuple(
        _conflict(conflict) for conflict in section.conflicts[:_PICTURES] if conflict.image is not None
    )
    columns = (Column("labels", numeric=False), Column("files", numeric=False))
    rows = tuple((Cell(joined(c.labels)), Cell(joined(c.paths))) for c in section.conflicts[:_PICTURES])
    table = Fold("The files of contradicting labels", (Table(columns, rows, "Contradicting labels"),))
    return (Words(tuple(said)), Gallery(cards), table) if cards else (Words(tuple(said)), table)


def _card(picture: Picture, title: str, word: str, probability: float) -> Card:
    alt = f"image labelled {picture.label}, called {picture.prediction}"
    return Card(data_uri(picture.image), alt, title, (f"{rate(probability)} {word}",), picture.path)


def _suspicious(picture: Picture) -> Card:
    lines = [f"{picture.prediction}: {rate(picture.probability)}"]
    if picture.label_probability is not None:
        lines.append(f"{picture.label}: {rate(picture.label_probability)}")
    alt = f"image labelled {picture.label} that looks like {picture.prediction}"
    title = f"{picture.label} → {picture.prediction}"
    return Card(data_uri(picture.image), alt, title, tuple(lines), picture.path)


def _conflict(conflict: Conflict) -> Card:
    assert conflict.image is not None
    labels = joined(conflict.labels)
    return Card(data_uri(conflict.image), f"image labelled {labels}", labels)
