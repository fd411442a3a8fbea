"""``bayesight learn``: lists lessons, shows them, and writes them as pages and notebooks."""

import json
import webbrowser

import nbformat

from bayesight.lessons import find_lesson, lessons


def test_the_road_is_listed_in_the_language_asked_for(program, monkeypatch):
    status, out, _ = program("learn", "--lang", "ko", "--json")
    listed = json.loads(out)
    assert status == 0
    assert [row["name"] for row in listed] == [lesson.name for lesson in lessons("ko")]
    assert listed[0]["title"] == "조건부확률과 베이즈 정리"
    monkeypatch.delenv("BAYESIGHT_LANG")
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    assert "조건부확률과 베이즈 정리" in program("learn")[1]
    assert "Conditional probability and Bayes' theorem" in program("learn", "--lang", "en")[1]


def test_a_lesson_is_printed_without_its_answers_until_they_are_asked_for(program):
    status, out, _ = program("learn", "bayes", "--lang", "en")
    assert status == 0
    assert "### 3. In the dry season" in out
    assert "dry_season = " not in out
    assert "dry_season = " in program("learn", "bayes", "--lang", "en", "--answers")[1]
    document = json.loads(program("learn", "bayes", "--lang", "en", "--json")[1])
    assert (document["number"], document["minutes"]) == (1, 10)
    assert "dry_season = " in document["text"]


def test_it_is_written_as_a_notebook_and_as_a_page(program, tmp_path):
    notebook, page = tmp_path / "bayes.ipynb", tmp_path / "bayes.html"
    status, out, _ = program("learn", "bayes", "--lang", "ko", "--notebook", notebook, "--html", page)
    assert status == 0
    assert out.split() == [str(page), str(notebook)]
    nbformat.validate(nbformat.read(notebook, as_version=4))
    status, _, err = program("learn", "bayes", "--notebook", notebook)
    assert status != 0
    assert "is there already, perhaps with work in it; give another name" in err.replace("\n", " ")
    assert "data:image/svg+xml" in page.read_text(encoding="utf-8")


def test_open_shows_the_page_or_says_where_it_is(program, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or False)
    status, out, err = program("learn", "bayes", "--open", "--lang", "en", "--json")
    assert status == 0
    path = json.loads(out)["html"]
    assert opened == [f"file://{path}"]
    assert f"open {path}" in err


def test_an_unknown_lesson_is_refused_with_the_nearest(program):
    status, out, err = program("learn", "bays")
    assert (status, out) == (1, "")
    assert "did you mean 'bayes'?" in err
    assert find_lesson("bayes", "en").title in program("learn", "bayes", "--lang", "en")[1]


def test_check_says_what_is_ready_and_its_status_what_is_missing(program, monkeypatch):
    status, out, _ = program("learn", "check", "--json")
    document = json.loads(out)
    assert (status, document["ready"]) == (0, True)
    assert [one["name"] for one in document["checks"]][:2] == ["python", "torch"]
    monkeypatch.setattr("bayesight.lessons.machine._SLOWEST_S", 0.0)
    status, out, _ = program("learn", "check", "--lang", "en")
    assert status == 1
    assert "missing  training" in out
    assert out.splitlines()[0].startswith("ready    python")


def test_the_exercise_is_written_and_a_folder_that_is_taken_is_refused(program, tmp_path):
    status, out, _ = program("learn", "mlp", "--exercise", tmp_path / "blanks", "--lang", "ko")
    assert (status, out.strip()) == (0, str(tmp_path / "blanks"))
    assert "신경망" in (tmp_path / "blanks" / "model.py").read_text(encoding="utf-8")
    status, _, err = program("learn", "mlp", "--exercise", tmp_path / "blanks")
    assert status == 1
    assert "is there already" in err
