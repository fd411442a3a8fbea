"""Play: values that are known are learned, time limits are no ends, and a seed plays the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bayesight.errors import InvalidInput, MissingExtra
from bayesight.milestones.bench import playing
from bayesight.milestones.bench.claim import Keys, key
from bayesight.milestones.bench.pictures import ACCENT, FRAMES, film
from bayesight.milestones.bench.playing import (
    EnvironmentCopies,
    Play,
    ReplayBuffer,
    TargetNetwork,
    Transitions,
    episodes,
    train_q_network,
)
from bayesight.milestones.bench.workbench import Bench, update_of
from bayesight.models import build_q_network
from bayesight.training.engine import Task
from bayesight.training.hardware import choose_hardware

gymnasium = pytest.importorskip("gymnasium")


class Chain(gymnasium.Env):
    """Places in a row; the right end gives 1 and terminates, every other step costs nothing."""

    places = 5
    action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.spaces.Box(0, 1, (6,))

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(self.places))
        return self.seen(), {}

    def step(self, action):
        self.place = max(0, self.place + (1 if action == 1 else -1))
        ended = self.place == self.places
        return self.seen(), float(ended), ended, False, {}

    def seen(self):
        return np.eye(self.places + 1, dtype=np.float32)[self.place]


class OneReward(gymnasium.Env):
    """Every step gives 1, and the episode is over: terminated, or cut off by a limit."""

    action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))

    def __init__(self, terminates):
        self.terminates = terminates

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return np.array([0.0], np.float32), {}

    def step(self, action):
        return np.array([1.0], np.float32), 1.0, self.terminates, not self.terminates, {}


@pytest.fixture
def games(monkeypatch):
    own = {"chain": Chain, "ends": lambda: OneReward(True), "cut off": lambda: OneReward(False)}
    real = playing.make
    monkeypatch.setattr(playing, "make", lambda game: own[game]() if game in own else real(game))


def recipe(game, steps=600, **changes):
    data = {
        "game": game,
        "environments": 4,
        "frames_a_step": 2,
        "warm_up": 64,
        "replay": 2000,
        "batch": 32,
        "exploration": 400,
        "epsilon": 0.3,
        "limit": 50,
    } | changes
    return Keys(
        key("play", **data),
        key("perceptron", hidden=(32,)),
        key("temporal_difference", discount=0.9, target_every=10),
        key("adam", lr=5e-3, steps=steps),
    )


def bench(seed=0):
    return Bench(None, seed, choose_hardware(precision="32", threads=1))


def learned(model, game, steps, lr, discount=0.9):
    """The model after so many updates of the engine's, with the weights of the last."""
    play = Play(recipe(game).data, 0)
    target = TargetNetwork(model, key("temporal_difference", discount=discount, target_every=10))
    update = update_of(key("adam", lr=lr, schedule="cosine", steps=steps), model)
    bench().fit(Task(play, model, {"train": target.loss}, [update], after=[target.follow]), steps)
    return model


def test_known_values_of_a_chain_are_learned(games):
    """A step to the right from place s is worth γ^(4 - s); one to the left γ times the best after it."""
    model = learned(build_q_network("perceptron", (6,), 2, hidden=(64,)), "chain", steps=1500, lr=5e-3)
    with torch.no_grad():
        values = model(torch.eye(6))[:5]
    right = [0.9 ** (4 - s) for s in range(5)]
    left = [0.9 * right[max(0, s - 1)] for s in range(5)]
    torch.testing.assert_close(values, torch.tensor([left, right]).T, atol=0.02, rtol=0)


def test_the_best_look_is_kept(games):
    network, play, looks, losses = train_q_network(recipe("chain", steps=200), bench())
    assert len(looks) == 20
    assert len(losses) == 200
    assert play.frames == 64 + 400
    assert max(looks) == 1.0
    assert episodes(network, "chain", 10, 5, limit=50)[0] == [1.0] * 10


@pytest.mark.parametrize(("game", "value"), [("ends", 1.0), ("cut off", 10.0)])
def test_there_is_a_value_beyond_a_limit_of_time_and_none_beyond_an_end(games, game, value):
    """What follows a cut-off step is its own last observation, worth as much again: 1 / (1 - γ) in all."""

    class Both(nn.Module):  # what is observed first and last are worth the same
        def __init__(self):
            super().__init__()
            self.worth = nn.Parameter(torch.zeros(2))

        def forward(self, seen):
            return self.worth.expand(len(seen), 2)

    worth = learned(Both(), game, steps=600, lr=0.3).worth
    assert worth.max().item() == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("game", ["ends", "cut off"])
def test_what_follows_an_episodes_last_step_is_its_own_observation(games, game):
    environments = EnvironmentCopies(game, 3, 0)
    transitions = environments.step(np.zeros(3, np.int64))
    assert transitions.observations.tolist() == [[0.0]] * 3
    assert transitions.following.tolist() == [[1.0]] * 3
    assert environments.observations.tolist() == [[0.0]] * 3
    assert transitions.terminated.all() == (game == "ends")
    assert environments.finished == [1.0] * 3


def test_numbers_are_shares_of_their_bounds_and_pixels_have_their_channels_first():
    pytest.importorskip("minatar")
    ours, theirs = EnvironmentCopies("CartPole-v1", 1, 7), playing.make("CartPole-v1")
    seen, _ = theirs.reset(seed=playing.derive(7, 0) % 2**31)
    bounds = [4.8, 1, math.radians(24), 1]  # neither velocity has one
    assert ours.observations[0].tolist() == pytest.approx((seen / bounds).tolist(), rel=1e-6)
    seen, *_ = theirs.step(1)
    assert ours.step(np.array([1])).following[0].tolist() == pytest.approx((seen / bounds).tolist(), rel=1e-6)
    freeway = EnvironmentCopies("MinAtar/Freeway-v1", 2, 0).observations
    assert (freeway.shape, freeway.dtype) == ((2, 7, 10, 10), np.bool_)
    assert freeway[:, 0, 9, 4].all()  # the chicken, at the bottom


@pytest.mark.parametrize("game", ["CartPole-v1", "MinAtar/Freeway-v1"])
def test_the_same_seed_plays_the_same_and_another_does_not(game):
    pytest.importorskip("minatar")

    def played(seed):
        play = Play(recipe(game, warm_up=32).data, seed)
        network = build_q_network("perceptron", play.shape, play.actions, hidden=(8,))
        return [part for step in range(40) for part in play(network, step)]

    one, two, other = played(1), played(1), played(2)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_share_of_random_actions_falls_and_the_frames_are_those_that_are_asked_for(games):
    play = Play(recipe("chain", warm_up=64, exploration=100, epsilon=0.2).data, 0)
    network = build_q_network("perceptron", play.shape, play.actions)
    assert play.epsilon == 1
    play(network, 17)
    assert play.frames == 64 + 36
    assert play.epsilon == pytest.approx(1 - 0.8 * 0.36)
    play(network, 200)
    assert play.epsilon == 0.2


def test_a_memory_of_one_batch_is_what_was_played_last(games):
    play = Play(recipe("chain", replay=8, batch=8).data, 0)
    network, played, step = (
        build_q_network("perceptron", play.shape, play.actions),
        [],
        play.environments.step,
    )
    play.environments.step = lambda actions: played.append(step(actions)) or played[-1]
    observations, actions, *_, following = play(network, 40)
    last = [
        row for one in played[-2:] for row in zip(one.observations, one.actions, one.following, strict=True)
    ]
    drawn = zip(observations.numpy(), actions.numpy(), following.numpy(), strict=True)
    told = lambda rows: sorted((a.argmax(), int(b), c.argmax()) for a, b, c in rows)  # noqa: E731
    assert told(drawn) == told(last)


def test_the_target_network_follows_at_intervals():
    network = build_q_network("perceptron", (2,), 2, hidden=(4,))
    target = TargetNetwork(network, key("temporal_difference", discount=0.9, target_every=3))
    with torch.no_grad():
        network.advantage.bias += 1
    target.follow(network, 1)
    assert not torch.equal(target.network.advantage.bias, network.advantage.bias)
    target.follow(network, 2)
    assert torch.equal(target.network.advantage.bias, network.advantage.bias)


@pytest.mark.parametrize("double", [False, True])
def test_targets_are_the_copys_and_under_double_learning_the_choice_is_the_learners(double):
    network = build_q_network("perceptron", (2,), 3, hidden=(4,), seed=1)
    target = TargetNetwork(network, key("temporal_difference", discount=0.9, target_every=9, double=double))
    with torch.no_grad():
        network.advantage.weight.neg_()  # now the learner prefers what its copy likes least
        network.advantage.bias.neg_()
    generator = torch.Generator().manual_seed(0)
    seen, following = torch.rand(5, 2, generator=generator), torch.rand(5, 2, generator=generator)
    actions, rewards, ended = (
        torch.tensor([0, 1, 2, 0, 1]),
        torch.rand(5, generator=generator),
        torch.zeros(5) > 0,
    )
    found = target.loss(network, (seen, actions, rewards, ended, following))["total"]
    worth = target.network(following)
    best = worth.min(1).values if double else worth.max(1).values
    errors = network(seen)[torch.arange(5), actions] - rewards - 0.9 * best
    literal = torch.where(errors.abs() < 1, errors.square() / 2, errors.abs() - 0.5).mean()
    torch.testing.assert_close(found, literal)


def test_judged_episodes_are_greedy_whole_and_the_same_for_a_seed(games):
    class Right(nn.Module):
        def __init__(self):
            super().__init__()
            self.nothing = nn.Parameter(torch.zeros(1))

        def forward(self, seen):
            return torch.tensor([[0.0, 1.0]]).expand(len(seen), 2)

    returns, watched = episodes(Right(), "chain", 6, 3, limit=50)
    assert returns == [1.0] * 6
    places = [int(seen.argmax()) for seen in watched]
    assert places == list(range(places[0], 6))
    broken_off, _ = episodes(Right(), "CartPole-v1", 2, 3, limit=4)
    assert broken_off == [4.0, 4.0]
    assert (
        episodes(Right(), "CartPole-v1", 5, 3, limit=500)[0] == episodes(Right(), "CartPole-v1", 5, 3, 500)[0]
    )


def test_without_the_extra_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(playing, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'bayesight\[play\]'"):
        playing.make("CartPole-v1")


@pytest.mark.parametrize(("game", "shape"), [("CartPole-v1", (4,)), ("pixels", (3, 10, 10))])
def test_a_film_moves(game, shape):
    generator = np.random.default_rng(0)
    frames = film(game, [(generator.random(shape) < 0.5).astype(np.float32) for _ in range(300)])
    assert frames.shape == (
        100 if game == "CartPole-v1" else FRAMES,
        120,
        120,
        3,
    )  # every third, or the first
    assert frames.dtype == np.uint8
    assert not np.array_equal(frames[0], frames[1])


def test_a_pole_that_leans_right_is_drawn_leaning_right():
    upright, leaning = film("CartPole-v1", [np.zeros(4), np.array([0, 0, 0.5, 0])])
    tip = lambda frame: np.argwhere((frame == ACCENT).all(-1))[0]  # noqa: E731, highest first
    assert abs(tip(upright)[1] - 60) <= 3
    assert tip(leaning)[1] > 65


def numbered(numbers):
    """Transitions of which every part says the number."""
    n = np.asarray(numbers)
    seen = np.stack([n, n + 1], 1).astype(np.uint8) if len(n) else np.zeros((0, 2), np.uint8)
    return Transitions(
        seen, n.astype(np.int64), n.astype(np.float32), n % 2 == 0, (seen + 3).astype(np.uint8)
    )


def told(transitions):
    """The numbers, after every part has been held against them."""
    for i, n in enumerate(transitions.actions.tolist()):
        assert transitions.observations[i].tolist() == [n, n + 1]
        assert transitions.rewards[i] == n
        assert transitions.terminated[i] == (n % 2 == 0)
        assert transitions.following[i].tolist() == [n + 3, n + 4]
    return transitions.actions.tolist()


@given(st.integers(1, 7), st.lists(st.integers(0, 12), max_size=8))
def test_it_holds_what_a_list_would(capacity, sizes):
    buffer, kept, number = ReplayBuffer(capacity, (2,), np.uint8), [], 0
    for size in sizes:
        new = list(range(number, number + size))
        number += size
        buffer.add(numbered(new))
        kept = (kept + new)[-capacity:]
        assert len(buffer) == len(kept)
        if kept:
            assert sorted(told(buffer.sample(capacity, np.random.default_rng(0)))) == kept


def test_draws_are_uniform_and_follow_from_the_generator():
    buffer = ReplayBuffer(5, (2,), np.uint8)
    buffer.add(numbered(range(8)))
    draw = lambda seed: told(buffer.sample(4, np.random.default_rng(seed)))  # noqa: E731
    assert draw(1) == draw(1) != draw(2)
    generator = np.random.default_rng(0)
    drawn = np.concatenate([buffer.sample(4, generator).actions for _ in range(5000)])
    counts = np.bincount(drawn, minlength=8)
    assert counts[:3].sum() == 0
    assert counts[3:] == pytest.approx(4000, abs=5 * np.sqrt(20_000 * 0.2 * 0.8))


def test_what_is_drawn_is_a_copy_and_keeps_its_type():
    buffer = ReplayBuffer(4, (2,), np.bool_)
    buffer.add(numbered([1, 2]))
    drawn = buffer.sample(4, np.random.default_rng(0))
    assert drawn.observations.dtype == np.bool_
    drawn.rewards[:] = 9
    assert buffer.sample(4, np.random.default_rng(0)).rewards.tolist() == [1, 2]
    assert drawn.tensors()[0].dtype == torch.bool


def test_an_empty_one_has_no_batch():
    with pytest.raises(InvalidInput, match="play before"):
        ReplayBuffer(4, (2,), np.uint8).sample(1, np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="at least 1"):
        ReplayBuffer(0, (2,), np.uint8)
