"""Labels over HTTP: learned before the answer, once, by every worker; and what they are refused for."""

import base64
import io

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from bayesight.data import open_store
from bayesight.ledger import Ledger, begin, verify
from bayesight.run import Run
from bayesight.service import Settings, create_app


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def predicted(client: TestClient, content: bytes) -> dict:
    answer = client.post("/v1/predictions", content=content, headers={"content-type": "image/png"})
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"][0]


def test_a_label_is_learned_before_the_answer(client: TestClient, strange: bytes) -> None:
    before = predicted(client, strange)
    body = {"labels": [{"label": "ring", "image": before["image"]}] * 5}
    answer = client.post("/v1/labels", json=body)
    told = answer.json()
    assert answer.status_code == 200
    assert told["absorbed"]
    assert told["labels"] == 5
    assert told["images"] == [before["image"]] * 5
    assert told["update"] > told["receipt"]["last"]  # the prediction's own record may stand between
    now = client.get("/v1/belief").json()
    assert (now["belief"], now["position"], now["queued"]) == (told["belief"], told["update"], 0)
    assert predicted(client, strange)["posterior"]["ring"] > before["posterior"]["ring"]


def test_the_ledger_tells_an_answer_before_the_label_that_corrects_it(
    client: TestClient, strange: bytes
) -> None:
    image = predicted(client, strange)["image"]
    client.post("/v1/labels", json={"labels": [{"label": "ring", "image": image}]})
    service = client.app.state.service
    kinds = [entry.record.kind for entry in service.ledger.about(service.beliefs.name, image)]  # newest first
    assert kinds == ["label", "prediction"]


def test_a_key_is_answered_with_the_same_receipt(client: TestClient, draw) -> None:
    body = {"labels": [{"label": "bar", "data": encoded(draw("bar"))}]}
    first, again = (client.post("/v1/labels", json=body, headers={"Idempotency-Key": "7"}) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert again.json()["repeated"]
    assert not first.json()["repeated"]
    assert first.json()["receipt"] == again.json()["receipt"]
    assert first.json()["update"] == again.json()["update"]
    other = {"labels": [{"label": "disc", "data": encoded(draw("bar"))}]}
    refused = client.post("/v1/labels", json=other, headers={"Idempotency-Key": "7"})
    assert refused.status_code == 409
    assert "expected a new key" in refused.json()["message"]


def test_a_queued_label_has_a_receipt_and_is_learned_shortly(client: TestClient, draw) -> None:
    body = {"labels": [{"label": "bar", "data": encoded(draw("bar"))}], "wait": False}
    answer = client.post("/v1/labels", json=body)
    assert answer.status_code == 202
    assert not answer.json()["absorbed"]
    for _ in range(200):
        if client.get("/v1/belief").json()["position"] > answer.json()["receipt"]["last"]:
            return
    pytest.fail("the label was never absorbed")


def test_a_new_class_is_taught_on_purpose_only(client: TestClient, strange: bytes) -> None:
    body = {"labels": [{"label": "discs", "data": encoded(strange)}]}
    refused = client.post("/v1/labels", json=body)
    assert refused.status_code == 422
    assert "did you mean 'disc'" in refused.json()["message"]
    assert client.post("/v1/labels", json={**body, "new_classes": True}).status_code == 200
    assert set(predicted(client, strange)["posterior"]) == {"bar", "disc", "ring", "discs"}


def test_files_are_labelled_one_by_one_or_all_alike(client: TestClient, draw) -> None:
    files = [("images", (f"{seed}.png", draw("bar", seed), "image/png")) for seed in range(3)]
    alike = client.post("/v1/labels", files=files, data={"options": '{"labels": ["bar"]}'})
    each = client.post("/v1/labels", files=files, data={"options": '{"labels": ["bar", "disc", "bar"]}'})
    two = client.post("/v1/labels", files=files, data={"options": '{"labels": ["bar", "disc"]}'})
    assert (alike.status_code, each.status_code, two.status_code) == (200, 200, 422)
    assert client.get("/v1/belief").json()["position"] == each.json()["update"]
    assert "2 labels for 3 files" in two.json()["message"]


def test_an_image_nobody_saw_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/labels", json={"labels": [{"label": "bar", "image": "ab" * 16}]})
    assert answer.status_code == 422
    assert "no image seen here" in answer.json()["message"]
    assert client.get("/v1/images/" + "ab" * 16).status_code == 404


def test_an_image_seen_is_shown_as_the_run_sees_it(client: TestClient, draw) -> None:
    big = Image.open(io.BytesIO(draw("disc"))).resize((280, 280), Image.Resampling.NEAREST)
    out = io.BytesIO()
    big.save(out, "PNG")
    shown = client.get("/v1/images/" + predicted(client, out.getvalue())["image"])
    assert shown.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(shown.content)).size == (28, 28)


def test_what_was_learned_is_there_after_a_restart_and_equals_the_replay(settings: Settings, draw) -> None:
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        for seed in range(3):
            body = {"labels": [{"label": "disc", "data": encoded(draw("ring", seed))}]}
            assert client.post("/v1/labels", json=body).status_code == 200
        belief = client.get("/v1/belief").json()
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        assert client.get("/v1/belief").json() == belief
    with Ledger.open(settings.ledger_url) as ledger:
        held = begin(ledger, Run.open(settings.run))
        assert held.belief == belief["belief"]
        assert held.exact
        assert verify(ledger).broken is None
        rows = [e.record for e in ledger.since(0, kinds=("label",))]
    base = Run.open(settings.run).classifier()
    features = torch.from_numpy(np.array([row.features for row in rows]))
    from bayesight.bayes.head import gaussian

    once, _ = gaussian.absorb(base.head, features, torch.tensor([1, 1, 1]))
    torch.testing.assert_close(held.classifier.head.sums, once.sums, rtol=1e-12, atol=1e-12)


def test_labels_left_queued_by_a_process_that_died_are_learned_by_the_next(settings: Settings, draw) -> None:
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        client.post("/v1/labels", json={"labels": [{"label": "bar", "data": encoded(draw("bar"))}]})
    with Ledger.open(settings.ledger_url) as ledger:
        [entry] = ledger.since(0, kinds=("label",))
        receipt = ledger.append([entry.record])
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        for _ in range(200):
            if client.get("/v1/belief").json()["position"] > receipt.last:
                return
    pytest.fail("the label was never absorbed")


def counts(client: TestClient) -> dict[str, float]:
    return {name: one["images"] for name, one in client.get("/v1/belief").json()["classes"].items()}


def test_a_later_label_of_one_image_replaces_the_first_and_the_answer_says_so(
    client: TestClient, strange: bytes
) -> None:
    before, told = counts(client), []
    for name in ("disc", "ring", "ring"):
        body = {"labels": [{"label": name, "data": encoded(strange)}]}
        told.append(client.post("/v1/labels", json=body).json())
    assert counts(client) == pytest.approx({**before, "ring": before["ring"] + 1})
    assert [one["said"] for one in told] == [
        "",
        "was disc, is ring",
        "repeated: it has this label already",
    ]
    assert [one["repeated"] for one in told] == [False, False, True]
    image = told[0]["images"][0]
    assert told[1]["corrected"] == [{"image": image, "was": "disc", "now": "ring"}]
    again = {"labels": [{"label": "ring", "image": image}], "second_reading": True}
    beside = client.post("/v1/labels", json=again).json()
    assert (beside["repeated"], beside["corrected"], beside["unchanged"]) == (False, [], 0)
    assert counts(client) == pytest.approx({**before, "ring": before["ring"] + 2})


def test_an_image_the_run_was_trained_on_is_corrected(client: TestClient, shapes) -> None:
    store = open_store(shapes)
    held = client.app.state.service.beliefs.last.state
    known = {bytes(row).hex() for row in held.base.absorbed.digests.numpy()}
    row = next(r for r in range(len(store)) if store.digests[r].tobytes().hex() in known)
    was, before = store.classes[store.labels[row]], counts(client)
    now = next(name for name in before if name != was)
    out = io.BytesIO()
    Image.fromarray(np.asarray(store.images[row])).save(out, "PNG")
    body = {"labels": [{"label": now, "data": encoded(out.getvalue())}]}
    assert client.post("/v1/labels", json=body).json()["said"] == f"was {was}, is {now}"
    after = {**before, was: before[was] - 1, now: before[now] + 1}
    assert counts(client) == pytest.approx(after)


def test_a_label_is_taken_back_with_the_class_it_brought(client: TestClient, strange: bytes) -> None:
    before = counts(client)
    body = {"labels": [{"label": "rign", "data": encoded(strange)}], "new_classes": True}
    image = client.post("/v1/labels", json=body).json()["images"][0]
    assert counts(client) == pytest.approx({**before, "rign": 1})
    client.post("/v1/labels", json={"labels": [{"label": "ring", "image": image}]})
    assert "rign" not in counts(client)
    back = [
        client.post("/v1/labels/take-back", json={"image": image}, headers={"Idempotency-Key": key}).json()
        for key in ("1", "1", "2")
    ]
    assert [(one["was"], one["now"], one["gone_classes"], one["repeated"]) for one in back] == [
        ("ring", "rign", [], False),
        (None, None, [], True),
        ("rign", None, ["rign"], False),
    ]
    assert counts(client) == pytest.approx(before)
    refused = client.post("/v1/labels/take-back", json={"image": image})
    assert refused.status_code == 422
    assert "a label given without a name that stands" in refused.json()["message"]


def test_a_class_is_renamed_with_its_base_rate(client: TestClient, strange: bytes) -> None:
    client.put("/v1/prior", json={"prior": {"ring": 0.5}})
    before = client.get("/v1/belief").json()["classes"]
    told = client.post("/v1/classes/rename", json={"name": "ring", "to": " hoop "})
    assert told.status_code == 200
    assert told.json()["classes"] == ["bar", "disc", "hoop"]
    after = client.get("/v1/belief").json()["classes"]
    assert after["hoop"] == before["ring"]
    assert set(predicted(client, strange)["posterior"]) == {"bar", "disc", "hoop"}
    for name, to, words in (
        ("ring", "x", "no class is called 'ring'"),
        ("hoop", "bar", "already"),
        ("hoop", " ", "empty"),
        ("hoop", "a\x00b", "printable"),
    ):
        refused = client.post("/v1/classes/rename", json={"name": name, "to": to})
        assert refused.status_code == 422
        assert words in refused.json()["message"]


def test_a_class_can_be_named_whatever_its_name_is_and_in_either_unicode_form(
    client: TestClient, draw
) -> None:
    long, apart = 'x, ="' * 46, "cafe\N{COMBINING ACUTE ACCENT}"
    composed = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    for name in (long, apart, composed):
        body = {"labels": [{"label": name, "data": encoded(draw("ring", len(name)))}], "new_classes": True}
        answer = client.post("/v1/labels", json=body)
        assert answer.status_code == 200, answer.text
    names = set(client.get("/v1/belief").json()["classes"])
    assert {long, composed} < names
    assert apart not in names
    stated = client.put("/v1/prior", json={"prior": {long: 0.5, apart: 0.25}})
    assert stated.status_code == 200, stated.text
    shares = stated.json()["prior"]
    assert (shares[long], shares[composed]) == (0.5, 0.25)
