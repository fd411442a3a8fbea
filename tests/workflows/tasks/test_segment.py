"""Segmentation from scenes to answers: trained, measured, drawn, moved by base rates, and what it refuses."""

import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from bayesight.data.annotated import open_annotated
from bayesight.data.framing import ImageSpec
from bayesight.data.readers import MaskReader
from bayesight.errors import BayesightError, InvalidInput, RunUnreadable
from bayesight.run import Run
from bayesight.workflows.scenes import write_scenes
from bayesight.workflows.tasks.answers import answer_images, evaluate_task, opened_task
from bayesight.workflows.tasks.segment import SegmentationFile
from bayesight.workflows.train import TrainRequest, train

SMALL = {"model.widths": [8, 16, 16], "optimization.epochs": 4, "data.batch": 12, "optimization.lr": 0.01}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Scenes in two parts, and a run trained on one of them."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder / "scenes.zip", "segment", count=64, test=12, seed=3)
    request = TrainRequest(folder / "scenes.zip", folder / "run", task="segment", changes=SMALL, threads=1)
    return folder, train(request)


@pytest.fixture(scope="module")
def picture(made):
    folder, _ = made
    with zipfile.ZipFile(folder / "scenes.zip") as file:
        (folder / "one.png").write_bytes(file.read("test/images/00000.png"))
    return folder / "one.png"


def test_a_run_holds_all_that_its_answers_depend_on(made):
    folder, result = made
    run = Run.open(folder / "run")
    assert run.kind == "segmentation"
    assert result.metrics["classes"] == ["ground", *"ABCDEFGHIJ"]
    assert result.metrics["examples"] == {"train": 54, "validation": 10}
    found = result.metrics["validation"]
    low, high = found["mean_iou_interval"]
    assert low <= found["mean_iou"] <= high
    assert found["pixel_accuracy"] > 0.7
    report = (folder / "run" / "report.html").read_text()
    assert "Best, typical and worst" in report
    assert "Do its probabilities come true?" in report
    facts = run.task(SegmentationFile)
    assert sum(facts.shares) == pytest.approx(1)
    assert facts.shares[0] > 0.5


def test_measured_on_the_test_part_of_other_glyphs(made):
    folder, _ = made
    found = evaluate_task(Run.open(folder / "run"), folder / "scenes.zip")
    tree = found.as_dict()
    assert tree["part"] == "test"
    assert tree["examples"] == 12
    assert sum(one["pixels"] for one in tree["per_class"].values()) == tree["pixels"] == 12 * 48 * 48
    _, trained = opened_task(Run.open(folder / "run"))
    with torch.no_grad():
        log_p = trained.network(found.images.tensor()).double().log_softmax(1)
    bias = torch.tensor(trained.facts.bias)[:, None, None]
    answers = (log_p / trained.facts.temperature + bias).argmax(1).numpy()
    truth = np.stack(found.images.annotations)
    ground = ((answers == 0) & (truth == 0)).sum() / ((answers == 0) | (truth == 0)).sum()
    assert tree["per_class"]["ground"]["iou"] == pytest.approx(ground, abs=1e-4)
    json.dumps(tree)


def test_stated_base_rates_move_the_posterior_by_the_theorem(made, picture):
    folder, _ = made
    run = Run.open(folder / "run")
    shares = torch.tensor(run.task(SegmentationFile).shares)
    stated = ",".join(f"{name}={share}" for name, share in zip(run.classes().names, shares, strict=True))
    (own,), (same,), (rare,) = (
        [found for _, found, _ in answer_images(run, [picture], prior=prior).answers]
        for prior in (None, stated, "ground=0.999")
    )
    assert same.row["expected_shares"] == pytest.approx(own.row["expected_shares"], abs=1e-4)
    assert rare.row["expected_shares"]["ground"] > own.row["expected_shares"]["ground"]
    low = evaluate_task(run, folder / "scenes.zip", prior="ground=0.999").judgement.figures
    assert low["prior"]["ground"] == pytest.approx(0.999)
    counted = {name: one["pixels"] for name, one in low["per_class"].items()}
    assert counted["ground"] / sum(counted.values()) == pytest.approx(0.999, abs=1e-3)


def test_overlays_have_the_size_of_their_images(made, tmp_path):
    folder, _ = made
    run = Run.open(folder / "run")
    Image.fromarray(np.full((70, 90), 90, np.uint8)).save(tmp_path / "wide.png")
    (tmp_path / "none.png").write_bytes(b"no image")
    found = answer_images(run, [tmp_path / "wide.png", tmp_path / "none.png"], overlay=tmp_path / "drawn")
    rows = found.as_list()
    with Image.open(rows[0]["overlay"]) as drawn:
        assert drawn.size == (90, 70)
    assert sum(rows[0]["shares"].values()) == pytest.approx(1)
    assert "not an image" in rows[1]["error"]
    with pytest.raises(InvalidInput, match="--overlay: one file for 2 images; expected a folder"):
        answer_images(run, [tmp_path / "wide.png"] * 2, overlay=tmp_path / "drawn.png")


def test_training_goes_on_where_it_stopped(made, tmp_path):
    """Ctrl-C after some steps, then --resume: the same weights as in one go."""
    folder, _ = made

    class Interruption(Exception):
        pass

    def stop(event):
        if getattr(event, "step", 0) == 7 and hasattr(event, "losses"):
            raise Interruption

    request = TrainRequest(
        folder / "scenes.zip",
        tmp_path / "run",
        task="segment",
        changes=SMALL,
        threads=1,
        checkpoint_every_s=0,
    )
    with pytest.raises(Interruption):
        train(request, listeners=[stop])
    resumed = train(TrainRequest(**(vars(request) | {"resume": True})))
    whole = Run.open(folder / "run").folder / "model.safetensors"
    assert (resumed.run.folder / "model.safetensors").read_bytes() == whole.read_bytes()


def test_images_of_one_group_are_on_one_side(made, tmp_path):
    """Scenes of one ten belong together: 54 scenes learned from are no mixture of tens."""
    folder, _ = made
    quick = SMALL | {"optimization.epochs": 0.2, "data.group_by": r"(?P<group>\d)\d\.png"}
    request = TrainRequest(folder / "scenes.zip", tmp_path / "run", task="segment", changes=quick, threads=1)
    counts = train(request).metrics["examples"]
    assert counts["train"] + counts["validation"] == 64
    assert counts["validation"] in (4, 10)


def test_a_class_in_one_part_alone_is_said(tmp_path):
    masks = [np.zeros((16, 16), np.uint8) for _ in range(10)]
    for number, mask in enumerate(masks):
        mask[:4] = 1
        mask[8:, number] = 2 if number == 0 else 1
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        for number, mask in enumerate(masks):
            for kind in ("images", "masks"):
                Image.fromarray(mask + (number if kind == "images" else 0)).save(tmp_path / "x.png")
                file.writestr(f"{kind}/{number}.png", (tmp_path / "x.png").read_bytes())
    request = TrainRequest(
        tmp_path / "set.zip",
        tmp_path / "run",
        task="segment",
        changes={**SMALL, "optimization.epochs": 1},
        threads=1,
    )
    notes = train(request).metrics["notes"]
    said = [note for note in notes if "has 2" in note]
    assert said[0].startswith(
        ("no image held out has 2, which images learned from have", "no image learned from has 2")
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data.augment": "photo"}, "'photo', which moves the image alone; expected none or scene"),
        ({"model.widths": [8] * 9}, "expected 256x256 or larger"),
        ({"data.environments": "folder"}, "--environments: folder; expected none for --task segment"),
        ({"loss.name": "cross_entropy"}, "model 'unet' learns by the loss 'mask', not 'cross_entropy'"),
        ({"loss.dise": 1}, "dise"),
    ],
)
def test_what_such_a_run_has_no_use_for_is_refused(made, tmp_path, changes, said):
    folder, _ = made
    request = TrainRequest(
        folder / "scenes.zip", tmp_path / "run", task="segment", changes={**SMALL, **changes}
    )
    with pytest.raises(BayesightError) as caught:
        train(request)
    assert said in str(caught.value)
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_a_model_of_another_kind_and_a_damaged_run(made, tmp_path):
    folder, _ = made
    request = TrainRequest(folder / "scenes.zip", tmp_path / "run", model="mlp", task="segment")
    with pytest.raises(InvalidInput, match="--task segment: the model 'mlp', which is for classification"):
        train(request)
    run = Run.open(folder / "run")
    with pytest.raises(InvalidInput, match="names the pixels of images; expected a classifier's run"):
        run.classifier()
    whole = (run.folder / "task.json").read_bytes()
    try:
        (run.folder / "task.json").write_text('{"format": 2, "shares": [2]}')
        with pytest.raises(RunUnreadable, match="shares"):
            opened_task(run)
    finally:
        (run.folder / "task.json").write_bytes(whole)


def parts(folder, name, **rows):
    """An archive with some of eight different images, and their masks, in each part."""
    with zipfile.ZipFile(folder / name, "w") as file:
        for part, numbers in rows.items():
            for number in numbers:
                mask = np.zeros((16, 16), np.uint8)
                mask[:, number % 7 :] = 1
                for kind in ("images", "masks"):
                    Image.fromarray(mask + (40 * number if kind == "images" else 0)).save(folder / "x.png")
                    file.writestr(f"{part}/{kind}/{number}.png", (folder / "x.png").read_bytes())
    return folder / name


def test_what_is_held_out_is_never_learned_from(tmp_path):
    small = {**SMALL, "optimization.epochs": 1, "model.widths": [4, 8]}
    same = parts(tmp_path, "same.zip", train=range(5), val=range(5))
    request = TrainRequest(same, tmp_path / "run", task="segment", changes=small, threads=1)
    with pytest.raises(InvalidInput, match="no image to learn from that is not held out too"):
        train(request)
    first = parts(tmp_path, "first.zip", train=range(4), val=(4,))
    also = parts(tmp_path, "also.zip", train=(3, 4, 5), val=(5,), test=(6,))
    request = TrainRequest(first, tmp_path / "run", task="segment", changes=small, threads=1, also=(also,))
    run = train(request).run
    assert run.metrics()["examples"] == {"train": 6, "validation": 1}  # 0 to 3, and 3 and 5 of the other
    assert "learned from images of this source" in evaluate_task(run, first).notes[0]
    assert not any("learned from" in note for note in evaluate_task(run, also).notes)


def test_masks_in_an_archive_are_not_answered(made):
    folder, _ = made
    found = answer_images(Run.open(folder / "run"), [folder / "scenes.zip"]).as_list()
    assert len(found) == 76
    assert not any("masks" in row["path"] for row in found)


def test_a_prior_of_nothing_that_is_there(made, tmp_path):
    folder, _ = made
    only = parts(tmp_path, "only.zip", train=range(4))
    with pytest.raises(InvalidInput, match="--prior: nothing for the classes of these images"):
        evaluate_task(Run.open(folder / "run"), only, prior="J=1")


def test_few_images_are_refused(tmp_path):
    write_scenes(tmp_path / "few.zip", "segment", count=3)
    with pytest.raises(InvalidInput, match="3 different images with masks; expected at least 4"):
        train(TrainRequest(tmp_path / "few.zip", tmp_path / "run", task="segment"))
    assert len(open_annotated(tmp_path / "few.zip", MaskReader(), ImageSpec())) == 3
