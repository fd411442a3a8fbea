"""``bayesight data render``: the archive, the JSON, and refusals in one sentence."""

import json
import shutil
import sys
import tarfile
from collections import namedtuple
from pathlib import Path

import matplotlib
import pytest

from bayesight.cli import main
from bayesight.data.store import open_store

Done = namedtuple("Done", "returncode stdout stderr")


@pytest.fixture
def bayesight(capsys, monkeypatch):
    """Run the command line in this process; gives (exit status, standard output, standard error)."""

    def run(*arguments, cwd=None):
        if cwd:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["bayesight", "data", *map(str, arguments)])
        try:
            status = main() or 0
        except SystemExit as leave:
            status = leave.code or 0
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fonts")
    for name in ("DejaVuSans", "cmr10", "cmex10"):
        shutil.copy(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", folder)
    return folder


def test_render_prints_one_document_and_the_store_reads_what_it_wrote(bayesight, fonts, tmp_path):
    done = bayesight(
        "render", "letters.tar.gz", "--per-class", 6, "--fonts", fonts, "--size", 24, "--seed", 3,
        "--label-noise", 0.05, "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert answer["path"] == str(tmp_path / "letters.tar.gz")
    assert (answer["examples"], answer["fonts"], answer["mislabelled"]) == (60, 2, 3)
    assert sum(answer["classes"].values()) == 60
    assert [Path(font["path"]).name for font in answer["left_out"]] == ["cmex10.ttf"]
    assert "symbols" in answer["left_out"][0]["reason"]
    store = open_store(tmp_path / "letters.tar.gz")
    assert store.images.shape == (60, 24, 24)
    assert "".join(store.classes) == "ABCDEFGHIJ"
    assert store.manifest.counts == answer["classes"]
    assert store.manifest.quarantined == ()
    assert store.manifest.ignored == 1  # fonts.csv


def test_render_tells_people_what_it_made(bayesight, fonts, tmp_path):
    done = bayesight(
        "render", tmp_path / "x.tar.gz", "--characters", "a7", "--per-class", 2, "--fonts", fonts
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 images of 2 classes from")
    with tarfile.open(tmp_path / "x.tar.gz") as archive:
        assert {name.split("/")[1] for name in archive.getnames()} == {"a_small", "7", "fonts.csv"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "4", "--label-noise", "2"], "render: 2 problems: size: got 4"),
        (["--fonts", "nowhere"], "'nowhere' does not exist"),
        (["--characters", "AA"], "given more than once"),
    ],
)
def test_refusals_are_one_sentence_and_status_1(bayesight, tmp_path, arguments, said):
    done = bayesight("render", "x.tar.gz", *arguments, "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("bayesight: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_is_there_is_kept_without_overwrite(bayesight, fonts, tmp_path):
    out = tmp_path / "x.tar.gz"
    out.write_text("mine")
    options = ("--characters", "AB", "--per-class", 1, "--fonts", fonts)
    refused = bayesight("render", out, *options)
    assert refused.returncode == 1
    assert "--overwrite" in refused.stderr
    assert out.read_text() == "mine"
    assert bayesight("render", out, *options, "--overwrite").returncode == 0
    assert tarfile.is_tarfile(out)
