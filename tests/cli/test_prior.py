"""``bayesight prior``: its JSON, its words, its refusals."""

import json

import pytest

from bayesight.formatting import percent

KEYS = {"prior", "interval", "method", "level", "second_opinion", "images", "prior_shift", "warning"}
KEYS |= {"unknown", "training_weight"}


@pytest.fixture
def place(make_archive):
    """Images of a place where discs are rare."""
    return make_archive("place.tar.gz", {"bar": 40, "disc": 4, "ring": 16}, seed=11)


def test_json(program, source_keys, shapes_run, place, tmp_path):
    options = ("--level", 0.8, "--out", tmp_path / "prior.json", "--json")
    status, out, _ = program("prior", shapes_run, place, *options)
    document = json.loads(out)
    assert status == 0
    assert set(document) == KEYS | source_keys
    assert (document["images"], document["level"]) == (60, 0.8)
    assert sum(document["prior"].values()) == pytest.approx(1)
    for name, p in {"bar": 40 / 60, "disc": 4 / 60, "ring": 16 / 60}.items():
        low, high = document["interval"][name]
        assert low <= document["prior"][name] <= high
        assert abs(document["prior"][name] - p) < 0.12
    assert json.loads((tmp_path / "prior.json").read_text()) == document["prior"]
    assert document == json.loads(program("prior", shapes_run, place, *options)[1])
    used = program("evaluate", shapes_run, place, "--prior", tmp_path / "prior.json", "--json")
    assert json.loads(used[1])["prior"] == pytest.approx(document["prior"])


def test_words_hold_the_numbers(program, shapes_run, place):
    status, out, _ = program("prior", shapes_run, place)
    document = json.loads(program("prior", shapes_run, place, "--json")[1])
    assert status == 0
    for name, p in document["prior"].items():
        line = next(line for line in out.splitlines() if line.startswith(name))
        low, high = document["interval"][name]
        for figure in (p, low, high, document["second_opinion"][name]):
            assert percent(figure) in line
    assert "90 % interval" in out
    unknown = document["unknown"]
    share, low, high = map(percent, (unknown["share"], *unknown["interval"]))
    assert f"of all {share} are of unknown kinds ({low} to {high})" in out
    assert document["method"] in out


def test_images_of_unknown_kinds_are_warned_of(program, shapes_run, tmp_path):
    import numpy as np
    from PIL import Image

    (tmp_path / "noise").mkdir()
    draw = np.random.default_rng(0)
    for i in range(40):
        pixels = draw.choice([0, 255], (28, 28)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise" / f"{i}.png")
    status, out, err = program("prior", shapes_run, tmp_path / "noise", "--json")
    assert status == 0
    document = json.loads(out)
    warning, unknown = document["warning"], document["unknown"]
    assert unknown["interval"][0] > 0.8
    assert 0.8 < unknown["share"] <= unknown["interval"][1] <= 1
    assert unknown["probability"] == 1
    assert not document["prior_shift"]["believed"]
    assert 0 <= document["prior_shift"]["ambiguity_p_value"] <= 1
    assert "unknown kinds" in warning
    assert err == f"warning: {warning}\n"


def test_refusals(refusal, shapes_run, place, tmp_path):
    for level in (0, 1, 90):
        assert "--level" in refusal("prior", shapes_run, place, "--level", level)
    assert "does not exist" in refusal("prior", shapes_run, tmp_path / "nothing.zip")
    assert "is not a run folder" in refusal("prior", tmp_path, place)
