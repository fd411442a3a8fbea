"""A request to train, and the recipe it states, or the run that goes on has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayesight.checks import check
from bayesight.errors import InvalidInput
from bayesight.language import marked
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.types import IntArray
from bayesight.workflows.sources import AS_IT_IS, SourceOptions

__all__ = ["NAMED", "TrainRequest", "known_recipe", "refuse_options_of_images", "stated_recipe"]

NAMED = marked("as named")
"""Why a model was taken that was named, or stated in a recipe."""


@dataclass(frozen=True)
class TrainRequest:
    """A training to do: its data, its recipe, and the folder of the run.

    Args:
        source: a folder, archive or IDX file of labelled images, or labelled texts.
        out: the run folder.
        recipe: the four keys; None is the run's own with ``resume``, else the packaged one of the model that
            suits the images.
        model: a model by name: its packaged recipe is taken, and photographs are brought to its size.
        task: what is asked of the images beyond their class, by name; empty for what the model says.
        changes: values of that packaged recipe to replace, by dotted path (``"optimization.epochs"``).
        also: more training images of the same classes, never used to validate.
        labels: an IDX source's file of labels, when it is not beside it.
        options: how the sources are read where they do not show.
        resume: go on where an interrupted run stopped; starts afresh where there is none.
        overwrite: replace a run that is there.
        init_from: a run whose network's weights are the start.
        weights: a safetensors file of weights that are the start, or of texts the folder of a published
            BERT.
        unlabelled: images or texts without labels, for a recipe that pretrains.
        threads: processor threads; None takes half the cores.
        device: "auto", "cpu", "cuda", ...
        checkpoint_every_s: seconds between two checkpoints.
        without: classes to leave out, those of which no image can be read among them.
        only: rows of the source's store to learn from; None takes all.
    """

    source: Path
    out: Path
    recipe: Recipe | None = None
    model: str = ""
    task: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[Path, ...] = ()
    labels: Path | None = None
    options: SourceOptions = AS_IT_IS
    resume: bool = False
    overwrite: bool = False
    init_from: Path | None = None
    weights: Path | None = None
    unlabelled: tuple[Path, ...] = ()
    threads: int | None = None
    device: str = "auto"
    checkpoint_every_s: float = 10.0
    without: tuple[str, ...] = ()
    only: IntArray | None = None


def stated_recipe(request: TrainRequest, resuming: bool) -> Recipe | None:
    """The recipe of the request, or of the run that goes on; None where a model is to be chosen."""
    if not resuming:
        return request.recipe
    kept = Run.open(request.out, finished=False).recipe()
    wanted = request.recipe or kept.changed(request.changes)
    if wanted != kept or request.model not in ("", kept.model.name):
        raise InvalidInput(
            f"{request.out} was begun with another recipe; leave out the options that differ, or start again "
            "with --overwrite."
        )
    return kept


def refuse_options_of_images(request: TrainRequest, model: str) -> None:
    """Refuse options of a request that a model of texts has no use for."""
    given = {"--init-from": request.init_from, "--weights": request.weights, "--labels-file": request.labels}
    for option, value in given.items():
        check(value is None, option, str(value), f"none for {model}", "Leave it out.")


def known_recipe(request: TrainRequest) -> Recipe:
    """All that is known of the recipe before the images are: that of the model named, or what models share.

    How images are read, the seed and the precision are the same for every model.

    Raises:
        UnknownName: no such model.
        InvalidConfig: values that it, or any model, could not take.
    """
    changes = request.changes
    if request.model:
        return Recipe.default(request.model).changed(changes)
    shared = {path: value for path, value in changes.items() if path.partition(".")[0] in ("data", "seed")}
    precision = {path: value for path, value in changes.items() if path == "optimization.precision"}
    return Recipe.default("mlp").changed(shared | precision)
