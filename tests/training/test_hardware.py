"""What a run computes on is chosen, bounded and written down."""

import pytest
import torch

from bayesight.errors import InvalidInput
from bayesight.training.hardware import (
    _accelerator,
    choose_hardware,
    default_threads,
    has_bf16,
)


def test_half_the_cores_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr("bayesight.training.hardware.available_cores", lambda: 12)
    assert [default_threads(), default_threads(2), default_threads(99)] == [6, 3, 1]
    assert choose_hardware(precision="32", device="cpu").threads == 6
    assert torch.get_num_threads() == 6
    assert choose_hardware(precision="32", threads=1, device="cpu").threads == 1
    monkeypatch.setattr("bayesight.training.hardware.available_cores", lambda: 1)
    assert default_threads() == 1


def test_precision_follows_the_processor(monkeypatch):
    for supported, chosen in ((True, "bf16"), (False, "32")):
        monkeypatch.setattr("bayesight.training.hardware.has_bf16", lambda on=False, s=supported: s)
        assert choose_hardware(device="cpu", threads=1).precision == chosen
    monkeypatch.undo()
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: True)
    for tiles in (True, False):
        monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda t=tiles: t)
        assert has_bf16() is tiles


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


@pytest.mark.parametrize(
    "device", ["nonsense", "", "cuda:", "cuda:x", "cpu:1", "cuda:-1", "cuda:9999999", "meta"]
)
def test_what_is_no_device_is_refused_with_what_is_one(device):
    said = rf"^device: got '{device}'; expected auto, cpu, cuda, cuda:N or mps\.$"
    with pytest.raises(InvalidInput, match=said):
        choose_hardware(device=device, threads=1)


@pytest.mark.parametrize(
    ("device", "name"),
    [("cuda", "CUDA GPU"), ("gpu", "CUDA GPU"), ("cuda:7", "CUDA GPU"), ("mps", "Apple GPU")],
)
def test_a_device_that_is_not_there_is_a_sentence(device, name, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    said = rf"^device: got '{device}', and torch \S+ finds no {name}; .* Use cpu, or auto for the fastest"
    with pytest.raises(InvalidInput, match=said):
        choose_hardware(device=device, threads=1)


def test_a_gpu_is_taken_by_kind_or_by_number(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [_accelerator(d, 1) for d in ("CUDA", "cuda:1", "cpu", "auto")] == [
        ("cuda", 1), ("cuda", [1]), ("cpu", 1), ("auto", 1)
    ]  # fmt: skip
    assert _accelerator("gpu", 2) == ("cuda", 2)
    with pytest.raises(InvalidInput, match=r"'cuda:2', and torch .* finds 2 of them"):
        _accelerator("cuda:2", 1)
    with pytest.raises(InvalidInput, match="one process, or plain cuda"):
        _accelerator("cuda:1", 2)
