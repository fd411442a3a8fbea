"""The exercise with blanks: the checker says what is missing, what is wrong, and passes the solutions."""

import ast
import os
import re
import subprocess
import sys
import tomllib

import pytest

from bayesight.errors import InvalidInput, RunExists
from bayesight.lessons import find_lesson, write_exercise
from bayesight.lessons.lesson import HERE

WORDS = tomllib.loads((HERE / "exercise" / "words.toml").read_text(encoding="utf-8"))


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "blanks"
    write_exercise(find_lesson("mlp", "ko"), folder)
    return folder


def check(folder, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--color=no"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_both_languages_have_the_same_words():
    assert WORDS["en"].keys() == WORDS["ko"].keys()
    assert all(re.search("[가-힣]", text) for text in WORDS["ko"].values())
    assert not any('"' in text for words in WORDS.values() for text in words.values())


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_file_parses_and_each_blank_is_one_line_to_replace(language, tmp_path):
    files = write_exercise(find_lesson("mlp", language), tmp_path / "x")
    texts = [path.read_text(encoding="utf-8") for path in files]
    solved = [(tmp_path / "x" / "solutions" / path.name).read_text(encoding="utf-8") for path in files]
    checker = (tmp_path / "x" / "test_blanks.py").read_text(encoding="utf-8")
    for text in (*texts, *solved, checker):
        ast.parse(text)
        assert "<<" not in text
        assert "#<" not in text
        assert "#>" not in text
    assert [text.count("raise NotImplementedError(") for text in texts] == [3, 3, 4]
    assert not any("raise NotImplementedError" in text for text in solved)


def test_the_checker_says_what_is_missing_and_passes_the_solutions(project):
    status, said = check(project)
    assert status == 1
    for blank in ("layers", "init", "loader"):
        assert WORDS["ko"][blank] in said
    assert "Traceback" not in said
    assert "Error" not in said.replace("NotImplementedError", "")
    status, said = check(project, BLANKS="solutions")
    assert (status, said.splitlines()[-1].split(" in ")[0]) == (0, "8 passed")


def test_the_checker_says_what_is_wrong_once_blanks_are_filled(project):
    wrong = {
        "model.py": [(', nonlinearity="relu"', ', nonlinearity="linear"')],
        "dataset.py": [(".float()[None] / 255", ".float()[None]"), ("len(self.files)", "len(self.classes)")],
        "loop.py": [("num_workers=workers", "num_workers=0"), ("loss.detach()", "loss")],
    }
    for name, changes in wrong.items():
        text = (project / "solutions" / name).read_text(encoding="utf-8")
        for right, other in changes:
            assert right in text
            text = text.replace(right, other)
        (project / name).write_text(text, encoding="utf-8")
    status, said = check(project)
    assert status == 1
    for blank in ("kaiming_wrong", "getitem_wrong", "len_wrong", "loader_wrong"):
        assert WORDS["ko"][blank] in said
    assert WORDS["ko"]["detach_wrong"] in said or WORDS["ko"]["training_wrong"] in said
    assert WORDS["ko"]["view_wrong"] not in said


def test_the_solutions_train_on_real_letters(project, real_data):
    """Two files of the real archive are no pictures, as in notMNIST itself."""
    archive = real_data / "notmnist" / "notMNIST_real8k.tar.gz"
    done = subprocess.run(
        [sys.executable, "loop.py", archive],
        cwd=project / "solutions",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1].rstrip("%")) > 85


def test_a_folder_that_is_taken_and_a_lesson_without_exercise_are_refused(project, tmp_path):
    with pytest.raises(RunExists, match="is there already"):
        write_exercise(find_lesson("mlp", "en"), project)
    with pytest.raises(InvalidInput, match="bayes has no exercise; expected mlp"):
        write_exercise(find_lesson("bayes", "en"), tmp_path / "other")
