"""One file over HTTP: resumed where it was cut off, verified, and never half there under its own name.

The bytes go to ``NAME.part``, which an interruption of any kind leaves for the next call to go on from
(RFC 9110, sec. 14: Range, If-Range). Only a file whose MD5 is the expected one takes the name.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from bayesight.checks import check
from bayesight.errors import DownloadFailed, StorageFailed
from bayesight.types import Progress

__all__ = ["Patience", "download", "md5_of"]

_BLOCK_BYTES = 1 << 16
_LONGEST_PAUSE_S = 60.0
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How long to go on with a server that fails.

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
    """Whether the right file has the name; another file under it is the user's, so it is not touched."""
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
    """Receive, verify, rename."""
    part = target.with_name(target.name + ".part")
    resumed = _size(part) > 0
    _receive_all(url, part, md5, patience, progress)
    found = md5_of(part)
    if found != md5 and resumed:  # what was kept may have been part of something else
        _discard(part)
        _receive_all(url, part, md5, patience, progress)
        found = md5_of(part)
    if found != md5:
        _discard(part)
        raise DownloadFailed(
            f"{url}: serves a file with MD5 {found}; expected {md5}. It was deleted; try another mirror."
        )
    with _storage_errors(target):
        part.replace(target)
    _discard(part)


def _receive_all(url: str, part: Path, md5: str, patience: Patience, progress: Progress | None) -> None:
    """Go on until the file is complete or nothing new came too often in a row."""
    failures = 0
    while True:
        before = _size(part)
        try:
            return _receive(url, part, patience.timeout_s, progress)
        except _Passing as error:
            if _size(part) and md5_of(part) == md5:  # all is there, whatever length the server promised
                return None
            failures = 1 if _size(part) > before else failures + 1
            if failures > patience.retries:
                kept = f" {_size(part):,} bytes are kept in {part.name}." if _size(part) else ""
                raise DownloadFailed(
                    f"{url}: {error}, {failures} times in a row; expected the whole file.{kept} "
                    "Try again later, or from another mirror."
                ) from error.__cause__
        time.sleep(min(_LONGEST_PAUSE_S, patience.pause_s * 2 ** (failures - 1)))


def _receive(url: str, part: Path, timeout_s: float, progress: Progress | None) -> None:
    """One request for what is missing; returns when the file is complete."""
    have = _size(part)
    try:
        response = _open(url, have, _tag(part), timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            if _total(error.headers.get("Content-Range")) == have:
                return None
            _discard(part)
        elif error.code not in _PASSING_STATUS:
            raise DownloadFailed(
                f"{url}: the server answers {error.code} {error.reason}; expected the file. Try a mirror."
            ) from error
        raise _Passing(f"the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadFailed(f"{url}: {error.reason}; expected a valid certificate.") from error
        raise _Passing(f"cannot be reached ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(f"no answer ({error or type(error).__name__})") from error
    with response:
        return _append(response, part, have, progress)


def _open(url: str, have: int, tag: str | None, timeout_s: float) -> http.client.HTTPResponse:
    """Ask for everything, or for what follows the first ``have`` bytes if the file is still the same."""
    headers = {"User-Agent": "bayesight", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag:
            headers["If-Range"] = tag
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
    return response


def _append(response: http.client.HTTPResponse, part: Path, have: int, progress: Progress | None) -> None:
    """Write what the server sends behind what is there, or in its place if it starts from the beginning."""
    goes_on = response.status == 206 and _start(response.headers.get("Content-Range")) == have
    if response.status == 206 and not goes_on:
        _discard(part)
        raise _Passing("the server sends another range than was asked for")
    length = response.headers.get("Content-Length", "")
    done = have if goes_on else 0
    total = done + int(length) if length.isdecimal() else None
    with _storage_errors(part):
        if total is not None:
            _require_space(part, total - done)
        if not goes_on:
            _remember_tag(part, response)
        file = part.open("ab" if goes_on else "wb")
    with file:
        for block in _blocks(response):
            _write(file, block, part)
            done += len(block)
            if progress:
                progress(done, total)
    if total is not None and done < total:
        raise _Passing(f"the connection ended after {done:,} of {total:,} bytes")


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What the server sends, until it ends."""
    try:
        while block := response.read(_BLOCK_BYTES):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(f"the connection broke ({error or type(error).__name__})") from error


def _write(file: BinaryIO, block: bytes, part: Path) -> None:
    """Write one block; a full disk is no fault of the server."""
    with _storage_errors(part):
        file.write(block)
        file.flush()


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


def _remember_tag(part: Path, response: http.client.HTTPResponse) -> None:
    """Keep what names this version of the file; If-Range takes no weak ETag (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag", "")
    tag = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    _tag_file(part).write_text(tag, encoding="latin-1")


def _tag(part: Path) -> str | None:
    try:
        return _tag_file(part).read_text(encoding="latin-1") or None
    except OSError:
        return None


def _tag_file(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _discard(part: Path) -> None:
    """Remove what was received and its tag."""
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
        _tag_file(part).unlink(missing_ok=True)


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except OSError:
        return 0


def _start(content_range: str | None) -> int | None:
    """The first byte's place in ``bytes 10-19/20``."""
    found = re.match(r"bytes (\d+)-", content_range or "")
    return int(found[1]) if found else None


def _total(content_range: str | None) -> int | None:
    """The whole file's length in ``bytes 10-19/20`` or ``bytes */20``."""
    found = re.search(r"/(\d+)$", content_range or "")
    return int(found[1]) if found else None
