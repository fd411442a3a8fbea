"""Who may do what: tokens, scopes, other sites, and how much at a time."""

import base64
import dataclasses

import pytest
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException

from bayesight.errors import InvalidInput
from bayesight.ledger import Ledger, create_token, revoke_token
from bayesight.service import Settings, create_app
from bayesight.service.http import auth, limits


@pytest.fixture
def tokens(settings: Settings) -> dict[str, str]:
    """Secrets by scope."""
    with Ledger.open(settings.ledger_url) as ledger:
        return {
            scope: create_token(ledger, f"{scope}er", [scope]).secret
            for scope in ("predict", "label", "admin")
        }


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def asked(client: TestClient, method: str, path: str, headers: dict[str, str], draw) -> int:
    data = base64.b64encode(draw("bar")).decode()
    bodies = {
        "/v1/predictions": {"images": [{"data": data}]},
        "/v1/labels": {"labels": [{"label": "bar", "data": data}]},
        "/v1/prior": {"prior": "uniform"},
    }
    return client.request(method, path, json=bodies.get(path), headers=headers).status_code


def test_scopes_allow_what_they_name(settings: Settings, tokens: dict[str, str], draw) -> None:
    wanted = {
        ("POST", "/v1/predictions"): {"predict", "admin"},
        ("GET", "/v1/belief"): {"predict", "admin"},
        ("GET", "/v1/runs"): {"predict", "admin"},
        ("POST", "/v1/labels"): {"label", "admin"},
        ("GET", "/v1/queue"): {"label", "admin"},
        ("PUT", "/v1/prior"): {"admin"},
        ("GET", "/metrics"): {"admin"},
    }
    app = create_app(dataclasses.replace(settings, require_token=True))
    with TestClient(app, base_url="http://letters.example") as client:
        for (method, path), scopes in wanted.items():
            assert asked(client, method, path, {}, draw) == 401, path
            for scope, secret in tokens.items():
                status = asked(client, method, path, bearer(secret), draw)
                assert status == (200 if scope in scopes else 403), (path, scope)
        assert client.get("/health").status_code == client.get("/ready").status_code == 200
        client.cookies.set(auth.COOKIE, tokens["predict"])
        assert client.get("/v1/belief").status_code == 200


def test_labels_are_the_token_holders(settings: Settings, tokens: dict[str, str], draw) -> None:
    app = create_app(dataclasses.replace(settings, require_token=True))
    with TestClient(app, base_url="http://letters.example") as client:
        assert asked(client, "POST", "/v1/labels", bearer(tokens["label"]), draw) == 200
    with Ledger.open(settings.ledger_url) as ledger:
        assert [entry.record.person for entry in ledger.since(0, kinds=("label",))] == ["labeler"]


def test_a_revoked_token_ends(settings: Settings, tokens: dict[str, str], monkeypatch) -> None:
    monkeypatch.setattr(auth, "KNOWN_S", 0.0)
    app = create_app(dataclasses.replace(settings, require_token=True))
    with TestClient(app, base_url="http://letters.example") as client:
        headers = bearer(tokens["predict"])
        assert client.get("/v1/belief", headers=headers).status_code == 200
        with Ledger.open(settings.ledger_url) as ledger:
            from bayesight.ledger import find_token

            revoke_token(ledger, find_token(ledger, tokens["predict"]).id)
        answer = client.get("/v1/belief", headers=headers)
        assert answer.status_code == 401
        assert "revoked" in answer.json()["message"]
        assert tokens["predict"] not in answer.text


def test_wrong_tokens_are_counted(settings: Settings) -> None:
    app = create_app(dataclasses.replace(settings, require_token=True))
    with TestClient(app, base_url="http://letters.example") as client:
        secrets = [f"Bearer wrong{n}ü".encode("latin-1") for n in range(35)]
        statuses = [client.get("/v1/runs", headers={"Authorization": s}).status_code for s in secrets]
    assert statuses == [401] * 30 + [429] * 5


def test_tokens_can_only_be_left_out_on_loopback() -> None:
    assert not Settings("run").tokens_needed
    assert Settings("run", host="0.0.0.0").tokens_needed
    assert Settings("run", host="192.168.0.7").tokens_needed
    assert Settings("run", require_token=True).tokens_needed


def test_requests_are_limited(settings: Settings) -> None:
    app = create_app(dataclasses.replace(settings, rate="5/hour"))
    with TestClient(app, base_url="http://localhost") as client:
        answers = [client.get("/v1/runs") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) > 0
    with pytest.raises(InvalidInput, match="100/second"):
        Settings("run", rate="often")


def test_other_sites_may_not_use_a_visitors_browser(settings: Settings) -> None:
    app = create_app(dataclasses.replace(settings, origins=("https://friend.example",)))
    with TestClient(app, base_url="http://localhost:8000") as client:
        send = lambda origin: client.put("/v1/prior", json={"prior": "uniform"}, headers={"Origin": origin})  # noqa: E731
        assert send("https://evil.example").status_code == 403
        assert send("null").status_code == 403
        assert send("http://localhost:8000").status_code == 200
        friendly = send("https://friend.example")
        assert friendly.status_code == 200
        assert friendly.headers["access-control-allow-origin"] == "https://friend.example"
        rebound = client.get("/v1/belief", headers={"Host": "evil.example"})
        assert rebound.status_code == 403


def test_cors_is_closed_and_headers_are_safe(client: TestClient) -> None:
    answer = client.get("/v1/belief", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    policy = answer.headers["content-security-policy"]
    script = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "unsafe" not in script
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"


def test_limits_do_not_go_by_a_clock_that_can_be_set(monkeypatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(limits.time, "time", lambda: 0.0)  # set back by decades
    counted = limits.RateLimiter("2/minute")
    for step in (0.0, 61.0, 61.0):
        now[0] += step
        counted.count("a")
        counted.count("a")
        counted.count("b")
        with pytest.raises(HTTPException, match="more than 2 per 1 minute"):
            counted.count("a")
        for _ in range(30):
            counted.check_failures("address")
            counted.count_failure("address")
        with pytest.raises(HTTPException, match="too many wrong tokens"):
            counted.check_failures("address")
    now[0] += 61
    counted.count("c")
    assert len(counted._windows) == 1
