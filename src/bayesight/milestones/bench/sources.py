"""Data of milestones: rendered letters and a text that is there already, or what the user brings.

Nothing is downloaded. Letters are rendered once into the user's cache; the text is the language reference
that comes with every Python; the sentences to translate are numbers, spelled in German and in English.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from bayesight.checks import check
from bayesight.data.batches import Examples
from bayesight.data.pairs import SentencePairs
from bayesight.data.splits import split
from bayesight.data.store import Store, cache_home, open_store, require_classes
from bayesight.data.text import Characters, read_lines, read_text
from bayesight.data.text_table import read_labelled
from bayesight.errors import InvalidInput, SourceNotFound, StorageFailed, listed
from bayesight.language import marked
from bayesight.letters.glyphs import RenderOptions, render
from bayesight.types import IntArray, Progress

FULL_PER_CLASS, SMOKE_PER_CLASS = 800, 240
"""Letters of each class that are rendered for a full and for a smoke run."""

SIDE = 28
WORDS = 8
"""Words of a sentence, at least."""


@dataclass(frozen=True, eq=False)
class Letters:
    """Labelled grey images of 28x28 pixels.

    Args:
        store: the images.
        origin: what they are, for the card: no path of the user's machine.
    """

    store: Store
    origin: str

    @property
    def identity(self) -> str:
        """Changes when an image or a label does."""
        return self.store.manifest.content_hash

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the labels."""
        return self.store.classes

    def split(self, test_share: float = 0.2, *, train: int | None = None) -> tuple[Examples, Examples]:
        """Images to learn from and images to be judged on: no image is in both, nor a copy of one.

        The same for every seed, so that trials differ in what is trained and not in what it is judged on.

        Args:
            test_share: of all images, in (0, 1).
            train: how many to learn from at most, drawn evenly from all classes; None takes all.
        """
        labels = self.store.labels
        parts = split(labels, self.store.digests, {"train": 1 - test_share, "test": test_share}, seed=0)
        rows = parts["train"]
        if train is not None and train < len(rows):
            # every class in turn gives one, in a fixed random order within the class
            shuffled = np.random.default_rng(0).permutation(rows)
            order = np.argsort(labels[shuffled], kind="stable")
            within = np.concatenate([np.arange(n) for n in np.bincount(labels[rows])])
            rows = np.sort(shuffled[order][np.argsort(within, kind="stable")][:train])
        return tuple(  # type: ignore[return-value]
            Examples((self.store.images,), chosen, labels[chosen]) for chosen in (rows, parts["test"])
        )


@dataclass(frozen=True, eq=False)
class Text:
    """A text as numbers of its characters.

    Args:
        characters: the text.
        origin: what it is, for the card.
    """

    characters: str
    origin: str

    @property
    def identity(self) -> str:
        """Changes when a character does."""
        return hashlib.blake2b(self.characters.encode(), digest_size=16).hexdigest()

    @cached_property
    def vocabulary(self) -> Characters:
        """Every character that occurs."""
        return Characters.of(self.characters)

    @property
    def alphabet(self) -> str:
        """The same, sorted, as text."""
        return self.vocabulary.alphabet

    @cached_property
    def codes(self) -> Tensor:
        """(N,) int64, the place of each character in the alphabet."""
        return torch.from_numpy(self.vocabulary.encode(self.characters))


class PairParts(NamedTuple):
    """Pairs to learn from, to choose by, and to be judged on."""

    train: SentencePairs
    validation: SentencePairs
    test: SentencePairs


@dataclass(frozen=True, eq=False)
class ParallelText:
    """The same sentences in several languages, in three parts.

    Args:
        parts: of each language the lines to learn from, to choose by, and to be judged on.
        origin: what they are, for the card.
    """

    parts: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]
    origin: str

    @property
    def identity(self) -> str:
        """Changes when a sentence does."""
        text = repr(sorted(self.parts.items()))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def between(self, source: str, target: str) -> PairParts:
        """The pairs from one language to another.

        Raises:
            InvalidInput: a language that it does not have.
        """
        for language in (source, target):
            known = language in self.parts
            check(known, self.origin, f"has no language {language!r}", f"one of {listed(sorted(self.parts))}")
        return PairParts(*map(SentencePairs, self.parts[source], self.parts[target]))


def open_letters(
    path: Path | None, *, smoke: bool = False, needs: int = 0, progress: Progress | None = None
) -> Letters:
    """The user's images, or rendered letters where there are none.

    Args:
        path: a folder, archive or IDX file; None for rendered letters.
        smoke: whether few are enough.
        needs: images of each class that the protocol needs.
        progress: told how far rendering or reading is.

    Raises:
        InvalidInput: too few classes or images; says how many are needed.
        SourceNotFound: no such source.
    """
    source = path or rendered_letters(SMOKE_PER_CLASS if smoke else FULL_PER_CLASS, progress)
    store = open_store(source, size=SIDE, mode="L", progress=progress)
    require_classes(store)
    fewest = min(store.manifest.counts, key=store.manifest.counts.__getitem__)
    check(
        store.manifest.counts[fewest] >= needs,
        str(source),
        f"holds {store.manifest.counts[fewest]:,} images of class {fewest!r}",
        f"at least {needs:,} of each class for this protocol",
        "Add images, leave --data out to use rendered letters, or try --smoke, which needs fewer.",
    )
    many, classes = len(store), len(store.classes)
    if path:
        return Letters(store, marked(f"{many:,} images of {classes} classes from {path.name}"))
    return Letters(store, marked(f"{many:,} images of {classes} classes: letters rendered from fonts"))


@dataclass(frozen=True, eq=False)
class Sentences:
    """Sentences without labels, and texts with one of two labels.

    Args:
        lines: in lower case, each once, of at least ``WORDS`` words.
        labelled: by question ("reviews", "spam"), texts and their labels 0 and 1.
        origin: what they are, for the card.
    """

    lines: tuple[str, ...]
    labelled: Mapping[str, tuple[list[str], IntArray]]
    origin: str

    @property
    def identity(self) -> str:
        """Changes when a sentence or a label does."""
        known = hashlib.blake2b("\n".join(self.lines).encode(), digest_size=16)
        for name, (texts, labels) in sorted(self.labelled.items()):
            known.update(name.encode() + "\n".join(texts).encode() + labels.tobytes())
        return known.hexdigest()


def open_sentences(path: Path | None, *, needs: int = 0) -> Sentences:
    """Captions, movie reviews and short messages of a folder, or sentences of the reference within Python.

    Args:
        path: a folder with ``multi30k-train.en.gz``, ``rt-polarity.neg.gz``, ``rt-polarity.pos.gz`` and
            ``sms-spam.tsv.gz``; None for the reference, whose sentences are labelled by the half of its
            topics they are from.
        needs: sentences that the protocol needs.

    Raises:
        SourceNotFound, SourceUnreadable: a file is missing or cannot be read.
        InvalidInput: too few sentences.
    """
    if path is None:
        halves = _reference_halves()
        labelled = {"reviews": _labelled(halves)}
        lines, origin = (
            _distinct([*halves[0], *halves[1]]),
            marked("sentences of the language reference within Python"),
        )
    else:
        negative, positive = (read_lines(path / f"rt-polarity.{name}.gz") for name in ("neg", "pos"))
        spam = read_labelled(path / "sms-spam.tsv.gz")
        messages = [
            [text for text, label in zip(spam.texts, spam.labels, strict=True) if (label == "spam") == wanted]
            for wanted in (False, True)
        ]
        labelled = {"reviews": _labelled((negative, positive)), "spam": _labelled(messages)}
        lines = _distinct(read_lines(path / "multi30k-train.en.gz"))
        origin = marked(
            f"{len(lines):,} captions of Multi30k, movie reviews (rt-polarity) and short messages"
        )
    came = f"{len(lines):,} sentences"
    check(len(lines) >= needs, str(path), came, f"at least {needs:,} for this protocol")
    return Sentences(lines, labelled, origin)


def _distinct(lines: Sequence[str]) -> tuple[str, ...]:
    """Sentences of enough words in lower case, each once, in one order."""
    return tuple(sorted({line.lower() for line in lines if len(line.split()) >= WORDS}))


def _labelled(classes: Sequence[Sequence[str]]) -> tuple[list[str], IntArray]:
    """Different texts of two classes and their numbers; one that is in both is left out."""
    first, second = ({line.lower() for line in lines if line.strip()} for lines in classes)
    parts = sorted(first - second), sorted(second - first)
    return [*parts[0], *parts[1]], np.repeat([0, 1], [len(part) for part in parts])


def _reference_halves() -> tuple[list[str], list[str]]:
    from pydoc_data.topics import topics

    names = sorted(topics)
    texts = [" ".join(topics[name].split()) for name in names]
    halves = texts[: len(names) // 2], texts[len(names) // 2 :]
    first, second = ([line for text in half for line in re.split(r"(?<=[.:;]) ", text)] for half in halves)
    return first, second


def rendered_letters(per_class: int, progress: Progress | None = None) -> Path:
    """The archive of rendered letters A to J in the user's cache; rendered when it is not there.

    Raises:
        StorageFailed: the cache cannot be written.
    """
    archive = cache_home() / "milestones" / f"letters-{per_class}.tar.gz"
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(archive.with_suffix(".lock")):
            if not archive.exists():
                render(archive, RenderOptions(images_per_class=per_class, seed=0), progress=progress)
    except OSError as error:
        mend = "set BAYESIGHT_CACHE to a folder that can"
        raise StorageFailed(
            f"{archive.parent} cannot be written ({error.strerror or error}); {mend}"
        ) from error
    return archive


def open_text(path: Path | None, *, needs: int = 0) -> Text:
    """The user's text, or the language reference that comes with Python.

    Args:
        path: a UTF-8 text file, which may be compressed as ``.gz``; None for the reference.
        needs: characters that the protocol needs.

    Raises:
        SourceNotFound: no such file.
        SourceUnreadable: no UTF-8 text.
        InvalidInput: too short; says how many characters are needed.
    """
    text = _python_reference() if path is None else Text(read_text(path), path.name)
    check(
        len(text.characters) >= needs,
        str(path or text.origin),
        f"holds {len(text.characters):,} characters",
        f"at least {needs:,} for this protocol",
        "Give a longer text.",
    )
    return text


def _python_reference() -> Text:
    from pydoc_data.topics import topics

    return Text(
        "\n\n".join(topics[name] for name in sorted(topics)), marked("the language reference within Python")
    )


PARTS = ("train", "val", "test")
"""Words by which the files of a parallel text's parts are known."""
SPELLED = (6000, 200, 200)
"""Numbers of each part that are spelled where the user brings no sentences."""
ONES = tuple(
    words.split()
    for words in (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen",
        "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn "
        "sechzehn siebzehn achtzehn neunzehn",
    )
)
TENS = tuple(
    words.split()
    for words in (
        "twenty thirty forty fifty sixty seventy eighty ninety",
        "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
    )
)


def open_pairs(path: Path | None, *, needs: int = 0) -> ParallelText:
    """The user's parallel text, or numbers spelled in German ("de") and in English ("en").

    Args:
        path: a folder of files ``*train*.LANGUAGE``, ``*val*.LANGUAGE`` and ``*test*.LANGUAGE``, plain or
            ``.gz``, of two languages; the first test of the alphabet counts. Subwords joined by ``@@`` are
            put together. None for the numbers.
        needs: pairs to learn from that the protocol needs.

    Raises:
        SourceNotFound: no such folder.
        SourceUnreadable: no UTF-8 text.
        InvalidInput: a part that is missing, or parts of unequally many lines, or too few.
    """
    text = _spelled_numbers() if path is None else _parallel_text(path)
    count = len(next(iter(text.parts.values()))[0])
    came = f"holds {count:,} pairs to learn from"
    check(count >= needs, str(path or text.origin), came, f"at least {needs:,} for this protocol")
    return text


def _parallel_text(path: Path) -> ParallelText:
    if not path.is_dir():
        raise SourceNotFound(f"{path} is no folder; expected one of files train.de, train.en, val.de, ...")
    files = sorted(
        file for file in path.iterdir() if file.is_file() and any(part in file.name for part in PARTS)
    )
    languages = sorted({_language(file) for file in files})
    came = f"files of {listed(languages) if languages else 'no language'}"
    check(len(languages) == 2, str(path), came, "those of two languages, as train.de and train.en")
    parts: dict[str, list[tuple[str, ...]]] = {}
    for part in PARTS:
        counts = {}
        for language in languages:
            found = [file for file in files if part in file.name and _language(file) == language]
            check(bool(found), str(path), f"no file *{part}*.{language}", "one for each part and language")
            lines = tuple(line.replace("@@ ", "") for line in read_lines(found[0]))
            parts.setdefault(language, []).append(lines)
            counts[found[0].name] = len(lines)
        if len(set(counts.values())) > 1:
            raise InvalidInput(f"{path}: lines of {counts}; expected a translation for each.")
    whole = {language: (one[0], one[1], one[2]) for language, one in parts.items()}
    count = len(whole[languages[0]][0])
    return ParallelText(whole, marked(f"{count:,} pairs of {listed(languages)} from {path.name}"))


def _language(file: Path) -> str:
    return file.name.removesuffix(".gz").rpartition(".")[2]


def _spelled_numbers() -> ParallelText:
    numbers = np.random.default_rng(0).choice(1_000_000, sum(SPELLED), replace=False).tolist()
    cuts = np.cumsum((0, *SPELLED))
    spoken = {
        language: tuple(
            tuple(_spelled(number, german=language == "de") for number in numbers[start:end])
            for start, end in pairwise(cuts)
        )
        for language in ("de", "en")
    }
    whole = {language: (found[0], found[1], found[2]) for language, found in spoken.items()}
    return ParallelText(whole, marked(f"{SPELLED[0]:,} numbers, spelled in German and in English"))


def _spelled(number: int, *, german: bool) -> str:
    """A number below a million in words, each part of it a word.

    Example:
        >>> _spelled(34_721, german=False)
        'thirty four thousand seven hundred twenty one'
        >>> _spelled(34_021, german=True)
        'vier und dreißig tausend ein und zwanzig'
    """
    ones, tens = ONES[german], TENS[german]
    thousands, rest = divmod(number, 1000)
    hundreds, small = divmod(rest, 100)
    words = []
    if thousands:
        words += [_spelled(thousands, german=german), "tausend" if german else "thousand"]
    if hundreds:
        words += [ones[hundreds], "hundert" if german else "hundred"]
    if small >= 20:
        ten, one = tens[small // 10 - 2], ones[small % 10]
        both = [one, "und", ten] if german else [ten, one]
        words += both if small % 10 else [ten]
    elif small or not number:
        words.append(ones[small])
    return " ".join(words)
