"""Progress on request: a line on standard error from every function that takes it."""

import inspect
import re
from typing import get_type_hints

import bayesight
from bayesight.progress import reporter
from bayesight.training.recipe import Recipe
from bayesight.types import ShownProgress
from bayesight.workflows.train import TrainRequest, train


def test_a_line_says_how_much_is_done_how_fast_and_how_long_still(capsys, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("bayesight.progress.time.monotonic", lambda: clock[0])
    tell = reporter(True, "reading", "rows")
    for done in (0, 10, 20, 40):
        clock[0] += 0.15  # more often than five times a second is not worth it
        tell(done, 40)
    lines = capsys.readouterr().err.split("\r")[1:]
    assert [line.rstrip() for line in lines] == [
        "reading: 0 of 40 rows, 0/s",
        "reading: 20 of 40 rows, 44/s, 0 s left",
        "reading: 40 of 40 rows, 67/s, 0 s left",
    ]
    assert lines[-1].endswith("\n")


def test_a_sentence_stands_on_a_line_of_its_own(capsys):
    tell = reporter(True, "reading")
    tell(1, None)
    tell.announce("this will be large")
    tell(2, 2)
    lines = capsys.readouterr().err.splitlines()
    assert "this will be large" in [line.strip() for line in lines]


def test_what_is_not_asked_for_is_not_written(capsys, shapes):
    bayesight.open_store(shapes, size=14)
    assert capsys.readouterr().err == ""
    bayesight.open_store(shapes, size=15, progress=True)
    assert re.search(r"reading: [\d,]+ of [\d,]+ images", capsys.readouterr().err)


def test_training_from_python_shows_its_epochs(shapes, tmp_path, capsys):
    recipe = Recipe.default("linear").changed({"optimization.epochs": 2, "data.batch": 64, "data.size": 16})
    train(TrainRequest(shapes, tmp_path / "run", recipe, threads=1), progress=True)
    said = capsys.readouterr().err
    assert "reading: " in said
    assert len(re.findall(r"step \d of 6 \(epoch \d of 2\): loss .*, accuracy .* left", said)) == 2


def test_every_public_function_takes_it_in_the_same_way():
    taking = [getattr(bayesight, name) for name in bayesight.__all__]
    taking = [f for f in taking if inspect.isfunction(f) and "progress" in inspect.signature(f).parameters]
    assert {f.__name__ for f in taking} >= {
        "open_store",
        "render",
        "train",
        "evaluate",
        "update",
        "infer_prior",
    }
    assert all(get_type_hints(f)["progress"] == ShownProgress for f in taking)
