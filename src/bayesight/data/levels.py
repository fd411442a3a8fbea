"""Levels of a column: which texts mean one value, and which numbers are names.

A number may be a quantity or a name. Sites, codes and postal areas are names: a straight line through them
means nothing. What decides is a rule, and every answer says what it decided.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bayesight.causal.sample import MAX_LEVELS, level_name
from bayesight.errors import InvalidInput, listed, shown

__all__ = ["MAX_CATEGORIES", "Kind", "is_number", "kind_of", "levels_of"]

MAX_CATEGORIES = 100
"""So many different codes can be held fixed as categories."""

ROWS_A_CATEGORY = 50
"""An integer column with this many rows for each of its values is one of categories, whatever its name."""

_CODE_NAMES = frozenset(
    """
    id ids code codes nr no num number key zip zipcode postcode postal plz fips iso icd sic naics isco line
    site sites center centre clinic hospital ward unit plant store shop branch school class classroom teacher
    district region area county state province country nation city town village community tract block group
    cluster stratum strata batch lot machine operator rater coder interviewer birthplace race ethnicity
    religion industry occupation department dept standort kennung nummer schluessel schule klasse bezirk kreis
    land bundesland gemeinde gruppe klinik 지역 코드 번호 학교 병원 시도 시군구 우편번호 지점
    """.split()  # noqa: SIM905
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_INTEGER = re.compile(r"[-+]?\d+(\.0*)?$")
_YES = frozenset(["yes", "y", "true", "t", "ja", "예"])
_NO = frozenset(["no", "n", "false", "f", "nein", "아니오"])


@dataclass(frozen=True)
class Kind:
    """The kind of variable a column is taken for.

    Args:
        line: a quantity, held fixed by a straight line; otherwise its values are categories.
        because: why, where that is not plain from the values; empty otherwise.
    """

    line: bool
    because: str = ""


def kind_of(name: str, values: Sequence[str], rows: float, *, held: bool) -> Kind:
    """Decide whether the values of a column are categories or a quantity.

    Args:
        name: of the column.
        values: its different values; more than ``MAX_CATEGORIES`` need not all be there.
        rows: how many rows they come from.
        held: whether the column is held fixed, and not looked at or set itself.

    Raises:
        InvalidInput: a column that is named like a code and has too many values to be categories.
    """
    if len(values) <= MAX_LEVELS or not all(map(is_number, values)):
        return Kind(line=False)
    if any(map(_is_written_as_code, values)):
        return _coded(name, values, "its values are written as codes")
    coded = _is_named_as_code(name) and all(map(_INTEGER.match, values))
    if coded and not held:
        return Kind(line=True, because="although it is named like a code (--text makes categories of it)")
    if not (held and all(map(_INTEGER.match, values))):
        return Kind(line=True)
    if coded:
        return _coded(name, values, "it is named like a code")
    if rows >= ROWS_A_CATEGORY * len(values) and len(values) <= MAX_CATEGORIES:
        return Kind(line=False, because=f"whole numbers with {ROWS_A_CATEGORY} rows a value or more")
    return Kind(line=True)


def is_number(text: str) -> bool:
    """Tell a number, written with digits, from other text; blanks around it are not expected."""
    return _NUMBER.fullmatch(text) is not None


def levels_of(name: str, counts: Mapping[str, float], *, text: bool) -> tuple[dict[str, str], str]:
    """Find the level each text of a column stands for, and a note where several spellings are one.

    1, 1.0 and "1" are one; 01 is another as soon as one value of the column is written so. Yes, yes and Y are
    one.

    Args:
        name: of the column.
        counts: how often each text stands there, without blanks around it.
        text: whether its values were said to be names: they are then what is written, to the letter.
    """
    if text or any(map(_is_written_as_code, counts)):
        return {value: value for value in counts}, ""
    levels = {value: level_name(value) for value in counts}
    truths = {level: level.casefold() in _YES for level in levels.values()}
    if not {level.casefold() for level in truths} <= _YES | _NO:
        return levels, ""
    merged, said = dict(levels), []
    for truth in (True, False):
        texts = sorted((t for t in counts if truths[levels[t]] is truth), key=lambda t: (-counts[t], t))
        merged |= dict.fromkeys(texts, levels[texts[0]])
        if len({levels[text] for text in texts}) > 1:
            said.append(f"{listed(texts)} are one")
    return merged, f"{name}: {'; '.join(said)}" if said else ""


def _coded(name: str, values: Sequence[str], because: str) -> Kind:
    if len(values) > MAX_CATEGORIES:
        raise InvalidInput(
            f"{shown(name)}: more than {MAX_CATEGORIES} different codes ({because}); expected at most that "
            f"many to hold fixed as categories. Group them, or say --numeric {name} if it is a quantity."
        )
    return Kind(line=False, because=because)


def _is_named_as_code(name: str) -> bool:
    words = re.split(r"[^0-9a-z가-힣]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())
    return any(re.sub(r"\d+$", "", word) in _CODE_NAMES for word in words)


def _is_written_as_code(value: str) -> bool:
    """True where a number is written as no quantity is: with leading zeros, too long, or as 1E2."""
    plain = value.lstrip("+-")
    leading = len(plain) > 1 and plain[0] == "0" and plain[1].isdigit()
    exponent = re.fullmatch(r"\d+[eE]\d+", plain) is not None
    return leading or exponent or (plain.isdigit() and len(plain) > 15)
