"""``bayesight ledger`` and ``token``: check what a service kept, replay it, forget somebody; keys to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.options import LedgerPlaceOption, with_json
from bayesight.cli.output import json_wanted, progress_bar, say, write
from bayesight.errors import LedgerBroken
from bayesight.formatting import columns, padded
from bayesight.language import marked

if TYPE_CHECKING:
    from bayesight.ledger import Token, Verification
    from bayesight.workflows.ledger import ErasureResult, ReplayResult

ledger_app = typer.Typer(
    name="ledger", no_args_is_help=True, help="Check, replay and export what a service kept; forget somebody."
)


@ledger_app.command("verify", epilog="Example: bayesight ledger verify --ledger runs/letters")
@with_json
def verify(
    ledger: LedgerPlaceOption,
    receipt: Annotated[
        str, typer.Option(help="NUMBER:DIGEST kept from earlier; the ledger must still hold that record.")
    ] = "",
) -> None:
    """Check every record and the chain through them; the first broken one is named, with exit status 1."""
    from bayesight.workflows.ledger import verify_ledger

    with progress_bar("checking", "records") as progress:
        found = verify_ledger(ledger, receipt=receipt, progress=progress)
    if found.good or json_wanted():
        write(_verified(found), _verified_text(found))
    if not found.good:
        raise LedgerBroken(
            f"record {found.broken} is broken: {found.reason}. The {found.entries:,} before it are good."
        )


@ledger_app.command("replay", epilog="Example: bayesight ledger replay runs/letters --out runs/today")
@with_json
def replay(
    run: Annotated[Path, typer.Argument(help="The run folder the ledger began with.")],
    ledger: Annotated[
        str | None,
        typer.Option(
            "--ledger", envvar="BAYESIGHT_LEDGER", help="The ledger (default: the one in the run folder)."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Also write the run with this belief to a new folder (default: nothing is written)."
        ),
    ] = None,
) -> None:
    """Build the belief again from the run and every update since, and compare it bit for bit."""
    from bayesight.workflows.ledger import replay_run

    with progress_bar("replaying", "updates") as progress:
        found = replay_run(run, ledger or str(run), out=out, progress=progress)
    write(found.as_dict(), _replayed_text(found))
    if not found.exact:
        raise LedgerBroken(
            f"the belief after record {found.differs_at} is not the one recorded; expected the same bits. "
            "Another kind of processor gives other last digits; 'ledger verify' says if a record changed."
        )


@ledger_app.command("export", epilog="Example: bayesight ledger export records.parquet --ledger runs/letters")
@with_json
def export(
    path: Annotated[Path, typer.Argument(help="The file to write; .parquet or .csv.")],
    ledger: LedgerPlaceOption,
) -> None:
    """Write every record to a table, one row each, without features and pixels."""
    from bayesight.workflows.ledger import export_ledger

    with progress_bar("reading", "records") as progress:
        count = export_ledger(ledger, path, progress=progress)
    document = {"path": str(path), "records": count}
    write(document, marked(f"wrote {count:,} records to {path}"))


@ledger_app.command("erase", epilog="Example: bayesight ledger erase --person alice --ledger runs/letters")
@with_json
def erase(
    ledger: LedgerPlaceOption,
    person: Annotated[str, typer.Option(help="Whose labels, images and questions.")] = "",
    image: Annotated[str, typer.Option(help="Which image: the 32 digits of its digest.")] = "",
    run: Annotated[
        Path | None,
        typer.Option(help="Where the run is now, if it has moved (default: where the ledger says)."),
    ] = None,
) -> None:
    """Erase a person or an image for good: records, pixels and what the belief learned from them.

    The chain stays whole, and that something was erased stays on record.
    """
    from bayesight.workflows.ledger import erase_from

    with progress_bar(marked("learning anew"), "updates") as progress:
        found = erase_from(ledger, person=person, image=image, run_path=run, progress=progress)
    write(found.as_dict(), _erased_text(found))


def _verified(found: Verification) -> dict[str, Any]:
    head = {"sequence": found.head.sequence, "digest": found.head.digest}
    tree = {"good": found.good, "records": found.entries, "erased": found.erased}
    return tree | {"head": head, "broken": found.broken, "reason": found.reason}


def _verified_text(found: Verification) -> str:
    lines = [marked(f"{found.entries:,} records, all as they were written")]
    if found.erased:
        lines.append(marked(f"{found.erased:,} of them were erased on request"))
    if found.entries:
        lines.append(marked(f"receipt of the last one: {found.head.sequence}:{found.head.digest}"))
    return "\n".join(lines)


def _replayed_text(found: ReplayResult) -> str:
    bits = (
        marked("every bit as recorded")
        if found.exact
        else marked(f"differs from record {found.differs_at} on")
    )
    lines = [marked(f"{found.changes:,} changes applied in {found.elapsed_s:.2f} s: {bits}")]
    lines.append(marked(f"the belief holds {found.images:,.0f} images of {len(found.classes)} classes"))
    if found.out is not None:
        lines.append(marked(f"written to {found.out}"))
    return "\n".join(lines)


def _erased_text(found: ErasureResult) -> str:
    tree = found.as_dict()
    if not tree["records"]:
        return marked("nothing of it was kept")
    lines = [
        marked(
            f"erased {tree['labels']:,} labels, {tree['predictions']:,} predictions, {tree['other']:,} others"
        ),
        marked(f"the belief has unlearned {tree['unlearned']:,} labels"),
    ]
    if tree["in_base"]:
        lines.append(
            marked(
                f"{tree['in_base']:,} of the images trained the run itself; "
                "take them out with 'bayesight update --remove', or train again"
            )
        )
    return "\n".join(lines)


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
    widths = [max(columns(row[i]) for row in rows) for i in range(6)]
    return "\n".join("  ".join(map(padded, row, widths)).rstrip() for row in rows)
