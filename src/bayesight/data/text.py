"""Text as data: files read with their faults named, characters and subwords as numbers, and batches of both.

```
read_text, read_lines        a text; its lines
Characters, Subwords         text to numbers and back
KnownWords                   short texts as numbers of known words
Windows                      batches of stretches of one long text
```
"""

from __future__ import annotations

import gzip
import json
import re
import shlex
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bayesight.checks import check, existing_path
from bayesight.errors import InvalidInput, MissingExtra, SourceUnreadable, listed, shown
from bayesight.seeding import torch_generator
from bayesight.types import END_SYMBOL, PAD_SYMBOL, START_SYMBOL, IntArray

MOST_BYTES = 1 << 30
"""Bytes that a text may have once it is inflated."""
PAD, START, END, MASK = "<pad>", "<start>", "<end>", "<mask>"
"""Symbols of their own in a vocabulary of subwords."""

_MARKS = ((PAD, START, END, MASK), ("[PAD]", "[CLS]", "[SEP]", "[MASK]"))
"""Names of the marks of a text: ours, and those of published BERTs."""


class Marks(NamedTuple):
    """The numbers of the symbols that are no part of a text.

    Args:
        pad: after its end; 0.
        start: before it.
        end: after it.
        mask: in the place of a symbol that is to be named; None where the vocabulary has none.
    """

    pad: int
    start: int
    end: int
    mask: int | None


def read_text(path: str | Path) -> str:
    """A file's text, plain or ``.gz``, in UTF-8; line ends of every kind become one.

    Raises:
        SourceNotFound: no such file.
        SourceUnreadable: a folder, a damaged ``.gz``, more than 1 GiB, bytes that are not UTF-8 (says in
            which line), or nothing but blanks.
    """
    path = existing_path(path)
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as problem:
        raise SourceUnreadable(
            f"{path} cannot be read ({problem}); expected a text, plain or .gz."
        ) from problem
    if len(content) > MOST_BYTES:
        raise SourceUnreadable(f"{path} holds more than {MOST_BYTES:,} bytes of text; expected at most that.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        from bayesight.data.tables import encoding_of  # loads Arrow

        line = content.count(b"\n", 0, problem.start) + 1
        rest = content[content.rfind(b"\n", 0, problem.start) + 1 :]
        likely = encoding_of(rest[:4096]).upper()
        raise SourceUnreadable(
            f"{path}, line {line:,}: byte 0x{content[problem.start]:02x} is not text in UTF-8; expected no "
            f"other encoding. Convert it, with: iconv -f {likely} -t UTF-8 {shlex.quote(path.name)}"
        ) from problem
    if not text.strip():
        raise SourceUnreadable(f"{path} is empty; expected a text.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text, blanks at their ends taken off; an empty line stays one.

    Raises:
        SourceNotFound, SourceUnreadable: as ``read_text``.
    """
    return [line.strip() for line in read_text(path).removesuffix("\n").split("\n")]


class Characters:
    """Each character a symbol, in the order of their code points.

    Args:
        alphabet: every character, sorted, each once.

    Example:
        >>> Characters.of("abcab").encode("cab").tolist()
        [2, 0, 1]
    """

    def __init__(self, alphabet: str) -> None:
        came = f"{len(alphabet)} characters"
        check(
            bool(alphabet) and list(alphabet) == sorted(set(alphabet)), "alphabet", came, "each once, sorted"
        )
        self.alphabet = alphabet
        self._points = np.array([ord(one) for one in alphabet], np.int64)

    @classmethod
    def of(cls, text: str) -> Characters:
        """The characters that occur in a text."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> IntArray:
        """(N,) int64, the place of each character in the alphabet.

        Raises:
            InvalidInput: a character that is not in it; says which.
        """
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
        places = np.searchsorted(self._points, points).clip(max=len(self._points) - 1)
        strange = "".join(sorted({chr(point) for point in points[self._points[places] != points]}))
        check(
            not strange,
            "text",
            f"holds {listed(strange, quoted=True)}",
            "characters the model has learned",
            "Leave them out, or train on a text that has them.",
        )
        return places

    def decode(self, symbols: Iterable[int]) -> str:
        """The text of symbols."""
        return "".join(self.alphabet[symbol] for symbol in symbols)

    def as_dict(self) -> dict[str, Any]:
        """Plain values that ``vocabulary_from`` reads back."""
        return {"kind": "characters", "alphabet": self.alphabet}


class Subwords:
    """Byte-level pairs (BPE) of the library ``tokenizers``: any text has symbols, and they give it back.

    Args:
        document: the library's own JSON.

    Raises:
        MissingExtra: the library is not installed.
        InvalidInput: not such a document.
    """

    def __init__(self, document: str) -> None:
        try:
            self._tokenizer = _tokenizers().Tokenizer.from_str(document)
        except Exception as problem:  # the library raises the class Exception itself
            if isinstance(problem, MissingExtra):
                raise
            raise InvalidInput(f"vocabulary: {problem}; expected a document of tokenizers.") from problem
        self._tokenizer.no_padding()  # published ones cut and fill texts to a length of their own
        self._tokenizer.no_truncation()
        self.document = document

    @classmethod
    def learned(cls, texts: Iterable[str], size: int, *, masks: bool = False) -> Subwords:
        """The vocabulary of ``size`` symbols at most that texts lead to; no symbol crosses from word to word.

        Args:
            texts: to learn from, those of the training part only.
            size: symbols at most, those of the 256 bytes and three marks among them; at least 259.
            masks: a fourth mark, for symbols that are to be named from those around them.
        """
        check(size >= 259, "vocabulary size", f"got {size}", "at least 259: the bytes and three marks")
        library = _tokenizers()
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[PAD, START, END, *([MASK] if masks else [])],
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    @property
    def marked(self) -> bool:
        """True where the marks of sentences have the numbers that models of pairs know them by."""
        known = [self._tokenizer.token_to_id(mark) for mark in (PAD, START, END)]
        return known == [PAD_SYMBOL, START_SYMBOL, END_SYMBOL]

    @property
    def marks(self) -> Marks:
        """The symbols that are no part of a text.

        Raises:
            InvalidInput: a vocabulary that has none, or whose padding is not symbol 0.
        """
        for names in _MARKS:
            pad, start, end, mask = map(self._tokenizer.token_to_id, names)
            if pad == 0 and start is not None and end is not None:
                return Marks(pad, start, end, mask)
        wanted = " or ".join(", ".join(names[:3]) for names in _MARKS)
        raise InvalidInput(f"vocabulary: no marks of padding (symbol 0), start and end; expected {wanted}.")

    def encode(self, text: str) -> IntArray:
        """(N,) int64, the subwords of a text."""
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int64)

    def encode_all(self, texts: Sequence[str]) -> list[IntArray]:
        """The subwords of many texts, on all cores."""
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [np.array(one.ids, np.int64) for one in found]

    def decode(self, symbols: Iterable[int]) -> str:
        """The text of symbols; marks are left out."""
        text: str = self._tokenizer.decode(list(symbols), skip_special_tokens=True)
        return text

    def pieces(self, symbols: Iterable[int]) -> list[str]:
        """The text of each symbol by itself; padding is left out."""
        return [self._tokenizer.decode([symbol], skip_special_tokens=False) for symbol in symbols if symbol]

    def as_dict(self) -> dict[str, Any]:
        """Plain values that ``vocabulary_from`` reads back."""
        return {"kind": "subwords", "tokenizer": json.loads(self.document)}


def vocabulary_from(tree: Any) -> Characters | Subwords:
    """The vocabulary that ``as_dict`` wrote.

    Raises:
        InvalidInput: another document.
        MissingExtra: subwords, and ``tokenizers`` is not installed.
    """
    kind = tree.get("kind") if isinstance(tree, dict) else None
    if kind == "characters" and isinstance(tree.get("alphabet"), str):
        return Characters(tree["alphabet"])
    check(kind == "subwords", "vocabulary", shown(kind), "characters or subwords")
    return Subwords(json.dumps(tree.get("tokenizer")))


class KnownWords:
    """Known words of short texts as numbers from 1 on; others have none.

    Letters count without their case, and each sign that is neither letter nor digit is a word of its own.

    Args:
        words: each once; the number of the first is 1.

    Example:
        >>> words = KnownWords.of(["Is it red?", "What is it?"])
        >>> words.known
        ('?', 'is', 'it', 'red', 'what')
        >>> words.encode("Is it mauve?").tolist(), words.strange("Is it mauve?")
        ([2, 3, 1], ('mauve',))
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.known = tuple(words)
        self._numbers = {word: number for number, word in enumerate(self.known, 1)}
        check(len(self._numbers) == len(self.known), "words", "a word more than once", "each once")

    @classmethod
    def of(cls, texts: Iterable[str], most: int = 20_000) -> KnownWords:
        """The words of texts, in their order; the most common ones where there are more than ``most``."""
        counts = Counter(word for text in texts for word in _words(text))
        common = sorted(counts, key=lambda word: (-counts[word], word))[:most]
        return cls(sorted(common))

    def encode(self, text: str) -> IntArray:
        """(N,) int64, the known words of a text in their order."""
        return np.array([self._numbers[one] for one in _words(text) if one in self._numbers], np.int64)

    def strange(self, text: str) -> tuple[str, ...]:
        """The words of a text that are not known, each once."""
        return tuple(dict.fromkeys(one for one in _words(text) if one not in self._numbers))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.casefold())


class Windows:
    """Stretches of a text from random places: the batch of a step follows from the step alone.

    Args:
        codes: (N,) int64, the text.
        batch: stretches a step.
        context: symbols the model sees.
        seed: of the places.

    Raises:
        InvalidInput: a text that is shorter than a stretch.
    """

    def __init__(self, codes: Tensor, batch: int, context: int, seed: int) -> None:
        came = f"{len(codes):,} symbols"
        check(len(codes) > context, "text", came, f"more than {context}, those a stretch has")
        self.codes, self.batch, self.context, self.seed = codes, batch, context, seed

    def __call__(self, model: nn.Module, step: int) -> tuple[Tensor, Tensor]:
        """Symbols (batch, context), and those after each of them."""
        generator = torch_generator(self.seed, "windows", step)
        starts = torch.randint(len(self.codes) - self.context, (self.batch, 1), generator=generator)
        windows = self.codes[starts + torch.arange(self.context + 1)]
        windows = windows.to(next(model.parameters()).device)
        return windows[:, :-1], windows[:, 1:]


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as problem:
        raise MissingExtra("a vocabulary of subwords", "text") from problem
    return tokenizers
