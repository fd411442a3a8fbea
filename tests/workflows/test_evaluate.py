"""What an evaluation says of a classifier that is none, and of figures that are none."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bayesight.errors import InvalidInput
from bayesight.evaluation import never_named, no_better_than
from bayesight.evaluation.arrays import row_blocks
from bayesight.run import Run
from bayesight.workflows import evaluate as work
from bayesight.workflows.evaluate import Likelihoods, measure, verdict_now
from bayesight.workflows.reporting import evaluation_curves


def measured(run, table, prior=None):
    """The evaluation of images with this confusion matrix, by a classifier that is sure of all it says."""
    classifier = Run.open(run).classifier()
    labels = np.repeat(np.arange(3), np.sum(table, axis=1))
    called = np.concatenate([np.repeat(np.arange(3), row) for row in table])
    likelihood = torch.full((len(labels), 3), -5.0, dtype=torch.float64)
    likelihood[torch.arange(len(labels)), torch.from_numpy(called)] = 0
    given = None if prior is None else torch.tensor(prior, dtype=torch.float64)
    return measure(classifier, likelihood, torch.from_numpy(labels), given)


def test_a_classifier_that_is_none_is_called_that(shapes_run):
    found = measured(shapes_run, [[95, 0, 0], [4, 0, 0], [3, 0, 0]])
    assert found.verdict == ("This classifier never says disc, ring; it is no better than always saying bar.")
    assert measured(shapes_run, [[90, 2, 3], [1, 20, 1], [0, 1, 25]]).verdict == ""
    one = measured(shapes_run, [[90, 0, 3], [9, 0, 1], [0, 0, 25]])
    assert one.verdict == "This classifier never says disc."
    worse = measured(shapes_run, [[40, 10, 10], [5, 4, 1], [4, 1, 5]])
    assert worse.verdict == "This classifier is no better than always saying bar."
    # Where bars are rare the same answers are worth something, and the other way round.
    assert measured(shapes_run, [[40, 10, 10], [3, 20, 7], [3, 7, 20]], [0.1, 0.45, 0.45]).verdict == ""
    assert measured(shapes_run, [[30, 0, 0], [0, 0, 0], [0, 0, 0]]).verdict == ""  # one class alone


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 60), st.integers(0, 60))
def test_better_than_a_constant_is_a_paired_comparison(won, lost):
    table = [[200, lost], [20, won]]
    low = stats.beta(won + 0.5, lost + 0.5).ppf(0.025)
    assert (no_better_than(table) is None) == (low > 0.5)
    assert never_named(table) == (() if won + lost else (1,))


def test_three_words_for_three_things_that_are_no_number(shapes_run):
    rows = measured(shapes_run, [[50, 0, 0], [5, 0, 0], [0, 0, 0]]).per_class()
    assert rows["disc"]["precision"] is None
    assert rows["disc"]["undefined"]["precision"] == "never said"
    assert rows["disc"]["undefined"]["likelihood_ratio_positive"] == "never said"
    assert rows["disc"]["sensitivity"] == 0
    assert rows["ring"]["undefined"]["sensitivity"] == "not in this sample"
    assert rows["bar"]["undefined"]["negative_predictive_value"] == "always said"
    assert measured(shapes_run, [[50, 0, 0], [0, 5, 0], [0, 0, 5]]).per_class()["bar"]["undefined"] == {
        "likelihood_ratio_positive": "infinite"
    }
    alone = measured(shapes_run, [[50, 2, 0], [0, 0, 0], [0, 0, 0]]).per_class()["bar"]
    assert alone["undefined"]["false_alarm"] == "no other class in this sample"


def test_intervals_of_accuracy_and_log_loss_are_those_of_scipy(shapes_run):
    found = measured(shapes_run, [[40, 3, 0], [2, 30, 1], [0, 4, 20]])
    beta = stats.beta(90.5, 10.5)
    assert found.accuracy == 0.9
    assert found.accuracy_interval == pytest.approx(beta.interval(0.95), abs=1e-12)
    losses = -found.log_p[np.arange(100), found.labels]
    assert found.log_loss_error == pytest.approx(stats.sem(losses), rel=1e-12)
    perfect = measured(shapes_run, [[40, 0, 0], [0, 30, 0], [0, 0, 20]])
    assert perfect.accuracy == perfect.accuracy_interval[1] == 1


def test_the_interval_at_a_prior_is_that_of_independent_shares(shapes_run):
    table, prior = [[40, 3, 0], [2, 30, 1], [0, 4, 20]], [0.7, 0.2, 0.1]
    found = measured(shapes_run, table, prior)
    rng = np.random.default_rng(5)
    drawn = sum(
        p * rng.beta(row[k] + 0.5, sum(row) - row[k] + 0.5, 200_000)
        for k, (p, row) in enumerate(zip(prior, table, strict=True))
    )
    assert found.accuracy == pytest.approx(0.7 * 40 / 43 + 0.2 * 30 / 33 + 0.1 * 20 / 24)
    assert found.accuracy_interval == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.006)


def test_a_prior_of_which_nothing_was_met_is_refused(shapes_run):
    with pytest.raises(InvalidInput, match="no image of a class that has one"):
        measured(shapes_run, [[5, 0, 0], [0, 5, 0], [0, 0, 0]], [0.0, 0.0, 1.0])


def test_the_verdict_of_a_belief_is_that_of_the_images_that_judge_it(shapes_run):
    classifier = Run.open(shapes_run).classifier()
    assert verdict_now(classifier) == ""
    lost = replace(classifier, reference_labels=torch.zeros_like(classifier.reference_labels))
    assert verdict_now(lost) == ""  # one class alone says nothing
    turned = replace(classifier, reference_labels=(classifier.reference_labels + 1) % 3)
    assert "no better than always saying" in verdict_now(turned)


def test_a_class_with_a_base_rate_of_zero_keeps_its_sensitivity_and_costs_no_figure(shapes_run):
    classifier = Run.open(shapes_run).classifier()
    likelihood = torch.tensor([[0.0, -3.0, -3.0]] * 4 + [[-3.0, 0.0, -3.0]] * 5 + [[-3.0, -3.0, 0.0]] * 6)
    labels = torch.tensor([0] * 4 + [1] * 5 + [2] * 6)
    found = measure(classifier, likelihood.double(), labels, torch.tensor([0.5, 0.5, 0.0]).double())
    alone = measure(classifier, likelihood[:9].double(), labels[:9], torch.tensor([0.5, 0.5, 0.0]).double())
    assert math.isfinite(found.log_loss_error)
    assert found.log_loss_error == pytest.approx(alone.log_loss_error)
    row = found.per_class()[found.classes[2]]
    assert (row["support"], row["sensitivity"]) == (6, 0.0)
    assert "sensitivity" not in row["undefined"]
    only = measure(classifier, likelihood.double(), labels, torch.tensor([0.0, 0.0, 1.0]).double())
    assert (
        only.per_class()[only.classes[2]]["undefined"]["false_alarm"] == "no other class at these base rates"
    )


def test_few_images_are_no_proof_that_a_constant_does_as_well(shapes_run):
    assert measured(shapes_run, [[1, 0, 0], [0, 1, 0], [0, 0, 0]]).verdict == (
        "This classifier may be no better than always saying bar."
    )


def test_of_equally_common_classes_the_constant_is_the_one_said_most():
    assert no_better_than([[0, 0, 60], [0, 0, 60], [0, 0, 60]]) == 2


def test_likelihoods_computed_in_blocks_give_the_figures_of_the_whole(shapes_run, monkeypatch):
    classifier = Run.open(shapes_run).classifier()
    features, labels = classifier.reference, classifier.reference_labels
    prior = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    whole = measure(classifier, classifier.log_likelihood(features), labels, prior)
    monkeypatch.setattr(work, "row_blocks", lambda rows, columns: row_blocks(rows, columns, values=10))
    parts = measure(classifier, Likelihoods(classifier.log_likelihood, features), labels, prior)
    np.testing.assert_allclose(parts.log_p, whole.log_p, rtol=1e-10, atol=1e-12)
    assert parts.log_loss == pytest.approx(whole.log_loss, rel=1e-10)
    assert parts.per_class() == whole.per_class()
    assert parts.per_class([2]) == {whole.classes[2]: parts.per_class([2])[whole.classes[2]]}


def test_of_very_many_classes_the_least_precise_and_the_confusions_are_told(shapes_run, monkeypatch):
    found = measured(shapes_run, [[40, 0, 10], [0, 20, 0], [5, 0, 15]])
    assert found.least_precise(2) == [0, 2]
    assert found.least_precise(1) == [2]
    told = found.as_dict()
    assert "confused" not in told
    assert set(told["per_class"]) == set(found.classes)
    monkeypatch.setattr(work, "WHOLE", 2)
    monkeypatch.setattr(work, "MOST_CLASSES", 2)
    many = found.as_dict()
    bar, _, ring = found.classes
    assert many["confusion"] is None
    assert many["confused"] == [
        {"true": bar, "predicted": ring, "count": 10},
        {"true": ring, "predicted": bar, "count": 5},
    ]
    assert list(many["per_class"]) == [bar, ring]
    assert many["per_class"][bar]["precision"] == told["per_class"][bar]["precision"]


@pytest.mark.parametrize("prior", [None, [0.05, 0.65, 0.3]])
def test_the_curve_of_a_class_is_what_the_tables_say_of_it(shapes_run, prior):
    found = measured(shapes_run, [[40, 3, 2], [9, 70, 1], [0, 2, 25]], prior)
    curves = evaluation_curves(found)
    rows = found.per_class()
    assert {curve.name for curve in curves} == set(rows)
    for curve in curves:
        k = found.classes.index(curve.name)
        assert np.all(curve.low <= curve.y)
        assert np.all(curve.y <= curve.high)
        assert curve.sample_rate == pytest.approx([45, 80, 27][k] / 152)
        at = curve.x.tolist().index(curve.sample_rate if prior is None else prior[k])
        assert curve.y[at] == pytest.approx(rows[curve.name]["precision"], rel=1e-12)
        if prior is not None:
            assert curve.stated_rate == prior[k]
            ends = rows[curve.name]["intervals"]["precision"]
            assert [curve.low[at], curve.high[at]] == pytest.approx(ends, rel=0.12)


def test_the_curve_of_a_class_without_images_has_no_line(shapes_run):
    found = measured(shapes_run, [[40, 0, 2], [0, 0, 0], [0, 0, 25]], [0.4, 0.3, 0.3])
    curves = evaluation_curves(found)
    lines = {curve.name: curve.y for curve in curves}
    assert np.isnan(lines["disc"]).all()
    assert np.isfinite(lines["bar"]).all()
