"""``bayesight update``: its JSON, its words, its refusals."""

import json

import numpy as np
import pytest
from PIL import Image

from bayesight.data import open_store
from bayesight.run import Run

KEYS = {"run", "absorbed", "removed", "new_classes", "seconds", "log_evidence"}
KEYS |= {"repeated", "predicted", "features_s", "belief_s", "note", "fitted_note"}
KEYS |= {"corrected", "was", "superseded", "gone_classes"}


def test_json_in_and_out_again(program, source_keys, run_copy, make_archive):
    more = make_archive("more.tar.gz", {"bar": 5, "stripe": 4}, {"stripe": "ring"})
    status, out, _ = program("update", run_copy, more, "--json")
    document = json.loads(out)
    assert status == 0
    assert set(document) == KEYS | source_keys
    assert (document["absorbed"], document["removed"], document["new_classes"]) == (9, 0, ["stripe"])
    assert document["run"] == str(run_copy)
    assert document["seconds"] == document["features_s"] + document["belief_s"] > 0
    assert isinstance(document["log_evidence"], float)
    assert json.loads((run_copy / "classes.json").read_text())["classes"] == ["bar", "disc", "ring", "stripe"]
    gone = json.loads(program("update", run_copy, more, "--remove", "--json")[1])
    assert set(gone) == KEYS | source_keys
    assert (gone["absorbed"], gone["removed"], gone["log_evidence"]) == (0, 9, None)
    assert gone["gone_classes"] == ["stripe"]
    assert json.loads((run_copy / "classes.json").read_text())["classes"] == ["bar", "disc", "ring"]


def test_words_hold_the_numbers(program, run_copy, make_archive):
    more = make_archive("more.tar.gz", {"bar": 5, "stripe": 4}, {"stripe": "ring"})
    status, out, err = program("update", run_copy, more, "--trust-past", 0.5, "--robust")
    assert (status, err) == (0, "")
    assert out.startswith("absorbed 9 images in ")
    assert "\nnew classes: stripe\n" in out
    assert "of those of known classes were called rightly" in out
    again = program("update", run_copy, more)[1]
    assert again.startswith("absorbed 0 images in ")
    assert "\n9 of 9 were repeated: learned under this label before, they change nothing" in again
    out = program("update", run_copy, more, "--remove")[1]
    assert out.startswith("took out 9 images in ")
    assert out.endswith("gone, for no image of it is left: stripe\n")


def labelled(folder, seeds):
    """A folder of drawings: {class: seeds}, one image a seed."""
    for name, chosen in seeds.items():
        (folder / name).mkdir(parents=True)
        for seed in chosen:
            pixels = np.random.default_rng(seed).integers(0, 256, (28, 28), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{seed}.png")
    return folder


def test_a_folder_whose_lock_cannot_be_had_is_refused_in_one_sentence(program, run_copy, make_archive):
    (run_copy / "belief.lock").mkdir()  # as in a folder that can only be read: the lock is no file to open
    more = make_archive("more.tar.gz", {"bar": 5})
    status, out, err = program("update", run_copy, more)
    assert (status, out) == (1, "")
    assert (
        err == f"bayesight: {run_copy} cannot be changed (Is a directory); make it writable for this user.\n"
    )


def test_a_corrected_label_replaces_the_first_and_that_is_said(program, run_copy, tmp_path):
    def more():
        return (Run.open(run_copy).classifier().head.counts - before).tolist()

    before = Run.open(run_copy).classifier().head.counts
    first = labelled(tmp_path / "first", {"bar": range(7), "disc": range(7, 9)})
    right = labelled(tmp_path / "right", {"ring": range(10)})
    program("update", run_copy, first)
    assert more() == pytest.approx([7, 2, 0])
    document = json.loads(program("update", run_copy, right, "--json")[1])
    assert (document["absorbed"], document["corrected"], document["repeated"]) == (10, 9, 0)
    assert document["was"] == {"bar": 7, "disc": 2}
    assert more() == pytest.approx([0, 0, 10])
    out = program("update", run_copy, right, "--second-reading")[1]
    assert out.startswith("absorbed 10 images in ")
    assert more() == pytest.approx([0, 0, 20])
    out = program("update", run_copy, first)[1]
    assert "\n9 of 9 were learned as ring before; the new label replaces that\n" in out
    assert more() == pytest.approx([7, 2, 2])
    out = program("update", run_copy, right)[1]
    assert "\n9 of 10 were learned as bar before, 2 as disc" not in out
    assert "\n7 of 10 were learned as bar before, 2 as disc; the new label replaces that\n" in out


def test_training_images_are_corrected_too(program, run_copy, tmp_path, shapes):
    kept = open_store(shapes)
    (tmp_path / "right" / "ring").mkdir(parents=True)
    bars = [row for row in range(len(kept)) if kept.classes[kept.labels[row]] == "bar"][:10]
    for row in bars:
        Image.fromarray(np.asarray(kept.images[row])).save(tmp_path / "right" / "ring" / f"{row}.png")
    before = Run.open(run_copy).classifier().head.counts.tolist()
    document = json.loads(program("update", run_copy, tmp_path / "right", "--json")[1])
    assert document["absorbed"] == 10
    assert document["was"] == {"bar": document["corrected"]}
    assert 5 <= document["corrected"] <= 10  # the others were held out for validation
    after = Run.open(run_copy).classifier().head.counts.tolist()
    assert after == pytest.approx([before[0] - document["corrected"], before[1], before[2] + 10])


def test_one_image_under_two_labels_at_once_counts_once(program, run_copy, tmp_path):
    both = labelled(tmp_path / "both", {"bar": range(3), "ring": range(2, 5)})
    out = program("update", run_copy, both)[1]
    assert out.startswith("absorbed 5 images in ")
    assert "\n1 of 6 came under another label too, and the last counts" in out


def test_labels_and_members_that_were_superseded_are_two_numbers(program, run_copy, tmp_path):
    both = labelled(tmp_path / "both", {"bar": range(3), "ring": range(2, 5)})
    document = json.loads(program("update", run_copy, both, "--json")[1])
    assert (document["superseded"], document["container"]["superseded"]) == (1, 0)


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


def test_numbers_as_labels_are_said(program, run_copy, numbered):
    status, _, err = program("update", run_copy, numbered)
    assert status == 0
    assert "read as the run's classes in order, 'bar' to 'ring'; --by-name reads them as names" in err
    document = json.loads(program("update", run_copy, numbered, "--by-name", "--json")[1])
    assert document["new_classes"] == ["0", "2"]


def test_options_that_would_do_nothing_are_refused(program, run_copy, more_shapes, tmp_path):
    belief = (run_copy / "belief.safetensors").read_bytes()
    status, out, err = program("update", run_copy, more_shapes, "--person", "ada")
    assert (status, out) == (2, "")
    assert "--person: needs --ledger" in err
    ledger = tmp_path / "ledger.db"
    status, _, err = program("update", run_copy, more_shapes, "--run-only", "--ledger", f"sqlite:///{ledger}")
    assert status == 2
    assert "--run-only: given with --ledger" in err
    assert (run_copy / "belief.safetensors").read_bytes() == belief
    assert not ledger.exists()


def test_refusals_change_nothing(refusal, run_copy, more_shapes, make_archive, tmp_path):
    belief = (run_copy / "belief.safetensors").read_bytes()
    assert "90 of 90 images were never absorbed" in refusal("update", run_copy, more_shapes, "--remove")
    for trust in (0, 1.5, "nan"):
        assert "trust_past" in refusal("update", run_copy, more_shapes, "--trust-past", trust)
    for more in (("--trust-past", 0.5), ("--second-reading",), ("--robust",)):
        assert "one of the two" in refusal("update", run_copy, more_shapes, *more, "--remove")
        ledger = ("--ledger", f"sqlite:///{tmp_path}/ledger.db")
        assert "remove" in refusal("update", run_copy, more_shapes, *more, "--remove", *ledger)
    strange = make_archive("strange.tar.gz", {"bars": 2}, {"bars": "bar"})
    assert "does not know class 'bars'" in refusal("update", run_copy, strange, "--remove")
    assert "does not exist" in refusal("update", run_copy, tmp_path / "nothing.zip")
    assert "is not a run folder" in refusal("update", tmp_path, more_shapes)
    assert (run_copy / "belief.safetensors").read_bytes() == belief
