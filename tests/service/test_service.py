"""The service behind the routes: answers written soon, priors, readings and the queue."""

import base64
import dataclasses
import time

import pytest
import torch
from fastapi.testclient import TestClient

from bayesight.errors import StorageFailed
from bayesight.ledger import Ledger, PredictionRecord
from bayesight.service import Settings, create_app
from bayesight.service.work.images import Upload, read_uploads


def test_a_changed_belief_answers_next(client: TestClient, draw, strange) -> None:
    image = {"images": [{"data": base64.b64encode(draw("disc")).decode()}]}

    def asked() -> dict:
        return client.post("/v1/predictions", json=image).json()

    def changes(route: str, **body) -> None:
        before = asked()
        assert client.request("PUT" if route == "/v1/prior" else "POST", route, **body).status_code == 200
        after, again = asked(), asked()
        assert after["predictions"] == again["predictions"]
        assert after["predictions"] != before["predictions"]
        now = client.get("/v1/belief").json()
        assert (after["belief"], after["position"]) == (now["belief"], now["position"])
        prior = after["predictions"][0]["prior"]
        assert prior == pytest.approx({name: one["prior"] for name, one in now["classes"].items()})

    changes("/v1/labels", json={"labels": [{"label": "bar", **image["images"][0]}]})
    changes(
        "/v1/labels", files={"images": strange}, data={"options": '{"labels": ["x"], "new_classes": true}'}
    )
    changes("/v1/prior", json={"prior": {"bar": 0.8}})


@pytest.mark.parametrize("record", ["after", "before", "never"])
def test_predictions_are_recorded_when_it_was_said(settings: Settings, draw, record: str) -> None:
    app = create_app(dataclasses.replace(settings, record=record))
    with TestClient(app, base_url="http://localhost") as client:
        files = [("images", (str(seed), draw("ring", seed), "image/png")) for seed in range(3)]
        told = client.post("/v1/predictions", files=files).json()
        if record == "before":
            assert len(app.state.service.recent(10)) == 3
    with Ledger.open(settings.ledger_url) as ledger:
        kept = [entry.record for entry in ledger.since(0, kinds=(PredictionRecord.kind,))]
    if record == "never":
        assert kept == []
        return
    assert [one.image for one in kept] == [one["image"] for one in told["predictions"]]
    for one, said in zip(kept, told["predictions"], strict=True):
        assert one.belief == told["belief"]
        assert dict(one.posterior) == said["posterior"]
        classes = app.state.service.classes
        assert read_uploads([Upload("", one.pixels)], classes, pixels=784).digests == (one.image,)


def test_a_prior_is_stated_for_every_worker_and_survives_new_classes(
    client: TestClient, draw, strange
) -> None:
    image = {"images": [{"data": base64.b64encode(draw("disc")).decode()}]}
    training = client.post("/v1/predictions", json=image).json()["predictions"][0]
    stated = client.put("/v1/prior", json={"prior": {"bar": 0.8}}).json()
    assert stated["source"] == "stated"
    now = client.post("/v1/predictions", json=image).json()["predictions"][0]
    assert now["prior"] == stated["prior"]
    assert now["prior"]["bar"] == pytest.approx(0.8)
    files = {"images": strange}
    options = {"options": '{"labels": ["new"], "new_classes": true}'}
    assert client.post("/v1/labels", files=files, data=options).status_code == 200
    after = client.post("/v1/predictions", json=image).json()["predictions"][0]["prior"]
    assert 0 < after["new"] < 0.5
    assert after["bar"] / after["disc"] == pytest.approx(now["prior"]["bar"] / now["prior"]["disc"])
    assert sum(after.values()) == pytest.approx(1, abs=1e-12)
    assert client.put("/v1/prior", json={"prior": "training"}).json()["source"] == "training"
    back = client.post("/v1/predictions", json=image).json()["predictions"][0]["prior"]
    assert back["bar"] == pytest.approx(training["prior"]["bar"] * (1 - back["new"]), abs=1e-9)


def test_base_rates_are_inferred_from_images_and_adopted_on_request(client: TestClient, draw) -> None:
    names = ["ring"] * 30 + ["bar"] * 6
    files = [("images", (str(n), draw(name, n), "image/png")) for n, name in enumerate(names)]
    found = client.post("/v1/prior/infer", files=files).json()
    assert found["images"] == 36
    assert not found["adopted"]
    assert max(found["prior"], key=found["prior"].get) == "ring"
    low, high = found["interval"]["ring"]
    assert low < found["prior"]["ring"] < high
    client.post("/v1/predictions", files=files)
    time.sleep(0.3)
    again = client.post("/v1/prior/infer", json={"recent": 36, "adopt": True}).json()
    assert again["adopted"]
    assert again["prior"] == pytest.approx(found["prior"], abs=1e-9)
    assert client.get("/v1/belief").json()["prior_source"] == "inferred"


def test_the_queue_holds_what_is_not_labelled_most_telling_first(client: TestClient, draw, strange) -> None:
    files = [("images", (str(n), draw("disc", n), "image/png")) for n in range(4)] + [("images", strange)]
    told = client.post("/v1/predictions", files=files).json()["predictions"]
    client.post("/v1/labels", json={"labels": [{"label": "disc", "image": told[0]["image"]}]})
    client.app.state.service.recorder.settle(
        [one["image"] for one in told]
    )  # written a moment after the answer
    found = client.get("/v1/queue").json()
    assert found["considered"] == 4
    assert {one["image"] for one in found["images"]} == {one["image"] for one in told[1:]}
    bits = [one["information_bits"] for one in found["images"]]
    assert bits == sorted(bits, reverse=True)
    assert min(bits) >= 0
    assert len(client.get("/v1/queue?limit=2").json()["images"]) == 2


def test_the_queue_says_what_is_believed_now_not_what_was(client: TestClient, draw, strange) -> None:
    other, taught = draw("disc", 7), ("images", strange)
    options = {"options": '{"labels": ["new"], "new_classes": true}'}
    [image] = client.post("/v1/labels", files=[taught], data=options).json()["images"]
    files = [("images", ("0", other, "image/png"))]
    [asked] = client.post("/v1/predictions", files=files).json()["predictions"]
    assert "new" in asked["posterior"]
    client.app.state.service.recorder.settle([asked["image"]])
    client.put("/v1/prior", json={"prior": {"bar": 0.9}})
    [now] = client.get("/v1/queue").json()["images"]
    again = client.post("/v1/predictions", files=files).json()["predictions"][0]
    assert now["posterior"] == pytest.approx(again["posterior"]) != pytest.approx(asked["posterior"])
    client.post("/v1/labels/take-back", json={"image": image})
    [now] = client.get("/v1/queue").json()["images"]
    assert set(now["posterior"]) == {"bar", "disc", "ring"}  # no button for a class that is gone


def test_readings_of_one_subject_are_a_sequence(client: TestClient, draw) -> None:
    files = [("images", (str(n), draw("disc", n), "image/png")) for n in range(2)]
    one, two = client.post("/v1/predictions", files=files, data={"options": '{"same_subject": true}'}).json()[
        "predictions"
    ]
    assert two["prior"] == pytest.approx(one["posterior"], abs=1e-12)


def test_a_ledger_out_of_reach_is_a_503(client: TestClient, draw, monkeypatch) -> None:
    service = client.app.state.service

    def broken(*_: object) -> None:
        raise StorageFailed("ledger: the disk is full; nothing was written. Free some space, then repeat.")

    monkeypatch.setattr(service.ledger, "append_each", broken)
    body = {"labels": [{"label": "disc", "data": base64.b64encode(draw("disc")).decode()}]}
    answer = client.post("/v1/labels", json=body, headers={"Idempotency-Key": "1"})
    assert answer.status_code == 503
    assert "disk is full" in answer.json()["message"]
    monkeypatch.undo()
    assert client.post("/v1/labels", json=body, headers={"Idempotency-Key": "1"}).json()["absorbed"]
    monkeypatch.setattr(service.beliefs, "fresh", broken)
    assert client.get("/ready").status_code == 503
    monkeypatch.undo()
    assert client.get("/ready").status_code == 200


def test_the_same_image_has_the_same_terms_alone_and_among_others(client: TestClient, draw) -> None:
    files = [("images", (str(n), draw("ring", n), "image/png")) for n in range(20)]
    together = client.post("/v1/predictions", files=files).json()["predictions"]
    alone = client.post("/v1/predictions", files=files[7:8]).json()["predictions"][0]
    for term in ("posterior", "log_likelihood"):
        torch.testing.assert_close(
            torch.tensor(list(together[7][term].values())), torch.tensor(list(alone[term].values()))
        )
