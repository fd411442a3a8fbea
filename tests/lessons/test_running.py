"""The code of every lesson runs, prints what the lesson says, and draws."""

from pathlib import Path

import pytest

from bayesight.lessons import Lesson, lessons, run


@pytest.mark.parametrize("lesson", lessons("en"), ids=lambda lesson: lesson.name)
def test_a_lesson_runs_and_draws_a_picture(lesson):
    """English alone is run: another test holds the code of Korean to it."""
    made = run(lesson)
    assert made.differences == {}, "\n".join(made.differences.values())
    assert sum(map(len, made.figures.values())) == (lesson.part != "teachers")
    assert all(figure.startswith(b"<?xml") for drawn in made.figures.values() for figure in drawn)


def test_output_that_differs_is_told_and_the_rest_still_runs():
    body = "```python\n>>> 1 + 1\n3\n\n```\n\n```python\n>>> x = 5\n>>> x\n5\n\n```\n"
    told = []
    made = run(Lesson(1, "x", "en", "X", 1, "road", body), progress=lambda *done: told.append(done))
    assert list(made.differences) == [0]
    assert "Expected:" in made.differences[0] or "- 3" in made.differences[0]
    assert told == [(1, 2), (2, 2)]


def test_names_last_from_block_to_block_and_files_do_not_last():
    first = "```python\n>>> from pathlib import Path\n>>> _ = Path('here.txt').write_text('x')\n\n```\n"
    body = f"{first}\n```python\n>>> Path('here.txt').exists()\nTrue\n\n```\n"
    before = Path.cwd()
    assert run(Lesson(1, "x", "en", "X", 1, "road", body)).differences == {}
    assert Path.cwd() == before
    assert not Path("here.txt").exists()
