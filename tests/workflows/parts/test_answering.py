import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from bayesight.errors import InvalidInput
from bayesight.workflows.answer_table import write_answers
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.infer_prior import infer_prior
from bayesight.workflows.parts import answering
from bayesight.workflows.parts.answering import answer_parts, evaluate_parts, infer_parts, inspect_parts
from bayesight.workflows.parts.update import update_by_parts
from bayesight.workflows.predict import Readings


@pytest.fixture
def whole(make_archive):
    """One archive of all images, and two parts of it that together have the same."""
    return make_archive("whole.tar.gz", {"bar": 6, "disc": 9, "ring": 5}, seed=21)


@pytest.fixture
def shares(whole, tmp_path):
    from bayesight.data.parts import find_parts

    find_parts([whole], most_bytes=whole.stat().st_size // 2 + 1).save(tmp_path / "shares.json")
    return tmp_path / "shares.json"


def test_figures_are_those_of_one_machine(shapes_run, whole, shares):
    made = evaluate_parts(shapes_run, shares, prior="bar=0.5")
    alone = evaluate(shapes_run, whole, prior="bar=0.5")
    assert made.job.done == 2
    mine, theirs = made.as_dict(), alone.as_dict()
    assert mine["confusion"].tolist() == theirs["confusion"].tolist()
    for name in ("accuracy", "log_loss", "ece", "examples"):
        assert mine[name] == pytest.approx(theirs[name], abs=1e-9)
    assert mine["seen_in_training"] == {"trained": 0, "validated": 0}


def test_what_the_run_learned_by_parts_is_not_new_to_it(run_copy, shares):
    update_by_parts(run_copy, shares)
    assert evaluate_parts(run_copy, shares).learned == 20


def test_a_part_with_classes_the_run_does_not_know_is_named(shapes_run, make_archive, manifest_of, whole):
    strange = make_archive("strange.tar.gz", {"star": 3}, {"star": "ring"})
    made = evaluate_parts(shapes_run, manifest_of(strange, whole))
    assert "the run does not know class 'star'" in made.job.failures[str(strange)]
    assert len(made.evaluation.labels) == 20


def test_base_rates_are_those_of_one_machine(shapes_run, whole, shares, monkeypatch):
    alone = infer_prior(shapes_run, whole)
    made, job = infer_parts(shapes_run, shares)
    assert job.done == 2
    np.testing.assert_allclose(made.estimate.prior, alone.estimate.prior, atol=0.02)
    monkeypatch.setattr(answering, "MOST_FOR_PRIOR", 12)
    few, _ = infer_parts(shapes_run, shares)
    assert few.estimate.images == 12
    with pytest.raises(InvalidInput, match="--level"):
        infer_parts(shapes_run, shares, level=1)


def test_answers_are_those_of_one_machine_a_table_a_part(shapes_run, whole, shares, tmp_path):
    how = Readings(level=0.1)
    made = answer_parts(shapes_run, shares, tmp_path / "out", how)
    assert (made.answered, made.unread, made.job.done) == (20, 0, 2)
    write_answers(shapes_run, [whole], tmp_path / "alone.parquet", how)
    alone = pq.read_table(tmp_path / "alone.parquet").to_pylist()
    found = [row for path in (tmp_path / "out").iterdir() for row in pq.read_table(path).to_pylist()]
    by_path = [sorted(rows, key=lambda row: row["path"]) for rows in (found, alone)]
    for here, there in zip(*by_path, strict=True):  # the last bits may depend on how many images are judged
        assert here.keys() == there.keys()
        for name, value in there.items():
            near = isinstance(value, float)
            assert here[name] == (pytest.approx(value, rel=1e-9, abs=1e-12) if near else value), name
    again = answer_parts(shapes_run, shares, tmp_path / "out", how)
    assert (again.answered, again.job.resumed, again.job.done) == (0, 2, 0)
    with pytest.raises(InvalidInput, match="--same-subject"):
        answer_parts(shapes_run, shares, tmp_path / "out", Readings(same_subject=True))


def test_parts_are_looked_at(three, manifest_of):
    document, job = inspect_parts(manifest_of(*three))
    assert document["classes"] == {"bar": 12, "disc": 10, "ring": 5, "star": 4}
    assert (document["images"], document["duplicates"], job.done) == (31, 11, 3)
    assert document["shapes"] == [[28, 28]]
    json.dumps(document)
