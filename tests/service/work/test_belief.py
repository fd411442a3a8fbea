"""The belief a service's worker holds, on each backend: what changes it, and what does not."""

import pytest
import torch

from bayesight.errors import StorageFailed
from bayesight.ledger import (
    LabelRecord,
    LearningOptions,
    Ledger,
    PredictionRecord,
    PriorRecord,
    begin,
    erase,
    learn,
)
from bayesight.run import Run
from bayesight.service.work.belief import BeliefCache


@pytest.fixture
def ledger(ledger_url):
    with Ledger.open(ledger_url) as opened:
        yield opened


@pytest.fixture
def beliefs(ledger, shapes_run):
    kept = BeliefCache(ledger, Run.open(shapes_run))
    yield kept
    kept.close()


@pytest.fixture
def state(ledger, shapes_run):
    return begin(ledger, Run.open(shapes_run))


@pytest.fixture
def label(state):
    """Make a label by alice: number of the image, class."""
    features = state.base.reference.numpy()
    return lambda number, name="bar": LabelRecord(
        state.run, f"{number:032x}", name, "alice", features[number]
    )


def same(one, other):
    return one.belief == other.belief and torch.equal(one.classifier.head.sums, other.classifier.head.sums)


def test_every_change_by_others_is_in_the_next_belief(ledger, state, label, beliefs):
    before = beliefs.fresh()
    assert same(before.state, state)
    shares = {"bar": 0.25, "disc": 0.25, "ring": 0.5}
    said = PredictionRecord(state.run, "cd" * 32, "01" * 16, "ring", shares, shares, -2.5, shares)
    ledger.append([said, label(5)])  # a label that nobody has absorbed yet
    assert beliefs.fresh() is before
    state, _ = learn(ledger, state, [label(1), label(2), label(3, "hoop")])
    assert same(beliefs.fresh().state, state)
    assert "hoop" in beliefs.last.prior()
    state, _ = learn(ledger, state, [label(2)], options=LearningOptions(remove=True))
    assert same(beliefs.fresh().state, state)
    state, _ = erase(ledger, state, person="alice")
    assert same(beliefs.fresh().state, state)
    ledger.append([PriorRecord(state.run, {"bar": 0.8, "disc": 0.1, "ring": 0.1})])
    assert beliefs.fresh().prior()["bar"] / beliefs.last.prior()["disc"] == pytest.approx(8)
    assert beliefs.fresh() is beliefs.last


def test_a_connection_that_broke_is_told_from_a_ledger_that_cannot_be_read(
    ledger, state, label, beliefs, monkeypatch
):
    beliefs.close()
    state, _ = learn(ledger, state, [label(1)])
    assert same(beliefs.fresh().state, state)

    def broken(*_, **__):
        raise StorageFailed("ledger: out of reach.")

    if ledger.engine.dialect.name == "sqlite":
        monkeypatch.setattr(ledger, "changes", broken)
    else:
        beliefs.close()
        monkeypatch.setattr(ledger.engine, "connect", broken)
    with pytest.raises(StorageFailed):
        beliefs.fresh()
