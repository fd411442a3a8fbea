"""Behind reverse proxies: whose word counts, who is who, and the path the service lies under."""

import dataclasses
import ipaddress
import re

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.ledger import Ledger, create_token
from bayesight.service import Settings, create_app
from bayesight.service.http import limits, proxies
from bayesight.service.page import router

USUAL = "X-Forwarded-For"
PROXY = "10.0.0.1"
TRUSTED = ("10.0.0.0/24", "fd00::/8")


class Seen:
    """An application that keeps what it was asked."""

    async def __call__(self, scope, receive, send) -> None:
        self.scope = scope


def asked(
    headers: dict[str, str] | list[tuple[str, str]], peer: str = PROXY, path: str = "/", root: str = ""
) -> dict:
    """The scope that an application sees of a request."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    scope = {
        "type": "http", "client": (peer, 5), "scheme": "http", "path": path, "method": "GET",
        "headers": [(b"host", b"inner:8000"), *((k.lower().encode(), v.encode("latin-1")) for k, v in pairs)],
    }  # fmt: skip
    seen = Seen()
    with pytest.raises(StopIteration):
        proxies.ProxyMiddleware(seen, TRUSTED, root)(scope, None, None).send(None)
    return seen.scope


def client(headers: dict[str, str] | list[tuple[str, str]], peer: str = PROXY) -> str:
    return asked(headers, peer)["client"][0]


@pytest.mark.parametrize(
    ("chain", "wanted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),  # what stands left of the client, the client wrote
        ("1.1.1.1, 203.0.113.7, 10.0.0.2,10.0.0.3", "203.0.113.7"),
        ("203.0.113.7, fd00::2", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:DB8:0::7]:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("10.0.0.9, 10.0.0.3", "10.0.0.9"),  # proxies all the way: the farthest asked for itself
        ("203.0.113.7, , 10.0.0.3,", "203.0.113.7"),
        ("unknown", PROXY),
        ("203.0.113.7, unknown, 10.0.0.3", "10.0.0.3"),  # the last hop that anybody vouches for
        ("203.0.113.7, <script>", PROXY),
        ("203.0.113.999", PROXY),
        ("010.1.1.1", PROXY),
        ("[2001:db8::7", PROXY),
        ("[203.0.113.7]", PROXY),
        ("203.0.113.7:port:", PROXY),
        ("", PROXY),
        (",,,", PROXY),
        ("9" * 5000, PROXY),
        ("\xff\xfe", PROXY),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_named_proxy(chain: str, wanted: str) -> None:
    assert client({"X-Forwarded-For": chain}) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ("For=203.0.113.7;Proto=https; by=10.0.0.1", "203.0.113.7"),
        ('for="[2001:db8::7]:4711"', "2001:db8::7"),
        ('for=1.1.1.1, for="203.0.113.7:80", for=10.0.0.2', "203.0.113.7"),
        ('for=1.1.1.1;x=", for=2.2.2.2", for=203.0.113.7', "203.0.113.7"),
        ("for=203.0.113.7;, ,for=10.0.0.2,", "203.0.113.7"),
        ("for=_hidden", PROXY),
        ("for=unknown, for=10.0.0.2", "10.0.0.2"),
        ("proto=https", PROXY),
        ('for=1.1.1.1;x=", for=203.0.113.7', PROXY),  # a quote that is left open hides what a proxy wrote
        ("rubbish", PROXY),
        ("for==1.1.1.1", PROXY),
    ],
)
def test_forwarded_is_read_as_rfc_7239_says(value: str, wanted: str) -> None:
    assert client({"Forwarded": value}) == wanted


def test_several_headers_are_one_list() -> None:
    pairs = [
        ("X-Forwarded-For", "1.1.1.1"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-For", "10.0.0.2"),
    ]
    assert client(pairs) == "203.0.113.7"


def test_a_header_the_proxy_does_not_write_counts_for_nothing() -> None:
    forged = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=1.1.1.1"}
    assert client(forged) == PROXY
    assert client({**forged, "Forwarded": '"'}) == PROXY
    assert client({**forged, "Forwarded": 'for="203.0.113.7:80"'}) == "203.0.113.7"


def test_scheme_and_host_are_those_of_the_hop_that_saw_the_client() -> None:
    said = {
        "X-Forwarded-For": "1.1.1.1, 203.0.113.7, 10.0.0.2",
        "X-Forwarded-Proto": "gopher, HTTPS, http",
        "X-Forwarded-Host": "evil.example, Letters.Example:8443, inner.local",
    }
    scope = asked(said)
    assert scope["scheme"] == "https"
    assert dict(scope["headers"])[b"host"] == b"letters.example:8443"
    single = asked({"X-Forwarded-For": "203.0.113.7, 10.0.0.2", "X-Forwarded-Proto": "https"})
    assert single["scheme"] == "https"
    standard = asked(
        {"Forwarded": "for=203.0.113.7;proto=https;host=letters.example, for=10.0.0.2;proto=http"}
    )
    assert (standard["scheme"], dict(standard["headers"])[b"host"]) == ("https", b"letters.example")
    for host in ("a b", "evil.example/path", "x@y", "[::1", "h:99999", "-", "e" * 400):
        scope = asked({"X-Forwarded-Host": host, "X-Forwarded-Proto": "javascript"})
        assert (scope["scheme"], dict(scope["headers"])[b"host"]) == ("http", b"inner:8000")


def test_whoever_is_not_named_is_not_believed() -> None:
    said = {
        "X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil", "Forwarded": "for=2.2.2.2;proto=https;host=evil.example",
    }  # fmt: skip
    for peer in ("127.0.0.1", "10.0.1.1", "::1", "203.0.113.7", "testclient", ""):
        scope = asked(said, peer)
        assert scope["client"][0] == peer
        assert (scope["scheme"], scope["root_path"]) == ("http", "")
        assert dict(scope["headers"])[b"host"] == b"inner:8000"
    assert client({"X-Forwarded-For": "1.1.1.1"}, "::ffff:10.0.0.1") == "1.1.1.1"


@given(
    st.lists(st.ip_addresses(v=4, network="10.0.0.0/24"), max_size=4),
    st.ip_addresses().filter(lambda a: not any(a in ipaddress.ip_network(t) for t in TRUSTED)),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40),
)
def test_nothing_a_client_writes_moves_its_address(hops, address, forged) -> None:
    chain = ", ".join([forged, str(address), *map(str, hops)])
    seen = getattr(address, "ipv4_mapped", None) or address
    assert client({"X-Forwarded-For": chain}) == str(seen).partition("%")[0]


@given(
    st.text(st.characters(max_codepoint=255), max_size=60), st.sampled_from(("Forwarded", "X-Forwarded-For"))
)
def test_any_header_leaves_an_address(value: str, name: str) -> None:
    ipaddress.ip_address(client({name: value}))


@pytest.mark.parametrize("root", ["/bayes", "/a/b"])
def test_a_path_is_found_whether_the_proxy_strips_the_root_or_not(root: str) -> None:
    for path, wanted in (
        ("/", "/"), (root, "/"), (f"{root}/", "/"), (f"{root}/v1/runs", "/v1/runs"), ("/v1/runs", "/v1/runs"),
        (f"{root}/v1/runs/", "/v1/runs"), (f"{root}ian/x", f"{root}ian/x"),
    ):  # fmt: skip
        by_option = asked({}, "127.0.0.1", path, root)
        by_header = asked({"X-Forwarded-Prefix": f"{root}/"}, PROXY, path)
        for scope in (by_option, by_header):
            assert (scope["root_path"], scope["path"]) == (root, root + wanted), path
    parts = ", ".join(f"/{part}" for part in root[1:].split("/"))
    assert asked({"X-Forwarded-Prefix": parts})["root_path"] == root
    for prefix in ("//evil.example", "/a b", "/a?b", "/a/<x>", "javascript:"):
        assert asked({"X-Forwarded-Prefix": prefix})["root_path"] == ""


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("proxies", "*", "--trusted-proxy: got '*'; expected an address or network"),
        ("proxies", "nginx", "expected an address or network"),
        ("proxies", "10.0.0.1,10.0.0.2", "Repeat the option for each"),
        ("proxies", "10.0.0.1/8", "expected 10.0.0.1 or 10.0.0.0/8"),
        ("proxies", "0.0.0.0/0", "is everybody"),
        ("proxies", "::/0", "is everybody"),
        ("proxies", "10.0.0.0/33", "expected an address or network"),
        ("proxies", "", "expected an address or network"),
        ("root_path", "/a b", "--root-path: got '/a b'; expected a path"),
        ("root_path", "/a/../b", "expected a path"),
        ("root_path", "//a", ""),
        ("root_path", "/a//b", "expected a path"),
        ("root_path", "https://x/y", "expected a path"),
        ("root_path", "/ü", "expected a path"),
    ],
)
def test_what_is_no_proxy_or_path_is_refused_at_start(option: str, value: str, words: str) -> None:
    given_ = (value,) if option == "proxies" else value
    if not words:
        assert getattr(Settings("run", **{option: given_}), option) == "/a"
        return
    with pytest.raises(InvalidInput, match=re.escape(words)):
        Settings("run", **{option: given_})


def test_settings_are_read_back_by_workers() -> None:
    made = Settings("run", proxies=("127.0.0.1", "FD00::1", "10.0.0.0/8"), root_path="bayes/")
    assert made.proxies == ("127.0.0.1/32", "fd00::1/128", "10.0.0.0/8")
    assert made.root_path == "/bayes"
    assert Settings.from_environment(made.to_environment()) == made


@pytest.fixture
def guarded(settings: Settings):
    """A service with tokens behind 10.0.0.0/24, and a token."""
    with Ledger.open(settings.ledger_url) as ledger:
        secret = create_token(ledger, "alice", ["admin"]).secret
    app = create_app(
        dataclasses.replace(settings, require_token=True, proxies=TRUSTED, root_path="/bayes"),
        routers=(router,),
    )
    with TestClient(app, base_url="http://letters.example", client=(PROXY, 1)) as made:
        yield made, secret


def shows(made: TestClient, secret: str, address: str) -> int:
    headers = {"Authorization": f"Bearer {secret}", "X-Forwarded-For": address}
    return made.get("/v1/runs", headers=headers).status_code


def test_wrong_tokens_of_one_client_lock_out_no_other(guarded) -> None:
    made, secret = guarded
    wrong = [shows(made, f"wrong{n}", f"6.6.{n}.6, 203.0.113.7") for n in range(33)]
    assert wrong == [401] * 30 + [429] * 3
    assert shows(made, "wrong", "203.0.113.8") == 401
    assert shows(made, secret, "203.0.113.8") == 200


def test_a_right_token_passes_whatever_its_neighbours_show(guarded) -> None:
    made, secret = guarded
    assert [shows(made, f"wrong{n}", "203.0.113.7") for n in range(31)][-1] == 429
    assert shows(made, secret, "203.0.113.7") == 200
    assert shows(made, "wrong", "203.0.113.7") == 429


def test_who_shows_no_token_is_asked_for_one_however_often(guarded) -> None:
    made, _ = guarded
    assert {made.get("/v1/runs").status_code for _ in range(40)} == {401}


def test_an_ipv6_client_is_its_network(guarded) -> None:
    made, _ = guarded
    assert [shows(made, f"wrong{n}", f"2001:db8::{n + 1:x}") for n in range(31)][-1] == 429
    assert shows(made, "wrong", "2001:db8:0:1::1") == 401


def test_rates_go_by_client_too(settings: Settings) -> None:
    app = create_app(dataclasses.replace(settings, rate="3/hour", proxies=TRUSTED))
    with TestClient(app, base_url="http://localhost", client=(PROXY, 1)) as made:
        for address in ("203.0.113.7", "203.0.113.8"):
            headers = [{"X-Forwarded-For": f"1.1.1.{n}, {address}"} for n in range(4)]
            assert [made.get("/v1/runs", headers=h).status_code for h in headers] == [200] * 3 + [429]


def test_counting_many_clients_takes_no_memory_without_end(monkeypatch) -> None:
    monkeypatch.setattr(limits, "MOST_WINDOWS", 100)
    counted = limits.RateLimiter("1000/hour")
    for n in range(500):
        counted.count(f"address {n}")
        counted.count_failure(f"{n}")
    assert len(counted._windows) == 100


def test_links_scripts_redirects_cookies_and_the_description_name_the_root(guarded) -> None:
    made, secret = guarded
    made.headers["X-Forwarded-Proto"] = "https"
    locked = made.get("/bayes/queue")
    assert locked.status_code == 401
    assert 'action="/bayes/token"' in locked.text
    assert 'name="back" value="/queue"' in locked.text
    told = made.post("/token", data={"token": secret, "back": "/queue"}, follow_redirects=False)
    assert told.headers["location"] == "/bayes/queue"
    cookie = told.headers["set-cookie"]
    assert "Path=/bayes;" in cookie
    assert "Secure" in cookie
    forgotten = made.post("/bayes/token", data={}, follow_redirects=False)
    assert "Path=/bayes;" in forgotten.headers["set-cookie"]
    made.headers["Cookie"] = f"x=y; bayesight_token={secret}; bayesight_token=of-the-top-of-the-host"
    for path in ("/", "/queue", "/history", "/theorem", "/report", "/docs"):
        for asked_path in (path, f"/bayes{path}"):
            page = made.get(asked_path, follow_redirects=False)
            assert page.status_code == 200, asked_path
            links = re.findall(r'(?:src|href|action)="([^"#]+)"', page.text)
            assert links
            assert all(link.startswith("/bayes/") for link in links), links
    for name in ("page.js", "page.css", "icon.svg", "report.css"):
        assert made.get(f"/bayes/static/{name}").status_code == 200
    assert made.get("/bayes/openapi.json").json()["servers"] == [{"url": "/bayes"}]
    assert "see /bayes/openapi.json" in made.get("/nothing").json()["message"]


def test_a_name_a_script_invents_opens_no_service_without_tokens(settings: Settings) -> None:
    """A page whose name was pointed at this machine may write any header, also a proxy's."""
    app = create_app(dataclasses.replace(settings, proxies=("127.0.0.1",), hosts=("letters.example",)))
    with TestClient(app, base_url="http://evil.example", client=("127.0.0.1", 1)) as made:
        for host in ("localhost", "letters.example"):
            assert made.get("/v1/belief", headers={"X-Forwarded-Host": host}).status_code == 403
        inner = {"Host": "127.0.0.1:8000"}
        assert made.get("/v1/belief", headers=inner).status_code == 200
        assert (
            made.get("/v1/belief", headers={**inner, "X-Forwarded-Host": "evil.example"}).status_code == 403
        )
        assert (
            made.get("/v1/belief", headers={**inner, "X-Forwarded-Host": "letters.example"}).status_code
            == 200
        )


def test_the_command_believes_named_proxies_only(serving, shapes_run, tmp_path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    options = ("--require-token", "--trusted-proxy", "127.0.0.9", "--root-path", "/bayes")
    with serving(shapes_run, ledger, options=options) as (_, url):
        for address, same in (("127.0.0.1", True), ("127.0.0.9", False)):
            transport = httpx.HTTPTransport(local_address=address)
            with httpx.Client(base_url=f"{url}/bayes", transport=transport) as one:
                forged = [
                    one.get(
                        "/v1/runs", headers={"X-Forwarded-For": f"9.9.9.{n}", "Authorization": f"Bearer {n}"}
                    )
                    for n in range(31)
                ]
            assert (forged[-1].status_code == 429) == same
