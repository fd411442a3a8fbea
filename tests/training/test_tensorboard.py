"""Every number of an evaluation becomes a scalar that TensorBoard reads back."""

import sys

import pytest

from bayesight.errors import MissingExtra
from bayesight.training.events import EvaluationEvent, StepEvent, TrainingEnd
from bayesight.training.tensorboard import TensorBoardListener


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
