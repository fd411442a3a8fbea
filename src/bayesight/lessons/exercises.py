"""A small project with blanks to fill, a checker that says what is missing, and solutions that pass."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from bayesight.errors import InvalidInput, RunExists, StorageFailed
from bayesight.files import write_atomic
from bayesight.lessons.lesson import HERE, Lesson
from bayesight.letters.glyphs import RenderOptions, render

_LESSON = "mlp"
_FILES = ("model.py", "dataset.py", "loop.py")
_BLANK = re.compile(r"^( *)#< (\w+)\n(.*?)^ *#>\n", re.MULTILINE | re.DOTALL)
_WORDS = re.compile(r"<<(\w+)>>")


def write_exercise(lesson: Lesson, folder: Path) -> tuple[Path, ...]:
    """Write the lesson's exercise: modules with blanks, checker, letters to train on, and solutions.

    Returns:
        The files a learner fills, in the order they are filled.

    Raises:
        InvalidInput: the lesson has no exercise.
        RunExists: the folder is there and not empty.
        StorageFailed: it cannot be written.
    """
    if lesson.name != _LESSON:
        raise InvalidInput(f"{lesson.name} has no exercise; expected {_LESSON}.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunExists(f"{folder} is there already; expected a folder to be made. Give another path.")
    words = tomllib.loads((HERE / "exercise" / "words.toml").read_text(encoding="utf-8"))[lesson.language]
    try:
        (folder / "solutions").mkdir(parents=True)
    except OSError as error:
        raise StorageFailed(f"{folder}: could not be made ({error.strerror})") from error
    for name in (*_FILES, "test_blanks.py"):
        text = (HERE / "exercise" / f"{name}.in").read_text(encoding="utf-8")
        told = _WORDS.sub(lambda key: words[key[1]], text)
        write_atomic(folder / name, _BLANK.sub(lambda blank: _empty(blank, words), told))
        if name in _FILES:
            write_atomic(folder / "solutions" / name, _BLANK.sub(lambda blank: blank[3], told))
    write_atomic(folder / "README.md", words["readme"].lstrip())
    write_atomic(folder / "pytest.ini", "[pytest]\naddopts = -q --no-header -rN -p no:cacheprovider\n")
    render(folder / "letters.tar.gz", RenderOptions(characters="ABC", images_per_class=60))
    return tuple(folder / name for name in _FILES)


def _empty(blank: re.Match[str], words: dict[str, str]) -> str:
    indent, key, _ = blank.groups()
    return f'{indent}raise NotImplementedError(\n{indent}    "{words[key]}"\n{indent})\n'
