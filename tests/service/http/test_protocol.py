"""Generated bad requests at a service that listens: each refused in one sentence, nothing learned."""

import importlib.util
import socket
import sys
import threading
from pathlib import Path

import pytest
import uvicorn

from bayesight.ledger import Ledger, create_token, find_token, revoke_token, verify
from bayesight.service import Settings, create_app
from bayesight.service.http.protocol import HEAD_BYTES, HeadLimitProtocol
from bayesight.service.page import router as page

spec = importlib.util.spec_from_file_location("hostile", Path(__file__).parents[1] / "hostile.py")
hostile = sys.modules["hostile"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hostile)


@pytest.fixture(scope="module", params=[False, True], ids=["without tokens", "with tokens"])
def served(request, shapes_run, tmp_path_factory):
    """A service that listens as ``bayesight serve`` does: its port, its ledger, and tokens."""
    where = str(tmp_path_factory.mktemp("hostile") / "ledger.sqlite")
    with Ledger.open(where) as ledger:
        tokens = {name: create_token(ledger, name, ["admin"]).secret for name in ("good", "revoked")}
        tokens["predict"] = create_token(ledger, "predict", ["predict"]).secret
        tokens["expired"] = create_token(ledger, "expired", ["admin"], expires_in_s=1e-6).secret
        revoke_token(ledger, find_token(ledger, tokens["revoked"]).id)
    app = create_app(Settings(str(shapes_run), where, rate="", require_token=request.param), routers=(page,))
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, http=HeadLimitProtocol, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    yield server.servers[0].sockets[0].getsockname()[1], where, tokens if request.param else None
    server.should_exit = True
    thread.join()


# Starlette leaves the file of a part that breaks off to be closed when it is forgotten.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_hundreds_of_bad_requests(served) -> None:
    port, where, tokens = served
    with Ledger.open(where) as ledger:
        before = ledger.head().sequence
    statuses, complaints = hostile.campaign(port, 3, 260, tokens=tokens)
    assert complaints == []
    assert sum(statuses.values()) == 260
    kinds = {name.rpartition(" ")[0] for name in statuses}
    assert len(kinds) == len(hostile.KINDS) + (tokens is not None)
    with Ledger.open(where) as ledger:
        assert {entry.kind for entry in ledger.since(before)} <= {"prediction"}
        assert verify(ledger).good


def test_headers_that_do_not_end_are_cut_off(served) -> None:
    port, _, tokens = served
    line = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    line += f"Authorization: Bearer {tokens['good']}\r\n".encode() if tokens else b""
    whole = line + b"X: " + b"a" * HEAD_BYTES + b"\r\n\r\n"
    endless = line + b"X: " + b"a" * 3 * 2**20
    chunks = b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    trailers = line.replace(b"GET /health", b"POST /v1/predictions") + chunks + b"X: y\r\n" * 20_000
    for raw in (whole, endless, trailers):
        answer = hostile.send(port, hostile.Bad("head", raw))
        assert (answer.status, answer.kind) == (431, "application/json"), raw[:80]
        assert "larger than 65,536 bytes" in answer.message()
    fitting = line + b"Connection: close\r\nX: " + b"a" * (HEAD_BYTES - 200) + b"\r\n\r\n"
    assert hostile.send(port, hostile.Bad("head", fitting)).status == 200


def test_what_is_no_http_is_told_so_in_json(served) -> None:
    answer = hostile.send(served[0], hostile.Bad("no HTTP", b"SSH-2.0-x\r\n\r\n"))
    assert answer.status == 400
    assert answer.message() == "this is no HTTP request, or a damaged one; expected HTTP/1.1."


def test_a_refusal_is_never_taken_for_the_answer_to_an_earlier_request(served) -> None:
    good = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served[0]), timeout=10) as connection:
        connection.sendall(2 * good + b"rubbish\r\n\r\n")
        told = b""
        while part := connection.recv(65_536):
            told += part
    assert not told.startswith(b"HTTP/1.1 400")  # answered in turn, or cut off


def test_wide_json_costs_no_more_than_its_size(served) -> None:
    """A parser that is let loose on a million keys spends gigabytes on ten megabytes."""
    port, _, tokens = served
    keys = ",".join(f'"{n}":2' for n in range(40_000)).encode()
    for path, body in (
        ("/v1/predictions", b"{" + keys + b"}"),
        ("/v1/labels", b'{"labels":[{' + keys + b"}]}"),
        ("/v1/prior", b'{"prior":{' + keys + b"}}"),
        ("/v1/prior/infer", b'{"images":[' + b",".join([b"1"] * 40_000) + b"]}"),
    ):
        headers = (f"Authorization: Bearer {tokens['good']}",) if tokens else ()
        method = "PUT" if path == "/v1/prior" else "POST"
        answer = hostile.send(
            port, hostile.Bad("wide", hostile.wired(method, path, body, hostile.JSON, headers))
        )
        assert answer.status == 422
        assert answer.message() == (
            "body: about 40,000 values; expected at most 30,000. Send less at a time."
        )
