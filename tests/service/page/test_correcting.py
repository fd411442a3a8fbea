"""A change of mind on the pages, in a browser: corrected, taken back, renamed, skipped; or without script."""

import re
import time

import pytest

from bayesight.ledger import LabelRecord, PredictionRecord, create_token


def ask(page, picture) -> str:
    """Choose a file, wait for its answer, and until that is written down; the image's digest."""
    page.set_input_files("#file", picture)
    page.wait_for_url("**/images/*")
    page.wait_for_selector(".verdict")
    return page.url.rpartition("/")[2]


def written(site, image: str) -> None:
    for _ in range(100):
        entries = site.service.ledger.about(site.service.beliefs.name, image)
        if any(isinstance(entry.record, PredictionRecord) for entry in entries):
            return
        time.sleep(0.05)
    raise AssertionError("the prediction is not in the ledger")


def counts(site) -> dict[str, float]:
    now = site.service.beliefs.fresh().classifier
    return dict(zip(now.classes.names, now.head.counts.tolist(), strict=True))


def changes(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    names = {**before, **after}
    found = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in names}
    return {name: round(change, 6) for name, change in found.items() if abs(change) > 1e-6}


def shares(page, name: str) -> tuple[float, ...]:
    text = page.locator(f".change tr:has(th:text-is('{name}')) .n").inner_text().replace("\u202f", " ")
    return tuple(float(part) / 100 for part in re.findall(r"([\d.]+) %", text))


def posterior(page, name: str) -> float:
    text = page.locator(f".terms tr:has(th:text-is('{name}')) [data-term=posterior] output").inner_text()
    return float(text.replace("\u202f%", "")) / 100


def test_a_second_click_corrects_the_first_and_is_compared_with_the_last_answer(visit, site, picture):
    page, before = visit(site.url), counts(site)
    ask(page, picture("ring", 208))
    page.click(".labels button[value=bar]")
    page.wait_for_selector(".told")
    assert changes(before, counts(site)) == {"bar": 1}
    last = {name: posterior(page, name) for name in ("bar", "ring")}
    page.click(".labels button[value=ring]")
    page.wait_for_selector("text=was bar, is ring")
    assert changes(before, counts(site)) == {"ring": 1}
    for name in ("bar", "ring"):  # what is said to have been before is what the last answer said
        was, now = shares(page, name)
        assert was == pytest.approx(last[name], abs=0.002)
        assert now == pytest.approx(posterior(page, name), abs=0.002)
    page.click(".labels button[value=ring]")
    page.wait_for_selector("text=Repeated: it was ring already")
    assert changes(before, counts(site)) == {"ring": 1}


def test_a_label_is_taken_back_step_by_step(visit, site, picture):
    page, before = visit(site.url), counts(site)
    ask(page, picture("disc", 209))
    assert page.locator(".take-back").count() == 0
    for name in ("ring", "bar"):
        page.click(f".labels button[value={name}]")
        page.wait_for_selector(f".take-back button:text-is('Take back “{name}”')")
    page.click(".take-back button")
    page.wait_for_selector("text=The label bar was taken back; it is called ring again.")
    assert changes(before, counts(site)) == {"ring": 1}
    page.click(".take-back button")
    page.wait_for_selector("text=The label ring was taken back; it has no label now.")
    assert changes(before, counts(site)) == {}
    assert page.locator(".take-back").count() == 0
    assert "taken back" in page.inner_text("#said")


def test_a_mistyped_class_goes_with_its_only_label(visit, site, picture):
    page, before = visit(site.url), counts(site)
    ask(page, picture("ring", 210))
    page.fill("#new-name", "rign")
    page.get_by_role("button", name="Teach as a new class").click()
    page.wait_for_selector("text=Learned: this is rign")
    assert changes(before, counts(site)) == {"rign": 1}
    page.click(".take-back button")
    page.wait_for_selector("text=The class rign had no other image and is gone.")
    assert counts(site) == pytest.approx(before)
    assert page.locator(".labels button[value=rign]").count() == 0


def test_a_whole_lesson_is_taken_back(visit, site, picture):
    page, before = visit(site.url), counts(site)
    page.fill("#lesson-name", "zebar")
    page.set_input_files("#lesson-files", [picture("stripes", seed) for seed in range(211, 214)])
    page.get_by_role("button", name="Teach it", exact=True).click()
    page.wait_for_selector("text=Learned: zebar")
    assert changes(before, counts(site)) == {"zebar": 3}
    page.get_by_role("button", name="Take it back").click()
    page.wait_for_selector("text=3 labels were taken back.")
    assert counts(site) == pytest.approx(before)


def test_a_class_is_renamed(visit, site, picture):
    page = visit(site.url, tolerated=(422,))
    ask(page, picture("stripes", 215))
    page.fill("#new-name", "stripe pattern")
    page.get_by_role("button", name="Teach as a new class").click()
    page.wait_for_selector(".told")
    page.goto(site.url)
    page.select_option("#rename-which", "stripe pattern")
    page.fill("#rename-to", "zebra & <co>")
    page.get_by_role("button", name="Rename").click()
    page.wait_for_selector("text=The class is called zebra & <co> now.")
    assert {"zebra & <co>", "stripe pattern"} & set(counts(site)) == {"zebra & <co>"}
    page.goto(f"{site.url}/history")
    assert "stripe pattern is called zebra & <co>" in page.inner_text("main")
    page.goto(site.url)
    page.select_option("#rename-which", "zebra & <co>")
    page.fill("#rename-to", "bar")
    page.get_by_role("button", name="Rename").click()
    page.wait_for_selector(".problem")
    assert "Two classes cannot become one by a name" in page.inner_text(".problem")


def test_number_keys_press_the_buttons_that_show_them(visit, site, picture):
    page, before = visit(site.url), counts(site)
    ask(page, picture("disc", 220))
    names = page.locator(".labels button").all_inner_texts()
    keys = page.locator(".labels kbd").all_inner_texts()
    assert keys == [str(n + 1) for n in range(min(9, len(names)))]
    page.locator(".labels kbd").first.wait_for(state="visible")
    page.focus("#new-name")
    page.keyboard.type("2")
    assert page.input_value("#new-name") == "2"
    page.fill("#share-percent", "12")
    page.focus("#share-percent")
    page.keyboard.press("1")
    page.wait_for_timeout(150)
    assert changes(before, counts(site)) == {}
    page.focus("#answer-h")
    page.keyboard.press("Control+2")
    page.keyboard.press("2")
    page.wait_for_selector(".told")
    assert changes(before, counts(site)) == {names[1]: 1}
    page.keyboard.press("1")  # the focus is on the new answer
    page.wait_for_selector(f"text=was {names[1]}, is {names[0]}")
    assert changes(before, counts(site)) == {names[0]: 1}


def test_the_queue_is_worked_with_keys_skips_and_takes_back(visit, site, picture):
    page = visit(site.url)
    for seed in (230, 231, 232):
        page.goto(site.url)
        written(site, ask(page, picture("disc", seed)))
    page.goto(f"{site.url}/queue")
    waiting = int(page.inner_text("#queue-h").split()[0])
    first, second = (
        page.locator(".queue .picture").nth(n).get_attribute("href").rpartition("/")[2] for n in range(2)
    )
    page.locator(".queue .skip-image button").first.click()
    page.wait_for_selector("text=1 image skipped.")
    page.wait_for_selector(".scripted kbd")
    assert int(page.inner_text("#queue-h").split()[0]) == waiting - 1
    assert page.locator(f".queue a[href$='{first}']").count() == 0
    assert (
        page.locator(".queue li kbd").all_inner_texts()
        == page.locator(".queue li:first-child kbd").all_inner_texts()
    )  # the first one alone has keys
    before = counts(site)
    name = page.locator(".queue li:first-child [data-key='1']").inner_text()
    page.keyboard.press("1")
    page.wait_for_selector(".told")
    assert changes(before, counts(site)) == {name: 1}
    assert page.locator(f".queue a[href$='{second}']").count() == 0
    assert page.locator(f".queue a[href$='{first}']").count() == 0  # it stays skipped
    page.click(".take-back button")
    page.wait_for_selector("text=it has no label now")
    assert changes(before, counts(site)) == {}
    assert page.locator(f".queue a[href$='{second}']").count() == 1
    page.click("text=Show it again")
    page.wait_for_selector(f".queue a[href$='{first}']")


def test_without_a_script_everything_is_done_with_forms(visit, site, picture):
    page, before = visit(site.url, java_script_enabled=False), counts(site)
    page.set_input_files("#file", picture("bar", 240))
    page.click(".drop button")
    page.wait_for_selector(".verdict")
    image = page.url.rpartition("/")[2]
    page.locator("kbd").first.wait_for(state="hidden")  # once the style sheet is there
    page.click(".skip-image button")
    page.wait_for_selector("text=1 image skipped.")
    page.goto(f"{site.url}/images/{image}")
    page.click(".labels button[value=ring]")
    page.wait_for_selector("text=Learned: this is ring")
    page.click(".labels button[value=bar]")
    page.wait_for_selector("text=Corrected: was ring, is bar")
    for words in ("it is called ring again", "it has no label now"):
        page.click(".take-back button")
        page.wait_for_selector(f"text={words}")
    assert counts(site) == pytest.approx(before)
    page.goto(site.url)
    page.select_option("#rename-which", "ring")
    page.fill("#rename-to", "hoop")
    page.get_by_role("button", name="Rename").click()
    page.wait_for_selector("text=The class is called hoop now.")
    page.select_option("#rename-which", "hoop")
    page.fill("#rename-to", "ring")
    page.get_by_role("button", name="Rename").click()
    page.wait_for_selector("text=The class is called ring now.")


def test_each_takes_back_their_own_and_may_rename_what_their_token_allows(visit, guarded, picture):
    service = guarded.service
    pages = {}
    for name, scopes in (("ann", ["predict", "label"]), ("ben", ["predict", "label", "admin"])):
        token = create_token(service.ledger, name, scopes)
        page = visit(guarded.url, tolerated=(401,))
        page.fill("input[name=token]", token.secret)
        page.click("main button")
        page.wait_for_selector("#file")
        pages[name] = page
    assert pages["ann"].locator(".rename").count() == 0
    assert pages["ben"].locator(".rename").count() == 1
    image = ask(pages["ann"], picture("disc", 250))
    pages["ann"].click(".labels button[value=ring]")
    pages["ann"].wait_for_selector(".take-back")
    pages["ben"].goto(f"{guarded.url}/images/{image}")
    assert pages["ben"].locator(".take-back").count() == 0
    pages["ben"].click(".labels button[value=disc]")
    pages["ben"].wait_for_selector(".take-back button:text-is('Take back “disc”')")
    entries = service.ledger.about(service.beliefs.name, image)
    said = [(e.record.person, e.record.label) for e in entries if isinstance(e.record, LabelRecord)]
    assert said == [("ben", "disc"), ("ann", "ring")]
    now = service.beliefs.fresh().classifier
    rows = [bytes(d).hex() for d in now.absorbed.digests[-2:].tolist()]
    assert rows == [image, image]  # both count
