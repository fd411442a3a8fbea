"""The audit of texts: their classes and lengths, and those that are there more than once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayesight.data.audit import Audit, audit
from bayesight.data.labelled_texts import TextStore, open_texts
from bayesight.data.notes import class_table
from bayesight.data.text import read_text
from bayesight.language import marked

__all__ = ["TextAudit", "inspect_texts"]

_SHOWN = 10


@dataclass(frozen=True, eq=False)
class TextAudit:
    """A source of texts in numbers.

    Args:
        store: the texts, with their classes where lines name them.
        found: equal texts, and classes' shares.
        lengths: (N,) characters of each.
        alphabet: different characters of all.
    """

    store: TextStore
    found: Audit
    lengths: np.ndarray
    alphabet: int

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        manifest, spread = self.store.manifest, self._spread
        return {
            "source": manifest.source,
            "mode": manifest.mode,
            "classes": manifest.counts,
            "examples": len(self.store),
            "imbalance": round(self.found.imbalance, 4),
            "characters": {"least": spread[0], "median": spread[1], "most": spread[2]},
            "alphabet": self.alphabet,
            "duplicates": self.found.as_dict(),
            "content_hash": manifest.content_hash,
        }

    @property
    def _spread(self) -> list[int]:
        return [int(value) for value in np.quantile(self.lengths, (0, 0.5, 1))]

    @property
    def text(self) -> str:
        """The same for a terminal."""
        found, (least, median, most) = self.found, self._spread
        there, classes = f"{len(self.store):,}", len(self.store.classes)
        lines = [
            self.store.manifest.source,
            marked(f"{there} texts in {classes} classes.") if classes else marked(f"{there} texts."),
            marked(f"{least:,} to {most:,} characters each, half of them at most {median:,}; "
                   f"{self.alphabet:,} different characters."),
            "",
            *([*class_table(self.store.manifest.counts, marked("texts")), ""] if classes else []),
        ]  # fmt: skip
        if not found.groups:
            return "\n".join([*lines, marked("No text is there twice.")])
        lines.append(
            marked(
                f"Texts that are there more than once: {found.groups:,}, with {found.extra:,} copies too "
                "many; copies never lie on both sides of a split."
            )
        )
        if found.across:
            lines.append(
                marked(f"{found.across:,} of them lie under different labels, so some of these are wrong:")
            )
        for conflict in found.conflicts[:_SHOWN]:
            given = ", ".join(marked(f"{number} as {name}") for name, number in conflict.labels.items())
            lines.append(f"  {given}: {', '.join(conflict.paths[:4])}{' ...' * (len(conflict.paths) > 4)}")
        return "\n".join(lines)


def inspect_texts(source: str | Path) -> TextAudit:
    """Look at texts: ``label<TAB>text`` lines, a folder with a file a class, or texts one a line.

    Raises:
        SourceNotFound, SourceUnreadable: no such texts, or none in UTF-8; says in which line.
        InvalidInput: the first line has a label before a tab, and another has not; says which.
    """
    path = Path(source)
    labelled = path.is_dir() or "\t" in read_text(path).lstrip().partition("\n")[0]
    store = open_texts(path, labelled=labelled)
    lengths = np.array([len(text) for text in store.texts])
    return TextAudit(store, audit(store), lengths, len(set().union(*store.texts)))
