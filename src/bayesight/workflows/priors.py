"""A prior as people write it: ``A=0.5,B=0.1``, ``uniform``, or a JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesight.checks import existing_path, probability
from bayesight.errors import InvalidInput, UnknownName

__all__ = ["complete_prior", "parse_prior"]


def parse_prior(text: str, names: Sequence[str], training: Tensor) -> Tensor:
    """Base rates for every class from what the user stated for some.

    Args:
        text: ``uniform``; ``training``; ``NAME=P,NAME=P,...``; or the path of a JSON file with {name: p}.
            Classes left out share what is left of 1 in proportion to ``training``.
        names: (K,) class names.
        training: (K,) base rates of the training images.

    Returns:
        (K,) float64 probabilities summing to 1.

    Raises:
        UnknownName: a class that is not among the names.
        InvalidInput: a probability outside [0, 1], a sum above 1, or a sum below 1 with nobody to take the
            rest.

    Example:
        >>> shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
        >>> [round(p, 3) for p in parse_prior("A=0.9", ["A", "B", "C"], shares).tolist()]
        [0.9, 0.06, 0.04]
    """
    if text == "uniform":
        return torch.full((len(names),), 1 / len(names), dtype=torch.float64)
    if text == "training":
        return training.double()
    stated = _from_json(text) if text.endswith(".json") else _from_pairs(text)
    return complete_prior(stated, names, training)


def complete_prior(stated: Mapping[str, float], names: Sequence[str], training: Tensor) -> Tensor:
    """Base rates for every class from those stated for some.

    Args:
        stated: probability by class name; classes left out share what is left of 1 in proportion to
            ``training``.
        names: (K,) class names.
        training: (K,) base rates of the training images.

    Returns:
        (K,) float64 probabilities summing to 1.

    Raises:
        UnknownName: a class that is not among the names.
        InvalidInput: as in ``parse_prior``.
    """
    for name in stated:
        if name not in names:
            raise UnknownName("class", name, names)
    total = math.fsum(stated.values())
    if total > 1 + 1e-9:
        counts = all(float(v).is_integer() for v in stated.values())
        mend = " If these are counts, divide them by their sum." if counts else ""
        raise InvalidInput(f"prior: the probabilities sum to {total:g}; expected at most 1.{mend}")
    for name, value in stated.items():
        probability(value, f"prior of {name!r}")
    left_out = torch.tensor([name not in stated for name in names])
    share = training.double() * left_out
    rest = max(0.0, 1.0 - total)
    if rest > 1e-6 and share.sum() == 0:
        raise InvalidInput(
            f"prior: the probabilities sum to {total:g}; expected 1, for no class is left out."
        )
    prior = torch.tensor([stated.get(name, 0.0) for name in names], dtype=torch.float64)
    if share.sum() > 0:
        prior = prior + rest * share / share.sum()
    return prior / prior.sum()


def _from_pairs(text: str) -> dict[str, float]:
    stated: dict[str, float] = {}
    for pair in text.split(","):
        name, separator, value = pair.rpartition("=")
        name = name.strip()
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (separator and name) or math.isnan(number):
            raise InvalidInput(
                f"prior: {pair.strip()!r} is not NAME=PROBABILITY; expected for example A=0.5,B=0.1, "
                "uniform, or a .json file."
            )
        if name in stated:
            raise InvalidInput(f"prior: {name!r} is stated twice.")
        stated[name] = number
    return stated


def _from_json(path: str) -> dict[str, float]:
    file: Path = existing_path(path)
    try:
        tree: Any = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise InvalidInput(f"prior: {path} is not JSON ({problem}).") from problem
    good = isinstance(tree, Mapping) and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in tree.values()
    )
    if not good:
        raise InvalidInput(f'prior: {path} holds no {{"class": probability}} table.')
    return {str(name): float(value) for name, value in tree.items()}
