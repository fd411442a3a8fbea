"""Parts of an archive that was cut into several files: named as such, with the way to join them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from bayesight.errors import SourceUnreadable
from bayesight.files import entries_of

__all__ = ["refuse_part"]

_CUT = re.compile(
    r"(?P<whole>.+\.(?:zip|tar|tgz|tbz2?|txz|7z|rar|tar\.\w{2,4})[._-])"
    r"(?:\d{1,4}|part[._-]?\d+|(?!gz|xz|bz|lz|zs)[a-z]{2})",
    re.IGNORECASE,
)
_SPANNED = re.compile(r"(?P<stem>.+)\.(?:z\d{2,3}|zip)", re.IGNORECASE)


def refuse_part(path: Path) -> None:
    """Refuse one of several parts of an archive.

    Raises:
        SourceUnreadable: says how to join the parts.
    """
    if path.is_dir():
        return
    if cut := _CUT.fullmatch(path.name):
        whole = cut["whole"]
        parts = [name for name in _beside(path) if name.startswith(whole) and _CUT.fullmatch(name)]
        if len(parts) > 1:
            target = whole.rstrip("._-")
            join = f"cat {shlex.quote(whole)}* > {shlex.quote(target)}"
            raise SourceUnreadable(_sentence(path, len(parts), join, target))
    if spanned := _SPANNED.fullmatch(path.name):
        stem = spanned["stem"]
        is_part = re.compile(re.escape(stem) + r"\.z\d{2,3}", re.IGNORECASE).fullmatch
        parts = [name for name in _beside(path) if is_part(name)]
        if parts:
            target = f"{stem}-whole.zip"
            join = f"zip -s 0 {shlex.quote(stem)}.zip --out {shlex.quote(target)}"
            raise SourceUnreadable(_sentence(path, len(parts) + 1, join, target))


def _beside(path: Path) -> list[str]:
    """The names of all that is seen to lie in the folder of a file."""
    return [other.name for other in entries_of(path.parent)]


def _sentence(path: Path, parts: int, join: str, target: str) -> str:
    return (
        f"{path} is one of {parts} parts of an archive; expected the whole: join them with '{join}' and "
        f"name {target}"
    )
