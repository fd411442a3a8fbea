"""``bayesight update``: its JSON, its words, its refusals."""

import json

from PIL import Image

KEYS = {"run", "absorbed", "removed", "new_classes", "seconds", "log_evidence"}
KEYS |= {"repeated", "predicted", "features_s", "belief_s", "note", "fitted_note"}


def test_json_in_and_out_again(program, run_copy, make_archive):
    more = make_archive("more.tar.gz", {"bar": 5, "stripe": 4}, {"stripe": "ring"})
    status, out, _ = program("update", run_copy, more, "--json")
    document = json.loads(out)
    assert status == 0
    assert set(document) == KEYS
    assert (document["absorbed"], document["removed"], document["new_classes"]) == (9, 0, ["stripe"])
    assert document["run"] == str(run_copy)
    assert document["seconds"] == document["features_s"] + document["belief_s"] > 0
    assert isinstance(document["log_evidence"], float)
    assert json.loads((run_copy / "classes.json").read_text())["classes"] == ["bar", "disc", "ring", "stripe"]
    gone = json.loads(program("update", run_copy, more, "--remove", "--json")[1])
    assert set(gone) == KEYS
    assert (gone["absorbed"], gone["removed"], gone["log_evidence"]) == (0, 9, None)


def test_words_hold_the_numbers(program, run_copy, make_archive):
    more = make_archive("more.tar.gz", {"bar": 5, "stripe": 4}, {"stripe": "ring"})
    status, out, err = program("update", run_copy, more, "--trust-past", 0.5, "--robust")
    assert (status, err) == (0, "")
    assert out.startswith("absorbed 9 images in ")
    assert "\nnew classes: stripe\n" in out
    assert "of those of known classes were called rightly" in out
    again = program("update", run_copy, more)[1]
    assert "9 of them had been absorbed before and now count once more" in again
    assert program("update", run_copy, more, "--remove")[1].startswith("took out 9 images in ")


def test_images_of_another_size_or_mode_are_brought_to_the_runs_and_that_is_said(
    program, run_copy, tmp_path, pictures
):
    for number, path in enumerate(pictures):
        image = Image.open(path).convert("RGB" if number == 1 else "L")
        image = image.resize((40, 40)) if number < 2 else image
        kept = tmp_path / "large" / ("bar", "disc", "ring")[number] / f"{number}.png"
        kept.parent.mkdir(parents=True)
        image.save(kept)
    note = "2 of 3 images were brought to the run's 28x28 grey"
    status, out, err = program("update", run_copy, tmp_path / "large", "--json")
    assert status == 0
    assert json.loads(out)["fitted_note"] == note
    assert note in err
    status, out, err = program("evaluate", run_copy, tmp_path / "large", "--json")
    assert note in err
    assert json.loads(out)["note"] == note


def test_numbers_as_labels_are_said(program, run_copy, make_archive):
    numbered = make_archive("n.tar.gz", {"0": 2, "2": 2}, {"0": "bar", "2": "ring"})
    status, _, err = program("update", run_copy, numbered)
    assert status == 0
    assert "read as the run's classes in order, bar-ring; --by-name reads them as names" in err
    document = json.loads(program("update", run_copy, numbered, "--by-name", "--json")[1])
    assert document["new_classes"] == ["0", "2"]


def test_refusals_change_nothing(refusal, run_copy, more_shapes, make_archive, tmp_path):
    belief = (run_copy / "belief.safetensors").read_bytes()
    assert "90 of 90 images were never absorbed" in refusal("update", run_copy, more_shapes, "--remove")
    for trust in (0, 1.5, "nan"):
        assert "trust_past" in refusal("update", run_copy, more_shapes, "--trust-past", trust)
    assert "one of the two" in refusal("update", run_copy, more_shapes, "--trust-past", 0.5, "--remove")
    strange = make_archive("strange.tar.gz", {"bars": 2}, {"bars": "bar"})
    assert "does not know class 'bars'" in refusal("update", run_copy, strange, "--remove")
    assert "does not exist" in refusal("update", run_copy, tmp_path / "nothing.zip")
    assert "is not a run folder" in refusal("update", tmp_path, more_shapes)
    assert (run_copy / "belief.safetensors").read_bytes() == belief
