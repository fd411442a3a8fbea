"""Images as requests bring them: base64 as people send it."""

import base64
import textwrap

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from bayesight.service.work.images import from_base64


def spellings(content: bytes) -> dict[str, str]:
    plain = base64.b64encode(content).decode()
    bare = base64.urlsafe_b64encode(content).decode().rstrip("=")
    return {
        "plain": plain,
        "data URL": f"data:image/png;base64,{plain}",
        "data URL, capitals": f"DATA:image/PNG;charset=utf-8;BASE64,{plain}",
        "data URL, escaped": "data:;base64,"
        + plain.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        "wrapped": textwrap.fill(plain, 76),
        "wrapped with CRLF": textwrap.fill(plain, 64).replace("\n", "\r\n") + "\r\n",
        "for URLs": base64.urlsafe_b64encode(content).decode(),
        "without padding": plain.rstrip("="),
        "for URLs, without padding": bare,
        "all of it": " data:image/png;base64, "
        + textwrap.fill(plain.translate({43: "-", 47: "_", 61: ""}), 20),
    }


@given(st.binary(min_size=1, max_size=200))
def test_every_spelling_is_the_same_bytes(content: bytes) -> None:
    for name, text in spellings(content).items():
        assert from_base64(text) == content, name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("data:image/png;base64,", "it is empty"),
        ("data:image/png,AAAA", "a data URL that does not say ';base64,'"),
        ("data:image/png;base64", "a data URL that does not say ';base64,'"),
        ("https://example.org/a.png", "no base64"),
        ("AAAAA", "no base64"),
        ("AA==AA==", "no base64"),
        ("AAÄA", "no base64"),
        ("\ud800", "no base64"),
        ("A", "no base64"),
    ],
)
def test_what_is_none_is_said_in_a_sentence(client: TestClient, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_base64(text)
    if text == "\ud800":
        return
    expected = "the bytes of an image file in base64, alone or as a data URL (data:image/png;base64,...)"
    for path, body in (
        ("/v1/predictions", {"images": [{"data": text}]}),
        ("/v1/labels", {"labels": [{"label": "bar", "data": text}]}),
        ("/v1/prior/infer", {"images": [{"data": text}, {"data": text}]}),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["message"] == f"image data: {words}; expected {expected}."


def test_an_image_is_the_same_however_its_base64_is_written(client: TestClient, draw) -> None:
    images = [{"data": text} for text in spellings(draw("disc")).values()]
    found = client.post("/v1/predictions", json={"images": images}).json()["predictions"]
    assert len({one["image"] for one in found}) == 1
    for text in spellings(draw("disc", 4)).values():
        told = client.post("/v1/labels", json={"labels": [{"label": "disc", "data": text}]})
        assert told.status_code == 200
