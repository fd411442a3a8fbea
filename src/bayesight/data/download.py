"""Known sets of images, and a file over HTTP: resumed where it was cut off, and believed when verified.

The bytes go to ``NAME.part``, which an interruption of any kind leaves for the next call to go on from
(RFC 9110, sec. 14: Range). Only a file whose MD5 is the expected one takes the name; one that several answers
made, and that is another, is received once more from its beginning.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from filelock import FileLock

from bayesight.checks import check
from bayesight.errors import DownloadFailed, StorageFailed, UnknownName
from bayesight.progress import reporter
from bayesight.types import Progress, ShownProgress

_BLOCK_BYTES = 1 << 16
_LONGEST_PAUSE_S = 60.0
_PASSING_STATUS = frozenset({408, 416, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class RemoteFile:
    """A file of a set: its name on the server and here, and its MD5."""

    name: str
    md5: str


@dataclass(frozen=True)
class KnownSet:
    """A published set of images.

    Args:
        about: one sentence.
        base_url: the address its files are under.
        files: what is fetched; the first one is the source to train on.
    """

    about: str
    base_url: str
    files: tuple[RemoteFile, ...]


CATALOGUE: Mapping[str, KnownSet] = MappingProxyType(
    {
        "notmnist-small": KnownSet(
            "Letters A to J in many fonts, about 19,000, cleaned by hand (Bulatov 2011).",
            "http://yaroslavvb.com/upload/notMNIST",
            (RemoteFile("notMNIST_small.tar.gz", "c9890a473a9769fda4bdf314aaf500dd"),),
        ),
        "notmnist-large": KnownSet(
            "Letters A to J in many fonts, about 529,000, some 6.5 % of them mislabelled (Bulatov 2011).",
            "http://yaroslavvb.com/upload/notMNIST",
            (RemoteFile("notMNIST_large.tar.gz", "70a95b805ecfb6592c48e196df7c1499"),),
        ),
        "mnist": KnownSet(
            "Handwritten digits, 60,000 to train on and 10,000 to test on (LeCun, Cortes and Burges 1998).",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            (
                RemoteFile("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
                RemoteFile("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
                RemoteFile("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
                RemoteFile("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
            ),
        ),
    }
)


@dataclass(frozen=True)
class Patience:
    """Limits of going on with a server that fails.

    Args:
        retries: further attempts after one that brought nothing new; one that did starts the count again.
        timeout_s: silence after which a connection is given up.
        pause_s: wait before the first retry; doubled before each further one, up to a minute.

    Raises:
        InvalidInput: a negative number, or a timeout of 0.
    """

    retries: int = 4
    timeout_s: float = 30.0
    pause_s: float = 1.0

    def __post_init__(self) -> None:
        came = f"retries={self.retries}, timeout_s={self.timeout_s}, pause_s={self.pause_s}"
        sound = self.retries >= 0 and self.timeout_s > 0 and self.pause_s >= 0
        check(sound, "Patience", came, "retries and pause of at least 0, a timeout above 0")


class _Passing(Exception):
    """A failure that may be gone at the next attempt."""


def fetch(
    name: str,
    root: str | os.PathLike[str] = "data",
    *,
    base_url: str | None = None,
    patience: Patience | None = None,
    progress: ShownProgress = None,
) -> Path:
    """The files of a known set, downloaded into ``root`` unless they are there already.

    An interrupted download goes on where it stopped. A file that is there with the right MD5 is accepted
    without touching the network; one with another MD5 is refused and left alone.

    Args:
        name: a key of ``CATALOGUE``.
        root: the folder the files belong in, made if need be; a relative one is taken from the working
            directory.
        base_url: a mirror that holds the same file names.
        patience: retries and waits; None for the defaults.
        progress: called with (bytes received, bytes in all or None), file by file.

    Returns:
        The absolute path of the set's first file, which is what ``open_store`` and ``bayesight train`` take;
        for MNIST that is the images to train on, with the labels and the test images beside it.

    Raises:
        UnknownName: no such set; the message suggests the nearest.
        DownloadFailed: the server refuses, keeps failing, or serves another file.
        StorageFailed: no space, or no permission to write.
    """
    progress = reporter(progress, "fetching", "bytes")
    if name not in CATALOGUE:
        raise UnknownName("known data set", name, CATALOGUE)
    chosen = CATALOGUE[name]
    folder = Path(os.path.normpath(Path.cwd() / Path(root).expanduser()))
    address = (base_url or chosen.base_url).rstrip("/")
    for file in chosen.files:
        download(f"{address}/{file.name}", folder / file.name, file.md5, patience=patience, progress=progress)
    return folder / chosen.files[0].name


def download(
    url: str, target: Path, md5: str, *, patience: Patience | None = None, progress: Progress | None = None
) -> Path:
    """The file at ``url`` as ``target``, complete and verified; one that is there already is only verified.

    Safe to call from several processes at once: one downloads, the others wait for it.

    Args:
        url: http or https.
        target: where the file belongs; its folder is made if need be.
        md5: the expected MD5, hexadecimal.
        patience: retries and waits; None for the defaults.
        progress: called with (bytes received, bytes in all or None).

    Raises:
        InvalidInput: an address of another scheme.
        DownloadFailed: the server refuses, keeps failing, or serves another file; or another file is there
            already under that name, which is left alone.
        StorageFailed: no space, or no permission to write.
    """
    check(url.startswith(("http://", "https://")), "download", repr(url), "an http or https address")
    if _is_there(target, md5):
        return target
    with _storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        lock.acquire()
    try:
        if not _is_there(target, md5):
            _fill(url, target, md5, patience or Patience(), progress)
    finally:
        lock.release()
    return target


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _is_there(target: Path, md5: str) -> bool:
    """True where the right file has the name; another one under it is the user's and is refused."""
    if not target.exists():
        return False
    if not target.is_file():
        raise StorageFailed(f"{target}: is no regular file; expected a free name. Choose another folder.")
    found = md5_of(target)
    if found != md5:
        raise DownloadFailed(
            f"{target}: is there, with MD5 {found}; expected {md5}. Delete or rename it and fetch again."
        )
    return True


def _fill(url: str, target: Path, md5: str, patience: Patience, progress: Progress | None) -> None:
    """Receive, verify, rename; what several answers made, and is wrong, is received once more as a whole."""
    part = target.with_name(target.name + ".part")
    found, resumed, rounds = "", True, 0
    while resumed and rounds < 2:
        resumed, rounds = _receive_all(url, part, md5, patience, progress), rounds + 1
        found = md5_of(part)
        if found == md5:
            with _storage_errors(target):
                part.replace(target)
            return
        _discard(part)
    raise DownloadFailed(
        f"{url}: serves a file with MD5 {found}; expected {md5}. It was deleted; try another mirror."
    )


def _receive_all(url: str, part: Path, md5: str, patience: Patience, progress: Progress | None) -> bool:
    """Go on until the sum is right or the server says that this is all; True where several answers made it.

    Raises:
        DownloadFailed: nothing new came too often in a row.
    """
    failures = 0
    while not _holds(part, md5):
        before = _size(part)
        try:
            return _receive(url, part, patience.timeout_s, progress)
        except _Passing as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures > patience.retries and not _holds(part, md5):
                kept = f" {_size(part):,} bytes are kept in {part.name}." if _size(part) else ""
                raise DownloadFailed(
                    f"{url}: {error}, {failures} times in a row; expected the whole file.{kept} "
                    "Try again later, or from another mirror."
                ) from error.__cause__
        time.sleep(min(_LONGEST_PAUSE_S, patience.pause_s * 2 ** (failures - 1)))
    return False


def _receive(url: str, part: Path, timeout_s: float, progress: Progress | None) -> bool:
    """One request for what is missing; returns when the server has no more: True if it went on from before.

    Raises:
        _Passing: it broke off, or may do better the next time.
        DownloadFailed: it refuses.
    """
    have = _size(part)
    headers = {"User-Agent": "bayesight", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code not in _PASSING_STATUS:
            raise DownloadFailed(
                f"{url}: the server answers {error.code} {error.reason}; expected the file. Try a mirror."
            ) from error
        if error.code == 416:  # more is here than there
            _discard(part)
        raise _Passing(f"the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadFailed(f"{url}: {error.reason}; expected a valid certificate.") from error
        raise _Passing(f"cannot be reached ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(f"no answer ({error or type(error).__name__})") from error
    with response:
        goes_on: bool = response.status == 206
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            _discard(part)
            raise _Passing("the server sends another range than was asked for")
        _write(response, part, have if goes_on else 0, progress)
        return goes_on


def _write(response: http.client.HTTPResponse, part: Path, done: int, progress: Progress | None) -> None:
    """Write an answer behind the first ``done`` bytes; a full disk is no fault of the server."""
    length = response.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    with _storage_errors(part):
        if total is not None:
            _require_space(part, total - done)
        file = part.open("ab" if done else "wb")
    with file:
        for block in _blocks(response):
            with _storage_errors(part):
                file.write(block)
                file.flush()
            done += len(block)
            if progress:
                progress(done, total)
    if total is not None and done < total:
        raise _Passing(f"the connection ended after {done:,} of {total:,} bytes")


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The pieces the server sends, until it ends."""
    try:
        while block := response.read(_BLOCK_BYTES):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(f"the connection broke ({error or type(error).__name__})") from error


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into ``StorageFailed``."""
    try:
        yield
    except StorageFailed:
        raise
    except OSError as error:
        raise StorageFailed(
            f"{path}: cannot be written ({error.strerror or error}); expected a writable folder with "
            "space left. What was received is kept: free some space and go on, or choose another folder."
        ) from error


def _require_space(part: Path, missing_bytes: int) -> None:
    """Refuse a download that cannot fit before it fills the disk."""
    free = shutil.disk_usage(part.parent).free
    if free < missing_bytes:
        raise StorageFailed(
            f"{part.parent}: {free:,} bytes are free; expected room for {missing_bytes:,} more. "
            "Free some space or choose another folder."
        )


def _holds(part: Path, md5: str) -> bool:
    return part.is_file() and md5_of(part) == md5


def _discard(part: Path) -> None:
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except OSError:
        return 0
