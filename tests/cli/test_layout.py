"""What folders are taken for, on the command line: said, in JSON, or asked about with the option for it."""

import json

import pytest

QUICK = ("--model", "mlp", "--set", "model.hidden=[8]", "--batch", 16, "--epochs", 1, "--threads", 1)


@pytest.fixture
def parted(make_archive):
    counts = {"train/bar": 12, "train/ring": 12, "test/bar": 5, "test/ring": 4, "unlabeled": 3}
    return make_archive(
        "parted.tar.gz", counts, {f: f.rpartition("/")[2] for f in counts} | {"unlabeled": "disc"}
    )


def test_inspect_train_and_evaluate_say_the_parts(program, parted, tmp_path):
    document = json.loads(program("data", "inspect", parted, "--json")[1])
    assert document["parts"] == {"train": 24, "test": 9, "unlabelled": 3}
    assert document["classes"] == {"bar": 17, "ring": 16}
    assert (document["examples"], document["without_class"]) == (33, 3)
    said = program("data", "inspect", parted)[1]
    assert "Parts of the source by folder: train/ train (24 images), test/ test (9 images)." in said
    assert "unlabeled/: no class (3 images)." in said  # a path keeps its letters
    status, out, err = program("train", parted, "--out", tmp_path / "run", *QUICK, "--json")
    assert status == 0
    assert "the test part takes no part in training" in err
    assert any("unlabeled/: no class (3 images)" in note for note in json.loads(out)["notes"])
    found = json.loads(program("evaluate", tmp_path / "run", parted, "--json")[1])
    assert (found["part"], found["examples"]) == ("test", 9)
    learned = json.loads(program("evaluate", tmp_path / "run", parted, "--part", "train", "--json")[1])
    assert (learned["part"], learned["examples"]) == ("train", 24)
    pooled = program(
        "evaluate", tmp_path / "run", parted, "--no-split-folders", "--class-level", -1, "--json"
    )
    assert json.loads(pooled[1])["examples"] == 33


def test_two_readings_are_one_sentence_and_each_option_works(program, refusal, make_archive):
    counts = {f"{shape}/{place}": 4 for shape in ("bar", "ring") for place in ("here", "there")}
    nested = make_archive("n.tar.gz", counts, {path: path.partition("/")[0] for path in counts})
    for command in (("data", "inspect", nested), ("train", nested, "--out", "nowhere")):
        said = refusal(*command)
        assert "--class-level 2 takes bar, ring for the classes; --class-level 3 takes here, there" in said
    for level, names in ((2, {"bar", "ring"}), (3, {"here", "there"}), (-1, {"here", "there"})):
        document = json.loads(program("data", "inspect", nested, "--class-level", level, "--json")[1])
        assert set(document["classes"]) == names
    assert "--class-level: got 0; expected 1 for the folders at the top" in refusal(
        "data", "inspect", nested, "--class-level", 0
    )


def test_positions_and_names_exclude_each_other(program, run_copy, numbered):
    status, out, err = program("update", run_copy, numbered, "--by-position", "--by-name")
    assert (status, out) == (2, "")
    assert "expected one of the two" in " ".join(err.replace("│", " ").split())
