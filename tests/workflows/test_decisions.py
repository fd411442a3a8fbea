"""Costs over a run's classes, and what is done about an image."""

import json

import numpy as np
import pytest
import torch

from bayesight.bayes.decision import ASK, HAND_OVER
from bayesight.bayes.theorem import Belief
from bayesight.errors import InvalidInput, UnknownName
from bayesight.evaluation import confusion_matrix
from bayesight.run import Run
from bayesight.workflows.decisions import Stakes, choose, parse_costs, reading_of

NAMES = ("bar", "disc", "ring")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(json.dumps({"repair": {"disc": 0, "*": 4}, "leave": {"bar": 0, "disc": 30, "ring": 1}}))
    return path


def test_costs_are_read_in_the_order_of_the_classes(table):
    costs = parse_costs(str(table), NAMES)
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())  # as some editors begin a file
    assert parse_costs(str(table), NAMES).table.tolist() == costs.table.tolist()
    assert costs.actions == ("repair", "leave")
    assert costs.table.tolist() == [[4, 0, 4], [0, 30, 1]]


def test_the_action_has_the_least_expected_cost(table):
    costs, p = parse_costs(str(table), NAMES), np.array([0.5, 0.1, 0.4])
    belief = Belief(torch.from_numpy(np.log(p)), NAMES)
    made = choose(belief, Stakes(str(table)), costs, None, known=True)
    assert made.expected_cost == pytest.approx({"repair": 3.6, "leave": 3.4})
    assert made.action == "leave"
    assert choose(belief, Stakes(str(table), hand_over=3.3), costs, None, known=True).action == HAND_OVER


def test_what_is_like_nothing_seen_goes_to_a_person_where_there_is_one():
    belief = Belief(torch.tensor([0.98, 0.01, 0.01]).double().log(), NAMES)
    costs = parse_costs("zero-one", NAMES)
    assert choose(belief, Stakes(hand_over=0.5), costs, None, known=False).action == HAND_OVER
    assert choose(belief, Stakes(hand_over=0.5), costs, None, known=True).action == "bar"
    assert choose(belief, Stakes(), costs, None, known=False).action == "bar"


def test_a_reading_is_as_good_as_the_run_was_on_held_out_images(shapes_run):
    classifier = Run.open(shapes_run).classifier()
    reading = reading_of(classifier, 0.02)
    log_p = classifier.log_likelihood(classifier.reference) + classifier.prior.log()
    counts = confusion_matrix(classifier.reference_labels.numpy(), log_p.argmax(1).numpy(), 3) + 0.5
    by_hand = (counts / counts.sum(axis=1, keepdims=True)).T
    np.testing.assert_allclose(reading.log_likelihood.exp().numpy(), by_hand)
    doubtful = Belief(torch.tensor([0.5, 0.4, 0.1]).double().log(), NAMES)
    costs = parse_costs("zero-one", NAMES)
    made = choose(doubtful, Stakes(reading=0.02), costs, reading, known=True)
    # Calling the class of the largest joint probability after each result.
    after = 1 - (by_hand * np.array([0.5, 0.4, 0.1])).max(axis=1).sum()
    assert made.action == ASK
    assert made.expected_cost[ASK] == pytest.approx(after + 0.02)
    assert made.reading_saves == pytest.approx(0.5 - after)
    assert 0 < made.information_bits < np.log2(3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no table of costs"),
        ('{"act": {"bar": "1"}}', "holds no table of costs"),
        ('{"act": {"bar": 1}}', "'act' has no cost for disc, ring"),
        ('{"act": {"bar": 1, "*": NaN}}', "not finite"),
    ],
)
def test_costs_that_are_none_are_refused(tmp_path, content, message):
    path = tmp_path / "costs.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=message):
        parse_costs(str(path), NAMES)


def test_a_class_the_run_does_not_know_is_named(tmp_path):
    path = tmp_path / "costs.json"
    path.write_text('{"act": {"dics": 1, "*": 0}}')
    with pytest.raises(UnknownName, match="did you mean 'disc'"):
        parse_costs(str(path), NAMES)


@pytest.mark.parametrize(
    "stakes", [{"reading": -1.0}, {"reading": float("nan")}, {"hand_over": float("inf")}]
)
def test_costs_of_a_person_and_of_a_reading_are_numbers(stakes):
    with pytest.raises(InvalidInput, match="finite"):
        Stakes(**stakes)
