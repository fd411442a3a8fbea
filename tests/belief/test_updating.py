"""One labelled batch into a belief or out of it: its outcome, and the classes that come and go with it."""

import pytest
import torch

from bayesight.belief.absorbed import Rows
from bayesight.belief.updating import LearningOptions, absorb, update_belief
from bayesight.errors import InvalidInput


@pytest.fixture(scope="module")
def hoops(rows):
    """Twelve images of a fourth class."""
    drawn = rows(12, 7)
    return Rows(drawn.features + 4, torch.full_like(drawn.labels, 3), drawn.digests)


def test_a_batch_is_absorbed_and_told(fit, rows, hoops):
    before, batch = fit(), hoops.joined(rows(5, 8))
    options = LearningOptions(trust_past=0.5, robust=True)
    after, told = update_belief(before, batch, ("hoop",), options)
    expected, learned = absorb(before, batch, ("hoop",), trust_past=0.5, robust=True)
    assert torch.equal(after.head.sums, expected.head.sums)
    assert (told.labels, told.new_classes, told.absorbed) == (17, ("hoop",), learned)
    assert (told.known, told.gone_classes) == (("bar", "disc", "ring"), ())
    assert int(told.corrections.fresh.sum()) == 17


def test_a_class_that_loses_its_last_image_goes_with_it(fit, hoops):
    before = fit()
    taught, _ = update_belief(before, hoops, ("hoop",), LearningOptions())
    after, told = update_belief(taught, hoops, (), LearningOptions(remove=True))
    assert (told.gone_classes, told.absorbed, told.corrections) == (("hoop",), None, None)
    assert after.classes.names == before.classes.names
    torch.testing.assert_close(after.head.sums, before.head.sums, atol=1e-8, rtol=0)


def test_the_classes_that_go_are_those_recorded_where_there_is_a_record(fit, hoops):
    taught, _ = update_belief(fit(), hoops, ("hoop",), LearningOptions())
    stays, told = update_belief(taught, hoops, (), LearningOptions(remove=True), gone=())
    assert (stays.classes.names[-1], told.gone_classes) == ("hoop", ())
    holds, told = update_belief(taught, hoops.at(torch.arange(0)), (), LearningOptions(), gone=("hoop",))
    assert holds.classes.names[-1] == "hoop"  # there are images of it, whatever was recorded


def test_nothing_is_taken_out_of_a_belief_by_an_empty_batch(fit, hoops):
    before = fit()
    assert update_belief(before, hoops.at(torch.arange(0)), (), LearningOptions(remove=True))[0] is before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trust_past": 0.0}, r"trust_past: got 0; expected a number in \(0, 1\]"),
        ({"trust_past": 1.5}, "trust_past: got 1.5"),
        ({"trust_past": 0.5, "remove": True}, "trust_past: given with --remove"),
        ({"robust": True, "remove": True}, "robust: given with --remove"),
    ],
)
def test_options_that_contradict_each_other_are_refused(given, words):
    with pytest.raises(InvalidInput, match=words):
        LearningOptions(**given)
