"""``bayesight train``: its JSON, its words, its refusals, and training that was interrupted."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors

from bayesight.cli.train import _text
from bayesight.formatting import THIN
from bayesight.report.words import percent, spread
from bayesight.run import Run

QUICK = ("--model", "mlp", "--set", "model.hidden=[16]", "--batch", 32, "--epochs", 2, "--threads", 1)


def test_json(program, source_keys, shapes, tmp_path):
    status, out, _ = program("train", shapes, "--out", tmp_path / "run", *QUICK, "--seed", 5, "--json")
    document = json.loads(out)
    assert status == 0
    own = {"run", "classes", "examples", "seconds", "validation", "details", "model"}
    assert set(document) == own | source_keys
    assert document["run"] == str(tmp_path / "run")
    assert document["classes"] == ["bar", "disc", "ring"]
    assert document["examples"] == 240
    assert 0 < document["seconds"] == document["details"]["seconds"]["total"]
    assert set(document["validation"]) == {
        "accuracy", "log_loss", "ece", "examples", "accuracy_interval", "log_loss_error", "verdict",
        "ece_by_chance",
    }  # fmt: skip
    assert document["validation"]["examples"] + document["details"]["examples"]["train"] == 240
    assert document["details"]["seed"] == 5
    recipe = Run.open(tmp_path / "run").recipe()
    assert (recipe.seed, recipe.data.batch, recipe.model.options["hidden"]) == (5, 32, [16])


def test_labels_and_groups_by_name(program, shapes, tmp_path):
    by_name = ("--labels-from", "(?P<label>bar|ring)/", "--group-by", r"(?P<group>[a-z]+/\d+)\d\.png")
    status, out, err = program("train", shapes, "--out", tmp_path / "run", *QUICK, *by_name, "--json")
    document = json.loads(out)
    assert status == 0
    assert document["classes"] == ["bar", "ring"]
    assert sum(document["groups"].values()) == 16
    assert "80 of 240 images have no label there" in err
    assert f"{document['groups']['train']} train, {document['groups']['validation']} validate" in err


def test_words_and_a_line_an_epoch(program, shapes, more_shapes, tmp_path):
    recipe = tmp_path / "recipe.toml"
    program("train", shapes, "--out", tmp_path / "first", *QUICK)
    recipe.write_text((tmp_path / "first" / "recipe.toml").read_text())
    options = ("--recipe", recipe, "--epochs", 3, "--also", more_shapes, "--threads", 1)
    status, out, err = program("train", shapes, "--out", tmp_path / "run", *options)
    assert status == 0
    metrics = Run.open(tmp_path / "run").metrics()
    assert metrics["examples"]["also"] == 90
    learned = 240 - metrics["examples"]["validation"] + 90
    assert f"trained on {learned} images of 3 classes in " in out
    again = program("train", shapes, "--out", tmp_path / "run", "--resume", "--json")
    assert json.loads(again[1])["examples"] == 330
    found = metrics["validation"]
    for words in (
        f"accuracy {percent(found['accuracy'])} ({spread(found['accuracy_interval'])})",
        f"log-loss {found['log_loss']:.4f} nats (standard error {found['log_loss_error']:.4f})",
        f"calibration error {percent(found['ece'])} (chance alone {percent(found['ece_by_chance'])})",
        "images held out, which also chose the weights",
    ):
        assert words.replace(THIN, " ") in out
    assert "bayesight evaluate" in out
    assert out.startswith(str(tmp_path / "run") + "\n")
    steps = metrics["total_steps"]
    lines = [line for line in err.splitlines() if f" of {steps} (epoch " in line]
    assert len(lines) == 3
    assert re.fullmatch(
        rf"step {steps} of {steps} \(epoch 3 of 3\): loss \d\.\d+, accuracy \d+\.\d+ %, log-loss \d\.\d+, "
        r"\d+\.\d s, 0 s left",
        lines[-1],
    )


def test_the_command_to_go_on_with_is_one_that_a_shell_takes():
    figures = {"examples": 3, "bits_per_character": 1.0, "log_loss": 0.5}
    metrics = {"kind": "language", "seconds": {"total": 1.0}, "examples": {"train": 9}, "validation": figures}
    result = SimpleNamespace(run=SimpleNamespace(folder=Path("my runs/plays")), metrics=metrics, words="")
    command = _text(result).rpartition("let it write: ")[2]
    assert shlex.split(command) == ["bayesight", "generate", "my runs/plays", "--prompt", "..."]


def test_refusals(refusal, program, shapes, tmp_path):
    out = ("--out", tmp_path / "run")
    assert "does not exist" in refusal("train", tmp_path / "nothing.zip", *out)
    assert "did you mean 'mlp'?" in refusal("train", shapes, *out, "--model", "mlpp")
    assert "did you mean 'epochs'?" in refusal("train", shapes, *out, "--set", "optimization.epoch=3")
    assert "is not a run folder" in refusal("train", shapes, *out, "--init-from", tmp_path)
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    assert "is not a run" in refusal("train", shapes, "--out", tmp_path / "mine", "--overwrite")
    for wrong in ("novalue", "=3"):
        status, _, err = program("train", shapes, *out, "--set", wrong)
        assert status == 2
        assert "is not KEY=VALUE" in err


def test_a_run_that_is_there(refusal, program, shapes, tmp_path):
    before = program("train", shapes, "--out", tmp_path / "run", *QUICK, "--json")[1]
    taken = refusal("train", shapes, "--out", tmp_path / "run", *QUICK)
    assert "--resume continues it, --overwrite replaces it" in taken
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    status, again, err = program("train", shapes, "--out", tmp_path / "run", "--resume", "--json")
    assert (status, err) == (0, "")
    metrics, old = json.loads(again), json.loads(before)
    assert metrics["details"].pop("format") == 2
    assert metrics == old
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == weights
    status, out, _ = program(
        "train", shapes, "--out", tmp_path / "run", *QUICK, "--seed", 3, "--overwrite", "--json"
    )
    assert json.loads(out)["details"]["seed"] == 3
    assert (tmp_path / "run" / "model.safetensors").read_bytes() != weights


INTERRUPTED = """if True:
    import os, sys
    from contextlib import contextmanager
    import bayesight.cli.train as command
    from bayesight.cli import main
    from bayesight.training.events import StepEvent
    listeners_as_ever = command.training_listeners

    def interrupt(event):
        if isinstance(event, StepEvent) and event.step == 7:
            os.kill(os.getpid(), int(os.environ["SENT"]))

    @contextmanager
    def listeners(*arguments, **options):
        with listeners_as_ever(*arguments, **options) as found:
            yield [*found, interrupt]

    command.training_listeners = listeners
    main()
"""


def interrupted(sent, run, arguments) -> int:
    """Train until a signal comes in the seventh step, which is finished and kept; the exit status."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *map(str, arguments)],
        env={**os.environ, "SENT": str(int(sent))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("bayesight: interrupted; what was trained is kept. Go on with: ")
    assert last.endswith(shlex.join([*map(str, arguments), "--resume"]))
    with safetensors.safe_open(run / "checkpoint" / "state.safetensors", "pt") as file:
        assert json.loads(file.metadata()["state"])["step"] == 7
    assert "Traceback" not in done.stderr
    return done.returncode


def test_a_scheduler_that_ends_training_loses_no_step(shapes, tmp_path):
    run = tmp_path / "run"
    assert interrupted(signal.SIGTERM, run, ["train", shapes, "--out", run, *QUICK]) == 143


def test_training_interrupted_and_continued_is_training(program, refusal, shapes, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", shapes, "--out", run, *QUICK]
    assert interrupted(signal.SIGINT, run, arguments) == 130
    assert "continue it with --resume" in refusal("evaluate", run, shapes)
    assert "--resume continues it" in refusal(*arguments)
    assert "another recipe" in refusal(*arguments, "--seed", 8, "--resume")
    status, out, err = program("train", shapes, "--out", run, "--threads", 1, "--resume", "--json")
    assert status == 0, err
    assert json.loads(out)["details"]["steps"] == json.loads(out)["details"]["total_steps"]
    program("train", shapes, "--out", tmp_path / "straight", *QUICK)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (run, tmp_path / "straight")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("value", ["16,16", "[16", "wide"])
def test_values_that_are_no_toml_are_text_and_refused_by_name(refusal, shapes, tmp_path, value):
    said = refusal("train", shapes, "--out", tmp_path / "run", "--set", f"optimization.epochs={value}")
    assert "optimization.epochs" in said


def test_a_model_that_makes_images(program, refusal, shapes, pictures, tmp_path):
    few = ("--model", "autoencoder", "--set", "model.hidden=[16]", "--epochs", 2, "--threads", 1)
    status, out, err = program("train", shapes, "--out", tmp_path / "run", *few)
    assert status == 0
    assert "images held out: squared error " in out
    assert str(tmp_path / "run" / "samples.png") in out
    assert err.count("squared error") == 2
    status, out, _ = program("train", shapes, "--out", tmp_path / "run", "--resume", "--json")
    document = json.loads(out)
    assert (status, document["classes"], document["examples"]) == (0, [], 240)
    assert document["details"]["kind"] == "generation"
    assert "makes images and knows no classes" in refusal("predict", tmp_path / "run", pictures[0])


def test_pretraining(program, refusal, shapes, more_shapes, tmp_path):
    pretrain = ("--pretrain", "simclr", "--set", "pretrain.epochs=1", "--set", "pretrain.batch=64")
    options = (*QUICK, *pretrain, "--unlabelled", more_shapes)
    status, out, err = program("train", shapes, "--out", tmp_path / "run", *options, "--json")
    stage = json.loads(out)["details"]["pretraining"]
    assert status == 0
    assert stage["examples"]["unlabelled"] == 90
    assert "pretraining loss" in err
    said = refusal("train", shapes, "--out", tmp_path / "other", *QUICK, "--unlabelled", more_shapes)
    assert "Add --pretrain simclr" in said
