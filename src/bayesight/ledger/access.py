"""Keys to a service: random tokens with a name, scopes and an end, of which only a digest is kept.

A token has 256 random bits, so nobody can try them out, and one SHA-256 is all its storage needs (a slow
password hash protects what people choose, not what chance did).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update

from bayesight.checks import check
from bayesight.errors import NotAllowed, UnknownName
from bayesight.ledger import tables
from bayesight.ledger.database import reading, writing
from bayesight.ledger.records import plain_text
from bayesight.ledger.store import Ledger

SCOPES = ("predict", "label", "admin")
"""What a token may allow; "admin" includes the others."""

_PREFIX = "bayesight_"


@dataclass(frozen=True)
class Token:
    """A token as the ledger knows it, without its secret.

    Args:
        id: 8 hexadecimal digits, by which it is listed and revoked.
        name: who has it; labels given with it are this person's.
        scopes: what it allows.
        created_at: UTC, ISO 8601.
        expires_at: likewise; None for never.
        revoked_at: likewise; None while it is good.
        secret: the token itself, only where it was just created.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    secret: str = field(default="", repr=False, compare=False)

    def allows(self, scope: str) -> bool:
        """True where the token covers ``scope``."""
        return scope in self.scopes or "admin" in self.scopes


def create_token(
    ledger: Ledger, name: str, scopes: Sequence[str], *, expires_in_s: float | None = None
) -> Token:
    """A new token; its ``secret`` is told now and never again.

    Args:
        ledger: where it is kept.
        name: who gets it.
        scopes: one or more of ``SCOPES``.
        expires_in_s: seconds until it ends; None for never.

    Raises:
        UnknownName: a scope that there is not.
        InvalidInput: no name, no scope, or an end that is not ahead.

    Example:
        >>> import tempfile
        >>> ledger = Ledger.open(tempfile.mkdtemp() + "/ledger.sqlite")
        >>> token = create_token(ledger, "alice", ["label"])
        >>> find_token(ledger, token.secret).name, token.allows("admin")
        ('alice', False)
        >>> ledger.close()
    """
    check(bool(name.strip()), "token name", "an empty one", "who gets the token")
    check(len(scopes) > 0, "token scopes", "none", f"one or more of {', '.join(SCOPES)}")
    for scope in scopes:
        if scope not in SCOPES:
            raise UnknownName("scope", scope, SCOPES)
    now = ledger.clock()
    end = None
    if expires_in_s is not None:
        good = 0 < expires_in_s < 1e10
        check(good, "expires_in_s", f"got {expires_in_s:g}", "seconds from now, above 0")
        end = _text(now + timedelta(seconds=expires_in_s))
    secret = _PREFIX + secrets.token_urlsafe(32)
    chosen = tuple(scope for scope in SCOPES if scope in scopes)
    token = Token(secrets.token_hex(4), plain_text(name, "token name"), chosen, _text(now), end, None)
    row = {k: v for k, v in vars(token).items() if k != "secret"}
    with writing(ledger.engine) as connection:
        connection.execute(
            insert(tables.tokens), [{**row, "scopes": ",".join(chosen), "digest": _digest(secret)}]
        )
    return replace(token, secret=secret)


def find_token(ledger: Ledger, secret: str, *, scope: str = "") -> Token:
    """The token with this secret, if it is good.

    Args:
        ledger: where it is kept.
        secret: as its holder shows it.
        scope: what it has to allow; empty asks for nothing.

    Raises:
        NotAllowed: unknown, revoked, expired, or without this scope. The message never holds the secret.
    """
    columns = tables.tokens.c
    digest = _digest(secret) if secret.isascii() else ""
    with reading(ledger.engine) as connection:
        row = connection.execute(select(tables.tokens).where(columns.digest == digest)).first()
    if row is None:
        raise NotAllowed("token: it is not known; expected one made by 'bayesight token create'.")
    token = _token(row)
    if token.revoked_at is not None:
        raise NotAllowed(f"token {token.id}: it was revoked on {token.revoked_at[:10]}; ask for a new one.")
    if token.expires_at is not None and token.expires_at <= _text(ledger.clock()):
        raise NotAllowed(f"token {token.id}: it ended on {token.expires_at[:10]}; ask for a new one.")
    if scope and not token.allows(scope):
        held = ", ".join(token.scopes)
        raise NotAllowed(f"token {token.id}: it allows {held}; expected {scope!r}. Ask for one that does.")
    return token


def revoke_token(ledger: Ledger, token_id: str) -> Token:
    """End a token now; one that has ended stays as it is.

    Raises:
        UnknownName: there is none with this id.
    """
    columns = tables.tokens.c
    with writing(ledger.engine) as connection:
        row = connection.execute(
            select(tables.tokens).where(columns.id == plain_text(token_id, "token"))
        ).first()
        if row is None:
            known = connection.execute(select(columns.id)).scalars().all()
            raise UnknownName("token", token_id, known)
        token = _token(row)
        if token.revoked_at is None:
            token = replace(token, revoked_at=_text(ledger.clock()))
            connection.execute(
                update(tables.tokens).where(columns.id == token_id).values(revoked_at=token.revoked_at)
            )
    return token


def tokens(ledger: Ledger) -> list[Token]:
    """Every token there has been, oldest first."""
    columns = tables.tokens.c
    with reading(ledger.engine) as connection:
        return [_token(row) for row in connection.execute(select(tables.tokens).order_by(columns.created_at))]


def _token(row: Row[Any]) -> Token:
    scopes = tuple(row.scopes.split(","))
    return Token(row.id, row.name, scopes, row.created_at, row.expires_at, row.revoked_at)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
