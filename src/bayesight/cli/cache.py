"""``bayesight cache``: what is kept of sources that were read, and how to be rid of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.common import with_json, write
from bayesight.language import marked, tr

if TYPE_CHECKING:
    from bayesight.data.cache import Cache

__all__ = ["cache"]

SHOWN = 40


@with_json
def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove it all; what is needed again is made again.")
    ] = False,
) -> None:
    """Show what is kept of sources that were read: where, how large, when it was last used.

    Example: bayesight cache --clear
    """
    from bayesight.data.cache import cached, clear_cache

    gone = clear_cache() if clear else None
    found = cached()
    document: dict[str, Any] = {
        "path": str(found.folder),
        "stores": [vars(store) for store in found.stores],
        "bytes": found.bytes,
        "cleared": None if gone is None else {"stores": len(gone.stores), "bytes": gone.bytes},
    }
    write(document, _text(found, gone))


def _text(found: Cache, gone: Cache | None) -> str:
    lines = []
    if gone is not None:
        lines.append(
            marked(f"removed {len(gone.stores):,} stores, {_size(gone.bytes)}; no source was touched")
        )
    for store in found.stores[:SHOWN]:
        what = store.source or Path(store.path).name
        if store.source and not Path(store.source).exists():
            what = tr("{source}, which is no longer there", source=what)
        if store.images:
            what = tr("{count:,} images of {source}", count=store.images, source=what)
        lines.append(marked(f"{_size(store.bytes):>9}  last used {store.used[:10]}  {what}"))
    if len(found.stores) > SHOWN:
        lines.append(marked(f"and {len(found.stores) - SHOWN:,} more"))
    lines.append(marked(f"{_size(found.bytes):>9}  in {len(found.stores):,} stores in {found.folder}"))
    if found.stores:
        lines.append(marked("They save reading a source again; remove them with: bayesight cache --clear"))
    return "\n".join(lines)


def _size(count: int) -> str:
    """Bytes as people say them.

    Example:
        >>> _size(0), _size(1500), _size(48_200_000), _size(3 * 10**9)
        ('0.0 MB', '0.0 MB', '48.2 MB', '3.0 GB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
