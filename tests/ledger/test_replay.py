import threading

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesight.belief.absorbed import Rows
from bayesight.belief.updating import absorb
from bayesight.errors import InvalidInput, KeyReused
from bayesight.ledger import (
    LabelRecord,
    LearningOptions,
    Ledger,
    absorb_queued,
    begin,
    belief_digest,
    catch_up,
    erase,
    learn,
    replay,
    run_record,
    save_snapshot,
    tables,
    verify,
)


def rows_of(labels, names):
    return Rows(
        torch.from_numpy(np.stack([label.features for label in labels])),
        torch.tensor([names.index(label.label) for label in labels]),
        torch.tensor([list(bytes.fromhex(label.image)) for label in labels], dtype=torch.uint8),
    )


def test_a_label_is_learned_as_the_run_itself_would_learn_it(ledger, held, drawn, same_bits):
    labels = [drawn(n) for n in range(7)]
    after, learned = learn(ledger, held, labels, options=LearningOptions(trust_past=0.7, robust=True))
    rows = rows_of(labels, held.base.classes.names)
    expected, found = absorb(held.base, rows, trust_past=0.7, robust=True)
    assert same_bits(after.classifier, expected)
    assert learned.absorbed == found
    assert (learned.labels, learned.receipt.first, learned.receipt.last) == (7, 2, 9)
    assert after.belief == belief_digest(expected)
    assert held.classifier is held.base  # what was held stays as it was


def test_replay_is_exact_through_all_an_update_can_be(ledger, held, drawn, base_run, same_bits):
    held, _ = learn(ledger, held, [drawn(n) for n in range(5)])
    held, found = learn(ledger, held, [drawn(5, "hoop"), drawn(6, "hoop"), drawn(7)])
    assert found.new_classes == ("hoop",)
    held, _ = learn(ledger, held, [drawn(n) for n in range(10, 240)], options=LearningOptions(trust_past=0.5))
    ledger.append([drawn(n, person="bob") for n in range(300, 320)])
    held, queued = absorb_queued(ledger, held, limit=12)
    held, rest = absorb_queued(ledger, held)
    held, nothing = absorb_queued(ledger, held)
    assert (queued.labels, rest.labels, nothing.labels, nothing.receipt) == (12, 8, 0, None)
    held, _ = learn(ledger, held, [drawn(1), drawn(6, "hoop")], options=LearningOptions(remove=True))
    replayed = begin(ledger, base_run)
    assert (replayed.exact, replayed.differs_at) == (True, 0)
    assert same_bits(replayed.classifier, held.classifier)
    assert (replayed.belief, replayed.position) == (held.belief, held.position)
    assert verify(ledger).good


def test_replay_is_exact_whatever_the_number_of_threads(ledger, held, drawn, base_run, same_bits):
    now = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        held, _ = learn(ledger, held, [drawn(n) for n in range(200)])
        torch.set_num_threads(1)
        replayed = begin(ledger, base_run)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(now)
    assert replayed.exact
    assert same_bits(replayed.classifier, held.classifier)


def test_features_that_are_not_what_was_absorbed_are_noticed(ledger, held, drawn, base_run):
    held, _ = learn(ledger, held, [drawn(0)])
    held, first = learn(ledger, held, [drawn(1)])
    held, _ = learn(ledger, held, [drawn(2)])
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


def test_of_two_that_learn_each_sees_what_the_other_learned(url, base_run, drawn, same_bits):
    labels = [drawn(n) for n in range(48)]
    ends = []

    def work(mine):
        with Ledger.open(url) as own:
            held = begin(own, base_run)
            for start in range(0, len(mine), 4):
                held, _ = learn(own, held, mine[start : start + 4], key=f"{mine[start].image}")
            ends.append(held)

    threads = [threading.Thread(target=work, args=(labels[who::2],)) for who in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Ledger.open(url) as own:
        one, other = (catch_up(own, held) for held in ends)
        assert same_bits(one.classifier, other.classifier)
        assert one.exact
        assert other.exact
        assert verify(own).good
        assert sorted(e.record.image for e in own.labels_since(0)) == sorted(x.image for x in labels)
    at_once, _ = absorb(one.base, rows_of(labels, one.base.classes.names))
    features = one.base.reference
    together, apart = at_once.log_likelihood(features), one.classifier.log_likelihood(features)
    assert (together - apart).abs().max() < 1e-9 * together.abs().max()


def test_a_repeated_request_learns_once(ledger, held, drawn):
    held, first = learn(ledger, held, [drawn(1), drawn(2)], key="a")
    again, second = learn(ledger, held, [drawn(1), drawn(2)], key="a")
    assert (second.receipt, second.receipt.repeated, second.labels) == (first.receipt, True, 0)
    assert again.position == held.position
    with pytest.raises(KeyReused):
        learn(ledger, held, [drawn(1), drawn(3)], key="a")
    with pytest.raises(KeyReused):
        learn(ledger, held, [drawn(1), drawn(2)], options=LearningOptions(robust=True), key="a")


def test_what_cannot_be_learned_is_refused_and_leaves_no_trace(ledger, held, drawn):
    before = ledger.head()
    with pytest.raises(InvalidInput, match="1 of 1 images were never absorbed"):
        learn(ledger, held, [drawn(1)], options=LearningOptions(remove=True))
    with pytest.raises(InvalidInput, match="class 'hoop'; expected one of bar, disc, ring"):
        learn(ledger, held, [drawn(1, "hoop")], options=LearningOptions(remove=True))
    with pytest.raises(InvalidInput, match="no labels"):
        learn(ledger, held, [])
    with pytest.raises(InvalidInput, match="labels of run other"):
        learn(ledger, held, [LabelRecord(**{**vars(drawn(1)), "run": "other"})])
    for wrong in ({"trust_past": 0.0}, {"trust_past": 1.5}, {"trust_past": 0.5, "remove": True}):
        with pytest.raises(InvalidInput):
            LearningOptions(**wrong)
    assert ledger.head() == before


def test_a_run_changed_behind_the_ledger_is_refused(ledger, held, drawn, base_run, tmp_path):
    import shutil

    from bayesight.run import Run

    copy = Run.open(shutil.copytree(base_run.folder, tmp_path / "copy"))
    assert run_record(copy, copy.classifier()).run == held.run
    begin(ledger, copy)  # the same run in another folder
    after, _ = held.base.absorb(rows_of([drawn(1)], held.base.classes.names))
    copy.save_classifier(after)
    with pytest.raises(InvalidInput, match="another one than the ledger began with"):
        begin(ledger, copy)


def test_erasing_a_person_is_as_if_they_had_never_come(ledger, held, drawn, base_run, url, same_bits):
    kept = [[drawn(n, person="bob") for n in range(k, k + 3)] for k in (0, 20, 40)]
    follower = held
    held, _ = learn(ledger, held, kept[0])
    held, _ = learn(ledger, held, [drawn(10), drawn(11)], key="hers")
    held, _ = learn(ledger, held, [*kept[1], drawn(12)], options=LearningOptions(trust_past=0.9))
    ledger.append([drawn(13)])
    follower = catch_up(ledger, follower)
    held, erased = erase(ledger, held, person="alice")
    assert (erased.labels, erased.unlearned, erased.predictions, erased.in_base) == (4, 3, 0, 0)
    held, _ = learn(ledger, held, kept[2])
    expected, _ = absorb(held.base, rows_of(kept[0], held.base.classes.names))
    none = rows_of(kept[0], held.base.classes.names).at(torch.arange(0))
    expected, _ = absorb(expected, none)
    expected, _ = absorb(expected, rows_of(kept[1], held.base.classes.names), trust_past=0.9)
    expected, _ = absorb(expected, rows_of(kept[2], held.base.classes.names))
    assert same_bits(held.classifier, expected)
    # Who lags, and who starts anew, come to the same bits.
    for other in (catch_up(ledger, follower), begin(ledger, base_run)):
        assert other.exact
        assert same_bits(other.classifier, expected)
    assert ledger.queued(held.run) == []
    assert verify(ledger).erased == 4
    _, nothing = erase(ledger, held, person="alice")
    assert nothing.receipt is None
    # A client that repeats an erased request is told it was heard, and nothing comes back.
    size = ledger.head().sequence
    _, again = learn(ledger, held, [drawn(10), drawn(11)], key="hers")
    assert again.receipt.repeated
    assert ledger.head().sequence == size


def test_nothing_of_the_erased_is_left(ledger, held, drawn, tmp_path, url):
    hers = {"person": "Alice Liddell", "image": "9e107d9d372bb6826bd81d3542a419d6"}
    alice = LabelRecord(**{**vars(drawn(1)), **hers, "pixels": b"her very own picture"})
    held, _ = learn(ledger, held, [alice, drawn(2, person="bob")])
    held, erased = erase(ledger, held, person="Alice Liddell")
    assert (erased.labels, erased.unlearned) == (1, 1)
    assert ledger.labels_since(0)[0].record is None
    assert ledger.about(held.run, alice.image) == []
    if url.startswith("sqlite"):
        everything = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite*"))
        for secret in (
            b"Alice Liddell",
            b"her very own picture",
            alice.image.encode(),
            alice.features.tobytes(),
        ):
            assert secret not in everything


def test_erasing_an_image_takes_everybodys_word_on_it(ledger, held, drawn, prediction, base_run):
    from dataclasses import replace

    known = bytes(held.base.absorbed.digests[0].numpy()).hex()
    about = replace(prediction(1, "carl"), run=held.run, image=known, features=None)
    ledger.append([about])
    held, _ = learn(
        ledger, held, [replace(drawn(1), image=known), replace(drawn(2), image=known, person="bob")]
    )
    held, _ = learn(ledger, held, [replace(drawn(2), image=known)], options=LearningOptions(remove=True))
    held, _ = learn(ledger, held, [drawn(3)])
    held, erased = erase(ledger, held, image=known)
    assert (erased.labels, erased.predictions, erased.unlearned, erased.in_base) == (3, 1, 3, 1)
    replayed = begin(ledger, base_run)
    assert replayed.exact
    assert float((replayed.classifier.head.counts - held.base.head.counts).sum()) == 1
    for wrong in ({}, {"person": "a", "image": "b"}):
        with pytest.raises(InvalidInput, match="a person or an image"):
            erase(ledger, held, **wrong)


def test_an_erasure_that_touches_no_belief_leaves_it(ledger, held, drawn, base_run):
    held, _ = learn(ledger, held, [drawn(1)])
    ledger.append([drawn(2, person="bob")])
    after, erased = erase(ledger, held, person="bob")
    assert (erased.labels, erased.unlearned) == (1, 0)
    assert (after.belief, after.classifier) == (held.belief, held.classifier)
    assert catch_up(ledger, held).position == after.position
    assert begin(ledger, base_run).exact


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
        held = follower = begin(ledger, base_run)
        base, number, known = held.base, 0, []
        for what, person, count in steps:
            labels = []
            for _ in range(count):
                number += 1
                features = base.reference[number % len(base.reference)].numpy()
                labels.append(
                    LabelRecord(held.run, f"{number:032x}", "bar" if number % 2 else "new", person, features)
                )
            if what in ("learn", "discount"):
                held, _ = learn(
                    ledger, held, labels, options=LearningOptions(0.75 if what == "discount" else 1.0)
                )
                known += labels
            elif what == "queue":
                ledger.append(labels)
            elif what == "absorb":
                held, _ = absorb_queued(ledger, held, limit=count)
            elif what == "remove" and known:
                held, _ = learn(ledger, held, [known.pop()], options=LearningOptions(remove=True))
            elif what == "erase":
                held, _ = erase(ledger, held, person=person)
                known = [label for label in known if label.person != person]
            if count == 2:
                follower = catch_up(ledger, follower)
        follower, replayed = catch_up(ledger, follower), begin(ledger, base_run)
        assert replayed.exact
        assert follower.exact
        assert same_bits(replayed.classifier, held.classifier)
        assert same_bits(follower.classifier, held.classifier)
        assert verify(ledger).good


def test_a_snapshot_shortens_the_start_and_is_not_believed_blindly(
    ledger, held, drawn, base_run, monkeypatch, same_bits
):
    monkeypatch.setattr("bayesight.ledger.replay.SNAPSHOT_AFTER_S", 0.0)
    held, _ = learn(ledger, held, [drawn(1), drawn(2, "hoop")])
    held, _ = learn(ledger, held, [drawn(3)], options=LearningOptions(trust_past=0.5))
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
    assert same_bits(again.classifier, held.classifier)
    assert (again.position, again.belief) == (held.position, held.belief)
    held, _ = learn(ledger, held, [drawn(4)])
    assert same_bits(begin(ledger, base_run).classifier, held.classifier)
    assert folded == [held.position]
    assert same_bits(begin(ledger, base_run, fresh=True).classifier, held.classifier)
    assert len(folded) == 4
    with ledger.engine.begin() as connection:
        blob = bytearray(connection.exec_driver_sql("SELECT belief FROM snapshots").scalar())
        blob[-200] ^= 1
        connection.execute(tables.snapshots.update().values(belief=bytes(blob)))
    assert same_bits(begin(ledger, base_run).classifier, held.classifier)
    assert len(folded) == 7  # from the base again


def test_an_erasure_takes_the_snapshot_along(ledger, held, drawn, base_run, same_bits):
    held, _ = learn(ledger, held, [drawn(1)])
    held, _ = learn(ledger, held, [drawn(2, person="bob")])
    before = held
    assert save_snapshot(ledger, held)
    assert not save_snapshot(ledger, held)  # it is there
    held, _ = erase(ledger, held, person="alice")
    with ledger.engine.connect() as connection:
        assert connection.execute(tables.snapshots.select()).all() == []
    assert not save_snapshot(ledger, before)  # a process that lags must not bring it back
    assert save_snapshot(ledger, held)
    assert same_bits(begin(ledger, base_run).classifier, held.classifier)
