"""Pages hold everything they show, and nothing in a lesson's text becomes markup of its own."""

import re

import pytest

from bayesight.lessons import Lesson, LessonRun, as_page, find_lesson, lessons, run


@pytest.fixture(scope="module")
def bayes():
    lesson = find_lesson("bayes", "ko")
    return as_page(lesson, run(lesson))


def test_a_page_carries_its_picture_and_loads_nothing(bayes):
    assert bayes.startswith('<!doctype html>\n<html lang="ko">')
    assert bayes.count("data:image/svg+xml;base64,") == 1
    assert "<script" not in bayes
    assert not re.search(r'(?:src|href)="(?!data:|https://)', bayes)
    assert bayes.count("<details>") == 3
    assert "조건부확률" in bayes


def test_a_page_for_one_of_the_questions_is_one_sheet_of_paper(visit):
    """The longest of them, with a picture as high as theirs."""
    lesson = find_lesson("why-bayes", "ko")
    picture = b'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="280"/>'
    figures = {len(lesson.blocks) - 2: (picture,)}
    page = visit("about:blank")
    page.set_content(as_page(lesson, LessonRun(figures=figures)))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    sheets = re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))
    assert len(sheets) == 1


@pytest.mark.parametrize("lesson", lessons("ko"), ids=lambda lesson: lesson.name)
def test_every_lesson_becomes_a_page_without_marks_of_markdown(lesson):
    page = as_page(lesson, LessonRun())
    shown = re.sub(r"<(pre|style)\b.*?</\1>|<code>.*?</code>", "", page, flags=re.DOTALL)
    assert "```" not in page
    assert "**" not in shown
    assert not re.search(r"\*\w|\w\*", shown), re.findall(r".{20}\*.{20}", shown)
    assert not re.search(r"<pre[^>]*>\s*<(?:code|div|pre)", page)
    assert page.count("<table>") == len(re.findall(r"^\| --- ", lesson.body, re.MULTILINE))


def test_markup_in_a_lesson_is_shown_and_a_difference_is_told():
    body = "A <b>word</b>.\n\n```python\n>>> '<i>'\n'<i>'\n\n```\n"
    page = as_page(Lesson(1, "x", "en", "A & B", 1, "road", body), LessonRun(differences={1: "<u>"}))
    assert "&lt;b&gt;word" in page
    assert "<i>" not in page
    assert "<u>" not in page
    assert "&lt;u&gt;" in page
    assert "A &amp; B" in page


def test_a_page_fits_a_telephone(visit, bayes):
    page = visit("about:blank", viewport={"width": 390, "height": 800})
    page.set_content(bayes)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("table").first.is_visible()
    answer = page.locator("details").first
    assert not answer.locator("pre").first.is_visible()
    answer.locator("summary").click()
    assert answer.locator("pre").first.is_visible()
