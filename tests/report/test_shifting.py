"""The section on data that shift: its words and its table say what the figures are."""

import re

from bayesight import report as r


def test_words_and_table(shifts):
    page = r.render(r.Report("t", (shifts[0](),)))
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\u202f", " ")
    assert "Ordinary training is right in 85 % while nothing changes, and in 18 %" in plain
    assert "Chosen on the training environments alone: way adjusted, right in 85 % there and in 67 %" in plain
    assert "87.4 / 17.1 %" in plain
    assert "16.0–20.0 %" in plain
    assert "way adjusted: hint adjusted." in plain


def test_without_a_choice_nothing_is_said_of_one(shifts):
    (section,) = shifts
    methods, trained_at, tested_at, _ = section.args
    last = {"adjusted": methods["adjusted"]}
    bare = r.shift_table(last, trained_at, tested_at, (), ceiling=0.75, seeds=1)
    page = r.render(r.Report("t", (bare,)))
    assert "Chosen" not in page
    assert "Ordinary" not in page
    assert "<svg" not in page
