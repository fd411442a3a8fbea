"""Optimizers against their update rules, schedules against torch's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bayesight.errors import InvalidConfig, InvalidInput, UnknownName
from bayesight.optim import OPTIMIZERS, SCHEDULES, build_optimizer, build_schedule, decay_groups


def quadratic(seed=0):
    """A parameter w and the gradient of 0.5 (w - 3)' D (w - 3)."""
    layer = nn.Linear(4, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 4.0]]))
    scale = torch.tensor([[1.0, 2.0, 0.5, 3.0]], dtype=torch.float64)

    def backward():
        layer.weight.grad = None
        (0.5 * scale * (layer.weight - 3).square()).sum().backward()
        return layer.weight.grad.clone()

    return layer, backward


def rule(name, lr, decay):
    """The published update of one scalar tensor, as a generator of steps."""
    state = {}

    def step(w, g, t):
        if decay and name not in ("adamw", "muon"):
            g = g + decay * w
        if name == "sgd":
            return w - lr * g
        if name == "nesterov":
            state["v"] = g if t == 1 else 0.9 * state["v"] + g
            return w - lr * (g + 0.9 * state["v"])
        if name == "adagrad":
            state["s"] = state.get("s", 0) + g * g
            return w - lr * g / (state["s"].sqrt() + 1e-10)
        if name == "rmsprop":
            state["s"] = 0.99 * state.get("s", 0) + 0.01 * g * g
            return w - lr * g / (state["s"].sqrt() + 1e-8)
        if name == "adamw":
            w = w * (1 - lr * decay)
        if name == "muon":  # of one row, the only singular value is its length
            state["v"] = 0.95 * state.get("v", 0) + g
            ahead = g + 0.95 * state["v"]
            value = 1.0
            for _ in range(5):
                value = 3.4445 * value - 4.7750 * value**3 + 2.0315 * value**5
            return w * (1 - lr * decay) - lr * value * ahead / ahead.norm()
        state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
        state["s"] = 0.999 * state.get("s", 0) + 0.001 * g * g
        m, s = state["m"] / (1 - 0.9**t), state["s"] / (1 - 0.999**t)
        return w - lr * m / (s.sqrt() + 1e-8)

    return step


@pytest.mark.parametrize("name", OPTIMIZERS.names())
@pytest.mark.parametrize("decay", [0.0, 0.03])
def test_every_optimizer_is_its_published_rule(name, decay):
    layer, backward = quadratic()
    optimizer = build_optimizer(name, layer, lr=0.05, weight_decay=decay)
    step, w = rule(name, 0.05, decay), layer.weight.detach().clone()
    for t in range(1, 40):
        w = step(w, backward(), t)
        optimizer.step()
        torch.testing.assert_close(layer.weight.detach(), w, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_the_backbone_has_a_rate_of_its_own_and_all_else_stays(name):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model.head = nn.Linear(4, 2)
    model[1].bias.requires_grad_(False)
    plain = build_optimizer(name, model, lr=0.1, weight_decay=0.03)
    apart = build_optimizer(name, model, lr=0.1, weight_decay=0.03, backbone_lr=0.02)

    def told(optimizer):
        return {
            p: {k: v for k, v in g.items() if k != "params"}
            for g in optimizer.param_groups
            for p in g["params"]
        }

    head, expected = set(model.head.parameters()), told(plain)
    assert told(apart) == {p: {**g, "lr": 0.1 if p in head else 0.02} for p, g in expected.items()}
    assert len(expected) == 5
    alone = build_optimizer(name, model.head, lr=0.1, backbone_lr=0.02)
    assert {group["lr"] for group in alone.param_groups} == {0.1}
    with pytest.raises(InvalidInput, match="backbone_lr"):
        build_optimizer(name, model, lr=0.1, backbone_lr=0.0)


def test_only_matrices_and_kernels_decay():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    model[3].bias.requires_grad_(False)
    decayed, kept = decay_groups(model, 0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(model[0].weight), id(model[3].weight)}
    assert {id(p) for p in kept["params"]} == {id(model[0].bias), id(model[1].weight), id(model[1].bias)}


@settings(deadline=None, max_examples=20)
@given(st.integers(5, 400), st.floats(0.05, 0.9))
def test_one_cycle_is_torchs(total, warmup):
    if warmup * total <= 2:
        return
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    oracle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=total, pct_start=warmup, cycle_momentum=False
    )
    factor = build_schedule("one_cycle", total, warmup=warmup)
    for step in range(total):
        assert math.isclose(factor(step), optimizer.param_groups[0]["lr"], rel_tol=1e-6, abs_tol=1e-9)
        optimizer.step()
        if step < total - 1:
            oracle.step()


def test_cosine_and_constant_by_hand():
    factor = build_schedule("cosine", 200, warmup=0.1, final=0.2)
    assert [factor(0), factor(19), factor(20)] == [1 / 20, 1.0, 1.0]
    assert math.isclose(factor(110), 0.6)
    assert math.isclose(factor(199), 0.2, abs_tol=1e-3)
    assert [build_schedule("constant", 10)(s) for s in (0, 5, 9)] == [1.0] * 3
    assert build_schedule("constant", 10, warmup=0.5)(1) == 0.4


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SCHEDULES.names()), st.integers(1, 300), st.floats(0, 1))
def test_factors_stay_in_bounds_and_never_rise_after_the_peak(name, total, warmup):
    factors = [build_schedule(name, total, warmup=warmup)(s) for s in range(total)]
    assert all(0 <= f <= 1 + 1e-12 for f in factors)
    peak = max(range(total), key=factors.__getitem__)
    assert all(a >= b - 1e-12 for a, b in zip(factors[peak:], factors[peak + 1 :], strict=False))


def test_refusals():
    layer = nn.Linear(2, 2)
    with pytest.raises(UnknownName, match="did you mean 'adamw'"):
        build_optimizer("admw", layer, lr=0.1)
    with pytest.raises(InvalidConfig, match="no option 'momentum'"):
        build_optimizer("adam", layer, lr=0.1, momentum=0.9)
    with pytest.raises(InvalidInput, match="positive learning rate"):
        build_optimizer("sgd", layer, lr=0.0)
    with pytest.raises(InvalidInput, match="weight_decay"):
        build_optimizer("sgd", layer, lr=0.1, weight_decay=-1.0)
    with pytest.raises(InvalidInput, match="betas"):
        build_optimizer("adam", layer, lr=0.1, betas=(0.9, 1.0))
    with pytest.raises(InvalidInput, match="warmup"):
        build_schedule("cosine", 10, warmup=2.0)
    with pytest.raises(InvalidConfig, match="did you mean 'warmup'"):
        build_schedule("cosine", 10, warmpu=0.1)
    with pytest.raises(InvalidInput, match="at least one"):
        build_schedule("cosine", 0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-15), (torch.float32, 3e-7)])
def test_adam_walks_as_algorithm_1_of_its_paper_for_200_steps(dtype, tolerance):
    """Kingma and Ba 2014, at other values than their defaults, for torch's fused kernel is what trains."""
    lr, beta1, beta2, eps = 3e-3, 0.85, 0.99, 1e-7
    layer = nn.Linear(50, 1, bias=False, dtype=dtype)
    optimizer = build_optimizer("adam", layer, lr=lr, weight_decay=0.0, betas=[beta1, beta2], eps=eps)
    generator = torch.Generator().manual_seed(1)
    first = second = torch.zeros(1, 50, dtype=torch.float64)
    for t in range(1, 201):
        before = layer.weight.detach().clone()
        gradient = torch.randn(1, 50, generator=generator, dtype=torch.float64).to(dtype)
        layer.weight.grad = gradient.clone()
        optimizer.step()
        first = beta1 * first + (1 - beta1) * gradient.double()
        second = beta2 * second + (1 - beta2) * gradient.double().square()
        scale = (second / (1 - beta2**t)).sqrt() + eps
        expected = before.double() - lr * first / (1 - beta1**t) / scale
        assert (layer.weight.detach().double() - expected).abs().max() < tolerance
