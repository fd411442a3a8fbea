"""A saved belief is held to its schema and its mathematics before it is believed: it may be a stranger's.

Everything that ``Classifier.tensors`` gives comes back through ``check_belief``: from a run folder, whoever
wrote it, and from a ledger's snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from bayesight.bayes.head.check import broken_law
from bayesight.bayes.head.state import GaussianHead, HeadPrior
from bayesight.belief.features import Precision
from bayesight.belief.held_parts import HeldParts
from bayesight.values import Names, Within, problems_of

_LAYOUT = {
    "head.shift": (torch.float64, "D"),
    "head.scale": (torch.float64, "D"),
    "head.counts": (torch.float64, "K"),
    "head.sums": (torch.float64, "K D"),
    "head.second_moments": (torch.float64, "2 D D"),
    "absorbed.digests": (torch.uint8, "N 16"),
    "absorbed.labels": (torch.int64, "N"),
    "absorbed.weights": (torch.float64, "N"),
    "absorbed.trained": (torch.bool, "N"),
    "absorbed.exemplars": (torch.float16, "M D"),
    "absorbed.exemplar_rows": (torch.int64, "M"),
    "reference": (torch.float32, "V D"),
    "reference_labels": (torch.int64, "V"),
    "reference_digests": (torch.uint8, "V 16"),
}
"""Kind and axes of every tensor of a saved belief; one letter has one length throughout."""

_PARTS = {"parts.counts": (torch.float64, "K"), "parts.released": (torch.uint8, "R 16")}
"""The same of a belief that holds parts."""

_Positive = Annotated[float, Within(0, 1e15, above=True)]


class _Prior(BaseModel):
    model_config = ConfigDict(extra="forbid")
    mean_strength: _Positive
    scatter: _Positive
    extra_dof: _Positive


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid")
    founding: Annotated[int, Within(1, 1_000_000)]
    kept: Annotated[float, Within(0, 1, above=True)] = 1.0


class _Parts(BaseModel):
    model_config = ConfigDict(extra="forbid")
    keys: Annotated[list[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]], Field(min_length=1)]
    weights: list[Annotated[float, Within(0, 1, above=True)]]


class _SavedBelief(BaseModel):
    """The plain values of a belief, beside its tensors."""

    classes: Annotated[Names, Field(min_length=1)]
    precision: Precision
    prior: _Prior
    head: _Head
    parts: _Parts | None = None


def check_belief(
    tensors: Mapping[str, Tensor], values: Any, width: int
) -> tuple[GaussianHead, Precision, dict[str, Tensor], HeldParts]:
    """The head of a saved belief, its precision, and what it has absorbed: rows, and parts.

    Args:
        tensors: as they were read.
        values: likewise, plain.
        width: numbers in a feature vector of the network it is to go with.

    Raises:
        ValueError: something is missing, of the wrong kind, shape or range, or no statistic of any rows.
    """
    try:
        said = _SavedBelief.model_validate(values)
    except ValidationError as error:
        raise ValueError("; ".join(problems_of(error)[:5])) from error
    layout = _LAYOUT | (_PARTS if said.parts else {})
    _check_layout(tensors, layout, len(said.classes), width)
    if said.head.founding > len(said.classes):
        raise ValueError(f"head.founding is {said.head.founding}; expected at most {len(said.classes)}")
    parts: dict[str, Any] = {k[5:]: tensor for k, tensor in tensors.items() if k.startswith("head.")}
    prior = HeadPrior(**said.prior.model_dump())
    head = GaussianHead(tuple(said.classes), prior=prior, **parts, **said.head.model_dump())
    broken = broken_law(head)
    if broken:
        raise ValueError(f"no images have such statistics: {broken}")
    absorbed = {name[9:]: tensor for name, tensor in tensors.items() if name.startswith("absorbed.")}
    held = _held_parts(said.parts, tensors)
    _check_absorbed(head, absorbed, held)
    return head, said.precision, absorbed, held


def from_format_1(
    tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A belief that kept a temperature, and did not know which rows the network was trained on.

    All of them are taken to be such: they judge nothing, and the reference does.
    """
    kept = {name: tensor for name, tensor in tensors.items() if name != "head.losses"}
    kept["absorbed.trained"] = torch.ones(len(tensors["absorbed.labels"]), dtype=torch.bool)
    kept["reference_digests"] = torch.zeros(len(tensors["reference_labels"]), 16, dtype=torch.uint8)
    return kept, {**values, "head": {"founding": values["head"]["founding"]}}


def _held_parts(said: _Parts | None, tensors: Mapping[str, Tensor]) -> HeldParts:
    """The parts of a saved belief; refuses keys without a weight, and counts below 0."""
    if said is None:
        return HeldParts()
    if len(said.keys) != len(said.weights) or len(set(said.keys)) < len(said.keys):
        raise ValueError("parts.keys are not one for each of parts.weights, each once")
    if not bool((tensors["parts.counts"] >= 0).all()):
        raise ValueError("parts.counts holds numbers below 0")
    values = tensors["parts.counts"], tensors["parts.released"]
    return HeldParts(tuple(said.keys), tuple(said.weights), *values)


def _check_layout(
    tensors: Mapping[str, Tensor],
    layout: Mapping[str, tuple[torch.dtype, str]],
    classes: int,
    width: int,
) -> None:
    """Refuse tensors that are not those of the layout, or number what is not there."""
    strange = sorted(set(tensors) ^ set(layout))
    if strange:
        raise ValueError(f"{strange[0]} is {'unknown' if strange[0] in tensors else 'missing'}")
    sizes = {"2": 2, "16": 16, "K": classes, "D": width}
    for name, (kind, axes) in layout.items():
        tensor, letters = tensors[name], axes.split()
        fits = tensor.dtype == kind and tensor.ndim == len(letters)
        if not (
            fits and all(n == sizes.setdefault(a, n) for a, n in zip(letters, tensor.shape, strict=True))
        ):
            known = ", ".join(f"{a} = {sizes[a]}" for a in letters if a.isalpha() and a in sizes)
            came = f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)}"
            raise ValueError(f"{came}, not {kind} ({axes})" + (f" with {known}" if known else ""))
        if kind.is_floating_point and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} holds NaN or infinity")
    for name, axis in (("absorbed.labels", "K"), ("absorbed.exemplar_rows", "N"), ("reference_labels", "K")):
        numbers = tensors[name]
        if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < sizes[axis]:
            raise ValueError(f"{name} holds numbers outside 0 to {sizes[axis] - 1}")


def _check_absorbed(head: GaussianHead, absorbed: Mapping[str, Tensor], parts: HeldParts) -> None:
    """Refuse rows and parts that do not add up to the head's counts: they are what it holds."""
    weights, rows = absorbed["weights"], absorbed["exemplar_rows"]
    if not bool(((weights >= 0) & (weights <= 1)).all()):
        raise ValueError("absorbed.weights holds numbers outside 0 to 1")
    counted = torch.bincount(absorbed["labels"], weights, minlength=len(head.classes))
    counted += parts.counted(len(head.classes))
    if not torch.allclose(counted, head.counts, rtol=1e-6, atol=1e-6):
        raise ValueError("head.counts are not the sums of absorbed.weights")
    if not bool((rows[1:] > rows[:-1]).all()):
        raise ValueError("absorbed.exemplar_rows does not ascend")
