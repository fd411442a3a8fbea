"""Labels into a belief and its ledger: as the run itself would learn them, once, by several at a time."""

import threading

import pytest

from bayesight.belief.updating import absorb
from bayesight.errors import InvalidInput, KeyReused
from bayesight.ledger import (
    LabelRecord,
    LearningOptions,
    Ledger,
    begin,
    belief_digest,
    catch_up,
    learn,
    verify,
)


def test_a_label_is_learned_as_the_run_itself_would_learn_it(ledger, state, drawn, same_bits, rows_of):
    labels = [drawn(n) for n in range(7)]
    after, learned = learn(ledger, state, labels, options=LearningOptions(trust_past=0.7, robust=True))
    rows = rows_of(labels, state.base.classes.names)
    expected, found = absorb(state.base, rows, trust_past=0.7, robust=True)
    assert same_bits(after.classifier, expected)
    assert learned.absorbed == found
    assert (learned.labels, learned.receipt.first, learned.receipt.last) == (7, 2, 9)
    assert after.belief == belief_digest(expected)
    assert state.classifier is state.base  # the state given stays as it was


def test_of_two_that_learn_each_sees_what_the_other_learned(ledger_url, base_run, drawn, same_bits, rows_of):
    labels = [drawn(n) for n in range(48)]
    ends = []

    def work(mine):
        with Ledger.open(ledger_url) as own:
            state = begin(own, base_run)
            for start in range(0, len(mine), 4):
                state, _ = learn(own, state, mine[start : start + 4], key=f"{mine[start].image}")
            ends.append(state)

    threads = [threading.Thread(target=work, args=(labels[who::2],)) for who in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Ledger.open(ledger_url) as own:
        one, other = (catch_up(own, state) for state in ends)
        assert same_bits(one.classifier, other.classifier)
        assert one.exact
        assert other.exact
        assert verify(own).good
        assert sorted(e.record.image for e in own.since(0, kinds=("label",))) == sorted(
            x.image for x in labels
        )
    at_once, _ = absorb(one.base, rows_of(labels, one.base.classes.names))
    features = one.base.reference
    together, apart = at_once.log_likelihood(features), one.classifier.log_likelihood(features)
    assert (together - apart).abs().max() < 1e-9 * together.abs().max()


def test_a_repeated_request_learns_once(ledger, state, drawn):
    state, first = learn(ledger, state, [drawn(1), drawn(2)], key="a")
    again, second = learn(ledger, state, [drawn(1), drawn(2)], key="a")
    assert (second.receipt, second.receipt.repeated, second.labels) == (first.receipt, True, 0)
    assert again.position == state.position
    with pytest.raises(KeyReused):
        learn(ledger, state, [drawn(1), drawn(3)], key="a")
    with pytest.raises(KeyReused):
        learn(ledger, state, [drawn(1), drawn(2)], options=LearningOptions(robust=True), key="a")


def test_what_cannot_be_learned_is_refused_and_leaves_no_trace(ledger, state, drawn):
    before = ledger.head()
    with pytest.raises(InvalidInput, match="1 of 1 images were never absorbed"):
        learn(ledger, state, [drawn(1)], options=LearningOptions(remove=True))
    with pytest.raises(InvalidInput, match="class 'hoop'; expected one of bar, disc, ring"):
        learn(ledger, state, [drawn(1, "hoop")], options=LearningOptions(remove=True))
    with pytest.raises(InvalidInput, match="no labels"):
        learn(ledger, state, [])
    with pytest.raises(InvalidInput, match="labels of run other"):
        learn(ledger, state, [LabelRecord(**{**vars(drawn(1)), "run": "other"})])
    for wrong in ({"trust_past": 0.0}, {"trust_past": 1.5}, {"trust_past": 0.5, "remove": True}):
        with pytest.raises(InvalidInput):
            LearningOptions(**wrong)
    assert ledger.head() == before
