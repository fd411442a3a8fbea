"""``bayesight token``: keys to a service, made, listed and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.common import LedgerPlaceOption, say, with_json, write
from bayesight.language import marked

if TYPE_CHECKING:
    from bayesight.ledger import Token

__all__ = ["token_app"]

token_app = typer.Typer(name="token", no_args_is_help=True, help="Make, list and end keys to a service.")

DAY_S = 86_400.0


@token_app.command(
    "create", epilog="Example: bayesight token create --scope label --name alice --ledger runs/letters"
)
@with_json
def create(
    ledger: LedgerPlaceOption,
    name: Annotated[str, typer.Option(help="Who gets it; labels given with it are theirs.")],
    scope: Annotated[
        list[str], typer.Option(help="What it allows: predict, label or admin (all). May be repeated.")
    ],
    days: Annotated[float | None, typer.Option(help="It ends after so many days (default: never).")] = None,
) -> None:
    """Make a token and print it this once; only a digest of it is kept."""
    from bayesight.ledger import Ledger, create_token

    with Ledger.open(ledger) as opened:
        expires_in_s = None if days is None else days * DAY_S
        made = create_token(opened, name, scope, expires_in_s=expires_in_s)
    say(marked("keep it now: it cannot be shown again"))
    write(_row(made) | {"token": made.secret}, made.secret, verbatim=True)


@token_app.command("list", epilog="Example: bayesight token list --ledger runs/letters")
@with_json
def list_all(ledger: LedgerPlaceOption) -> None:
    """List every token there has been, without its secret."""
    from bayesight.ledger import Ledger, tokens

    with Ledger.open(ledger, create=False) as opened:
        found = tokens(opened)
    write({"tokens": [_row(one) for one in found]}, _table(found))


@token_app.command("revoke", epilog="Example: bayesight token revoke 1f2e3d4c --ledger runs/letters")
@with_json
def revoke(
    token_id: Annotated[str, typer.Argument(help="Its 8 digits, as 'token list' shows them.")],
    ledger: LedgerPlaceOption,
) -> None:
    """End a token now."""
    from bayesight.ledger import Ledger, revoke_token

    with Ledger.open(ledger, create=False) as opened:
        ended = revoke_token(opened, token_id)
    write(_row(ended), marked(f"token {ended.id} of {ended.name} is ended"))


def _row(token: Token) -> dict[str, Any]:
    return {k: v for k, v in vars(token).items() if k != "secret"}


def _table(found: list[Token]) -> str:
    if not found:
        return marked("no tokens yet; 'bayesight token create' makes one")
    rows = [("id", "name", "allows", "made", "ends", "ended")]
    rows += [
        (
            token.id, token.name, ",".join(token.scopes), token.created_at[:10],
            (token.expires_at or "never")[:10], (token.revoked_at or "")[:10],
        )
        for token in found
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    return "\n".join("  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip() for row in rows)
