"""Notebooks are valid, and run from the first cell to the last."""

import ast
import json

import nbformat
import pytest
from nbclient import NotebookClient

from bayesight.lessons import as_notebook, find_lesson, lessons
from bayesight.lessons.lesson import Lesson


@pytest.mark.parametrize("lesson", [*lessons("en"), *lessons("ko")], ids=lambda x: f"{x.language}-{x.name}")
def test_every_notebook_is_valid_and_begins_by_installing(lesson):
    made = nbformat.reads(as_notebook(lesson), as_version=4)
    nbformat.validate(made)
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert "%pip install" in code[0].source
    assert "/content/drive/MyDrive" in code[0].source
    for cell in code[1:]:
        ast.parse(cell.source)
    assert sum(cell.source.startswith("#@title") for cell in code) >= (3 if lesson.part == "road" else 0)
    assert as_notebook(lesson) == as_notebook(lesson)


@pytest.mark.filterwarnings("default")
def test_a_notebook_runs_as_it_is_written(tmp_path):
    made = nbformat.reads(as_notebook(find_lesson("bayes", "ko")), as_version=4)
    NotebookClient(made, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = json.dumps([cell.get("outputs", []) for cell in made.cells])
    assert "0.5625" in shown
    assert "image/png" in shown


def test_an_error_that_is_meant_does_not_stop_a_notebook():
    body = "```python\n>>> 1 / 0\nTraceback (most recent call last):\nZeroDivisionError: ...\n\n```\n"
    made = nbformat.reads(as_notebook(Lesson(1, "x", "en", "X", 1, "road", body)), as_version=4)
    assert made.cells[-1].metadata.tags == ["raises-exception"]
