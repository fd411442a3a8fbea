"""Origins are compared as origins, and what is none is refused at start."""

import dataclasses
import re

import pytest
from fastapi.testclient import TestClient

from bayesight.errors import InvalidInput
from bayesight.service import Settings, create_app
from bayesight.service.http.origins import canonical_host, canonical_origin


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("https://friend.example", "https://friend.example"),
        ("https://friend.example/", "https://friend.example"),
        (" HTTPS://Friend.EXAMPLE:443/ ", "https://friend.example"),
        ("http://friend.example:80", "http://friend.example"),
        ("http://friend.example:", "http://friend.example"),
        ("https://friend.example:80", "https://friend.example:80"),
        ("http://friend.example:0443", "http://friend.example:443"),
        ("https://[2001:DB8:0:0::1]:443", "https://[2001:db8::1]"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("http://192.168.0.7:3000", "http://192.168.0.7:3000"),
        ("https://Bücher.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),  # as browsers do, not as IDNA of 2003
        ("https://XN--BCHER-KVA.example", "https://xn--bcher-kva.example"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("moz-extension://A1b2-C3", "moz-extension://a1b2-c3"),
    ],
)
def test_one_origin_has_one_spelling(written: str, wanted: str) -> None:
    assert Settings("run", origins=(written,)).origins == (wanted,)
    assert canonical_origin(wanted) == wanted


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (
            "*",
            "'*' would let every web site teach and ask with its visitors' rights; expected scheme and host",
        ),
        ("https://*.example", "names no one site"),
        ("null", "'null' is what any local file and any sandboxed page"),
        ("friend.example", "'friend.example' is no origin; expected scheme and host, such as https://"),
        ("//friend.example", "is no origin"),
        ("https://", "is no origin"),
        ("", "is no origin"),
        ("https://friend.example/app", "It has no path, query or user."),
        ("https://friend.example?x", "is no origin"),
        ("https://me@friend.example", "is no origin"),
        ("https://friend.example:port", "is no origin"),
        ("https://friend.example:70000", "is no origin"),
        ("https://[::1", "is no origin"),
        ("https://[::g]", "is no origin"),
        ("https://a b", "is no origin"),
        ("https://-.example", "is no origin"),
        ("https://" + "a" * 300, "is no origin"),
        ("https://a.example,https://b.example", "is no origin"),
    ],
)
def test_what_is_no_origin_is_refused_at_start_with_the_reason(written: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)):
        Settings("run", origins=(written,))


@pytest.mark.parametrize("written", ["*", "", "https://x.example", "x.example:80", "a b", "x/y"])
def test_what_is_no_host_is_refused_at_start(written: str) -> None:
    with pytest.raises(InvalidInput, match="--allow-host: "):
        Settings("run", hosts=(written,))


def test_hosts_are_compared_as_hosts(settings: Settings) -> None:
    hosts = ("Letters.Example", "bücher.example", "fd00::1")
    with TestClient(create_app(dataclasses.replace(settings, hosts=hosts))) as client:
        for host in ("letters.example", "LETTERS.example:8000", "xn--bcher-kva.example", "[fd00:0::1]:80"):
            assert client.get("/v1/runs", headers={"Host": host}).status_code == 200, host
        for host in ("example", "letters.example.evil", "[fd00::2]", "a@localhost", "localhost:x", ""):
            assert client.get("/v1/runs", headers={"Host": host}).status_code == 403, host
    assert canonical_host("LOCALHOST") == "localhost"


def test_an_allowed_page_is_let_in_however_its_origin_is_written(settings: Settings) -> None:
    origins = ("https://Bücher.example:443/",)
    with TestClient(create_app(dataclasses.replace(settings, origins=origins))) as client:
        headers = {"Host": "localhost"}

        def put(origin: str):
            return client.put("/v1/prior", json={"prior": "uniform"}, headers={**headers, "Origin": origin})

        for origin in ("https://xn--bcher-kva.example", "HTTPS://xn--bcher-kva.EXAMPLE:443"):
            answer = put(origin)
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == origin
        for origin in (
            "http://xn--bcher-kva.example",
            "https://xn--bcher-kva.example:8443",
            "null",
            "x" * 999,
        ):
            answer = put(origin)
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_the_service_itself_is_let_in_by_whichever_name_and_port(settings: Settings) -> None:
    app = create_app(dataclasses.replace(settings, hosts=("letters.example",)))
    with TestClient(app) as client:
        for host, origin, status in (
            ("letters.example", "https://letters.example", 200),  # a proxy speaks TLS and passes Host on
            ("letters.example:443", "https://letters.example", 200),
            ("LETTERS.example:80", "http://letters.example", 200),
            ("letters.example:8000", "http://letters.example:8000", 200),
            ("[::1]:8000", "http://[::1]:8000", 200),
            ("letters.example", "https://letters.example:8443", 403),
            ("localhost", "http://127.0.0.1", 403),
            ("localhost", "null", 403),
        ):
            headers = {"Host": host, "Origin": origin}
            answer = client.put("/v1/prior", json={"prior": "uniform"}, headers=headers)
            assert answer.status_code == status, (host, origin)
