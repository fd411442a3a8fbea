"""A training run in four keys: data, model, loss, optimization.

A recipe is frozen, reads from and writes to TOML, and reports every problem at once:

```toml
seed = 0
[data]
validation = 0.1
batch = 256
augment = { name = "glyph", rotate_deg = 10 }
[model]
name = "resnet"
widths = [32, 64, 96]
[loss]
name = "cross_entropy"
label_smoothing = 0.1
[optimization]
name = "nesterov"
lr = 0.2
epochs = 30
schedule = { name = "cosine", warmup = 0.2 }
```

Besides the fields below, a table takes the options of what it names. The model decides what the run is: a
classifier, or a model that makes images, goes on with texts, translates, names pixels, finds boxes or key
points, or answers questions. A further table ``[pretrain]`` lets a classifier's network look at images
without labels first.
"""

from __future__ import annotations

import math
import tomllib
import types
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictStr, ValidationError
from torch import nn

from bayesight.checks import check, existing_path
from bayesight.data.augment import AUGMENTATIONS, Augment, SceneAugment, augmentation
from bayesight.errors import InvalidConfig, UnknownName, listed, nearest, shown
from bayesight.files import reading
from bayesight.frame import Fit
from bayesight.losses import LOSSES
from bayesight.models import (
    DETECTORS,
    GENERATORS,
    LANGUAGE_MODELS,
    MODELS,
    POSE_MODELS,
    QUESTION_MODELS,
    SEGMENTERS,
    TEXT_MODELS,
    TRANSLATION_MODELS,
)
from bayesight.optim import OPTIMIZERS, SCHEDULES, build_optimizer, build_schedule
from bayesight.registry import Registry, option_problems
from bayesight.seeding import derive
from bayesight.training.average import WeightAverage
from bayesight.training.engine import Batch, Budget, Loss, Network, Plan, Task, Update
from bayesight.values import BelowOne, Each, Width, Within, sentence_of


class NamedOptions(BaseModel):
    """Something registered, and its options.

    Args:
        name: the registered name.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    name: StrictStr

    @property
    def options(self) -> dict[str, Any]:
        """Everything beside the declared fields."""
        return dict(self.model_extra or {})


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _sides(value: Any) -> Any:
    """A size as one side or (height, width), each within what can be read."""
    side = Within(1, LARGEST_SIDE)
    if isinstance(value, list | tuple):
        return tuple(Each(side, 2, 2).checked(value, whole=True))
    return value if value is None else side.checked(value, whole=True)


Kind: TypeAlias = Literal[
    "classification",
    "generation",
    "language",
    "translation",
    "segmentation",
    "detection",
    "pose",
    "questions",
]
FAMILIES: Mapping[Kind, Registry[Any]] = {
    "classification": MODELS,
    "generation": GENERATORS,
    "language": LANGUAGE_MODELS,
    "translation": TRANSLATION_MODELS,
    "segmentation": SEGMENTERS,
    "pose": POSE_MODELS,
    "questions": QUESTION_MODELS,
    "detection": DETECTORS,
}
"""The registered models of each kind of run."""
TEXTS: frozenset[Kind] = frozenset({"language", "translation"})
"""Kinds that learn from texts."""
ON_IMAGES: frozenset[Kind] = frozenset({"segmentation", "detection", "pose", "questions"})
"""Kinds that answer more of an image than its class."""
_RECIPES = resources.files("bayesight.training") / "recipes"
_FILES = {"transformer": "translate"}
"""Packaged recipes that are named after what they do, where a model has no name of its own for it."""
NEXT_SYMBOL = "next_symbol"
"""The loss of every model of texts."""

METHOD_FIELDS = {"simclr": {"temperature", "projection", "augment"}, "masked": {"share"}}
"""The fields of a table ``[pretrain]`` that belong to one method."""
OF_IMAGES = ("size", "mode", "environments", "group_by")
"""The fields of a table ``[data]`` that say something of images."""

Choice = Annotated[NamedOptions, BeforeValidator(_named)]
Positive = Annotated[float, Within(0, 1e6, above=True)]
Rate = Annotated[float, Within(0, 1e30, above=True)]
LARGEST_SIDE = 4096
"""Pixels of a side that images are brought to, at most."""
LARGEST_CONTEXT = 65_536
"""Symbols of a text that are seen at once, at most."""


class DataKey(BaseModel):
    """The images of a training.

    Args:
        batch: images in one step, over all processes.
        validation: share of the images held out for choosing weights and calibration, never trained on.
        augment: random changes to training images.
        size: side in pixels (or [height, width]) the images are brought to; None keeps what they have.
        fit: how images of another shape are brought to the size: "crop" keeps the centre, "pad" keeps all of
            them with black beside them, "stretch" stretches them.
        mode: "L" (grey) or "RGB"; None keeps what they have.
        also_share: share of every batch that is drawn from the further sources of ``--also``, where there are
            any; an epoch is one pass over the source itself.
        environments: where the images come from: "folder" for ENVIRONMENT/CLASS/NAME.png, "TABLE.csv:COLUMN"
            for a column of a table; None where it does not matter.
        group_by: groups of images that are never on both sides of the split into training and validation:
            "TABLE.csv:COLUMN", or a pattern of paths with a group ``group``; None for identical images alone.
        context: of a text, symbols that are seen at once.
        void: a number in masks that stands for no class, besides 255; None where 255 alone does.
        vocabulary: of a text, "characters", or how many subwords at most its training part is cut into;
            of pairs of sentences always subwords, which both languages share.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    batch: Annotated[int, Within(1, 1_000_000)] = 256
    validation: Annotated[float, Within(0, 0.5, above=True)] = 0.1
    augment: Choice = NamedOptions(name="none")
    size: Annotated[int | tuple[int, int] | None, BeforeValidator(_sides)] = None
    fit: Fit = "crop"
    mode: Literal["L", "RGB"] | None = None
    also_share: Annotated[float, Within(0, 1, above=True, below=True)] = 0.4
    environments: StrictStr | None = None
    group_by: StrictStr | None = None
    void: Annotated[int, Within(0, 255)] | None = None
    context: Annotated[int, Within(1, LARGEST_CONTEXT)] = 128
    vocabulary: Literal["characters"] | Annotated[int, Within(259, 1_000_000)] = "characters"

    def augmentation(self) -> Augment | None:
        """The augmentation it names; None for none."""
        choice = self.augment
        return None if choice.name == "none" else augmentation(choice.name, **choice.options)

    def scene_augmentation(self) -> SceneAugment | None:
        """The augmentation of images whose annotations move with them; None for none.

        Raises:
            InvalidInput: one that moves the image alone.
        """
        found = self.augmentation()
        moves = found is None or isinstance(found, SceneAugment)
        check(moves, "data.augment", f"{self.augment.name!r}, which moves the image alone", "none or scene")
        return found if isinstance(found, SceneAugment) else None


class ModelKey(NamedOptions):
    """The network, and its options."""

    name: StrictStr = "mlp"


class LossKey(NamedOptions):
    """The loss, and its options."""

    name: StrictStr = "cross_entropy"


class OptimizationKey(NamedOptions):
    """The optimizer, with its options, rate and schedule.

    Args:
        lr: base learning rate.
        backbone_lr: that of a classifier's network below its last layer, which is fitted first, so that the
            first steps do not spoil features from other images; None for the same rate from the start.
        weight_decay: pull of matrices and kernels towards zero.
        epochs: passes over the training images.
        schedule: how the rate moves over the whole budget.
        accumulate: pieces each batch is cut into, to fit memory; the gradient is that of the whole batch.
        clip_norm: gradients longer than this are shortened to it; None never.
        average: decay of the moving average of the weights, which is then what is evaluated and kept;
            None evaluates the weights themselves.
        patience: epochs without a better validation log-loss before training stops; None never.
        precision: "auto" takes bf16 where the hardware has matrix units for it, "32" where not.
    """

    name: StrictStr = "adamw"
    lr: Rate = 1e-3
    backbone_lr: Rate | None = None
    weight_decay: Annotated[float, Within(0, 1e6)] = 0.0
    epochs: Positive = 10
    schedule: Choice = NamedOptions(name="cosine")
    accumulate: Annotated[int, Within(1, 1_000_000)] = 1
    clip_norm: Positive | None = None
    average: BelowOne | None = None
    patience: Annotated[int, Within(0, 1_000_000)] | None = None
    precision: Literal["auto", "32", "bf16"] = "auto"

    def update(self, network: nn.Module, steps: int, name: str) -> Update:
        """The optimizer's turn, under a name, over a network's parameters, in a training of so many steps."""
        return Update(
            name,
            build_optimizer(
                self.name,
                network,
                lr=self.lr,
                weight_decay=self.weight_decay,
                backbone_lr=self.backbone_lr,
                **self.options,
            ),
            build_schedule(self.schedule.name, steps, **self.schedule.options),
            self.clip_norm,
        )


class PretrainKey(BaseModel):
    """Pretraining of a classifier's network, before any label.

    By SimCLR (Chen et al. 2020) two random views of each image of a batch are to be recognised as one image
    among all others. Whatever the views differ in is forgotten, so the augmentation says what does not
    matter. By masking (Devlin et al. 2018) some symbols of a text are hidden and to be named from the others.

    Args:
        name: the method, "simclr" of images or "masked" of texts.
        epochs: passes over all images or texts, labelled or not, the validation images left out.
        batch: images in one step, two views each.
        lr: base learning rate of AdamW, which rises over a tenth of the steps and falls along half a cosine.
        weight_decay: pull of matrices and kernels towards zero.
        temperature: of the likeness; small ones look only at the nearest neighbours.
        projection: numbers in the embedding that likeness is measured in; it is dropped afterwards.
        augment: how a view differs from its image.
        share: of the symbols of a text that are to be named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["simclr", "masked"] = "simclr"
    epochs: Positive = 40
    batch: Annotated[int, Within(2, 1_000_000)] = 192
    lr: Positive = 2e-3
    weight_decay: Annotated[float, Within(0, 1e6)] = 1e-4
    temperature: Positive = 0.2
    projection: Width = 64
    augment: Choice = NamedOptions.model_validate(
        {
            "name": "glyph",
            "rotate_deg": 15,
            "shear": 0.2,
            "scale": 0.25,
            "shift_px": 3,
            "elastic_px": 1.0,
            "thickness": 1.0,
        }
    )
    share: Annotated[float, Within(0, 1, above=True, below=True)] = 0.15


class Recipe(BaseModel):
    """The four keys and the seed everything random follows from.

    Example:
        >>> Recipe.parse({"model": {"name": "mpl"}, "data": {"validation": 2}})
        Traceback (most recent call last):
        bayesight.errors.InvalidConfig: recipe: 2 problems: data.validation is 2; expected a number
        from above 0 to 0.5 (the nearest valid value is 0.5); no model is called 'mpl'; did you mean ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    seed: Annotated[int, Within(0, 2**63 - 1)] = 0
    data: DataKey = DataKey()
    model: ModelKey = ModelKey()
    loss: LossKey = LossKey()
    optimization: OptimizationKey = OptimizationKey()
    pretrain: Annotated[PretrainKey | None, BeforeValidator(_named)] = None

    @property
    def kind(self) -> Kind:
        """The kind of run this recipe makes, as its model decides.

        Example:
            >>> [Recipe.default(model).kind for model in ("mlp", "gan", "gpt", "gru")]
            ['classification', 'generation', 'language', 'translation']
        """
        return _kind(self.model.name)

    @property
    def reads_texts(self) -> bool:
        """True where the model classifies texts."""
        return self.model.name in TEXT_MODELS

    @classmethod
    def parse(cls, tree: Mapping[str, Any], where: str = "recipe") -> Recipe:
        """A recipe from nested dictionaries.

        Raises:
            InvalidConfig: every problem, each with the nearest valid value.
        """
        problems: list[str] = []
        recipe = None
        try:
            recipe = cls.model_validate(tree)
        except ValidationError as error:
            problems += [
                _unknown_field(cls, problem["loc"])
                if problem["type"] == "extra_forbidden"
                else sentence_of(problem)
                for problem in error.errors(include_url=False)
            ]
        problems += _registry_problems(tree)
        if problems or recipe is None:
            raise InvalidConfig(where, problems)
        return recipe

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """A recipe from a TOML file; one that comes with the package is known by its name, ``gpt.toml``.

        Raises:
            SourceNotFound, SourceUnreadable: no such file, or a folder.
            InvalidConfig: not TOML, or every problem in it.
        """
        packaged = _RECIPES / str(path)
        if Path(path).name == str(path) and not Path(path).exists() and packaged.is_file():
            return cls.from_toml(packaged.read_bytes(), f"the packaged {path}")
        file = existing_path(path)
        with reading(file):
            return cls.from_toml(file.read_bytes(), str(path))

    @classmethod
    def from_toml(cls, content: bytes, where: str) -> Recipe:
        """A recipe from the bytes of a TOML file, which messages call ``where``.

        Raises:
            InvalidConfig: as in ``load``.
        """
        return cls.parse(_read_toml(content, where), where)

    @classmethod
    def default(cls, model: str) -> Recipe:
        """The recipe that serves ``model`` well on small images, as it comes with the package.

        Raises:
            UnknownName: no such model.
        """
        if not _known(model):
            raise UnknownName("model", model, _models())
        family, colon, _ = model.partition(":")
        tree = _packaged(family)
        if colon:
            tree = {**tree, "model": {**tree["model"], "name": model}}
        return cls.parse(tree, f"the recipe of {model!r}")

    def changed(self, changes: Mapping[str, Any]) -> Recipe:
        """The same recipe with some values replaced, named by dotted path.

        Example:
            >>> Recipe().changed({"optimization.lr": 0.1}).optimization.lr
            0.1
        """
        tree = self.as_dict()
        for path, value in changes.items():
            *parents, leaf = path.split(".")
            table = tree
            for parent in parents:
                table = table.setdefault(parent, {})
            table[leaf] = value
        return Recipe.parse(tree)

    def plan(
        self,
        network: Network,
        batches: Callable[[nn.Module, int], Batch],
        pass_steps: int,
        losses: Mapping[str, Loss],
        evaluate: Callable[[nn.Module], Mapping[str, float]],
        limits: Mapping[str, float] | None = None,
    ) -> Plan[Network]:
        """The training of one network under one loss: epochs as steps, the optimizer, the average of weights.

        Args:
            network: on its device.
            batches: the batch of a step.
            pass_steps: steps of an epoch, after each of which the network is evaluated.
            losses: the one loss by the name of its update.
            evaluate: the network's metrics.
            limits: losses and metrics beyond which training has diverged.
        """
        key, (name,) = self.optimization, losses
        steps = max(1, math.ceil(key.epochs * pass_steps))
        budget = Budget(
            steps,
            evaluate_every=pass_steps,
            accumulate=key.accumulate,
            patience=key.patience,
            seed=derive(self.seed, "steps"),
            diverged_above=limits or {},
        )
        task = Task(batches, network, losses, [key.update(network, steps, name)])
        average = None if key.average is None else WeightAverage(network, key.average)
        return Plan(task, budget, evaluate, network, average)

    def as_dict(self) -> dict[str, Any]:
        """Nested dictionaries that ``parse`` reads back, without None and other kinds' values."""
        others: dict[str, set[str]] = {}
        if not self.reads_texts and self.kind not in TEXTS:
            others["data"] = {"context", "vocabulary"}
        if self.pretrain is not None:
            others["pretrain"] = foreign_fields(self.pretrain.name)
        return self.model_dump(mode="json", exclude_none=True, exclude=others)

    def to_toml(self) -> str:
        """The recipe as TOML that ``load`` reads back."""
        return tomli_w.dumps(self.as_dict())


def _kind(model: str) -> Kind:
    return next((kind for kind, family in FAMILIES.items() if model in family), "classification")


def _models() -> tuple[str, ...]:
    return tuple(name for family in (*FAMILIES.values(), TEXT_MODELS) for name in family)


def _known(model: str) -> bool:
    return any(model in family for family in (*FAMILIES.values(), TEXT_MODELS))


def _no_options() -> None:
    """The options of a loss that has none."""


def _smoothing(*, label_smoothing: BelowOne = 0.0) -> None:
    """The options of a translation's loss."""


def _dice(*, dice: Annotated[float, Within(0, 1e6)] = 0.0) -> None:
    """The options of a segmentation's loss: the weight of the Dice loss beside the cross-entropy."""


def _spread(*, spread: Annotated[float, Within(0.1, 100)] = 1.0) -> None:
    """The options of a heat map's loss: deviation of the Gaussian around a point, pixels of a cut figure."""


def _box(*, box: Annotated[float, Within(0, 1e6)] = 1.0) -> None:
    """The options of a detector's loss: the weight of the boxes' overlap beside the map of centres."""


_OWN_LOSSES: Mapping[Kind, tuple[str, Callable[..., None]]] = {
    "language": (NEXT_SYMBOL, _no_options),
    "translation": (NEXT_SYMBOL, _smoothing),
    "segmentation": ("mask", _dice),
    "pose": ("heat_map", _spread),
    "questions": ("cross_entropy", _smoothing),
    "detection": ("centres", _box),
}
"""The one loss of the models of a kind, and its options."""


@cache
def _packaged(model: str) -> dict[str, Any]:
    file = _RECIPES / f"{_FILES.get(model, model)}.toml"
    return _read_toml(file.read_bytes(), f"the recipe of {model!r}")


def _read_toml(content: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:  # also a number of 5,000 digits, 5,000 brackets
        raise InvalidConfig(where, [f"not TOML: {problem}"]) from problem


def _unknown_field(recipe: type[BaseModel], location: tuple[Any, ...]) -> str:
    """A field that a table does not have, with the one that may have been meant."""
    table: Any = recipe
    for part in location[:-1]:
        table = table.model_fields[part].annotation
        if isinstance(table, types.UnionType):  # an optional table
            table = get_args(table)[0]
    hint = nearest(str(location[-1]), table.model_fields)
    meant = f"; did you mean {hint!r}?" if hint else ";"
    where = ".".join(location[:-1]) or "a recipe"
    return f"{where} has no {shown(location[-1])}{meant} known: {listed(sorted(table.model_fields))}"


def _registry_problems(tree: Mapping[str, Any]) -> list[str]:
    """Unknown names and options, looked up even when other values are wrong."""
    problems = []
    model = _name_and_options(tree, "model", ModelKey)
    kind = "classification" if model is None else _kind(model[0])
    wanted: list[tuple[str, Registry[Any], type[BaseModel]]] = [
        ("loss", LOSSES, LossKey),
        ("optimization", OPTIMIZERS, OptimizationKey),
        ("optimization.schedule", SCHEDULES, NamedOptions),
    ]
    if model is not None and not _known(model[0]):
        problems.append(str(UnknownName("model", model[0], _models())))
    else:
        of_texts = model is not None and model[0] in TEXT_MODELS
        wanted.insert(0, ("model", TEXT_MODELS if of_texts else FAMILIES[kind], ModelKey))
    for path, registry, key in wanted:
        found = _name_and_options(tree, path, key)
        if found is None:
            continue
        name, options = found
        if path == "loss" and model is not None and kind != "classification":
            made = GENERATORS[model[0]] if kind == "generation" else None
            own, factory = _OWN_LOSSES[kind] if made is None else (made.loss, made.turns)
            if name != own:
                problems.append(f"model {model[0]!r} learns by the loss {own!r}, not {name!r}")
                continue
        elif name not in registry:
            problems.append(str(UnknownName(registry.kind, name, registry.names())))
            continue
        else:
            factory = registry[name]
        problems += option_problems(factory, options, f"{path} {shown(name)}", key.model_fields, path=path)
    if kind != "classification" and tree.get("pretrain") is not None:
        why = {"generation": "makes images", "language": "makes text", "translation": "makes text"}.get(kind)
        mend = f"; a model that {why} learns without labels as it is" if why else ", not for this model"
        problems.append(f"pretrain is for classifiers{mend}")
    problems += _text_problems(tree, model is not None and model[0] in TEXT_MODELS)
    return problems + _augment_problems(tree, "data.augment") + _augment_problems(tree, "pretrain.augment")


def foreign_fields(method: str) -> set[str]:
    """The fields of a table ``[pretrain]`` that another method than this has."""
    return {field for name, fields in METHOD_FIELDS.items() if name != method for field in fields}


def _text_problems(tree: Mapping[str, Any], of_texts: bool) -> list[str]:
    """Values that a classifier of texts has no use for, or one of images."""
    problems = []
    data, pretrain = (tree.get(name) for name in ("data", "pretrain"))
    if of_texts and isinstance(data, Mapping):
        named = _named(data.get("augment", "none"))
        given = {
            name for name in OF_IMAGES if data.get(name) not in (None, DataKey.model_fields[name].default)
        }
        if isinstance(named, Mapping) and named.get("name") != "none":
            given.add("augment")
        problems += [
            f"data.{name} is for images; the model reads texts: leave it out" for name in sorted(given)
        ]
    if of_texts and not isinstance(data if data is None else data.get("vocabulary"), int):
        problems.append("data.vocabulary is missing; a model of texts wants a number of subwords, as 4000")
    table = _named(pretrain)
    if isinstance(table, Mapping):
        method = table.get("name", "simclr")
        wanted = "masked" if of_texts else "simclr"
        if method in METHOD_FIELDS and method != wanted:
            read = "texts" if of_texts else "images"
            problems.append(f"pretrain {shown(method)} is not for {read}; expected {wanted!r}")
        elif method in METHOD_FIELDS:
            strange = sorted(foreign_fields(method) & table.keys())
            problems += [f"pretrain {shown(method)} has no {shown(name)}" for name in strange]
    return problems


def _augment_problems(tree: Mapping[str, Any], path: str) -> list[str]:
    """Problems of the augmentation that a table names."""
    found = _name_and_options(tree, path, NamedOptions)
    if found is None:
        return []
    name, options = found
    if name not in AUGMENTATIONS:
        return [str(UnknownName(AUGMENTATIONS.kind, name, AUGMENTATIONS.names()))]
    return option_problems(AUGMENTATIONS[name], options, f"{path} {shown(name)}", path=path)


def _name_and_options(
    tree: Mapping[str, Any], path: str, key: type[BaseModel]
) -> tuple[str, dict[str, Any]] | None:
    """The name in the table at ``path``, and its options: all beyond the declared fields."""
    entry: Any = tree
    for part in path.split("."):
        entry = entry.get(part, {}) if isinstance(entry, Mapping) else {}
    entry = _named(entry)
    if not isinstance(entry, Mapping):
        return None
    name = entry.get("name", key.model_fields["name"].default)
    options = {k: v for k, v in entry.items() if k not in key.model_fields}
    return (name, options) if isinstance(name, str) else None
