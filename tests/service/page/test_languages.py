"""The pages in the language of whoever looks."""

import re
import threading

from bayesight.language import speaking, tr

VIEWS = ("/", "/queue", "/history", "/theorem", "/report", "/nothing")
KOREAN = {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.5"}
NAMES = {"nats", "API", "Bayesight", "SOURCE", "RUN", "FILE", "html", "UTC", "bar", "disc", "ring", "such"}


def english_in(page: str) -> set[str]:
    """Words of English that a page shows or says; code is in no language."""
    shown = re.sub(r"(?s)<code>.*?</code>|<(style|script).*?</\1>", " ", page)
    said = " ".join(re.findall(r'(?:aria-label|alt|title|data-say)="([^"]*)"', shown))
    return set(re.findall(r"[A-Za-z]{3,}", f"{re.sub('<[^>]*>', ' ', shown)} {said}")) - NAMES


def test_one_service_answers_in_two_languages_at_once(page_client):
    found = {}

    def ask(language):
        header = {"Accept-Language": language}
        found[language] = [page_client.get("/theorem", headers=header) for _ in range(4)]

    threads = [threading.Thread(target=ask, args=(language,)) for language in ("ko", "en")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all('<html lang="ko"' in one.text and "양성의 가치는 얼마인가?" in one.text for one in found["ko"])
    assert all(
        '<html lang="en">' in one.text and "What is a positive worth?" in one.text for one in found["en"]
    )
    assert found["ko"][0].headers["vary"] == "Accept-Language"


def test_every_view_is_in_korean_from_one_end_to_the_other(page_client, picture):
    page_client.headers.update(KOREAN)
    disc = picture("disc")
    file = {"file": (disc["name"], disc["buffer"], disc["mimeType"])}
    asked = page_client.post("/answers", files=file).text
    key = re.search(r'name="key" value="(\w+)"', asked)[1]
    image = re.search(r"/images/(\w+)/label", asked)[1]
    taught = page_client.post(f"/images/{image}/label", data={"label": "ring", "key": key}).text
    pages = [asked, taught, *(page_client.get(view).text for view in VIEWS[:-1])]
    run = re.search(r"<h2 id=\"report-h\">([^<]*)", pages[-1])[1]
    for page in pages:
        shown = page.replace(run, "")
        assert english_in(shown) == set(), shown[:9000]
        assert not re.search(r"[^ ]+(은\(는\)|을\(를\))", re.sub(r"(bar|disc|ring)<?", "", page))


def test_a_browser_without_a_known_language_has_that_of_the_service(page_client, monkeypatch):
    monkeypatch.setenv("BAYESIGHT_LANG", "ko")
    assert '<html lang="ko"' in page_client.get("/theorem", headers={"Accept-Language": "fr"}).text
    assert '<html lang="en"' in page_client.get("/theorem", headers={"Accept-Language": "en"}).text


def test_scripts_speak_the_language_of_the_page(visit, site, picture):
    page = visit(site.url, locale="ko-KR")
    page.set_input_files("#file", picture("bar"))
    page.wait_for_url("**/images/*")
    page.fill("#share-percent", "50")
    moved = page.inner_text("[data-moved]")
    with speaking("ko"):
        before, _, after = tr("{name} at {prior} here: {posterior} sure.").partition("{posterior}")
    name = page.inner_text("[data-best] >> nth=0")
    assert moved.startswith(before.format(name=name, prior="50\u202f%"))
    assert after in moved
