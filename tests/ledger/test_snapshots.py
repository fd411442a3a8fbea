"""Beliefs saved in the ledger: a shorter start, never believed blindly, erased with what they hold."""

from sqlalchemy import event

from bayesight.ledger import (
    LearningOptions,
    Ledger,
    begin,
    catch_up,
    erase,
    learn,
    rename_class,
    replay,
    save_snapshot,
    tables,
    take_back,
)


def test_a_snapshot_shortens_the_start_and_is_not_believed_blindly(
    ledger, state, drawn, base_run, monkeypatch, same_bits
):
    monkeypatch.setattr("bayesight.ledger.replay.SNAPSHOT_AFTER_S", 0.0)
    state, _ = learn(ledger, state, [drawn(1), drawn(2, "hoop")])
    state, _ = learn(ledger, state, [drawn(3)], options=LearningOptions(trust_past=0.5))
    begin(ledger, base_run)
    folded = []
    monkeypatch.setattr(
        "bayesight.ledger.replay._follow",
        lambda before, change, _follow=replay._follow, **more: (
            folded.append(change.entry.sequence) or _follow(before, change, **more)
        ),
    )
    again = begin(ledger, base_run)
    assert folded == []
    assert same_bits(again.classifier, state.classifier)
    assert (again.position, again.belief) == (state.position, state.belief)
    state, _ = learn(ledger, state, [drawn(4)])
    assert same_bits(begin(ledger, base_run).classifier, state.classifier)
    assert folded == [state.position]
    assert same_bits(begin(ledger, base_run, fresh=True).classifier, state.classifier)
    assert len(folded) == 4
    with ledger.engine.begin() as connection:
        blob = bytearray(connection.exec_driver_sql("SELECT belief FROM snapshots").scalar())
        blob[-200] ^= 1
        connection.execute(tables.snapshots.update().values(belief=bytes(blob)))
    assert same_bits(begin(ledger, base_run).classifier, state.classifier)
    assert len(folded) == 7  # from the base again


def test_an_erasure_takes_the_snapshot_along(ledger, state, drawn, base_run, same_bits):
    state, _ = learn(ledger, state, [drawn(1)])
    state, _ = learn(ledger, state, [drawn(2, person="bob")])
    before = state
    assert save_snapshot(ledger, state)
    assert not save_snapshot(ledger, state)  # it is there
    state, _ = erase(ledger, state, person="alice")
    with ledger.engine.connect() as connection:
        assert connection.execute(tables.snapshots.select()).all() == []
    assert not save_snapshot(ledger, before)  # a process that lags must not bring it back
    assert save_snapshot(ledger, state)
    assert same_bits(begin(ledger, base_run).classifier, state.classifier)


def test_a_snapshot_knows_whose_labels_it_holds(
    ledger, state, drawn, base_run, same_belief, discs_called_rings
):
    labels = discs_called_rings
    now, learned = learn(ledger, state, [*labels, drawn(1, "hoop")])
    assert learned.gone_classes == ("disc",)  # and with it the images held out of it
    now, _ = rename_class(ledger, now, "hoop", "wheel")
    assert save_snapshot(ledger, now)
    other = begin(ledger, base_run)
    assert (other.position, other.renames) == (now.position, now.renames)
    assert same_belief(other.classifier, now.classifier)
    one, _ = take_back(ledger, now, labels[0].image, person="ann")
    assert "disc" in one.classifier.classes.names
    assert same_belief(catch_up(ledger, other).classifier, one.classifier)


def test_a_ledger_that_can_only_be_read_answers_and_keeps_no_snapshot(
    tmp_path, base_run, drawn, monkeypatch, same_bits
):
    monkeypatch.setattr("bayesight.ledger.replay.SNAPSHOT_AFTER_S", 0.0)
    with Ledger.open(str(tmp_path / "ledger.sqlite")) as ledger:
        state, _ = learn(ledger, begin(ledger, base_run), [drawn(1), drawn(2, "hoop")])

        @event.listens_for(ledger.engine, "checkout")
        def _read_only(connection, *_):
            connection.execute("PRAGMA query_only = ON")

        assert same_bits(begin(ledger, base_run, known=True).classifier, state.classifier)
        with ledger.engine.connect() as connection:
            assert connection.execute(tables.snapshots.select()).all() == []
