"""What is not among the images, and what was done to those that are: every command says what inspect says."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

QUICK = ("--model", "mlp", "--epochs", 1, "--batch", 32)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300)


@pytest.fixture(autouse=True)
def without_a_reader_of_heic(monkeypatch):
    monkeypatch.setattr("bayesight.data.formats.reads_heif", lambda: False)


def encoded(pixels, form="PNG", **options):
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, form, **options)
    return buffer.getvalue()


def picture(seed, height=28, width=28):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def pack(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def spoilt(tmp_path):
    """Classes the run of shapes knows; some files are broken, of another kind, or of another shape."""
    names = enumerate(("bar", "disc", "ring"))
    members = {f"{name}/{i}.png": encoded(picture(100 * k + i)) for k, name in names for i in range(12)}
    for i in range(4):
        members[f"ring/{i}.png"] = members[f"ring/{i}.png"][:90]
        members[f"bar/{i}.heic"] = HEIC
        members[f"disc/{i}.png"] = encoded(picture(900 + i, 28, 112))
    members |= {"ring/notes.txt": b"words", "disc/Thumbs.db": b"x", "bar/x.json": b"{}"}
    transparent = np.dstack([picture(7)] * 4)
    return pack(tmp_path / "spoilt.zip", members | {"disc/glass.png": encoded(transparent)})


def test_every_command_says_what_inspect_says(program, run_copy, spoilt, tmp_path):
    inspected = json.loads(program("data", "inspect", spoilt, "--size", 28, "--mode", "L", "--json")[1])
    assert len(inspected["quarantined"]) == 8
    kinds = {(kind["kind"], kind["class"]): kind["files"] for kind in inspected["ignored_kinds"]}
    assert kinds == {(".txt", "ring"): 1, (".json", "bar"): 1, ("hidden", None): 1}
    assert inspected["treatment"]["transparent"] == 1
    assert inspected["treatment"]["cropped"] == 4
    said = [note.replace("the run's ", "") for note in inspected["notes"]]
    (left_out,) = [note for note in said if "left out" in note]
    assert left_out.startswith(
        "8 of 41 files were left out: 4 HEIC/HEIF, which is not read: install its reader"
    )
    assert "; 4 cut off (first: " in left_out
    assert any("27 % of the pixels are cut away" in note for note in said)
    told = program("data", "inspect", spoilt, "--size", 28, "--mode", "L")[1]
    assert all(note[1:] in told for note in inspected["notes"])
    for command in (
        ("evaluate", run_copy, spoilt),
        ("prior", run_copy, spoilt),
        ("update", run_copy, spoilt),
        ("train", spoilt, "--size", 28, "--mode", "L", "--out", tmp_path / "trained", *QUICK),
    ):
        status, out, err = program(*command, "--json")
        document = json.loads(out)
        assert status == 0
        for key in ("quarantined", "ignored", "ignored_kinds", "lost_classes", "levels", "fit", "treatment"):
            assert document[key] == inspected[key], (command[0], key)
        assert {note.replace("the run's ", "") for note in document["notes"]} >= set(said), command[0]
        assert all(note in err for note in document["notes"]), command[0]
    page = (tmp_path / "trained" / "report.html").read_text()
    assert "8 of 41 files were left out" in page
    assert "27 % of the pixels are cut away" in page


def test_a_class_without_an_image_that_can_be_read_stops_training(program, refusal, tmp_path):
    good = {f"{name}/{i}.png": encoded(picture(100 * k + i)) for k, name in enumerate("ab") for i in range(9)}
    lost = {f"iphone/IMG_{i}.HEIC": HEIC for i in range(5)} | {f"c d/{i}.dat": b"raw" for i in range(3)}
    source = pack(tmp_path / "set.zip", good | lost)
    said = refusal("train", source, "--out", tmp_path / "trained", *QUICK)
    assert "would lose classes 'c d', of which no file in c d/ could be read as an image (3 .dat); " in said
    assert "'iphone', of which no file in iphone/ could be read as an image (5 HEIC/HEIF, " in said
    assert "--without 'c d' --without iphone" in said
    document = json.loads(program("data", "inspect", source, "--json")[1])
    assert [(one["class"], sum(one["files"].values())) for one in document["lost_classes"]] == [
        ("c d", 3), ("iphone", 5)
    ]  # fmt: skip
    assert "No image is left of class 'iphone'" in program("data", "inspect", source)[1].replace(
        "Warning: n", "N"
    )
    status, _, err = program(
        "train", source, "--out", tmp_path / "trained", *QUICK, "--without", "c d", "--without", "iphone"
    )
    assert status == 0
    assert "warning: no image is left of class 'iphone'" in err
    assert "no class is called 'cc'; known: a, b, c d, iphone" in refusal(
        "train", source, "--out", tmp_path / "r", *QUICK, "--without", "cc"
    )


def deep(seed, most, where=14):
    """A 16-bit picture with a bright bar, whose greatest value is ``most``."""
    values = np.random.default_rng(seed).integers(0, most // 8, (28, 28)).astype(np.uint16)
    values[where : where + 5, 4:24] = most
    return values


def test_sixteen_bits_keep_one_range_for_the_life_of_a_run(program, refusal, tmp_path):
    members = {f"{name}/{i}.png": encoded(deep(100 * k + i, 4095, where))
               for k, (name, where) in enumerate((("low", 20), ("high", 3))) for i in range(30)}  # fmt: skip
    source = pack(tmp_path / "cells.zip", members)
    options = ("--model", "mlp", "--epochs", 5, "--batch", 16)
    status, out, err = program("train", source, "--out", tmp_path / "run", *options, "--json")
    assert status == 0
    assert json.loads(out)["levels"] == [0, 4095]
    assert "60 of 60 images have more than 8 bits: 0 to 4,095 became 0 to 255" in err
    dim, bright, plain = (tmp_path / f"{name}.png" for name in ("dim", "bright", "plain"))
    dim.write_bytes(encoded(deep(5, 4095, 20) // 2))
    bright.write_bytes(encoded(deep(6, 60_000, 20)))
    plain.write_bytes(encoded(picture(1)))
    found = json.loads(program("predict", tmp_path / "run", dim, bright, plain, "--json")[1])
    assert found[0]["prediction"] == "low"
    assert found[1]["notes"] == ["values beyond the run's 0 to 4,095 were clipped"]
    assert "8-bit values; expected values of 0 to 4,095" in found[2]["error"]
    later = pack(tmp_path / "later.zip", {f"low/{i}.png": encoded(deep(i, 2000, 20)) for i in range(5)})
    judged = json.loads(program("evaluate", tmp_path / "run", later, "--json")[1])
    assert judged["levels"] == [0, 4095]
    eight = pack(tmp_path / "eight.zip", {f"low/{i}.png": encoded(picture(i)) for i in range(5)})
    assert "5 quarantined (first: low/0.png: 8-bit values" in refusal("update", tmp_path / "run", eight)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (lambda i: picture(i), "mixes 20 images of 8 bits and 20 of "),
        (lambda i: deep(i, 4095), "mixes 20 images of values up to 4,095 and 20 up to 65,535"),
    ],
)
def test_images_of_two_ranges_are_refused(refusal, tmp_path, others, said):
    members = {f"a/{i}.png": encoded(deep(i, 65_535)) for i in range(20)}
    members |= {f"b/{i}.png": encoded(others(i)) for i in range(20)}
    message = refusal("data", "inspect", pack(tmp_path / "x.zip", members))
    assert said in message
    assert "the first of these: a/0.png" in message


def test_images_of_unknown_kinds_are_told_about_too(program, shapes_run, spoilt, tmp_path):
    known = pack(tmp_path / "known.zip", {f"bar/{i}.png": encoded(picture(i)) for i in range(3)})
    status, out, err = program("evaluate", shapes_run, known, "--unknown", spoilt, "--json")
    assert status == 0
    assert any("8 of 41 files were left out" in note for note in json.loads(out)["novelty"]["notes"])
    assert "--unknown: 8 of 41 files were left out" in err
