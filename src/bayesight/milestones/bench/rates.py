"""The trial of an optimizer: the same recipe with several learning rates, the best of which counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bayesight.errors import TrainingDiverged
from bayesight.milestones.bench.claim import Keys, Measurement
from bayesight.milestones.bench.classifying import letters_of, network_of, train_classifier
from bayesight.milestones.bench.language import train_language_model
from bayesight.milestones.bench.workbench import Bench, thinned

LAST = 6
"""The mean loss over the last sixth of the steps is what counts."""


def best_rate_on_text(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """``best_rate`` of a language model."""
    return best_rate(recipes, bench, lambda recipe, bench: train_language_model(recipe, bench)[1])


def best_rate_on_letters(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """``best_rate`` of a classifier."""

    def losses(recipe: Keys, bench: Bench) -> list[float]:
        train, _ = letters_of(recipe.data, bench)
        network = network_of(recipe.model, train, bench)
        return train_classifier(network, recipe, train, bench)

    return best_rate(recipes, bench, losses)


def best_rate(
    recipes: Sequence[Keys], bench: Bench, train: Callable[[Keys, Bench], list[float]]
) -> Measurement:
    """Train with each of the recipe's learning rates; all else, the seed too, is the same.

    Args:
        recipes: one, whose optimization names several rates as ``lr``.
        bench: the trial's surroundings.
        train: gives the loss of every step, nats.

    Returns:
        ``train_loss``, the mean over the last sixth of the steps at the best rate; ``lr``, that rate.

    Raises:
        TrainingDiverged: with every rate.
    """
    (recipe,) = recipes
    found: list[tuple[float, float, list[float]]] = []
    for rate in recipe.optimization["lr"]:
        try:
            losses = train(recipe.changed({"optimization.lr": rate}), bench)
        except TrainingDiverged:
            continue  # a rate that is too high is no candidate
        tail = losses[-max(1, len(losses) // LAST) :]
        found.append((sum(tail) / len(tail), rate, losses))
    if not found:
        raise TrainingDiverged(f"{recipe.optimization}: diverged with every rate; name lower ones.")
    loss, rate, losses = min(found, key=lambda one: one[0])
    return Measurement({"train_loss": loss, "lr": rate}, thinned(losses))
