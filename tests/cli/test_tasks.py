"""Tasks on images from the command line: scenes, training, measuring, drawing, JSON and words."""

import json
import zipfile

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

QUICK = ("--task", "segment", "--set", "model.widths=[4,8]", "--batch", 8, "--epochs", 1, "--threads", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tasks")


@pytest.fixture
def run(program, folder):
    """A run on scenes, made once."""
    if not (folder / "run").exists():
        how = ("--count", 16, "--test", 4, "--seed", 2, "--json")
        status, out, err = program("data", "scenes", folder / "scenes.zip", *how)
        assert status == 0, err
        assert json.loads(out)["train"] == 16
        status, out, err = program("train", folder / "scenes.zip", "--out", folder / "run", *QUICK)
        assert status == 0, err
        assert "mean IoU" in out
        assert "learns from 14 images of 48x48" in err
    return folder / "run"


def test_a_run_is_measured_in_words_and_json_and_reported(program, run, folder):
    report = folder / "report.html"
    status, out, err = program("evaluate", run, folder / "scenes.zip", "--json", "--report", report)
    assert status == 0, err
    document = json.loads(out)
    assert (document["part"], document["examples"]) == ("test", 4)
    assert len(document["per_class"]) == 11
    assert report.exists()
    status, out, _ = program(
        "evaluate", run, folder / "scenes.zip", "--prior", "ground=0.5", "--part", "train"
    )
    assert status == 0
    assert out.startswith("16 images: mean IoU")


def test_an_answer_is_drawn_over_its_image(program, run, folder, tmp_path):
    picture = tmp_path / "one.png"
    Image.new("L", (60, 40), 70).save(picture)
    status, out, err = program("predict", run, picture, "--overlay", tmp_path / "drawn.png", "--json")
    assert status == 0, err
    (row,) = json.loads(out)
    with Image.open(row["overlay"]) as drawn:
        assert drawn.size == (60, 40)
    assert row["path"] == str(picture)
    assert sum(row["shares"].values()) == pytest.approx(1)
    status, out, _ = program("predict", run, picture, "--prior", "ground=0.999")
    assert "ground" in out


def test_annotated_images_are_looked_at_before_training(program, run, folder):
    status, out, err = program("data", "inspect", folder / "scenes.zip", "--task", "segment", "--json")
    assert status == 0, err
    document = json.loads(out)
    assert document["images"] == 20
    assert document["parts"] == {"train": 16, "test": 4}
    assert document["sizes"] == {"48x48": 20}
    assert list(document["classes"])[:2] == ["ground", "A"]
    assert sum(document["classes"].values()) == pytest.approx(1)
    with zipfile.ZipFile(folder / "scenes.zip") as one, zipfile.ZipFile(folder / "more.zip", "w") as more:
        for name in one.namelist():
            more.writestr(name, one.read(name))
        more.writestr("train/images/again.png", one.read("train/images/00003.png"))
        more.writestr("train/masks/again.png", one.read("train/masks/00003.png"))
        more.writestr("train/images/alone.png", one.read("train/images/00003.png"))
    status, out, _ = program("data", "inspect", folder / "more.zip", "--task", "segment")
    assert status == 0
    assert "1 image is there more than once" in out
    assert "left out 1 picture: train/images/alone.png: no masks" in out


def test_options_of_classifiers_are_refused(refusal, run, folder, shapes_run, tmp_path):
    said = refusal("evaluate", run, folder / "scenes.zip", "--unknown", folder)
    assert "--unknown: not for a run of segmentation; expected none" in said
    for option in (("--level", 0.5), ("--head", "laplace"), ("--class-level", 7), ("--no-split-folders",)):
        name = option[0].replace("--no-", "--")
        said = refusal("evaluate", run, folder / "scenes.zip", *option)
        assert f"{name}: not for a run of segmentation; expected none" in said
    for option in (("--abstain",), ("--level", 0.3), ("--hand-over", 0)):
        assert f"{option[0]}: not for a run of segmentation" in refusal("predict", run, "x.png", *option)
    said = refusal("train", folder / "scenes.zip", "--out", tmp_path / "run", *QUICK, "--class-level", 2)
    assert "--class-level: 2; expected none for --task segment" in said
    said = refusal("predict", shapes_run, "x.png", "--overlay", tmp_path / "x.png")
    assert "--overlay: not for a run of classification" in said
    said = refusal("train", folder / "scenes.zip", "--out", tmp_path / "run", "--task", "segmnt")
    assert "no task is called 'segmnt'; did you mean 'segment'?" in said
    said = refusal("summary", run)
    assert "is a run of segmentation" in said


def test_weights_of_another_run_are_a_start(program, refusal, run, folder, shapes_run, tmp_path):
    how = ("train", folder / "scenes.zip", *QUICK, "--lr", 1e-9, "--out", tmp_path / "on", "--init-from")
    status, _, err = program(*how, run)
    assert status == 0, err
    first, second = (load_file(one / "model.safetensors")["head.weight"] for one in (run, tmp_path / "on"))
    assert torch.allclose(first, second, atol=1e-6)
    said = refusal(*how[:-3], "--out", tmp_path / "no", "--init-from", shapes_run)
    assert "a run of classification; expected one of segmentation" in said
