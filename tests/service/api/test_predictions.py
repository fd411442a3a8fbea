"""The four terms over HTTP: every way to bring an image, every way to read it."""

import base64
import json

import pytest
from fastapi.testclient import TestClient

from bayesight.service.work.images import Upload, read_uploads
from bayesight.workflows.predict import Readings, judge


@pytest.fixture
def disc(draw) -> bytes:
    return draw("disc")


def encoded(content: bytes, name: str = "") -> dict[str, str]:
    return {"data": base64.b64encode(content).decode(), "name": name}


def test_an_image_comes_as_json_as_a_file_or_bare(client: TestClient, disc: bytes) -> None:
    as_json = client.post("/v1/predictions", json={"images": [encoded(disc, "mine")]})
    as_file = client.post("/v1/predictions", files={"images": ("mine", disc, "image/png")})
    bare = client.post("/v1/predictions", content=disc, headers={"content-type": "image/png"})
    assert as_json.status_code == as_file.status_code == bare.status_code == 200
    assert as_json.json() == as_file.json()
    assert as_json.json()["predictions"][0]["name"] == "mine"
    assert bare.json()["predictions"][0]["posterior"] == as_json.json()["predictions"][0]["posterior"]
    assert as_json.json()["predictions"][0]["prediction"] == "disc"


def test_the_answer_is_that_of_judge(client: TestClient, disc: bytes) -> None:
    classifier = client.app.state.service.beliefs.last.classifier
    pixels = read_uploads([Upload("mine", disc)], classifier.classes, pixels=1000)
    features = classifier.features([(pixels.images, pixels.images)])
    expected = judge(classifier, ["mine"], features, Readings({"bar": 0.9}, level=0.2))[0].as_dict()
    options = {"prior": {"bar": 0.9}, "level": 0.2}
    answer = client.post("/v1/predictions", json={"images": [encoded(disc, "mine")], **options}).json()
    found = answer["predictions"][0]
    assert found.pop("name") == expected.pop("path")
    assert found.pop("image") == pixels.digests[0]
    assert found == json.loads(json.dumps(expected))


@pytest.mark.parametrize(
    ("prior", "status", "said"),
    [
        ({"disc": "30%"}, 200, ""),
        ({"disc": "33%", "bar": "33%", "ring": "33%"}, 200, ""),
        ({"disc": True}, 422, "prior of 'disc': got true; expected a probability in [0, 1]"),
        ({"disc": None}, 422, "prior of 'disc': got null; expected a probability in [0, 1]"),
        ({"disc": -0.1}, 422, "prior of 'disc': got -0.1; expected a probability in [0, 1]"),
        ("half", 422, "input should be 'uniform' or 'training'"),
    ],
)
def test_a_prior_is_read_as_on_the_command_line(client, prior, status, said):
    answer = client.put("/v1/prior", json={"prior": prior})
    assert answer.status_code == status, answer.text
    assert "constrained" not in answer.text
    if status == 200:
        assert answer.json()["prior"]["disc"] == pytest.approx(0.3 if len(prior) == 1 else 1 / 3)
    else:
        assert said in answer.json()["message"]
