"""The four terms of single images, and base rates nobody told."""

import json
import math
import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bayesight.data import open_store
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable, UnknownName
from bayesight.run import Run
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.infer_prior import infer_prior
from bayesight.workflows.predict import Readings, predict
from bayesight.workflows.priors import complete_prior, parse_prior
from bayesight.workflows.sources import SourceOptions


@pytest.fixture
def images(more_shapes, tmp_path):
    """Six image files, two of each class, in class order."""
    store = open_store(more_shapes)
    paths = []
    for row in (0, 1, 30, 31, 60, 61):
        path = tmp_path / f"{row}.png"
        Image.fromarray(np.asarray(store.images[row])).save(path)
        paths.append(path)
    return paths


def test_the_four_terms_are_bayes_theorem(shapes_run, images):
    for found in predict(shapes_run, images, Readings(prior="disc=0.7,bar=0.1")):
        joint = {
            n: found.prior[n] * math.exp(found.log_likelihood[n] - found.log_evidence) for n in found.prior
        }
        assert math.isclose(sum(joint.values()), 1, rel_tol=1e-9)
        for name, p in joint.items():
            assert math.isclose(found.posterior[name], p, rel_tol=1e-9, abs_tol=1e-12)
        assert found.prediction == max(joint, key=joint.get)
    truth = ["bar", "bar", "disc", "disc", "ring", "ring"]
    assert [p.prediction for p in predict(shapes_run, images)] == truth


def test_a_prior_moves_the_posterior_by_its_odds(shapes_run, images):
    plain, moved = (predict(shapes_run, images[:1], Readings(prior=p))[0] for p in ("uniform", "disc=0.98"))
    odds = [p.posterior["disc"] / p.posterior["ring"] for p in (plain, moved)]
    assert math.isclose(odds[1] / odds[0], 0.98 / 0.01, rel_tol=1e-6)


def test_readings_of_one_subject_multiply(shapes_run, images):
    single = predict(shapes_run, images[:2])
    both = predict(shapes_run, images[:2], Readings(same_subject=True))
    assert both[1].prior == both[0].posterior
    log_p = {
        n: math.log(single[0].prior[n]) + sum(s.log_likelihood[n] for s in single) for n in single[0].prior
    }
    total = np.logaddexp.reduce(list(log_p.values()))
    for name, value in log_p.items():
        assert math.isclose(both[1].posterior[name], math.exp(value - total), rel_tol=1e-6, abs_tol=1e-12)
    same = predict(shapes_run, [images[0], images[0]], Readings(same_subject=True, dependence=1.0))
    for name, p in single[0].posterior.items():
        assert math.isclose(same[1].posterior[name], p, rel_tol=1e-6, abs_tol=1e-12)


def test_noise_is_unknown_and_said_to_be(shapes_run, images, tmp_path):
    noise = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)).save(noise)
    strange = predict(shapes_run, [noise], Readings(abstain=True, level=0.01))[0]
    assert not strange.known
    assert strange.prediction == "unknown"
    assert "unlike anything seen" in strange.reason
    assert strange.p_value < 0.05
    assert predict(shapes_run, [noise], Readings(level=0.01))[0].prediction != "unknown"
    assert sum(p.known for p in predict(shapes_run, images, Readings(level=0.01))) >= 5


def test_bad_images_are_refused_by_name(shapes_run, tmp_path):
    with pytest.raises(SourceNotFound, match=r"gone\.png"):
        predict(shapes_run, [tmp_path / "gone.png"])
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(SourceUnreadable, match=r"text\.png is no image"):
        predict(shapes_run, [tmp_path / "text.png"])
    with pytest.raises(SourceUnreadable, match=r"holds no image that could be read"):
        predict(shapes_run, [tmp_path])
    with pytest.raises(InvalidInput, match="level"):
        Readings(level=0)
    with pytest.raises(InvalidInput, match="dependence"):
        Readings(dependence=1.5)


shares = np.array([0.5, 0.3, 0.2])


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1), st.floats(0, 1))
def test_stated_probabilities_stay_and_the_rest_is_shared(a, b):
    import torch

    training = torch.tensor([0.4, 0.1, 0.3, 0.2], dtype=torch.float64)
    if a + b > 1 + 1e-9:
        with pytest.raises(InvalidInput, match="expected at most 1"):
            parse_prior(f"A={a},B={b}", "ABCD", training)
        return
    prior = parse_prior(f"A={a},B={b}", "ABCD", training)
    np.testing.assert_allclose(prior[:2], [a, b], atol=1e-9)
    assert math.isclose(float(prior.sum()), 1, rel_tol=1e-12)
    np.testing.assert_allclose(prior[2] * 0.2, prior[3] * 0.3, atol=1e-12)


def test_priors_as_people_write_them(tmp_path):
    import torch

    training = torch.tensor(shares)
    assert parse_prior("uniform", "ABC", training).tolist() == [1 / 3] * 3
    assert parse_prior("training", "ABC", training).tolist() == [0.5, 0.3, 0.2]
    file = tmp_path / "p.json"
    file.write_text(json.dumps({"B": 0.25}))
    np.testing.assert_allclose(parse_prior(str(file), "ABC", training), [0.75 * 5 / 7, 0.25, 0.75 * 2 / 7])
    for text, words in (
        ("A", "is not NAME=PROBABILITY"),
        ("A=x", "is not NAME=PROBABILITY"),
        ("A=0.5,A=0.2", "twice"),
        ("A=30,B=20", "divide them by their sum"),
        ("A=-0.5", "probability"),
        ("A=nan", "NAME=PROBABILITY"),
        ("A=inf", "NAME=PROBABILITY"),
        ("A=0.5;B=0.2", "NAME=PROBABILITY"),
        ("", "nothing is stated"),
        ('{"A": 0.1, "A": 0.2}', "twice"),
        ('{"A": true}', "expected a probability"),
        ('{"A": NaN}', "expected a probability"),
        ('{"A": ', "is not JSON"),
        ("[" * 100_000, "NAME=PROBABILITY"),
        ('{"A":' * 100_000, "is not JSON"),
        ("A=0.2,B=0.2,C=0.2", "no class is left out"),
    ):
        with pytest.raises(InvalidInput, match=words):
            parse_prior(text, "ABC", training)
    with pytest.raises(UnknownName, match="did you mean 'bar'"):
        parse_prior("baar=0.5", ["bar", "disc"], training[:2])
    file.write_text("[1]")
    with pytest.raises(InvalidInput, match="table"):
        parse_prior(str(file), "ABC", training)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=12), st.integers(2, 6), st.sampled_from(["", "%"]))
def test_shares_rounded_to_any_digits_are_a_prior(weights, digits, sign):
    import torch

    given = np.array(weights) / sum(weights)
    names = [f"class {i}, x=1" for i in range(len(given))]
    shown = [f"{100 * p:.{digits - 2}f}%" if sign else f"{p:.{digits}f}" for p in given]
    uniform = torch.full((len(given),), 1 / len(given), dtype=torch.float64)
    if abs(sum(float(f"{p:.{digits}f}") for p in given) - 1) > 0.05:
        return  # twelve shares of two digits can miss 1 by more than is believed
    prior = parse_prior(",".join(f"{n}={p}" for n, p in zip(names, shown, strict=True)), names, uniform)
    assert float(prior.sum()) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(prior, given, atol=0.06 if digits == 2 else 10 ** (1.2 - digits))
    document = json.dumps({"prior": dict(zip(names, shown if sign else map(float, shown), strict=True))})
    np.testing.assert_allclose(parse_prior(document, names, uniform), prior, atol=1e-12)


def test_what_misses_1_by_more_than_its_digits_is_refused():
    import torch

    training = torch.tensor(shares)
    for text in ("A=0.5,B=0.5,C=0.04", "A=0.333,B=0.333,C=0.33", "A=0.3,B=0.3,C=0.3", "A=60%,B=50%"):
        with pytest.raises(InvalidInput, match="sum to"):
            parse_prior(text, "ABC", training)


def test_every_class_can_be_named(tmp_path):
    import torch

    long = "n" * 230
    names = ["x", "x=1", "a,b", 'q"', "caf\u00e9", long, "uniform"]
    uniform = torch.full((7,), 1 / 7, dtype=torch.float64)
    for name in names:
        given = unicodedata.normalize("NFD", name)
        for text in (f"{given}=0.4", f" {given} = 40 % ", json.dumps({given: 0.4})):
            prior = parse_prior(text, names, uniform)
            assert prior[names.index(name)].item() == pytest.approx(0.4), text
    both = parse_prior("a,b=0.2,x=1=0.3,x=0.1", names, uniform)
    assert both[:3].tolist() == pytest.approx([0.1, 0.3, 0.2])
    assert parse_prior('"a,b"=0.5', names, uniform)[2].item() == pytest.approx(0.5)
    file = tmp_path / "prior of today.txt"
    file.write_text('{"prior": {"a,b": 0.5}, "interval": {"a,b": [0, 1]}, "method": "m"}')
    assert parse_prior(str(file), names, uniform)[2].item() == pytest.approx(0.5)


def test_the_json_that_prior_prints_is_a_prior(shapes_run, make_archive):
    skewed = make_archive("again.tar.gz", {"bar": 60, "disc": 30, "ring": 10}, seed=78)
    found = infer_prior(shapes_run, skewed, seed=1)
    names, document = found.classes, json.dumps(found.as_dict())
    prior = parse_prior(document, names, Run.open(shapes_run).classifier().prior)
    np.testing.assert_allclose(prior, found.estimate.prior, atol=1e-9)


def test_base_rates_are_inferred_from_unlabelled_images(shapes_run, make_archive):
    skewed = make_archive("skewed.tar.gz", {"bar": 140, "disc": 40, "ring": 20}, seed=77)
    found = infer_prior(shapes_run, skewed, seed=1)
    tree = found.as_dict()
    np.testing.assert_allclose(list(tree["prior"].values()), [0.7, 0.2, 0.1], atol=0.06)
    assert math.isclose(sum(tree["prior"].values()), 1, rel_tol=1e-9)
    for name, share in (("bar", 0.7), ("disc", 0.2), ("ring", 0.1)):
        low, high = tree["interval"][name]
        assert low - 0.02 <= share <= high + 0.02
        assert 0 <= low <= tree["prior"][name] <= high <= 1
    assert tree["images"] == 200
    assert found.warning is None
    with pytest.raises(InvalidInput, match="level"):
        infer_prior(shapes_run, skewed, level=1.0)


def test_images_of_another_world_raise_a_warning(shapes_run, tmp_path):
    folder = tmp_path / "noise"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(60):
        Image.fromarray(rng.integers(0, 256, (28, 28)).astype(np.uint8)).save(folder / f"{i}.png")
    assert "unknown kinds" in infer_prior(shapes_run, folder).warning


def test_evaluation_by_hand_and_at_another_prior(shapes_run, more_shapes):
    found = evaluate(shapes_run, more_shapes).evaluation
    assert found.confusion.sum() == 90
    assert math.isclose(found.accuracy, np.trace(found.confusion) / 90)
    row = found.per_class()["disc"]
    tp, fn = found.confusion[1, 1], found.confusion[1].sum() - found.confusion[1, 1]
    assert row["support"] == 30
    assert math.isclose(row["sensitivity"], tp / (tp + fn))
    low, high = row["intervals"]["sensitivity"]
    assert low <= row["sensitivity"] <= high + 1e-3
    moved = evaluate(shapes_run, more_shapes, prior="disc=0.01,bar=0.01").evaluation
    assert math.isclose(moved.prior.sum(), 1)
    weights = moved.prior[moved.labels] * 3
    right = moved.predictions == moved.labels
    assert math.isclose(moved.accuracy, (weights * right).sum() / weights.sum(), rel_tol=1e-9)
    nll = -moved.log_p[np.arange(90), moved.labels]
    assert math.isclose(moved.log_loss, (weights * nll).sum() / weights.sum(), rel_tol=1e-9)


def test_unknown_images_are_scored(shapes_run, more_shapes, tmp_path):
    folder = tmp_path / "noise"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (28, 28)).astype(np.uint8)).save(folder / f"{i}.png")
    tree = evaluate(shapes_run, more_shapes, unknown=folder).as_dict()["novelty"]
    assert tree["auroc"] > 0.95
    assert tree["fpr95"] < 0.3
    assert tree["unknown_examples"] == 40


def test_idx_numbers_are_the_runs_order_and_folder_names_are_names(shapes_run, numbered, make_archive):
    result = evaluate(shapes_run, numbered)
    assert "0-2 are read as the run's classes in order, 'bar' to 'ring'" in result.as_dict()["note"]
    assert result.evaluation.confusion.sum(axis=1).tolist() == [4, 0, 5]
    folders = make_archive("numbers.tar.gz", {"0": 9, "2": 9}, {"0": "bar", "2": "ring"})
    with pytest.raises(InvalidInput, match=r"does not know classes '0', '2'.*order, say --by-position"):
        evaluate(shapes_run, folders)
    placed = evaluate(shapes_run, folders, options=SourceOptions(numbers="positions"))
    assert placed.evaluation.accuracy > 0.9
    strange = make_archive("strange.tar.gz", {"bar": 5, "blob": 5}, {"blob": "disc"})
    with pytest.raises(InvalidInput, match="does not know class 'blob'"):
        evaluate(shapes_run, strange)


def test_the_laplace_head_is_another_opinion_on_the_same_images(shapes_run, more_shapes):
    gaussian, laplace = (
        evaluate(shapes_run, more_shapes, head=h).evaluation for h in ("gaussian", "laplace")
    )
    assert laplace.accuracy > 0.85
    assert not np.allclose(gaussian.log_p, laplace.log_p)
    np.testing.assert_allclose(np.exp(laplace.log_p).sum(axis=1), 1, rtol=1e-9)
    bins = laplace.reliability().as_dict()
    assert sum(bins["counts"]) == 90
    assert len(bins["edges"]) == len(bins["accuracy"]) + 1


@pytest.mark.parametrize(
    ("text", "name", "share"),
    [
        ("'a, b'=30%", "a, b", 0.3),
        ('"q""u"=.3', 'q"u', 0.3),
        ('q"u=.3', 'q"u', 0.3),
        ('"x"=.3', '"x"', 0.3),
        ('"k=v" = 30 %', "k=v", 0.3),
        (" Uniform ", "k=v", 0.25),
    ],
)
def test_quotes_around_a_name_and_in_it(text, name, share):
    names = ["a, b", 'q"u', '"x"', "k=v"]
    prior = parse_prior(text, names, torch.full((4,), 0.25))
    assert prior[names.index(name)].item() == pytest.approx(share)


@pytest.mark.parametrize(
    ("value", "came"),
    [
        (10**400, "got 1000"),
        (True, "got true"),
        (None, "got null"),
        ([1], "got a list or a table"),
        (math.nan, "got NaN"),
    ],
)
def test_what_is_no_probability_is_named_as_it_was_written(value, came):
    for state in (
        lambda: complete_prior({"A": value}, "AB", torch.tensor([0.5, 0.5])),
        lambda: parse_prior(json.dumps({"A": value}), "AB", torch.tensor([0.5, 0.5])),
    ):
        with pytest.raises(
            InvalidInput, match=rf"prior of 'A': {came}.*; expected a probability in \[0, 1\]"
        ):
            state()


def test_shares_by_class_may_be_percentages():
    prior = complete_prior({"A": "33%", "B": "33%", "C": "33%"}, "ABC", torch.full((3,), 1 / 3))
    np.testing.assert_allclose(prior, [1 / 3] * 3)


@pytest.mark.parametrize(
    "text", ["A=1e-999999999", "A=1e999999999", '{"A": 1e-999999999}', '{"A": 1e999999999}']
)
def test_numbers_of_absurd_size_are_no_prior(text):
    import torch

    with pytest.raises(InvalidInput, match="prior"):
        parse_prior(text, "ABC", torch.tensor(shares))
