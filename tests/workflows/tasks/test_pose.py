"""Key points from figures to answers: trained, measured, drawn, mirrored, and what is refused or counted."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from bayesight.data.annotations import Annotated, Skeleton
from bayesight.data.augment import SceneAugment
from bayesight.errors import InvalidInput, SourceUnreadable
from bayesight.run import Run
from bayesight.workflows.scenes import write_scenes
from bayesight.workflows.tasks.answers import answer_images, evaluate_task
from bayesight.workflows.tasks.pose import PoseFile, PoseTask
from bayesight.workflows.train import TrainRequest, train

POINTS = ["bright", "dark"]
SMALL = {
    "model.widths": [8, 16],
    "optimization.epochs": 18,
    "optimization.lr": 0.02,
    "data.batch": 8,
    "data.augment": {"name": "scene", "flip": 0.5, "scale": 0.2, "shift": 0.1},
}


def dots(count, seed, times=1):
    """Images (N, 48, 64), two figures of a bright and a dark square each, and points (N, 2, 2, 2)."""
    rng = np.random.default_rng(seed)
    images = rng.normal(120, 6, (count, 48, 64))
    points = np.empty((count, 2, 2, 2))
    for number in range(count):
        for figure, left in enumerate((3, 35)):
            corner = np.array([left, 6]) + rng.integers(0, 4, 2)
            places = corner + rng.permuted([[2, 2], [16, 26]], axis=0) + rng.integers(0, 4, (2, 2))
            for (x, y), grey in zip(places, (250, 5), strict=True):
                images[number, y : y + 5, x : x + 5] = grey
            points[number, figure] = places + 2.5
    pixels = np.kron(images.clip(0, 255).astype(np.uint8), np.ones((1, times, times), np.uint8))
    return pixels, points * times


def document(points, size, **changes):
    """The key points as COCO writes them; boxes are those of the points and 3 pixels more."""
    low, high = points.min(axis=2) - 3, points.max(axis=2) + 3
    images = [
        {"id": n, "file_name": f"{n}.png", "height": size[0], "width": size[1]} for n in range(len(points))
    ]
    figures = [
        {
            "id": 2 * n + g,
            "image_id": n,
            "category_id": 1,
            "bbox": [*low[n, g], *(high - low)[n, g]],
            "keypoints": np.concatenate([points[n, g], [[2], [2]]], axis=1).ravel().tolist(),
        }
        for n in range(len(points))
        for g in range(2)
    ]
    category = {"id": 1, "name": "pair", "keypoints": POINTS, "skeleton": [[1, 2]]}
    return {"images": images, "categories": [category], "annotations": figures, **changes}


def archive(path, images, tree):
    with zipfile.ZipFile(path, "w") as file:
        for number, image in enumerate(images):
            blob = io.BytesIO()
            Image.fromarray(image).save(blob, "png")
            file.writestr(f"images/{number}.png", blob.getvalue())
        file.writestr("keypoints.json", tree if isinstance(tree, bytes) else json.dumps(tree))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run trained on pairs of squares, and more of them."""
    folder = tmp_path_factory.mktemp("figures")
    images, points = dots(60, 0)
    source = archive(folder / "figures.zip", images, document(points, (48, 64)))
    result = train(TrainRequest(source, folder / "run", task="pose", changes=SMALL, threads=1))
    images, points = dots(20, 1)
    archive(folder / "more.zip", images, document(points, (48, 64)))
    return folder, result


def test_a_run_holds_all_that_its_answers_depend_on(made):
    folder, result = made
    run = Run.open(folder / "run")
    facts = run.task(PoseFile)
    assert (run.kind, result.metrics["classes"]) == ("pose", [])
    assert (facts.points, [list(line) for line in facts.lines], facts.side) == (POINTS, [[0, 1]], 32)
    assert result.metrics["validation"]["figures"] == 2 * result.metrics["examples"]["validation"]
    assert "120 figures of 2 key points, cut to 32x32" in result.metrics["notes"]
    assert 1.1 < facts.reach < 1.4
    report = (folder / "run" / "report.html").read_text()
    for words in ("How well it finds key points", "Best, typical and worst", "Share of each key point found"):
        assert words in report


def test_measured_on_more_figures_as_by_hand(made):
    folder, _ = made
    run = Run.open(folder / "run")
    found = evaluate_task(run, folder / "more.zip")
    tree = found.as_dict()
    assert (tree["examples"], tree["figures"], tree["points"]) == (20, 40, 80)
    shares = [one["pck"] for one in tree["pck_at"].values()]
    assert shares == sorted(shares)
    assert tree["pck"] == tree["pck_at"]["0.1"]["pck"] > 0.9
    low, high = tree["pck_at"]["0.1"]["interval"]
    assert low <= tree["pck"] <= high
    assert 0.5 < tree["oks_ap"] <= tree["oks_ap_50"] <= 1
    assert sum(one["points"] for one in tree["per_point"].values()) == 80
    assert np.mean([one["pck"] for one in tree["per_point"].values()]) == pytest.approx(tree["pck"])
    assert tree["ece"] < 0.1
    json.dumps(tree)
    hits = total = 0
    for number in range(20):
        blob = zipfile.ZipFile(folder / "more.zip").read(f"images/{number}.png")
        (folder / "one.png").write_bytes(blob)
        truth = found.images.annotations[number]
        ((_, answer, _),) = answer_images(run, [folder / "one.png"], boxes=truth.boxes.tolist()).answers
        for figure, points, box in zip(answer.row["figures"], truth.points, truth.boxes, strict=True):
            gap = [
                np.hypot(one["x"] - x, one["y"] - y)
                for one, (x, y, _) in zip(figure["points"], points, strict=True)
            ]
            hits += sum(np.array(gap) <= 0.1 * max(box[2:] - box[:2]))
            total += len(gap)
    assert hits / total == pytest.approx(tree["pck"], abs=1e-9)


def test_answers_are_in_the_pixels_of_the_image_itself(made, tmp_path):
    """An image twice as large has its points there, each with a probability, and is drawn over."""
    folder, _ = made
    images, points = dots(6, 2, times=2)
    run = Run.open(folder / "run")
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    boxes = np.concatenate([points.min(axis=2) - 6, points.max(axis=2) + 6], axis=2)
    gaps = []
    for number in range(6):
        asked = [tuple(box) for box in boxes[number].tolist()]
        found = answer_images(run, [tmp_path / f"{number}.png"], boxes=asked, overlay=tmp_path / "o.png")
        (row,) = found.as_list()
        assert row["size"] == [96, 128]
        for figure, truth, box in zip(row["figures"], points[number], asked, strict=True):
            assert figure["box"] == pytest.approx(box, abs=0.01)
            assert [one["name"] for one in figure["points"]] == POINTS
            assert all(0 < one["probability"] < 1 for one in figure["points"])
            gaps += [
                abs(one["x"] - x) + abs(one["y"] - y)
                for one, (x, y) in zip(figure["points"], truth, strict=True)
            ]
    assert np.median(gaps) < 3
    with Image.open(tmp_path / "o.png") as drawn:
        assert drawn.size == (128 * 3, 96 * 3)
    assert "bright" in found.text
    assert "within 10 % of the figure's longer side" in found.text


def test_without_a_box_one_figure_is_looked_for_closer_and_closer(made, tmp_path):
    folder, _ = made
    images, points = dots(8, 3)
    hits = 0
    for image, truth in zip(images, points, strict=True):
        Image.fromarray(np.ascontiguousarray(image[:44, :34])).save(tmp_path / "half.png")
        (row,) = answer_images(Run.open(folder / "run"), [tmp_path / "half.png"]).as_list()
        (figure,) = row["figures"]
        left, top, right, bottom = figure["box"]
        assert 20 < max(right - left, bottom - top) < 40
        hits += sum(
            np.hypot(one["x"] - x, one["y"] - y) < 4
            for one, (x, y) in zip(figure["points"], truth[0], strict=True)
        )
    assert hits >= 12


def test_in_a_mirror_image_left_and_right_change_names():
    skeleton = Skeleton(("nose", "left_eye", "right_eye"), ())
    points = np.array([[[4, 5, 1], [9, 7, 1], [2, 8, 0]]], float)
    one = Annotated(
        "a.png", (16, 16), ("face",), np.array([[0.0, 0, 16, 16]]), np.array([False]), points, (), skeleton
    )
    facts = PoseFile(points=list(skeleton.points), side=20)
    images = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    still = dict.fromkeys(("scale", "rotate_deg", "shift", "brightness", "contrast", "saturation"), 0.0)
    plain, where, there = PoseTask().batch(images, [one], facts, None, torch.Generator())
    mirror = SceneAugment(flip=1.0, **still)
    turned, moved, seen = PoseTask().batch(images, [one], facts, mirror, torch.Generator())
    assert turned.numpy() == pytest.approx(plain.flip(3).numpy(), abs=1e-5)
    assert moved[0, 2].tolist() == pytest.approx([20 - where[0, 1, 0].item(), where[0, 1, 1].item()])
    assert moved[0, 0, 0].item() == pytest.approx(20 - where[0, 0, 0].item())
    assert there.tolist() == [[True, True, False]]
    assert seen.tolist() == [[True, False, True]]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (["left_eye", "right_eye"], [1, 0]),
        (["L-hand", "tail", "R-hand"], [2, 1, 0]),
        (["Left Ear", "Right Ear", "left_wing", "leftover"], [1, 0, 2, 3]),
    ],
)
def test_names_of_both_sides(points, expected):
    assert PoseFile(points=points, side=32).mirrored == expected


def test_what_cannot_be_used_is_counted_and_the_rest_is_learned_from(tmp_path):
    images, points = dots(15, 4)
    tree = document(points[:14], (48, 64))
    figures = tree["annotations"]
    figures[0]["keypoints"] = figures[0]["keypoints"][:3]
    figures[2]["keypoints"][:2] = [99, 5]
    figures[4]["bbox"] = [70, 0, 5, 5]
    figures[7]["image_id"] = 99
    del figures[8:10]
    tree["images"].append({"id": 98, "file_name": "gone.png"})
    figures.append({**figures[0], "image_id": 98, "keypoints": [1, 1, 2, 2, 2, 2]})
    source = archive(tmp_path / "figures.zip", images, tree)
    changes = {**SMALL, "optimization.epochs": 1}
    notes = train(TrainRequest(source, tmp_path / "run", task="pose", changes=changes, threads=1)).metrics[
        "notes"
    ]
    said = " ".join(notes)
    assert "key points of 3 values; expected 6 numbers" in said
    assert "left out 4 entries: keypoints.json: " in said
    assert "bright at 99, 5: outside the picture of 64x48" in said
    assert "pair at 70, 0 to 75, 5: outside the picture of 64x48" in said
    assert "annotation 7 has no image or box" in said or "and 1 more" in said
    assert "no image gone.png" in said
    assert "left out 1 picture: images/14.png: no key points" in said
    assert "no figure with key points" in said
    assert "23 figures of 2 key points" in said


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (b'{"images": [', "not JSON"),
        (
            json.dumps(document(dots(2, 0)[1], (48, 64), categories=[{"id": 1, "name": "pair"}])).encode(),
            "no category has key points",
        ),
        (b"[]", "images, categories and annotations of COCO"),
    ],
)
def test_a_source_of_which_nothing_can_be_used(tmp_path, tree, said):
    source = archive(tmp_path / "figures.zip", dots(5, 0)[0], tree)
    with pytest.raises(SourceUnreadable) as caught:
        train(TrainRequest(source, tmp_path / "run", task="pose", changes=SMALL))
    assert said in str(caught.value)


def test_what_a_run_of_key_points_refuses(made, tmp_path):
    folder, _ = made
    run = Run.open(folder / "run")
    with pytest.raises(InvalidInput, match="--prior"):
        evaluate_task(run, folder / "more.zip", prior="A=0.5")
    images, points = dots(4, 0)
    tree = document(points, (48, 64))
    tree["categories"][0]["keypoints"] = ["head", "tail"]
    other = archive(tmp_path / "other.zip", images, tree)
    with pytest.raises(SourceUnreadable, match="key points head, tail; expected bright, dark"):
        evaluate_task(run, other)
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    with pytest.raises(InvalidInput, match="--box: a box outside the image of 64x48"):
        answer_images(run, [tmp_path / "one.png"], boxes=[(70, 0, 90, 10)])


def test_scenes_of_figures_are_read_as_they_were_written(tmp_path):
    write_scenes(tmp_path / "scenes.zip", "pose", count=24, test=3, seed=2)
    changes = {**SMALL, "optimization.epochs": 1}
    result = train(
        TrainRequest(tmp_path / "scenes.zip", tmp_path / "run", task="pose", changes=changes, threads=1)
    )
    assert "24 figures of 13 key points, cut to 48x48" in result.metrics["notes"]
    assert not [note for note in result.metrics["notes"] if "left out" in note]
    tree = evaluate_task(result.run, tmp_path / "scenes.zip").as_dict()
    assert (tree["part"], tree["examples"], len(tree["per_point"])) == ("test", 3, 13)
