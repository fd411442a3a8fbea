"""A task's state in a file: whole at every moment, put back in every bit, refused where it is another's."""

import json
import os
import signal
import threading

import pytest
import safetensors.torch
import torch
from torch import nn

from bayesight.errors import RunUnreadable, StorageFailed
from bayesight.training.average import WeightAverage
from bayesight.training.checkpoint import FORMAT, FileCheckpointer
from bayesight.training.engine import State, Task, Update


class Buffer:
    """A part of a task that has a state of its own."""

    def __init__(self, *values):
        self.seen = torch.tensor(values)

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def task_of(seed=0, steps=0):
    """A small convolution under Adam after some steps, in channels-last, and what it remembers."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(2, 3, 5, 5)).square().mean().backward()
        optimizer.step()
    memory = Buffer(1.0 * seed, 2.0)
    return Task(lambda m, step: (), model, {}, [Update("net", optimizer)], stateful={"memory": memory})


def tensors(task):
    """Every tensor of a task by name."""
    named = dict(task.model.state_dict())
    for index, values in task.updates[0].optimizer.state_dict()["state"].items():
        named |= {f"{index}.{key}": value for key, value in values.items()}
    return named | task.stateful["memory"].state_dict()


def test_everything_is_put_back_in_every_bit(tmp_path):
    task = task_of(steps=3)
    average = WeightAverage(task.model, 0.9)
    average.update(5)
    best = {"0.bias": torch.arange(4.0)}
    state = State(step=7, best=0.25, best_step=5, history=[{"step": 5.0, "loss": 0.5}], best_weights=best)
    keeper = FileCheckpointer(tmp_path / "new", {"recipe": "a"})
    keeper.save(task, average, state, force=True)
    other = task_of(seed=9)
    shadow = WeightAverage(other.model, 0.9)
    found = keeper.load(other, shadow)
    assert (found.step, found.best, found.best_step, found.history) == (7, 0.25, 5, state.history)
    assert torch.equal(found.best_weights["0.bias"], best["0.bias"])
    kept, back = tensors(task), tensors(other)
    assert kept.keys() == back.keys()
    assert all(torch.equal(kept[name], back[name]) for name in kept)
    assert all(torch.equal(average.shadow[name], shadow.shadow[name]) for name in shadow.shadow)
    moment = other.updates[0].optimizer.state_dict()["state"][0]["exp_avg"]
    assert moment.stride() == other.model[0].weight.stride()


def test_nothing_kept_is_a_fresh_state(tmp_path):
    task = task_of()
    before = {name: value.clone() for name, value in tensors(task).items()}
    assert FileCheckpointer(tmp_path, {}).load(task, None) == State()
    assert all(torch.equal(before[name], value) for name, value in tensors(task).items())


def test_another_run_is_refused_by_what_differs(tmp_path):
    FileCheckpointer(tmp_path, {"recipe": "a", "threads": 2}).save(task_of(), None, State(), force=True)
    with pytest.raises(RunUnreadable, match=r"belongs to another run: recipe was 'a', is 'b'; threads was 2"):
        FileCheckpointer(tmp_path, {"recipe": "b", "threads": 1}).load(task_of(), None)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_damaged_file_is_refused_and_nothing_is_changed(tmp_path, share):
    keeper = FileCheckpointer(tmp_path, {})
    keeper.save(task_of(steps=2), None, State(step=3), force=True)
    content = keeper.path.read_bytes()
    keeper.path.write_bytes(content[: int(share * len(content))])
    task = task_of(seed=4)
    before = {name: value.clone() for name, value in tensors(task).items()}
    with pytest.raises(RunUnreadable, match=r"damaged .*; start again with --overwrite"):
        keeper.load(task, None)
    assert all(torch.equal(before[name], value) for name, value in tensors(task).items())


def test_a_newer_format_is_refused(tmp_path):
    keeper = FileCheckpointer(tmp_path, {})
    metadata = {"format": str(FORMAT + 1), "identity": "{}", "state": json.dumps({"step": 1})}
    keeper.path.write_bytes(safetensors.torch.save({"model.x": torch.zeros(1)}, metadata))
    with pytest.raises(RunUnreadable, match=f"format {FORMAT + 1}, newer than {FORMAT}; update Bayesight"):
        keeper.load(task_of(), None)


def test_saves_are_spaced_unless_forced(tmp_path):
    keeper = FileCheckpointer(tmp_path, {}, every_s=1000.0)
    keeper.save(task_of(), None, State(step=1))
    assert not keeper.path.exists()
    keeper.save(task_of(), None, State(step=2), force=True)
    keeper.save(task_of(), None, State(step=3))
    assert keeper.load(task_of(), None).step == 2
    often = FileCheckpointer(tmp_path, {}, every_s=0.0)
    often.save(task_of(), None, State(step=4))
    assert often.load(task_of(), None).step == 4


def test_a_save_that_fails_leaves_the_file_of_before(tmp_path, monkeypatch):
    keeper = FileCheckpointer(tmp_path, {})
    keeper.save(task_of(), None, State(step=1), force=True)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageFailed):
        keeper.save(task_of(), None, State(step=2), force=True)
    assert keeper.load(task_of(), None).step == 1


def test_an_interrupt_waits_for_the_step_and_a_second_one_does_not(tmp_path):
    keeper = FileCheckpointer(tmp_path, {}, every_s=1000.0)
    before, done = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), keeper.stopping_between_steps():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        done.append("the step under way")
        keeper.save(task_of(), None, State(step=5))
        done.append("another one")
    assert done == ["the step under way"]
    assert keeper.load(task_of(), None).step == 5
    with pytest.raises(KeyboardInterrupt), keeper.stopping_between_steps():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done.append("another one")
    assert done == ["the step under way"]
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_signals_are_left_alone(tmp_path):
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with FileCheckpointer(tmp_path, {}).stopping_between_steps():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
