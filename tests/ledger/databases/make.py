"""Make the saved ledger of the newest schema; run once when there is a new one, and never again for it.

python tests/ledger/databases/make.py
"""

import sqlite3
import sys
from pathlib import Path

import numpy as np

from bayesight.ledger import (
    LabelRecord,
    Ledger,
    PredictionRecord,
    PriorRecord,
    RunRecord,
    UpdateRecord,
    tables,
)
from bayesight.ledger.database import open_engine
from bayesight.ledger.records import ErasureRecord
from bayesight.ledger.rows import append_records
from bayesight.ledger.schema import migrate, versions


def main(version: str) -> None:
    path = Path(__file__).parent / f"{version}.sqlite"
    engine = open_engine(str(path), create=True)
    migrate(engine, version)
    ledger = Ledger(engine)
    ledger.register(RunRecord("run1", "ab" * 32, ("bar", "disc"), 3, "mlp"))
    labels = []
    for number, person in ((1, "alice"), (2, "bob")):
        features = np.random.default_rng(number).normal(size=3).astype(np.float32)
        labels.append(LabelRecord("run1", f"{number:032x}", "bar", person, features, b"PNG %d" % number))
    half = {"bar": 0.5, "disc": 0.5}
    terms = ({"bar": -3.5, "disc": -2.25}, -2.5, {"bar": 0.25, "disc": 0.75})
    ledger.append(
        [*labels, PredictionRecord("run1", "cd" * 32, f"{3:032x}", "disc", half, *terms)], key="first"
    )
    ledger.append_update(UpdateRecord("run1", 1, "ab" * 32, "ef" * 32, labels=(2, 3)))
    ledger.append([PriorRecord("run1", half, person="carl")])
    with engine.begin() as connection:
        append_records(connection, [ErasureRecord("run1", (3,), 5, "ef" * 32, "01" * 32)], ledger.clock())
        connection.execute(tables.payloads.delete().where(tables.payloads.c.sequence == 3))
    ledger.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("VACUUM")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else versions()[-1])
