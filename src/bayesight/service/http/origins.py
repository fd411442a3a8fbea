"""Origins and hosts, written one way, whatever their case, default port, trailing slash, IPv6 or IDNA."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import idna

from bayesight.checks import check

__all__ = ["allowed_host", "allowed_origin", "canonical_host", "canonical_origin", "host_and_port"]

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\\\s]+)/?", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?")
_PORTS = {"http": "80", "https": "443"}
_LONGEST = 300


def host_and_port(authority: str) -> tuple[str, str]:
    """The two parts of ``HOST``, ``HOST:PORT`` or ``[IPv6]:PORT``; the port is empty where none is named.

    Raises:
        ValueError: it is neither.
    """
    host, separator, port = authority, "", ""
    if not authority.endswith("]"):
        before, separator, after = authority.rpartition(":")
        if separator and (":" not in before or before.endswith("]")):
            host, port = before, after
    if port and not (port.isascii() and port.isdecimal() and int(port[:6]) < 65536):
        raise ValueError(f"{port[:20]!r} is no port")
    return canonical_host(host), port.lstrip("0")


def canonical_host(host: str) -> str:
    """A host as browsers write it: in small letters, with IDNA for what is not ASCII, IPv6 in brackets.

    Raises:
        ValueError: it is none.

    Example:
        >>> canonical_host("BÜCHER.Example"), canonical_host("[0:0::1]")
        ('xn--bcher-kva.example', '[::1]')
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare:
        return f"[{ipaddress.IPv6Address(bare).compressed}]"
    name = bare.lower() if bare.isascii() else idna.encode(bare, uts46=True).decode()
    if len(name) > 253 or bare != host or not _NAME.fullmatch(name):
        raise ValueError(f"{host[:80]!r} is no name of a host")
    return name


@lru_cache(maxsize=256)  # each client says the same with every request
def _canonical_origin(text: str) -> str:
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is no scheme and host")
    scheme = found[1].lower()
    host, port = host_and_port(found[2])
    return f"{scheme}://{host}" + (f":{port}" if port and port != _PORTS.get(scheme) else "")


def canonical_origin(text: str) -> str:
    """An origin as browsers write it: scheme, host, and a port where it is not the scheme's own.

    Raises:
        ValueError: it is none.

    Example:
        >>> canonical_origin("HTTPS://Letters.Example:443/")
        'https://letters.example'
    """
    if len(text) > _LONGEST:
        raise ValueError("it is too long")
    return _canonical_origin(text)


def allowed_origin(text: str) -> str:
    """An origin an operator names, as browsers write it.

    Raises:
        InvalidInput: ``*``, ``null``, or something that is no origin.
    """
    where, expected = "--allow-origin", "scheme and host, such as https://letters.example"
    text = text.strip()
    everybody = "'*' would let every web site teach and ask with its visitors' rights"
    check("*" not in text, where, everybody if text == "*" else f"{text[:80]!r} names no one site", expected)
    nobody = "'null' is what any local file and any sandboxed page of any site calls itself"
    check(text.lower() != "null", where, nobody, expected)
    try:
        return canonical_origin(text)
    except ValueError:
        check(False, where, f"{text[:80]!r} is no origin", expected, "It has no path, query or user.")
        raise


def allowed_host(text: str) -> str:
    """A host an operator names, as browsers write it.

    Raises:
        InvalidInput: ``*``, or something that is no host.
    """
    where, expected = "--allow-host", "a name or address without port, such as letters.example"
    text = text.strip()
    check(text != "*", where, "'*' would let any name that is pointed at this machine use it", expected)
    try:
        return canonical_host(text)
    except ValueError:
        check(False, where, f"{text[:80]!r} is no host", expected)
        raise
