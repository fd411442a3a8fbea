"""Lessons in English and Korean: one Markdown file a language, shown as a page, a notebook or text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.lessons.exercises import write_exercise as write_exercise
    from bayesight.lessons.lesson import Lesson as Lesson
    from bayesight.lessons.lesson import find_lesson as find_lesson
    from bayesight.lessons.lesson import lessons as lessons
    from bayesight.lessons.machine import MachineCheck as MachineCheck
    from bayesight.lessons.machine import check_machine as check_machine
    from bayesight.lessons.notebook import as_notebook as as_notebook
    from bayesight.lessons.page import as_page as as_page
    from bayesight.lessons.running import LessonRun as LessonRun
    from bayesight.lessons.running import run as run

__getattr__, __dir__, __all__ = door(__name__)
