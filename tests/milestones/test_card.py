"""The card: complete, well-formed, and telling a failure as plainly as a success."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageSequence

from bayesight.milestones import Claim, Measurement, run, write_card, write_index


def test_a_card_says_everything(toy, setting):
    outcome = run(toy, setting)
    page = write_card(outcome, setting.out)
    text = page.read_text(encoding="utf-8")
    for words in (
        "Larger is better.",
        "[On toys](https://example.org)",
        "## Reproduced",
        "| accuracy of large ≥ small + 0.25 | 0.81 | 0.76 | yes |",
        "| large | 0.81 (0.8 to 0.82) |",
        "`toy(size=5)`",
        "large and small differ in: model.",
        "It is a toy.",
        "$ bayesight milestones run toy",
    ):
        assert words in text, words
    ET.parse(setting.out / "toy.svg")  # well-formed
    with Image.open(setting.out / "toy-1.png") as picture:
        assert picture.size == (4, 4)
    assert json.loads((setting.out / "toy.json").read_text())["reproduced"] is True


def test_a_film_moves_in_the_card_and_survives_an_interruption(toy, setting):
    film = np.zeros((3, 6, 5, 3), np.uint8)
    film[1, 0, 0], film[2, 1, 1] = (255, 0, 0), (0, 0, 255)
    stopped = []

    def trial(recipes, bench):
        if recipes[-1].model["size"] == 5 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt
        return Measurement({"accuracy": recipes[-1].model["size"]}, pictures={"play": film})

    films = replace(toy, arms=tuple(replace(arm, trial=trial) for arm in toy.arms))
    with pytest.raises(KeyboardInterrupt):
        run(films, setting)
    text = write_card(run(films, setting), setting.out).read_text(encoding="utf-8")
    assert "![large: play](toy-1.gif)" in text
    with Image.open(setting.out / "toy-1.gif") as shown:
        assert (shown.size, shown.n_frames) == ((5, 6), 3)
        for number, frame in enumerate(ImageSequence.Iterator(shown)):
            np.testing.assert_array_equal(np.asarray(frame.convert("RGB")), film[number])


def test_a_failure_is_told(toy, setting):
    hopeless = replace(toy, claims=(Claim("large", "accuracy", ">=", margin=0.9),))
    outcome = run(hopeless, replace(setting, smoke=True))
    text = write_card(outcome, setting.out).read_text(encoding="utf-8")
    assert "## Not reproduced (a smoke run" in text
    assert "**no**" in text
    assert "run toy --smoke" in text


def test_the_index_tells_the_history_with_the_figures_of_the_cards(toy, setting):
    write_card(run(toy, setting), setting.out)
    later = replace(toy, name="later", year=2001)
    text = write_index((toy, later), setting.out).read_text(encoding="utf-8")
    assert "| 1999 | [toy](toy.md) | model | smaller toys | yes |" in text
    assert "| 2001 | later | model | smaller toys |  |" in text
    assert "accuracy of large ≥ small + 0.25: 0.81 against 0.76" in text
    assert text.index("1999, [toy]") < text.index("2001, later")
