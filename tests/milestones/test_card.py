"""The card: complete, well-formed, and telling a failure as plainly as a success."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

from PIL import Image

from bayesight.milestones import Claim, run, write_card, write_index


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
