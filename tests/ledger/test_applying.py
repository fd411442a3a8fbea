"""Records to beliefs: how each is computed, the first time and replayed."""

from dataclasses import replace

import pytest
import torch

from bayesight.belief.corrections import RUN
from bayesight.belief.updating import absorb
from bayesight.ledger import RenameRecord, UpdateRecord, WithdrawalRecord, belief_digest
from bayesight.ledger.applying import (
    apply_rename,
    apply_update,
    apply_withdrawal,
    labels_now,
    name_now,
    row_of,
    source_of,
)


@pytest.fixture
def made(state):
    return UpdateRecord(state.run, 1, "", "", threads=torch.get_num_threads(), corrects=True)


@pytest.fixture
def withdrawn(state, drawn):
    return WithdrawalRecord(state.run, drawn(1).image, "alice", 3, "", "", (2,))


def test_an_update_is_absorbed_as_its_record_says(state, drawn, made):
    labels = [drawn(1), drawn(2, "hoop"), drawn(3)]
    made = replace(made, new_classes=("hoop",), trust_past=0.5, robust=True)
    after, told = apply_update(state.base, made, labels)
    rows = [row_of(label) for label in labels]
    batch = rows[0].joined(rows[1]).joined(rows[2])
    names = (*state.base.classes.names, "hoop")
    batch = replace(batch, labels=torch.tensor([names.index(label.label) for label in labels]))
    expected, learned = absorb(state.base, batch, ("hoop",), trust_past=0.5, robust=True)
    assert belief_digest(after) == belief_digest(expected)
    assert (told.absorbed, told.new_classes, told.labels) == (learned, ("hoop",), 3)


def test_a_class_that_an_erasure_left_there_is_not_made_twice(state, drawn, made):
    made = replace(made, new_classes=("hoop",))
    once, _ = apply_update(state.base, made, [drawn(1, "hoop")])
    twice, told = apply_update(once, made, [drawn(2, "hoop")])
    assert (twice.classes.names.count("hoop"), told.new_classes) == (1, ())


def test_labels_of_a_ledger_before_corrections_count_beside_each_other(state, drawn, made):
    labels = [drawn(1, "bar"), drawn(1, "ring")]
    for corrects, more in ((True, 1), (False, 2)):
        after, _ = apply_update(state.base, replace(made, corrects=corrects), labels)
        assert float((after.head.counts - state.base.head.counts).sum()) == pytest.approx(more)


def test_a_replay_computes_with_the_threads_of_then_and_leaves_those_of_now(state, drawn, made, monkeypatch):
    seen, now = [], torch.get_num_threads()
    monkeypatch.setattr(
        "bayesight.ledger.applying.update_belief",
        lambda *_, **__: seen.append(torch.get_num_threads()) or (state.base, None),
    )
    apply_update(state.base, replace(made, threads=now + 1), [drawn(1)])
    apply_update(state.base, replace(made, threads=now), [drawn(1)])
    assert seen == [now + 1, now]
    assert torch.get_num_threads() == now


def test_a_withdrawal_undoes_and_without_its_label_does_nothing(state, drawn, made, withdrawn):
    made = replace(made, new_classes=("hoop",))
    taught, _ = apply_update(state.base, made, [drawn(1, "hoop")])
    assert apply_withdrawal(taught, withdrawn, []) is taught
    back = apply_withdrawal(taught, replace(withdrawn, gone_classes=("hoop",)), [drawn(1, "hoop")])
    assert back.classes.names == state.base.classes.names
    torch.testing.assert_close(back.head.sums, state.base.head.sums, atol=1e-8, rtol=0)


def test_a_rename_waits_for_its_class_and_makes_no_two_into_one(state):
    rename = RenameRecord(state.run, "bar", "rod", 1, "", "")
    assert apply_rename(state.base, rename).classes.names[0] == "rod"
    for other in (replace(rename, old="hoop"), replace(rename, new="disc")):
        assert apply_rename(state.base, other) is state.base


def test_names_are_followed_from_when_they_were_said():
    renames = ((5, "hoop", "ring"), (9, "ring", "wheel"), (12, "disc", "ring"))
    assert [name_now(renames, "hoop", at) for at in (0, 4, 5, 20)] == ["wheel", "wheel", "hoop", "hoop"]
    assert [name_now(renames, "ring", at) for at in (0, 9)] == ["wheel", "ring"]
    assert name_now(renames, "disc", 11) == "ring"


def test_queued_labels_are_of_the_class_as_it_is_called_now(ledger, state, drawn):
    receipt = ledger.append([drawn(1, "bar"), drawn(2, "disc")])
    renames = ((receipt.last + 1, "bar", "rod"),)
    found = labels_now([*ledger.queued(state.run), *ledger.runs()], renames)
    assert [label.label for label in found] == ["rod", "disc"]


def test_people_are_told_apart_and_none_is_the_run_itself():
    sources = {source_of(person) for person in ("", "ann", "ben", "Ann")}
    assert len(sources - {RUN}) == 4
    assert all(0 < source < 2**63 for source in sources)
    assert source_of("ann") == 20707506439146305  # the same in every process
