"""``--parts`` and ``--cluster`` of the commands that read many images."""

import json

import pytest


@pytest.fixture
def manifest(program, make_archive, tmp_path):
    parts = [make_archive(f"{n}.tar.gz", {"bar": 4, "ring": 3}, seed=n) for n in (11, 12)]
    assert program("data", "parts", *parts, "--out", tmp_path / "PARTS.json")[0] == 0
    return tmp_path / "PARTS.json"


def test_update_absorbs_the_parts(program, run_copy, manifest):
    status, out, _ = program("update", run_copy, "--parts", manifest, "--json")
    told = json.loads(out)
    assert (status, told["absorbed"], told["parts"]["total"], told["parts"]["missing"]) == (0, 14, 2, [])
    status, out, _ = program("update", run_copy, "--parts", manifest)
    assert (status, out.splitlines()[0][:18]) == (0, "absorbed 0 images:")
    assert "2 parts are in the belief already" in out


def test_a_missing_part_is_told_by_the_status(program, run_copy, manifest, tmp_path):
    (tmp_path / "11.tar.gz").unlink()
    status, out, _ = program("update", run_copy, "--parts", manifest)
    assert status == 1
    assert "absorbed 7 images: 1 of 2 parts" in out
    assert f"missing: {tmp_path / '11.tar.gz'}: " in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "missing; expected a source, or --parts"),
        (["x.tar", "--parts", "p.json"], "given with a source"),
        (["x.tar", "--cluster", "local"], "needs --parts"),
        (["--parts", "p.json", "--remove"], "given with --remove"),
        (["--parts", "p.json", "--ledger", "l.sqlite"], "given with --ledger"),
    ],
)
def test_options_that_do_not_go_together_are_refused(program, run_copy, words, said):
    status, _, err = program("update", run_copy, *words)
    assert status == 2
    assert said in " ".join(err.replace("│", " ").split())


def test_parts_are_evaluated_answered_counted_and_looked_at(program, run_copy, manifest, tmp_path):
    def told(*words):
        status, out, err = program(*words, "--parts", manifest, "--json")
        assert status == 0, err
        return json.loads(out)

    assert told("evaluate", run_copy)["examples"] == 14
    assert told("prior", run_copy, "--out", tmp_path / "prior.json")["images"] == 14
    assert set(json.loads((tmp_path / "prior.json").read_text())) == {"bar", "disc", "ring"}
    assert told("predict", run_copy, "--to", tmp_path / "answers")["answered"] == 14
    assert told("data", "inspect")["images"] == 14
    assert "14 images" in program("evaluate", run_copy, "--parts", manifest)[1]
    assert "14 images of 2 classes" in program("data", "inspect", "--parts", manifest)[1]
    status, _, err = program("predict", run_copy, "--parts", manifest)
    assert status == 2
    assert "needs --to FOLDER" in " ".join(err.split())
