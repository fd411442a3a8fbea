"""Losses against their formulas, an independent library and a law."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from bayesight.errors import InvalidConfig, InvalidInput, UnknownName
from bayesight.losses import LOSSES, build_loss, sees_environments

OPTIONS = {"cross_entropy": {"label_smoothing": 0.1}, "forward_corrected": {"noise_rate": 0.2}}


def drawn(count=40, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (count,), generator=generator)


def test_every_loss_is_covered():
    assert set(OPTIONS) == {name for name in LOSSES.names() if not sees_environments(name)}


@pytest.mark.parametrize("name", OPTIONS)
def test_gradient_is_the_derivative(name):
    logits, labels = drawn(4, 3, 1)
    loss = build_loss(name, 3, **OPTIONS[name])
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), (logits.requires_grad_(),))


def test_cross_entropy_against_scikit_learn():
    logits, labels = drawn()
    ours = build_loss("cross_entropy", 5)(logits, labels).item()
    assert math.isclose(ours, log_loss(labels, logits.softmax(1), labels=range(5)), rel_tol=1e-12)


def test_smoothing_and_weights_are_their_formulas():
    logits, labels = drawn(seed=2)
    log_p = logits.log_softmax(1)
    target = torch.full_like(log_p, 0.2 / 5)
    target[torch.arange(len(labels)), labels] += 0.8
    smoothed = build_loss("cross_entropy", 5, label_smoothing=0.2)(logits, labels)
    torch.testing.assert_close(smoothed, -(target * log_p).sum(1).mean())
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.5], dtype=torch.float64)
    weighted = build_loss("cross_entropy", 5, class_weights=weights.tolist())(logits, labels)
    picked = -log_p[torch.arange(len(labels)), labels]
    torch.testing.assert_close(weighted, (weights[labels] * picked).sum() / weights[labels].sum())


def test_forward_correction_is_its_formula():
    logits, labels = drawn(6, 4, 3)
    noise = torch.full((4, 4), 0.3 / 3, dtype=torch.float64).fill_diagonal_(0.7)
    slow = -torch.stack(
        [
            torch.log(sum(noise[i, y] * p[i] for i in range(4)))
            for p, y in zip(logits.softmax(1), labels, strict=True)
        ]
    ).mean()
    fast = build_loss("forward_corrected", 4, noise_rate=0.3)(logits, labels)
    assert math.isclose(fast.item(), slow.item(), rel_tol=1e-6)
    given_matrix = build_loss("forward_corrected", 4, transition=noise.tolist())(logits, labels)
    torch.testing.assert_close(given_matrix, fast)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(2, 8))
def test_without_noise_the_correction_is_plain_cross_entropy(seed, classes):
    logits, labels = drawn(7, classes, seed)
    plain = F.cross_entropy(logits, labels)
    torch.testing.assert_close(
        build_loss("forward_corrected", classes, noise_rate=0.0)(logits, labels), plain
    )


def test_correction_is_least_at_the_true_class_distribution():
    """Labels drawn through T: the minimiser of the corrected loss is the clean distribution (theorem 2)."""
    clean = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    noise = torch.full((3, 3), 0.15, dtype=torch.float64).fill_diagonal_(0.7)
    given_share = (clean @ noise).float()
    loss = build_loss("forward_corrected", 3, noise_rate=0.3)
    z = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([z], max_iter=200)

    def closure():
        optimizer.zero_grad()
        value = sum(given_share[j] * loss(z[None], torch.tensor([j])) for j in range(3))
        value.backward()
        return value

    optimizer.step(closure)
    torch.testing.assert_close(z.detach().softmax(0), clean.float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cross_entropy", {"label_smoothing": 1.0}),
        ("cross_entropy", {"class_weights": [1.0, 2.0]}),
        ("cross_entropy", {"class_weights": [1.0, 2.0, 0.0]}),
        ("forward_corrected", {}),
        ("forward_corrected", {"noise_rate": 1.0}),
        ("forward_corrected", {"noise_rate": 0.1, "transition": [[1.0]]}),
        ("forward_corrected", {"transition": [[0.5, 0.5]]}),
        ("forward_corrected", {"transition": [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.4]]}),
    ],
)
def test_wrong_options_are_refused(name, options):
    with pytest.raises(InvalidInput):
        build_loss(name, 3, **options)


def test_unknown_names_and_options():
    with pytest.raises(UnknownName, match="did you mean 'cross_entropy'"):
        build_loss("cross-entropy", 3)
    with pytest.raises(InvalidConfig, match="did you mean 'noise_rate'"):
        build_loss("forward_corrected", 3, noiserate=0.1)
