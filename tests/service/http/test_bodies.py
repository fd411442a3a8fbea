"""What is wrong with a request is said in one sentence; nothing a stranger sends is our failure."""

import base64
import dataclasses
import io
import json
import socket
import struct
import threading
import time
import zlib

import pytest
import schemathesis
import uvicorn
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.specs.openapi.checks import positive_data_acceptance

from bayesight.ledger import Ledger, create_token
from bayesight.service import Settings, create_app
from bayesight.service.http import limits
from bayesight.service.ops import memory


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that says it is very large, and nearly is."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(b"\0" * (side // 8 + 1) * side, 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


LABEL_BAR = {"options": '{"labels": ["bar"]}'}


def refused(answer, status: int | tuple[int, ...], *words: str) -> None:
    """One clear sentence, and the right status."""
    wanted = (status,) if isinstance(status, int) else status
    assert answer.status_code in wanted, (answer.status_code, answer.text[:300])
    message = answer.json()["message"]
    assert 10 < len(message) <= 400
    assert "\n" not in message
    for word in words:
        assert word in message


def encoded(content: bytes) -> dict:
    return {"images": [{"data": base64.b64encode(content).decode()}]}


def test_images_that_are_none(client: TestClient, draw) -> None:
    good = draw("bar")
    for content in (b"GIF89a", b"<svg/>", good[:40], good[: len(good) // 2], good[:-30], b"\0" * 100):
        refused(client.post("/v1/predictions", json=encoded(content)), 422, "cannot be read")
    refused(client.post("/v1/predictions", json={"images": [{"data": "no base64!"}]}), 422, "base64")
    refused(client.post("/v1/predictions", json={"images": [{"data": ""}]}), 422, "base64")
    refused(client.post("/v1/predictions", json={"images": []}), 422, "images")
    two = {"images": [*encoded(good)["images"], *encoded(b"nothing")["images"]]}
    refused(client.post("/v1/predictions", json=two), 422, "image 2 of 2")


def test_an_image_that_is_far_larger_than_its_file(client: TestClient) -> None:
    content = bomb(20_000)
    assert len(content) < 60_000
    refused(client.post("/v1/predictions", json=encoded(content)), 422, "pixels, over")
    refused(
        client.post("/v1/labels", files={"images": content}, data={"options": '{"labels": ["bar"]}'}), 422
    )


def test_many_images_whose_sum_is_too_large(client: TestClient) -> None:
    out = io.BytesIO()
    Image.new("1", (3000, 3000)).save(out, "PNG")
    refused(
        client.post("/v1/predictions", json={"images": encoded(out.getvalue())["images"] * 4}), 422, "pixels"
    )
    assert (
        client.post("/v1/predictions", json={"images": encoded(out.getvalue())["images"] * 3}).status_code
        == 200
    )


def test_bodies_that_are_too_large(settings: Settings, draw) -> None:
    small = create_app(dataclasses.replace(settings, body_bytes=10_000, images=3))
    with TestClient(small, base_url="http://localhost") as client:
        kind = {"content-type": "image/png"}
        refused(client.post("/v1/predictions", content=b"x" * 10_001, headers=kind), 413)
        kind = {"content-type": "image/png"}
        chunks = (b"x" * 1000 for _ in range(20))
        answer = client.post("/v1/predictions", content=chunks, headers=kind)
        refused(answer, 413, "10,000 bytes")
        many = [("images", ("a", draw("bar"), "image/png"))] * 4
        refused(client.post("/v1/predictions", files=many), 422, "1 to 3")


def test_what_a_large_body_took_up_is_given_back(client: TestClient, monkeypatch) -> None:
    given = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))
    kind = {"content-type": "application/json"}
    client.post("/v1/predictions", content=b" " * memory.LARGE_BYTES, headers=kind)
    assert given == []
    client.post("/v1/predictions", content=b" " * (memory.LARGE_BYTES + 1), headers=kind)
    assert given == [1]
    monkeypatch.undo()
    memory.give_back()  # whatever the C library
    memory.share_pieces()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"images": 5}',
        b'{"images": [{"data": 5}]}',
        b'{"images": [{"data": "AAAA", "path": "../../etc/passwd"}]}',
        b"[" * 50_000,
        b'{"images": [' + b"[" * 5000 + b"]" * 5000 + b"]}",
        b'{"prior": {"A": NaN}, "images": [{"data": "AAAA"}]}',
        b'{"prior": "/etc/passwd.json", "images": [{"data": "AAAA"}]}',
        b'{"level": 1e999, "images": [{"data": "AAAA"}]}',
        b'{"level": ' + b"9" * 100_000 + b', "images": [{"data": "AAAA"}]}',
        b"\xff\xfe\x00",
        json.dumps({"images": [{"data": "AAAA"}] * 5000}).encode(),
    ],
)
def test_bodies_that_break_the_schema(client: TestClient, body: bytes) -> None:
    for path in ("/v1/predictions", "/v1/labels", "/v1/prior/infer"):
        refused(client.post(path, content=body, headers={"content-type": "application/json"}), (400, 422))
    refused(client.put("/v1/prior", content=body, headers={"content-type": "application/json"}), (400, 422))


def test_kinds_of_bodies_nobody_reads(client: TestClient) -> None:
    refused(client.post("/v1/predictions", content=b"<a/>", headers={"content-type": "text/xml"}), 415)
    broken = {"content-type": "multipart/form-data; boundary=b"}
    refused(client.post("/v1/predictions", content=b"--b\r\nnothing", headers=broken), (400, 422))
    nameless = {"content-type": "multipart/form-data"}
    refused(client.post("/v1/predictions", content=b"--b", headers=nameless), (400, 422))
    refused(client.post("/v1/predictions", files={"document": b"x"}), 422, "images")
    refused(client.post("/v1/predictions", data={"path": "/etc/passwd"}), 415)


def test_names_are_shown_and_used_for_nothing(client: TestClient, draw) -> None:
    for name in ("../../etc/passwd", "a\0b.png", "C:\\con", "<script>alert(1)</script>", "ü" * 80):
        answer = client.post(
            "/v1/predictions", json={"images": [{**encoded(draw("bar"))["images"][0], "name": name}]}
        )
        assert answer.status_code == 200
        assert answer.json()["predictions"][0]["name"] == name
        assert answer.headers["content-type"] == "application/json"


def test_values_out_of_range(client: TestClient, draw) -> None:
    image = encoded(draw("bar"))
    refused(client.post("/v1/predictions", json={**image, "level": 5}), 422, "level")
    refused(client.post("/v1/predictions", json={**image, "prior": {"bar": 2}}), 422, "prior")
    refused(client.post("/v1/predictions", json={**image, "prior": {"bra": 0.5}}), 422, "did you mean 'bar'")
    refused(
        client.post("/v1/predictions", json={**image, "prior": {"bar": 0.7, "disc": 0.7}}), 422, "sum to 1.4"
    )
    refused(client.put("/v1/prior", json={"prior": "stated"}), 422, "prior")
    refused(client.get("/v1/queue?limit=0"), 422, "limit")
    refused(client.get("/v1/images/..%2f..%2fetc%2fpasswd"), (404, 422))
    refused(client.get("/v1/nothing"), 404)
    refused(client.delete("/v1/prior"), 405)
    bad_key = {"Idempotency-Key": "x" * 200}
    body = {"labels": [{"label": "bar", "image": "ab" * 16}]}
    refused(client.post("/v1/labels", json=body, headers=bad_key), 422)
    both = {"labels": [{"label": "bar", "image": "ab" * 16, "data": "AAAA"}]}
    refused(client.post("/v1/labels", json=both), 422, "either of them")
    for label in ("", " ", "a\nb", "x" * 1001, "\ud800"):
        item = {"label": label, **image["images"][0]}
        text = json.dumps({"labels": [item], "new_classes": True})
        refused(client.post("/v1/labels", content=text, headers={"content-type": "application/json"}), 422)


KINDS = ("image/png", "application/json", "multipart/form-data; boundary=x")


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck), derandomize=True)
@given(content=st.binary(max_size=300), kind=st.sampled_from(KINDS))
def test_any_bytes_are_refused_in_a_sentence(client: TestClient, content: bytes, kind: str) -> None:
    answer = client.post("/v1/predictions", content=content, headers={"content-type": kind})
    refused(answer, (400, 415, 422))


@pytest.fixture(scope="module")
def address(shapes_run, tmp_path_factory):
    """A service that listens, in a thread; it has patience with wrong tokens, of which many are tried."""
    patience = pytest.MonkeyPatch()
    patience.setattr(limits, "FAILURES", "100000/minute")
    where = tmp_path_factory.mktemp("schema") / "ledger.sqlite"
    app = create_app(Settings(str(shapes_run), str(where), rate="", require_token=True))
    with Ledger.open(str(where)) as ledger:
        token = create_token(ledger, "tester", ["admin"]).secret
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield app, f"http://127.0.0.1:{listener.getsockname()[1]}", {"Authorization": f"Bearer {token}"}
    server.should_exit = True
    thread.join()
    patience.undo()


OPERATIONS = [
    (path, method)
    for path, methods in create_app(Settings("run")).openapi()["paths"].items()
    for method in methods
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_api_does_what_its_description_says(address, path: str, method: str) -> None:
    app, url, headers = address
    schema = schemathesis.openapi.from_dict(app.openapi())

    few = 3 if path.endswith("infer") else 12  # it computes for a second

    @settings(deadline=None, max_examples=few, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=schema[path][method.upper()].as_strategy())
    def run(case: schemathesis.Case) -> None:
        # A schema cannot say what is an image, or which classes there are: what fits it may still be refused.
        excluded = [positive_data_acceptance]
        case.call_and_validate(base_url=url, headers=headers, timeout=60, excluded_checks=excluded)

    run()
