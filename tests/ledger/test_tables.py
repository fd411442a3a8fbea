"""The tables as this program declares them are those that migrations make, on each backend."""

import pytest
from sqlalchemy import create_engine, inspect

from bayesight.ledger import tables
from bayesight.ledger.database import open_engine
from bayesight.ledger.schema import migrate, versions


def shape(engine):
    """Tables, columns, indexes as the database has them."""
    found = inspect(engine)
    return {
        name: (
            sorted((c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)),
            sorted((i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in found.get_indexes(name)),
            found.get_pk_constraint(name)["constrained_columns"],
        )
        for name in found.get_table_names()
        if name != "alembic_version"
    }


@pytest.mark.parametrize("version", [None, *versions()])
def test_however_it_got_there_the_schema_is_the_tables(version, ledger_url):
    engine = open_engine(ledger_url, create=True)
    if version is not None:
        migrate(engine, version)
    migrate(engine)
    made = shape(engine)
    engine.dispose()
    if engine.dialect.name == "sqlite":
        other = create_engine("sqlite://")
        tables.metadata.create_all(other)
        assert made == shape(other)
        other.dispose()
    assert set(made) == set(tables.metadata.tables)
