"""``bayesight predict``: its JSON, its words, its refusals."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv, parquet

from bayesight.cli.predict import _box
from bayesight.errors import InvalidInput
from bayesight.formatting import percent

KEYS = {"path", "prediction", "prior", "log_likelihood", "log_evidence", "posterior", "novelty"}
KEYS |= {"p_value", "known", "reason", "notes"}


@pytest.fixture
def strange(tmp_path):
    """An image of noise, like nothing that was learned."""
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(3).choice([0, 255], (28, 28)).astype(np.uint8)).save(path)
    return path


def test_json(program, shapes_run, pictures):
    status, out, _ = program("predict", shapes_run, *pictures, "--prior", "disc=0.5", "--json")
    found = json.loads(out)
    assert status == 0
    assert [set(p) for p in found] == [KEYS] * 3
    assert [p["path"] for p in found] == [str(path) for path in pictures]
    assert [p["prediction"] for p in found] == ["bar", "disc", "ring"]
    for p in found:
        assert p["prior"] == pytest.approx({"bar": 0.25, "disc": 0.5, "ring": 0.25})
        assert sum(p["posterior"].values()) == pytest.approx(1)


def test_readings_of_one_subject_go_on_from_each_other(program, shapes_run, pictures):
    options = (pictures[0], pictures[0], "--same-subject", "--prior", "bar=0.01", "--json")
    first, second = json.loads(program("predict", shapes_run, *options)[1])
    assert second["prior"] == pytest.approx(first["posterior"])
    assert second["posterior"]["bar"] > first["posterior"]["bar"] > 0.01
    first, same = json.loads(program("predict", shapes_run, *options, "--dependence", 1)[1])
    assert same["posterior"] == pytest.approx(first["posterior"])


@pytest.mark.parametrize("stated", ["disc=50%\n", '{"disc": 0.5}', '{"prior": {"disc": 0.5, "bar": 0.25}}'])
def test_a_prior_is_read_from_standard_input(program, shapes_run, pictures, monkeypatch, stated):
    monkeypatch.setattr("sys.stdin", io.StringIO(stated))
    (found,) = json.loads(program("predict", shapes_run, pictures[0], "--prior", "-", "--json")[1])
    assert found["prior"] == pytest.approx({"bar": 0.25, "disc": 0.5, "ring": 0.25})
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    status, _, err = program("predict", shapes_run, pictures[0], "--prior", "-")
    assert status == 1
    assert "nothing is stated" in err


def test_words_hold_the_numbers(program, shapes_run, pictures, strange):
    status, out, _ = program("predict", shapes_run, pictures[1], strange, "--abstain")
    disc, noise = json.loads(program("predict", shapes_run, pictures[1], strange, "--abstain", "--json")[1])
    assert status == 0
    assert f"{pictures[1]}: disc\n" in out
    assert f"disc {percent(disc['posterior']['disc'])}" in out
    assert f"log-evidence {disc['log_evidence']:.1f} nats, novelty {disc['novelty']:+.1f}" in out
    assert noise["prediction"] == "unknown"
    assert not noise["known"]
    assert f"{strange}: unknown\n" in out
    assert noise["reason"] in out
    plain = json.loads(program("predict", shapes_run, strange, "--json")[1])[0]
    assert plain["prediction"] == max(plain["posterior"], key=plain["posterior"].get)


def test_refusals(refusal, program, shapes_run, pictures, tmp_path):
    assert "did you mean" in refusal("predict", shapes_run, tmp_path / "brr.png")
    (tmp_path / "words.png").write_text("words")
    assert "words.png is no image" in refusal("predict", shapes_run, tmp_path / "words.png")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no image that could be read" in refusal("predict", shapes_run, empty)
    both = refusal("predict", shapes_run, tmp_path / "words.png", empty)
    assert "none of the 2 images could be read; the first: " in both
    assert "is not a run folder" in refusal("predict", tmp_path, pictures[0])
    for option, value, said in (
        ("--prior", "bar=0.9,ring=0.2", "sum to 1.1"),
        ("--prior", "barr=0.9", "did you mean 'bar'?"),
        ("--level", 0, "strictly between 0 and 1"),
        ("--dependence", 40, "If this is a percentage, write 0.4"),
    ):
        assert said in refusal("predict", shapes_run, pictures[0], option, value)
    assert program("predict", shapes_run)[0] == 2
    status, _, err = program("predict", shapes_run, pictures[0], "--dependence", 0.5)
    assert status == 2
    assert "--dependence: needs --same-subject" in err


def test_the_good_ones_are_answered_and_the_bad_ones_named(program, shapes_run, pictures, tmp_path):
    (tmp_path / "zero.png").write_bytes(b"")
    given = (tmp_path / "zero.png", pictures[0], tmp_path / "gone.png", pictures[1])
    status, out, err = program("predict", shapes_run, *given, "--json")
    found = json.loads(out)
    assert status == 0
    assert [row["path"] for row in found] == [str(path) for path in given]
    assert [row["prediction"] for row in found] == [None, "bar", None, "disc"]
    assert found[0]["error"].endswith("zero.png is no image that can be read: zero bytes.")
    assert "does not exist" in found[2]["error"]
    assert found[0]["posterior"] is found[0]["known"] is None
    assert "error" not in found[1]
    assert "zero.png is no image that can be read" in err
    status, out, err = program("predict", shapes_run, *given)
    assert (status, out.count("posterior")) == (0, 2)
    assert err.count("\n") == 2


def test_folders_and_archives_hold_images_too(program, shapes_run, pictures, tmp_path):
    folder = tmp_path / "pages" / "new"
    folder.mkdir(parents=True)
    for path in pictures:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.png").write_bytes(pictures[0].read_bytes()[:60])
    (folder / "notes.txt").write_text("words")
    archive = tmp_path / "pages.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, "new")
    for source in (folder.parent, archive):
        status, out, err = program("predict", shapes_run, source, pictures[2], "--json")
        found = json.loads(out)
        assert status == 0
        names = [f"{source}/new/{name}" for name in ("bar.png", "disc.png", "ring.png", "broken.png")]
        assert [row["path"] for row in found] == [*names, str(pictures[2])]
        assert [row["prediction"] for row in found] == ["bar", "disc", "ring", None, "ring"]
        assert found[3]["error"] == "cut off"
        assert "1 of 4 files were left out: 1 cut off" in err
        assert "1 file that is no image was passed over: 1 .txt" in err
        assert any("left out" in note for note in found[0]["notes"])
        assert found[4]["notes"] == []


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_name_images(program, shapes_run, more_shapes, pictures, tmp_path, monkeypatch, ending):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "own.png").write_bytes(pictures[1].read_bytes())
    paths = ["own.png", str(pictures[0]), "", "gone.png", str(more_shapes), "a" * 300, "ring.png"]
    table = pa.table({"subject": list(range(7)), "path": paths})
    given = elsewhere / f"images.{ending}"
    csv.write_csv(table, given) if ending == "csv" else parquet.write_table(table, given)
    monkeypatch.chdir(tmp_path)  # where ring.png is
    status, out, err = program("predict", shapes_run, given, "--json")
    found = json.loads(out)
    assert status == 0
    alone, rest = found[:4], found[4:]
    assert [row["path"] for row in alone] == ["own.png", str(pictures[0]), str(given), "gone.png"]
    assert [row["prediction"] for row in alone] == ["disc", "bar", None, None]
    assert alone[2]["error"] == f"{given}: row 3 names no path."
    assert rest[0]["path"].startswith(f"{more_shapes}/")
    assert "does not exist" in rest[-2]["error"]
    assert (rest[-1]["path"], rest[-1]["prediction"]) == ("ring.png", "ring")
    assert "row 3 names no path" in err


def test_tables_that_name_no_images(refusal, program, shapes_run, pictures, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("image,subject\na.png,1\n")
    said = "its columns are 'image', 'subject'; expected one called 'path' that names an image a row"
    assert said in refusal("predict", shapes_run, table)
    status, out, err = program("predict", shapes_run, table, pictures[0])
    assert (status, out.count("posterior")) == (0, 1)
    assert said in err
    (tmp_path / "words.parquet").write_bytes(b"PAR1 and nothing that belongs to it")
    assert "or a Parquet file" in refusal("predict", shapes_run, tmp_path / "words.parquet")


def test_answers_go_to_a_table_and_the_exit_status_says_whether_all_are_there(
    program, shapes_run, pictures, strange, tmp_path
):
    to = tmp_path / "answers.csv"
    status, out, _ = program("predict", shapes_run, *pictures, strange, "--to", to)
    assert (status, out) == (0, f"{to}: 4 images answered, 1 of them unlike anything seen, 0 not read\n")
    status, out, err = program(
        "predict", shapes_run, to, "gone.png", "--to", tmp_path / "again.csv", "--json"
    )
    made = json.loads(out)
    assert status == 1
    assert "'gone.png' does not exist" in err
    assert (made["answered"], made["unknown"], [row["path"] for row in made["unread"]]) == (
        4,
        1,
        ["gone.png"],
    )
    first, again = (csv.read_csv(tmp_path / name).to_pylist() for name in ("answers.csv", "again.csv"))
    assert [row["posterior_disc"] for row in first] == [row["posterior_disc"] for row in again[:4]]
    assert [row["path"] for row in again] == [*(row["path"] for row in first), "gone.png"]


def test_what_a_crop_cuts_away_is_said(program, shapes_run, tmp_path):
    wide = np.zeros((28, 112), np.uint8)
    wide[8:20, 50:62] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    row = json.loads(program("predict", shapes_run, tmp_path / "wide.png", "--json")[1])[0]
    assert row["notes"][0].startswith("75 % of its pixels are cut away: cropped to the run's 28x28")
    assert "75 % of its pixels are cut away" in program("predict", shapes_run, tmp_path / "wide.png")[1]


def test_costs_decide(program, shapes_run, pictures, tmp_path, strange):
    costs = tmp_path / "costs.json"
    costs.write_text(json.dumps({"scrap": {"disc": 50, "*": 0}, "ship": {"disc": 0, "*": 7}}))
    options = ("--costs", costs, "--hand-over", 1, "--reading-cost", 0.5, "--json")
    status, out, _ = program("predict", shapes_run, *pictures, strange, *options)
    found = json.loads(out)
    assert status == 0
    assert [set(p) for p in found] == [KEYS | {"decision"}] * 4
    actions = [p["decision"]["action"] for p in found]
    assert actions == ["scrap", "ship", "scrap", "hand to a person"]
    expected = {name: sum(c.get(k, c["*"]) * p for k, p in found[1]["posterior"].items())
                for name, c in json.loads(costs.read_text()).items()}  # fmt: skip
    assert {k: found[1]["decision"]["expected_cost"][k] for k in expected} == pytest.approx(expected)
    status, out, _ = program("predict", shapes_run, pictures[0], "--costs", "zero-one", "--reading-cost", 0.1)
    assert status == 0
    assert "do         bar (least expected cost" in out
    assert "another reading tells" in out


def test_costs_that_are_not_there(program, shapes_run, pictures):
    status, _, err = program("predict", shapes_run, pictures[0], "--costs", "nowhere.json")
    assert status == 1
    assert "nowhere.json" in err


def test_sets_of_classes_are_named(program, shapes_run, more_shapes):
    status, out, _ = program("predict", shapes_run, more_shapes, "--set-coverage", "95%", "--json")
    answers = json.loads(out)
    assert status == 0
    assert all(one["set"][0] == one["prediction"] for one in answers)
    status, out, _ = program("predict", shapes_run, more_shapes, "--set-coverage", "0.95")
    assert f"  set        {', '.join(answers[0]['set'])}" in out
    status, out, _ = program("evaluate", shapes_run, more_shapes, "--set-coverage", "0.95")
    assert "sets of classes for 95" in out


def test_one_answer_is_explained(program, shapes_run, pictures, tmp_path):
    why = tmp_path / "why.png"
    status, out, err = program("predict", shapes_run, pictures[1], "--explain", why, "--json")
    assert (status, json.loads(out)[0]["prediction"]) == (0, "disc")
    assert f"explained in {why}" in err
    assert why.read_bytes().startswith(b"\x89PNG")
    for more in ((pictures[0], "--explain", why), ("--explain", why, "--to", tmp_path / "a.csv")):
        status, _, err = program("predict", shapes_run, pictures[1], *more)
        assert status == 2
        assert "--explain: explains one image file" in err


@pytest.mark.parametrize("box", ["1,2,3", "9,9,1,1", "a,b,c,d"])
def test_a_box_that_is_none_and_a_run_that_has_no_use_for_it(program, shapes_run, pictures, box):
    with pytest.raises(InvalidInput, match=f"--box: got '{box}'; expected LEFT,TOP,RIGHT,BOTTOM in pixels"):
        _box(box)
    status, _, err = program("predict", shapes_run, pictures[0], "--box", box)
    assert status == 1
    assert "--box: not for a run of classification" in err
    assert _box("1,2,30.5,40") == (1, 2, 30.5, 40)


def test_a_classifier_is_asked_no_questions(program, shapes_run, pictures):
    status, _, err = program("predict", shapes_run, pictures[0], "--question", "What is it?")
    assert status == 1
    assert "--question: not for a run of classification; expected none. Leave it out." in err
