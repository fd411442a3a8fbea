"""Losses of models that make images, against torch's own and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from bayesight.errors import InvalidConfig, InvalidInput, UnknownName
from bayesight.losses import (
    GENERATIVE_LOSSES,
    Adversarial,
    EvidenceBound,
    SquaredError,
    build_generative_loss,
    kl_to_standard_normal,
    squared_error,
)


def logits(seed, *shape):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_discriminator_that_cannot_tell_costs_two_ln_two():
    undecided = torch.zeros(5)
    assert Adversarial().discriminator(undecided, undecided).item() == pytest.approx(2 * math.log(2))
    assert Adversarial().generator(undecided).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_adversarial_is_binary_cross_entropy(smoothing):
    real, fake = logits(0, 6), logits(1, 9)
    wanted = F.binary_cross_entropy_with_logits(real, torch.full_like(real, 1 - smoothing))
    wanted = wanted + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert torch.isclose(Adversarial(smoothing=smoothing).discriminator(real, fake), wanted)
    generator = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    assert torch.isclose(Adversarial().generator(fake), generator)


def test_a_beaten_generator_still_learns():
    """The saturating form would have no gradient here."""
    fake = torch.tensor([-40.0], requires_grad=True)
    Adversarial().generator(fake).backward()
    assert fake.grad.item() == pytest.approx(-1)


def test_squared_error_of_each_image():
    images, copies = torch.rand(3, 2, 4, 5), torch.rand(3, 2, 4, 5)
    wanted = F.mse_loss(images, copies, reduction="none").sum((1, 2, 3))
    assert torch.allclose(squared_error(images, copies), wanted)
    assert torch.isclose(SquaredError()(images, copies), wanted.mean())
    with pytest.raises(InvalidInput, match="the same shape"):
        squared_error(images, copies[:2])


def test_kl_against_torch():
    mean, log_variance = logits(2, 4, 7), logits(3, 4, 7)
    wanted = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), wanted, rtol=1e-4)


def test_the_bound_is_its_two_terms():
    images, said = torch.rand(4, 1, 3, 3), logits(4, 4, 1, 3, 3)
    mean, log_variance = logits(5, 4, 2), logits(6, 4, 2)
    terms = EvidenceBound(kl_weight=0.3).terms(images, said, mean, log_variance)
    ink = F.binary_cross_entropy_with_logits(said, images, reduction="sum") / 4
    assert torch.isclose(terms["reconstruction"], ink)
    assert torch.isclose(terms["total"], ink + 0.3 * kl_to_standard_normal(mean, log_variance).mean())


@pytest.mark.parametrize("name", GENERATIVE_LOSSES.names())
def test_unknown_options_are_refused(name):
    with pytest.raises(InvalidConfig, match="has no option 'nonsense'"):
        build_generative_loss(name, nonsense=1)


def test_refusals():
    with pytest.raises(UnknownName, match="did you mean 'adversarial'"):
        build_generative_loss("adverserial")
    with pytest.raises(InvalidInput, match="smoothing"):
        Adversarial(smoothing=0.7)
    with pytest.raises(InvalidInput, match="0 or more"):
        EvidenceBound(kl_weight=-1)
