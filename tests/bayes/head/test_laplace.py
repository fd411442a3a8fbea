import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from bayesight.bayes.head import laplace as lh
from bayesight.errors import InvalidInput


def sample(rows, seed, spread=1.0):
    draw = torch.Generator().manual_seed(seed)
    centres = spread * torch.randn(4, 5, generator=torch.Generator().manual_seed(50))
    labels = torch.randint(4, (rows,), generator=draw)
    return centres[labels] + torch.randn(rows, 5, generator=draw), labels


def start(precision=2.5):
    return lh.empty(torch.full((5,), 0.3), torch.full((5,), 1.7), 4, precision)


def test_mode_agrees_with_scikit_learn():
    x, y = sample(400, 1)
    head = lh.absorb(start(), x, y, tolerance=1e-12)
    z = torch.cat([(x - 0.3) / 1.7, torch.ones(400, 1)], 1).double().numpy()
    reference = LogisticRegression(C=1 / 2.5, fit_intercept=False, tol=1e-10, max_iter=5000).fit(z, y.numpy())
    np.testing.assert_allclose(head.mean.numpy(), reference.coef_, atol=1e-5)


def test_precision_is_the_curvature_at_the_mode():
    x, y = sample(60, 2)
    head = lh.absorb(start(), x, y, tolerance=1e-12)
    z = torch.cat([(x.double() - 0.3) / 1.7, torch.ones(60, 1, dtype=torch.float64)], 1)

    def joint(weights):
        log_p = torch.log_softmax(z @ weights.T, 1).gather(1, y[:, None]).sum()
        return 0.5 * 2.5 * weights.square().sum() - log_p

    exact = torch.autograd.functional.hessian(joint, head.mean)
    for k in range(4):
        torch.testing.assert_close(head.precision[k], exact[k, :, k], atol=1e-3, rtol=1e-4)


def test_sequential_updates_come_close_to_one_shot_and_beat_the_first_half_alone():
    x, y = sample(2000, 3)
    once = lh.absorb(start(), x, y)
    half = lh.absorb(start(), x[:40], y[:40])
    steps = half
    for part in torch.arange(40, 2000).split(490):
        steps = lh.absorb(steps, x[part], y[part])
    fresh, labels = sample(4000, 4)

    def loss(head):
        return float(-lh.log_posterior(head, fresh).gather(1, labels[:, None]).mean())

    assert loss(steps) < loss(half) - 0.02
    assert loss(steps) == pytest.approx(loss(once), abs=0.01)


def test_probit_approximation_agrees_with_sampling():
    x, y = sample(30, 5)
    head = lh.absorb(start(0.5), x, y)
    approximate = lh.log_posterior(head, x).exp()
    sampled = lh.log_posterior(head, x, samples=20_000, generator=torch.Generator().manual_seed(0)).exp()
    assert float((approximate - sampled).abs().max()) < 0.06
    torch.testing.assert_close(sampled.sum(1), torch.ones(30, dtype=torch.float64))
    plain = torch.softmax(lh._design(head, x) @ head.mean.T, 1)
    assert (
        float((approximate.max(1).values - plain.max(1).values).mean()) < 0
    )  # integrating makes it less sure


def test_far_from_the_data_it_is_unsure():
    x, y = sample(30, 6)
    head = lh.absorb(start(0.5), x, y)
    near = lh.log_posterior(head, x).exp().max(1).values.mean()
    plain = torch.softmax(lh._design(head, x * 50) @ head.mean.T, 1).max(1).values
    far = lh.log_posterior(head, x * 50).exp().max(1).values
    assert float(far.mean()) < float(plain.mean()) - 0.05
    assert float(near) < 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: lh.empty(torch.zeros(2), torch.ones(2), 1),
        lambda: lh.empty(torch.zeros(2), torch.ones(2), 3, 0.0),
        lambda: lh.empty(torch.zeros(2), torch.zeros(2), 3),
        lambda: lh.absorb(start(), torch.zeros(2, 4), torch.zeros(2).long()),
        lambda: lh.absorb(start(), torch.zeros(2, 5), torch.tensor([0, 4])),
        lambda: lh.absorb(start(), torch.full((2, 5), float("nan")), torch.tensor([0, 1])),
        lambda: lh.log_posterior(start(), torch.zeros(2, 5), samples=3),
    ],
)
def test_refusals(call):
    with pytest.raises(InvalidInput):
        call()


def test_no_rows_change_nothing():
    head = start()
    assert lh.absorb(head, torch.zeros(0, 5), torch.zeros(0).long()) is head
