"""Two workers of a service on one ledger, on both databases: whichever is asked, the belief is the same."""

import base64
import io

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from bayesight.service import Settings, create_app


def encoded(seed):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (28, 28), dtype=np.uint8)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def test_workers_see_one_belief_one_prior_and_one_anothers_images(ledger_url, shapes_run):
    apps = [create_app(Settings(str(shapes_run), ledger_url, rate="")) for _ in range(2)]
    with (
        TestClient(apps[0], base_url="http://localhost") as one,
        TestClient(apps[1], base_url="http://localhost") as other,
    ):
        for number in range(3):
            asked, told = (one, other) if number % 2 else (other, one)
            image = asked.post("/v1/predictions", json={"images": [{"data": encoded(number)}]}).json()
            label = {"labels": [{"label": "disc", "image": image["predictions"][0]["image"]}]}
            key = {"Idempotency-Key": f"label {number}".replace(" ", "-")}
            learned = told.post("/v1/labels", json=label, headers=key)
            assert learned.status_code == 200, learned.text
            again = asked.post("/v1/labels", json=label, headers=key).json()
            assert again["repeated"]
            assert again["receipt"] == learned.json()["receipt"]
            beliefs = [client.get("/v1/belief").json() for client in (asked, told)]
            assert beliefs[0] == beliefs[1]
            assert beliefs[0]["belief"] == learned.json()["belief"]
            assert beliefs[0]["exact"]
        one.put("/v1/prior", json={"prior": {"bar": 0.5}})
        answer = other.post("/v1/predictions", json={"images": [{"data": encoded(9)}]}).json()
        assert abs(answer["predictions"][0]["prior"]["bar"] - 0.5) < 1e-9


def test_workers_correct_and_take_back_one_anothers_labels_and_rename_for_all(ledger_url, shapes_run):
    apps = [create_app(Settings(str(shapes_run), ledger_url, rate="")) for _ in range(2)]
    with (
        TestClient(apps[0], base_url="http://localhost") as one,
        TestClient(apps[1], base_url="http://localhost") as other,
    ):
        before = one.get("/v1/belief").json()["classes"]
        told = []
        for client, name in ((one, "bar"), (other, "hoop"), (one, "hoop")):
            body = {"labels": [{"label": name, "data": encoded(7)}], "new_classes": True}
            told.append(client.post("/v1/labels", json=body).json())
        assert [(t["said"], t["repeated"]) for t in told] == [
            ("", False),
            ("was bar, is hoop", False),
            ("repeated: it has this label already", True),
        ]
        renamed = other.post("/v1/classes/rename", json={"name": "hoop", "to": "wheel"}).json()
        assert renamed["classes"][-1] == "wheel"
        assert one.get("/v1/belief").json()["classes"]["wheel"]["images"] == 1
        image = {"image": told[0]["images"][0]}
        back = [client.post("/v1/labels/take-back", json=image).json() for client in (one, other)]
        assert [(b["was"], b["now"]) for b in back] == [("wheel", "bar"), ("bar", None)]
        beliefs = [client.get("/v1/belief").json() for client in (one, other)]
        assert beliefs[0] == beliefs[1]
        assert beliefs[0]["exact"]
        after = {name: c["images"] for name, c in beliefs[0]["classes"].items()}
        assert after == {name: c["images"] for name, c in before.items()}
