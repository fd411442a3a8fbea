"""The settings of a service, in one frozen value that worker processes get as text."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from bayesight.checks import check
from bayesight.errors import InvalidInput
from bayesight.service.http.origins import allowed_host, allowed_origin
from bayesight.service.http.proxies import clean_root, trusted_network

__all__ = ["ENVIRONMENT", "Record", "Settings", "is_loopback"]

ENVIRONMENT = "BAYESIGHT_SERVICE"
"""The environment variable in which worker processes find their settings."""

Record: TypeAlias = Literal["after", "before", "never"]
"""When a prediction is written to the ledger: a moment after it was answered, before that, or not at all."""


@dataclass(frozen=True)
class Settings:
    """The settings of a service.

    Args:
        run: the run folder.
        ledger: path of a SQLite file or a URL; empty for ``ledger.sqlite`` in the run folder.
        host: where it listens.
        require_token: ask for a token even on loopback; everywhere else one is always asked for.
        record: when predictions are written to the ledger.
        body_bytes: largest request body.
        pixels: most pixels of all images of a request together, as their headers state them.
        images: most images of a request.
        rate: requests a token (or an address, where no tokens are asked for) may make of one worker, as
            ``limits`` writes it (``"100/second"``); empty for no limit.
        origins: other web sites whose pages may call the API (CORS), none by default;
            ``allowed_origin`` says which there can be.
        hosts: names under which a service without tokens may be called, besides those of this machine.
        proxies: addresses or networks of reverse proxies whose forwarded headers count; none by default.
        root_path: path of the service on its host, where a proxy puts it below one; as ``/bayes``.
        log_level: the least that is told.
        sources: images the run was trained on, whose pictures may be shown; what the run itself says of its
            sources is never opened.

    Raises:
        InvalidInput: a limit below 1, a rate that cannot be read, ``record`` of another kind, or an origin, a
            host, a proxy or a path that is none.

    Example:
        >>> Settings("runs/demo", host="0.0.0.0").tokens_needed, Settings("runs/demo").tokens_needed
        (True, False)
    """

    run: str
    ledger: str = ""
    host: str = "127.0.0.1"
    require_token: bool = False
    record: Record = "after"
    body_bytes: int = 16 * 2**20
    pixels: int = 32_000_000
    images: int = 256
    rate: str = "100/second"
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    root_path: str = ""
    log_level: str = "info"
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("body_bytes", "pixels", "images"):
            value = getattr(self, name)
            check(value >= 1, name, f"got {value}", "a number of 1 or more")
        known = ("after", "before", "never")
        check(self.record in known, "record", f"got {self.record!r}", ", ".join(known))
        for name, cleaned in (
            ("origins", tuple(map(allowed_origin, self.origins))),
            ("hosts", tuple(map(allowed_host, self.hosts))),
            ("proxies", tuple(str(trusted_network(proxy)) for proxy in self.proxies)),
            ("root_path", clean_root(self.root_path)),
        ):
            object.__setattr__(self, name, cleaned)
        if self.rate:
            from limits import parse

            try:
                parse(self.rate)
            except ValueError as problem:
                raise InvalidInput(
                    f"rate: got {self.rate!r}; expected for example 100/second or 2000/minute."
                ) from problem

    @property
    def tokens_needed(self) -> bool:
        """True where a request needs a token: always, but on loopback unless asked for there too."""
        return self.require_token or not is_loopback(self.host)

    @property
    def ledger_url(self) -> str:
        """The path or URL of the ledger."""
        return self.ledger or self.run

    def to_environment(self) -> dict[str, str]:
        """The settings as environment variables of a worker."""
        return {ENVIRONMENT: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings a worker was started with.

        Raises:
            InvalidInput: there are none.
        """
        text = (os.environ if environment is None else environment).get(ENVIRONMENT, "")
        check(bool(text), ENVIRONMENT, "not set", "settings", "Start the service with 'bayesight serve'.")
        tree: dict[str, Any] = json.loads(text)
        lists: dict[str, Any] = {name: tuple(v) for name, v in tree.items() if isinstance(v, list)}
        return cls(**{**tree, **lists})


def is_loopback(host: str) -> bool:
    """True of an address that only this machine can reach.

    Example:
        >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "example.org", "")]
        [True, True, True, False, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
