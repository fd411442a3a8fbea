"""The kernel machine against independent ones."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVC

from bayesight.milestones.bench.kernels import KernelMachine, fit_kernel_machine
from bayesight.milestones.bench.sources import open_letters


def test_it_is_kernel_ridge_regression_on_signs():
    generator = torch.Generator().manual_seed(5)
    points = torch.randn(80, 7, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (80,), generator=generator)
    new = torch.randn(20, 7, generator=generator, dtype=torch.float64)
    machine = KernelMachine(points, labels, 3, width=1.7, ridge=0.05)
    signs = torch.nn.functional.one_hot(labels, 3).double() * 2 - 1
    other = KernelRidge(alpha=0.05, kernel="rbf", gamma=1 / float(machine.scale)).fit(points, signs)
    np.testing.assert_allclose(machine(new), other.predict(new.numpy()), atol=1e-9)


def test_width_and_ridge_are_chosen_where_they_were_not_fitted():
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(400, 2, generator=generator, dtype=torch.float64)
    labels = (points[:, 0] * points[:, 1] > 0).long()
    grid = [(1e-6, 1e-6), (0.5, 1e-2), (1e6, 10.0)]
    machine = fit_kernel_machine(points, labels, 2, grid, generator)
    assert float(machine.scale) == pytest.approx(
        float(KernelMachine(points, labels, 2, width=0.5, ridge=1e-2).scale)
    )
    assert (machine(points).argmax(1) == labels).double().mean() > 0.95


def test_on_real_letters_it_is_as_good_as_the_usual_machine(real_data):
    letters = open_letters(real_data / "notmnist" / "notMNIST_real8k.tar.gz")
    train, test = letters.split(0.2, train=1500)
    flat = [
        (part.images(np.arange(len(part))).flatten(1).float() / 255, torch.from_numpy(part.labels))
        for part in (train, test)
    ]
    (points, labels), (new, truth) = flat
    generator = torch.Generator().manual_seed(0)
    grid = [(width, ridge) for width in (0.5, 1.0, 2.0) for ridge in (0.01, 0.1)]
    machine = fit_kernel_machine(points, labels, 10, grid, generator)
    ours = (machine(new).argmax(1) == truth).double().mean().item()
    usual = SVC(C=10, gamma="scale").fit(points.numpy(), labels.numpy())
    assert ours > (usual.predict(new.numpy()) == truth.numpy()).mean() - 0.01
