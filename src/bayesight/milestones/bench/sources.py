"""Data of milestones: rendered letters and a text that is there already, or what the user brings.

Nothing is downloaded. Letters are rendered once into the user's cache; the text is the language reference
that comes with every Python.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from bayesight.checks import check
from bayesight.data.batches import Examples
from bayesight.data.splits import split
from bayesight.data.store import Store, cache_home, open_store, require_classes
from bayesight.data.text import Characters, read_text
from bayesight.errors import StorageFailed
from bayesight.letters.glyphs import RenderOptions, render
from bayesight.types import Progress

__all__ = ["Letters", "Text", "open_letters", "open_text", "rendered_letters"]

FULL_PER_CLASS, SMOKE_PER_CLASS = 800, 240
"""Letters of each class that are rendered for a full and for a smoke run."""

SIDE = 28


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
    kind = f"{len(store):,} images of {len(store.classes)} classes"
    return Letters(store, f"{kind} from {path.name}" if path else f"{kind}: letters rendered from fonts")


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

    return Text("\n\n".join(topics[name] for name in sorted(topics)), "the language reference within Python")
