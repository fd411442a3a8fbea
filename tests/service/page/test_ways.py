"""Ways through the pages in a browser: below a path, with a token that opens some of them, and to the API."""

import pytest
from playwright.sync_api import expect

from bayesight.ledger import create_token


def entered(visit, site, path: str, scope: str):
    """A browser that has shown a token with this scope at a page."""
    token = create_token(site.service.ledger, "bob", [scope])
    page = visit(site.url + path, tolerated=(401, 403))
    page.fill("#token", token.secret)
    page.click("text=Enter")
    return page


def test_a_token_leads_to_the_page_it_opens(visit, guarded):
    page = entered(visit, guarded, "/", "label")
    page.wait_for_selector("#queue-h")
    assert page.url == f"{guarded.url}/queue"
    for path in ("/history", "/report", "/images/" + "0f" * 16):
        page.goto(guarded.url + path)
        assert page.inner_text("#problem-h") == "Your token does not open this"
        assert "it allows label; expected 'predict'" in page.inner_text("[data-problem]")
        page.click("text=Go to Teach")
        page.wait_for_selector("#queue-h")


def test_a_token_that_asks_but_may_not_teach_is_led_back(visit, guarded):
    page = entered(visit, guarded, "/queue", "predict")
    page.wait_for_selector("#problem-h")
    assert "it allows predict; expected 'label'" in page.inner_text("[data-problem]")
    page.click("text=Go to Ask")
    page.wait_for_selector("#file")


def test_a_path_that_leads_nowhere_has_a_way_back(visit, site):
    page = visit(f"{site.url}/nowhere", tolerated=(404,))
    assert page.inner_text("#problem-h") == "There is nothing here"
    assert page.locator("nav a[aria-current]").count() == 0
    page.click("main >> text=Back")
    page.wait_for_selector("#file")


def test_the_api_is_described_without_anything_from_elsewhere(visit, site):
    page = visit(site.url)
    page.click("footer >> text=API")
    expect(page).to_have_url(f"{site.url}/docs")
    operations = [
        f"{method.upper()} {path}"
        for path, methods in site.app.openapi()["paths"].items()
        for method in methods
    ]
    listed = page.locator("main ul a code").all_inner_texts()
    assert sorted(listed) == sorted(operations)
    page.click("text=PUT /v1/prior")
    assert page.locator("section:has(h2:text('State the base rates')) pre").count() == 2
    assert f"curl -H 'Authorization: Bearer TOKEN' '{site.url}/v1/belief'" in page.inner_text("main")
    assert "`" not in page.inner_text("main")
    assert "\ufffd" not in page.inner_text("main")


@pytest.mark.parametrize("stripped", [True, False])
def test_the_pages_work_below_a_path(behind, visit, picture, stripped):  # the page closes first
    """A proxy in front that leaves the path or takes it away; the browser sees only the path below it."""
    site, proxy = behind
    proxy.strips = stripped
    page = visit(f"{proxy.url}/bayes/", tolerated=(401,))
    page.fill("#token", create_token(site.service.ledger, "carol", ["admin"]).secret)
    page.click("text=Enter")
    page.wait_for_selector("html.scripted #file")
    page.set_input_files("#file", picture("disc", 300))
    page.wait_for_selector(".verdict")
    assert page.url.startswith(f"{proxy.url}/bayes/images/")
    page.click(".labels button[value=disc]")
    page.wait_for_selector(".told")
    page.click("text=Use these base rates from now on")
    page.wait_for_selector(".verdict")
    for name, marker in (
        ("Teach", "#queue-h"),
        ("History", "#now-h"),
        ("Theorem", "#test-h"),
        ("Report", "iframe"),
    ):
        page.click(f"nav >> text={name}")
        page.wait_for_selector(marker)
        assert page.url.startswith(f"{proxy.url}/bayes/")
    page.click("footer >> text=API")
    assert f"'{proxy.url}/bayes/v1/belief'" in page.inner_text("main")
    (cookie,) = page.context.cookies()
    assert cookie["path"] == "/bayes"
    assert [path for path in proxy.asked if not path.startswith("/bayes/")] == []
