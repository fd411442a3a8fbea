"""Texts as a store: labels and digests as images have them, and rows of symbols in the place of pixels.

A text is known by its words: blanks apart, equal texts have one digest, however long they are. Which symbols
a text is written in, a vocabulary says; it may be learned after the texts are split.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bayesight.checks import check, existing_path
from bayesight.data.formats import promises_image
from bayesight.data.layout import twin_notes
from bayesight.data.manifest import Manifest, content_hash, digests_of
from bayesight.data.placing import class_counts
from bayesight.data.store import Store
from bayesight.data.streams import ByteStream
from bayesight.data.text import Subwords, read_text
from bayesight.data.text_table import LabelledText, TextTable, read_labelled, text_lines
from bayesight.errors import BayesightError, SourceUnreadable
from bayesight.files import entries_of
from bayesight.frame import Frame
from bayesight.language import marked
from bayesight.types import IntArray

TEXT = "text"
"""The mode of texts, beside "L" and "RGB" of images."""
_GLANCE = 4096
_BINARY = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Text that Windows calls Unicode; what reads it says how to convert it."""


@dataclass(frozen=True, eq=False)
class TextStore(Store):
    """A ``Store`` of texts, in memory; its ``images`` are int32 (N, T), blank before ``written``.

    Args:
        texts: as they were read, in the order of the rows.
        places: the file and line of each.
    """

    texts: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    def path_of(self, index: int) -> str:
        """The file and line of a text: ``"reviews.tsv:12"``."""
        return self.places[index]

    def shown(self, index: int) -> str:
        """The words of a text, after its file and line."""
        return f"{self.places[index]}: {self.texts[index]}"

    def written(self, vocabulary: Subwords, length: int) -> TextStore:
        """The same texts as rows of ``length`` symbols; a note counts those that are cut."""
        rows, cut = encoded(self.texts, vocabulary, length)
        many = int((cut > 0).sum())
        note = marked(
            f"{many:,} of {len(self):,} texts are longer than {length} symbols and were cut: train with "
            f"--set data.context={int(cut.max())} to keep all"
        )
        notes = (note,) if many else ()
        manifest = replace(self.manifest, shape=(1, length), notes=(*self.manifest.notes, *notes))
        return replace(self, manifest=manifest, images=rows)


def holds_texts(path: Path) -> bool:
    """True for a file that begins as text, plain or packed, and for a folder of nothing but such files.

    Raises:
        SourceNotFound: nothing is there.
    """
    path = existing_path(path)
    if path.is_file():
        return _begins_as_text(path)
    entries = [entry for entry in entries_of(path) if not entry.name.startswith(".")]
    return bool(entries) and all(entry.is_file() and _begins_as_text(entry) for entry in entries)


def _begins_as_text(path: Path) -> bool:
    if promises_image(path.name):  # whatever is in it, an image was meant
        return False
    try:
        with ByteStream(path) as stream:
            start = next(stream, b"")[:_GLANCE]
    except (OSError, BayesightError):
        return False
    return start.startswith(_WIDE) or (bool(start.strip()) and start.translate(None, _BINARY) == start)


def open_texts(source: str | Path, *, labelled: bool | None = True, in_order: bool = False) -> TextStore:
    """The texts of a file of ``label<TAB>text`` lines or of a folder with a file a class, not yet written.

    Args:
        source: plain or ``.gz``, in UTF-8.
        labelled: False for one text a line; labels before a tab, if every line has one, are left out. None
            takes labels for such where the first line has one.
        in_order: keep the texts as they come; else rows are sorted, as a store's are.

    Raises:
        SourceNotFound, SourceUnreadable: no such texts, or none in UTF-8; says in which line.
        InvalidInput: as ``read_labelled``.
    """
    path = existing_path(source)
    if not holds_texts(path):
        raise SourceUnreadable(f"{path} holds no text; expected lines of label<TAB>text, plain or .gz.")
    if labelled is None:
        labelled = path.is_dir() or _begins_with_label(read_text(path))
    read = read_labelled(path) if labelled else _lines(path)
    texts, names, places = read.texts, read.labels, read.places
    classes = tuple(sorted(set(names)))
    number = {name: k for k, name in enumerate(classes)}
    labels = np.array([number[name] for name in names] or [-1] * len(texts), np.int64)
    words = (" ".join(text.split()) for text in texts)
    digests = digests_of(text.encode("utf-8", "surrogatepass") for text in words)
    order = np.arange(len(texts)) if in_order else np.lexsort((*digests.T[::-1], labels))
    labels, digests = labels[order], digests[order]
    parts = np.zeros(len(texts), np.uint8)
    manifest = Manifest(
        source=str(path),
        kind=TEXT,
        classes=classes,
        counts=class_counts(classes, labels),
        shape=(1, 1),
        mode=TEXT,
        content_hash=content_hash(Frame(1, 1, TEXT), labels, digests, parts),
        choice=marked("texts, one a line"),
        notes=(*read.notes, *twin_notes(classes)),
    )
    ordered = order.tolist()
    return TextStore(
        path,
        manifest,
        np.zeros((len(texts), 1), np.int32),
        labels,
        digests,
        parts,
        tuple(texts[i] for i in ordered),
        tuple(places[i] for i in ordered),
    )


def encoded(texts: Sequence[str], vocabulary: Subwords, length: int) -> tuple[Any, IntArray]:
    """Rows (N, length) int32 of symbols between the marks of start and end, and (N,) places of those cut.

    Args:
        texts: N of them.
        vocabulary: with marks.
        length: places of a row, at least 3.

    Returns:
        The rows, padded with 0, and how many places each text would have needed that is cut; 0 of the others.
    """
    marks = vocabulary.marks
    check(length >= 3, "data.context", f"got {length}", "at least 3, a symbol and two marks")
    rows, cut = np.zeros((len(texts), length), np.int32), np.zeros(len(texts), np.int64)
    for row, symbols in enumerate(vocabulary.encode_all(texts)):
        inside = symbols[: length - 2]
        rows[row, : len(inside) + 2] = [marks.start, *inside, marks.end]
        cut[row] = len(symbols) + 2 if len(symbols) > length - 2 else 0
    return rows, cut


def _begins_with_label(content: str) -> bool:
    table = TextTable.of(content)
    if table is not None:
        return table.label is not None
    return "\t" in content.lstrip().partition("\n")[0]


def _lines(path: Path) -> LabelledText:
    """Texts of a file, one a line, or of a folder's files, without labels and empty lines."""
    found = LabelledText([], [], [])
    if path.is_file() and (table := TextTable.of(content := read_text(path))) is not None:
        rows = [row for row in table.rows(content, str(path)) if row[2].strip()]
        places = [f"{path.name}:{number}" for number, _, _ in rows]
        return LabelledText([text.strip() for _, _, text in rows], [], places, (table.note,))
    for file, numbered in text_lines(path):
        lines = [line.strip() for _, line in numbered]
        labelled = all("\t" in line for line in lines)
        found.texts.extend(line.partition("\t")[2] if labelled else line for line in lines)
        found.places.extend(f"{file.name}:{number}" for number, _ in numbered)
    return found
