"""``bayesight serve``: a run in daily use, over HTTP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.checks import check
from bayesight.cli.options import with_json
from bayesight.cli.output import json_wanted, progress_bar, say, write
from bayesight.language import current, marked

if TYPE_CHECKING:
    from bayesight.service.ops.settings import Settings


@with_json
def serve(
    run: Annotated[Path, typer.Argument(help="A run folder; what it believes is never changed.")],
    ledger: Annotated[
        str,
        typer.Option(
            "--ledger",
            envvar="BAYESIGHT_LEDGER",
            help="A SQLite file or postgresql://...; by default ledger.sqlite in the run folder.",
        ),
    ] = "",
    host: Annotated[
        str, typer.Option(help="Where to listen; anywhere but on loopback tokens are asked for.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; they share one belief.")] = 1,
    require_token: Annotated[
        bool, typer.Option("--require-token", help="Ask for tokens on loopback too, as behind a proxy.")
    ] = False,
    record: Annotated[
        str, typer.Option(help="Write predictions to the ledger: after their answer, before it, or never.")
    ] = "after",
    rate: Annotated[
        str, typer.Option(help="Requests a token or address may make of a worker; empty for no limit.")
    ] = "100/second",
    body_mb: Annotated[float, typer.Option(help="Largest request body, MiB.")] = 16.0,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="Another web site whose pages may ask: https://letters.example. May be repeated."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name of a service without tokens. May be repeated.")
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of a reverse proxy whose forwarded headers count. May be repeated."
        ),
    ] = None,
    root_path: Annotated[
        str, typer.Option(help="Path a proxy puts the service under, as /bayes; it may strip it or not.")
    ] = "",
    source: Annotated[
        list[Path] | None,
        typer.Option(
            help="Images the run was trained on, to show the nearest of them beside an answer; nothing "
            "the run itself names is opened. May be repeated."
        ),
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve predictions, take in corrections, and keep all of it in a ledger.

    The ledger remembers: stop it and start it again, on this machine or another, and the belief is the same.

    Example: bayesight serve runs/demo --port 8000
    """
    from bayesight.service.ops.memory import share_pieces

    share_pieces()
    from bayesight.service.ops.processes import listen, read_sources
    from bayesight.service.ops.settings import Settings

    check(0 < body_mb < 2**20, "--body-mb", f"got {body_mb:g}", "MiB above 0, such as 16")
    levels = ("debug", "info", "warning", "error")
    check(log_level in levels, "--log-level", f"got {log_level!r}", ", ".join(levels))
    settings = Settings(
        run=str(run),
        ledger=ledger,
        host=host,
        require_token=require_token,
        record=record,  # type: ignore[arg-type]  # checked there
        body_bytes=max(1, int(body_mb * 2**20)),
        rate=rate,
        origins=tuple(allow_origin or ()),
        hosts=tuple(allow_host or ()),
        proxies=tuple(trusted_proxy or ()),
        root_path=root_path,
        log_level=log_level,
        sources=tuple(str(path.absolute()) for path in source or ()),
    )

    def ready(url: str, notes: Sequence[str]) -> None:
        for note in notes:
            say(marked(f"note: {note}"))
        if json_wanted():
            document = {
                "url": url, "root_path": settings.root_path, "run": settings.run,
                "tokens": settings.tokens_needed, "notes": list(notes),
            }  # fmt: skip
            write(document, "")
        else:
            say(_greeting(url + settings.root_path, settings))

    try:
        with progress_bar("reading") as reading:
            read_sources(settings, reading)
        os.environ["BAYESIGHT_LANG"] = current()  # of pages, where a browser asks for no language there is
        listen(settings, port=port, workers=workers, ready=ready)
    except KeyboardInterrupt:  # it has ended in order by now
        say(marked("stopped; the ledger keeps what it learned"))


def _greeting(url: str, settings: Settings) -> str:
    keys = "" if not settings.tokens_needed else marked("; requests need a token ('bayesight token create')")
    return marked(f"serving {settings.run}: open {url} in a browser{keys}; Ctrl-C stops it")
