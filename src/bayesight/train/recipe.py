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
classifier, or a model that makes images. A further table ``[pretrain]`` lets a classifier's network look at
images without labels first.
"""

from __future__ import annotations

import tomllib
import types
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bayesight.checks import existing_path
from bayesight.data.augment import augmentation
from bayesight.errors import InvalidConfig, UnknownName, nearest
from bayesight.losses import GENERATIVE_LOSSES, LOSSES
from bayesight.models import GENERATORS, MODELS
from bayesight.optim import OPTIMIZERS, SCHEDULES
from bayesight.registry import Registry, option_problems

__all__ = ["DataKey", "LossKey", "ModelKey", "Named", "OptimizationKey", "PretrainKey", "Recipe"]


class Named(BaseModel):
    """Something registered, and its options.

    Args:
        name: the registered name.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything beside the declared fields."""
        return dict(self.model_extra or {})


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Choice = Annotated[Named, BeforeValidator(_named)]


class DataKey(BaseModel):
    """What it learns from.

    Args:
        batch: images in one step, over all processes.
        validation: share of the images held out for choosing weights and calibration, never trained on.
        augment: random changes to training images.
        size: side in pixels (or [height, width]) the images are brought to; None keeps what they have.
        mode: "L" (grey) or "RGB"; None keeps what they have.
        also_share: share of every batch that is drawn from the further sources of ``--also``, where there are
            any; an epoch is one pass over the source itself.
        environments: where the images come from: "folder" for ENVIRONMENT/CLASS/NAME.png, "TABLE.csv:COLUMN"
            for a column of a table; None where it does not matter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    batch: int = Field(default=256, ge=1)
    validation: float = Field(default=0.1, gt=0, le=0.5)
    augment: Choice = Named(name="none")
    size: int | tuple[int, int] | None = None
    mode: Literal["L", "RGB"] | None = None
    also_share: float = Field(default=0.4, gt=0, lt=1)
    environments: str | None = None


class ModelKey(Named):
    """What it computes."""

    name: str = "mlp"


class LossKey(Named):
    """What counts as wrong."""

    name: str = "cross_entropy"


class OptimizationKey(Named):
    """How the parameters move.

    Args:
        lr: base learning rate.
        weight_decay: pull of matrices and kernels towards zero.
        epochs: passes over the training images.
        schedule: how the rate moves over the whole budget.
        accumulate: pieces each batch is cut into, to fit memory; the gradient is that of the whole batch.
        clip_norm: gradients longer than this are shortened to it; None never.
        average: decay of the moving average of the weights, which is then what is evaluated and kept;
            None evaluates the weights themselves.
        patience: epochs without a better validation log-loss before training stops; None never.
        precision: "auto" takes bf16 where the processor multiplies it in hardware, "32" where not.
    """

    name: str = "adamw"
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    epochs: float = Field(default=10, gt=0)
    schedule: Choice = Named(name="cosine")
    accumulate: int = Field(default=1, ge=1)
    clip_norm: float | None = Field(default=None, gt=0)
    average: float | None = Field(default=None, ge=0, lt=1)
    patience: int | None = Field(default=None, ge=0)
    precision: Literal["auto", "32", "bf16"] = "auto"


class PretrainKey(BaseModel):
    """What the network of a classifier does before it sees a label: SimCLR (Chen et al. 2020).

    Two random views of each image of a batch are to be recognised as one image among all others. Whatever the
    views differ in is forgotten, so the augmentation says what does not matter.

    Args:
        name: the method.
        epochs: passes over all images, labelled or not, the validation images left out.
        batch: images in one step, two views each.
        lr: base learning rate of AdamW, which rises over a tenth of the steps and falls along half a cosine.
        weight_decay: pull of matrices and kernels towards zero.
        temperature: of the likeness; small ones look only at the nearest neighbours.
        projection: numbers in the embedding that likeness is measured in; it is dropped afterwards.
        augment: how a view differs from its image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["simclr"] = "simclr"
    epochs: float = Field(default=40, gt=0)
    batch: int = Field(default=192, ge=2)
    lr: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    temperature: float = Field(default=0.2, gt=0)
    projection: int = Field(default=64, ge=1)
    augment: Choice = Named.model_validate(
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


class Recipe(BaseModel):
    """The four keys and the seed everything random follows from.

    Example:
        >>> Recipe.parse({"model": {"name": "mpl"}, "data": {"validation": 2}})
        Traceback (most recent call last):
        bayesight.errors.InvalidConfig: recipe: 2 problems: data.validation is 2; Input should be less than
        or equal to 0.5 (the nearest valid value is 0.5); no model is called 'mpl'; did you mean 'mlp'? ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    seed: int = Field(default=0, ge=0)
    data: DataKey = DataKey()
    model: ModelKey = ModelKey()
    loss: LossKey = LossKey()
    optimization: OptimizationKey = OptimizationKey()
    pretrain: Annotated[PretrainKey | None, BeforeValidator(_named)] = None

    @property
    def kind(self) -> Literal["classification", "generation"]:
        """What a run of this recipe is, as its model decides.

        Example:
            >>> Recipe.default("mlp").kind, Recipe.default("gan").kind
            ('classification', 'generation')
        """
        return "generation" if self.model.name in GENERATORS else "classification"

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
            problems += [_sentence(cls, problem) for problem in error.errors()]
        problems += _registry_problems(tree)
        if problems or recipe is None:
            raise InvalidConfig(where, problems)
        return recipe

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """A recipe from a TOML file.

        Raises:
            SourceNotFound: no such file.
            InvalidConfig: not TOML, or every problem in it.
        """
        file = existing_path(path)
        return cls.parse(_read_toml(file.read_bytes(), str(path)), str(path))

    @classmethod
    def default(cls, model: str) -> Recipe:
        """The recipe that serves ``model`` well on small images, as it comes with the package.

        Raises:
            UnknownName: no such model.
        """
        if model not in MODELS and model not in GENERATORS:
            raise UnknownName("model", model, (*MODELS.names(), *GENERATORS.names()))
        return cls.parse(_packaged(model), f"the recipe of {model!r}")

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

    def as_dict(self) -> dict[str, Any]:
        """Nested dictionaries that ``parse`` reads back; values of None are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """The recipe as TOML that ``load`` reads back."""
        return tomli_w.dumps(self.as_dict())


@cache
def _packaged(model: str) -> dict[str, Any]:
    file = resources.files("bayesight.train") / "recipes" / f"{model}.toml"
    return _read_toml(file.read_bytes(), f"the recipe of {model!r}")


def _read_toml(content: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InvalidConfig(where, [f"not TOML: {problem}"]) from problem


def _sentence(recipe: type[BaseModel], problem: Any) -> str:
    """One pydantic problem in words, with the nearest valid value where there is one."""
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return _unknown_field(recipe, problem["loc"])
    bounds = problem.get("ctx", {})
    near = next((bounds[k] for k in ("le", "ge") if k in bounds), None)
    message = f"{path} is {problem['input']!r}; {problem['msg']}"
    return message + (f" (the nearest valid value is {near:g})" if near is not None else "")


def _unknown_field(recipe: type[BaseModel], location: tuple[str, ...]) -> str:
    table: Any = recipe
    for part in location[:-1]:
        table = table.model_fields[part].annotation
        if isinstance(table, types.UnionType):  # an optional table
            table = get_args(table)[0]
    hint = nearest(location[-1], table.model_fields)
    meant = f"; did you mean {hint!r}?" if hint else ";"
    where = ".".join(location[:-1]) or "a recipe"
    return f"{where} has no {location[-1]!r}{meant} known: {', '.join(sorted(table.model_fields))}"


def _registry_problems(tree: Mapping[str, Any]) -> list[str]:
    """Unknown names and options, looked up even when other values are wrong."""
    problems = []
    model = _name_and_options(tree, "model", ModelKey)
    makes_images = model is not None and model[0] in GENERATORS
    wanted: list[tuple[str, Registry[Any], type[BaseModel]]] = [
        ("loss", GENERATIVE_LOSSES if makes_images else LOSSES, LossKey),
        ("optimization", OPTIMIZERS, OptimizationKey),
        ("optimization.schedule", SCHEDULES, Named),
    ]
    if model is not None and model[0] not in GENERATORS and model[0] not in MODELS:
        problems.append(str(UnknownName("model", model[0], (*MODELS.names(), *GENERATORS.names()))))
    else:
        wanted.insert(0, ("model", GENERATORS if makes_images else MODELS, ModelKey))
    for path, registry, key in wanted:
        found = _name_and_options(tree, path, key)
        if found is None:
            continue
        name, options = found
        if path == "loss" and model is not None and makes_images and name != GENERATORS[model[0]].loss:
            suits = GENERATORS[model[0]].loss
            problems.append(f"model {model[0]!r} learns by the loss {suits!r}, not {name!r}")
        elif name not in registry:
            problems.append(str(UnknownName(registry.kind, name, registry.names())))
        else:
            problems += option_problems(registry[name], options, f"{path} {name!r}", key.model_fields)
    if makes_images and tree.get("pretrain") is not None:
        problems.append(
            "pretrain is for classifiers; a model that makes images learns without labels as it is"
        )
    return problems + _augment_problems(tree, "data.augment") + _augment_problems(tree, "pretrain.augment")


def _augment_problems(tree: Mapping[str, Any], path: str) -> list[str]:
    """What is wrong with the augmentation a table names."""
    found = _name_and_options(tree, path, Named)
    if found is None:
        return []
    try:
        augmentation(found[0], **found[1])
    except InvalidConfig as error:
        return list(error.problems)
    except UnknownName as error:
        return [str(error)]
    return []


def _name_and_options(
    tree: Mapping[str, Any], path: str, key: type[BaseModel]
) -> tuple[str, dict[str, Any]] | None:
    """What the table at ``path`` names, with what it gives beyond the declared fields."""
    entry: Any = tree
    for part in path.split("."):
        entry = entry.get(part, {}) if isinstance(entry, Mapping) else {}
    entry = _named(entry)
    if not isinstance(entry, Mapping):
        return None
    name = entry.get("name", key.model_fields["name"].default)
    options = {k: v for k, v in entry.items() if k not in key.model_fields}
    return (name, options) if isinstance(name, str) else None
