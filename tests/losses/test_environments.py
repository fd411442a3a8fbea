"""Losses that see environments: against their formulas, and over two processes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import multiprocessing

from bayesight.errors import InvalidConfig, InvalidInput
from bayesight.losses import LOSSES, EnvironmentLoss, build_loss, sees_environments

SEEING = [name for name in LOSSES.names() if sees_environments(name)]
COUNTS = torch.tensor([[30, 10, 20], [5, 40, 15]])


def drawn(count=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (count,), generator=generator)
    return logits, labels, torch.randint(2, (count,), generator=generator)


def test_which_losses_see_environments():
    assert SEEING == ["groupdro", "irm", "reweight"]


@pytest.mark.parametrize("name", SEEING)
def test_the_contract(name):
    loss = build_loss(name, 3, COUNTS)
    assert isinstance(loss, EnvironmentLoss)
    value = loss(*drawn())
    assert value.ndim == 0
    assert value.isfinite()
    other = build_loss(name, 3, COUNTS)
    other.load_state_dict({k: v.clone() for k, v in loss.state_dict().items()})
    assert loss(*drawn(seed=1)) == other(*drawn(seed=1))


@pytest.mark.parametrize("name", SEEING)
def test_none_works_without_environments(name):
    with pytest.raises(InvalidInput, match="--environments folder"):
        build_loss(name, 3)


def test_reweighting_is_the_weighted_mean():
    logits, labels, environments = drawn()
    share = COUNTS.double() / COUNTS.sum()
    weight = [[share[e].sum() * share[:, k].sum() / share[e, k] for k in range(3)] for e in range(2)]
    slow = sum(
        weight[e][y] * -z.log_softmax(0)[y]
        for z, y, e in zip(logits, labels.tolist(), environments.tolist(), strict=True)
    )
    found = build_loss("reweight", 3, COUNTS)(logits, labels, environments)
    torch.testing.assert_close(found, slow / len(labels), rtol=1e-6, atol=0)


@pytest.mark.parametrize("by_class", [True, False])
def test_group_dro_is_its_algorithm(by_class):
    """Three steps of algorithm 1, group by group in plain arithmetic."""
    loss = build_loss("groupdro", 3, COUNTS, step_size=0.3, by_class=by_class)
    q = [1 / 6] * 6 if by_class else [0.5, 0.5]
    for seed in range(3):
        logits, labels, environments = drawn(seed=seed)
        groups = environments * 3 + labels if by_class else environments
        losses = F.cross_entropy(logits, labels, reduction="none")
        means = [losses[groups == g].mean().item() for g in range(len(q))]
        q = [share * math.exp(0.3 * mean) for share, mean in zip(q, means, strict=True)]
        q = [share / sum(q) for share in q]
        found = loss(logits, labels, environments).item()
        assert math.isclose(found, sum(s * m for s, m in zip(q, means, strict=True)), rel_tol=1e-5)
    torch.testing.assert_close(loss.shares, torch.tensor(q), rtol=1e-5, atol=1e-6)


def test_looking_does_not_move_the_shares():
    loss = build_loss("groupdro", 3, COUNTS, step_size=1.0)
    with torch.no_grad():
        loss(*drawn())
    torch.testing.assert_close(loss.shares, torch.full((6,), 1 / 6))


def test_irm_is_the_authors_objective():
    logits, labels, environments = drawn()
    loss = build_loss("irm", 3, COUNTS, penalty=50.0, anneal=0.25)
    risks, penalties = [], []
    for e in range(2):
        scale = torch.tensor(1.0, requires_grad=True)
        inside = environments == e
        risk = F.cross_entropy(logits[inside].float() * scale, labels[inside])
        penalties.append(torch.autograd.grad(risk, scale)[0].square().item())
        risks.append(risk.item())
    for step, weight in ((0, 1.0), (24, 1.0), (25, 50.0), (99, 50.0)):
        loss.at(step, 100)
        expected = (sum(risks) / 2 + weight * sum(penalties) / 2) / weight
        assert math.isclose(loss(logits, labels, environments).item(), expected, rel_tol=1e-5)


def test_irm_with_one_environment_missing_from_a_batch():
    logits, labels, _ = drawn()
    found = build_loss("irm", 3, COUNTS, penalty=0.0)(logits, labels, torch.zeros_like(labels))
    torch.testing.assert_close(found, F.cross_entropy(logits.float(), labels))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("irm", {"penalty": -1.0}, "penalty is -1"),
        ("irm", {"anneal": 2.0}, "anneal is 2"),
        ("groupdro", {"step_size": 0.0}, "step_size is 0"),
    ],
)
def test_options_out_of_range(name, options, words):
    with pytest.raises(InvalidInput, match=words):
        build_loss(name, 3, COUNTS, **options)


def test_unknown_options_and_missing_groups():
    with pytest.raises(InvalidConfig, match="did you mean 'penalty'"):
        build_loss("irm", 3, COUNTS, penlty=3)
    with pytest.raises(InvalidInput, match="two or more"):
        build_loss("irm", 3, COUNTS[:1])
    for name in ("reweight", "groupdro"):
        with pytest.raises(InvalidInput, match="no image of environment 1, class 0"):
            build_loss(name, 3, torch.tensor([[3, 1, 1], [0, 2, 2]]))


def gradients_of_parts(rank, world, port, results):
    """One process's gradient of each loss, and what the loss remembers, from its part of the batch."""
    if world > 1:
        torch.distributed.init_process_group(
            "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world
        )
    torch.set_num_threads(1)
    logits, labels, environments = drawn()
    mine = slice(rank, None, world)
    for name in SEEING:
        matrix = torch.eye(3, dtype=torch.float64, requires_grad=True)
        loss = build_loss(name, 3, COUNTS)
        loss.at(99, 100)
        for _ in range(2):  # group DRO's second step rests on the shares of the first
            value = loss(logits[mine] @ matrix, labels[mine], environments[mine])
        (gradient,) = torch.autograd.grad(value, matrix)
        if world > 1:
            torch.distributed.all_reduce(gradient)
        results[name, rank] = {"gradient": gradient / world, **loss.state_dict()}
    if world > 1:
        torch.distributed.destroy_process_group()


def test_two_processes_see_one_batch(free_port):
    """The averaged gradient and the shares of two processes are those of one that has the whole batch."""
    alone: dict = {}
    gradients_of_parts(0, 1, 0, alone)
    with multiprocessing.get_context("spawn").Manager() as manager:
        both = manager.dict()
        multiprocessing.spawn(gradients_of_parts, (2, free_port, both), nprocs=2)
        pair = dict(both)
    for name in SEEING:
        for rank in (0, 1):
            assert pair[name, rank].keys() == alone[name, 0].keys()
            for key, value in alone[name, 0].items():
                torch.testing.assert_close(pair[name, rank][key], value, rtol=1e-5, atol=1e-7)
