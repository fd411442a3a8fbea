"""Sentences with their translations as data: found and read with their faults named, and batches of them.

```
DIR/corpus.de, DIR/corpus.en    SOURCE is the file to translate from, the other of its stem the translation
DIR                             two such files and no others of their kind; from the first of the alphabet
corpus.tsv                      sentence<TAB>translation
```

Each may be compressed as ``.gz``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bayesight.checks import check, existing_path
from bayesight.data.text import read_lines, read_text
from bayesight.errors import InvalidInput, listed, shown
from bayesight.language import marked
from bayesight.seeding import numpy_generator
from bayesight.types import END_SYMBOL, PAD_SYMBOL, START_SYMBOL, IntArray

JITTER = 2.0
"""Symbols of a sentence within which chance decides who shares a batch."""


@dataclass(frozen=True)
class SentencePairs:
    """Sentences and their translations.

    Args:
        sources: to translate from.
        targets: what they mean, one for each.
        empty: pairs of two empty lines, which were left out.
        files: where they come from, one file or two.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    empty: int = 0
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def direction(self) -> str:
        """From which language to which, as the endings of the files say."""
        if len(self.files) < 2:
            return marked("from the first column to the second")
        one, other = (_plain(file).rpartition(".")[2] for file in self.files)
        return marked(f"from {one} to {other}")

    def at(self, rows: Sequence[int] | IntArray) -> SentencePairs:
        """Those at ``rows``."""
        sources, targets = (tuple(side[row] for row in rows) for side in (self.sources, self.targets))
        return SentencePairs(sources, targets, files=self.files)


def read_pairs(source: str | Path) -> SentencePairs:
    """Sentences and their translations, line by line, from a file and the one beside it, a folder, or a TSV.

    Lines that are empty in both languages are left out and counted.

    Raises:
        SourceNotFound: no such file.
        SourceUnreadable: a file that is empty or not UTF-8 (says in which line).
        InvalidInput: no second file or several, files of unequally many lines, a sentence without its
            translation, a line without its one tab; says which line.
    """
    path = existing_path(source)
    if path.is_dir():
        path = _first_of(path)
    if _plain(path).endswith(".tsv"):
        files: tuple[Path, ...] = (path,)
        ours, theirs = _columns(path)
    else:
        files = (path, _partner(path))
        ours, theirs = (read_lines(file) for file in files)
        if len(ours) != len(theirs):
            shorter = files[0] if len(ours) < len(theirs) else files[1]
            counts = f"{files[0]} has {len(ours):,} lines and {files[1]} {len(theirs):,}"
            line = min(len(ours), len(theirs))
            raise InvalidInput(
                f"{counts}; expected a translation for each. {shorter} ends after line {line:,}."
            )
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True), 1):
        if bool(one) != bool(other):
            where = files[-1] if one else files[0]
            raise InvalidInput(f"line {number:,} is empty in {where}; expected a sentence.")
    kept = [row for row, sentence in enumerate(ours) if sentence]
    sources, targets = (tuple(side[row] for row in kept) for side in (ours, theirs))
    return SentencePairs(sources, targets, len(ours) - len(kept), files)


class PairBatches:
    """Batches of pairs of like length: the batch of a step follows from the step alone.

    In every pass each pair is seen once. Pairs are laid out in strips by the length of the source, within a
    strip by that of the translation, up one and down the next, chance deciding between those that are nearly
    as long, and cut where each batch has its share of the translations' symbols.

    Args:
        sources: symbols of each sentence, without marks.
        targets: of its translation.
        batch: pairs a step, on average.
        seed: of the order.

    Raises:
        InvalidInput: no pairs, or unequally many sentences and translations.
    """

    def __init__(
        self, sources: Sequence[IntArray], targets: Sequence[IntArray], batch: int, seed: int
    ) -> None:
        came = f"{len(sources):,} sentences and {len(targets):,} translations"
        check(len(sources) == len(targets) > 0, "pairs", came, "as many of both, at least one")
        self.sources, self.targets, self.seed = sources, targets, seed
        self.pass_steps = max(1, round(len(sources) / batch))
        self._lengths = np.array(
            [(len(one), len(other)) for one, other in zip(sources, targets, strict=True)]
        )
        self._pass: tuple[int, list[IntArray]] = (-1, [])

    def __call__(self, model: nn.Module, step: int) -> tuple[Tensor, ...]:
        """The batch of a step, on the model's device: as ``padded`` has it, and what a pair's loss weighs.

        The weight, (B,) and the same for all, is the inverse of the symbols that a translation of the batch
        has on average; so the loss of a batch that is cut into pieces stays that of the whole.
        """
        number, place = divmod(step, self.pass_steps)
        if self._pass[0] != number:
            self._pass = (number, self._order(number))
        rows = self._pass[1][place].tolist()
        device = next(model.parameters()).device
        batch = padded([self.sources[row] for row in rows], [self.targets[row] for row in rows])
        weight = len(rows) / (batch[2] != PAD_SYMBOL).sum()
        return tuple(part.to(device) for part in (*batch, weight.expand(len(rows))))

    def _order(self, number: int) -> list[IntArray]:
        """The rows of each batch of a pass."""
        generator = numpy_generator(self.seed, "pairs", number)
        sources, targets = (self._lengths + JITTER * generator.random(self._lengths.shape)).T
        strips = max(1, round(2 * math.sqrt(self.pass_steps)))
        strip = sources.argsort().argsort() * strips // len(sources)
        order = np.lexsort((np.where(strip % 2, -targets, targets), strip))
        symbols = self._lengths[order, 1] + 1.0
        owner = ((symbols.cumsum() - symbols / 2) * self.pass_steps / symbols.sum()).astype(np.int64)
        batches = [order[owner == batch] for batch in range(self.pass_steps)]
        filled = [rows if len(rows) else order[-1:] for rows in batches]
        return [filled[batch] for batch in generator.permutation(self.pass_steps)]


def padded(sources: Sequence[IntArray], targets: Sequence[IntArray]) -> tuple[Tensor, Tensor, Tensor]:
    """Sentences side by side: sources (B, S), what the decoder is given (B, T), what it is to say (B, T).

    A source ends with its mark, so that none is empty; what is given begins with the mark of a beginning, and
    what is to be said ends with that of an end. Behind the end is padding.

    Example:
        >>> five, six = np.array([5]), np.array([6, 7])
        >>> source, given, wanted = padded([five, six], [np.array([8]), np.array([9, 9])])
        >>> source.tolist(), given.tolist(), wanted.tolist()
        ([[5, 2, 0], [6, 7, 2]], [[1, 8, 0], [1, 9, 9]], [[8, 2, 0], [9, 9, 2]])
    """
    return (
        _block(sources, END_SYMBOL, first=False),
        _block(targets, START_SYMBOL, first=True),
        _block(targets, END_SYMBOL, first=False),
    )


def _block(sentences: Sequence[IntArray], mark: int, *, first: bool) -> Tensor:
    block = torch.full((len(sentences), 1 + max(map(len, sentences))), PAD_SYMBOL)
    for row, sentence in enumerate(sentences):
        start = int(first)
        block[row, start : start + len(sentence)] = torch.from_numpy(sentence)
        block[row, 0 if first else len(sentence)] = mark
    return block


def _plain(path: Path) -> str:
    """The file's name without ``.gz``."""
    return path.name.removesuffix(".gz")


def _stem(path: Path) -> str:
    """The name up to the ending that says its language."""
    return _plain(path).rpartition(".")[0]


def _of_pairs(folder: Path) -> list[Path]:
    """Files of a folder that have an ending, in the order of the alphabet."""
    return sorted(file for file in folder.iterdir() if file.is_file() and _stem(file).strip("."))


def _partner(path: Path) -> Path:
    """The one other file of the same stem."""
    stem = _stem(path)
    others = [file for file in _of_pairs(path.parent) if _stem(file) == stem and file.name != path.name]
    came = f"beside it {listed([file.name for file in others]) if others else 'no file of its stem'}"
    want = f"one file {stem or path.name}.LANGUAGE with its translations"
    check(
        len(others) == 1, str(path), came, want, "Or give one file of lines sentence<TAB>translation, .tsv."
    )
    return others[0]


def _first_of(folder: Path) -> Path:
    """The first of the two files of a folder that belong together."""
    files = _of_pairs(folder)
    tables = [file for file in files if _plain(file).endswith(".tsv")]
    if len(tables) == len(files) == 1:
        return files[0]
    came = f"holds {listed([file.name for file in files]) if files else 'no files'}"
    mend = f"Name the file to translate from, as {folder / (files[0].name if files else 'corpus.de')}."
    two = len(files) == 2 and _stem(files[0]) == _stem(files[1])
    check(two, str(folder), came, "two files of one stem, corpus.de and corpus.en", mend)
    return files[0]


def _columns(path: Path) -> tuple[list[str], list[str]]:
    """The two columns of a TSV."""
    ours, theirs = [], []
    for number, line in enumerate(read_text(path).removesuffix("\n").split("\n"), 1):
        parts = line.split("\t") if line.strip() else ["", ""]
        where = f"{path}, line {number:,}"
        check(len(parts) == 2, where, f"{shown(line)} has {len(parts) - 1} tabs", "sentence<TAB>translation")
        ours.append(parts[0].strip())
        theirs.append(parts[1].strip())
    return ours, theirs
