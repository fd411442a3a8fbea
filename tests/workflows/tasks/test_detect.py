"""Detection from pictures with boxes to a run: found, calibrated, moved by base rates; faults named."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from bayesight.data.annotated import open_annotated
from bayesight.data.annotations import read_voc
from bayesight.data.framing import ImageSpec
from bayesight.data.readers import BoxReader
from bayesight.errors import InvalidInput
from bayesight.evaluation.boxes import box_overlaps
from bayesight.run import Run
from bayesight.workflows.tasks.answers import answer_images, evaluate_task, opened_task
from bayesight.workflows.tasks.base import Asked
from bayesight.workflows.tasks.detect import DetectionFile, DetectTask
from bayesight.workflows.train import train
from bayesight.workflows.training.request import TrainRequest

NAMES = ("bar", "square")


def write_scenes(folder, count, seed, shares=(0.5, 0.5)):
    """Squares and bars on noise, as the task writes them, bars and squares in these shares."""
    rng = np.random.default_rng(seed)
    glyphs = np.zeros((20, 20, 20), np.uint8)
    bars = round(20 * shares[0])
    glyphs[:bars, :, 7:13], glyphs[bars:, 2:18, 2:18] = 255, 255
    labels = (np.arange(20) >= bars).astype(int)
    for name, content in DetectTask().scenes(glyphs, labels, NAMES, count, int(rng.integers(10**6))):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("detect")


@pytest.fixture(scope="module")
def run(place):
    source = write_scenes(place / "scenes", 160, 0)
    changes = {
        "model.widths": [8, 16, 32], "model.width": 16, "optimization.epochs": 12.0,
        "optimization.lr": 1e-2, "data.augment.name": "none", "data.batch": 16,
    }  # fmt: skip
    request = TrainRequest(source, place / "run", task="detect", changes=changes)
    return train(request).run


@pytest.fixture(scope="module")
def scene(place):
    """A picture, and its true boxes."""
    folder = write_scenes(place / "one", 1, 9)
    return folder / "JPEGImages/00000.png", read_voc((folder / "Annotations/00000.xml").read_bytes(), "")


def test_it_finds_boxes_and_says_what_they_are_worth(run, place):
    found = evaluate_task(run, write_scenes(place / "other", 60, 1)).as_dict()
    assert found["kind"] == "detection"
    assert found["boxes"] == 180
    assert found["average_precision"]["0.5"] > 0.7
    assert found["average_precision"]["0.5:0.95"] < found["average_precision"]["0.5"]
    low, high = found["average_precision_interval"]["0.5"]
    assert low < found["average_precision"]["0.5"] < high
    assert found["f1"] > 0.7
    assert found["ece"] < 0.05
    for name in NAMES:
        low, high = found["per_class"][name]["interval"]
        assert low <= found["per_class"][name]["average_precision"] <= high
    assert json.loads((run.folder / "metrics.json").read_text())["validation"]["average_precision"]
    assert "Best, typical and worst" in (run.folder / "report.html").read_text()


def test_stated_base_rates_come_true_where_they_hold(run, place):
    """Where nine things in ten are bars, posteriors at those rates are nearer the truth than as trained."""
    mostly = write_scenes(place / "bars", 60, 2, (0.9, 0.1))
    plain, stated = (evaluate_task(run, mostly, prior=prior) for prior in (None, "bar=0.9"))
    weights = stated.judgement.figures["reliability"]["counts"]
    assert sum(weights) > 100
    assert stated.judgement.figures["prior"] == pytest.approx({"bar": 0.9, "square": 0.1})
    assert stated.judgement.figures["ece"] < 0.05
    assert plain.judgement.figures["prior"] is None


def test_a_prior_moves_the_odds_by_the_theorem(run, scene):
    """Odds of each class against nothing are multiplied by stated over trained base rate, and by no more."""
    task, trained = opened_task(run)
    blob, shares = scene[0].read_bytes(), trained.facts.shares
    rates = torch.tensor([0.3, 0.7], dtype=torch.float64)
    plain, moved = (task.answer(trained, blob, Asked(prior)).row["boxes"] for prior in (None, rates))
    before, after = ({tuple(one["box"]): one for one in rows} for rows in (plain, moved))
    both = before.keys() & after.keys()
    assert len(both) >= 3
    for box in both:
        for k, name in enumerate(NAMES):
            odds = [one["posterior"][name] / one["nothing"] for one in (before[box], after[box])]
            assert odds[1] / odds[0] == pytest.approx(rates[k].item() / shares[k], rel=1e-6)
            assert sum(after[box]["posterior"].values()) + after[box]["nothing"] == pytest.approx(1)


def test_answers_are_in_the_pictures_own_pixels_and_drawn_there(run, scene, tmp_path):
    path, true = scene
    large = tmp_path / "large.png"
    with Image.open(path) as image:
        image.resize((144, 144), Image.Resampling.BILINEAR).save(large)
    answers = answer_images(run, [path, large], overlay=tmp_path / "drawn")
    for row, scale in zip(answers.as_list(), (1, 3), strict=True):
        sure = np.array([one["box"] for one in row["boxes"] if one["probability"] > 0.5]).reshape(-1, 4)
        assert row["size"] == [48 * scale, 48 * scale]
        best = box_overlaps(true.boxes * scale, sure).max(axis=1, initial=0)
        assert (best > 0.5).sum() >= 2
        expected = sum(row["expected_counts"].values())
        assert expected == pytest.approx(3, abs=1.2)
        with Image.open(row["overlay"]) as drawn:
            assert drawn.size == (48 * scale, 48 * scale)
            colours = np.asarray(drawn.convert("RGB")).astype(int)
        assert (np.ptp(colours, axis=2) > 60).any()  # a grey picture has no colours of its own
    assert "bar" in answers.text


def test_the_run_opens_again_with_its_calibration(run):
    facts = Run.open(run.folder).task(DetectionFile)
    assert tuple(facts.names) == NAMES
    assert len(facts.bias) == 3
    assert sum(facts.shares) == pytest.approx(1)


def test_classes_that_a_run_does_not_know_are_left_out_and_said(run, place):
    folder = write_scenes(place / "strange", 4, 5)
    page = folder / "Annotations/00000.xml"
    page.write_text(page.read_text().replace("bar", "cross").replace("square", "cross"))
    judged = evaluate_task(run, folder).judgement
    assert judged.figures["unknown_boxes"] == {"cross": 3}
    assert "classes that the run does not know: cross 3" in judged.text


def test_what_cannot_be_used_is_named_and_counted(tmp_path):
    folder = write_scenes(tmp_path, 12, 3)
    pages, pictures = folder / "Annotations", folder / "JPEGImages"
    one = (pages / "00000.xml").read_text()
    head = one[: one.index("<object>")]

    def thing(name, left, top, right, bottom):
        ends = zip(("xmin", "ymin", "xmax", "ymax"), (left, top, right, bottom), strict=True)
        told = "".join(f"<{end}>{value}</{end}>" for end, value in ends)
        return f"<object><name>{name}</name><bndbox>{told}</bndbox></object>"

    outside, flat = thing("bar", 90, 90, 99, 99), thing("bar", 9, 9, 8, 20)
    (pages / "00000.xml").write_text(one.replace("<object>", outside + flat + "<object>", 1))
    (pages / "00001.xml").write_text(
        head.replace("00000", "00001") + thing("bar", 2, 2, 9, 9) * 10_003 + "</annotation>"
    )
    (pages / "lost.xml").write_text(one.replace("00000.png", "lost.png"))
    (pages / "cut.json").write_text('{"images": [{"id": 1,')
    (pages / "00002.xml").unlink()
    read = open_annotated(folder, BoxReader(), ImageSpec(None, "L"))
    assert len(read) == 11
    assert len(read.annotations[list(read.paths).index("JPEGImages/00001.png")].names) == 10_000
    told = "\n".join(read.notes)
    for fault in (
        "outside the picture of 48x48", "a box without area", "more than 10,000 boxes", "no image lost.png",
        "cut.json: not JSON", "00002.png: no boxes",
    ):  # fmt: skip
        assert fault in told, told
    task = DetectTask()
    _, boxes, classes = task.batch(
        read.tensor([0, 1]), read.annotations[:2], DetectionFile(names=NAMES), None, torch.Generator()
    )
    assert boxes.shape == (2, 10_000, 4)
    assert (classes >= 0).sum(dim=1).tolist() == [3, 10_000]
    (pictures / "00003.png").write_bytes(b"no picture")
    assert "00003.png" in "\n".join(open_annotated(folder, BoxReader(), ImageSpec(None, "L")).notes)


def test_a_class_in_one_part_only_is_said_and_no_box_at_all_refused(tmp_path):
    read = open_annotated(write_scenes(tmp_path, 8, 4), BoxReader(), ImageSpec(None, "L"))
    learned, held = read.at(range(5)), read.at(range(5, 8))
    first = replace(held.annotations[0], names=("cross",) * len(held.annotations[0].names))
    held = replace(held, annotations=(first, *held.annotations[1:]))
    names, facts, notes = DetectTask().learned(learned, held, None)
    assert names == ("bar", "cross", "square")
    assert any("no picture learned from has cross, which pictures held out have" in note for note in notes)
    assert facts.shares[1] == min(facts.shares) > 0
    empty = [replace(one, names=(), boxes=one.boxes[:0]) for one in learned.annotations]
    nothing = replace(learned, annotations=tuple(empty))
    with pytest.raises(InvalidInput, match="pictures without a box; expected boxes of at least one class"):
        DetectTask().learned(nothing, nothing.at([0]), None)
