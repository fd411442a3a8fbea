"""The command line as a whole: exit statuses, one sentence on standard error, JSON alone on the other."""

import errno
import inspect
import json
import signal
import subprocess
import sys

import pytest
import typer

import bayesight
from bayesight.cli.app import app
from bayesight.cli.options import SourceOptions, with_json, with_source
from bayesight.cli.output import say, write
from bayesight.errors import Impossible, InvalidInput, StorageFailed, TrainingDiverged

PROGRAM = [sys.executable, "-m", "bayesight"]


@pytest.fixture
def refused(monkeypatch, program):
    """Run a command whose work raises ``error``."""

    def run(error):
        import bayesight.workflows.summary

        def fail(*_, **__):
            raise error

        monkeypatch.setattr(bayesight.workflows.summary, "summarise", fail)
        return program("summary", "mlp")

    return run


def test_version(program):
    assert program("--version") == (0, f"bayesight {bayesight.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["data", "--help"], ["train", "--help"]])
def test_help_is_on_standard_output_and_no_failure(program, arguments):
    status, out, err = program(*arguments)
    assert (status, err) == (0, "")
    assert out.startswith("Usage: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["data", "inspct", "x.zip"], "Did you mean 'inspect'?"),
        (["train", "x.zip", "--oout", "y"], "--out"),
        (["train"], "Missing argument"),
        (["train", "x.zip", "--out", "y", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["train", "x.zip", "--out", "y", "--set", "novalue"], "not KEY=VALUE"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_suggestion(program, arguments, said):
    status, out, err = program(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_group_without_a_command_is_wrong_usage_that_helps(program):
    status, out, err = program("data")
    assert status == 2
    assert "inspect" in out + err


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("prior: sums to 2; expected 1."),
        Impossible("the evidence is 0."),
        StorageFailed("no space left in runs/x"),
        TrainingDiverged("the loss became nan at step 3"),
    ],
)
def test_every_refusal_is_one_sentence_and_status_1(refused, error):
    assert refused(error) == (1, "", f"bayesight: {error}\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/tmp/part"),
            "/tmp/part: No space left on device. Free some space there, then repeat.",
        ),
        (
            OSError(errno.EMFILE, "Too many open files"),
            "Too many open files. Let a process open more files ('ulimit -n'), then repeat.",
        ),
    ],
)
def test_a_refusal_of_the_system_is_one_sentence_too(refused, error, said):
    assert refused(error) == (1, "", f"bayesight: {said}\n")


def test_a_missing_source_names_the_working_directory_and_the_nearest_name(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "letters.tar.gz").touch()
    status, out, err = program("data", "inspect", "leters.tar.gz", "--json")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert str(tmp_path) in err
    assert "did you mean 'letters.tar.gz'?" in err


def test_an_interruption_ends_with_130_and_says_so(refused):
    status, out, err = refused(KeyboardInterrupt())
    assert (status, out) == (130, "")
    assert err == "bayesight: interrupted; what was written before is whole.\n"


@pytest.mark.parametrize("mistake", [ZeroDivisionError("a bug"), OSError(errno.EBADF, "Bad file descriptor")])
def test_our_own_mistakes_are_not_hidden(refused, mistake):
    with pytest.raises(type(mistake)):
        refused(mistake)


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_of_work_leaves_nothing_half_written(tmp_path, sent, status):
    out = tmp_path / "letters.tar.gz"
    command = [*PROGRAM, "data", "render", str(out), "--per-class", "200000"]
    code = (
        "import os, sys, threading\n"
        f"sys.argv = {command[2:]!r}\n"
        "from bayesight.cli import main\n"
        "import bayesight.letters.glyphs\n"
        f"threading.Timer(0.5, os.kill, (os.getpid(), {int(sent)})).start()\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    assert done.stderr == "bayesight: interrupted; what was written before is whole.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_is_no_failure():
    command = [*PROGRAM, "summary", "mlp", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read().decode()
    assert (process.returncode, said) == (0, "")


def test_json_is_the_only_thing_on_standard_output(program, shapes, shapes_run, tmp_path):
    from PIL import Image

    Image.new("L", (28, 28)).save(tmp_path / "one.png")
    for arguments, keys in [
        (["summary", "linear"], {"parameters", "layers"}),
        (["data", "inspect", shapes], {"classes", "examples", "shape", "quarantined", "duplicates"}),
        (["evaluate", shapes_run, shapes], {"examples", "accuracy", "log_loss", "ece", "confusion"}),
        (["predict", shapes_run, tmp_path / "one.png"], {"path", "prediction", "posterior"}),
    ]:  # fmt: skip
        status, out, _ = program(*arguments, "--json")
        assert status == 0
        assert out.count("\n") == 1
        document = json.loads(out)
        assert keys <= set(document[0] if isinstance(document, list) else document), arguments[0]


def test_training_says_how_it_goes_on_standard_error(program, shapes, tmp_path):
    options = ("--model", "linear", "--epochs", 2, "--threads", 1, "--json")
    status, out, err = program("train", shapes, "--out", tmp_path / "run", *options)
    assert status == 0, err
    document = json.loads(out)
    assert {"run", "classes", "examples", "seconds", "validation"} <= set(document)
    assert set(document["validation"]) >= {"accuracy", "log_loss", "ece"}
    assert document["examples"] == 240
    assert err.count("accuracy") == 2  # a line an epoch
    again = program("train", shapes, "--out", tmp_path / "run")
    assert again[0] == 1
    assert "--resume continues it, --overwrite replaces it" in again[2]


@with_json
def answering(value: float = 0.5) -> None:
    write({"a": value, "b": [float("inf"), 1.5]}, f"a\u202fis {value}")


def test_one_decorator_gives_a_command_its_json(capsys):
    answering(value=float("nan"), as_json=True)
    assert capsys.readouterr().out == '{"a": null, "b": [null, 1.5]}\n'
    answering(value=2.0)
    assert capsys.readouterr().out == "a is 2.0\n"


@with_source("by_name", "class_level")
def reading(source: str, *, options: SourceOptions) -> None:
    write({}, f"{source} {options.numbers} {options.layout.labels_from} {options.container.names}")


def test_one_decorator_gives_a_command_the_options_of_sources(capsys):
    reading(source="a.zip", by_position=True, labels_from="x.csv:y", names="cp949")
    assert capsys.readouterr().out == "a.zip positions x.csv:y cp949\n"
    taken = set(inspect.signature(reading).parameters)
    assert taken == {"source", "by_position", "labels_from", "split_folders", "names", "follow_links"}


def test_every_command_has_json():
    def commands(group):
        for command in group.commands.values():
            yield from commands(command) if hasattr(command, "commands") else [command]

    found = list(commands(typer.main.get_command(app)))
    assert len(found) > 25
    assert [c.name for c in found if "--json" not in {o for p in c.params for o in p.opts}] == []


def test_what_is_said_goes_to_standard_error(capsys):
    say("reading")
    assert capsys.readouterr() == ("", "reading\n")


def test_python_dash_m_is_the_command():
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"bayesight {bayesight.__version__}\n"


def test_help_needs_no_terminal_and_no_environment():
    done = subprocess.run(
        [*PROGRAM, "--help"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env={}
    )
    assert (done.returncode, done.stderr) == (0, "")
