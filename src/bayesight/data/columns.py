"""Columns of a table: which texts mean one value, which numbers are names, and which column counts rows.

A number may be a quantity or a name. Sites, codes and postal areas are names: a straight line through them
means nothing. What decides is a rule, and every answer says what it decided. The first that applies:

1. text, and numbers written as no quantity is (01, 1E2), are categories;
2. up to two values are categories; in an outcome, other numbers are a quantity;
3. whole numbers in a column that is named like a code are categories;
4. held fixed, so are up to 20 values; numbers of matched sets (nothing else is held fixed, and each comes as
   often as the others); whole numbers with 50 rows a value; and whole numbers that come several times each,
   the lowest and the highest as often as the others, unless the name is that of a quantity, such as age;
5. set, so are up to 5 values;
6. every other number is a quantity.

In a cross-classification every line stands for many rows. A column is taken for their counts when it is
called like one, holds whole numbers of 0 or more, and every other column (names or numbers of lines apart)
has few values whose combinations come once each. Where only its name speaks for it, it is suggested.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bayesight.causal.coding import NO, YES
from bayesight.causal.sample import MAX_LEVELS, MAX_TREATMENTS, level_name
from bayesight.data.tables import first_rows
from bayesight.errors import InvalidInput, listed, shown
from bayesight.language import marked

MAX_CATEGORIES = 250
"""So many different codes can be held fixed as categories beside other columns."""

MAX_SETS = 20_000
"""So many categories can be held fixed where nothing else is and treatments are compared: strata suffice."""

ROWS_A_CATEGORY = 50
"""An integer column with this many rows for each of its values is one of categories, whatever its name."""

ROWS_A_TREATMENT = 20
"""A code that is set needs this many rows for each of its values."""

Role: TypeAlias = Literal["treatment", "outcome", "held"]

_CODE_NAMES = frozenset(
    """
    pair pairs set sets match matched family household twin twins couple dyad subject patient person
    participant id ids code codes key zip zipcode postcode postal plz fips iso icd sic naics isco line arm
    site sites center centre clinic hospital ward unit plant store shop branch school class classroom
    teacher district region area county state province country nation city town village tract block group
    cluster stratum strata batch lot machine operator rater coder interviewer birthplace race ethnicity
    religion industry occupation department dept standort kennung schluessel schlüssel schule klasse
    bezirk kreis land bundesland gemeinde gruppe klinik dorf 지역 코드 번호 학교 병원 시도 시군구 우편번호
    지점 마을
    """.split()  # noqa: SIM905
)
_CODE_ENDINGS = frozenset(["nr", "no", "num", "number", "nummer"])
"""As the last word they make a code (house number); before another they count (number of rooms)."""
_QUANTITY_NAMES = frozenset(
    """
    age year years yr yrs month months week weeks day days hour hours minute minutes second seconds time
    duration income wage salary price cost amount size weight height length width depth distance score
    points percent percentage rate temperature dose dosage count visits children alter jahr jahre monat
    monate tag tage stunde stunden dauer einkommen lohn preis kosten menge gewicht länge entfernung punkte
    나이 연령 연도 년도 월 일수 시간 기간 소득 임금 가격 비용 점수 거리 무게 키
    """.split()  # noqa: SIM905
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_INTEGER = re.compile(r"[-+]?\d+(\.0*)?$")
_WRITTEN = re.compile(
    r"[-+]?(?:[$€£¥₩] ?)?(\d{1,3}(?:[,' \u00a0\u202f]\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)(?: ?[%€₩원])?"
)
"""A number as people write it; the group has its digits."""

_NAMES = frozenset(
    """
    freq freqs frequency frequencies count counts cnt n nobs n_obs nrow ncases haeufigkeit häufigkeit
    anzahl fréquence effectif effectifs frecuencia 빈도 도수 빈도수 인원 인원수 명수
    """.split()  # noqa: SIM905
)
_PLAIN_NAMES = frozenset(
    ["freq", "frequency", "frequencies", "count", "counts", "häufigkeit", "haeufigkeit", "빈도", "도수"]
)
_LOOK_LINES = 20_000
_WHOLE = re.compile(r"\d+(\.0*)?")


@dataclass(frozen=True)
class Kind:
    """The kind of variable a column is taken for.

    Args:
        line: a quantity; otherwise its values are categories.
        because: the part of the rule that decided, where that is not plain from the values; empty otherwise.
    """

    line: bool
    because: str = ""


def kind_of(name: str, counts: Mapping[str, float], role: Role, *, alone: bool = False) -> Kind:
    """Decide whether the values of a column are categories or a quantity.

    Args:
        name: of the column.
        counts: its different values, and how many rows have each; more than ``MAX_CATEGORIES`` need not all
            be there.
        role: whether the column is set, looked at or held fixed.
        alone: whether treatments are compared with nothing else held fixed, so that categories may be many.

    Raises:
        InvalidInput: a column to hold fixed that is named like a code and has too many values; a quantity
            whose numbers have thousands set apart, a decimal comma, a unit of money or a per-cent sign.
    """
    if len(counts) <= 2:
        return Kind(line=False)
    if not all(map(is_numeral, counts)):
        _refuse_written_numbers(name, counts, role, alone=alone)
        return Kind(line=False)
    whole = all(map(_INTEGER.match, counts))
    coded = whole and _is_named_as_code(name)
    few = len(counts) <= (MAX_TREATMENTS if role == "treatment" else MAX_LEVELS)
    most = MAX_SETS if alone else MAX_CATEGORIES
    if any(map(_is_written_as_code, counts)):
        return (
            Kind(line=False)
            if few
            else _coded(name, len(counts), most, marked("its values are written as codes"))
        )
    if role == "outcome":  # where they are few, they stay apart, and are counted all the same
        return Kind(
            line=not few, because=marked("although it is named like a code") if coded and not few else ""
        )
    if few:
        return Kind(line=False, because=marked(f"{len(counts)} different numbers"))
    if role == "treatment":
        return _treatment_kind(counts, coded=coded)
    if coded:
        return _coded(name, len(counts), most, marked("it is named like a code"))
    if whole and alone and (times := _times_each(counts)):
        return Kind(line=False, because=marked(f"each number comes {times} times, as in matched sets"))
    if whole and len(counts) <= MAX_CATEGORIES:
        if sum(counts.values()) >= ROWS_A_CATEGORY * len(counts):
            return Kind(
                line=False, because=marked(f"whole numbers with {ROWS_A_CATEGORY} rows a value or more")
            )
        if _is_numbering(counts) and not _is_named_as_quantity(name):
            return Kind(
                line=False, because=marked("whole numbers, the lowest and the highest as often as others")
            )
    return Kind(line=True, because=marked("more than 20 different numbers"))


def is_numeral(text: str) -> bool:
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
    truths = {level: level.casefold() in YES for level in levels.values()}
    if not {level.casefold() for level in truths} <= YES | NO:
        return levels, ""
    merged, said = dict(levels), []
    for truth in (True, False):
        texts = sorted((t for t in counts if truths[levels[t]] is truth), key=lambda t: (-counts[t], t))
        merged |= dict.fromkeys(texts, levels[texts[0]])
        if len({levels[text] for text in texts}) > 1:
            said.append(marked(f"{listed(texts)} are one"))
    return merged, f"{name}: {'; '.join(said)}" if said else ""


def _refuse_written_numbers(name: str, counts: Mapping[str, float], role: Role, *, alone: bool) -> None:
    """Refuse texts that all are numbers as people write them, and would be a quantity if they were plain."""
    written = {text: _WRITTEN.fullmatch(text) for text in counts if not is_numeral(text)}
    digits = {text: re.sub(r"\D", "", found[1]) for text, found in written.items() if found}
    numbers = {number.lstrip("0") or "0": counts[text] for text, number in digits.items()}
    if not all(written.values()) or len(counts) <= MAX_LEVELS:
        return
    numbers |= {text: many for text, many in counts.items() if is_numeral(text)}
    if kind_of(name, numbers, role, alone=alone).line:
        raise InvalidInput(
            f"{name}: {shown(next(iter(written)))} may be no plain number; expected digits with a point "
            f"before decimals and nothing else, as 1234.5. If its values are names, say --text "
            f"{shlex.quote(name)}."
        )


def _treatment_kind(counts: Mapping[str, float], *, coded: bool) -> Kind:
    if not coded:
        return Kind(line=True, because=marked(f"more than {MAX_TREATMENTS} different numbers"))
    if len(counts) > MAX_CATEGORIES or min(counts.values()) < ROWS_A_TREATMENT:
        return Kind(
            line=True, because=marked("although it is named like a code, for some values have few rows")
        )
    return Kind(line=False, because=marked("it is named like a code"))


def _times_each(counts: Mapping[str, float]) -> int:
    """The number of rows that 19 of 20 values have, where it is one of 2 to 20; 0 otherwise."""
    n = np.array(list(counts.values()))
    times = int(np.median(n))
    return times if 2 <= times <= 20 and float((n == times).mean()) >= 0.95 else 0


def _coded(name: str, values: int, most: int, because: str) -> Kind:
    if values > most:
        raise InvalidInput(
            f"{shown(name)}: more than {most:,} different codes ({because}); expected at most that "
            f"many to hold fixed as categories. Group them, or say --numeric {shlex.quote(name)} if it "
            "is a quantity."
        )
    return Kind(line=False, because=because)


def _is_numbering(counts: Mapping[str, float]) -> bool:
    """Tell numbers that were handed out from a quantity, whose lowest and highest values are rare.

    They come five times each or more, and the lowest and the highest tenth of them hold about a tenth of the
    rows each.
    """
    n = np.array([count for _, count in sorted((float(value), count) for value, count in counts.items())])
    tail, even = max(len(n) // 10, 2), n.mean()
    ends = (n[:tail].mean(), n[-tail:].mean())
    return bool(even >= 5 and all(even / 1.5 <= end <= even * 1.5 for end in ends))


def _is_named_as_code(name: str) -> bool:
    words = _words(name)
    return bool(words) and (words[-1] in _CODE_ENDINGS or not _CODE_NAMES.isdisjoint(words))


def _is_named_as_quantity(name: str) -> bool:
    words = _words(name)
    return not (_QUANTITY_NAMES.isdisjoint(words) and _CODE_ENDINGS.isdisjoint(words[:-1]))


def _words(name: str) -> list[str]:
    """The words of a column's name, without the numbers they end in."""
    words = re.split(r"[^0-9a-zäöüß가-힣]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())
    return [word for word in (re.sub(r"\d+$", "", word) for word in words) if word]


def _is_written_as_code(value: str) -> bool:
    """True where a number is written as no quantity is: with leading zeros, too long, or as 1E2."""
    plain = value.lstrip("+-")
    leading = len(plain) > 1 and plain[0] == "0" and plain[1].isdigit()
    exponent = re.fullmatch(r"\d+[eE]\d+", plain) is not None
    return leading or exponent or (plain.isdigit() and len(plain) > 15)


@dataclass(frozen=True)
class CountsColumn:
    """A column that seems to say how many rows each line stands for.

    Attributes:
        name: of the column.
        certain: whether the table bears it out, so that it is taken for the counts.
    """

    name: str
    certain: bool


def find_counts(
    path: str | os.PathLike[str], columns: Sequence[str], used: Collection[str]
) -> CountsColumn | None:
    """Find the column of a table that says how many rows each line stands for.

    Args:
        path: CSV or Parquet.
        columns: of the table.
        used: those that are variables of the question, and are no counts therefore.
    """
    named = [name for name in columns if name.casefold().strip() in _NAMES and name not in used]
    if len(named) != 1:
        return None
    name = named[0]
    values = first_rows(path, columns, _LOOK_LINES + 1)
    counts = values.pop(name)
    whole = all(_WHOLE.fullmatch(value.strip()) for value in counts)
    if not whole or {float(value) for value in counts} <= {0.0, 1.0}:
        return None
    if len(counts) <= _LOOK_LINES and _is_cross_classified(values, len(counts)):
        return CountsColumn(name, True)
    return CountsColumn(name, False) if name.casefold().strip() in _PLAIN_NAMES else None


def _is_cross_classified(values: Mapping[str, Sequence[str]], lines: int) -> bool:
    """Tell lines that differ in two or more columns of few values, numbers of lines apart."""
    kept = [column for column in values.values() if not _names_lines(column)]
    few = all(len(set(column)) <= min(MAX_LEVELS, max(lines - 1, 2)) for column in kept)
    return len(kept) > 1 and few and len(set(zip(*kept, strict=True))) == lines


def _names_lines(column: Sequence[str]) -> bool:
    """Tell a column that numbers the lines, from 0 or from 1."""
    return any(all(value == str(k) for k, value in enumerate(column, first)) for first in (0, 1))
