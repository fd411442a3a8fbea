"""The pages in a real browser: asked, drawn on, moved, corrected, taught; by mouse, keyboard or no script."""

import base64
import io
import json
import re
import time
from dataclasses import astuple

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Error

from bayesight import formatting
from bayesight.bayes import natural_frequencies, theorem
from bayesight.ledger import LabelRecord, PredictionRecord, create_token
from bayesight.report import words

VIEWS = ("/", "/queue", "/history", "/theorem", "/report")


def ask(page, picture) -> None:
    """Choose a file and wait for its answer."""
    page.set_input_files("#file", picture)
    page.wait_for_url("**/images/*")
    page.wait_for_selector(".verdict")


def image_of(page) -> str:
    return page.url.rpartition("/")[2]


def labels_of(site, image: str) -> list[str]:
    entries = site.service.ledger.about(site.service.beliefs.name, image)
    return [entry.record.label for entry in entries if isinstance(entry.record, LabelRecord)]


def recorded(site, image: str) -> PredictionRecord:
    """The newest prediction of an image; it is written shortly after it was answered."""
    for _ in range(100):
        for entry in site.service.ledger.about(site.service.beliefs.name, image):
            if isinstance(entry.record, PredictionRecord):
                return entry.record
        time.sleep(0.05)
    raise AssertionError("the prediction is not in the ledger")


def share(text: str) -> float:
    """A percentage as it is written, as a fraction."""
    return float(re.search(r"([\d.]+)\s*%", text.replace("\u202f", " ")).group(1)) / 100


def draw_bar(page) -> None:
    box = page.locator("canvas").bounding_box()
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] - 20, steps=5)
    page.mouse.up()


def test_a_chosen_image_is_answered_with_the_four_terms_and_written_down(visit, site, picture):
    page = visit(site.url)
    ask(page, picture("disc"))
    assert page.inner_text("[data-best]") == "disc"
    record = recorded(site, image_of(page))
    for name, p in record.posterior.items():
        row = page.locator(f"tr:has(th:text-is('{name}'))")
        assert share(row.locator("[data-term=posterior] output").inner_text()) == pytest.approx(p, abs=0.006)
    assert f"{record.log_evidence:,.1f} nats" in page.inner_text(".evidence")
    assert page.evaluate("document.activeElement.id") == "answer-h"


def test_an_image_may_be_dropped(visit, site, picture):
    page = visit(site.url)
    content = base64.b64encode(picture("ring")["buffer"]).decode()
    page.evaluate(
        """(content) => {
            const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
            const bag = new DataTransfer();
            bag.items.add(new File([bytes], "ring.png", { type: "image/png" }));
            const drop = new DragEvent("drop", { dataTransfer: bag, bubbles: true, cancelable: true });
            document.querySelector(".drop").dispatchEvent(drop);
        }""",
        content,
    )
    page.wait_for_url("**/images/*")
    assert page.inner_text("[data-best]") == "ring"


def test_a_drawing_is_centred_and_read_as_it_was_drawn(visit, site):
    page = visit(site.url)
    draw_bar(page)
    page.click("[data-do=ask]")
    page.wait_for_url("**/images/*")
    source = page.get_attribute(".seen", "src").partition(",")[2]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
    assert pixels.shape == (28, 28)
    across = pixels.astype(float).sum(axis=0)
    assert abs((across * np.arange(28)).sum() / across.sum() - 13.5) < 1
    assert pixels[:, 13:15].mean() > 180
    assert pixels[:, :8].max() == pixels[:, 20:].max() == 0


def test_an_empty_or_undone_drawing_asks_nothing(visit, site):
    page = visit(site.url)
    draw_bar(page)
    page.click("[data-do=undo]")
    page.click("[data-do=ask]")
    page.wait_for_timeout(100)
    assert page.url == f"{site.url}/"


def test_a_finger_draws_too(visit, site):
    page = visit(site.url, viewport={"width": 375, "height": 700}, has_touch=True, is_mobile=True)
    box = page.locator("canvas").bounding_box()
    events = page.context.new_cdp_session(page)
    x = box["x"] + box["width"] / 2
    points = [(x, box["y"] + 30 + 40 * i) for i in range(5)]
    for kind, point in [("touchStart", points[0]), *(("touchMove", p) for p in points[1:])]:
        touch = {"type": kind, "touchPoints": [{"x": point[0], "y": point[1]}]}
        events.send("Input.dispatchTouchEvent", touch)
    events.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.click("[data-do=ask]")
    page.wait_for_url("**/images/*")


def test_the_slider_moves_the_posterior_as_bayes_would(visit, site, picture):
    page = visit(site.url)
    ask(page, picture("bar", 3))
    terms = json.loads(page.get_attribute("[data-live=answer]", "data-terms"))
    prior, likelihood = np.array(terms["prior"]), torch.tensor(terms["logLikelihood"], dtype=torch.float64)
    for name, percent in (("bar", "1"), ("ring", "97.5"), ("disc", "0.02")):
        page.select_option("#which", name)
        page.fill("#share-percent", percent)
        k, p = terms["names"].index(name), float(percent) / 100
        moved = prior * (1 - p) / (1 - prior[k])
        moved[k] = p
        belief, _ = theorem.update(
            theorem.Belief(torch.tensor(moved).log(), tuple(terms["names"])), likelihood
        )
        wanted = belief.log_p.exp()
        for j in range(len(prior)):
            row = page.locator(f"tr[data-k='{j}']")
            bar = row.locator("[data-term=posterior] .fill").get_attribute("width")
            assert float(bar) == pytest.approx(100 * float(wanted[j]), abs=1e-3)
        dots = page.locator("[data-figure=posterior] path").nth(0).get_attribute("d").count("M")
        assert dots == int(1000 * float(wanted[k]) + 0.5)
        told = natural_frequencies(prevalence=float(wanted[k]), sensitivity=1, false_alarm=0)
        assert page.inner_text("[data-dots=posterior]") == f"{told.tp:,}"
        assert page.inner_text("[data-people=posterior]") == f"{told.people:,}"
        assert page.locator("[data-figure=prior] path").nth(0).get_attribute("d").count("M") == round(
            1000 * p
        )
    page.focus("#share-slide")
    before = page.inner_text("[data-moved]")
    page.keyboard.press("PageUp")
    assert page.inner_text("[data-moved]") != before
    assert "%" in page.get_attribute("#share-slide", "aria-valuetext")


def test_stated_base_rates_stay(visit, site, picture):
    page = visit(site.url)
    ask(page, picture("bar", 5))
    page.select_option("#which", "ring")
    page.fill("#share-percent", "60")
    with page.expect_response("**/prior"):
        page.click("text=Use these base rates from now on")
    page.goto(site.url)
    assert "stated for this place" in page.inner_text("main")
    assert share(page.locator("tr:has(th:text-is('ring')) td.n").first.inner_text()) == pytest.approx(0.6)


def test_one_click_corrects_and_the_ledger_holds_it(visit, site, picture):
    page = visit(site.url)
    ask(page, picture("ring", 8))
    image, before = image_of(page), site.service.beliefs.fresh().state
    terms = json.loads(page.get_attribute("[data-live=answer]", "data-terms"))
    page.click(".labels button[value=bar]")
    page.wait_for_selector(".told")
    assert labels_of(site, image) == ["bar"]
    after = site.service.beliefs.fresh().state
    assert (after.belief, after.position) != (before.belief, before.position)
    counts = after.classifier.head.counts - before.classifier.head.counts
    assert counts[terms["names"].index("bar")].item() == 1
    then, now = (float(share(part)) for part in page.inner_text(".change tr:first-child .n").split("→"))
    assert now > then
    assert "Learned: this is bar" in page.inner_text("#said")
    page.reload()
    assert "Learned: this is bar" in page.inner_text(".told")
    assert labels_of(site, image) == ["bar"]


def test_what_is_like_nothing_known_is_unknown_and_a_new_class_is_taught_from_a_handful(visit, site, picture):
    page = visit(site.url)
    ask(page, picture("stripes", 0))
    assert page.inner_text("h2[data-focus]") == "Unknown"
    assert "unlike anything" in page.inner_text(".verdict")
    assert page.locator(".gallery img").count() == 6
    page.goto(site.url)
    page.fill("#lesson-name", "stripes")
    page.set_input_files("#lesson-files", [picture("stripes", seed) for seed in range(1, 4)])
    page.set_input_files("#lesson-files", [picture("stripes", seed) for seed in range(4, 7)])
    assert page.locator(".handful img").count() == 6
    page.click(".handful li:last-child button")
    assert page.locator(".handful img").count() == 5
    page.get_by_role("button", name="Teach it", exact=True).click()
    page.wait_for_selector("text=Learned: stripes")
    assert "5 images of stripes, a class that is new to it" in page.inner_text(".told")
    ask(page, picture("stripes", 99))
    assert page.inner_text("[data-best] >> nth=0") == "stripes"
    assert "stripes" in site.service.beliefs.fresh().classifier.classes.names


def test_a_drawing_joins_the_handful(visit, site):
    page = visit(site.url)
    draw_bar(page)
    page.click("[data-do=collect]")
    page.wait_for_selector(".handful img")
    assert page.evaluate("document.querySelector('#lesson-files').files.length") == 1


def test_the_queue_takes_a_label_with_one_click(visit, site, picture):
    page = visit(site.url)
    ask(page, picture("disc", 21))
    recorded(site, image_of(page))
    page.goto(f"{site.url}/queue")
    waiting = int(page.inner_text("#queue-h").split()[0])
    card = page.locator(".queue li").first
    assert card.locator("img").count() == 1
    image = card.locator("a").get_attribute("href").rpartition("/")[2]
    button = card.locator(".likely")
    name = button.inner_text()
    button.click()
    page.wait_for_selector(".told")
    assert page.locator(f".queue a[href$='{image}']").count() == 0
    assert int(page.inner_text("#queue-h").split()[0]) == waiting - 1
    assert labels_of(site, image) == [name]


def test_history_shows_accuracy_prior_and_evidence(visit, site, picture):
    page = visit(site.url)
    for seed in (31, 32):
        page.goto(site.url)
        ask(page, picture("disc", seed))
        page.click(".labels button[value=disc]")
        page.wait_for_selector(".told")
    page.goto(f"{site.url}/history")
    headings = page.locator("h2").all_inner_texts()
    assert {"How often it was right before it was told", "Prior", "Evidence", "What was learned"} <= set(
        headings
    )
    assert page.locator("figure svg[role=img][aria-label]").count() >= 2


def test_the_theorem_computes_what_bayes_does(visit, site):
    page = visit(f"{site.url}/theorem")

    def step(name):
        return page.inner_text(f"[data-step={name}] output").replace("\u202f", " ")

    assert (step("one"), step("two")) == ("52.38 %", "91.59 %")
    page.get_by_role("button", name="False alarms 1 %").click()
    assert (step("one"), step("two"), step("before")) == ("91.67 %", "99.908 %", "10.00 %")
    assert page.inner_text("[data-value=one]") == "0.9167"
    assert page.inner_text("[data-count=positives]") == "108"
    d = [page.locator("[data-figure=people] path").nth(i).get_attribute("d").count("M") for i in range(4)]
    assert d == [99, 1, 9, 891]
    page.fill("#prevalence-percent", "0.5")
    page.fill("#false_alarm-percent", "5")
    exact = 0.005 * 0.99 / (0.005 * 0.99 + 0.995 * 0.05)
    assert share(step("one")) == pytest.approx(exact, abs=5e-5)
    moved = page.get_attribute("[data-figure=curves] .positive", "d")
    dot = float(page.get_attribute("[data-figure=curves] .now", "cy"))
    page.goto(f"{site.url}/theorem?prevalence=0.5&sensitivity=99&false_alarm=5")
    drawn = page.get_attribute("[data-figure=curves] .positive", "d")
    assert float(page.get_attribute("[data-figure=curves] .now", "cy")) == pytest.approx(dot, abs=0.02)
    numbers = [np.array(re.findall(r"[\d.]+", path), dtype=float) for path in (moved, drawn)]
    assert np.abs(numbers[0] - numbers[1]).max() < 0.02


def test_the_script_and_the_library_agree(visit, site):
    page = visit(f"{site.url}/theorem")
    rng = np.random.default_rng(0)
    prior = rng.dirichlet(np.ones(5))
    likelihood = rng.normal(-700, 40, 5)
    found = page.evaluate(
        "async ([p, l]) => (await import('/static/bayes.js')).posterior(p, l)",
        [prior.tolist(), likelihood.tolist()],
    )
    belief = theorem.Belief(torch.tensor(prior).log(), tuple("abcde"))
    wanted, evidence = theorem.update(belief, torch.tensor(likelihood))
    assert np.allclose(found["p"], wanted.log_p.exp().numpy(), rtol=1e-12)
    assert found["logEvidence"] == pytest.approx(float(evidence), rel=1e-12)


def test_the_script_counts_people_as_the_library_does(visit, site):
    rng = np.random.default_rng(3)
    rates = [
        *rng.random((1500, 3)).tolist(),
        *(10.0 ** rng.uniform(-8, 0, (1500, 3))).tolist(),
        *(1 - 10.0 ** rng.uniform(-6, 0, (500, 3))).tolist(),
        *(rng.integers(0, 201, (2000, 3)) / 200).tolist(),  # with ties and whole numbers among them
        *[[0.025, 0.58, 0.1], [1e-6, 0.99, 0.01], [0, 0.5, 0.5], [1, 1, 1], [1e-15, 0.5, 1e-15]],
    ]
    populations = [None, 1000, 997, 40, 1]
    found = visit(f"{site.url}/theorem").evaluate(
        """async ([rates, populations]) => {
            const { frequencies } = await import("/static/bayes.js");
            return rates.map((three) => populations.map((people) => {
                const { tp, fn, fp, tn } = frequencies(...three, people);
                return [tp, fn, fp, tn];
            }));
        }""",
        [rates, populations],
    )
    for (p, s, f), counted in zip(rates, found, strict=True):
        for people, cells in zip(populations, counted, strict=True):
            ours = natural_frequencies(prevalence=p, sensitivity=s, false_alarm=f, people=people)
            assert cells == list(astuple(ours)), (p, s, f, people)


def test_the_script_writes_probabilities_as_the_library_does(visit, site):
    rng = np.random.default_rng(4)
    rare = 10.0 ** rng.uniform(-14, 0, 1500)
    shares = [0.0, 1.0, 0.0625, 1e-9, 1 - 1e-9, *rng.random(1500), *rare, *(1 - rare)]
    shares += [*(rng.integers(0, 1025, 500) / 1024), *(10.0 ** -np.arange(1.0, 12))]
    shares = [float(x) for x in shares]
    found = visit(f"{site.url}/theorem").evaluate(
        """async (shares) => {
            const { decimal, fromField, inPercent, percent } = await import("/static/bayes.js");
            return shares.map((p) => [
                percent(p), percent(p, 1), percent(p, 2), decimal(p), fromField(inPercent(p) + "%"),
            ]);
        }""",
        shares,
    )
    for p, (*texts, back) in zip(shares, found, strict=True):
        ours = [
            words.percent(p, 0),
            words.percent(p),
            words.percent(p, 2),
            formatting.decimal(p).replace(" ", formatting.THIN),
        ]
        assert texts == ours, p
        if not texts[0].startswith(">"):
            assert back == pytest.approx(
                formatting.from_percent(texts[0].replace(formatting.THIN, " ")), rel=1e-12
            )


def test_a_base_rate_is_typed_with_its_sign_and_as_small_as_need_be(visit, site, picture):
    page = visit(f"{site.url}/theorem")
    page.fill("#prevalence-percent", "0,001 %")
    page.fill("#false_alarm-percent", "1%")
    exact = words.percent(1e-5 * 0.99 / (1e-5 * 0.99 + (1 - 1e-5) * 0.01), 2)
    assert page.inner_text("[data-step=one] output") == exact
    assert page.inner_text("[data-count=people]") == "10,000,000"
    assert page.inner_text("[data-count=tp] >> nth=1") == "99"
    assert page.inner_text("[data-count=positives]") == "100,098"
    page.goto(f"{site.url}/theorem?prevalence=0.001%25&sensitivity=99+%25&false_alarm=1%25")
    assert page.inner_text("[data-step=one] output") == exact
    assert page.inner_text("[data-count=positives]") == "100,098"
    assert page.input_value("#prevalence-percent") == "0.001"
    ask(page.goto(site.url) and page, picture("disc"))
    page.select_option("#which", "disc")
    page.fill("#share-percent", "30%")
    assert page.inner_text("[data-moved]").replace("\u202f", " ").startswith("disc at 30 % here")
    with page.expect_response("**/prior") as answer:
        page.get_by_role("button", name="Use these base rates from now on").click()
    assert answer.value.status == 303
    page.goto(site.url)
    row = page.locator("tr:has(th:text-is('disc'))")
    assert "30 %" in row.inner_text().replace("\u202f", " ")


def test_everything_goes_with_the_keyboard_alone(visit, site, picture, tmp_path):
    file = tmp_path / "bar.png"
    file.write_bytes(picture("bar", 41)["buffer"])
    page = visit(site.url)

    def tab_to(test: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({test!r})"):
                ring = page.evaluate(
                    "(() => { const s = getComputedStyle(document.activeElement);"
                    " return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1 })()"
                )
                assert ring, f"no focus to be seen on {test}"
                return
        raise AssertionError(f"{test} is not reached with Tab")

    page.keyboard.press("Tab")
    assert page.inner_text(":focus") == "Skip to the content"
    tab_to("#file")
    for _ in range(4):  # headless Chromium loses one in five choosers, on a page of one bare input too
        try:
            with page.expect_file_chooser(timeout=2500) as chooser:
                page.keyboard.press("Enter")
            break
        except Error:
            continue
    chooser.value.set_files(file)
    page.wait_for_url("**/images/*")
    page.wait_for_selector(".verdict")
    image = image_of(page)
    tab_to(".labels button[value=bar]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".told")
    assert labels_of(site, image) == ["bar"]
    tab_to("#share-slide")
    before = page.inner_text("[data-moved]")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("[data-moved]") != before


def test_no_view_scrolls_sideways_on_a_phone(visit, site, picture):
    page = visit(site.url, viewport={"width": 360, "height": 740})
    ask(page, picture("stripes", 50))
    for path in (*VIEWS, f"/images/{image_of(page)}"):
        page.goto(site.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, path


def test_without_a_script_forms_still_work(visit, site, picture):
    page = visit(site.url, java_script_enabled=False)
    page.set_input_files("#file", picture("ring", 60))
    page.click(".drop button")
    assert "/images/" in page.url
    image = image_of(page)
    page.click(".labels button[value=ring]")
    assert "Learned: this is ring" in page.inner_text(".told")
    assert labels_of(site, image) == ["ring"]
    page.goto(f"{site.url}/theorem")
    page.fill("#false_alarm-percent", "1")
    page.click("text=Work it out")
    assert "91.67" in page.inner_text("[data-step=one]")


def test_a_refusal_is_one_sentence_and_the_page_stays(visit, site):
    page = visit(site.url, tolerated=(422,))
    page.set_input_files("#file", {"name": "x.png", "mimeType": "image/png", "buffer": b"no image"})
    page.wait_for_selector(".problem[role=alert]")
    assert "cannot be read" in page.inner_text(".problem")
    assert page.url == f"{site.url}/"


def test_a_token_is_asked_for_once_and_kept_where_no_script_reaches(visit, guarded, picture):
    token = create_token(guarded.service.ledger, "alice", ["predict", "label"])
    page = visit(f"{guarded.url}/history", tolerated=(401, 403))
    assert page.locator("#token").count() == 1
    assert "it has learned" not in page.content()
    page.fill("#token", "bayesight_wrong")
    page.click("text=Enter")
    assert "not known" in page.inner_text("[data-problem]")
    page.fill("#token", token.secret)
    page.click("text=Enter")
    page.wait_for_selector("text=Until now")
    assert page.url == f"{guarded.url}/history"
    assert token.secret not in page.content()
    assert page.evaluate("document.cookie") == ""
    cookie = next(c for c in page.context.cookies() if c["name"] == "bayesight_token")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    page.goto(guarded.url)
    ask(page, picture("disc", 70))
    page.click(".labels button[value=disc]")
    page.wait_for_selector(".told")
    label = guarded.service.ledger.latest(guarded.service.beliefs.name, LabelRecord.kind)[0].record
    assert (label.label, label.person) == ("disc", "alice")
    page.click("text=Use these base rates from now on")
    page.wait_for_selector(".problem")
    assert "expected 'admin'" in page.inner_text(".problem")
    page.click("text=Forget the token")
    page.wait_for_selector("#token")


def test_the_report_is_walled_off(visit, site):
    page = visit(f"{site.url}/report")
    frame = page.frame_locator("iframe")
    assert frame.locator("h1").count() == 1
    assert page.get_attribute("iframe", "sandbox") == ""


def test_a_name_that_is_markup_stays_a_name(visit, site, picture):
    page = visit(site.url)
    ask(page, picture("stripes", 80))
    name = "<img src=x onerror=alert(1)>'\""
    page.fill("#new-name", name)
    page.click("text=Teach as a new class")
    page.wait_for_selector(".told")
    assert name in page.inner_text(".told")
    assert page.locator("img[src=x]").count() == 0
    page.goto(site.url)
    assert page.locator("img[src=x]").count() == 0
