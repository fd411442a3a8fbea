"""From a run and a ledger to the belief: exact, whoever followed it and whatever happened on the way."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesight.errors import BeliefMoved, InvalidInput
from bayesight.ledger import (
    LabelRecord,
    LearningOptions,
    Ledger,
    absorb_queued,
    begin,
    catch_up,
    erase,
    learn,
    run_record,
    verify,
)
from bayesight.ledger.replay import at_head


def test_replay_is_exact_through_all_an_update_can_be(ledger, state, drawn, base_run, same_bits):
    state, _ = learn(ledger, state, [drawn(n) for n in range(5)])
    state, found = learn(ledger, state, [drawn(5, "hoop"), drawn(6, "hoop"), drawn(7)])
    assert found.new_classes == ("hoop",)
    state, _ = learn(
        ledger, state, [drawn(n) for n in range(10, 240)], options=LearningOptions(trust_past=0.5)
    )
    ledger.append([drawn(n, person="bob") for n in range(300, 320)])
    state, queued = absorb_queued(ledger, state, limit=12)
    state, rest = absorb_queued(ledger, state)
    state, nothing = absorb_queued(ledger, state)
    assert (queued.labels, rest.labels, nothing.labels, nothing.receipt) == (12, 8, 0, None)
    state, _ = learn(ledger, state, [drawn(1), drawn(6, "hoop")], options=LearningOptions(remove=True))
    replayed = begin(ledger, base_run)
    assert (replayed.exact, replayed.differs_at) == (True, 0)
    assert same_bits(replayed.classifier, state.classifier)
    assert (replayed.belief, replayed.position) == (state.belief, state.position)
    assert verify(ledger).good


def test_replay_is_exact_whatever_the_number_of_threads(ledger, state, drawn, base_run, same_bits):
    now = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        state, _ = learn(ledger, state, [drawn(n) for n in range(200)])
        torch.set_num_threads(1)
        replayed = begin(ledger, base_run)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(now)
    assert replayed.exact
    assert same_bits(replayed.classifier, state.classifier)


def test_features_that_are_not_what_was_absorbed_are_noticed(ledger, state, drawn, base_run):
    state, _ = learn(ledger, state, [drawn(0)])
    state, first = learn(ledger, state, [drawn(1)])
    state, _ = learn(ledger, state, [drawn(2)])
    changed = drawn(1).features.copy()
    changed[0] = np.nextafter(changed[0], np.float32(np.inf))
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE payloads SET features = {_bytes(ledger, changed)} WHERE sequence = {first.receipt.first}"
        )
    replayed = begin(ledger, base_run)
    assert (replayed.exact, replayed.differs_at) == (False, first.receipt.last)
    assert verify(ledger).broken == first.receipt.first


def _bytes(ledger, features):
    digits = features.tobytes().hex()
    return f"x'{digits}'" if ledger.engine.dialect.name == "sqlite" else f"'\\x{digits}'"


def test_a_run_changed_behind_the_ledger_is_refused(ledger, state, drawn, base_run, tmp_path, rows_of):
    import shutil

    from bayesight.run import Run

    copy = Run.open(shutil.copytree(base_run.folder, tmp_path / "copy"))
    assert run_record(copy, copy.classifier()).run == state.run
    begin(ledger, copy)  # the same run in another folder
    after, _ = state.base.with_rows(rows_of([drawn(1)], state.base.classes.names))
    copy.save_classifier(after)
    with pytest.raises(InvalidInput, match="another one than the ledger began with"):
        begin(ledger, copy)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["learn", "discount", "queue", "absorb", "remove", "erase"]),
        st.sampled_from(["ann", "ben", "cat"]),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=10,
)


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_replay_and_followers_agree(tmp_path_factory, base_run, steps, same_bits):
    with Ledger.open(str(tmp_path_factory.mktemp("law") / "ledger.sqlite")) as ledger:
        state = follower = begin(ledger, base_run)
        base, number, known = state.base, 0, []
        for what, person, count in steps:
            labels = []
            for _ in range(count):
                number += 1
                features = base.reference[number % len(base.reference)].numpy()
                labels.append(
                    LabelRecord(state.run, f"{number:032x}", "bar" if number % 2 else "new", person, features)
                )
            if what in ("learn", "discount"):
                state, _ = learn(
                    ledger, state, labels, options=LearningOptions(0.75 if what == "discount" else 1.0)
                )
                known += labels
            elif what == "queue":
                ledger.append(labels)
            elif what == "absorb":
                state, _ = absorb_queued(ledger, state, limit=count)
            elif what == "remove" and known:
                state, _ = learn(ledger, state, [known.pop()], options=LearningOptions(remove=True))
            elif what == "erase":
                state, _ = erase(ledger, state, person=person)
                known = [label for label in known if label.person != person]
            if count == 2:
                follower = catch_up(ledger, follower)
        follower, replayed = catch_up(ledger, follower), begin(ledger, base_run)
        assert replayed.exact
        assert follower.exact
        assert same_bits(replayed.classifier, state.classifier)
        assert same_bits(follower.classifier, state.classifier)
        assert verify(ledger).good


def test_a_change_is_computed_again_until_no_other_comes_first(ledger, state, drawn, monkeypatch):
    met = []

    def attempt(now):
        met.append(now.position)
        if len(met) < 3:
            learn(ledger, now, [drawn(len(met))])
            raise BeliefMoved("another one came first.")
        return now, "done"

    after, outcome = at_head(ledger, state, attempt)
    assert (outcome, after.position) == ("done", ledger.position(state.run))
    assert met == [state.position, *(entry.sequence for entry in ledger.since(0, kinds=("update",)))]
    monkeypatch.setattr("bayesight.ledger.replay.ATTEMPTS", 3)

    def too_late(now):
        raise BeliefMoved("another one came first.")

    with pytest.raises(BeliefMoved, match="rename: 3 times another change came first; try again"):
        at_head(ledger, state, too_late, name="rename")


def test_a_run_the_ledger_does_not_know_is_refused_where_it_has_to_know_it(ledger, base_run):
    with pytest.raises(InvalidInput, match=r"knows nothing of .*; expected its run"):
        begin(ledger, base_run, known=True)
    assert ledger.head().sequence == 0
    first = begin(ledger, base_run)
    assert begin(ledger, base_run, known=True).position == first.position
