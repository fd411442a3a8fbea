"""One part opened as a run reads it, where its task is done; nothing of it stays on that machine's disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data.batches import Examples
from bayesight.data.freshness import digest_of
from bayesight.data.parts import SourcePart, local_copy
from bayesight.data.store import Store, open_store
from bayesight.data.webdataset import shard_labels, write_labels
from bayesight.errors import SourceUnreadable
from bayesight.workflows.sources import LabelledImages, SourceOptions, read_labelled, read_unlabelled

__all__ = ["labelled_part", "opened_part", "plain_part", "unlabelled_part"]

_CACHE = "BAYESIGHT_CACHE"


@contextmanager
def labelled_part(
    part: SourcePart,
    classes: Classes,
    options: SourceOptions,
    *,
    new_classes: bool = False,
    parts: Sequence[str] = ("train",),
) -> Iterator[tuple[LabelledImages, str]]:
    """The labelled images of a part, and the hash of its bytes; empty for a folder.

    Args:
        part: where they are.
        classes: the run's.
        options: how it is read where it does not show.
        new_classes: as in ``read_labelled``.
        parts: likewise.

    Raises:
        SourceNotFound, SourceUnreadable, InvalidInput: as ``read_labelled`` and ``local_copy``.
    """
    with opened_part(part) as (path, folder, found):
        yield (
            read_labelled(
                path,
                classes,
                new_classes=new_classes,
                options=_options(part, path, folder, options, classes.names),
                parts=parts,
            ),
            found,
        )


@contextmanager
def unlabelled_part(
    part: SourcePart, classes: Classes, options: SourceOptions
) -> Iterator[tuple[Examples, Store]]:
    """The images of a part whose classes do not matter; the arguments are those of ``labelled_part``."""
    with opened_part(part) as (path, _, _found):
        yield read_unlabelled(path, classes, container=replace(options.container, share=part.share))


@contextmanager
def plain_part(part: SourcePart, options: SourceOptions) -> Iterator[tuple[Store, str]]:
    """A part as it is, for no run, and the hash of its bytes."""
    with opened_part(part) as (path, folder, found):
        asked = _options(part, path, folder, options, ())
        yield open_store(path, **asked.reading), found


@contextmanager
def opened_part(part: SourcePart) -> Iterator[tuple[Path, Path, str]]:
    """A path where a part can be read, a folder for what is made of it, and the hash of its bytes."""
    with tempfile.TemporaryDirectory(prefix="bayesight-store-") as folder, local_copy(part) as path:
        before = os.environ.get(_CACHE)
        os.environ[_CACHE] = folder
        try:
            found = digest_of(path) if path.is_file() else ""
            if part.hash is not None and found != part.hash:
                raise SourceUnreadable(
                    f"{part.url} has changed since its hash was taken; write the manifest anew."
                )
            yield path, Path(folder), found
        finally:
            os.environ.pop(_CACHE)
            if before is not None:
                os.environ[_CACHE] = before


def _options(
    part: SourcePart, path: Path, folder: Path, options: SourceOptions, known: Sequence[str]
) -> SourceOptions:
    """The options for a part: its share, and of a shard of WebDataset the labels beside its images."""
    asked = replace(options, container=replace(options.container, share=part.share))
    if not path.is_file() or options.layout.labels_from is not None:
        return asked
    labels = {
        name: label for name, label in shard_labels(path).items() if asked.container.shares(name.encode())
    }
    if not labels:
        return asked
    table = folder / "labels.csv"
    write_labels(labels, table)
    layout = replace(options.layout, labels_from=f"{table}:label")
    names = set(labels.values())
    named = not known or options.numbers is not None or any(name.isdecimal() for name in known)
    positions = not named and all(name.isascii() and name.isdecimal() for name in names)
    beyond = sorted(int(name) for name in names if int(name) >= len(known)) if positions else []
    came = f"the label {beyond[0]}" if beyond else ""
    mend = "--by-name takes numbers for names."
    check(not beyond, part.url, came, f"places in the run's order, 0 to {len(known) - 1}", mend)
    return replace(asked, layout=layout, numbers="positions" if positions else options.numbers)
