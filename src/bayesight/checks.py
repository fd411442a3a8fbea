"""Checks whose message has three parts: what came, what was expected, how to mend it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from bayesight.errors import InvalidInput, SourceNotFound, nearest
from bayesight.language import marked


def check(condition: bool, where: str, came: str, expected: str, mend: str = "") -> None:
    """Raise ``InvalidInput`` with a three-part message unless ``condition`` holds.

    Args:
        condition: what must be true.
        where: the object or argument concerned.
        came: what was given.
        expected: what the contract asks for.
        mend: how the caller can put it right; may be empty.

    Raises:
        InvalidInput: ``condition`` is false.

    Example:
        >>> check(False, "Belief", "probabilities sum to 0.9", "1 within 1e-6", "If these are counts, ...")
        Traceback (most recent call last):
        bayesight.errors.InvalidInput: Belief: probabilities sum to 0.9; expected 1 within 1e-6. If these ...
    """
    if not condition:
        raise InvalidInput(f"{where}: {came}; expected {expected}." + (f" {mend}" if mend else ""))


def probability(value: float, where: str, *, open_interval: bool = False) -> float:
    """Return ``value`` when it is a probability.

    Args:
        value: the candidate.
        where: its name in the message.
        open_interval: refuse 0 and 1 as well.

    Raises:
        InvalidInput: NaN, or outside [0, 1] (outside (0, 1) when ``open_interval``).
    """
    inside = 0 < value < 1 if open_interval else 0 <= value <= 1
    bounds = "a probability strictly between 0 and 1" if open_interval else "a probability in [0, 1]"
    mend = f"If this is a percentage, write {value / 100:g}." if 1 < value <= 100 else ""
    check(math.isfinite(value) and inside, where, f"got {value:g}", bounds, mend)
    return float(value)


def distribution(values: Any, classes: int, where: str) -> Any:
    """Return a vector of probabilities, divided by its sum, when it is one within 1e-6.

    Args:
        values: (K,) floating point, a NumPy array or a tensor.
        classes: K.
        where: its name in the message.

    Raises:
        InvalidInput: another shape, a value that is negative, NaN or infinite, or another sum.
    """
    shape = tuple(values.shape)
    check(shape == (classes,), where, f"shape {shape}", f"one probability for each of the {classes} classes")
    least, total = float(values.min()), float(values.sum())
    came = f"numbers of {least:g} or more with sum {total:g}"
    mend = "If these are counts, divide them by their sum."
    check(least >= 0 and abs(total - 1) <= 1e-6, where, came, "probabilities with sum 1", mend)
    return values / total


def path_exists(path: Path) -> bool:
    """True where something is there; nothing has a name that is too long for the file system."""
    try:
        return path.exists()
    except OSError:
        return False


def existing_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of something that exists.

    A relative path is resolved against the working directory, and both are named when nothing is there:
    on a notebook or remote machine the working directory is the usual surprise.

    Raises:
        SourceNotFound: names the working directory and the nearest existing name.
    """
    given = Path(path).expanduser()
    full = Path(os.path.normpath(Path.cwd() / given))
    if path_exists(full):
        return full
    message = marked(f"{str(path)!r} does not exist")
    if not given.is_absolute():
        message = marked(f"{message} (looked for {full}, the working directory being {Path.cwd()})")
    parent = full.parent
    while not parent.is_dir():
        parent = parent.parent
    if parent != full.parent:
        message = marked(f"{message}; the nearest folder that exists is {parent}")
    else:
        try:
            hint = nearest(full.name, [p.name for p in parent.iterdir()])
        except PermissionError:
            hint = None
        if hint:
            message = marked(f"{message}; did you mean {str(given.parent / hint)!r}?")
    raise SourceNotFound(message)
