"""The belief a service's worker holds, on each backend: what changes it, and what does not."""

from dataclasses import replace

import pytest
import torch

from bayesight.errors import StorageFailed
from bayesight.ledger import LearningOptions, PriorRecord, erase, learn
from bayesight.service.work.belief import Keeper


@pytest.fixture
def keeper(ledger, base_run):
    kept = Keeper(ledger, base_run)
    yield kept
    kept.close()


def same(one, other):
    return one.belief == other.belief and torch.equal(one.classifier.head.sums, other.classifier.head.sums)


def test_every_change_by_others_is_in_the_next_belief(ledger, held, drawn, prediction, keeper):
    before = keeper.fresh()
    assert same(before.held, held)
    told = replace(prediction(1, run=held.run), features=None)
    ledger.append([told, drawn(5)])  # a label that nobody has absorbed yet
    assert keeper.fresh() is before
    held, _ = learn(ledger, held, [drawn(1), drawn(2), drawn(3, "hoop")])
    assert same(keeper.fresh().held, held)
    assert "hoop" in keeper.last.prior()
    held, _ = learn(ledger, held, [drawn(2)], options=LearningOptions(remove=True))
    assert same(keeper.fresh().held, held)
    held, _ = erase(ledger, held, person="alice")
    assert same(keeper.fresh().held, held)
    ledger.append([PriorRecord(held.run, {"bar": 0.8, "disc": 0.1, "ring": 0.1})])
    assert keeper.fresh().prior()["bar"] / keeper.last.prior()["disc"] == pytest.approx(8)
    assert keeper.fresh() is keeper.last


def test_a_connection_that_broke_is_told_from_a_ledger_that_cannot_be_read(
    ledger, held, drawn, keeper, monkeypatch
):
    keeper.close()
    held, _ = learn(ledger, held, [drawn(1)])
    assert same(keeper.fresh().held, held)

    def broken(*_, **__):
        raise StorageFailed("ledger: out of reach.")

    if ledger.engine.dialect.name == "sqlite":
        monkeypatch.setattr(ledger, "changes", broken)
    else:
        keeper.close()
        monkeypatch.setattr(ledger.engine, "connect", broken)
    with pytest.raises(StorageFailed):
        keeper.fresh()
