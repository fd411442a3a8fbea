"""Somebody erased: nothing of theirs is left, and the belief is as if they had never come."""

import pytest
import torch

from bayesight.belief.updating import absorb
from bayesight.errors import InvalidInput
from bayesight.ledger import (
    LabelRecord,
    LearningOptions,
    begin,
    catch_up,
    erase,
    learn,
    verify,
)


def test_erasing_a_person_is_as_if_they_had_never_come(ledger, state, drawn, base_run, same_bits, rows_of):
    kept = [[drawn(n, person="bob") for n in range(k, k + 3)] for k in (0, 20, 40)]
    follower = state
    state, _ = learn(ledger, state, kept[0])
    state, _ = learn(ledger, state, [drawn(10), drawn(11)], key="hers")
    state, _ = learn(ledger, state, [*kept[1], drawn(12)], options=LearningOptions(trust_past=0.9))
    ledger.append([drawn(13)])
    follower = catch_up(ledger, follower)
    state, erased = erase(ledger, state, person="alice")
    assert (erased.labels, erased.unlearned, erased.predictions, erased.in_base) == (4, 3, 0, 0)
    state, _ = learn(ledger, state, kept[2])
    expected, _ = absorb(state.base, rows_of(kept[0], state.base.classes.names))
    none = rows_of(kept[0], state.base.classes.names).at(torch.arange(0))
    expected, _ = absorb(expected, none)
    expected, _ = absorb(expected, rows_of(kept[1], state.base.classes.names), trust_past=0.9)
    expected, _ = absorb(expected, rows_of(kept[2], state.base.classes.names))
    assert same_bits(state.classifier, expected)
    # Who lags, and who starts anew, come to the same bits.
    for other in (catch_up(ledger, follower), begin(ledger, base_run)):
        assert other.exact
        assert same_bits(other.classifier, expected)
    assert ledger.queued(state.run) == []
    assert verify(ledger).erased == 4
    _, nothing = erase(ledger, state, person="alice")
    assert nothing.receipt is None
    # A client that repeats an erased request is told it was heard, and nothing comes back.
    size = ledger.head().sequence
    _, again = learn(ledger, state, [drawn(10), drawn(11)], key="hers")
    assert again.receipt.repeated
    assert ledger.head().sequence == size


def test_nothing_of_the_erased_is_left(ledger, state, drawn, tmp_path, ledger_url):
    hers = {"person": "Alice Liddell", "image": "9e107d9d372bb6826bd81d3542a419d6"}
    alice = LabelRecord(**{**vars(drawn(1)), **hers, "pixels": b"her very own picture"})
    state, _ = learn(ledger, state, [alice, drawn(2, person="bob")])
    state, erased = erase(ledger, state, person="Alice Liddell")
    assert (erased.labels, erased.unlearned) == (1, 1)
    assert ledger.since(0, kinds=("label",))[0].record is None
    assert ledger.about(state.run, alice.image) == []
    if ledger_url.startswith("sqlite"):
        everything = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite*"))
        for secret in (
            b"Alice Liddell",
            b"her very own picture",
            alice.image.encode(),
            alice.features.tobytes(),
        ):
            assert secret not in everything


def test_erasing_an_image_takes_everybodys_word_on_it(ledger, state, drawn, prediction, base_run):
    from dataclasses import replace

    known = bytes(state.base.absorbed.digests[0].numpy()).hex()
    about = replace(prediction(1, "carl"), run=state.run, image=known, features=None)
    ledger.append([about])
    state, _ = learn(
        ledger, state, [replace(drawn(1), image=known), replace(drawn(2), image=known, person="bob")]
    )
    state, _ = learn(ledger, state, [replace(drawn(2), image=known)], options=LearningOptions(remove=True))
    state, _ = learn(ledger, state, [drawn(3)])
    state, erased = erase(ledger, state, image=known)
    assert (erased.labels, erased.predictions, erased.unlearned, erased.in_base) == (3, 1, 3, 1)
    replayed = begin(ledger, base_run)
    assert replayed.exact
    assert float((replayed.classifier.head.counts - state.base.head.counts).sum()) == 1
    for wrong in ({}, {"person": "a", "image": "b"}):
        with pytest.raises(InvalidInput, match="a person or an image"):
            erase(ledger, state, **wrong)


def test_an_erasure_that_touches_no_belief_leaves_it(ledger, state, drawn, base_run):
    state, _ = learn(ledger, state, [drawn(1)])
    ledger.append([drawn(2, person="bob")])
    after, erased = erase(ledger, state, person="bob")
    assert (erased.labels, erased.unlearned) == (1, 0)
    assert (after.belief, after.classifier) == (state.belief, state.classifier)
    assert catch_up(ledger, state).position == after.position
    assert begin(ledger, base_run).exact
