"""Bad requests by the thousand, from a seed: what strangers and broken programs send to a service.

A request is bytes as they go over the wire, so that it can break HTTP itself as well as what lies inside.
Each kind is a function of a ``random.Random``; ``campaign`` sends them in turn and looks at the answers.
"""

import base64
import gzip
import http.client
import io
import json
import random
import re
import socket
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice

import numpy as np
from PIL import Image

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
TOKEN, LOCAL = "wrong token", "127.0.0.1"
PATHS = ("/v1/predictions", "/v1/labels", "/v1/prior/infer", "/v1/prior")
PATHS += ("/v1/labels/take-back", "/v1/classes/rename")
MAY_BE_GOOD = ("/v1/predictions", "/v1/prior/infer")
"""Paths whose valid body is answered, so that a value left out or changed may do no harm."""
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
TRICKS = (
    "../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "a\0b.png", "C:\\con", "nul", "%2e%2f",
    "....//....//etc", "file:///etc/passwd", "~root/.ssh/id_rsa", "$(id)", "`id`", "run.json", "a.sqlite",
    "'; DROP TABLE entries; --", "<script>alert(1)</script>", "{{7*7}}", "\r\nSet-Cookie: a=b", "|",
    "\u202egnp.exe", "ü" * 190, "x" * 5000, "", " ", "\ud800", "A\nB", "*", "?",
)  # fmt: skip


@dataclass(frozen=True)
class Bad:
    """A bad request.

    Args:
        kind: of badness.
        raw: what is sent.
        harmless: it may be answered with success, for what is odd about it is used for nothing.
        unfinished: it breaks off, so that there may be nothing to answer.
    """

    kind: str
    raw: bytes
    harmless: bool = False
    unfinished: bool = False


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 for a connection that was closed without a word."""

    status: int
    kind: str
    body: bytes

    def complaint(self, asked: Bad) -> str:
        """What is wrong with it as an answer to a bad request; empty when nothing is."""
        if self.status == 0:
            return "" if asked.unfinished else "no answer"
        if 200 <= self.status < 400:
            return "" if asked.harmless else f"accepted with {self.status}"
        if self.status >= 500:
            return f"answered with {self.status}"
        return sentence_fault(self.message())

    def message(self) -> str:
        """The sentence of a refusal, in JSON or on a page."""
        if self.kind.startswith(JSON):
            tree = json.loads(self.body)
            return str(tree["message"]) if set(tree) == {"error", "message"} else ""
        found = re.search(rb"<p data-problem[^>]*>(.*?)</p>", self.body, re.DOTALL)
        return found.group(1).decode().strip() if found else ""


def sentence_fault(message: str) -> str:
    """Why a message is not one clear sentence; empty when it is."""
    if not 10 < len(message) <= 400:
        return f"a message of {len(message)} characters"
    if "\n" in message or "Traceback" in message or re.search(r"\bat 0x[0-9a-f]+", message):
        return f"not for people: {message[:80]!r}"
    return ""


def requests(seed: int, count: int, *, tokens: dict[str, str] | None = None) -> Iterator[Bad]:
    """So many bad requests, every kind as often as the others.

    Args:
        seed: equal seeds give equal requests.
        count: how many.
        tokens: of a service that asks for them: "good" is sent with what is not about tokens, the others
            ("expired", "revoked", "predict") with what they do not allow.
    """
    chance = random.Random(seed)
    kinds = KINDS if tokens is None else (*KINDS, partial(_wrong_token, tokens))
    for number in range(count):
        made = kinds[number % len(kinds)](chance)
        yield made if tokens is None or made.kind == TOKEN else _let_in(made, tokens["good"])


def campaign(
    port: int, seed: int, count: int, *, tokens: dict[str, str] | None = None, clients: int = 4
) -> tuple[Counter[str], list[str]]:
    """Send bad requests from several clients at once.

    Every wrong token comes from another address of this machine: of one address only the first thirty would
    be looked at.

    Args:
        port: of the service, on loopback.
        seed: of the requests.
        count: how many.
        tokens: as in ``requests``.
        clients: threads.

    Returns:
        "kind status" -> how many, and what is wrong with the answers.
    """

    def ask(asked: Bad) -> tuple[str, str]:
        number = zlib.crc32(asked.raw)
        source = (
            f"127.{number >> 16 & 255}.{number >> 8 & 255}.{2 + number % 250}"
            if asked.kind == TOKEN
            else LOCAL
        )
        answer = send(port, asked, source=source)
        complaint = answer.complaint(asked)
        told = f"{asked.kind}: {complaint}: {asked.raw[:160]!r}... {answer.body[:200]!r}" if complaint else ""
        return f"{asked.kind} {answer.status}", told

    statuses: Counter[str] = Counter()
    complaints: list[str] = []
    with ThreadPoolExecutor(clients) as pool:
        made = requests(seed, count, tokens=tokens)
        while some := list(islice(made, 16 * clients)):  # not all at once: some are large
            for status, complaint in pool.map(ask, some):
                statuses[status] += 1
                complaints += [complaint] if complaint else []
    return statuses, complaints


def send(port: int, asked: Bad, *, source: str = "127.0.0.1", timeout_s: float = 60) -> Answer:
    """Send a request on a connection of its own and read what is answered."""
    with socket.create_connection(("127.0.0.1", port), timeout_s, (source, 0)) as link:
        try:
            link.sendall(asked.raw)
            if asked.unfinished:
                link.shutdown(socket.SHUT_WR)
        except OSError:  # refused before all of it was sent
            pass
        answer = http.client.HTTPResponse(link)
        try:
            answer.begin()
            return Answer(answer.status, answer.headers.get("content-type", ""), answer.read())
        except (OSError, http.client.HTTPException):
            return Answer(0, "", b"")


def picture(chance: random.Random, form: str = "PNG") -> bytes:
    """A good image of noise."""
    pixels = np.random.default_rng(chance.getrandbits(32)).integers(0, 256, (28, 28), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form)
    return out.getvalue()


# How a request is put together.


def wired(
    method: str, path: str, body: bytes = b"", kind: str = "", headers: tuple[str, ...] = (), length: str = ""
) -> bytes:
    """A request as bytes; ``length`` is what it claims its body to be long."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"Content-Length: {length or len(body)}"] if body or length else []
    head = "\r\n".join([*lines, *headers])
    return head.encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body


def in_json(path: str, tree: object) -> bytes:
    """A JSON request; whatever JSON cannot say is said as Python would."""
    return wired(_method(path), path, json.dumps(tree).encode(), JSON)


def in_parts(path: str, parts: list[tuple[str, str | None, bytes]], boundary: str = "limit") -> bytes:
    """A multipart request of (name, file name, content)."""
    body = b""
    for name, file, content in parts:
        told = f'; filename="{file}"' if file is not None else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'.encode(
            "utf-8", "surrogatepass"
        )
        body += content + b"\r\n"
    return wired(
        "POST", path, body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
    )


def _method(path: str) -> str:
    return "PUT" if path == "/v1/prior" else "POST"


def _good_tree(path: str, data: str) -> dict:
    return {
        "/v1/predictions": {"images": [{"data": data, "name": "one"}], "prior": "uniform", "level": 0.05},
        "/v1/labels": {
            "labels": [{"label": "no such class", "data": data}],
            "new_classes": False,
            "wait": True,
        },
        "/v1/prior/infer": {"images": [{"data": data}, {"data": data}], "level": 0.9, "seed": 0},
        "/v1/prior": {"prior": {"no such class": 0.5}},
        "/v1/labels/take-back": {"image": "0f" * 16},
        "/v1/classes/rename": {"name": "no such class", "to": "x"},
    }[path]


# Kinds of badness. None of them may ever be learned from.


def _wrong_types(chance: random.Random) -> Bad:
    """A valid body with one value of another type."""
    path = chance.choice(PATHS)
    tree: object = _good_tree(path, base64.b64encode(picture(chance)).decode())
    wrong = (None, 5, -1.5, "x", "", [], [[]], {}, {"a": {}}, "9" * 400, 10**30, ["x"] * 50)
    parent, key = tree, chance.choice(list(tree))
    while isinstance(parent[key], dict | list) and parent[key] and chance.random() < 0.7:
        parent = parent[key]
        key = chance.choice(list(parent)) if isinstance(parent, dict) else chance.randrange(len(parent))
    parent[key] = chance.choice(wrong)
    # Some values of another type are good ones, as null for what may be left out.
    return Bad("wrong types", in_json(path, tree), harmless=path in MAY_BE_GOOD)


def _odd_values(chance: random.Random) -> Bad:
    """Texts that are nearly JSON, and numbers that are none."""
    path = chance.choice(PATHS)
    number = chance.choice(("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "0x10", "9" * 5000, "01"))
    text = chance.choice((
        f'{{"level": {number}, "images": []}}', f'{{"prior": {{"A": {number}}}}}', f'{{"seed": {number}}}',
        "{'a': 1}", "{", "[]", "null", '"text"', "{}{}", '{"a": 1,}', "\ufeff{}", '{"\\ud800": 1}', "tru",
        '{"images": [{"data": "\\u0000"}]}', '{"labels": [{"label": "\\ud800", "data": "AAAA"}]}', "[" * 99,
    ))  # fmt: skip
    code = chance.choice(("utf-8", "utf-8", "utf-16", "utf-32", "latin-1"))
    body = text.encode(code, "replace")
    if chance.random() < 0.3:
        at = chance.randrange(len(body))
        body = body[:at] + bytes(chance.choices(range(128, 256), k=3)) + body[at:]
    return Bad("odd values", wired(_method(path), path, body, JSON))


def _huge_json(chance: random.Random) -> Bad:
    """Deep, wide or long: bodies that cost a parser far more than they cost their sender."""
    path, size = chance.choice(PATHS), int(10 ** chance.uniform(3, 5.8))
    name = chance.choice(("images", "labels", "prior", "level", "other"))
    keys = ",".join(f'"{n}":2' for n in range(size))
    text = chance.choice((
        lambda: "[" * size, lambda: '{"a":' * size, lambda: f'{{"{name}":' + "[" * size + "]" * size + "}",
        lambda: "{" + keys + "}", lambda: f'{{"{name}":{{{keys}}}}}', lambda: f'{{"{name}":[{{{keys}}}]}}',
        lambda: f'{{"{name}":[' + ",".join(["{}"] * size) + "]}",
        lambda: f'{{"{name}":"' + "A" * 8 * size + '"}',
        lambda: f'{{"{name}":' + "9" * size + "}", lambda: f'{{"{"k" * size}":1}}',
        lambda: f'{{"{name}":[{{"data":"' + "A" * 8 * size + '"}]}',
    ))()  # fmt: skip
    return Bad("huge JSON", wired(_method(path), path, text.encode(), JSON))


def _cut_image(chance: random.Random) -> Bad:
    """An image of each format that ends too soon."""
    content = picture(chance, chance.choice(FORMATS))
    cut = content[: chance.randrange(1, max(2, len(content) * 9 // 10))]
    return Bad("cut image", _with_image(chance, cut), harmless=True)  # GIF and PPM may hold all that counts


def _damaged_image(chance: random.Random) -> Bad:
    """An image of each format with some other bytes."""
    content = bytearray(picture(chance, chance.choice(FORMATS)))
    for _ in range(chance.randint(1, 20)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return Bad("damaged image", _with_image(chance, bytes(content)), harmless=True)


def _with_image(chance: random.Random, content: bytes) -> bytes:
    how = chance.randrange(4)
    if how == 0:
        return wired("POST", "/v1/predictions", content, "image/png")
    if how == 1:
        return in_parts("/v1/predictions", [("images", "scan.png", content)])
    if how == 2:
        return in_parts("/answers", [("file", "scan.png", content)])
    return in_json("/v1/predictions", {"images": [{"data": base64.b64encode(content).decode()}]})


def _bomb(chance: random.Random) -> Bad:
    """Small files that claim to be very large, or nearly are."""
    if chance.random() < 0.2:
        body = gzip.compress(b'{"images": [{"data": "' + b"A" * 10**6 + b'"}]}')
        return Bad("bomb", wired("POST", "/v1/predictions", body, JSON, ("Content-Encoding: gzip",)))
    return Bad("bomb", _with_image(chance, chance.choice(bombs())))


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bomb(side: int, depth: int = 1, rows: int | None = None, more: bytes = b"") -> bytes:
    """A PNG of so many pixels a side, in a few kilobytes."""
    height = side if rows is None else rows
    data = zlib.compress(b"\0" * (side * depth // 8 + 1) * height, 9)
    header = struct.pack(">IIBBBBB", side, side, depth, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), more, chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@cache
def bombs() -> tuple[bytes, ...]:
    """Every one of them, made once."""
    packed = b"name\0\0" + zlib.compress(bytes(60 * 2**20), 9)
    texts = [chunk(kind, packed) * count for kind in (b"zTXt", b"iCCP") for count in (1, 3)]
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../../a.png", bytes(10**7))
    bitmap = (99, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    return (
        *(png_bomb(side) for side in (8000, 20_000)),
        *(png_bomb(side, rows=9) for side in (60_000, 2**31 - 1)),
        png_bomb(6000, 8, rows=1),
        *(png_bomb(28, 8, 28, text)[:-20] for text in texts),
        zipped.getvalue(),
        gzip.compress(bytes(10**7)),
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\x80\0\0" + bytes(6) + b"," + bytes(9),
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", *bitmap),
        b"P6 99999 99999 255\n" + bytes(100),
        b"P5 4000000000 4000000000 65535\n" + bytes(100),
        b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f" + b"\xff" * 17,
        b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 65_000, 65_000) + b"\x03" + bytes(9),
        b"II*\0\x08\0\0\0" + struct.pack("<H", 65_000) + struct.pack("<HHII", 256, 4, 1, 2**31) * 50,
    )


def _path_trick(chance: random.Random) -> Bad:
    """Names that would lead elsewhere if anybody followed them."""
    trick, image = chance.choice(TRICKS), base64.b64encode(picture(chance)).decode()
    quoted = "".join(f"%{byte:02x}" for byte in trick.encode("utf-8", "surrogatepass"))
    where = chance.randrange(8)
    if where == 0:
        return Bad("path trick", in_json("/v1/labels", {"labels": [{"label": trick, "data": image}]}))
    if where == 1:
        return Bad("path trick", in_json("/v1/labels", {"labels": [{"label": "A", "image": trick}]}))
    if where == 2:
        path = chance.choice(("/v1/images/", "/images/", "/static/", "/report/file/", "/"))
        harmless = not trick and path in ("/", "/report/file/")
        return Bad("path trick", wired("GET", path + quoted, headers=("X-Odd: 1",)), harmless=harmless)
    if where == 3:
        raw = chance.choice(
            ("/../../etc/passwd", "/v1/../../etc", "//etc/passwd", "/static/../app.py", "/v1/images/.")
        )
        return Bad("path trick", wired("GET", raw))
    if where == 4:
        tree = {"images": [{"data": image, "name": trick}]}
        return Bad("path trick", in_json("/v1/predictions", tree), harmless=True)
    if where == 5:
        name = trick.replace("\r", "").replace("\n", "").replace('"', "")
        return Bad("path trick", in_parts("/v1/predictions", [("images", name, b"no image")]))
    if where == 6:
        return Bad("path trick", in_json("/v1/prior", {"prior": chance.choice((trick or "x", {trick: 0.5}))}))
    return Bad(
        "path trick", wired("GET", "/v1/queue", headers=(f"Host: {quoted or 'evil'}.example",)), harmless=True
    )


def _bad_head(chance: random.Random) -> Bad:
    """Lengths, kinds and headers that do not fit or do not end."""
    path, size = chance.choice(PATHS), int(10 ** chance.uniform(3, 6.3))
    good = json.dumps(_good_tree("/v1/labels", "AAAA")).encode()
    line = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
    odd = chance.choice(
        (FORM, "text/xml", "application/pdf", "a" * 3000, "multipart/form-data", "image/", "\x01")
    )
    choices = (
        lambda: Bad("bad head", wired("POST", "/v1/predictions", good, odd)),
        lambda: Bad("bad head", wired("POST", "/v1/labels", good, JSON, (f"Idempotency-Key: {'k' * size}",))),
        lambda: Bad("bad head", wired("POST", "/v1/labels", good, JSON, ("Idempotency-Key: a b\tü",))),
        lambda: Bad(
            "bad head", wired("POST", path, good, JSON, length=str(chance.choice((10**9, 2**63, 10**30))))
        ),
        lambda: Bad(
            "bad head", wired("POST", path, good, JSON, length=chance.choice(("-5", "x", "1 2", "0x10")))
        ),
        lambda: Bad("bad head", wired("POST", path, good[:20], JSON, length="5000"), unfinished=True),
        lambda: Bad("bad head", line + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + good),
        lambda: Bad(
            "bad head", line + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * size, unfinished=True
        ),
        lambda: Bad("bad head", line + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
        lambda: Bad("bad head", line + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        lambda: Bad("bad head", line + b"X: " + b"a" * size + b"\r\n\r\n"),
        lambda: Bad("bad head", line + b"".join(b"X-%d: y\r\n" % n for n in range(size // 8)) + b"\r\n"),
        lambda: Bad("bad head", line + b"X: " + b"a" * size, unfinished=True),
        lambda: Bad("bad head", b"GET /" + b"a" * size + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        lambda: Bad("bad head", line + b"Bad Header: 1\r\n\r\n"),
        lambda: Bad("bad head", line + b"X: \0\x01\r\n\r\n"),
    )
    return chance.choice(choices)()


def _no_http(chance: random.Random) -> Bad:
    """Bytes of other protocols, or of none."""
    raw = chance.choice((
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(64), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n\r\n",
        b"SSH-2.0-x\r\n", b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        chance.randbytes(chance.randint(1, 2000)) + b"\r\n\r\n", b"POST", b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"GET /v1/belief HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n\tfolded\r\n\r\n",
    ))  # fmt: skip
    return Bad("no HTTP", raw, unfinished=True)


def _wrong_method(chance: random.Random) -> Bad:
    """What a path does not do, and paths there are not."""
    method = chance.choice(("DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "LOCK", "POST"))
    path = chance.choice(
        ("/v1/belief", "/v1/runs", "/health", "/metrics", "/v1/queue", "/v1/nothing", "/docs", "/.git")
    )
    return Bad("wrong method", wired(method, path))


def _bad_query(chance: random.Random) -> Bad:
    """Query strings that break their schema."""
    value = chance.choice(
        ("abc", "-1", "0", "1e99", "9" * 400, "%00", "%ff", "NaN", "", "1.5", "[]", "true", "%zz")
    )
    path = chance.choice(("/v1/queue?limit=", "/v1/queue?recent="))
    if chance.random() < 0.2:
        odd = f"/theorem?prevalence={value}&sensitivity={value}&" + "&".join(
            f"a{n}={value}" for n in range(200)
        )
        return Bad("bad query", wired("GET", odd), harmless=True)
    return Bad("bad query", wired("GET", path + value))


def _bad_parts(chance: random.Random) -> Bad:
    """Multipart bodies that are damaged, or hold what nobody asked for."""
    size, path = (
        int(10 ** chance.uniform(1, 4.5)),
        chance.choice(("/v1/predictions", "/v1/labels", "/answers", "/lessons")),
    )
    kind, image = "multipart/form-data; boundary=b", picture(chance)
    head = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n'
    choices = (
        lambda: wired("POST", path, b"--b", "multipart/form-data"),
        lambda: wired("POST", path, head + b"\r\nabc", kind),
        lambda: wired("POST", path, head + b"\r\nabc\r\n--b--\r\n", "multipart/form-data; boundary=other"),
        lambda: wired("POST", path, b"--b\r\n" + b"X" * size + b"\r\n\r\n--b--\r\n", kind),
        lambda: wired("POST", path, b"--b\r\n" + b"X: y\r\n" * size + b"\r\na\r\n--b--\r\n", kind),
        lambda: wired("POST", path, head + b"Content-Transfer-Encoding: odd\r\n\r\nabc\r\n--b--\r\n", kind),
        lambda: wired("POST", path, b"--b\r\n\r\n" * size, kind),
        lambda: in_parts(path, [("images", "a.png", b"")] * min(size, 3000)),
        lambda: in_parts(path, [("document", "a.png", image)]),
        lambda: in_parts(path, [(f"f{n}", None, b"x") for n in range(size // 10)]),
        lambda: in_parts(path, [("images", "a.png", b"nothing"), ("options", None, chance.randbytes(size))]),
        lambda: in_parts("/v1/predictions", [("images", "a.png", image), ("options", None, b'{"x":' * size)]),
        lambda: in_parts("/v1/labels", [("images", "a", image), ("options", None, b'{"labels":["nil"]}')]),
        lambda: in_parts(path, [("images", "a.png", chance.randbytes(size))]),
        lambda: wired("POST", "/token", b"&".join([b"token=x"] * size), FORM),
        lambda: wired("POST", "/prior", b"name=A&share=NaN&image=" + b"x" * size, FORM),
        lambda: wired("POST", f"/images/{'0' * 32}/label", b"label=A&key=1", FORM),
    )  # fmt: skip
    made = chance.choice(choices)()
    return Bad("bad parts", made, harmless=made.startswith(b"POST /token"))


KINDS: tuple[Callable[[random.Random], Bad], ...] = (
    _wrong_types, _odd_values, _huge_json, _cut_image, _damaged_image, _bomb, _path_trick, _bad_head,
    _no_http, _wrong_method, _bad_query, _bad_parts,
)  # fmt: skip


# A service that asks for tokens.


def _let_in(made: Bad, token: str) -> Bad:
    """The same request with a good token."""
    head, mark, rest = made.raw.partition(b"Host: localhost\r\n")
    return (
        replace(made, raw=head + mark + f"Authorization: Bearer {token}\r\n".encode() + rest)
        if mark
        else made
    )


def _wrong_token(tokens: dict[str, str], chance: random.Random) -> Bad:
    """A good request with a token that does not allow it."""
    wrong = tokens["good"][:-1] + ("A" if tokens["good"][-1] != "A" else "B")
    shown = chance.choice((
        "", "Bearer", f"Bearer {wrong}", f"Bearer {tokens['expired']}", f"Bearer {tokens['revoked']}",
        f"Basic {tokens['good']}", f"bearer\t{wrong}", "Bearer " + "x" * 20_000, "Bearer ü\u1234",
        f"Token {wrong}", "Bearer  ",
        "Bearer ' OR 1=1 --", f"Bearer {tokens['predict']}",
    ))  # fmt: skip
    in_cookie = not shown or chance.random() < 0.2
    headers = (f"Cookie: bayesight_token={wrong}" if in_cookie else f"Authorization: {shown}",)
    return Bad(TOKEN, wired("PUT", "/v1/prior", b'{"prior": "uniform"}', JSON, headers))
