"""The schema that the files of a run folder are held to before any of them is believed.

A run may come from a stranger. Its JSON is read only up to a size and a depth, and held to the models below;
its tensors are looked at by name, kind and shape before one of them is loaded; a link may not lead out of
the folder. What holds for the numbers of a belief is checked where they become one, in ``Classifier``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import safetensors
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from bayesight.errors import RunUnreadable, shown
from bayesight.files import read_plain
from bayesight.frame import EIGHT_BIT, Fit
from bayesight.training.recipe import LARGEST_CONTEXT, Kind
from bayesight.values import Each, Name, Names, Share, Within, problems_of

MOST_JSON = 16 * 2**20
"""Bytes of a JSON file; one of 10,000 classes with long names has three million."""
MOST_RECIPE = 2**20
"""Bytes of ``recipe.toml``."""
MOST_CLASSES = 1_000_000

Model = TypeVar("Model", bound=BaseModel)
Layout = Mapping[str, tuple[torch.dtype | None, tuple[int, ...]]]
_Number = Annotated[float, Within(float("-inf"), float("inf"))]
_Count = Annotated[int, Within(0, 2**53)]
_KINDS = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32,
    "I64": torch.int64, "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32,
    "F64": torch.float64,
}  # fmt: skip


class ClassesFile(BaseModel):
    """``classes.json``; a run that makes images has no classes."""

    format: _Count
    classes: Names
    mode: Literal["L", "RGB", "text"]
    size: Annotated[Sequence[int], Each(Within(1, LARGEST_CONTEXT), 2, 2)]
    levels: Annotated[Sequence[float], Each(Within(-1e38, 1e38), 2, 2)] = EIGHT_BIT
    fit: Fit = "crop"


class VocabularyFile(BaseModel):
    """``vocabulary.json``; what it holds is checked where it becomes a vocabulary."""

    model_config = ConfigDict(extra="allow")
    format: _Count
    kind: Literal["characters", "subwords"]


class TaskFile(BaseModel):
    """``task.json`` of a run that answers more of an image than its class; each task adds what it keeps.

    Args:
        format: version of the run folder.
        shares: (K,) base rates of the classes where it was trained; empty where it has none.
    """

    model_config = ConfigDict(frozen=True)
    format: _Count = 2
    shares: Sequence[Share] = ()


class _Examples(BaseModel):
    train: _Count
    validation: _Count
    also: _Count = 0


class _Seconds(BaseModel):
    total: _Number
    training: _Number


class _Model(BaseModel):
    name: Name
    why: Name


class _Validation(BaseModel):
    model_config = ConfigDict(extra="allow")
    examples: _Count


class MetricsFile(BaseModel):
    """``metrics.json``, as far as programs read it; the rest is for people."""

    model_config = ConfigDict(extra="allow")
    format: _Count
    kind: Kind = "classification"
    classes: Names
    examples: _Examples
    seconds: _Seconds
    validation: _Validation
    model: _Model | None = None
    environments: dict[Name, dict[Name, _Number]] = {}


def read_model(path: Path, kind: type[Model], newest: int) -> tuple[Model, dict[str, Any]]:
    """A JSON file of a run, held to its model; also as it is written.

    Args:
        path: the file.
        kind: its model.
        newest: the greatest format that can be read.

    Raises:
        RunUnreadable: missing, no JSON object, too large or too deep, newer, or other than the model says.
    """
    tree = _json(path)
    if isinstance(tree.get("format"), int) and tree["format"] > newest:
        raise RunUnreadable(
            f"{path} has run format {shown(tree['format'])}; this version reads up to {newest}."
        )
    try:
        return kind.model_validate(tree), tree
    except ValidationError as error:
        raise RunUnreadable(f"{path} is damaged: {_together(problems_of(error))}.") from error


def look_at(path: Path) -> Layout:
    """Kind and shape of every tensor of a file, from its header alone.

    Raises:
        RunUnreadable: missing or damaged.
    """
    read_plain(path, 0)
    try:
        with safetensors.safe_open(path, "pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            return {k: (_KINDS.get(s.get_dtype()), tuple(s.get_shape())) for k, s in slices.items()}
    except (OSError, SafetensorError, ValueError) as problem:
        raise RunUnreadable(f"{path} is missing or damaged ({problem}).") from problem


def read_tensors(
    path: Path, newest: int, layout: Layout | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a run's file, and its metadata.

    Args:
        path: a safetensors file.
        newest: the greatest format that can be read.
        layout: what names, kinds and shapes they must have; looked at before anything is loaded.

    Raises:
        RunUnreadable: missing or damaged, of a newer format, or not of the layout.
    """
    came = look_at(path)
    if layout is not None:
        _require_layout(path, came, layout)
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in came}
    except (OSError, SafetensorError, ValueError) as problem:
        raise RunUnreadable(f"{path} is missing or damaged ({problem}).") from problem
    version = metadata.get("format", "")
    if not (version.isdecimal() and len(version) < 10 and int(version) <= newest):
        raise RunUnreadable(f"{path} has format {shown(version)}; this version reads up to {newest}.")
    return tensors, metadata


def _require_layout(path: Path, came: Layout, expected: Layout) -> None:
    """Refuse tensors of which one is missing, unknown, or of another kind or shape."""
    for name in sorted(came.keys() ^ expected.keys()):
        said = "is missing from" if name in expected else "has no place in"
        raise RunUnreadable(f"{path} does not fit recipe.toml and classes.json: {shown(name)} {said} it.")
    for name, (kind, shape) in expected.items():
        if came[name] != (kind, shape):
            was = f"{came[name][0]} {came[name][1]}".removeprefix("torch.")
            wanted = f"{kind} {shape}".removeprefix("torch.")
            raise RunUnreadable(
                f"{path} does not fit recipe.toml and classes.json: {name!r} is {was}; expected {wanted}."
            )


def check_links(folder: Path) -> None:
    """Refuse a run folder with a link that leads out of it, to be read or to be written over.

    Raises:
        RunUnreadable: there is one.
    """
    home = folder.resolve()
    for entry in folder.iterdir():
        if entry.is_symlink() and not entry.resolve().is_relative_to(home):
            raise RunUnreadable(
                f"{entry} is a link that leads out of the run; expected a file in it. Copy it there, or "
                "name a ledger elsewhere with --ledger."
            )


def _json(path: Path) -> dict[str, Any]:
    content = read_plain(path, MOST_JSON)
    try:
        tree = json.loads(content)
    except RecursionError as problem:
        raise RunUnreadable(f"{path} is damaged: brackets within brackets without end.") from problem
    except ValueError as problem:
        raise RunUnreadable(f"{path} cannot be read ({problem}).") from problem
    if not isinstance(tree, dict):
        raise RunUnreadable(f"{path} is damaged: expected a JSON object.")
    return tree


def _together(problems: Sequence[str], most: int = 5) -> str:
    more = f"; and {len(problems) - most} more" if len(problems) > most else ""
    return "; ".join(problems[:most]) + more
