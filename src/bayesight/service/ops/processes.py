"""The service as processes: one socket, one or more workers, an orderly end."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn

from bayesight.checks import check
from bayesight.data import open_store
from bayesight.errors import InvalidInput
from bayesight.ledger import Ledger, run_record
from bayesight.run import Run
from bayesight.service.ops.settings import Settings
from bayesight.types import Progress

__all__ = ["listen", "read_sources"]

_APP = "bayesight.service.app:from_environment"
STOP_S = 30
"""How long an orderly end waits for requests under way."""


def listen(
    settings: Settings, *, port: int, workers: int, ready: Callable[[str, Sequence[str]], None]
) -> None:
    """Serve until stopped by SIGINT or SIGTERM; requests under way are finished first.

    The run and the ledger are opened once beforehand, so that what is wrong with them is told at once and in
    one sentence, and an older ledger is brought up to date by one process only.

    Args:
        settings: how.
        port: where; 0 takes a free one.
        workers: processes.
        ready: told the address, and what whoever starts it should know, before the first worker starts.

    Raises:
        RunUnreadable, SourceNotFound, StorageFailed, LedgerBroken: what cannot be opened.
        InvalidInput: an address that cannot be listened at.
    """
    run = Run.open(settings.run)
    with Ledger.open(settings.ledger_url) as ledger:
        ledger.register(run_record(run, run.classifier()))
        notes = [*ledger.caveats(), *_open_door(settings)]
    listener = _bound(settings.host, port)
    os.environ.update(settings.to_environment())
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    ready(f"http://{shown}:{listener.getsockname()[1]}", notes)
    if workers == 1:
        _serve(workers, listener)
        return
    with tempfile.TemporaryDirectory(prefix="bayesight-metrics-") as folder:
        # Workers are new processes and read this before they count anything.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        _serve(workers, listener)


def _open_door(settings: Settings) -> list[str]:
    if settings.tokens_needed or not (settings.proxies or settings.root_path):
        return []
    who = "everybody whom the proxy lets through may ask and teach"
    return [f"no token is asked for, so {who}. Ask for tokens with --require-token."]


def read_sources(settings: Settings, progress: Progress | None = None) -> None:
    """Read the sources of the settings once, before anything listens, so that no page has to wait for them.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable, StorageFailed: what cannot be opened.
    """
    classes = Run.open(settings.run).classes()
    classes.require_images("serve")
    for source in settings.sources:
        open_store(source, **classes.reading, labelled=False, progress=progress)


def _serve(workers: int, listener: socket.socket) -> None:
    options: dict[str, Any] = {
        "factory": True,
        "http": "bayesight.service.http.protocol:HeadLimitProtocol",
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # ProxyMiddleware reads them, and only from proxies that were named
        "timeout_graceful_shutdown": STOP_S,
    }
    if workers == 1:
        uvicorn.Server(uvicorn.Config(_APP, **options)).run(sockets=[listener])
    else:
        uvicorn.run(_APP, workers=workers, fd=listener.fileno(), **options)


def _bound(host: str, port: int) -> socket.socket:
    check(bool(host), "--host", "an empty one", "an address such as 127.0.0.1 or 0.0.0.0")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()  # until then a second service may bind the port too; who comes early waits
        listener.set_inheritable(True)
    except OSError as problem:
        listener.close()
        raise InvalidInput(
            f"cannot listen at {host} port {port}: {problem.strerror}; expected a free one. Choose another "
            "with --host and --port."
        ) from problem
    return listener
