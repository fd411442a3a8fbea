"""The manifest of parts: a source that is too large for one machine, as a list of archives here or elsewhere.

```
{"format": 1, "parts": [{"url": "s3://photos/000.tar", "bytes": 1073741824, "version": "...", "hash": null,
                         "share": [0, 4]}, ...]}
```

A part may be a shard of WebDataset, ``KEY.jpg`` with ``KEY.cls`` or ``KEY.json`` in one tar archive.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bayesight.checks import check, existing_path
from bayesight.data.formats import IMAGE_SUFFIXES
from bayesight.data.sources import digest_of, find_source, holds_images
from bayesight.errors import (
    BayesightError,
    InvalidInput,
    SourceNotFound,
    SourceUnreadable,
    StorageFailed,
    listed,
    shown,
)
from bayesight.files import write_atomic
from bayesight.language import marked

FORMAT = 1
_WEB_PAGE = (b"<!doctype html", b"<html")
_OBJECT_STORES = ("s3", "gs")
_CHUNK = 4 << 20
_FIRST = 16
"""Members that are looked at to recognise a shard."""
_LONGEST = 1 << 20
_LABELS = ("label", "cls", "class", "class_name")
"""Keys of a JSON file that name the class."""


@dataclass(frozen=True)
class SourcePart:
    """One archive or folder, or a share of a large archive.

    Args:
        url: an absolute path, or an address with its scheme (``s3://``, ``gs://``, ``http://``).
        bytes: its size; None for a folder, and where a server does not say.
        version: the file system's or the server's mark of this content: a time, an ETag; empty for none.
        hash: BLAKE2b-128 of its bytes in hexadecimal digits; None while it is not known.
        share: (i, n), the i-th of n shares of its images.
    """

    url: str
    bytes: int | None = None
    version: str = ""
    hash: str | None = None
    share: tuple[int, int] = (0, 1)

    @property
    def is_remote(self) -> bool:
        """True for an address."""
        return "://" in self.url

    @property
    def name(self) -> str:
        """The address, and the share where it is not all of it."""
        place, count = self.share
        return self.url if count == 1 else f"{self.url} ({place + 1} of {count})"

    @property
    def key(self) -> str:
        """32 hexadecimal digits that change when the part does, by what the manifest knows of it."""
        known = [self.url, self.bytes, self.version, list(self.share)]
        return hashlib.blake2b(json.dumps(known).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class PartsManifest:
    """The parts of a source, in the order in which they are added up.

    Args:
        parts: each once.
    """

    parts: tuple[SourcePart, ...]

    @property
    def bytes(self) -> int:
        """The sizes that are known, together."""
        return sum(part.bytes or 0 for part in self.parts)

    def text(self) -> str:
        """The number of parts, and their size."""
        return f"{len(self.parts):,} parts, {self.bytes / 1e9:,.2f} GB"

    def as_dict(self) -> dict[str, Any]:
        """The document that is written."""
        return {"format": FORMAT, "parts": [asdict(part) for part in self.parts]}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the manifest.

        Raises:
            StorageFailed: it cannot be written.
        """
        write_atomic(path, json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n")

    def with_hashes(self, hashes: Mapping[str, str]) -> PartsManifest:
        """The same with hashes that have become known, by the keys of the parts."""
        return PartsManifest(tuple(replace(p, hash=hashes.get(p.key, p.hash)) for p in self.parts))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> PartsManifest:
        """Read a manifest.

        Raises:
            SourceNotFound: nothing is there.
            InvalidInput: it is none, or of a newer version.
        """
        file = existing_path(path)
        try:
            tree = json.loads(file.read_text(encoding="utf-8"))
            version, rows = tree["format"], tree["parts"]
            parts = [SourcePart(**{**row, "share": tuple(row.get("share", (0, 1)))}) for row in rows]
            sound = all(_is_sound(part) for part in parts)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            version, parts, sound = FORMAT, [], False
        mend = "Write one by 'bayesight data parts SOURCE... --out PARTS.json'."
        check(version == FORMAT, str(path), f"format {shown(version)}", f"format {FORMAT}", mend)
        check(sound, str(path), "no manifest of parts", "one with format and parts", mend)
        check(len(parts) > 0, str(path), "no parts", "at least one", mend)
        check(len({p.key for p in parts}) == len(parts), str(path), "a part twice", "each once", mend)
        return cls(tuple(parts))


def find_parts(sources: Sequence[str | os.PathLike[str]], *, most_bytes: int | None = None) -> PartsManifest:
    """List archives and folders as parts, sorted by address, each once.

    Nothing is read but sizes, times and the first bytes of local files.

    Args:
        sources: paths, patterns with ``*``, ``?`` and ``[]``, and addresses that fsspec knows; patterns in
            those of object stores, too.
        most_bytes: a larger tar or zip archive becomes several parts, shares of its images.

    Raises:
        SourceNotFound: nothing is there, or no name fits a pattern.
        SourceUnreadable: a file that is no archive, or a server that does not answer.
        InvalidInput: an address of an unknown kind.
    """
    check(most_bytes is None or most_bytes > 0, "--most-bytes", f"got {most_bytes}", "a number above 0")
    found: dict[str, SourcePart] = {}
    for source in map(str, sources):
        for part in _remote_parts(source) if "://" in source else _local_parts(source):
            found.setdefault(part.url, part)
    split = [piece for _, part in sorted(found.items()) for piece in _shares(part, most_bytes)]
    return PartsManifest(tuple(split))


@contextmanager
def local_copy(part: SourcePart) -> Iterator[Path]:
    """A path where a part can be read: its own, or that of a copy which is removed afterwards.

    Raises:
        SourceNotFound: it is gone.
        SourceUnreadable: it is not what the manifest says, cannot be fetched, or is a web page.
    """
    if not part.is_remote:
        path = existing_path(part.url)
        now = _local(path)
        if part.version and (now.bytes, now.version) != (part.bytes, part.version):
            raise _changed(part, f"{_size(now)}, {_size(part)} then")
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="bayesight-part-") as folder:
        path = Path(folder) / (part.url.split("?")[0].rstrip("/").rpartition("/")[2] or "part")
        with _fetching(part.url):
            fs, place = _file_system(part.url)
            version = _mark(fs.info(place)) if part.version else ""
            if version != part.version:
                raise _changed(part, f"{version or 'no version'}, {part.version} then")
            with fs.open(place, "rb") as source, path.open("wb") as copy:
                while chunk := source.read(_CHUNK):
                    copy.write(chunk)
                    if part.bytes is not None and copy.tell() > part.bytes:
                        raise _changed(part, f"more than {part.bytes:,} bytes")
        _refuse_web_page(part.url, path)
        size, found = path.stat().st_size, digest_of(path)
        if part.bytes not in (None, size):
            raise _changed(part, f"{size:,} bytes, {part.bytes:,} then")
        if part.hash not in (None, found):
            raise _changed(part, "its content differs")
        yield path


def _is_sound(part: SourcePart) -> bool:
    """True where the values of a part are of their kinds."""
    place, count = part.share
    texts = isinstance(part.url, str) and isinstance(part.version, str) and part.url != ""
    known = isinstance(part.hash, str | None) and (part.bytes is None or _is_count(part.bytes))
    return texts and known and _is_count(place) and _is_count(count) and place < count


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _changed(part: SourcePart, how: str) -> SourceUnreadable:
    return SourceUnreadable(
        marked(f"{part.url} has changed since the manifest was written ({how}); write the manifest anew.")
    )


def _size(part: SourcePart) -> str:
    return f"{part.bytes:,} bytes of {part.version}" if part.bytes is not None else f"of {part.version}"


def _shares(part: SourcePart, most_bytes: int | None) -> list[SourcePart]:
    """A part, or shares of it that are no larger than asked for; IDX data and folders stay whole."""
    count = -(-(part.bytes or 0) // most_bytes) if most_bytes else 1
    whole = count < 2 or (not part.is_remote and find_source(part.url, labelled=False).kind == "idx")
    return [part] if whole else [replace(part, share=(place, count)) for place in range(count)]


def _local_parts(source: str) -> list[SourcePart]:
    """The files or folders of a path or a pattern."""
    given = Path(source).expanduser()
    if not given.exists() and glob.has_magic(source):
        names = glob.glob(str(given), recursive=True)  # noqa: PTH207 - the pattern may be absolute
        if not names:
            raise SourceNotFound(f"no file fits {source!r}, the working directory being {Path.cwd()}")
        return [part for name in sorted(names) for part in _local_parts(glob.escape(name))]
    path = existing_path(given if given.exists() else Path(_unescaped(source)))
    if not holds_images(path):
        raise SourceUnreadable(f"{path} is no archive; expected a folder, .tar, .zip or IDX data.")
    return [_local(path)]


def _unescaped(pattern: str) -> str:
    return pattern.replace("[[]", "[").replace("[*]", "*").replace("[?]", "?")


def _local(path: Path) -> SourcePart:
    """A file or folder as a part."""
    status = path.stat()
    if path.is_dir():
        return SourcePart(str(path), None, _folder_mark(path))
    return SourcePart(str(path), status.st_size, f"{status.st_mtime_ns}")


def _folder_mark(path: Path) -> str:
    """A hash of the names, sizes and times of all files of a folder."""
    mark = hashlib.blake2b(digest_size=16)
    for folder, below, names in os.walk(path):
        below.sort()
        for name in sorted(names):
            file = Path(folder, name)
            with contextlib.suppress(OSError):
                status = file.stat()
                facts = (str(file.relative_to(path)), status.st_size, status.st_mtime_ns)
                mark.update(repr(facts).encode("utf-8", "surrogateescape"))
    return mark.hexdigest()


def _mark(facts: Mapping[str, Any]) -> str:
    """The version that a server states of a file, empty where it states none."""
    marks = (facts.get(name) for name in ("ETag", "etag", "LastModified", "mtime"))
    return next((str(mark).strip('"') for mark in marks if mark), "")


def _remote_parts(source: str) -> list[SourcePart]:
    """The archives at an address."""
    with _fetching(source):
        fs, place = _file_system(source)
        scheme, _, rest = source.partition("://")
        places = [place]
        if not scheme.startswith("http") and glob.has_magic(place):
            places = sorted(fs.glob(place))
        if not places:
            raise SourceNotFound(f"no object fits {source!r}")
        query = "".join(rest.partition("?")[1:]) if scheme in _OBJECT_STORES else ""
        found = []
        for one in places:
            facts = fs.info(one)
            if "text/html" in str(facts.get("mimetype", "")):
                raise _web_page(source)
            address = one if "://" in one else f"{scheme}://{one.lstrip('/')}{query}"
            found.append(SourcePart(address, facts.get("size"), _mark(facts)))
        return found


def _file_system(url: str) -> tuple[Any, str]:
    """The file system for an address, and the place in it; object stores are read by Arrow's own.

    Raises:
        InvalidInput: no such kind of address, or its package is not installed.
    """
    import fsspec

    try:
        if url.partition("://")[0] in _OBJECT_STORES:
            from fsspec.implementations.arrow import ArrowFSWrapper
            from pyarrow.fs import FileSystem

            store, place = FileSystem.from_uri(url)
            return ArrowFSWrapper(store, skip_instance_cache=True), place
        fs, place = fsspec.core.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
    except (ImportError, ValueError) as problem:
        raise InvalidInput(f"{url}: {problem}") from problem
    return fs, place


@contextmanager
def _fetching(url: str) -> Iterator[None]:
    """Say in one sentence what went wrong with an address."""
    try:
        yield
    except BayesightError:
        raise
    except FileNotFoundError as problem:
        if isinstance(problem.__cause__, OSError):  # no server there
            raise SourceUnreadable(
                f"{url} cannot be fetched ({problem.__cause__}); try again later."
            ) from problem
        raise SourceNotFound(f"{url} does not exist, or may not be read.") from problem
    except Exception as problem:  # each file system has errors of its own
        if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
            here = f"no room in {tempfile.gettempdir()} for a copy of {url}"
            raise StorageFailed(f"{here} ({problem.strerror}); set TMPDIR to a larger disk.") from problem
        told = str(problem) or type(problem).__name__
        raise SourceUnreadable(f"{url} cannot be fetched ({shown(told, 200)}); try again later.") from problem


def _refuse_web_page(url: str, path: Path) -> None:
    """Refuse a page that says, mostly, that a file is not there, or who may have it."""
    with path.open("rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith(_WEB_PAGE):
        raise _web_page(url)


def _web_page(url: str) -> SourceUnreadable:
    return SourceUnreadable(
        marked(
            f"{url} answers with a web page, not an archive; open it in a browser to see what it "
            "says, and name the address of the file itself."
        )
    )


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
