"""``bayesight milestones``: list, run, and what each refuses."""

import json
import os

import pytest


def test_the_list_names_paper_year_claim_keys_predecessor_and_minutes(program):
    status, out, err = program("milestones", "list", "--json")
    entries = json.loads(out)
    assert (status, err) == (0, "")
    assert [entry["year"] for entry in entries] == sorted(entry["year"] for entry in entries)
    resnet = next(entry for entry in entries if entry["name"] == "resnet")
    assert {"paper", "claim", "published", "displaced", "minutes", "threshold"} < set(resnet)
    recipe = resnet["arms"]["res-56"][0]
    assert {"data", "model", "loss", "optimization"} < set(recipe)


def test_the_list_in_words(program):
    status, out, _ = program("milestones", "list")
    assert status == 0
    for words in ("2012  alexnet", "data ", "model ", "loss ", "optimization", "displaced", "min;"):
        assert words in out


def test_a_run_gives_the_promised_document_and_a_card(program, tmp_path):
    status, out, err = program(
        "milestones", "run", "linear-regression", "--seeds", 2, "--out", tmp_path, "--json"
    )
    document = json.loads(out)
    assert status == 0
    assert list(document)[:6] == ["name", "claim", "arms", "threshold", "reproduced", "seconds"]
    assert document["reproduced"] is True
    assert document["seeds"] == [0, 1]
    assert "gradient descent, seed 1" in err
    assert document["card"] == str(tmp_path / "linear-regression.md")
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"README.md", *(f"linear-regression.{kind}" for kind in ("md", "json", "svg"))}


def test_the_measured_claim_stands_beside_the_papers(program, tmp_path):
    status, out, _ = program("milestones", "run", "linear-regression", "--seeds", 1, "--out", tmp_path)
    assert status == 0
    assert "the paper:" in out
    assert "holds: slope_error of gradient descent ≤ 0.0001 (measured " in out
    assert f"card: {tmp_path / 'linear-regression.md'}" in out


def test_what_is_not_reproduced_leaves_with_1(program, tmp_path, monkeypatch):
    from dataclasses import replace

    import bayesight.milestones
    from bayesight.milestones import Claim, find

    milestone = find("linear-regression")
    hopeless = replace(milestone, claims=(Claim("averages", "slope_error", "<=", margin=1e-9),))
    monkeypatch.setattr(bayesight.milestones, "find", lambda name: hopeless)
    status, out, _ = program(
        "milestones", "run", "linear-regression", "--seeds", 1, "--out", tmp_path, "--json"
    )
    assert status == 1
    assert json.loads(out)["reproduced"] is False
    assert "Not reproduced" in (tmp_path / "linear-regression.md").read_text(encoding="utf-8")


def test_an_unknown_name_suggests_the_nearest(refusal):
    assert "did you mean 'alexnet'" in refusal("milestones", "run", "alex-net")


def test_data_too_small_says_how_much_is_needed(refusal, shapes, tmp_path):
    told = refusal("milestones", "run", "mlp", "--data", shapes, "--out", tmp_path)
    assert "expected at least 200 of each class" in told


def test_data_that_are_not_there_are_refused(refusal, tmp_path):
    assert "does not exist" in refusal(
        "milestones", "run", "mlp", "--data", tmp_path / "none.zip", "--out", tmp_path
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to the superuser")
def test_a_folder_that_cannot_be_written_is_refused(refusal, tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written" in refusal(
        "milestones", "run", "linear-regression", "--out", tmp_path / "cards"
    )


def test_a_file_in_the_way_of_the_folder_is_refused(refusal, tmp_path):
    (tmp_path / "cards").write_text("")
    assert "Give another one with --out" in refusal(
        "milestones", "run", "linear-regression", "--out", tmp_path / "cards"
    )


def test_of_all_those_are_left_out_whose_extra_is_not_installed(program, tmp_path, monkeypatch):
    import bayesight.milestones
    from bayesight.milestones import find
    from bayesight.milestones.bench import playing

    both = (find("linear-regression"), find("dqn"))
    monkeypatch.setattr(bayesight.milestones, "gallery", lambda: both)
    monkeypatch.setattr(playing, "find_spec", lambda name: None)
    status, out, err = program("milestones", "run", "all", "--seeds", 1, "--out", tmp_path, "--json")
    assert status == 0
    assert [document["name"] for document in json.loads(out)] == ["linear-regression"]
    mend = "pip install 'bayesight[play]'"
    assert "dqn is left out:" in err
    assert mend in err
    status, _, err = program("milestones", "run", "dqn", "--out", tmp_path)
    assert status != 0
    assert mend in err
