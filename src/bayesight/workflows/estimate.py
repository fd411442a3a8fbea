"""A parameter by maximum likelihood and by Bayes, from data as they are typed or kept in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesight.bayes.conjugate import family as module_of
from bayesight.bayes.conjugate.growth import Snapshot, grow
from bayesight.checks import existing_path
from bayesight.errors import InvalidInput, SourceUnreadable, UnknownName
from bayesight.formatting import is_number
from bayesight.language import marked

_NAMES = {
    "coin": "beta",
    "categories": "dirichlet",
    "mean": "normal",
    "line": "regression",
    "cloud": "wishart",
}
_FAMILIES = _NAMES | {family: family for family in _NAMES.values()}
_COIN = dict.fromkeys(("1", "h", "heads", "yes", "true", "+"), 1)
_COIN |= dict.fromkeys(("0", "t", "tails", "no", "false"), 0)


@dataclass(frozen=True)
class ParameterEstimate:
    """Estimates of one parameter as the data grow.

    Args:
        family: the conjugate family, one of ``bayesight.bayes.conjugate.FAMILIES``.
        names: of the parameter's parts.
        snapshots: the estimates after growing numbers of observations; the last holds them all.
    """

    family: str
    names: list[str]
    snapshots: tuple[Snapshot, ...]

    def as_dict(self) -> dict[str, Any]:
        """The document ``--json`` prints."""
        last = self.snapshots[-1].as_dict()
        growth = [one.as_dict() for one in self.snapshots]
        return {"family": self.family, "names": self.names, **last, "growth": growth}


def estimate(
    family: str,
    data: Sequence[str],
    *,
    prior: str = "",
    categories: str = "",
    level: float = 0.95,
    piped: str | None = None,
) -> ParameterEstimate:
    """Estimate a parameter by maximum likelihood and by Bayes, side by side.

    Args:
        family: coin, categories, mean, line or cloud, or the conjugate family's own name.
        data: observations as they are typed, or the path of a CSV or text file with one a line.
        prior: ``NAME=NUMBER,...``; what is left out of a mean, a line or a cloud is a reference prior.
        categories: ``A,B,...``, where some may not have come up yet.
        level: probability inside each interval.
        piped: a text with one observation a line, in place of ``data``.

    Raises:
        UnknownName: no such family, category or number of a prior.
        SourceNotFound, SourceUnreadable: no such file, or no data in it.
        InvalidInput: a word that is no observation of this family, or half a prior.

    Example:
        >>> found = estimate("coin", ["1", "1", "0", "H"], prior="a=2,b=2")
        >>> found.snapshots[-1].posterior["rate"].item()
        0.625
    """
    if family.casefold() not in _FAMILIES:
        raise UnknownName("family", family, _FAMILIES)
    kind = _FAMILIES[family.casefold()]
    rows, from_file = _read(data, piped)
    known = [c.strip() for c in categories.split(",") if c.strip()]
    header = rows.pop(0) if from_file and _is_header(kind, rows[0]) else []
    if not rows:
        raise SourceUnreadable(f"only a header, {', '.join(header)}; expected numbers below it.")
    values, names = _values(kind, rows, header, known)
    start = _prior(kind, _numbers(prior), len(names))
    return ParameterEstimate(kind, names, tuple(grow(module_of(kind), start, values, level=level)))


def _read(data: Sequence[str], piped: str | None) -> tuple[list[list[str]], bool]:
    """Rows of words, and whether they came from a file, where each line is one; inline each argument is."""
    if piped is not None:
        text, where = piped, marked("standard input")
    elif len(data) == 1 and (Path(data[0]).is_file() or "/" in data[0] or data[0].endswith((".csv", ".txt"))):
        path = existing_path(data[0])
        where = str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (UnicodeDecodeError, OSError) as error:
            raise SourceUnreadable(
                f"{path}: {error}; expected a text file with one observation a line."
            ) from None
    else:
        text, where = "\n".join(data), ""
    rows = [row for row in (_words(line) for line in text.splitlines()) if row]
    if not rows:
        raise SourceUnreadable(f"{where or 'DATA'}: no data; expected one observation a line.")
    return rows, bool(where)


def _is_header(kind: str, row: list[str]) -> bool:
    if kind == "dirichlet":  # any word may be a category
        return False
    return not is_number(row[0]) and not (kind == "beta" and row[0].casefold() in _COIN)


def _words(line: str) -> list[str]:
    separator = "," if "," in line else ";" if ";" in line else None
    return [word.strip().strip('"') for word in line.split(separator) if word.strip()]


def _values(
    kind: str, rows: list[list[str]], header: list[str], known: list[str]
) -> tuple[Tensor, list[str]]:
    """The data as a family wants them, and the names of the parameters' parts."""
    if kind in ("beta", "dirichlet"):
        words = [word for row in rows for word in row]
        if kind == "beta":
            return torch.tensor([_toss(w) for w in words], dtype=torch.float64), ["rate"]
        names = known or sorted(set(words))
        if len(names) < 2:
            raise InvalidInput(
                f"categories: only {names}; expected two or more. Name them with --categories."
            )
        for word in words:
            if word not in names:
                raise UnknownName("category", word, names)
        return torch.tensor([names.index(w) for w in words]), names
    width, least = len(rows[0]), 2 if kind == "regression" else 1
    for i, row in enumerate(rows, 1):
        if kind != "normal" and (len(row) != width or width < least):
            wanted = max(width, least)
            raise InvalidInput(f"row {i}: {len(row)} numbers; expected {wanted}, separated by commas.")
    numbers = [[_number(word, i) for word in row] for i, row in enumerate(rows, 1)]
    if kind == "normal":
        return torch.tensor([number for row in numbers for number in row], dtype=torch.float64), ["mean"]
    values = torch.tensor(numbers, dtype=torch.float64).reshape(-1, width)
    if kind == "regression":
        slopes = header[:-1] or ([f"x{j + 1}" for j in range(width - 1)] if width > 2 else ["x"])
        return values, ["intercept", *(marked(f"slope of {name}") for name in slopes)]
    return values, header or [f"x{j + 1}" for j in range(width)]


def _prior(kind: str, given: dict[str, float], k: int) -> Any:
    allowed = {
        "beta": {"a": 1.0, "b": 1.0},
        "dirichlet": {"alpha": 1.0},
        "normal": {"mean": 0.0, "strength": 0.0, "shape": 0.0, "rate": 0.0},
        "regression": {"precision": 0.0, "shape": 0.0, "rate": 0.0},
        "wishart": {"strength": 0.0, "df": 0.0},
    }[kind]
    for name in given:
        if name not in allowed:
            raise UnknownName(f"number of a prior on {kind}", name, allowed)
    chosen: dict[str, Any] = allowed | given
    make: Any = module_of(kind)
    if kind == "beta":
        return make.prior(**chosen)
    if kind == "dirichlet":
        return make.prior([chosen["alpha"]] * k)
    if kind == "regression":
        chosen["features"] = k - 1
    of_spread = ("df",) if kind == "wishart" else ("shape", "rate")
    said = [name for name in of_spread if name in given]
    if not said:
        dimension = {"d": k} if kind == "wishart" else {}
        return make.reference(**{n: v for n, v in chosen.items() if n not in of_spread}, **dimension)
    if len(said) < len(of_spread):
        raise InvalidInput(
            f"--prior: {said[0]} alone; expected {' and '.join(of_spread)}, which go together."
        )
    weak = "precision" if kind == "regression" else "strength"
    if kind == "wishart":
        chosen["mean"] = torch.zeros(k, dtype=torch.float64)
    return make.prior(**(chosen | {weak: given.get(weak, 0.01)}))


def _toss(word: str) -> int:
    if word.casefold() not in _COIN:
        raise InvalidInput(f"coin: got {word!r}; expected 1 or 0, H or T, yes or no.")
    return _COIN[word.casefold()]


def _numbers(text: str) -> dict[str, float]:
    found = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, number = part.partition("=")
        if not is_number(number):
            raise InvalidInput(
                f"--prior: {part!r}; expected NAME=NUMBER, several of them separated by commas."
            )
        found[name.strip()] = float(number)
    return found


def _number(word: str, row: int) -> float:
    if not is_number(word):
        raise InvalidInput(f"row {row}: {word!r}; expected a number.")
    return float(word)
