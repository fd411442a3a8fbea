"""What a run computes on is chosen, bounded and written down."""

import pytest
import torch

from bayesight.errors import InvalidInput
from bayesight.train.hardware import available_cores, choose_hardware, default_threads, has_bf16


@pytest.fixture(autouse=True)
def _threads_as_they_were():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_half_the_cores_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr("bayesight.train.hardware.available_cores", lambda: 12)
    assert [default_threads(), default_threads(2), default_threads(99)] == [6, 3, 1]
    assert choose_hardware(precision="32", device="cpu").threads == 6
    assert torch.get_num_threads() == 6
    assert choose_hardware(precision="32", threads=1, device="cpu").threads == 1
    monkeypatch.setattr("bayesight.train.hardware.available_cores", lambda: 1)
    assert default_threads() == 1


def test_precision_follows_the_processor(monkeypatch):
    for supported, chosen in ((True, "bf16"), (False, "32")):
        monkeypatch.setattr("bayesight.train.hardware.has_bf16", lambda on=False, s=supported: s)
        assert choose_hardware(device="cpu", threads=1).precision == chosen
    monkeypatch.undo()
    assert isinstance(has_bf16(), bool)
    assert available_cores() >= 1


def test_bf16_is_applied_around_the_model_and_weights_stay_whole():
    hardware = choose_hardware(precision="bf16", device="cpu", threads=1)
    model = hardware.fabric.setup(torch.nn.Linear(4, 3))
    seen = []
    model.module.register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    model(torch.ones(2, 4))
    assert seen == [torch.bfloat16]
    assert model.weight.dtype == torch.float32


def test_no_threads_are_refused():
    with pytest.raises(InvalidInput, match="threads"):
        choose_hardware(threads=0)
