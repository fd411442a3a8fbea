"""Does a classifier hold when what it leaned on turns round? Coloured letters, several ways of training.

Two kinds of letters are to be told apart (``coloured``). A quarter of the labels are wrong, and a letter has
the colour of its label in 90 % of the images of one training environment and in 80 % of the other. The colour
is thus the better clue, and at test it points the other way: it agrees in 10 %.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.bayes.head import gaussian
from bayesight.bayes.head.gaussian import HeadPrior
from bayesight.checks import check
from bayesight.errors import UnknownName
from bayesight.models import ImageModel
from bayesight.training.classification import classification, log_probabilities
from bayesight.training.engine import fit
from bayesight.training.hardware import Hardware, choose_hardware
from bayesight.training.recipe import Recipe
from bayesight.types import IntArray, Progress
from bayesight.workflows.coloured import (
    ColouredLetters,
    ColourPlan,
    ColourWorld,
    GreyLetters,
    make_world,
    read_letters,
)

__all__ = [
    "METHODS",
    "PUBLISHED",
    "RECIPE",
    "SELECTION",
    "Arm",
    "Method",
    "ShiftOptions",
    "ShiftResult",
    "measure_seed",
    "shift",
]

SELECTION = (
    "Weights: the lowest log-loss on held-out letters of the training environments, plain for ordinary "
    "training and the grey oracle, adjusted for the colour by the back-door formula for the others. Method: "
    "the highest accuracy on those letters after the same adjustment, at the median of the seeds, among "
    "those that are trained on the training environments alone. No test environment is looked at for either."
)
"""The rule, fixed before any test environment was measured."""

PUBLISHED = {
    "ordinary": (0.874, 0.171),
    "irm": (0.708, 0.669),
    "grey": (0.735, 0.730),
}
"""Accuracy in the training environments and at test on Colored MNIST, 50,000 digits (Arjovsky et al. 2019,
table 1); the hyper-parameters of their IRM were chosen with test data."""

RECIPE = Recipe.parse(
    {
        "data": {"batch": 2048, "validation": 0.15, "mode": "RGB"},
        "model": {"name": "mlp", "hidden": [256, 256], "dropout": 0.5},
        "optimization": {
            "name": "adamw",
            "lr": 1e-3,
            "weight_decay": 2.0,
            "epochs": 60,
            "schedule": {"name": "constant"},
            "precision": "32",
        },
    }
)
"""What all methods share."""


LOOKS = 20
"""How often during a training the held-out letters are looked at."""


@dataclass(frozen=True)
class Method:
    """One way of training.

    Args:
        title: in words.
        sees: what it is told beyond images and labels.
        loss: as a recipe states it.
        environments: what the loss sees as environments.
        chosen_by: the validation metric that chooses the weights, lower being better.
        candidate: whether it rests on the training environments alone and may be chosen between.
        passes: how many times longer than the others it trains.
    """

    title: str
    sees: str
    loss: Mapping[str, Any]
    environments: Literal["place", "colour"] = "colour"
    chosen_by: str = "adjusted_log_loss"
    candidate: bool = True
    passes: float = 1.0


METHODS: Mapping[str, Method] = {
    "ordinary": Method("ordinary training", "nothing", {"name": "cross_entropy"}, chosen_by="log_loss"),
    "reweight": Method("adjusted for the colour", "the colour of each letter", {"name": "reweight"}),
    "groupdro": Method("group DRO", "the colour of each letter", {"name": "groupdro", "step_size": 0.05}),
    "irm": Method(
        "invariant risk",
        "environments, and colours of held-out letters to choose the weights",
        {"name": "irm", "penalty": 10000.0, "anneal": 0.1},
        environments="place",
        passes=4.0,
    ),
    "belief": Method(
        "belief at equal base rates",
        "the colour of each letter, once ordinary training is over",
        {"name": "cross_entropy"},
        chosen_by="log_loss",
        candidate=False,
    ),
    "dfr": Method(
        "belief with a balanced batch",
        "the same, and the labels of a balanced batch",
        {"name": "cross_entropy"},
        chosen_by="log_loss",
        candidate=False,
    ),
    "grey": Method(
        "oracle without colour",
        "that colour is to be ignored: the images are grey",
        {"name": "cross_entropy"},
        chosen_by="log_loss",
        candidate=False,
    ),
}
"""Every way that is measured, by name."""


@dataclass(frozen=True)
class ShiftOptions:
    """The experiment.

    Args:
        data: labelled images whose classes are halved into two; None renders letters.
        seeds: repetitions; labels, colours, environments and initial weights are drawn anew in each.
        plan: noise, agreements and the size of the balanced batch.
        epochs: passes over the training letters.
        methods: names of those to run, in order.
        threads: processor threads.

    Raises:
        InvalidInput: a number out of its range, an unknown method.
    """

    data: Path | None = None
    seeds: int = 5
    plan: ColourPlan = field(default_factory=ColourPlan)
    epochs: float = RECIPE.optimization.epochs
    methods: tuple[str, ...] = tuple(METHODS)
    threads: int | None = None

    def __post_init__(self) -> None:
        check(self.seeds >= 1, "seeds", f"got {self.seeds}", "at least 1")
        for name in self.methods:
            if name not in METHODS:
                raise UnknownName("method", name, METHODS)


@dataclass(frozen=True)
class Arm:
    """One method with one seed.

    Args:
        train: accuracy on the training letters of each environment.
        validation: accuracy on held-out letters of each training environment.
        adjusted: accuracy on those, adjusted for the colour.
        test: accuracy at each agreement.
    """

    train: tuple[float, ...]
    validation: tuple[float, ...]
    adjusted: float
    test: tuple[float, ...]


@dataclass(frozen=True)
class ShiftResult:
    """The whole experiment.

    Args:
        options: what was run.
        letters: on what.
        arms: one a seed, of each method by name.
    """

    options: ShiftOptions
    letters: GreyLetters
    arms: Mapping[str, tuple[Arm, ...]]

    @property
    def chosen(self) -> str | None:
        """The method chosen on the training environments; None where no candidate was run."""
        names = [name for name in self.arms if METHODS[name].candidate]
        return max(names, key=lambda n: statistics.median(a.adjusted for a in self.arms[n]), default=None)

    def figures(self, name: str) -> dict[str, Any]:
        """Median, least and greatest over the seeds of every accuracy of a method."""
        arms = self.arms[name]
        trained = [f"{agree:g}" for agree in self.options.plan.train]
        shifted = [f"{agree:g}" for agree in self.options.plan.test]
        return {
            "title": METHODS[name].title,
            "sees": METHODS[name].sees,
            "train": {a: _spread([arm.train[i] for arm in arms]) for i, a in enumerate(trained)},
            "validation": {a: _spread([arm.validation[i] for arm in arms]) for i, a in enumerate(trained)},
            "adjusted_validation": _spread([arm.adjusted for arm in arms]),
            "test": {a: _spread([arm.test[i] for arm in arms]) for i, a in enumerate(shifted)},
            "published": dict(zip(("train", "test"), PUBLISHED[name], strict=True))
            if name in PUBLISHED
            else None,
        }

    def as_dict(self) -> dict[str, Any]:
        """The numbers ``--json`` prints."""
        options, letters = self.options, self.letters
        return {
            "source": letters.source,
            "kinds": [list(kind) for kind in letters.kinds],
            "letters": {name: len(rows) for name, rows in letters.parts.items()},
            "seeds": options.seeds,
            "noise": options.plan.noise,
            "ceiling": 1 - options.plan.noise,
            "agreement": {"train": list(options.plan.train), "test": list(options.plan.test)},
            "balanced_labels": options.plan.balanced,
            "selection": SELECTION,
            "chosen": self.chosen,
            "methods": {name: self.figures(name) for name in self.arms},
        }


def shift(
    options: ShiftOptions, letters: GreyLetters | None = None, *, progress: Progress | None = None
) -> ShiftResult:
    """Train every method on every seed and measure it in every environment.

    Args:
        options: the experiment.
        letters: in place of those of ``options.data``.
        progress: told how many of the trainings are done.

    Raises:
        SourceNotFound, SourceUnreadable: the data cannot be read.
        InvalidInput: fewer than two classes.
    """
    letters = letters or read_letters(options.data)
    hardware = choose_hardware(precision="32", threads=options.threads, device="cpu")
    total = options.seeds * len(options.methods)
    arms: dict[str, list[Arm]] = {name: [] for name in options.methods}
    for seed in range(options.seeds):
        for name, arm in measure_seed(
            letters, options, seed, hardware, _tick(progress, seed, options)
        ).items():
            arms[name].append(arm)
    if progress is not None:
        progress(total, total)
    return ShiftResult(options, letters, {name: tuple(found) for name, found in arms.items()})


def measure_seed(
    letters: GreyLetters,
    options: ShiftOptions,
    seed: int,
    hardware: Hardware,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Arm]:
    """Every method on one draw of labels, colours, environments and initial weights."""
    world = make_world(letters, options.plan, seed)
    arms: dict[str, Arm] = {}
    ordinary: ImageModel | None = None
    for name in options.methods:
        of_ordinary = name in ("ordinary", "belief", "dfr")
        network = ordinary if of_ordinary and ordinary is not None else None
        if network is None:
            network = _trained(name, world, options, seed, hardware)
        ordinary = network if of_ordinary else ordinary
        if name in ("belief", "dfr"):
            answer = _believing(network, world, absorb=name == "dfr")
        else:
            answer = _softmax(network, grey=name == "grey")
        arms[name] = _measured(answer, world)
        tick()
    return arms


def _trained(
    name: str, world: ColourWorld, options: ShiftOptions, seed: int, hardware: Hardware
) -> ImageModel:
    """The network a method ends with, at the weights its rule chooses."""
    method, grey = METHODS[name], name == "grey"
    epochs = options.epochs * method.passes
    recipe = RECIPE.changed({"loss": dict(method.loss), "seed": seed, "optimization.epochs": epochs})
    train = world.train.examples(method.environments, grey=grey)
    validation = world.validation.examples("colour", grey=grey)
    goal = classification(recipe, train, validation, 2, hardware)
    looks = max(1, goal.budget.steps // LOOKS)
    budget = replace(goal.budget, monitor=method.chosen_by, evaluate_every=looks)
    fit(goal.task, budget, fabric=hardware.fabric, evaluate=goal.evaluate)
    return goal.network.eval()


def _softmax(network: ImageModel, *, grey: bool) -> Callable[[ColouredLetters], IntArray]:
    """What the network itself says."""
    return lambda part: log_probabilities(network, part.examples("place", grey=grey)).argmax(1).numpy()


def _believing(
    network: ImageModel, world: ColourWorld, *, absorb: bool
) -> Callable[[ColouredLetters], IntArray]:
    """What the Gaussian head says of an ordinarily trained network's features.

    A first head, fitted to the training letters, knows four groups: each label in each colour. Its
    log-likelihoods are three coordinates that hold what the network's layers tell of letter and colour. In
    these a second head holds the held-out letters of the training environments, which the network has not
    learned by heart: the past, to which the balanced batch is added. The answer is the label whose two groups
    are likelier, all four having the same base rate: that of a place where colour says nothing.
    """
    past = gaussian.fit(
        _layers(network, world.train),
        world.train.groups,
        _GROUPS,
        prior=HeadPrior(scatter=len(world.train.labels)),
    )

    def coordinates(part: ColouredLetters) -> Tensor:
        return gaussian.log_likelihood(past, _layers(network, part)) @ _CONTRASTS

    head = gaussian.fit(
        coordinates(world.validation),
        world.validation.groups,
        _GROUPS,
        prior=HeadPrior(scatter=1e-3 * len(world.validation.labels)),
    )
    if absorb:
        head, _ = gaussian.absorb(head, coordinates(world.balanced), world.balanced.groups)

    def answer(part: ColouredLetters) -> IntArray:
        likelihood = gaussian.log_likelihood(head, coordinates(part)).view(-1, 2, 2)
        return likelihood.logsumexp(dim=2).argmax(dim=1).numpy()

    return answer


_GROUPS = ("first, red", "first, green", "second, red", "second, green")
_CONTRASTS = torch.tensor([[-1, -1, 1], [-1, 1, -1], [1, -1, -1], [1, 1, 1]], dtype=torch.float64)
"""From the four groups to letter, colour and both together; what all four share falls out."""


@torch.no_grad()
def _layers(network: ImageModel, part: ColouredLetters) -> Tensor:
    """(N, D) square roots of every hidden layer's activations, each layer at length 1."""
    images = torch.from_numpy(part.images).permute(0, 3, 1, 2).float() / 255
    return torch.cat([F.normalize(layer.sqrt(), dim=1) for layer in network.stages(images)], dim=1)


def _measured(answer: Callable[[ColouredLetters], IntArray], world: ColourWorld) -> Arm:
    def right(part: ColouredLetters) -> Any:
        return answer(part) == part.labels

    def by_place(part: ColouredLetters) -> tuple[float, ...]:
        found = right(part)
        return tuple(float(found[part.places == k].mean()) for k in range(int(part.places.max()) + 1))

    held = right(world.validation)
    groups = world.validation.groups.numpy()
    adjusted = float(np.mean([held[groups == g].mean() for g in np.unique(groups)]))
    return Arm(
        by_place(world.train),
        by_place(world.validation),
        adjusted,
        tuple(float(right(part).mean()) for part in world.test),
    )


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "seeds": values,
    }


def _tick(progress: Progress | None, seed: int, options: ShiftOptions) -> Callable[[], None]:
    done = seed * len(options.methods)

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, options.seeds * len(options.methods))

    return tick
