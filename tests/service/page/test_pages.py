"""The pages without a browser: what they may load, what they tell whom, what their forms do."""

import json
import re
import shutil

import numpy as np
import pytest
from fastapi.testclient import TestClient

from bayesight.data import open_store
from bayesight.ledger import LabelRecord, Ledger, PredictionRecord, RenameRecord, RunRecord, WithdrawalRecord
from bayesight.service import Settings, create_app
from bayesight.service.page import router
from bayesight.service.page.history import accuracy_figure, history_of
from bayesight.service.page.showing import history_values

VIEWS = ("/", "/queue", "/history", "/theorem", "/report")


def upload(picture) -> dict[str, tuple[str, bytes, str]]:
    return {"file": (picture["name"], picture["buffer"], picture["mimeType"])}


def key_of(page: str) -> str:
    return re.search(r'name="key" value="(\w+)"', page).group(1)


def test_no_view_needs_an_inline_style_or_script_or_anything_from_elsewhere(page_client, picture):
    answer = page_client.post("/answers", files=upload(picture("disc")))
    for response in (answer, *map(page_client.get, VIEWS)):
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy
        assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", response.text)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", response.text)
        for script in re.findall(r"<script[^>]*>([^<]*)", response.text):
            assert script == ""


def test_every_file_a_view_names_is_there_and_no_path_leads_to_others(page_client):
    page = page_client.get("/").text
    names = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    scripts = [name for name in names if name.endswith(".js")]
    while scripts:
        text = page_client.get(scripts.pop()).text
        found = [f"/static/{name}" for name in re.findall(r'from "\./([\w.]+)"', text)]
        scripts += [name for name in found if name not in names]
        names += found
    assert len(set(names)) >= 10
    for name in names:
        assert page_client.get(name).status_code == 200
    for name in ("..%2Froutes.py", "%2e%2e%2fpage.css", "nothing.js"):
        assert page_client.get(f"/static/{name}").status_code == 404


def test_another_site_may_not_use_the_forms(page_client, picture):
    for origin in ("https://elsewhere.example", "null"):
        answer = page_client.post("/answers", files=upload(picture("disc")), headers={"Origin": origin})
        assert answer.status_code == 403


def test_the_same_form_sent_twice_teaches_once(page_client, picture):
    page = page_client.post("/answers", files=upload(picture("ring")))
    image, form = page.url.path.rpartition("/")[2], {"label": "ring", "key": key_of(page.text)}
    service = page_client.app.state.service
    for _ in range(2):
        assert page_client.post(f"/images/{image}/label", data=form).status_code == 200
    assert (
        sum(isinstance(e.record, LabelRecord) for e in service.ledger.about(service.beliefs.name, image)) == 1
    )


def test_a_wrong_name_is_no_new_class_unless_it_is_said_to_be(page_client, picture):
    page = page_client.post("/answers", files=upload(picture("ring")))
    image, key = page.url.path.rpartition("/")[2], key_of(page.text)
    refused = page_client.post(f"/images/{image}/label", data={"label": "rign", "key": key})
    assert refused.status_code == 422
    assert "did you mean &#39;ring&#39;" in refused.text
    taught = page_client.post(f"/images/{image}/label", data={"label": "rign", "key": key, "new": "yes"})
    assert taught.status_code == 200
    assert "rign" in page_client.app.state.service.beliefs.fresh().classifier.classes.names


def test_an_image_nobody_asked_about_is_refused_in_a_sentence(page_client):
    answer = page_client.get("/images/" + "0f" * 16)
    assert answer.status_code == 422
    assert "no image seen here" in answer.text


def test_where_no_prediction_is_kept_an_answer_can_be_corrected_all_the_same(shapes_run, tmp_path, picture):
    settings = Settings(str(shapes_run), str(tmp_path / "l.sqlite"), rate="", record="never")
    with TestClient(create_app(settings, routers=(router,)), base_url="http://localhost") as client:
        page = client.post("/answers", files=upload(picture("disc")))
        assert page.status_code == 200
        service = client.app.state.service
        assert service.ledger.latest(service.beliefs.name, PredictionRecord.kind) == []
        brought = re.search(r'name="picture" value="([^"]+)"', page.text).group(1)
        action = re.search(r'action="(/images/\w+/label)"', page.text).group(1)
        form = {"label": "disc", "key": key_of(page.text), "picture": brought}
        told = client.post(action, data=form)
        assert told.status_code == 200
        assert "Learned: this is disc" in told.text


def test_what_a_run_says_of_its_sources_is_not_opened(shapes_run, shapes, tmp_path, picture, monkeypatch):
    run = shutil.copytree(shapes_run, tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["sources"] = [{**metrics["sources"][0], "source": place} for place in ("/", "/proc", str(shapes))]
    (run / "metrics.json").write_text(json.dumps(metrics))
    opened = []
    monkeypatch.setattr(
        "bayesight.service.page.pictures.open_store",
        lambda source, **how: opened.append(source) or open_store(source, **how),
    )
    pages = []
    for sources in ((), (str(shapes),)):
        settings = Settings(str(run), str(tmp_path / f"{len(sources)}.sqlite"), rate="", sources=sources)
        with TestClient(create_app(settings, routers=(router,)), base_url="http://localhost") as client:
            answer = client.post("/answers", files=upload(picture("disc")))
            assert answer.status_code == 200
            pages.append(answer.text)
    assert opened == [str(shapes)]
    without, named = pages
    assert 'alt="a known image' not in without
    assert "<code>bayesight serve RUN --source SOURCE</code>" in without
    assert named.count('alt="a known image') == 6
    assert "--source" not in named


def test_the_report_is_sandboxed_and_framed_by_its_own_page_only(page_client):
    answer = page_client.get("/report/file")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_a_token_goes_back_to_this_site_only(page_client):
    for back, wanted in (
        ("/queue", "/queue"),
        ("//elsewhere.example", "/"),
        ("https://elsewhere.example", "/"),
    ):
        form = {"token": "bayesight_x", "back": back}
        answer = page_client.post("/token", data=form, follow_redirects=False)
        assert answer.headers["location"] == wanted
        assert "samesite=strict" in answer.headers["set-cookie"].lower()
        assert "httponly" in answer.headers["set-cookie"].lower()


@pytest.fixture
def past(tmp_path):
    """A ledger with four images asked about and then labelled, the first and the last rightly foreseen."""
    ledger = Ledger.open(str(tmp_path / "past.sqlite"))
    ledger.register(RunRecord("r", belief="00" * 32, classes=("A", "B"), features=2))
    said = [("A", "A", True), ("A", "B", True), ("B", "C", True), ("B", "C", False)]
    for number, (answer, label, known) in enumerate(said):
        p = {"A": 0.8, "B": 0.2} if answer == "A" else {"A": 0.3, "B": 0.7}
        image, features = f"{number:032x}", np.zeros(2, np.float32)
        ledger.append(
            [
                PredictionRecord(
                    "r", "b", image, answer, {"A": 0.5, "B": 0.5}, {"A": 0.0, "B": 0.0}, -float(number), p,
                    novelty=number / 2, known=known, features=features,
                ),
                LabelRecord("r", image, label, "", features),
                LabelRecord("r", image, answer, "bob", features),
            ]
        )  # fmt: skip
    yield ledger
    ledger.close()


def test_history_counts_what_was_said_before_it_was_told(past):
    found = history_of(past, "r", ("A", "B"))
    # A; B taken for A; C, which nobody knew, taken for B; C called unknown. Others do not count later.
    assert found.right.tolist() == [1, 0, 0, 1]
    assert found.log_evidence.tolist() == [0, -1, -2, -3]
    assert found.unknown.tolist() == [0, 0, 0, 1]
    assert found.priors.tolist() == [[0.5, 0.5]] * 4
    assert "all so far ends at 50" in accuracy_figure(found)


def test_history_goes_by_the_label_that_stands(past):
    images, features = [f"{number:032x}" for number in range(4)], np.zeros(2, np.float32)
    past.append(
        [LabelRecord("r", images[1], "A", "", features), LabelRecord("r", images[0], "B", "", features)]
    )
    assert history_of(past, "r", ("A", "B")).right.tolist() == [0, 1, 0, 1]
    position = past.position("r")
    wrong = past.since(0, kinds=("label",))[-1].sequence
    receipt = past.append_change(WithdrawalRecord("r", images[0], "", position, "", "", (wrong,)))
    assert history_of(past, "r", ("A", "B")).right.tolist() == [1, 1, 0, 1]
    past.append_change(RenameRecord("r", "A", "alpha", receipt.last, "", ""))
    renamed = history_of(past, "r", ("alpha", "B"))
    assert renamed.right.tolist() == [1, 1, 0, 1]
    assert renamed.priors.tolist() == [[0.5, 0.5]] * 4


def test_history_says_in_words_what_did_not_move(past, shapes_run):
    from bayesight.run import Run

    classifier = Run.open(shapes_run).classifier()
    shown = history_values(history_of(past, "r", ("A", "B")), classifier, [])
    assert [figure["heading"] for figure in shown["figures"]][1:] == ["Prior", "Evidence"]
    assert shown["figures"][1]["svg"] == ""
    assert "have not moved" in shown["figures"][1]["words"]
    assert shown["tiles"][0].value.replace("\u202f", " ") == "50 %"
