"""Values that come from files and flags: their kind and range, every problem at once, one sentence each.

A recipe, the options of whatever is registered and the files of a run state what they expect as annotations
(``Annotated[float, Within(0, 1, below=True)]``), and pydantic holds them to it, strictly: "0.1" is no number
and 1 is no truth value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import AfterValidator, StrictStr, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from bayesight.errors import nearest, shown


@dataclass(frozen=True)
class Within:
    """A number between two bounds, for ``Annotated``; a whole one where ``int`` is annotated.

    Args:
        low: least value.
        high: greatest value.
        above: whether ``low`` itself is excluded.
        below: whether ``high`` itself is excluded.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """A schema that holds a value to it."""
        whole = source is int
        return core_schema.no_info_plain_validator_function(lambda value: self.checked(value, whole=whole))

    def checked(self, value: Any, *, whole: bool) -> Any:
        """The value, a float unless ``whole``; refused with the range and the nearest valid value."""
        if self.holds(value, whole=whole):
            return value if whole else float(value)
        near = self._nearest(value, whole=whole)
        expected = f"{'a whole number' if whole else 'a number'} {self.words()}"
        raise PydanticCustomError("range", "{expected}", {"expected": expected, "nearest": near})

    def holds(self, value: Any, *, whole: bool) -> bool:
        """True for a number of the kind that is in range."""
        if not isinstance(value, int if whole else int | float) or isinstance(value, bool):
            return False
        low = value > self.low if self.above else value >= self.low
        return low and (value < self.high if self.below else value <= self.high)

    def words(self) -> str:
        """The range in words.

        Example:
            >>> Within(1, 4096).words(), Within(0, 1, below=True).words()
            ('from 1 to 4096', 'from 0 to below 1')
        """
        return f"from {'above ' * self.above}{_said(self.low)} to {'below ' * self.below}{_said(self.high)}"

    def _nearest(self, value: Any, *, whole: bool) -> str:
        """The valid value nearest to a number, or to a text that is one; empty where there is none."""
        if isinstance(value, bool):
            return ""
        try:
            number = min(max(float(value), self.low), self.high)
        except (TypeError, ValueError, OverflowError):
            return ""
        found = round(number) if whole and math.isfinite(number) else number
        return _said(found) if self.holds(found, whole=whole) else ""


@dataclass(frozen=True)
class Each:
    """A list of numbers, for ``Annotated``; of whole ones where a sequence of ``int`` is annotated.

    Args:
        number: what each has to be.
        fewest: least length.
        most: greatest length.
    """

    number: Within
    fewest: int = 1
    most: int = 64

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """A schema that holds a value to it."""
        whole = get_args(source)[0] is int
        return core_schema.no_info_plain_validator_function(lambda value: self.checked(value, whole=whole))

    def checked(self, value: Any, *, whole: bool) -> Any:
        """The list; refused with what each of its numbers has to be."""
        listed = isinstance(value, list | tuple) and self.fewest <= len(value) <= self.most
        if listed and all(self.number.holds(one, whole=whole) for one in value):
            return value
        length = f"{self.fewest} to {self.most}" if self.fewest < self.most else str(self.most)
        kind = "whole numbers" if whole else "numbers"
        expected = f"a list of {length} {kind} {self.number.words()}"
        near = f"[{_said(value)}]" if self.fewest <= 1 and self.number.holds(value, whole=whole) else ""
        raise PydanticCustomError("range", "{expected}", {"expected": expected, "nearest": near})


def _utf8(name: str) -> str:
    """A name that can be written anywhere: no lone surrogate, which JSON can spell and UTF-8 cannot."""
    name.encode()  # UnicodeEncodeError is a ValueError, as pydantic expects
    return name


def _different(names: Sequence[str]) -> Sequence[str]:
    if len(set(names)) != len(names):
        raise ValueError("every name once")
    return names


Name: TypeAlias = Annotated[StrictStr, AfterValidator(_utf8)]
Names: TypeAlias = Annotated[list[Name], AfterValidator(_different)]
Share: TypeAlias = Annotated[float, Within(0, 1)]
BelowOne: TypeAlias = Annotated[float, Within(0, 1, below=True)]
Width: TypeAlias = Annotated[int, Within(1, 65_536)]
"""Numbers a layer puts out."""
Widths: TypeAlias = Annotated[Sequence[int], Each(Within(1, 65_536), 1, 32)]


_WORDS = {
    "a valid dictionary or instance of .*": "a table",
    ".*as a Sequence value": "a list",
    "a valid ": "a ",
}
"""Of pydantic's words, those that name Python's types, and what they are in a file."""


def problems_of(error: ValidationError, where: str = "") -> list[str]:
    """One sentence for each problem pydantic found.

    Args:
        error: raised by a model or an adapter.
        where: the place of the values, before each path; may be empty.
    """
    return [sentence_of(problem, where) for problem in error.errors(include_url=False)]


def sentence_of(problem: Any, where: str = "") -> str:
    """One of pydantic's problems: what is where, and what was expected, with the nearest valid value."""
    path = ".".join([*([where] if where else []), *map(str, problem["loc"])])
    if problem["type"] == "missing":
        return f"{path} is missing"
    context = problem.get("ctx", {})
    near = context.get("nearest", "")
    if problem["type"] == "literal_error" and isinstance(problem["input"], str):
        hint = nearest(problem["input"], re.findall(r"'([^']*)'", context["expected"]))
        near = repr(hint) if hint else ""
    expected = problem["msg"].removeprefix("Input should be ")
    for words, better in _WORDS.items():
        expected = re.sub(words, better, expected)
    valid = f" (the nearest valid value is {near})" if near else ""
    return f"{path} is {shown(problem['input'], 40)}; expected {expected}{valid}"


def _said(number: float) -> str:
    """A number as a person would write it."""
    return str(number) if isinstance(number, int) else f"{number:.12g}"
