"""Reverse proxies in front: whose word counts about a client, and the path the service lies under.

Headers such as ``X-Forwarded-For`` are believed only where they come from a proxy that was named. Every proxy
adds at the right what it saw, so the list is read from the right for as long as it speaks of named proxies;
what is left of the first other address was written by that client itself.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from starlette.types import ASGIApp, Receive, Scope, Send

from bayesight.checks import check
from bayesight.errors import InvalidInput
from bayesight.service.http.origins import host_and_port

__all__ = ["ORIGINAL_HOST", "ProxyMiddleware", "address_of", "clean_root", "trusted_network"]

log = logging.getLogger("bayesight.service")

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

ORIGINAL_HOST = "bayesight_host"
"""Key of the request's own ``Host`` in its scope, where a proxy said another."""
MOST_HOPS = 32
"""Elements of a forwarded header that are read, from the right."""

_ROOT = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_PORT = re.compile(r":[\w.-]{1,16}")
_PAIR = re.compile(r"""([\s,;]*)([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*(?=[;,]|$)""")
_SCHEMES = ("http", "https")
_FORWARDED = (
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-prefix",
)


def trusted_network(text: str) -> Network:
    """The address or network of a proxy an operator names.

    Raises:
        InvalidInput: it is none, or everybody's.

    Example:
        >>> trusted_network("10.0.0.0/8"), trusted_network("::1")
        (IPv4Network('10.0.0.0/8'), IPv6Network('::1/128'))
    """
    where, expected = "--trusted-proxy", "an address or network, such as 127.0.0.1 or 10.0.0.0/8"
    own, _, bits = text.strip().partition("/")
    address = address_of(own)
    try:
        network = ipaddress.ip_network(f"{address}/{bits}" if bits else str(address), strict=False)
    except ValueError as problem:
        message = f"{where}: got {text[:80]!r}; expected {expected}. Repeat the option for each."
        raise InvalidInput(message) from problem
    both = f"{address} or {network}"
    check(
        address == network.network_address, where, f"{text} is one address with the size of a network", both
    )
    check(network.prefixlen > 0, where, f"{text} is everybody, whose word is worth nothing", expected)
    return network


def clean_root(text: str) -> str:
    """The path the service lies under, as ``/bayes``; empty for the top of its host.

    Raises:
        InvalidInput: no path of letters, digits and ``-._~``.

    Example:
        >>> clean_root("bayes/"), clean_root("/")
        ('/bayes', '')
    """
    root = f"/{text.strip().strip('/')}" if text.strip().strip("/") else ""
    plain = _ROOT.fullmatch(root) is not None and not {".", ".."} & set(root.split("/"))
    check(plain, "--root-path", f"got {text[:80]!r}", "a path of letters, digits and -._~, such as /bayes")
    return root


@lru_cache(maxsize=4096)
def address_of(text: str) -> Address | None:
    """The address that an element of a forwarded header names, whatever its port; None for anything else.

    Example:
        >>> address_of("[2001:db8::1]:80"), address_of("::ffff:192.0.2.1"), address_of("unknown")
        (IPv6Address('2001:db8::1'), IPv4Address('192.0.2.1'), None)
    """
    text = text.strip()
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        valid = bool(closed) and ":" in text and (not port or _PORT.fullmatch(port))
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        valid = bool(_PORT.fullmatch(f":{port}"))
    else:
        valid = True
    try:
        found = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text) if valid else None
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


class ProxyMiddleware:
    """Puts the client's address, scheme and host in place of the proxy's, and finds the path below the root.

    Args:
        app: the application.
        trusted: proxies whose word counts.
        root: the path the service lies under; a proxy may take it away or leave it.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str], root: str) -> None:
        self.app, self.root = app, root
        self.trusted = tuple(map(trusted_network, trusted))
        self._trusts = lru_cache(maxsize=4096)(self._is_trusted)
        self._hinted = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http":
            said = [pair for pair in scope["headers"] if pair[0] in _FORWARDED]
            prefix = self._hear(scope, said) if said else ""
            root = self.root or prefix
            path = scope["path"]
            if root and (path == root or path.startswith(f"{root}/")):
                path = path[len(root) :]
            scope["root_path"], scope["path"] = root, root + (path.rstrip("/") or "/")
        await self.app(scope, receive, send)

    def _hear(self, scope: Scope, said: Sequence[tuple[bytes, bytes]]) -> str:
        """Take in what named proxies say; gives back the path they say they took away."""
        peer = scope["client"][0] if scope.get("client") else ""
        if not self._trusts(peer):
            self._hint(f"they came from {peer}, which no --trusted-proxy names")
            return ""
        word = _ForwardedChain.of(said)
        client, hop = self._client(peer, word)
        if client is not None:
            scope["client"] = (str(client), 0)
        if (scheme := _at(word.schemes, hop).lower()) in _SCHEMES:
            scope["scheme"] = scheme
        if host := _host(_at(word.hosts, hop)[:300]):
            _set_host(scope, host)
        return word.prefix

    def _client(self, peer: str, word: _ForwardedChain) -> tuple[Address | None, int]:
        """The client, and how many elements from the right say so.

        A proxy writes one of the two lists and hands on whatever a client put into the other. Where they
        disagree nobody can tell which, so the client is the proxy.
        """
        found = [self._walk(peer, chain) for chain in (word.standard, word.usual) if chain]
        if found and found[0][0] == found[-1][0]:
            return found[-1]
        if found:
            self._hint(
                "Forwarded and X-Forwarded-For disagree; have the proxy remove the one it does not write"
            )
        return address_of(peer), 1

    def _walk(self, peer: str, chain: Sequence[str]) -> tuple[Address | None, int]:
        client, hop = address_of(peer), 0
        for hop, element in enumerate(reversed(chain), 1):  # noqa: B007  # how far it went is an answer
            address = address_of(element) if len(element) < 80 else None
            if address is None:  # nobody's address: the proxy that wrote it is the last one known
                break
            client = address
            if not self._trusts(str(address)):
                break
        return client, max(hop, 1)

    def _is_trusted(self, text: str) -> bool:
        address = address_of(text)
        return address is not None and any(address in network for network in self.trusted)

    def _hint(self, reason: str) -> None:
        if not self._hinted:
            self._hinted = True
            told = {"event": "forwarded", "reason": f"{reason}; told once"}
            log.warning("forwarded headers are ignored", extra=told)


@dataclass(frozen=True)
class _ForwardedChain:
    """Forwarded headers as lists, in the order in which proxies wrote them.

    Attributes:
        standard: clients, by ``Forwarded`` (RFC 7239).
        usual: clients, by ``X-Forwarded-For``.
        schemes: by which a proxy was asked.
        hosts: for which a proxy was asked.
        prefix: the path proxies took away.
    """

    standard: list[str]
    usual: list[str]
    schemes: list[str]
    hosts: list[str]
    prefix: str

    @classmethod
    def of(cls, said: Sequence[tuple[bytes, bytes]]) -> _ForwardedChain:
        """Read the headers; of one that is malformed there is nobody's word left, and not none at all."""
        text: dict[bytes, str] = {}
        for name, value in said:
            text[name] = ",".join(filter(None, (text.get(name, ""), value.decode("latin-1"))))
        hops = _hops(text[b"forwarded"]) or [{}] if b"forwarded" in text else []
        usual, schemes, hosts, prefix = (_elements(text.get(name, "")) for name in _FORWARDED[1:])
        path = "".join(part.rstrip("/") for part in prefix)
        return cls(
            standard=[hop.get("for", "") for hop in hops],
            usual=usual,
            schemes=schemes or [hop.get("proto", "") for hop in hops],
            hosts=hosts or [hop.get("host", "") for hop in hops],
            prefix=path if len(path) <= 200 and _ROOT.fullmatch(path) else "",
        )


def _elements(text: str) -> list[str]:
    return [part for element in text.rsplit(",", MOST_HOPS)[-MOST_HOPS:] if (part := element.strip())]


def _hops(text: str) -> list[dict[str, str]]:
    """The elements of a ``Forwarded`` header; none of a malformed one, for quotes may hide what follows."""
    hops: list[dict[str, str]] = [{}]
    text, at = text.rstrip(" \t,;"), 0
    while at < len(text):
        found = _PAIR.match(text, at)
        if found is None:
            return []
        before, name, value = found.groups()
        if "," in before:
            hops.append({})
        hops[-1][name.lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        at = found.end()
    return [hop for hop in hops if hop][-MOST_HOPS:]


def _at(values: Sequence[str], hop: int) -> str:
    """The value that the ``hop``-th proxy from here wrote; of a shorter list the first."""
    return values[-min(hop, len(values))] if values else ""


@lru_cache(maxsize=256)
def _host(text: str) -> bytes:
    """A host with its port, as a header; empty for anything else."""
    try:
        name, port = host_and_port(text)
    except ValueError:
        return b""
    return f"{name}:{port}".encode() if port else name.encode()


def _set_host(scope: Scope, host: bytes) -> None:
    own = next((value for name, value in scope["headers"] if name == b"host"), b"")
    scope[ORIGINAL_HOST] = own.decode("latin-1")
    scope["headers"] = [(b"host", host), *(pair for pair in scope["headers"] if pair[0] != b"host")]
