"""Labels of a shard of WebDataset: ``KEY.jpg`` with ``KEY.cls`` or ``KEY.json`` in one tar archive."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path

from bayesight.data.formats import IMAGE_SUFFIXES
from bayesight.errors import SourceUnreadable, listed, shown

__all__ = ["shard_labels", "write_labels"]

_FIRST = 16
"""Members that are looked at to recognise a shard."""
_LONGEST = 1 << 20
_LABELS = ("label", "cls", "class", "class_name")
"""Keys of a JSON file that name the class."""


def shard_labels(archive: Path) -> dict[str, str]:
    """The class of each image of a shard by its path; empty where a file is no shard.

    A ``.cls`` file holds a number or a name; a ``.json`` file has it under "label", "cls", "class" or
    "class_name".

    Raises:
        SourceUnreadable: a label that is none, or images without one.
    """
    images: dict[str, str] = {}
    labels: dict[str, str] = {}
    try:
        with tarfile.open(archive, "r|*") as members:
            for number, member in enumerate(members):
                if number == _FIRST and not labels:
                    return {}
                if not member.isfile():
                    continue
                key, suffix = _split(member.name)
                if suffix[1:].encode() in IMAGE_SUFFIXES:
                    images[member.name] = key
                elif suffix in (".cls", ".json") and member.size <= _LONGEST:
                    file = members.extractfile(member)
                    labels[key] = _label(file.read() if file else b"", suffix, f"{archive}: {member.name}")
    except (tarfile.TarError, OSError, EOFError):  # no tar at all, or a damaged one: reading it says why
        return {}
    missing = [path for path, key in images.items() if key not in labels]
    if not labels or len(missing) == len(images):
        return {}
    if missing:
        raise SourceUnreadable(
            f"{archive}: {len(missing):,} of {len(images):,} images have no label ({listed(missing, 3)}); "
            "expected KEY.cls or KEY.json beside each KEY.jpg."
        )
    return {path: labels[key] for path, key in images.items()}


def write_labels(labels: dict[str, str], table: Path) -> None:
    """Write the labels as a table with columns ``path`` and ``label``."""
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *labels.items()])


def _split(name: str) -> tuple[str, str]:
    """(key, suffix) of a member: the key ends at the first dot of the file's name."""
    folder, slash, file = name.rpartition("/")
    key, dot, suffix = file.partition(".")
    return f"{folder}{slash}{key}", f"{dot}{suffix}".lower()


def _label(content: bytes, suffix: str, where: str) -> str:
    """The label that a file holds.

    Raises:
        SourceUnreadable: there is none in it.
    """
    try:
        text = content.decode("utf-8-sig")
        if suffix == ".json":
            tree = json.loads(text)
            text = str(next(tree[key] for key in _LABELS if key in tree))
    except (ValueError, TypeError, StopIteration, RecursionError):
        text = ""
    if not text.strip():
        raise SourceUnreadable(
            f"{where} holds {shown(content[:40].decode(errors='replace'))}; expected a class, in JSON under "
            f"one of {listed(_LABELS, quoted=True)}."
        )
    return text.strip()
