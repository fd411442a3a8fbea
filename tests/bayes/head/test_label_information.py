"""What a label is expected to tell, against drawing the means and labels one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_t

from bayesight.bayes.head import gaussian
from bayesight.bayes.head.label_information import label_information
from bayesight.bayes.sharpness import plain
from bayesight.errors import InvalidInput


def head_of(seed: int, counts=(40, 4, 12), size: int = 3, temperature: float = 1.5):
    """The predictive of a head whose classes were seen a different number of times."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    centres = 2 * torch.randn(len(counts), size, generator=generator)
    x = centres[labels] + torch.randn(len(labels), size, generator=generator)
    ready = gaussian.predictive(gaussian.fit(x, labels, tuple("abc"[: len(counts)])))
    return replace(ready, sharpness=plain(temperature))


def test_it_is_the_mutual_information_found_by_drawing_means_with_scipy() -> None:
    ready = head_of(1)
    ask = torch.tensor([[0.5, -1.0, 0.2], [3.0, 1.0, -2.0]])
    log_prior = torch.tensor([0.5, 0.2, 0.3]).log()
    got = label_information(ready, ask, log_prior, generator=torch.Generator().manual_seed(0), draws=6000)
    # The slow way: means in the units of the features, densities by scipy, one draw at a time.
    rng = np.random.default_rng(0)
    unwhiten = np.linalg.inv(ready.whiten.numpy()) * ready.scale.numpy()[:, None]
    centres = (ready.means.numpy() @ unwhiten.T) + ready.shift.numpy()
    scatter = unwhiten @ unwhiten.T
    posteriors = []
    for _ in range(4000):
        joint = []
        for k, centre in enumerate(centres):
            mean = rng.multivariate_normal(centre, scatter / float(ready.strength[k]))
            density = multivariate_t(mean, scatter * 1.5, df=ready.dof).logpdf(ask.numpy())
            joint.append(density + float(log_prior[k]))
        joint = np.stack(joint, 1)
        posteriors.append(np.exp(joint - np.logaddexp.reduce(joint, 1)[:, None]))
    posteriors = np.stack(posteriors)
    entropy = lambda p: -(p * np.log(p)).sum(-1)  # noqa: E731
    expected = entropy(posteriors.mean(0)) - entropy(posteriors).mean(0)
    np.testing.assert_allclose(got.numpy(), expected, atol=0.004)
    assert got.max() > 0.01


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), shift=st.floats(-5, 5))
def test_it_lies_between_nothing_and_the_number_of_classes(seed: int, shift: float) -> None:
    ready = head_of(seed)
    ask = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)) + shift
    got = label_information(ready, ask, torch.zeros(3), generator=torch.Generator().manual_seed(1))
    assert bool((got >= 0).all())
    assert bool((got <= math.log(3)).all())


def test_a_class_seen_often_has_less_to_learn_than_one_seen_seldom() -> None:
    told = []
    for rare in (2, 2000):
        ready = head_of(3, counts=(2000, rare))
        middle = ((ready.means[0] + ready.means[1]) / 2) @ torch.linalg.inv(ready.whiten).T
        ask = (middle * ready.scale + ready.shift)[None].float()
        told.append(float(label_information(ready, ask, torch.zeros(2), generator=torch.Generator())))
    assert told[0] > 10 * told[1]


def test_what_breaks_the_contract_is_refused() -> None:
    ready = head_of(0)
    with pytest.raises(InvalidInput, match="features"):
        label_information(ready, torch.zeros(2, 4), torch.zeros(3), generator=torch.Generator())
    with pytest.raises(InvalidInput, match="at least 2"):
        label_information(ready, torch.zeros(2, 3), torch.zeros(3), generator=torch.Generator(), draws=1)
    assert len(label_information(ready, torch.zeros(0, 3), torch.zeros(3), generator=torch.Generator())) == 0
