"""A source of images as memory-mapped arrays, built once and reused while the source is unchanged."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from bayesight.checks import check
from bayesight.data.build import build
from bayesight.data.framing import ImageSpec, sides
from bayesight.data.layout import AS_SHOWN, PARTS, LayoutOptions
from bayesight.data.manifest import FORMAT, Manifest, content_hash, digests_of
from bayesight.data.path_values import PathValues
from bayesight.data.placing import class_counts, part_counts
from bayesight.data.sources import (
    AS_STORED,
    ContainerOptions,
    Source,
    Stamp,
    content_of,
    digest_of,
    find_source,
    stamp,
)
from bayesight.errors import (
    BayesightError,
    InvalidInput,
    SourceUnreadable,
    StorageFailed,
    UnknownName,
    listed,
)
from bayesight.files import write_atomic
from bayesight.formatting import capitalised
from bayesight.frame import Fit, Levels
from bayesight.language import marked
from bayesight.names import canonical
from bayesight.progress import reporter
from bayesight.types import ImageArray, IntArray, Progress, ShownProgress

_BUILDING = ".building-"
_STAMP = "source.json"
_SAMPLE = 16
_MEND = "An image's class is the name of the folder it lies in: put each class in a folder of its own."
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, eq=False)
class Store:
    """Images, labels and where each came from, read from disk as they are needed.

    Rows are in canonical order, sorted by label and digest: the same images with the same labels give the
    same bytes, from an archive as from IDX data. The files were complete on disk before the store appeared,
    are never changed afterwards, and hold no pickle: opening one runs no code.

    Args:
        folder: where the files lie.
        manifest: what they hold.
        images: uint8 ``(N, H, W)`` or ``(N, H, W, 3)``, memory-mapped, read-only.
        labels: int64 ``(N,)`` in the order of ``manifest.classes``; -1 for images without a class.
        digests: uint8 ``(N, 16)``, BLAKE2b-128 of each image's bytes.
        parts: uint8 ``(N,)``, which of ``layout.PARTS`` each image belongs to.
    """

    folder: Path
    manifest: Manifest
    images: ImageArray
    labels: IntArray
    digests: ImageArray
    parts: ImageArray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of the labels."""
        return self.manifest.classes

    @property
    def has_parts(self) -> bool:
        """True where folders of the source set images apart for training, validation or testing."""
        return not {"train", "validation", "test"}.isdisjoint(self.manifest.parts)

    def rows_of(self, part: str) -> IntArray:
        """Rows of the images of a part, one of ``layout.PARTS``; in a labelled store those with a class."""
        chosen = self.parts == PARTS.index(part)
        if self.classes and part not in ("unlabelled", "left out"):
            chosen &= self.labels >= 0
        return np.flatnonzero(chosen)

    def path_of(self, index: int) -> str:
        """The place of an image inside the source; ``"x.gz[17]"`` in IDX data."""
        text, ends = self._paths
        position = range(len(ends))[index]
        start = int(ends[position - 1]) + 1 if position else 0
        return text[start : int(ends[position])].decode()

    def shown(self, index: int) -> str:
        """The name an image goes by, its path; of a text its words."""
        return self.path_of(index)

    @cached_property
    def _paths(self) -> tuple[bytes, IntArray]:
        text = (self.folder / "paths.txt").read_bytes()
        return text, np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))


def open_store(
    source: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    mode: str | None = None,
    levels: Levels | None = None,
    fit: Fit = "crop",
    labels: str | os.PathLike[str] | None = None,
    labelled: bool = True,
    layout: LayoutOptions = AS_SHOWN,
    container: ContainerOptions = AS_STORED,
    cache: str | os.PathLike[str] | None = None,
    progress: ShownProgress = None,
) -> Store:
    """Open a source of images, building its store when there is none yet or the source has changed.

    Safe when several processes open the same source at once: one builds, the others wait and reuse. A build
    that is killed leaves nothing that could be taken for a store.

    Args:
        source: a folder, ``.tar``, ``.tar.gz``, ``.tar.xz``, ``.tar.bz2``, ``.zip`` or IDX ``.gz``.
        size: side of a square, or (height, width), that all images are brought to.
        mode: "L" or "RGB".
        levels: the values that become 0 and 255 where images have more than 8 bits; None finds them out.
        fit: how images of another shape are brought to the size: "crop" scales them to cover it and keeps the
            centre, "pad" scales them to lie within it with black beside them, "stretch" stretches them.
        labels: the labels of IDX data that are not beside it under MNIST's name.
        labelled: False for images without classes; every label is then -1.
        layout: which folders are classes and which are parts of the source, where it does not show.
        container: how names in archives are encoded, and whether links are followed.
        cache: where stores are kept; $BAYESIGHT_CACHE or the user's cache folder when not given.
        progress: called with images read so far and about how many there are; one that has ``announce`` is
            told of a store of 1 GiB and more before it is built.

    Raises:
        SourceNotFound: nothing is there.
        SourceUnreadable: cut off, damaged, or without a single image.
        StorageFailed: the cache cannot be written, or its disk has no room for the store.
        LayoutUnclear: folders that can be read in several ways; says which option asks for each.
        InvalidInput: a size, mode or levels that cannot be; labels from a table or a pattern that tell none.
    """
    progress = reporter(progress, "reading")
    spec = ImageSpec(sides(size), mode, labelled, levels, fit, layout)
    found = find_source(source, labels=labels, labelled=labelled, options=container)
    told = _told_by(layout, found) if labelled else []
    home = cache_home(cache) / "stores"
    stamped = stamp(found)
    marked = replace(stamped, values=[*stamped.values, *told])
    family = _key([str(found.path), asdict(spec), asdict(container), str(found.labels), FORMAT])
    stem = re.sub(r"[^A-Za-z0-9]+", "-", found.path.name.partition(".")[0])[:32].strip("-")
    name = f"{stem or 'source'}-{family}"
    store = _untouched(home, name, marked)
    if store is not None:
        _mark_used(store)
        return store
    signature = content_of(found, stamped)
    folder = home / f"{name}-{_key([*signature, *told])}"
    with _storing(home, found.path):
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(lock_of(folder)):
            store = _load(folder)
            if store is None:
                _remove_leftovers(home, lock_of(folder))
                _build(found, spec, folder, signature, stamped, progress)
                store = _load(folder)
            with suppress(OSError):  # a cache that can only be read serves as well
                write_atomic(folder / _STAMP, json.dumps(marked.values))
    if store is None:
        raise StorageFailed(f"{folder} cannot be read back right after it was written; is the disk sound?")
    _mark_used(store)
    return store


def require_classes(store: Store, least: int = 2) -> None:
    """Refuse a store with too few classes to learn from.

    Raises:
        InvalidInput: fewer than ``least`` classes.
    """
    names = ", ".join(store.classes) or "none"
    of_texts = store.manifest.kind == "text"
    mend = "A text's class stands before the tab in its line, or is its file's name." if of_texts else _MEND
    check(
        len(store.classes) >= least,
        store.manifest.source,
        f"holds {len(store.classes)} class{'' if len(store.classes) == 1 else 'es'} ({names})",
        f"at least {least}",
        " ".join([*(f"{capitalised(note)}." for note in store.manifest.notes), mend]),
    )


def cache_home(cache: str | os.PathLike[str] | None = None) -> Path:
    """The folder of everything that is kept: the one given, $BAYESIGHT_CACHE or the user's cache folder."""
    named = cache or os.environ.get("BAYESIGHT_CACHE")
    return (Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("bayesight"))).absolute()


def lock_of(folder: Path) -> Path:
    """The lock that is held while a store, or one that is being built, is worked on."""
    family = folder.name.removeprefix(_BUILDING).rpartition("-")[0]
    return folder.parent / f"{family}.lock"


def _mark_used(store: Store) -> None:
    """Let the manifest's time say when the store was last opened."""
    with suppress(OSError):  # a cache that can only be read serves as well
        os.utime(store.folder / "manifest.json")


def _untouched(home: Path, name: str, stamped: Stamp) -> Store | None:
    """The store of a source that was not touched since that was last opened; None where it is unsure."""
    for folder in home.glob(f"{name}-*") if stamped.tells else ():
        with suppress(OSError, ValueError):
            if json.loads((folder / _STAMP).read_text(encoding="utf-8")) == stamped.values:
                return _load(folder)
    return None


def require_no_class_lost(store: Store, without: Sequence[str] = ()) -> None:
    """Refuse a source in which the images of a whole class cannot be read.

    Args:
        store: the source as it was read.
        without: names of such classes that may be missing.

    Raises:
        InvalidInput: such a class.
    """
    lost = store.manifest.lost
    names = {canonical(name) for name in without}
    gone = [one for one in lost if one.name not in names]
    if gone:
        way = " ".join(f"--without {quote(one.name)}" for one in gone[:4])
        raise InvalidInput(
            f"{store.manifest.source} would lose {'class' if len(gone) == 1 else 'classes'} "
            f"{'; '.join(map(str, gone[:4]))}{f'; and {len(gone) - 4:,} more' * (len(gone) > 4)}; expected "
            f"images in every class folder. Convert the files, or train without: {way}"
        )


def without_classes(store: Store, without: Sequence[str]) -> Store:
    """The same images less the classes named: theirs have no class and are left out.

    Args:
        store: the source as it was read.
        without: names of its classes, and of such of which no image could be read.

    Raises:
        UnknownName: the source has no such class.
    """
    names = {canonical(name) for name in without}
    known = {*store.classes, *(one.name for one in store.manifest.lost)}
    for name in sorted(names - known):
        raise UnknownName("class", name, known)
    kept = [name for name in store.classes if name not in names]
    if len(kept) == len(store.classes):
        return store
    rank = {name: position for position, name in enumerate(kept)}
    number = np.array([*(rank.get(name, -1) for name in store.classes), -1], np.int64)
    gone = sorted(set(store.classes) - set(kept))
    note = marked(f"left out as asked for: {listed(gone, quoted=True)}")
    return _relabelled(store, number[store.labels], tuple(kept), (note,))


def only_rows(store: Store, rows: IntArray) -> Store:
    """The same images, of which only the given rows keep their class; the others are left out.

    Args:
        store: the source as it was read.
        rows: images that have a class.
    """
    kept = np.isin(np.arange(len(store)), rows)
    return _relabelled(store, np.where(kept, store.labels, -1), store.classes, ())


def _relabelled(store: Store, labels: IntArray, classes: tuple[str, ...], notes: tuple[str, ...]) -> Store:
    """A store of the same images in which those that lost their class are left out."""
    parts = np.array(store.parts)
    parts[(labels < 0) & (store.labels >= 0)] = PARTS.index("left out")
    manifest = replace(
        store.manifest,
        classes=classes,
        counts=class_counts(classes, labels),
        parts=part_counts(parts),
        notes=(*store.manifest.notes, *notes),
        content_hash=content_hash(store.manifest.frame, labels, store.digests, parts),
    )
    return replace(store, manifest=manifest, labels=labels, parts=parts)


def _build(
    source: Source,
    spec: ImageSpec,
    folder: Path,
    signature: list[Any],
    stamped: Stamp,
    progress: Progress | None,
) -> None:
    """Write a store beside its final place, then move it there in one step."""
    family = folder.name.rpartition("-")[0]
    temporary = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}{family}-", dir=folder.parent))
    try:
        manifest = build(source, spec, temporary, progress, stamped.files)
        now = stamp(source)
        untouched = now.tells and now.values == stamped.values
        if not untouched and content_of(source, now) != signature:
            raise SourceUnreadable(f"{source.path} changed while it was being read; try again")
        manifest.write(temporary)
        paths = list(temporary.iterdir())
        with ThreadPoolExecutor(len(paths)) as together:  # at once, so that they share the disk's commits
            list(together.map(_sync, paths))
        _sync(temporary)
        if folder.exists():  # damaged, or it would have been opened
            shutil.rmtree(folder)
        temporary.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for other in folder.parent.glob(f"{family}-*"):  # what the source was before it changed
        if other.is_dir() and other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _load(folder: Path) -> Store | None:
    """Open the store in a folder; None when there is none, or one that is not whole.

    The sizes of the files, the hash over all labels and digests and the digests of a few images are checked,
    so that a file that was cut off or overwritten is noticed without reading every image.
    """
    try:
        manifest = Manifest.read(folder)
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        digests = np.load(folder / "digests.npy", allow_pickle=False)
        parts = np.load(folder / "parts.npy", allow_pickle=False)
        store = Store(folder, manifest, images, labels, digests, parts)
        return store if _is_whole(store) else None
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_whole(store: Store) -> bool:
    """True where the files of a store belong together and hold what the manifest says."""
    manifest, count = store.manifest, len(store)
    if store.images.shape != (count, *manifest.shape) or store.digests.shape != (count, 16) or not count:
        return False
    if content_hash(manifest.frame, store.labels, store.digests, store.parts) != manifest.content_hash:
        return False
    rows = np.linspace(0, count - 1, num=min(count, _SAMPLE), dtype=np.int64)
    return np.array_equal(digests_of(store.images[row].tobytes() for row in rows), store.digests[rows])


def _remove_leftovers(home: Path, held: Path) -> None:
    """Remove what killed builds left behind; ``held`` is the lock that the caller has."""
    for left in home.glob(f"{_BUILDING}*"):
        lock = lock_of(left)
        if lock == held:
            shutil.rmtree(left, ignore_errors=True)
            continue
        try:
            with FileLock(lock, timeout=0):
                shutil.rmtree(left, ignore_errors=True)
        except Timeout:
            continue  # someone is at work on it


def _told_by(layout: LayoutOptions, source: Source) -> list[str]:
    """The hash of the table that tells labels, where one does; a store is another when it changes.

    Raises:
        InvalidInput: labels that something else tells already.
    """
    if layout.labels_from is None:
        return []
    twice = "IDX data, which have labels" if source.kind == "idx" else "--class-level"
    alone = source.kind != "idx" and layout.class_level is None
    check(alone, "--labels-from", f"given with {twice}", "one of the two to tell the classes")
    table = PathValues.table_of(layout.labels_from)
    return [] if table is None else [digest_of(table)]


@contextmanager
def _storing(home: Path, source: Path) -> Iterator[None]:
    """Say in one sentence what went wrong on the side of the cache."""
    try:
        yield
    except BayesightError:
        raise
    except OSError as error:
        mend = "free some space, or set BAYESIGHT_CACHE to a folder on another disk"
        if error.errno in _FULL:
            raise StorageFailed(f"the disk of {home} is full, no room to store {source}; {mend}") from error
        raise StorageFailed(
            f"{home} cannot be written ({error.strerror or error}); set BAYESIGHT_CACHE to a folder that can"
        ) from error


def _key(value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()


def _sync(path: Path) -> None:
    """See that a file, or the entries of a folder, are on the disk."""
    if path.is_dir() and os.name != "posix":
        return  # elsewhere a folder cannot be opened
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
