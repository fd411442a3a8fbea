"""A later label of one source replaces the earlier, exactly; one taken back is as if it had never come."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.belief.corrections import RUN, StandingLabel, add_label, compare
from bayesight.belief.updating import absorb, emptied, take_back
from bayesight.errors import InvalidInput, UnknownName

NAMES = ("bar", "disc", "ring")
ANN, BEN = 71, 83


def said(rows, label=None, source=RUN, *, second=False):
    """The same images by a source, called another class."""
    labels = rows.labels if label is None else torch.full_like(rows.labels, label)
    return replace(
        rows,
        labels=labels,
        sources=torch.full_like(labels, source),
        second=torch.full_like(labels, int(second), dtype=torch.bool),
    )


def shifted(rows, by):
    return replace(rows, labels=(rows.labels + by) % 3)


@pytest.fixture(scope="session")
def trained(fit):
    """A classifier that has absorbed 90 rows; frozen, so tests may share it."""
    return fit()


@pytest.fixture(scope="session")
def same(rows):
    """Assert that two beliefs hold the same labels, and say the same to 1e-8."""
    asked = rows(50, 2).features

    def held(belief):
        words = zip(
            belief.absorbed.digests.tolist(), belief.absorbed.labels.tolist(),
            belief.absorbed.sources.tolist(), belief.absorbed.weights.tolist(), strict=True,
        )  # fmt: skip
        return sorted((bytes(d), belief.classes.names[y], s, round(w, 9)) for d, y, s, w in words)

    def posterior(belief):
        return (belief.log_likelihood(asked) + belief.prior.log()).softmax(dim=1)

    def compare(one, other):
        assert one.classes.names == other.classes.names
        assert held(one) == held(other)
        torch.testing.assert_close(one.head.counts, other.head.counts, atol=1e-9, rtol=0)
        torch.testing.assert_close(one.head.second_moments, other.head.second_moments, atol=1e-8, rtol=1e-9)
        torch.testing.assert_close(posterior(one), posterior(other), atol=1e-8, rtol=0)
        torch.testing.assert_close(
            one.novelty(asked).sort().values, other.novelty(asked).sort().values, atol=1e-4, rtol=0
        )
        return True

    return compare


@settings(deadline=None, max_examples=25)
@given(
    count=st.integers(1, 30),
    others=st.integers(0, 20),
    trust=st.floats(0.05, 1),
    by=st.integers(1, 2),
    source=st.sampled_from([RUN, ANN]),
    seed=st.integers(0, 99),
)
def test_a_corrected_label_leaves_no_trace_of_the_first(
    rows, same, trained, count, others, trust, by, source, seed
):
    """absorb(a as x), discount, others, absorb(a as y) = discount, others, absorb(a as y)."""
    a, b = rows(count, 100 + seed), rows(others, 300 + seed)
    weights = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    wrong, right = said(shifted(a, by), source=source), said(a, source=source)
    first = trained.with_rows(wrong, weights=weights)[0].discount(trust)
    corrected, _ = absorb(absorb(first, b)[0], right)
    alone, _ = absorb(absorb(trained.discount(trust), b)[0], right)
    assert same(corrected, alone)
    before, _ = absorb(first, right)  # the others' place does not matter
    assert same(absorb(before, b)[0], corrected)


@settings(deadline=None, max_examples=15)
@given(trust=st.floats(0.05, 0.99), seed=st.integers(0, 99))
def test_a_correction_that_discounts_takes_out_what_the_first_label_counts_by_then(
    rows, trained, trust, seed
):
    a = rows(7, 100 + seed)
    first, _ = absorb(trained, said(shifted(a, 1)))
    corrected, _ = absorb(first, a, trust_past=trust)
    alone, _ = absorb(trained, a, trust_past=trust)
    counts = trained.head.counts * trust + torch.bincount(a.labels, minlength=3)
    torch.testing.assert_close(corrected.head.counts, counts, atol=1e-9, rtol=0)
    torch.testing.assert_close(corrected.head.sums, alone.head.sums, atol=1e-8, rtol=1e-9)
    torch.testing.assert_close(corrected.absorbed.weights, alone.absorbed.weights)


def test_a_robust_correction_is_weighed_by_the_belief_without_the_first_label(rows, same, trained):
    a = rows(20, 100)
    first, _ = absorb(trained, said(shifted(a, 1)))
    assert same(absorb(first, a, robust=True)[0], absorb(trained, a, robust=True)[0])


def test_training_images_are_corrected_like_any_other(rows, same, trained):
    train = rows(90, 0)
    few = train.at(torch.arange(12))
    found = compare(trained.absorbed, shifted(few, 1))
    assert found.former.tolist() == few.labels.tolist()
    assert (int(found.corrected.sum()), found.repeated, len(found.replaced)) == (12, 0, 12)
    after, learned = absorb(trained, shifted(few, 1))
    assert learned.rows == 12
    assert len(after.absorbed.labels) == 90
    by_heart = torch.ones(12, dtype=torch.bool)  # the network learned these images, whatever they are called
    expected, _ = trained.remove(few).with_rows(shifted(few, 1), trained=by_heart)
    assert same(after, expected)


def test_the_same_label_again_changes_nothing_to_the_bit(rows, trained):
    a = rows(5, 100)
    once, _ = absorb(trained.discount(0.5), a)
    again, learned = absorb(once, a)
    assert learned.rows == 0
    assert torch.equal(again.head.sums, once.head.sums)
    assert torch.equal(again.absorbed.weights, once.absorbed.weights)
    assert compare(once.absorbed, a).repeated == 5
    weaker = once.discount(0.5)  # nor does it count for more because it was said again
    assert torch.equal(absorb(weaker, a)[0].absorbed.weights, weaker.absorbed.weights)


def test_a_second_reading_counts_beside_the_first_and_goes_with_it(rows, same, trained):
    a = rows(1, 100)
    twice, learned = absorb(absorb(trained, said(a, 0, ANN))[0], said(a, 0, ANN, second=True))
    assert learned.rows == 1
    assert float((twice.head.counts - trained.head.counts)[0]) == pytest.approx(2)
    assert same(absorb(twice, said(a, 1, ANN))[0], absorb(trained, said(a, 1, ANN))[0])


def test_two_people_each_have_their_word_and_either_outweighs_the_run(rows, trained):
    few = rows(90, 0).at(torch.arange(1))
    other, third = (int(few.labels) + 1) % 3, (int(few.labels) + 2) % 3
    ann, _ = absorb(trained, said(few, other, ANN))
    both, _ = absorb(ann, said(few, third, BEN))
    change = (both.head.counts - trained.head.counts).tolist()
    expected = [0.0, 0.0, 0.0]
    expected[int(few.labels)], expected[other], expected[third] = -1, 1, 1
    assert change == pytest.approx(expected, abs=1e-9)
    corrected, _ = absorb(both, said(few, other, BEN))
    assert float((corrected.head.counts - trained.head.counts)[other]) == pytest.approx(2)


def test_of_several_labels_in_one_batch_the_last_counts(rows, same, trained):
    a = rows(2, 100)
    one, other = a.at(torch.tensor([0])), a.at(torch.tensor([1]))
    batch = said(one, 0, ANN)
    for more in (said(other, 1, ANN), said(one, 2, ANN), said(one, 1, BEN), said(one, 2, ANN)):
        batch = batch.joined(more)
    found = compare(trained.absorbed, batch)
    assert found.learned.tolist() == [1, 2, 3]
    assert (found.repeated, found.superseded) == (1, ((0, 2),))
    after, _ = absorb(trained, batch)
    plain = said(other, 1, ANN).joined(said(one, 2, ANN)).joined(said(one, 1, BEN))
    assert same(after, absorb(trained, plain)[0])


STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([ANN, BEN]), st.integers(0, 4)), max_size=9)


@settings(deadline=None, max_examples=40)
@given(steps=STEPS)
def test_taking_back_is_as_if_the_label_had_never_been_given(rows, same, trained, steps):
    """Against the slow and obvious version: everything that was not taken back, said anew, one by one."""
    images = rows(90, 0).at(torch.arange(2)).joined(rows(1, 100))
    after, kept, expected = trained, [], trained
    for image, source, label in steps:
        row = images.at(torch.tensor([image]))
        if label < 3:
            after, _ = absorb(after, said(row, label, source))
            mine = [one for one in kept if one[:2] == (image, source)]
            if not mine or mine[-1][2] != label:  # said again, it is the same label
                kept.append((image, source, label))
        else:
            after = take_back(after, said(row, None, source))
            place = max((i for i, one in enumerate(kept) if one[:2] == (image, source)), default=None)
            if place is not None:
                del kept[place]
    for image, source, label in kept:
        expected, _ = absorb(expected, said(images.at(torch.tensor([image])), label, source))
    assert same(after, expected)


def test_what_comes_back_counts_as_if_it_had_stayed(rows, same, trained):
    a = rows(1, 100)
    first, _ = trained.with_rows(said(a, 0, ANN), weights=torch.tensor([0.4], dtype=torch.float64))
    wrong, _ = absorb(first.discount(0.5), said(a, 2, ANN))
    back = take_back(wrong.discount(0.5), said(a, None, ANN))
    assert back.replaced == ()
    assert same(back, first.discount(0.5).discount(0.5))


def test_a_class_that_loses_its_last_image_can_go_and_come_again(rows, same, trained):
    a = rows(2, 100)
    typed, _ = absorb(trained, said(a, 3, ANN), ("rign",))
    assert emptied(trained, typed) == ()
    right, _ = absorb(typed, said(a, 2, ANN))
    assert emptied(typed, right) == ("rign",)
    gone = right.without_class("rign")
    assert same(gone, absorb(trained, said(a, 2, ANN))[0])
    back = take_back(
        take_back(gone, said(a.at(torch.tensor([0])), None, ANN)), said(a.at(torch.tensor([1])), None, ANN)
    )
    assert back.classes.names == (*NAMES, "rign")
    assert same(back, typed)
    with pytest.raises(InvalidInput, match="2 images of it"):
        typed.without_class("rign")


def test_a_founding_class_goes_with_its_held_out_images_and_two_classes_stay(rows, trained):
    train = rows(90, 0)
    disc = train.at(torch.nonzero(train.labels == 1)[:, 0])
    after, _ = absorb(trained, said(disc, 2))
    assert emptied(trained, after) == ("disc",)
    left = after.without_class("disc")
    assert left.classes.names == left.head.classes == ("bar", "ring")
    assert left.head.founding == 2
    assert len(left.reference) == len(left.reference_labels) == int((trained.reference_labels != 1).sum())
    assert set(left.absorbed.labels.tolist()) == set(left.reference_labels.tolist()) == {0, 1}
    asked = rows(20, 2).features
    kept = [0, 2]
    torch.testing.assert_close(
        left.log_likelihood(asked), after.log_likelihood(asked)[:, kept], atol=1e-9, rtol=0
    )
    rest, _ = absorb(left, said(train, 0))
    assert emptied(left, rest) == ()


def test_a_class_is_renamed_and_nothing_else(rows, trained):
    after = trained.renamed("disc", "hoop")
    assert after.classes.names == after.head.classes == ("bar", "hoop", "ring")
    asked = rows(20, 2).features
    assert torch.equal(after.log_likelihood(asked), trained.log_likelihood(asked))
    with pytest.raises(UnknownName, match="did you mean 'ring'"):
        trained.renamed("rign", "hoop")
    with pytest.raises(InvalidInput, match="give the images of one the label of the other"):
        trained.renamed("disc", "ring")


def test_removing_an_image_forgets_what_its_label_had_replaced(rows, same, trained):
    a = rows(1, 100)
    right, _ = absorb(absorb(trained, said(a, 0, ANN))[0], said(a, 2, ANN))
    assert len(right.replaced) == 1
    gone = right.remove(said(a, 2))
    assert gone.replaced == ()
    assert same(gone, trained)


def test_labels_of_others_are_left_alone():
    ann, ben, run = StandingLabel(ANN, "ring", 1), StandingLabel(BEN, "bar", 2), StandingLabel(RUN, "disc", 3)
    assert add_label((run, ben), ann) == ((ben, ann), (run,))
    assert add_label((ben, ann), replace(ann, place=9)) == ((ben, ann), ())
    assert add_label((ann,), replace(ann, place=9), second=True)[0] == (ann, replace(ann, place=9))
