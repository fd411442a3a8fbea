"""A prior as people write it: ``A=0.5,B=10%``, ``uniform``, a JSON object, or a JSON file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesight.checks import existing_path
from bayesight.errors import InvalidInput, UnknownName, shown
from bayesight.names import canonical

_LEAST_ROUNDING, _MOST_ROUNDING = Decimal("1e-6"), Decimal("0.05")
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(%?)\s*")
_QUOTED = re.compile(r"""(["'])((?:(?!\1).|\1\1)*)\1\s*=""")
_PLAIN = (str, bool, int, float, Decimal, type(None))
_EXPECTED = "expected for example A=0.5,B=10%, uniform, or a JSON object of probabilities by class"


def parse_prior(text: str, names: Sequence[str], training: Tensor) -> Tensor:
    """Base rates for every class from what the user stated for some.

    Args:
        text: ``uniform``; ``training``; ``NAME=P,NAME=P,...`` with P a fraction or a percentage; a JSON
            object of the same, or the document that ``bayesight prior --json`` prints; or the path of a file
            that holds one. A name may be quoted, and may itself hold commas and equals signs. Classes left
            out share what is left of 1 in proportion to ``training``.
        names: (K,) class names.
        training: (K,) base rates of the training images.

    Returns:
        (K,) float64 probabilities summing to 1.

    Raises:
        UnknownName: a class that is not among the names.
        SourceNotFound: there is no such file.
        InvalidInput: a probability outside [0, 1], a sum above 1, or one below 1 with nobody to take the
            rest; by more than the digits allow to which the probabilities are rounded.

    Example:
        >>> shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
        >>> [round(p, 3) for p in parse_prior("A=90%", ["A", "B", "C"], shares).tolist()]
        [0.9, 0.06, 0.04]
        >>> thirds = parse_prior("A=0.33,B=0.33,C=0.33", ["A", "B", "C"], shares)
        >>> [round(p, 3) for p in thirds.tolist()]
        [0.333, 0.333, 0.333]
    """
    if text.strip().casefold() == "uniform":
        return torch.full((len(names),), 1 / len(names), dtype=torch.float64)
    if text.strip().casefold() == "training":
        return training.double()
    return _completed(_stated(text, names), names, training)


def complete_prior(stated: Mapping[str, float | str], names: Sequence[str], training: Tensor) -> Tensor:
    """Base rates for every class from those stated for some.

    Args:
        stated: probability by class name, a number or a text as ``10%``; classes left out share what is left
            of 1 in proportion to ``training``.
        names: (K,) class names.
        training: (K,) base rates of the training images.

    Returns:
        (K,) float64 probabilities summing to 1.

    Raises:
        UnknownName: a class that is not among the names.
        InvalidInput: as in ``parse_prior``.
    """
    return _completed([(name, _decimal(name, value)) for name, value in stated.items()], names, training)


def _completed(stated: Sequence[tuple[str, Decimal]], names: Sequence[str], training: Tensor) -> Tensor:
    """Base rates for every class; what is stated must sum to 1, or leave a class to take the rest."""
    known = {canonical(name): number for number, name in enumerate(names)}
    prior, left_out = torch.zeros(len(names), dtype=torch.float64), torch.ones(len(names), dtype=torch.bool)
    for name, value in stated:
        number = known.get(canonical(name))
        if number is None:
            raise UnknownName("class", name, names)
        if not left_out[number]:
            raise InvalidInput(f"prior: {name!r} is stated twice.")
        if not 0 <= value <= 1:
            mend = " If these are counts, divide them by their sum; a percentage is 30%." if value > 1 else ""
            raise InvalidInput(f"prior of {name!r}: got {value}; expected a probability in [0, 1].{mend}")
        prior[number], left_out[number] = float(value), False
    total = sum((value for _, value in stated), Decimal(0))
    rounding = _rounding([value for _, value in stated])
    share = training.double() * left_out
    if total > 1 + rounding or (total < 1 - rounding and share.sum() == 0):
        wanted = "at most 1" if left_out.any() else "1, for no class is left out"
        raise InvalidInput(f"prior: the probabilities sum to {float(total):g}; expected {wanted}.")
    if share.sum() > 0:
        prior += max(0.0, 1 - float(total)) * share / share.sum()
    return prior / prior.sum()


def _rounding(values: Sequence[Decimal]) -> Decimal:
    """By how much the sum of rounded numbers may miss 1: half a unit of the finest last digit each."""
    if not values:
        return Decimal(0)
    finest = min(int(value.as_tuple().exponent) for value in values)
    return min(max(len(values) * Decimal(1).scaleb(finest) / 2, _LEAST_ROUNDING), _MOST_ROUNDING)


def _stated(text: str, names: Sequence[str]) -> list[tuple[str, Decimal]]:
    """Name and probability, as often as they are stated."""
    stripped = text.strip()
    if stripped.startswith("{"):
        return _from_json(stripped, "prior")
    if stripped.endswith(".json") or _is_file(stripped):
        path = existing_path(stripped)
        try:
            content = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as problem:
            raise InvalidInput(f"prior: {path} cannot be read ({problem}).") from problem
        return _from_json(content, f"prior: {path}")
    return _from_pairs(stripped, names)


def _is_file(text: str) -> bool:
    try:
        return "=" not in text and Path(text).is_file()
    except OSError:  # too long for a path
        return False


def _from_pairs(text: str, names: Sequence[str]) -> list[tuple[str, Decimal]]:
    """``NAME=P,...``; the longest known name that fits is meant, for names may hold commas and signs."""
    rest, stated = canonical(text), []
    longest_first = sorted((canonical(name) for name in names), key=len, reverse=True)
    while rest.strip():
        rest = rest.lstrip()
        name, after = _name(rest, longest_first)
        found = _NUMBER.match(after)
        if found is None or (found.end() < len(after) and after[found.end()] != ","):
            came = rest.split(",")[0].strip()
            raise InvalidInput(f"prior: {shown(came)} is not NAME=PROBABILITY; {_EXPECTED}.")
        stated.append((name, _percent(found[1], found[2])))
        rest = after[found.end() + 1 :]
    if not stated:
        raise InvalidInput(f"prior: nothing is stated; {_EXPECTED}.")
    return stated


def _name(text: str, names: Sequence[str]) -> tuple[str, str]:
    """The name that ``text`` begins with, and what stands behind its equals sign."""
    for name in names:
        after = text[len(name) :].lstrip()
        if text.startswith(name) and after.startswith("=") and _NUMBER.match(after[1:]):
            return name, after[1:]
    if quoted := _QUOTED.match(text):
        return quoted[2].replace(2 * quoted[1], quoted[1]), text[quoted.end() :]
    name, sign, after = text.partition("=")
    return name.strip(), after if sign and name.strip() else ""


def _from_json(content: str, where: str) -> list[tuple[str, Decimal]]:
    """The pairs of a JSON object, or of the object ``prior`` in it."""
    try:
        tree = json.loads(content, parse_float=Decimal, parse_int=Decimal, object_pairs_hook=list)
    except (ValueError, RecursionError) as problem:
        raise InvalidInput(f"{where} is not JSON ({problem}); {_EXPECTED}.") from problem
    inner = dict(tree).get("prior") if _is_object(tree) else None
    pairs: Any = inner if _is_object(inner) else tree
    if not _is_object(pairs):
        raise InvalidInput(f'{where} holds no {{"class": probability}} table.')
    return [(name, _decimal(name, value)) for name, value in pairs]


def _is_object(tree: Any) -> bool:
    return isinstance(tree, list) and bool(tree) and all(isinstance(pair, tuple) for pair in tree)


def _decimal(name: str, value: Any) -> Decimal:
    """A probability with the digits it was written with."""
    if isinstance(value, str) and (found := _NUMBER.fullmatch(value)):
        return _percent(found[1], found[2])
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if number.is_finite() and (number == 0 or abs(number.adjusted()) < 1000):
            return number
    came = (
        json.dumps(value, ensure_ascii=False, default=str)
        if isinstance(value, _PLAIN)
        else "a list or a table"
    )
    raise InvalidInput(f"prior of {shown(name)}: got {came}; expected a probability in [0, 1].")


def _percent(number: str, sign: str) -> Decimal:
    return Decimal(number).scaleb(-2) if sign else Decimal(number)
