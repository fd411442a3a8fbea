"""HTTP as its clients know it: HEAD wherever GET, and refusals as pages for those who read pages."""

import dataclasses

import pytest
from fastapi.testclient import TestClient

from bayesight.ledger import Ledger, create_token
from bayesight.service import Settings, create_app
from bayesight.service.api import belief, labels, operations, predictions
from bayesight.service.http.errors import prefers_html
from bayesight.service.page import router

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture
def whole(settings: Settings):
    """A service with its pages."""
    with TestClient(create_app(settings, routers=(router,)), base_url="http://localhost") as client:
        yield client


def test_head_is_answered_wherever_get_is_and_without_a_body(whole: TestClient, draw) -> None:
    asked = whole.post("/v1/predictions", files={"images": draw("bar")}).json()["predictions"][0]["image"]
    whole.app.state.service.recorder.settle([asked])
    parts = (router, belief.router, labels.router, operations.router, predictions.router)
    found = [route.path for part in parts for route in part.routes if "GET" in route.methods]
    found = [path.format(digest=asked, image=asked, name="page.css") for path in found]
    assert len(found) >= 16
    for path in (*found, "/openapi.json", "/nothing"):
        got, head = whole.get(path), whole.head(path)
        assert head.status_code == got.status_code, path
        assert head.content == b""
        assert head.headers["content-type"] == got.headers["content-type"]
        if path not in ("/metrics", "/", f"/images/{asked}", "/queue", "/history"):  # those differ by call
            assert head.headers["content-length"] == str(len(got.content)), path
    assert 'method="HEAD"' in whole.get("/metrics").text


def test_what_get_does_not_do_head_does_not_either(whole: TestClient) -> None:
    answer = whole.head("/v1/predictions")
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"] == "POST"
    wrong = whole.delete("/health")
    assert wrong.status_code == 405
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("text/html, */*", True),
        ("TEXT/HTML;charset=utf-8", True),
        ("application/json;q=0.5, text/html", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("application/json, text/html;q=0.9", False),
        ("text/html, application/json", False),
        ("text/html;q=0", False),
        ("text/html;q=0.1, */*", False),
        ("text/html;q=rubbish", False),
        ("image/png", False),
        (";;;,,,", False),
    ],
)
def test_who_asks_for_a_page(accept: str, wanted: bool) -> None:
    assert prefers_html(accept) is wanted


def test_a_refusal_is_a_page_for_a_browser_and_json_for_programs(whole: TestClient) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404), ("GET", "/v1/nothing", 404), ("GET", "/v1/predictions", 405),
        ("GET", "/v1/queue?limit=0", 422), ("GET", "/v1/images/" + "0f" * 16, 404), ("POST", "/", 405),
        ("PUT", "/v1/prior", 422),
    ):  # fmt: skip
        page = whole.request(method, path, headers={"Accept": BROWSER})
        assert page.status_code == status
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["vary"] == "Accept"
        assert 'href="/"' in page.text.partition("<main")[2]
        plain = whole.request(method, path)
        assert plain.status_code == status
        assert set(plain.json()) == {"error", "message"}
        assert plain.headers["vary"] == "Accept"
    assert "<script>alert" not in whole.get("/<script>alert(1)</script>", headers={"Accept": BROWSER}).text


def test_refusals_of_every_layer_are_pages_too(settings: Settings) -> None:
    app = create_app(dataclasses.replace(settings, body_bytes=100), routers=(router,))
    with TestClient(app, base_url="http://evil.example", headers={"Accept": BROWSER}) as client:
        page = client.get("/")
        assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert "not as &#39;evil.example&#39;" in page.text
        large = client.post("/v1/predictions", content=b"x" * 101, headers={"Host": "localhost"})
        assert (large.status_code, large.headers["content-type"]) == (413, "text/html; charset=utf-8")


def test_a_failure_is_a_page_too(settings: Settings) -> None:
    app = create_app(settings, routers=(router,))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        page = client.get("/broken", headers={"Accept": BROWSER})
        assert (page.status_code, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
        assert "the log has it under" in page.text


def test_a_browser_without_a_token_is_asked_for_one_wherever_it_comes_from(settings: Settings) -> None:
    with Ledger.open(settings.ledger_url) as ledger:
        secret = create_token(ledger, "alice", ["predict"]).secret
    app = create_app(dataclasses.replace(settings, require_token=True), routers=(router,))
    with TestClient(app, base_url="http://localhost", headers={"Accept": BROWSER}) as client:
        page = client.get("/v1/runs")
        assert page.status_code == 401
        assert page.headers["www-authenticate"] == "Bearer"
        assert 'name="back" value="/v1/runs"' in page.text
        assert client.post("/token", data={"token": secret, "back": "/v1/runs"}).json()["runs"]
        client.cookies.clear()
        wrong = [client.get("/", headers={"Authorization": f"Bearer {n}"}) for n in range(31)][-1]
        assert wrong.status_code == 429
        assert int(wrong.headers["retry-after"]) > 0
        assert 'action="/token"' in wrong.text  # a right one is taken, so there is a place for it


def test_a_path_is_the_same_with_a_slash_at_its_end(whole: TestClient) -> None:
    for path in ("/queue/", "/v1/runs/", "/health/", "//", "/docs//"):
        assert whole.get(path, follow_redirects=False).status_code == 200, path
    assert whole.get("/evil.example//", follow_redirects=False).status_code == 404
