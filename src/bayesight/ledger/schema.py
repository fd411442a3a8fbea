"""Migration of every older schema to this program's; each step and its record are one transaction."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from bayesight.errors import LedgerBroken
from bayesight.ledger.database import reading, shown, writing

_LOCK = 0x62617965  # any number, the same for every program that migrates this ledger


@cache
def versions() -> tuple[str, ...]:
    """Every schema there has been, oldest first."""
    return tuple(str(step.revision) for step in reversed(list(_steps().walk_revisions())))


def schema_version(engine: Engine) -> str | None:
    """The schema a ledger has; None for an empty database."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(engine: Engine, to: str = "head") -> None:
    """Bring a ledger to a schema; of several programs that start at once one does it.

    Args:
        engine: of the ledger.
        to: a version; the newest by default.

    Raises:
        LedgerBroken: it was written by a newer version of this program.
    """
    known = versions()
    target = known[-1] if to == "head" else to
    found = schema_version(engine)
    if found is not None and found not in known:
        raise LedgerBroken(
            f"ledger {shown(engine)} has schema {found!r}; this version knows up to {known[-1]!r}. "
            "Install a newer bayesight."
        )
    if found == target:
        return
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        _run(connection, target)


def _run(connection: Connection, target: str) -> None:
    steps = _steps()
    options = {"fn": lambda current, _: steps._upgrade_revs(target, current), "transactional_ddl": True}
    context = MigrationContext.configure(connection, opts=options)
    with Operations.context(context):
        context.run_migrations()


def _steps() -> ScriptDirectory:
    config = Config()
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("version_locations", folder)
    config.set_main_option("path_separator", "newline")
    return ScriptDirectory.from_config(config)
