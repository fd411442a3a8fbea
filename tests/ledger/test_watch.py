"""The belief a service's worker holds, on each backend: what changes it, and what does not."""

from dataclasses import replace

import pytest
import torch

from bayesight.errors import StorageFailed
from bayesight.ledger import LearningOptions, PriorRecord, erase, learn
from bayesight.service.work.belief import BeliefCache


@pytest.fixture
def beliefs(ledger, base_run):
    kept = BeliefCache(ledger, base_run)
    yield kept
    kept.close()


def same(one, other):
    return one.belief == other.belief and torch.equal(one.classifier.head.sums, other.classifier.head.sums)


def test_every_change_by_others_is_in_the_next_belief(ledger, held, drawn, prediction, beliefs):
    before = beliefs.fresh()
    assert same(before.state, held)
    told = replace(prediction(1, run=held.run), features=None)
    ledger.append([told, drawn(5)])  # a label that nobody has absorbed yet
    assert beliefs.fresh() is before
    held, _ = learn(ledger, held, [drawn(1), drawn(2), drawn(3, "hoop")])
    assert same(beliefs.fresh().state, held)
    assert "hoop" in beliefs.last.prior()
    held, _ = learn(ledger, held, [drawn(2)], options=LearningOptions(remove=True))
    assert same(beliefs.fresh().state, held)
    held, _ = erase(ledger, held, person="alice")
    assert same(beliefs.fresh().state, held)
    ledger.append([PriorRecord(held.run, {"bar": 0.8, "disc": 0.1, "ring": 0.1})])
    assert beliefs.fresh().prior()["bar"] / beliefs.last.prior()["disc"] == pytest.approx(8)
    assert beliefs.fresh() is beliefs.last


def test_a_connection_that_broke_is_told_from_a_ledger_that_cannot_be_read(
    ledger, held, drawn, beliefs, monkeypatch
):
    beliefs.close()
    held, _ = learn(ledger, held, [drawn(1)])
    assert same(beliefs.fresh().state, held)

    def broken(*_, **__):
        raise StorageFailed("ledger: out of reach.")

    if ledger.engine.dialect.name == "sqlite":
        monkeypatch.setattr(ledger, "changes", broken)
    else:
        beliefs.close()
        monkeypatch.setattr(ledger.engine, "connect", broken)
    with pytest.raises(StorageFailed):
        beliefs.fresh()
