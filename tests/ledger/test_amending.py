"""Labels corrected and taken back, classes renamed: one belief, replayed to the bit, and forgotten."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesight.errors import InvalidInput, KeyReused, UnknownName
from bayesight.ledger import (
    LabelRecord,
    LearningOptions,
    Ledger,
    UpdateRecord,
    absorb_queued,
    begin,
    belief_digest,
    catch_up,
    erase,
    learn,
    rename_class,
    take_back,
    verify,
)
from bayesight.ledger.applying import apply_update
from bayesight.ledger.label_history import label_histories


def close(one, other):
    """Two beliefs of the same labels, to the accuracy of removal."""
    assert one.classes.names == other.classes.names
    history = [
        sorted(zip(map(bytes, c.absorbed.digests.tolist()), c.absorbed.labels.tolist(), strict=True))
        for c in (one, other)
    ]
    assert history[0] == history[1]
    torch.testing.assert_close(one.head.counts, other.head.counts, atol=1e-9, rtol=0)
    features = one.reference[:40]
    torch.testing.assert_close(
        one.log_likelihood(features).softmax(1), other.log_likelihood(features).softmax(1), atol=1e-8, rtol=0
    )
    return True


def again(label, name, **more):
    return replace(label, label=name, **more)


def counts(state):
    return dict(zip(state.classifier.classes.names, state.classifier.head.counts.tolist(), strict=True))


def trained(state, row):
    """An image of the run's own, and the class it learned it under."""
    known = state.base.absorbed
    return bytes(known.digests[row].numpy()).hex(), state.base.classes.names[int(known.labels[row])]


def test_a_later_label_of_the_same_person_replaces_the_first(ledger, state, drawn, base_run, same_belief):
    wrong = drawn(1, "bar")
    first, _ = learn(ledger, state, [wrong, drawn(2)])
    after, learned = learn(ledger, first, [again(wrong, "ring")])
    assert learned.corrections.corrected.tolist() == [True]
    alone, _ = learn_apart(state, [drawn(2), again(wrong, "ring")])
    assert close(after.classifier, alone)
    told, repeated = learn(ledger, after, [again(wrong, "ring")])
    assert repeated.corrections.repeated == 1
    assert torch.equal(told.classifier.head.sums, after.classifier.head.sums)
    beside, _ = learn(ledger, told, [again(wrong, "ring", second_reading=True)])
    assert counts(beside)["ring"] == pytest.approx(counts(after)["ring"] + 1)
    history = label_histories(ledger, beside, [wrong.image])[wrong.image]
    befores = [history.former(one.entry) for one in history.events]
    assert befores == [None, "bar", "ring", None]
    assert begin(ledger, base_run).exact
    assert same_belief(begin(ledger, base_run).classifier, beside.classifier)
    assert verify(ledger).good


def learn_apart(state, labels):
    """The belief that only ever saw these."""
    made = UpdateRecord(state.run, 0, "", "", corrects=True)
    names = state.base.classes.names
    made = replace(made, new_classes=tuple(dict.fromkeys(x.label for x in labels if x.label not in names)))
    return apply_update(state.base, made, labels)


def test_people_have_each_their_word_and_the_runs_own_gives_way(ledger, state, drawn):
    known, was = trained(state, 0)
    others = [name for name in state.base.classes.names if name != was]
    label = again(drawn(1), others[0], image=known)
    start = counts(state)
    ann, _ = learn(ledger, state, [label])
    assert counts(ann) == pytest.approx({**start, was: start[was] - 1, others[0]: start[others[0]] + 1})
    ben, _ = learn(ledger, ann, [again(label, others[1], person="ben")])
    assert counts(ben)[others[0]] == pytest.approx(counts(ann)[others[0]])
    assert counts(ben)[others[1]] == pytest.approx(counts(ann)[others[1]] + 1)
    history = label_histories(ledger, ben, [known])[known]
    assert [history.former(one.entry) for one in history.events] == [was, None]


def test_an_old_ledger_in_which_labels_piled_up_is_replayed_as_it_was(
    ledger, state, drawn, base_run, same_belief
):
    labels = [drawn(1, "bar"), drawn(1, "ring"), drawn(1, "ring")]
    for label in labels:
        old = UpdateRecord(state.run, state.position, state.belief, "")
        after, _ = apply_update(state.classifier, old, [label])
        made = replace(old, after=belief_digest(after))
        receipt = ledger.append_update(made, [label])
        state = replace(state, classifier=after, position=receipt.last, belief=made.after)
    assert len(state.classifier.absorbed.labels) == len(state.base.absorbed.labels) + 3
    replayed = begin(ledger, base_run)
    assert replayed.exact
    assert same_belief(replayed.classifier, state.classifier)
    assert len(label_histories(ledger, replayed, [labels[0].image])[labels[0].image].standing()) == 3
    now, _ = learn(ledger, replayed, [drawn(1, "disc")])  # a label of today replaces all of them
    assert close(now.classifier, learn_apart(state, [drawn(1, "disc")])[0])


def test_of_queued_labels_of_one_image_the_last_counts(ledger, state, drawn, base_run):
    one = drawn(1, "bar")
    ledger.append([one, drawn(2)])
    ledger.append([again(one, "disc"), again(one, "ring"), again(one, "disc", person="ben")])
    after, learned = absorb_queued(ledger, state)
    assert (learned.labels, len(learned.corrections.superseded)) == (5, 2)
    kept = [drawn(2), again(one, "ring"), again(one, "disc", person="ben")]
    assert close(after.classifier, learn_apart(state, kept)[0])
    assert begin(ledger, base_run).exact


def test_a_label_taken_back_is_as_if_it_had_never_been_given(ledger, state, drawn, base_run, same_belief):
    follower = state
    label = drawn(1, "rign")
    first, _ = learn(ledger, state, [label, drawn(2)])
    right, _ = learn(ledger, first, [again(label, "ring")])
    assert "rign" not in right.classifier.classes.names
    follower = catch_up(ledger, follower)
    back, told = take_back(ledger, right, label.image, person="alice", key="1")
    assert (told.was, told.now) == ("ring", "rign")
    assert close(back.classifier, first.classifier)
    repeated, same = take_back(ledger, back, label.image, person="alice", key="1")
    assert same.receipt == told.receipt
    assert repeated.position == back.position
    with pytest.raises(KeyReused):
        take_back(ledger, back, drawn(2).image, person="alice", key="1")
    gone, told = take_back(ledger, back, label.image, person="alice")
    assert (told.was, told.now, told.gone_classes) == ("rign", None, ("rign",))
    assert close(gone.classifier, learn_apart(state, [drawn(2)])[0])
    with pytest.raises(InvalidInput, match="a label given by 'alice' that stands"):
        take_back(ledger, gone, label.image, person="alice")
    with pytest.raises(InvalidInput, match="a label given without a name that stands"):
        take_back(ledger, gone, drawn(2).image)
    for other in (catch_up(ledger, follower), begin(ledger, base_run)):
        assert other.exact
        assert same_belief(other.classifier, gone.classifier)
    assert verify(ledger).good


def test_a_queued_label_is_learned_and_then_taken_back(ledger, state, drawn):
    ledger.append([drawn(1, "bar"), drawn(1, "ring")])
    after, told = take_back(ledger, state, drawn(1).image, person="alice")
    assert (told.was, told.now) == ("ring", "bar")
    assert close(after.classifier, learn_apart(state, [drawn(1, "bar")])[0])
    assert ledger.queued(state.run) == []


def test_the_runs_own_label_comes_back_once_nobody_contradicts_it(ledger, state, drawn):
    known, was = trained(state, 3)
    features = state.base.absorbed.exemplars[state.base.absorbed.exemplar_rows == 3][0].float().numpy()
    other = next(name for name in state.base.classes.names if name != was)
    label = LabelRecord(state.run, known, other, "ann", features)
    now, _ = learn(ledger, state, [label])
    now, _ = learn(ledger, now, [replace(label, person="ben")])
    now, told = take_back(ledger, now, known, person="ann")
    assert (told.was, told.now) == (other, None)
    assert counts(now)[was] == pytest.approx(counts(state)[was] - 1)
    now, told = take_back(ledger, now, known, person="ben")
    assert (told.was, told.now) == (other, was)
    assert counts(now) == pytest.approx(counts(state))


def test_a_class_is_renamed_for_what_was_and_what_is_queued(ledger, state, drawn, base_run, same_belief):
    state, _ = learn(ledger, state, [drawn(1, "hoop"), drawn(2, "hoop")])
    ledger.append([drawn(3, "hoop")])
    after, receipt = rename_class(ledger, state, "hoop", "wheel", person="alice", key="k")
    assert after.classifier.classes.names[-1] == "wheel"
    assert rename_class(ledger, after, "hoop", "wheel", person="alice", key="k")[1] == receipt
    assert (after.name_now("hoop"), after.name_now("hoop", receipt.last)) == ("wheel", "hoop")
    late = ledger.append([drawn(4, "hoop")])  # somebody calls something a hoop again
    after, learned = absorb_queued(ledger, after)
    assert learned.new_classes == ("hoop",)
    with pytest.raises(InvalidInput, match="already"):
        rename_class(ledger, after, "hoop", "wheel")
    with pytest.raises(UnknownName):
        rename_class(ledger, after, "circle", "round")
    history = label_histories(ledger, after, [drawn(1).image, drawn(4).image])
    assert [history[drawn(n).image].events[0].label for n in (1, 4)] == ["wheel", "hoop"]
    assert late.first == history[drawn(4).image].events[0].entry
    back, told = take_back(ledger, after, drawn(1).image, person="alice")
    assert told.was == "wheel"
    assert counts(back)["wheel"] == pytest.approx(2)
    replayed = begin(ledger, base_run)
    assert replayed.exact
    assert same_belief(replayed.classifier, back.classifier)
    assert replayed.renames == back.renames


def test_a_label_queued_before_its_class_was_renamed_is_of_that_class(ledger, state, drawn, monkeypatch):
    other, _ = learn(ledger, state, [drawn(1, "hoop")])
    queued = drawn(2, "hoop")
    appended = ledger.append_change

    def late(made, key=""):  # a label arrives after the queue was emptied, and before the name is changed
        monkeypatch.setattr(ledger, "append_change", appended)
        ledger.append([queued])
        return appended(made, key)

    monkeypatch.setattr(ledger, "append_change", late)
    other, _ = rename_class(ledger, other, "hoop", "wheel")
    after, learned = absorb_queued(ledger, other)
    assert (learned.new_classes, learned.labels) == ((), 1)
    assert counts(after)["wheel"] == pytest.approx(2)


def test_erasing_somebody_brings_back_what_they_had_corrected(ledger, state, drawn, base_run):
    known, was = trained(state, 3)
    other = next(name for name in state.base.classes.names if name != was)
    label = again(drawn(1), other, image=known, person="ann")
    now, _ = learn(ledger, state, [label, drawn(2, "hoop", person="ann")])
    now, _ = learn(ledger, now, [drawn(3, person="ben"), again(drawn(2), was, person="ann")])
    assert "hoop" not in now.classifier.classes.names
    now, _ = take_back(ledger, now, drawn(2).image, person="ann")
    now, _ = rename_class(ledger, now, other, "another", person="ann")
    now, found = erase(ledger, now, person="ann")
    assert (found.labels, found.unlearned) == (3, 3)
    kept, _ = learn_apart(state, [drawn(3, person="ben")])
    torch.testing.assert_close(now.classifier.head.counts[:3], kept.head.counts, atol=1e-9, rtol=0)
    for entry in ledger.since(0):
        assert getattr(entry.record, "person", "") != "ann"
    assert begin(ledger, base_run).exact
    assert verify(ledger).good


def test_a_name_given_to_a_class_that_an_erasure_brings_back_is_that_classs(
    ledger, state, drawn, base_run, discs_called_rings
):
    now, _ = learn(ledger, state, discs_called_rings)
    now, _ = rename_class(ledger, now, "ring", "disc", person="ben")
    now, _ = learn(ledger, now, [drawn(1, "disc", person="ben")])
    now, _ = erase(ledger, now, person="ann")
    assert counts(now)["disc"] == pytest.approx(counts(state)["disc"] + 1)
    assert begin(ledger, base_run).exact


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["learn", "discount", "queue", "absorb", "back", "rename", "erase", "remove"]),
        st.sampled_from(["ann", "ben"]),
        st.integers(0, 3),
        st.sampled_from(["bar", "ring", "hoop", "rign"]),
    ),
    min_size=2,
    max_size=12,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_is_corrected_replay_and_followers_agree(tmp_path_factory, base_run, steps, same_belief):
    with Ledger.open(str(tmp_path_factory.mktemp("law") / "ledger.sqlite")) as ledger:
        state = follower = begin(ledger, base_run)
        base = state.base
        known, _ = trained(state, 0)
        for number, (what, person, image, name) in enumerate(steps):
            features = base.reference[image].numpy() + np.float32(0.001 * image)
            digest = known if image == 0 else f"{image:032x}"
            label = LabelRecord(state.run, digest, name, person, features)
            now = state.classifier.classes.names
            try:
                if what in ("learn", "discount"):
                    state, _ = learn(
                        ledger, state, [label], options=LearningOptions(0.75 if what == "discount" else 1.0)
                    )
                elif what == "queue":
                    ledger.append([label])
                elif what == "absorb":
                    state, _ = absorb_queued(ledger, state)
                elif what == "back":
                    state, told = take_back(ledger, state, digest, person=person)
                    said = label_histories(ledger, state, [digest])[digest].events
                    assert told.was in {one.label for one in said if one.taken_back}
                elif what == "rename":
                    state, _ = rename_class(ledger, state, now[image % len(now)], f"{name}{number}")
                elif what == "remove" and name in now:
                    state, _ = learn(ledger, state, [label], options=LearningOptions(remove=True))
                elif what == "erase":
                    state, _ = erase(ledger, state, person=person)
            except InvalidInput:  # nothing to take back or out
                state = catch_up(ledger, state)
            if image == 2:
                follower = catch_up(ledger, follower)
            # What the ledger says stands is what the belief holds.
            for which in (known, *(f"{n:032x}" for n in (1, 2, 3))):
                stands = label_histories(ledger, state, [which])[which].standing()
                rows = [
                    (int(s), state.classifier.classes.names[int(y)])
                    for d, y, s in zip(
                        state.classifier.absorbed.digests.tolist(), state.classifier.absorbed.labels,
                        state.classifier.absorbed.sources, strict=True,
                    )
                    if bytes(d).hex() == which
                ]  # fmt: skip
                assert sorted((word.source, word.label) for word in stands) == sorted(rows)
        follower, replayed = catch_up(ledger, follower), begin(ledger, base_run)
        for other in (follower, replayed):
            assert other.exact
            assert same_belief(other.classifier, state.classifier)
        assert verify(ledger).good
