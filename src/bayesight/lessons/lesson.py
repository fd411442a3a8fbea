"""A lesson: a Markdown file whose python blocks are examples with their output, as of ``doctest``."""

from __future__ import annotations

import doctest
import functools
import re
from dataclasses import dataclass
from pathlib import Path

from bayesight.errors import UnknownName
from bayesight.language import LANGUAGES

HERE = Path(__file__).resolve().parent

_FILE = re.compile(r"---\n(?P<facts>.*?)---\n+# (?P<title>[^\n]+)\n(?P<body>.*)", re.DOTALL)
_CODE = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{2,3} .+$", re.MULTILINE)
_QUESTION = re.compile(r"### \d+\. ")


@dataclass(frozen=True)
class LessonCell:
    """Code up to the next output.

    Attributes:
        code: Python, without prompts.
        output: what it prints; empty where it prints nothing.
        raises: it ends in an error, which is meant.
    """

    code: str
    output: str
    raises: bool


@dataclass(frozen=True)
class LessonBlock:
    """A part of a lesson: prose, or code that runs.

    Attributes:
        text: Markdown, or examples with their prompts and outputs.
        runs: it is code.
        answers: it is the answer to the question above it.
    """

    text: str
    runs: bool
    answers: bool

    def cells(self) -> tuple[LessonCell, ...]:
        """The code in pieces that end where something is printed."""
        cells, code = [], ""
        for example in doctest.DocTestParser().get_examples(self.text):
            code += example.source
            if example.want:
                cells.append(LessonCell(code.rstrip(), example.want.rstrip(), example.exc_msg is not None))
                code = ""
        return (*cells, *([LessonCell(code.rstrip(), "", False)] if code else ()))


@dataclass(frozen=True)
class Lesson:
    """A lesson in one language.

    Attributes:
        number: its place on the road, from 1.
        name: what ``bayesight learn`` calls it, the same in every language.
        language: of LANGUAGES.
        title: its heading.
        minutes: of reading.
        part: "road", "questions" for a page that answers one of the course's questions, or "teachers".
        body: Markdown below the title.
    """

    number: int
    name: str
    language: str
    title: str
    minutes: int
    part: str
    body: str

    @classmethod
    def read(cls, path: Path) -> Lesson:
        """The lesson of a file LANGUAGE/NN-name.md."""
        found = _FILE.fullmatch(path.read_text(encoding="utf-8"))
        assert found, f"{path}: no facts between lines of dashes, or no title"
        facts = dict(line.split(": ", 1) for line in found["facts"].splitlines())
        number, _, name = path.stem.partition("-")
        language, part = path.parent.name, facts.get("part", "road")
        return cls(int(number), name, language, found["title"], int(facts["minutes"]), part, found["body"])

    @property
    def headings(self) -> tuple[str, ...]:
        """Headings of sections and of questions, with their marks."""
        return tuple(_HEADING.findall(_CODE.sub("", self.body)))

    @property
    def blocks(self) -> tuple[LessonBlock, ...]:
        """Prose and code in turn; empty prose is left out."""
        blocks, heading = [], ""
        for place, text in enumerate(_CODE.split(self.body)):
            runs = place % 2 == 1
            if not runs:
                heading = ([heading, *_HEADING.findall(text)])[-1]
            if text.strip():
                blocks.append(
                    LessonBlock(text.strip("\n") + "\n", runs, runs and bool(_QUESTION.match(heading)))
                )
        return tuple(blocks)

    def markdown(self, *, answers: bool) -> str:
        """The lesson as text.

        Args:
            answers: with the answers to its questions.
        """
        shown = [
            f"```pycon\n{b.text}```\n" if b.runs else b.text for b in self.blocks if answers or not b.answers
        ]
        return f"# {self.title}\n\n" + "\n".join(shown)


@functools.cache
def lessons(language: str) -> tuple[Lesson, ...]:
    """The lessons of a language, in their order.

    Raises:
        UnknownName: no lessons are in that language.

    Example:
        >>> [lesson.name for lesson in lessons("ko")][0]
        'bayes'
    """
    if language not in LANGUAGES:
        raise UnknownName("language", language, LANGUAGES)
    return tuple(Lesson.read(path) for path in sorted((HERE / language).glob("*.md")))


def find_lesson(name: str, language: str) -> Lesson:
    """A lesson by its name.

    Raises:
        UnknownName: there is none of that name, or none in that language.
    """
    known = {lesson.name: lesson for lesson in lessons(language)}
    if name not in known:
        raise UnknownName("lesson", name, known)
    return known[name]
