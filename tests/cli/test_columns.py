"""Columns of names line up in a terminal, where characters of East Asia and emoji take two columns each."""

import pytest

from bayesight.bayes.rates import Estimate
from bayesight.causal.potential_outcomes import EffectEstimate
from bayesight.cli.causal import _answer_lines
from bayesight.formatting import columns
from bayesight.workflows.tasks.base import lines_of

HALF = Estimate(0.5, 0.25, 0.75)
NAMES = ("고양이", "dog", "폭스테리어 🦊", "a cat of no breed")


def begin(lines, mark):
    """The column in which each line that has a mark has it."""
    found = [columns(line[: line.index(mark)]) for line in lines if mark in line]
    assert len(found) >= len(NAMES)
    return set(found)


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.tsv"
    path.write_text(
        "".join(f"{name}\t{word}\n" for name in NAMES for word in ("one", "two")), encoding="utf-8"
    )
    return path


def test_names_of_east_asia_line_up(program, texts):
    rows = dict.fromkeys(NAMES, HALF)
    assert len(begin(lines_of(rows, lambda one: f"|{one.mean}"), "|")) == 1
    assert len(begin(_answer_lines("as they are", EffectEstimate("", rows), 0.95), "0.5")) == 1
    said = program("data", "inspect", texts)[1].splitlines()
    assert len(begin(said, "█")) == 1
    given = ",".join(f"{name}=.25" for name in NAMES)
    said = program("bayes", "--hypotheses", given, "--likelihood", given)[1].splitlines()
    assert len(begin(said, "0.2500  ")) == 1
    arrows = ", ".join(f"Z -> {name}, {name} -> Y" for name in NAMES)
    said = program("causal", "paths", arrows, "--treatment", "Z", "--outcome", "Y")[1].splitlines()
    assert len(begin(said, "  causal, open")) == 1
