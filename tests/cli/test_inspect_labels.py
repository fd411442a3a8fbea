"""``bayesight data inspect --labels``: labels the other images speak against."""

import json

import numpy as np
import pytest
from PIL import Image

from bayesight.data import open_store
from bayesight.formatting import percent
from bayesight.training import hardware
from bayesight.workflows import labels


@pytest.fixture
def mislabelled(make_archive, tmp_path):
    """Ninety drawings in folders; the three boldest rings, 87 to 89, are filed as bars.

    A faint drawing looks like noise whatever its label says; that a bold one is wrong can be seen.
    """
    store = open_store(make_archive("clean.tar.gz", {"bar": 30, "disc": 30, "ring": 30}, seed=21))
    folder = tmp_path / "mislabelled"
    images = np.asarray(store.images)
    order = np.concatenate([np.arange(60), 60 + np.argsort(images[60:].std(axis=(1, 2)))])
    for row, pixels in enumerate(images[order]):
        name = "bar" if row >= 87 else store.classes[store.labels[row]]
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name / f"{row:02}.png")
    return folder


def test_json_names_the_wrong_ones_first(program, shapes_run, mislabelled, tmp_path):
    report = tmp_path / "labels.html"
    options = ("--labels", "--run", shapes_run, "--top", 5, "--report", report, "--json")
    status, out, err = program("data", "inspect", mislabelled, *options)
    assert status == 0
    found = json.loads(out)["labels"]
    assert set(found) >= {"wrong_share", "wrong_share_interval", "suspicious"}
    assert len(found["suspicious"]) == 5
    worst = found["suspicious"][:3]
    assert {row["path"].rsplit("/")[-1] for row in worst} == {"87.png", "88.png", "89.png"}
    for row in worst:
        assert set(row) == {"path", "label", "suggested", "probability_wrong"}
        assert (row["label"], row["suggested"]) == ("bar", "ring")
    wrong = [row["probability_wrong"] for row in found["suspicious"]]
    assert wrong == sorted(wrong, reverse=True)
    assert 0 < found["wrong_share"] < 0.2
    assert f"report: {report}" in err
    assert "87.png" in report.read_text()


def test_words_hold_the_numbers(program, shapes_run, mislabelled):
    options = ("--labels", "--run", shapes_run, "--top", 4)
    status, out, _ = program("data", "inspect", mislabelled, *options)
    found = json.loads(program("data", "inspect", mislabelled, *options, "--json")[1])["labels"]
    assert status == 0
    low, high = found["wrong_share_interval"]
    assert low < found["wrong_share"] < high
    share, low, high = map(percent, (found["wrong_share"], low, high))
    assert f"About {share} of the labels seem wrong (95 % interval {low} to {high}); the most" in out
    for row in found["suspicious"]:
        assert f"{percent(row['probability_wrong'])}  {row['label']}, more like {row['suggested']}: " in out
    assert out.count(", more like ") == 4


def test_without_a_run_a_network_is_trained_for_it(program, mislabelled, monkeypatch):
    monkeypatch.setattr(labels, "EPOCHS", 1)
    monkeypatch.setattr(hardware, "available_cores", lambda: 1)
    for path in mislabelled.glob("*/*.png"):
        Image.open(path).resize((14, 14)).save(path)  # too small for a residual network: quick
    status, out, _ = program("data", "inspect", mislabelled, "--labels", "--seed", 3, "--json")
    assert status == 0
    found = json.loads(out)["labels"]
    trained = "features of a mlp trained on these images for 1 epochs, seed 3"
    assert found["how"] == f"{trained}, and of one trained on each half of them for the other half"


def test_size_and_mode_hold_for_the_labels_too(program, mislabelled, monkeypatch):
    monkeypatch.setattr(labels, "EPOCHS", 1)
    options = ("--labels", "--size", 12, "--mode", "L", "--threads", 1, "--json")
    status, out, _ = program("data", "inspect", mislabelled, *options)
    assert status == 0
    found = json.loads(out)
    assert found["shape"] == [12, 12]
    assert found["labels"]["how"].startswith("features of a mlp")  # a residual network where they are larger


def test_refusals(refusal, shapes_run, mislabelled, make_archive, tmp_path):
    assert "is not a run folder" in refusal("data", "inspect", mislabelled, "--labels", "--run", tmp_path)
    sized = ("data", "inspect", mislabelled, "--labels", "--run", shapes_run, "--size", 12)
    assert "given with --run; expected the run's own" in refusal(*sized)
    one = make_archive("one.tar.gz", {"bar": 9})
    assert "class" in refusal("data", "inspect", one, "--labels", "--run", shapes_run)
