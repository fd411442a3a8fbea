"""The trial of a deep Q-network: it learns from play that its own values choose, and is judged on other play.

```
data          play(game, environments, frames_a_step, warm_up, replay, batch, exploration, epsilon, limit)
model         any registered Q-network
loss          temporal_difference(discount, target_every, double=False)
optimization  any registered optimizer; ``steps`` are updates, ``average`` the weights that are judged
```

``game`` is an environment of gymnasium's, MinAtar's among them. ``warm_up`` frames are played at random
first; then the share of random actions falls to ``epsilon`` over ``exploration`` frames. The latest
``replay`` transitions are kept; as many as a batch are no memory: each batch is then what was played last.
``target_every`` updates the network that gives the targets takes over the weights; 1 is no target network.
``limit`` is the most frames of an episode that is judged.

The environments are not part of a checkpoint: a trial that is interrupted begins again, as all trials do.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.errors import MissingExtra
from bayesight.losses import td_loss, td_target
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey
from bayesight.milestones.bench.pictures import film
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models import QNetwork, build_q_network
from bayesight.seeding import derive, numpy_generator
from bayesight.training.average import WeightAverage
from bayesight.training.engine import Batch, Task

if TYPE_CHECKING:
    import gymnasium

CHOSEN_BY, JUDGED_BY = 8, 20
"""Episodes that choose between the weights of a training; episodes, with other seeds, that are reported."""

SCALES = {
    "CartPole-v1": (20.0, 500.0),
    "MinAtar/Freeway-v1": (0.0, 48.0),
}
"""Return of random play and the published one, between which curves are drawn."""


def deep_q(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train a Q-network; ``return`` is the mean of ``JUDGED_BY`` greedy episodes.

    The weights are those of the best of twenty looks during training, by the mean of ``CHOSEN_BY`` greedy
    episodes whose seeds are others than those of the training and of the judgement.
    """
    (recipe,) = recipes
    game, limit, steps = recipe.data["game"], recipe.data["limit"], recipe.optimization["steps"]
    network, play, looks, losses = train_q_network(recipe, bench.in_float32())
    returns, watched = episodes(network, game, JUDGED_BY, bench.derive("judged"), limit)
    values = {"return": float(np.mean(returns)), "lowest": min(returns), "frames": float(play.frames)}
    if play.environments.finished:
        values["training"] = float(np.mean(play.environments.finished[-JUDGED_BY:]))
    low, high = SCALES.get(game, (0.0, 1.0))
    shares = [(value - low) / (high - low) for value in looks]
    curve = tuple((steps * number / len(shares), share) for number, share in enumerate(shares, 1))
    film_of = {f"an episode of {game.split('/')[-1]}": film(game, watched)}
    return Measurement(values, thinned(losses) if bench.one_batch else curve, film_of)


def train_q_network(recipe: Keys, bench: Bench) -> tuple[QNetwork, Play, list[float], list[float]]:
    """A trained network in evaluation mode, its play, the mean return of every look, every step's loss."""
    data = recipe.data
    play = Play(data, bench.derive("play"))
    network = build_q_network(
        recipe.model.name, play.shape, play.actions, seed=bench.seed, **recipe.model.options
    )
    target = TargetNetwork(network, recipe.loss)
    looks: list[float] = []

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        found, _ = episodes(model, data["game"], CHOSEN_BY, bench.derive("chosen", len(looks)), data["limit"])
        looks.append(float(np.mean(found)))
        return {"shortfall": -looks[-1]}

    update = update_of(recipe.optimization, network)
    task = Task(play, network, {"train": target.loss}, [update], after=[target.follow])
    decay = recipe.optimization.get("average")
    average = None if decay is None else WeightAverage(network, decay)
    losses = bench.fit(
        task, recipe.optimization["steps"], evaluate=evaluate, monitor="shortfall", average=average
    )
    return network.eval(), play, looks, losses


class TargetNetwork:
    """A copy of the network that learns, which gives the targets and follows at intervals.

    Args:
        network: the one that learns.
        loss: the loss key.
    """

    def __init__(self, network: nn.Module, loss: RecipeKey) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.discount, self.every = loss["discount"], loss["target_every"]
        self.double = loss.get("double", False)

    def loss(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Huber loss of a batch's temporal differences."""
        observations, actions, rewards, terminated, following = batch
        with torch.no_grad():
            chosen_by = model(following) if self.double else None
            next_values = self.network(following)
        targets = td_target(rewards, terminated, next_values, self.discount, chosen_by=chosen_by)
        return {"total": td_loss(model(observations), actions, targets)}

    def follow(self, model: nn.Module, step: int) -> None:
        """Take over the weights after every so many updates."""
        if (step + 1) % self.every == 0:
            with torch.no_grad():
                for ours, theirs in zip(self.network.parameters(), model.parameters(), strict=True):
                    ours.copy_(theirs)


class Play:
    """The *data* key: ε-greedy play that is remembered, and a batch of it every step.

    Args:
        data: the key (see the module).
        seed: of environments, of random actions and of batches.
    """

    def __init__(self, data: RecipeKey, seed: int) -> None:
        self.data, self.frames = data, 0
        self.environments = EnvironmentCopies(
            data["game"], data["environments"], derive(seed, "environments")
        )
        self.actions, self.shape = self.environments.actions, self.environments.observations.shape[1:]
        self.buffer = ReplayBuffer(data["replay"], self.shape, self.environments.observations.dtype)
        self.acting, self.drawing = numpy_generator(seed, "actions"), numpy_generator(seed, "batches")

    def __call__(self, model: nn.Module, step: int) -> Batch:
        """Play up to what this step may have seen, then draw (see ``Transitions`` for a batch's tensors)."""
        while self.frames < self.data["warm_up"] + (step + 1) * self.data["frames_a_step"]:
            self._play(model)
        drawn = self.buffer.sample(self.data["batch"], self.drawing)
        device = next(model.parameters()).device
        return tuple(part.to(device) for part in drawn.tensors())

    @property
    def epsilon(self) -> float:
        """The share of actions that are random now."""
        least = self.data["epsilon"]
        since = max(0, self.frames - self.data["warm_up"])
        return float(max(least, 1 - (1 - least) * since / self.data["exploration"]))

    def _play(self, model: nn.Module) -> None:
        """One frame of every environment."""
        count = len(self.environments.observations)
        actions = self.acting.integers(self.actions, size=count)
        if self.frames >= self.data["warm_up"]:
            best = greedy(model, self.environments.observations)
            actions = np.where(self.acting.random(count) < self.epsilon, actions, best)
        self.buffer.add(self.environments.step(actions))
        self.frames += count


class EnvironmentCopies:
    """Copies of one environment that are stepped together; each begins anew when its episode has ended.

    Args:
        game: as gymnasium names it.
        count: of copies.
        seed: of their randomness.
    """

    observations: npt.NDArray[Any]

    def __init__(self, game: str, count: int, seed: int) -> None:
        self.copies = [make(game) for _ in range(count)]
        self.actions = int(self.copies[0].action_space.n)  # type: ignore[attr-defined]
        self.bounds = _bounds(self.copies[0])
        first = [one.reset(seed=derive(seed, i) % 2**31)[0] for i, one in enumerate(self.copies)]
        self.observations = np.stack([_seen(observation, self.bounds) for observation in first])
        self.finished: list[float] = []
        self._returns = [0.0] * count

    def step(self, actions: npt.NDArray[np.int64]) -> Transitions:
        """One frame of every copy; ``observations`` are then those to act on next.

        An episode that a limit of time cuts off has not terminated, and what follows its last step is its
        own last observation, not the first of the next episode.
        """
        before, now = self.observations, np.empty_like(self.observations)
        rewards, terminated = np.zeros(len(actions), np.float32), np.zeros(len(actions), np.bool_)
        following = np.empty_like(now)
        for i, (one, action) in enumerate(zip(self.copies, actions.tolist(), strict=True)):
            observation, reward, terminated[i], truncated, _ = one.step(action)
            following[i] = now[i] = _seen(observation, self.bounds)
            rewards[i] = reward
            self._returns[i] += float(reward)
            if terminated[i] or truncated:
                self.finished.append(self._returns[i])
                self._returns[i] = 0.0
                now[i] = _seen(one.reset()[0], self.bounds)
        self.observations = now
        return Transitions(before, actions, rewards, terminated, following)


def episodes(
    model: nn.Module, game: str, count: int, seed: int, limit: int
) -> tuple[list[float], list[npt.NDArray[Any]]]:
    """Greedy episodes, played together.

    Args:
        model: the Q-network.
        game: as gymnasium names it.
        count: of episodes.
        seed: of the environments.
        limit: frames after which an episode is broken off.

    Returns:
        Their returns, and what was observed in the first of them.
    """
    copies = [make(game) for _ in range(count)]
    bounds = _bounds(copies[0])
    seen = [_seen(one.reset(seed=derive(seed, i) % 2**31)[0], bounds) for i, one in enumerate(copies)]
    returns, playing, watched = [0.0] * count, list(range(count)), [seen[0]]
    for _ in range(limit):
        actions = greedy(model, np.stack([seen[i] for i in playing])).tolist()
        ended = set()
        for i, action in zip(playing, actions, strict=True):
            observation, reward, terminated, truncated, _ = copies[i].step(action)
            seen[i] = _seen(observation, bounds)
            returns[i] += float(reward)
            if terminated or truncated:
                ended.add(i)
        if 0 in playing:
            watched.append(seen[0])
        playing = [i for i in playing if i not in ended]
        if not playing:
            break
    return returns, watched


@torch.no_grad()
def greedy(model: nn.Module, observations: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """(N,) the action of the highest value for each of (N, *shape)."""
    device = next(model.parameters()).device
    best: npt.NDArray[np.int64] = model(torch.from_numpy(observations).to(device)).argmax(1).cpu().numpy()
    return best


def make(game: str) -> gymnasium.Env[Any, Any]:
    """An environment by name.

    Raises:
        MissingExtra: gymnasium or MinAtar is not installed.
    """
    pixels = game.startswith("MinAtar/")
    if find_spec("gymnasium") is None or (pixels and find_spec("minatar") is None):
        raise MissingExtra(f"playing {game}", "play")
    import gymnasium

    if pixels and game not in gymnasium.registry:
        from minatar.gym import register_envs

        register_envs()
    return gymnasium.make(game, disable_env_checker=True)


def _bounds(game: gymnasium.Env[Any, Any]) -> npt.NDArray[np.float32]:
    """The largest value of each number that is observed, 1 where there is none."""
    highest = np.asarray(game.observation_space.high, np.float32)  # type: ignore[attr-defined]
    return np.where(np.isfinite(highest), highest, 1).astype(np.float32)


def _seen(observation: npt.NDArray[Any], bounds: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """An observation as networks take it: (H, W, C) as (C, H, W), numbers as shares of their bounds."""
    return np.moveaxis(observation, -1, 0) if observation.ndim == 3 else observation / bounds


@dataclass(frozen=True)
class Transitions:
    """Steps of play, N of them.

    Args:
        observations: (N, *shape), before the step.
        actions: (N,) int64.
        rewards: (N,) float32.
        terminated: (N,) bool: nothing follows, so that the value of what follows is 0. False where only a
            limit of time ended the episode: there is a value beyond it.
        following: (N, *shape), what is observed after the step; at an episode's end its last observation,
            never the next one's first.
    """

    observations: npt.NDArray[np.generic]
    actions: npt.NDArray[np.int64]
    rewards: npt.NDArray[np.float32]
    terminated: npt.NDArray[np.bool_]
    following: npt.NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.actions)

    def tensors(self) -> tuple[Tensor, ...]:
        """The five arrays as tensors, which share their memory."""
        return tuple(torch.from_numpy(getattr(self, name)) for name in self.__dataclass_fields__)


class ReplayBuffer:
    """The latest transitions in arrays that are written round and round (Lin 1992).

    Args:
        capacity: transitions kept; the oldest give way.
        observation_shape: of one observation.
        dtype: of observations as they are kept: one byte a number for bool and uint8.

    Raises:
        InvalidInput: a capacity below 1.

    Example:
        >>> buffer = ReplayBuffer(2, (), np.uint8)
        >>> for seen in (1, 2, 3):
        ...     row = np.array([seen], np.uint8)
        ...     buffer.add(Transitions(row, np.array([0]), np.ones(1, np.float32), np.array([False]), row))
        >>> len(buffer), sorted(buffer.sample(2, np.random.default_rng(0)).observations.tolist())
        (2, [2, 3])
    """

    def __init__(self, capacity: int, observation_shape: Sequence[int], dtype: npt.DTypeLike) -> None:
        check(capacity >= 1, "replay buffer", f"a capacity of {capacity}", "at least 1")
        shape = (capacity, *observation_shape)
        self.kept = Transitions(
            np.zeros(shape, dtype),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.float32),
            np.zeros(capacity, np.bool_),
            np.zeros(shape, dtype),
        )
        self.capacity, self.added = capacity, 0

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, new: Transitions) -> None:
        """Keep transitions, in their order; of more than the capacity the last."""
        count = min(len(new), self.capacity)
        places = (self.added + len(new) - count + np.arange(count)) % self.capacity
        for name in new.__dataclass_fields__:
            getattr(self.kept, name)[places] = getattr(new, name)[len(new) - count :]
        self.added += len(new)

    def sample(self, count: int, generator: np.random.Generator) -> Transitions:
        """Draw transitions uniformly, with replacement; all there are, each once, where they are no more.

        Raises:
            InvalidInput: nothing has been added.
        """
        check(len(self) >= 1, "replay buffer", "it is empty", "play before a batch is drawn")
        rows = generator.integers(len(self), size=count) if len(self) > count else np.arange(len(self))
        return Transitions(*(getattr(self.kept, name)[rows] for name in self.kept.__dataclass_fields__))
