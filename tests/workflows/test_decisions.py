"""Costs over a run's classes, and what is done about an image."""

import json

import numpy as np
import pytest
import torch

from bayesight.bayes.decision import ASK, HAND_OVER
from bayesight.bayes.theorem import Belief
from bayesight.errors import InvalidInput, UnknownName
from bayesight.evaluation import confusion_matrix
from bayesight.evaluation.conformal import prediction_sets
from bayesight.run import Run
from bayesight.workflows.decisions import Stakes, choose, parse_costs, reading_of, sets_reference
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.predict import Readings, answers_for

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


PRIOR = {"bar": 0.7, "disc": 0.2, "ring": 0.1}


def test_the_labelled_images_weigh_as_their_classes_are_common_here(shapes_run):
    classifier = Run.open(shapes_run).classifier()
    prior = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    judged, reference = classifier.judged, sets_reference(classifier, prior)
    counts = torch.bincount(judged.labels, minlength=3)
    masses = reference.candidate * counts
    assert (masses / masses.sum()).tolist() == pytest.approx(prior.tolist())
    assert float(reference.above[0]) == pytest.approx(float(masses.sum()))


@pytest.mark.parametrize("prior", [None, PRIOR])
def test_predict_names_the_set_and_begins_with_the_most_probable(shapes_run, more_shapes, prior):
    found = answers_for(shapes_run, [more_shapes], Readings(prior=prior, set_coverage=0.9)).predictions
    plain = answers_for(shapes_run, [more_shapes], Readings(prior=prior)).predictions
    classifier = Run.open(shapes_run).classifier()
    base = classifier.prior if prior is None else torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    reference = sets_reference(classifier, base)
    for one, other in zip(found, plain, strict=True):
        assert one.set[0] == one.prediction
        assert list(one.set) == sorted(one.set, key=lambda name: -one.posterior[name])
        log_p = torch.tensor([list(one.posterior.values())], dtype=torch.float64).log()
        inside = prediction_sets(log_p, reference, 0.9)[0]
        assert set(one.set) == {n for n, is_in in zip(one.posterior, inside.tolist(), strict=True) if is_in}
        assert one.as_dict() == other.as_dict() | {"set": list(one.set)}


def test_evaluate_measures_them(shapes_run, more_shapes):
    result = evaluate(shapes_run, more_shapes, set_coverage=0.9)
    found = answers_for(shapes_run, [more_shapes], Readings(set_coverage=0.9)).predictions
    held = [one.path.split("/")[-2] in one.set for one in found]
    assert result.sets.held == pytest.approx(sum(held) / 90)
    assert result.sets.mean_size == pytest.approx(sum(len(one.set) for one in found) / 90)
    assert result.sets.single == pytest.approx(sum(len(one.set) == 1 for one in found) / 90)
    assert result.sets.interval[0] < result.sets.held <= result.sets.interval[1]
    assert result.as_dict()["sets"]["asked"] == 0.9
    assert "sets" not in evaluate(shapes_run, more_shapes).as_dict()


def test_at_stated_base_rates_each_class_counts_as_it_is_common(shapes_run, more_shapes):
    prior = "bar=0.7,disc=0.2,ring=0.1"
    result = evaluate(shapes_run, more_shapes, prior=prior, set_coverage=0.9)
    found = answers_for(shapes_run, [more_shapes], Readings(prior=PRIOR, set_coverage=0.9)).predictions
    held = {name: [] for name in PRIOR}
    for one in found:
        truth = one.path.split("/")[-2]
        held[truth].append(truth in one.set)
    expected = sum(share * sum(held[name]) / len(held[name]) for name, share in PRIOR.items())
    assert result.sets.held == pytest.approx(expected)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 1.5])
def test_a_coverage_that_is_none_is_refused(shapes_run, more_shapes, coverage):
    with pytest.raises(InvalidInput, match="set_coverage"):
        Readings(set_coverage=coverage)
    with pytest.raises(InvalidInput, match="set_coverage"):
        evaluate(shapes_run, more_shapes, set_coverage=coverage)


def test_readings_of_one_subject_and_the_laplace_head_have_none(shapes_run, more_shapes):
    with pytest.raises(InvalidInput, match="got readings of one subject"):
        Readings(same_subject=True, set_coverage=0.9)
    with pytest.raises(InvalidInput, match="got the head laplace"):
        evaluate(shapes_run, more_shapes, head="laplace", set_coverage=0.9)
