"""One suite over every model that makes images, and what is particular to each."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal, kl_divergence

from bayesight.data import open_store
from bayesight.data.batches import Batches, Examples
from bayesight.errors import InvalidConfig, InvalidInput, UnknownName
from bayesight.models import GAN, GENERATORS, VAE, Autoencoder, ProjectionHead, build, build_generator
from bayesight.models.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from bayesight.models.gan import discriminator_loss, generator_loss
from bayesight.models.generative import squared_error
from bayesight.models.vae import evidence_bound, kl_to_standard_normal
from bayesight.optim import build_optimizer
from bayesight.training.engine import Budget, Update, fit
from bayesight.training.generation import generative_task
from bayesight.training.hardware import choose_hardware

SHAPES = [(1, 28, 28), (3, 19, 33)]
SMALL = {
    "autoencoder": {"hidden": (24,), "code": 6},
    "gan": {"code": 6, "widths": (12, 8)},
    "vae": {"code": 6, "widths": (12, 8)},
}
every_model = pytest.mark.parametrize("name", GENERATORS.names())


def small(name, shape=(1, 28, 28), seed=0):
    return build_generator(name, shape, seed=seed, **SMALL[name])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def logits(seed, *shape):
    return 3 * torch.randn(*shape, generator=generator(seed))


@every_model
@pytest.mark.parametrize("shape", SHAPES)
def test_makes_images_of_any_shape(name, shape):
    model = small(name, shape).eval()
    made = model.sample(5, generator(), batch=2)
    assert made.shape == (5, *shape)
    assert made.dtype == torch.float32
    assert 0 <= made.min() < made.max() <= 1
    assert torch.equal(made, model.sample(5, generator(), batch=2))
    assert torch.allclose(made, model.sample(5, generator(), batch=5), atol=1e-5)
    assert not torch.allclose(made, model.sample(5, generator(1)))
    assert model.sample(0, generator()).shape == (0, *shape)


@every_model
def test_same_seed_same_weights_and_no_touch_of_the_global_generator(name):
    torch.manual_seed(4)
    before = torch.get_rng_state()
    one, same, other = (small(name, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@every_model
def test_every_parameter_belongs_to_one_turn(name):
    model = small(name)
    owned = [p for turn in model.turns().values() for p in turn.part.parameters()]
    assert len(owned) == len(set(owned)) == len(list(model.parameters()))


@every_model
def test_it_measures_what_it_says_and_is_chosen_by_one_of_them(name):
    model = small(name).eval()
    with torch.no_grad():
        found = model.measure(model, torch.rand(5, 1, 28, 28, generator=generator()), torch.zeros(5, 6))
    assert set(found) == {measure.name for measure in model.measures}
    assert all(value.shape == (5,) and bool(value.isfinite().all()) for value in found.values())
    assert model.monitor is None or model.monitor in model.measures


@every_model
def test_an_untrained_model_has_not_diverged(name):
    """On images like those it will see: the limit is above what training begins with."""
    images = torch.rand(64, 1, 28, 28, generator=generator())
    model = small(name).train()
    limit = model.divergence_limit(images.double().flatten(1))
    for turn in model.turns().values():
        assert turn(model, (images, torch.randn(64, 6, generator=generator())))["total"].item() < limit


@every_model
def test_each_turn_moves_its_own_parameters_only(name):
    model = small(name).train()
    batch = (torch.rand(8, 1, 28, 28, generator=generator()), torch.randn(8, 6, generator=generator()))
    for which, turn in model.turns().items():
        before = {k: v.clone() for k, v in model.named_parameters()}
        optimizer = torch.optim.SGD(turn.part.parameters(), lr=0.1)
        optimizer.zero_grad()
        turn(model, batch)["total"].backward()
        optimizer.step()
        own = {id(p) for p in turn.part.parameters()}
        for key, parameter in model.named_parameters():
            moved = not torch.equal(parameter, before[key])
            assert moved is False or id(parameter) in own, (which, key)
        assert any(not torch.equal(p, before[k]) for k, p in model.named_parameters())


@every_model
def test_learns_one_batch(name, shapes):
    """One batch over and over: an image is remembered, and a judge learns to tell."""
    store = open_store(shapes)
    rows = np.arange(0, 240, 15)
    examples = Examples((store.images,), rows, store.labels[rows])
    model = small(name)
    task = generative_task(
        model,
        dict([next(iter(model.turns().items()))]),
        Batches(examples, 16, 0),
        0,
        lambda part, turn: Update(turn, build_optimizer("adam", part, lr=1e-2)),
    )
    same = replace(task, data=lambda m, step: task.data(m, 0))
    state = fit(same, Budget(60, 20, monitor=None), fabric=choose_hardware(precision="32", threads=1).fabric)
    first, *_, last = [row[f"{task.updates[0].name}.total"] for row in state.history]
    floor = 0.95 if name == "vae" else 0.8  # grey pixels have an entropy of their own in the VAE's bound
    assert last < floor * first


def test_the_discriminators_turn_leaves_the_generator_without_gradient():
    model = small("gan").train()
    turn = model.turns()["discriminator"]
    turn(model, (torch.rand(4, 1, 28, 28), torch.randn(4, 6)))["total"].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert all(p.grad is not None for p in model.discriminator.parameters())


def test_gan_runs_what_it_is_told():
    model = small("gan").eval()
    codes, images = torch.randn(3, 6), torch.rand(3, 1, 28, 28)
    assert torch.equal(model("generate", codes), model.decode(codes))
    assert torch.equal(model("judge", images), model.discriminator(images)[:, 0])


def test_a_linear_autoencoder_spans_the_principal_components():
    """Bourlard and Kamp 1988: no linear code does better, and the best one spans the same subspace."""
    data = torch.randn(200, 6, generator=generator()) @ torch.randn(6, 6, generator=generator(1))
    data = data - data.mean(0)
    model = nn.Sequential(nn.Linear(6, 2, bias=False), nn.Linear(2, 6, bias=False)).double()
    wide = data.double()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (model(wide) - wide).square().sum(1).mean()
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    _, directions = torch.linalg.eigh(torch.cov(wide.T))
    projector = directions[:, -2:] @ directions[:, -2:].T
    span, _ = torch.linalg.qr(model[1].weight.detach())
    assert torch.allclose(span @ span.T, projector, atol=1e-4)


def test_fitted_codes_are_spread_as_those_of_the_images():
    model = small("autoencoder").eval()
    images = torch.rand(400, 1, 28, 28, generator=generator())
    model.fit_codes(images.split(150))
    codes, drawn = model.encode(images).detach(), model.place(torch.randn(20_000, 6, generator=generator()))
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=4 * codes.std().item() / 20_000**0.5)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(codes.T), rtol=0.15, atol=0.05)
    with pytest.raises(InvalidInput, match="at least 2"):
        model.fit_codes(images[:1].split(1))


def test_vae_codes_move_with_the_noise():
    model = small("vae").eval()
    images = torch.rand(3, 1, 28, 28)
    said, mean, log_variance = model(images, torch.zeros(3, 6))
    assert torch.allclose(said.sigmoid(), model.decode(mean))
    assert torch.equal(mean, model.encode(images))
    noise = torch.randn(3, 6)
    assert torch.allclose(model(images, noise)[0], model.decoder(mean + (log_variance / 2).exp() * noise))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (30, 41)])
def test_up_and_down_meet(height, width):
    up = ConvolutionalDecoder((2, height, width), 5, widths=(6, 4)).eval()
    down = ConvolutionalEncoder((2, height, width), 3, widths=(4, 6)).eval()
    assert down(up(torch.randn(2, 5)).sigmoid()).shape == (2, 3)


def test_projection_drops_nothing_of_the_network():
    network = build("mlp", (1, 28, 28), 3, hidden=(12,))
    model = ProjectionHead(network, size=5, seed=1)
    images = torch.rand(4, 1, 28, 28)
    assert model(images).shape == (4, 5)
    assert torch.equal(model(images), model.out(model.hidden(network.features(images)).relu()))
    model(images).sum().backward()
    assert network.head.weight.grad is None
    assert network.layers[0].weight.grad is not None


def test_refusals():
    with pytest.raises(UnknownName, match="did you mean 'autoencoder'"):
        build_generator("autoencode", (1, 28, 28))
    with pytest.raises(InvalidConfig, match="has no option 'width'"):
        build_generator("gan", (1, 28, 28), width=3)
    with pytest.raises(InvalidInput, match="32x32 or larger"):
        GAN((1, 28, 28), widths=(8, 8, 8, 8, 8))
    with pytest.raises(InvalidInput, match="widths >= 1"):
        VAE((1, 28, 28), widths=())
    with pytest.raises(InvalidInput, match="at least 1"):
        Autoencoder((1, 28, 28), code=0)
    with pytest.raises(InvalidInput, match="widths of 1 or more"):
        Autoencoder((1, 28, 28), hidden=(0,))
    with pytest.raises(InvalidInput, match="expected 'adversarial'"):
        small("gan").learn_by("squared_error")
    with pytest.raises(InvalidInput, match="smoothing"):
        small("gan").turns(smoothing=0.7)
    with pytest.raises(InvalidConfig, match=r"from 0 to 0\.5"):
        small("gan").learn_by("adversarial", smoothing=0.7)
    with pytest.raises(InvalidInput, match="0 or more"):
        small("vae").turns(kl_weight=-1)


@every_model
def test_unknown_options_of_the_loss_are_refused(name):
    model = small(name)
    with pytest.raises(InvalidConfig, match="has no option 'nonsense'"):
        model.learn_by(model.loss, nonsense=1)


def test_a_discriminator_that_cannot_tell_costs_two_ln_two():
    undecided = torch.zeros(5)
    assert discriminator_loss(undecided, undecided).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(undecided).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_adversarial_is_binary_cross_entropy(smoothing):
    real, fake = logits(0, 6), logits(1, 9)
    wanted = F.binary_cross_entropy_with_logits(real, torch.full_like(real, 1 - smoothing))
    wanted = wanted + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert torch.isclose(discriminator_loss(real, fake, smoothing), wanted)
    expected = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    assert torch.isclose(generator_loss(fake), expected)


def test_a_beaten_generator_still_learns():
    """The saturating form would have no gradient here."""
    fake = torch.tensor([-40.0], requires_grad=True)
    generator_loss(fake).backward()
    assert fake.grad.item() == pytest.approx(-1)


def test_squared_error_of_each_image():
    images, copies = torch.rand(3, 2, 4, 5), torch.rand(3, 2, 4, 5)
    wanted = F.mse_loss(images, copies, reduction="none").sum((1, 2, 3))
    assert torch.allclose(squared_error(images, copies), wanted)
    with pytest.raises(InvalidInput, match="the same shape"):
        squared_error(images, copies[:2])


def test_the_autoencoders_turn_is_the_mean_squared_error_an_image():
    model, images = small("autoencoder"), torch.rand(4, 1, 28, 28)
    total = model.turns()["autoencoder"](model, (images, torch.zeros(4, 6)))["total"]
    assert torch.isclose(total, F.mse_loss(model(images), images, reduction="sum") / 4)


def test_kl_against_torch():
    mean, log_variance = logits(2, 4, 7), logits(3, 4, 7)
    wanted = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), wanted, rtol=1e-4)


def test_the_bound_is_its_two_terms():
    images, said = torch.rand(4, 1, 3, 3), logits(4, 4, 1, 3, 3)
    mean, log_variance = logits(5, 4, 2), logits(6, 4, 2)
    terms = evidence_bound(images, said, mean, log_variance, kl_weight=0.3)
    ink = F.binary_cross_entropy_with_logits(said, images, reduction="sum") / 4
    assert torch.isclose(terms["reconstruction"], ink)
    assert torch.isclose(terms["total"], ink + 0.3 * kl_to_standard_normal(mean, log_variance).mean())


def test_the_vaes_turn_takes_the_weight_of_its_loss():
    model, batch = small("vae").eval(), (torch.rand(4, 1, 28, 28), torch.randn(4, 6))
    terms = model.learn_by("evidence_bound", kl_weight=0.3)["vae"](model, batch)
    assert torch.isclose(terms["total"], terms["reconstruction"] + 0.3 * terms["kl"])
