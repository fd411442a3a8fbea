"""Predictions and labels of a service whose network is frozen, as for photographs."""

import base64

import pytest
from fastapi.testclient import TestClient

from bayesight.run import Run
from bayesight.service import Settings, create_app
from bayesight.service.work.images import Upload, read_uploads
from bayesight.service.work.predicting import PredictionJob, predict_together
from bayesight.workflows.predict import Readings, judge


@pytest.fixture
def lite_client(lite_run, tmp_path):
    settings = Settings(str(lite_run), str(tmp_path / "ledger.sqlite"), rate="")
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


def posted(client, content):
    answer = client.post("/v1/predictions", content=content, headers={"content-type": "image/png"})
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"][0]


def test_a_frozen_network_answers_as_its_run_does(lite_client, lite_run, draw):
    classifier = Run.open(lite_run).classifier()
    images = {name: draw(name, seed) for seed, name in enumerate(("bar", "disc", "ring"))}
    for name, content in images.items():
        pixels = read_uploads([Upload(name, content)], classifier.classes, pixels=1000)
        features = classifier.features([(pixels.images, pixels.images)])
        [expected] = judge(classifier, [name], features, Readings())
        assert posted(lite_client, content)["posterior"] == pytest.approx(expected.posterior, abs=1e-9)


def test_requests_taken_together_get_what_each_gets_alone(lite_client, draw):
    service = lite_client.app.state.service
    classes = service.beliefs.last.classifier.classes
    jobs = [
        PredictionJob(read_uploads([Upload(name, draw(name, 7))], classes, pixels=1000))
        for name in ("bar", "disc", "ring")
    ]
    together = predict_together(service.beliefs, None, "never", jobs)
    for job, one in zip(jobs, together, strict=True):
        [alone] = predict_together(service.beliefs, None, "never", [job])
        assert one.features.equal(alone.features)
        [mine], [other] = one.predictions, alone.predictions
        assert mine.posterior == pytest.approx(other.posterior, abs=1e-9)
        assert mine.novelty == pytest.approx(other.novelty, abs=1e-3)


def test_a_label_moves_what_a_frozen_network_answers(lite_client, strange):
    before = posted(lite_client, strange)
    body = {"labels": [{"label": "ring", "data": base64.b64encode(strange).decode()}]}
    assert lite_client.post("/v1/labels", json=body).json()["absorbed"]
    assert posted(lite_client, strange)["posterior"]["ring"] > before["posterior"]["ring"]
