"""Every lesson in both languages: the same sections, the same code, which runs and prints what it says."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from bayesight.cli.app import app
from bayesight.errors import UnknownName
from bayesight.language import LANGUAGES
from bayesight.lessons import find_lesson, lessons
from bayesight.lessons.lesson import Lesson

ROOT = Path(__file__).resolve().parents[2]
PAIRS = [(lesson, find_lesson(lesson.name, "ko")) for lesson in lessons("en")]
EVERY = [lesson for pair in PAIRS for lesson in pair]
FIRST = {"en": "## You will be able to", "ko": "## 배울 내용"}
LAST = {"en": "## Read on", "ko": "## 더 읽을거리"}
QUESTIONS = {"en": "## Three questions", "ko": "## 세 가지 질문"}
HANGUL = re.compile("[가-힣]")
COMMAND = re.compile(r"(?:^(?:\$ )?|`)bayesight ([a-z][^`\n#]*)", re.MULTILINE)


def label(value):
    return f"{value.language}-{value.name}" if isinstance(value, Lesson) else None


def code_of(lesson):
    """Code without comments, and outputs; comments are the learner's language."""
    return [
        (ast.unparse(ast.parse(cell.code)), cell.output)
        for block in lesson.blocks
        if block.runs
        for cell in block.cells()
    ]


def test_both_languages_have_the_same_road():
    facts = [
        [(lesson.number, lesson.name, lesson.minutes, lesson.part) for lesson in lessons(language)]
        for language in LANGUAGES
    ]
    assert facts[0] == facts[1]
    assert [number for number, *_ in facts[0]] == list(range(1, len(facts[0]) + 1))


@pytest.mark.parametrize(("english", "korean"), PAIRS, ids=label)
def test_both_languages_have_the_same_sections_and_the_same_code(english, korean):
    marks = [[heading.split()[0] for heading in lesson.headings] for lesson in (english, korean)]
    assert marks[0] == marks[1]
    assert code_of(english) == code_of(korean)
    shape = [[(block.runs, block.answers) for block in lesson.blocks] for lesson in (english, korean)]
    assert shape[0] == shape[1]


@pytest.mark.parametrize("lesson", EVERY, ids=label)
def test_a_lesson_begins_with_what_is_learned_and_ends_with_three_questions_and_where_to_read_on(lesson):
    if lesson.part != "road":
        return
    sections = [heading for heading in lesson.headings if heading.startswith("## ")]
    language = lesson.language
    assert (sections[0], *sections[-2:]) == (FIRST[language], QUESTIONS[language], LAST[language])
    asked = [heading for heading in lesson.headings if heading.startswith("### ")]
    assert [heading[4] for heading in asked][-3:] == ["1", "2", "3"]
    assert sum(block.answers for block in lesson.blocks) >= 3


@pytest.mark.parametrize("lesson", EVERY, ids=label)
def test_each_lesson_is_written_in_its_language(lesson):
    prose = [line for block in lesson.blocks if not block.runs for line in block.text.split("\n\n")]
    words = [re.sub(r"```.*?```|`[^`]*`|https?:\S+", "", part, flags=re.DOTALL) for part in prose]
    told = [word for word in words if len(word) > 60]
    in_korean = [bool(HANGUL.search(word)) for word in told]
    assert told
    assert not any(in_korean) if lesson.language == "en" else all(in_korean)


@pytest.mark.parametrize("lesson", EVERY, ids=label)
def test_commands_parse_and_pages_are_there(lesson):
    text = lesson.markdown(answers=True)
    for line in COMMAND.findall(text.replace("\\\n", " ")):
        command, words = get_command(app), shlex.split(line)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        if words:
            given = command.make_context("x", words).params
            if command.name == "learn" and given["name"] != "check":
                find_lesson(given["name"], lesson.language)
    for page in re.findall(r"`(docs/[\w./-]+)`", text):
        assert (ROOT / page).exists(), page


def test_a_lesson_that_lacks_a_section_or_differs_in_its_code_is_noticed():
    english, korean = PAIRS[0]
    assert code_of(english) != code_of(
        Lesson(**{**vars(korean), "body": korean.body.replace("200", "201").replace("54", "55")})
    )
    assert len(Lesson(**{**vars(korean), "body": korean.body.replace("\n### 2", "\nx 2")}).headings) < len(
        english.headings
    )


def test_an_answer_is_the_code_below_a_question_and_is_left_out_unless_asked_for():
    lesson = Lesson(
        1,
        "x",
        "en",
        "X",
        1,
        "road",
        "## A\n\n```python\n>>> 1\n1\n\n```\n\n### 1. Sum?\n\n```python\n>>> 2\n2\n```\n",
    )
    assert [block.answers for block in lesson.blocks] == [False, False, False, True]
    assert ">>> 2" in lesson.markdown(answers=True)
    assert ">>> 2" not in lesson.markdown(answers=False)
    assert ">>> 1" in lesson.markdown(answers=False)


def test_cells_end_where_something_is_printed():
    fails = ">>> a / 0\nTraceback (most recent call last):\nZeroDivisionError: ...\n"
    text = f">>> a = 1\n>>> a\n1\n{fails}>>> b = 2\n"
    (block,) = Lesson(1, "x", "en", "X", 1, "road", f"```python\n{text}```\n").blocks
    assert [(cell.code, cell.raises) for cell in block.cells()] == [
        ("a = 1\na", False),
        ("a / 0", True),
        ("b = 2", False),
    ]


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'bayes'"):
        find_lesson("bays", "en")
    with pytest.raises(UnknownName, match="no language is called 'fr'"):
        lessons("fr")
