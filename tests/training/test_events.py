"""Training in words: which epoch, how high its loss, how good, how long still."""

from __future__ import annotations

import sys

import pytest

from bayesight.errors import MissingExtra
from bayesight.training import events
from bayesight.training.events import (
    EpochReporter,
    EvaluationEvent,
    SourceEvent,
    StepEvent,
    TensorBoardListener,
    TrainingEnd,
    TrainingStart,
)


@pytest.fixture
def clock(monkeypatch):
    """Set the time, in seconds."""
    now = [100.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, 100.0 + seconds)


def evaluation(step, **row):
    return EvaluationEvent(step, {"step": step, "elapsed_s": 12.5, **row}, improved=True)


def test_an_evaluation_is_a_line_of_where_how_high_how_good_and_how_long(clock):
    lines = []
    epochs = EpochReporter(lines.append)
    epochs(SourceEvent(("a note",)))
    epochs(TrainingStart(0, 100, 20))
    clock(10)
    row = {"classifier.total": 0.51234, "classifier.extra": 9.0, "accuracy": 0.875, "log_loss": 0.25}
    epochs(evaluation(20, **row))
    epochs(TrainingEnd(20, stopped_early=False))
    assert lines == [
        "step 20 of 100 (epoch 1 of 5): loss 0.5123, accuracy 87.50 %, log-loss 0.2500, 12.5 s, 40 s left"
    ]


def test_resumed_training_counts_the_time_of_its_own_steps(clock):
    epochs = EpochReporter()
    epochs(TrainingStart(50, 100, 20))
    clock(10)
    assert epochs.left(60) == "40 s"
    assert epochs.left(100) == "0 s"


@pytest.mark.parametrize(("step", "words"), [(1, "1 of 6"), (20, "1 of 6"), (21, "2 of 6"), (101, "6 of 6")])
def test_the_last_epoch_may_be_a_short_one(step, words):
    epochs = EpochReporter()
    epochs(TrainingStart(0, 101, 20))
    assert epochs.epoch(step) == f"epoch {words}"


def test_two_losses_are_named_and_so_is_pretraining(clock):
    lines = []
    epochs = EpochReporter(lines.append)
    epochs(TrainingStart(0, 10, 5))
    epochs(evaluation(5, **{"discriminator.total": 1.0, "generator.total": 2.0}))
    epochs(evaluation(10, **{"pretrain.total": 3.0}))
    assert "discriminator loss 1.0000, generator loss 2.0000, 12.5 s" in lines[0]
    assert "): pretraining loss 3.0000, 12.5 s" in lines[1]


def test_a_bar_says_the_present_step_in_a_few_words():
    epochs = EpochReporter()
    epochs(TrainingStart(0, 40, 20))
    assert epochs.now(StepEvent(3, {"net.total": 0.125, "net.part": 1.0})) == "epoch 1 of 2, loss 0.125"
    epochs(evaluation(20, accuracy=0.5, log_loss=1.0))
    assert epochs.now(StepEvent(21, {})) == "epoch 2 of 2, accuracy 50.00 %, log-loss 1.0000"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scalars_are_read_back(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    listen = TensorBoardListener(tmp_path)
    listen(StepEvent(1, {"classifier.total": 2.0}))
    for step, value in ((10, 0.5), (20, 0.75)):
        listen(
            EvaluationEvent(
                step, {"step": float(step), "accuracy": value, "classifier.total": 1 - value}, True
            )
        )
    listen(TrainingEnd(20, stopped_early=False))
    read = EventAccumulator(str(tmp_path)).Reload()
    assert set(read.Tags()["scalars"]) == {"accuracy", "classifier/total"}
    assert [(e.step, e.value) for e in read.Scalars("accuracy")] == [(10, 0.5), (20, 0.75)]


def test_without_the_extra_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r"bayesight\[tensorboard\]"):
        TensorBoardListener(tmp_path)
