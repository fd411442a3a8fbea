"""Sets of classes: named by ``predict``, measured by ``evaluate``, at the base rates that were stated."""

import pytest
import torch

from bayesight.errors import InvalidInput
from bayesight.evaluation.conformal import prediction_sets
from bayesight.run import Run
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.predict import Readings, answers_for
from bayesight.workflows.sets import sets_reference

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
