"""The labels of an image: which stand, what each replaced, and which a withdrawal would take back."""

from dataclasses import replace

import pytest

from bayesight.belief.corrections import RUN
from bayesight.ledger import LearningOptions, absorb_queued, learn, rename_class, take_back
from bayesight.ledger.applying import source_of
from bayesight.ledger.label_history import LabelEvent, LabelHistory, label_histories, own


def event(entry, label, person="ann", **more):
    given = {"update": entry + 1, "removing": False, "second": False, "taken_back": 0} | more
    return LabelEvent(entry, "2024-01-01", label, person, **given)


def standing(history, **more):
    return [(word.source, word.label) for word in history.standing(**more)]


ANN, BEN = source_of("ann"), source_of("ben")


def test_a_label_replaces_that_of_its_person_and_of_the_run():
    history = LabelHistory(("bar",), (event(2, "disc"), event(4, "ring", "ben"), event(6, "ring")))
    assert standing(history) == [(BEN, "ring"), (ANN, "ring")]
    assert standing(history, before=6) == [(ANN, "disc"), (BEN, "ring")]
    assert standing(history, before=2) == [(RUN, "bar")]
    assert [history.former(entry) for entry in (2, 4, 6, 99)] == ["bar", None, "disc", None]


def test_queued_labels_and_those_taken_back_do_not_stand():
    history = LabelHistory((), (event(2, "disc", taken_back=8), event(4, "ring", update=None)))
    assert standing(history) == []
    assert standing(history, before=4) == [(ANN, "disc")]  # it was taken back later


def test_a_second_reading_stands_beside_and_replaces_nothing():
    history = LabelHistory((), (event(2, "disc"), event(4, "ring", second=True)))
    assert standing(history) == [(ANN, "disc"), (ANN, "ring")]
    assert history.former(4) is None
    assert own(history.standing(), "ann") == "ring"


def test_an_image_taken_out_takes_the_last_label_of_its_class_along():
    history = LabelHistory(("disc",), (event(2, "disc", second=True), event(4, "disc", removing=True)))
    assert standing(history) == [(RUN, "disc")]


def test_a_withdrawal_takes_the_last_label_and_those_that_said_it_again():
    first, again, bens = event(4, "ring"), event(8, "ring"), event(6, "bar", "ben")
    history = LabelHistory(("bar",), (event(2, "disc"), first, bens, again))
    assert history.last("ann") == (first, again)
    assert history.last("ben") == (bens,)
    assert history.last("cat") == ()
    left = history.without(history.last("ann"))
    assert own(left.standing(), "ann") == "disc"
    assert own(left.without(left.last("ann")).standing(), "ann") is None  # ben has taken the run's away


def test_histories_are_read_from_the_ledger_by_todays_names(ledger, state, drawn):
    label = drawn(1, "bar")
    state, one = learn(ledger, state, [label, drawn(2)])
    state, _ = rename_class(ledger, state, "bar", "rod")
    state, two = learn(ledger, state, [replace(label, label="ring", second_reading=True)])
    ledger.append([replace(label, label="disc", person="ben")])
    found = label_histories(ledger, state, [label.image, "0" * 32])
    assert found["0" * 32] == LabelHistory((), ())
    events = found[label.image].events
    assert [(e.label, e.person, e.update, e.second) for e in events] == [
        ("rod", "alice", one.receipt.last, False),
        ("ring", "alice", two.receipt.last, True),
        ("disc", "ben", None, False),
    ]
    state, _ = absorb_queued(ledger, state)
    state, told = take_back(ledger, state, label.image, person="ben")
    state, _ = learn(ledger, state, [replace(label, label="ring")], options=LearningOptions(remove=True))
    events = label_histories(ledger, state, [label.image])[label.image].events
    assert [e.taken_back for e in events] == [0, 0, told.receipt.last, 0]
    assert [e.removing for e in events] == [False, False, False, True]


@pytest.mark.parametrize("count", [1, 3])
def test_many_images_are_asked_in_chunks(ledger, state, drawn, monkeypatch, count):
    monkeypatch.setattr("bayesight.ledger.label_history._CHUNK", 2)
    labels = [drawn(n) for n in range(count)]
    state, _ = learn(ledger, state, labels)
    found = label_histories(ledger, state, [label.image for label in labels])
    assert [found[label.image].events[0].label for label in labels] == [label.label for label in labels]
