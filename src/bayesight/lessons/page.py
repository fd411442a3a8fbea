"""A lesson as one HTML file that carries everything with it: no script, no network, light, dark and paper."""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence

from jinja2 import Environment
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from bayesight.language import speaking
from bayesight.lessons.lesson import Lesson
from bayesight.lessons.running import LessonRun
from bayesight.report.page import templates_of


def as_page(lesson: Lesson, made: LessonRun) -> str:
    """The lesson as one HTML document, with the figures of a run in it; the same run gives the same text.

    Args:
        lesson: in the language of the page.
        made: what the lesson's code drew.
    """
    parts = [
        {
            "prose": "" if block.runs else _prose(block.text),
            "cells": [(_code(cell.code), escape(cell.output)) for cell in block.cells() if block.runs],
            "answers": block.answers,
            "figures": [base64.b64encode(figure).decode() for figure in made.figures.get(index, ())],
            "difference": escape(made.differences.get(index, "")),
        }
        for index, block in enumerate(lesson.blocks)
    ]
    with speaking(lesson.language):
        template = _environment().get_template("lesson.html.j2")
        return template.render(lesson=lesson, parts=parts, colours=_colours()) + "\n"


@functools.cache
def _environment() -> Environment:
    return templates_of("bayesight.lessons")


@functools.cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("fence", _fence)
    return markdown


def _fence(renderer: object, tokens: Sequence[Token], place: int, *_: object) -> str:
    """A block between fences, coloured as its language."""
    return _highlighted(tokens[place].content, tokens[place].info.strip())


def _prose(text: str) -> Markup:
    return Markup(_markdown().render(text))  # noqa: S704 - raw HTML in it is escaped


def _code(code: str) -> Markup:
    return Markup(_highlighted(code, "python"))  # noqa: S704 - Pygments escapes it


def _highlighted(code: str, language: str) -> str:
    return str(highlight(code, get_lexer_by_name(language or "text"), HtmlFormatter()))


def _colours() -> Markup:
    """Rules for highlighted code on light and on dark paper."""
    light, dark = (
        HtmlFormatter(style=style).get_style_defs(".highlight") for style in ("default", "monokai")
    )
    return Markup(f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}")  # noqa: S704
