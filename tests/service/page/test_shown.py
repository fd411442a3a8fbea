"""Sentences, figures and controls that fit the run, the base rates in force, and the screen."""

import re

import numpy as np
import pytest

from bayesight.belief.classifier import Classes
from bayesight.report.words import rate
from bayesight.service.page.showing import can_be_drawn

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


def ask(page, picture) -> None:
    page.set_input_files("#file", picture)
    page.wait_for_url("**/images/*")
    page.wait_for_selector(".verdict")


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("mode", "size", "drawn"),
    [("L", (28, 28), True), ("L", (64, 64), True), ("L", (28, 65), False), ("RGB", (28, 28), False)],
)
def test_only_what_is_small_and_grey_is_drawn(mode: str, size: tuple[int, int], drawn: bool):
    assert can_be_drawn(Classes(("A", "B"), mode, size)) is drawn


def test_a_run_of_photographs_opens_with_a_file(visit, photos, photograph):
    page = visit(photos.url)
    assert page.locator("canvas").count() == 0
    assert "draw" not in page.inner_text("main").lower()
    assert page.is_visible("#file")
    first = page.evaluate("document.querySelector('main input, main canvas, main button').id")
    assert first == "file"
    ask(page, photograph("grass", 1))
    assert page.inner_text("[data-best]") == "grass"
    assert page.locator("canvas").count() == 0
    page.goto(photos.url)
    page.fill("#lesson-name", "night")
    page.set_input_files("#lesson-files", [photograph("night", n) for n in range(3)])
    page.click(".lesson button:text-is('Teach it')")
    page.wait_for_selector("#taught-h")
    assert "Learned: night" in page.inner_text("#taught-h")
    assert page.locator("canvas").count() == 0


def test_a_run_of_small_grey_images_keeps_its_drawing_board(visit, site):
    page = visit(site.url)
    assert page.is_visible("canvas")
    assert "or drop one here, paste one, or draw one" in page.inner_text("main")


def test_an_image_chosen_before_the_script_has_come_is_asked_about(visit, site, picture):
    page = visit(site.url)
    held = []
    page.route("**/static/page.js", lambda route: held.append(route))  # a slow line
    page.goto(site.url, wait_until="commit")
    page.set_input_files("#file", picture("disc", 97))
    assert page.is_visible(".drop button")
    held[0].continue_()
    page.wait_for_url("**/images/*")
    page.wait_for_selector(".verdict")


def test_the_runner_up_the_evidence_and_the_likely_button_move_with_the_slider(visit, site, picture):
    page = visit(site.url)
    ask(page, picture("disc", 90))
    terms = page.evaluate("JSON.parse(document.querySelector('[data-terms]').dataset.terms)")
    names, log_likelihood = terms["names"], np.array(terms["logLikelihood"])
    said = set()
    for percent in (99.9, 50, 1, 0.02):
        page.fill("#share-percent", str(percent))
        k, prior = names.index("disc"), np.array(terms["prior"])
        moved = prior * (1 - percent / 100) / (1 - prior[k])
        moved[k] = percent / 100
        joint = np.log(moved) + log_likelihood
        evidence = joint.max() + np.log(np.exp(joint - joint.max()).sum())
        posterior = np.exp(joint - evidence)
        best, second = np.argsort(-posterior)[:2]
        assert page.inner_text("[data-best]") == names[best]
        shown = page.is_visible("[data-next]")
        assert shown == (posterior[second] >= 0.001)
        if shown:
            wanted = f"Next is {names[second]} with {rate(posterior[second])}."
            assert plain(page.inner_text("[data-next]")) == plain(wanted)
            said.add(wanted)
        assert page.inner_text("[data-evidence]") == f"{evidence:,.1f}"
        assert page.get_attribute(".labels .likely", "value") == names[best]
    assert len(said) >= 2


def test_history_shows_its_newest_points_on_a_phone(visit, site, picture):
    page = visit(site.url, **PHONE)
    for seed in (400, 401, 402):
        page.goto(site.url)
        ask(page, picture("disc", seed))
        page.click(".labels button[value=disc]")
        page.wait_for_selector(".told")
    for script in (True, False):
        page = visit(f"{site.url}/history", java_script_enabled=script, **PHONE)
        figures = page.locator("figure svg")
        assert figures.count() >= 2
        for n in range(figures.count()):
            frame = page.locator("figure .scroll").nth(n).bounding_box()
            drawn = figures.nth(n).bounding_box()
            assert drawn["x"] < frame["x"]  # wider than the screen
            assert drawn["x"] + drawn["width"] <= frame["x"] + frame["width"] + 1  # its end is there
            assert frame["x"] + frame["width"] <= 390


def test_the_queue_says_what_the_guide_says(visit, site, picture):
    page = visit(site.url)
    ask(page, picture("stripes", 95))
    page.goto(f"{site.url}/queue")
    text = re.sub(r"\s+", " ", page.inner_text("main"))
    assert "an image between two classes it knows well has an uncertain label that teaches little" in text
    assert "one of a class it has seen a few times teaches much" in text
    assert "in the balance" not in text
