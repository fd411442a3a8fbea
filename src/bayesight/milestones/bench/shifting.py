"""The trials of a colour that turns round: a network's own answers, or a belief about its features.

```
data          coloured_letters(noise, agreement, balanced, batch, environments, grey)
model         any registered network and its options
loss          any registered classification loss, those that see environments too
optimization  any registered optimizer (lr, steps, weight_decay, ...)

stage belief  held_out(absorb_balanced) · gaussian, over the layers of the network · likelihood · closed_form
```

The weights are those with the lowest log-loss on held-out letters of the training environments, adjusted for
the colour where the loss sees environments. No test environment is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.bayes.head import gaussian
from bayesight.bayes.head.gaussian import HeadPrior
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey
from bayesight.milestones.bench.classifying import network_of, train_classifier
from bayesight.milestones.bench.coloured import (
    ColouredLetters,
    ColourPlan,
    ColourWorld,
    make_world,
    two_kinds,
)
from bayesight.milestones.bench.workbench import Bench, thinned
from bayesight.models import ImageModel
from bayesight.training.classification import log_probabilities
from bayesight.types import FloatArray, IntArray


def classify_coloured(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train a network and take its most probable label.

    Returns:
        Accuracies in [0, 1]: ``train_A`` and ``validation_A`` in the training environment where colour and
        label agree in a share A of the letters, the second on those held out; ``adjusted_validation``, the
        mean over the four groups of label and colour; ``test_A`` on the test letters at each agreement.
    """
    (recipe,) = recipes
    world = _world_of(recipe.data, bench)
    network, losses = _trained(recipe, world, bench)
    grey = recipe.data["grey"]

    def answer(part: ColouredLetters) -> IntArray:
        return log_probabilities(network, part.examples("place", grey=grey)).argmax(1).numpy()

    return Measurement(_measured(answer, world, plan_of(recipe.data)), thinned(losses))


def believe_coloured(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train a network, then take the label that a Gaussian head over its layers finds likelier.

    A first head, fitted to the training letters, knows four groups: each label in each colour. Its
    log-likelihoods are three coordinates that hold what the network's layers tell of letter and colour. In
    these a second head holds the held-out letters of the training environments, which the network has not
    learned by heart: the past, to which the balanced batch is added where the second stage says so. The
    answer is the label whose two groups are likelier, all four having the same base rate: that of a place
    where colour says nothing.

    Returns:
        What ``classify_coloured`` does.
    """
    recipe, belief = recipes
    world = _world_of(recipe.data, bench)
    network, losses = _trained(recipe, world, bench)
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
    if belief.data["absorb_balanced"]:
        head, _ = gaussian.absorb(head, coordinates(world.balanced), world.balanced.groups)

    def answer(part: ColouredLetters) -> IntArray:
        likelihood = gaussian.log_likelihood(head, coordinates(part)).view(-1, 2, 2)
        return likelihood.logsumexp(dim=2).argmax(dim=1).numpy()

    return Measurement(_measured(answer, world, plan_of(recipe.data)), thinned(losses))


def plan_of(data: RecipeKey) -> ColourPlan:
    """The agreement of label and colour, and the noise, as a data key says."""
    return ColourPlan(noise=data["noise"], train=data["agreement"], balanced=data["balanced"])


def _world_of(data: RecipeKey, bench: Bench) -> ColourWorld:
    return make_world(two_kinds(bench.sources.letters.store), plan_of(data), bench.seed)


def _trained(recipe: Keys, world: ColourWorld, bench: Bench) -> tuple[ImageModel, list[float]]:
    """The network at the weights that the held-out letters choose, and the loss of every step.

    Arms that begin with the same recipe share it: it is trained once a seed.
    """
    grey, bench = recipe.data["grey"], bench.in_float32()

    def trained() -> tuple[ImageModel, list[float]]:
        train = world.train.examples(recipe.data["environments"], grey=grey)
        network = network_of(recipe.model, train, bench, classes=2)
        held_out = world.validation.examples("colour", grey=grey)
        losses = train_classifier(network, recipe, train, bench, chosen_on=held_out)
        return network.eval().cpu(), losses

    return bench.once(str(recipe.as_dict()), trained)


_GROUPS = ("first, red", "first, green", "second, red", "second, green")
_CONTRASTS = torch.tensor([[-1, -1, 1], [-1, 1, -1], [1, -1, -1], [1, 1, 1]], dtype=torch.float64)
"""From the four groups to letter, colour and both together; what all four share falls out."""


@torch.no_grad()
def _layers(network: ImageModel, part: ColouredLetters) -> Tensor:
    """(N, D) square roots of every hidden layer's activations, each layer at length 1."""
    images = torch.from_numpy(part.images).permute(0, 3, 1, 2).float() / 255
    return torch.cat([F.normalize(layer.sqrt(), dim=1) for layer in network.stages(images)], dim=1)


def _measured(
    answer: Callable[[ColouredLetters], IntArray], world: ColourWorld, plan: ColourPlan
) -> dict[str, float]:
    def right(part: ColouredLetters) -> FloatArray:
        return np.equal(answer(part), part.labels).astype(np.float64)

    held, groups = right(world.validation), world.validation.groups.numpy()
    known = (("train", world.train, right(world.train)), ("validation", world.validation, held))
    values = {
        f"{name}_{agree:g}": float(found[part.places == place].mean())
        for name, part, found in known
        for place, agree in enumerate(plan.train)
    }
    values["adjusted_validation"] = float(np.mean([held[groups == g].mean() for g in np.unique(groups)]))
    return values | {
        f"test_{agree:g}": float(right(part).mean())
        for agree, part in zip(plan.test, world.test, strict=True)
    }
