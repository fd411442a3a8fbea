"""Numbers as text: a probability in per cent, or as a plain number where one calculates with it.

Two figures at least are kept of whatever is smaller, the probability or what it lacks to 1, so that what may
happen is never written as 0 and what may fail never as 1: 0.00001 is "0.001 %" and 0.99999 "99.999 %".
``page/static/bayes.js`` in the service writes the same texts.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

NO_VALUE = "–"
THIN = "\u202f"
"""The space before a unit on a page, which breaks no line."""

_WORD = re.compile(r"[^\W\d_]+[:,;]?(?= |$)")

LEAST = 1e-9
"""Below it stand powers of ten, and that far from 1 it is "> 99.9999999 %"."""


def percent(value: float, decimals: int = 1) -> str:
    """A probability, or another share, in per cent; a dash for NaN.

    Args:
        value: a fraction.
        decimals: as many at least, and more where two figures of the fraction or of its rest need them.

    Example:
        >>> [percent(x) for x in (0.9734, 0.99996, 1, 0.00001, 0.5)]
        ['97.3 %', '99.996 %', '100.0 %', '0.001 %', '50.0 %']
        >>> [percent(x, 0) for x in (0.5, 0.0123, 0.9991, 1e-12, 1 - 1e-12)]
        ['50 %', '1.2 %', '99.91 %', '1e-10 %', '> 99.9999999 %']
    """
    return _written(value, 2, decimals, 2, " %")


def decimal(value: float, decimals: int = 0) -> str:
    """A probability as a number between 0 and 1, with four figures, and two of its rest; a dash for NaN.

    Args:
        value: a fraction.
        decimals: as many at least, for columns.

    Example:
        >>> [decimal(x) for x in (0.52381, 0.1, 0.00001, 0.99999, 1, 1.98e-13)]
        ['0.5238', '0.1', '0.00001', '0.99999', '1', '1.98e-13']
    """
    return _written(value, 0, decimals, 4, "")


def from_percent(text: str) -> float:
    """The fraction that a number of per cent states, with or without its sign; NaN where it is no number.

    Example:
        >>> [from_percent(x) for x in ("30%", " 0,5 % ", "1e-3", "much")]
        [0.3, 0.005, 1e-05, nan]
    """
    try:
        return float(Decimal(text.strip().removesuffix("%").strip().replace(",", ".")) / 100)
    except (ArithmeticError, ValueError):
        return math.nan


def fraction(text: str) -> float:
    """A probability as it is typed, ``0.1`` or ``10%``, with a point or a comma before its decimals.

    Raises:
        ValueError: it is no number.

    Example:
        >>> fraction("0.1"), fraction("10 %"), fraction("0,1")
        (0.1, 0.1, 0.1)
    """
    if not text.strip().endswith("%"):
        return float(text.replace(",", "."))
    value = from_percent(text)
    if math.isnan(value):
        raise ValueError(text)
    return value


def thin(text: str) -> str:
    """A number and its unit as a page has them, with a thin space."""
    return text.replace(" ", THIN)


def plain(text: str) -> str:
    """The text of a page as a terminal has it, without thin spaces."""
    return text.replace(THIN, " ")


def capitalised(sentence: str) -> str:
    """A sentence with a capital at its beginning, unless that is a path or a file's name.

    Example:
        >>> capitalised("warning: no image is left"), capitalised("set/unlabeled/: no class")
        ('Warning: no image is left', 'set/unlabeled/: no class')
    """
    return sentence[:1].upper() + sentence[1:] if _WORD.match(sentence) else sentence


def columns(text: str) -> int:
    """Columns of a terminal that a line takes; East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def padded(text: str, width: int) -> str:
    """A line with blanks behind it, or before it where the width is negative, up to so many columns.

    Example:
        >>> padded("prior", -8), padded("사전확률", 9)
        ('   prior', '사전확률 ')
    """
    blanks = " " * (abs(width) - columns(text))
    return blanks + text if width < 0 else text + blanks


def four_figures(value: float) -> str:
    """Any number with four figures.

    Example:
        >>> four_figures(3.14159), four_figures(math.inf)
        ('3.142', 'infinite')
    """
    return "infinite" if math.isinf(value) else f"{value:.4g}"


def ratio(value: float) -> str:
    """A ratio of probabilities with four figures, whole from a thousand on.

    Example:
        >>> [ratio(x) for x in (9.9, 12345.6, math.inf)]
        ['9.9', '12,346', 'infinite']
    """
    return "infinite" if math.isinf(value) else decimal(value) if value < 1000 else f"{value:,.0f}"


def short_of_1(probabilities: list[float]) -> list[float]:
    """Probabilities of a belief, where one that is 1 by rounding alone is the number before it.

    Example:
        >>> short_of_1([1.0, 0.0]), short_of_1([1.0, 1e-30])[0] < 1
        ([1.0, 0.0], True)
    """
    if probabilities.count(0.0) == len(probabilities) - 1:
        return probabilities
    return [min(p, math.nextafter(1, 0)) for p in probabilities]


def json_text(document: Any) -> str:
    """A document as JSON on one line.

    NaN and infinities become null, for JSON has none; a lone surrogate is written as JSON escapes it.

    Example:
        >>> json_text({"a": math.nan, "b": (1.5, math.inf)})
        '{"a": null, "b": [1.5, null]}'
    """
    text = json.dumps(_finite(document), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()


def _written(value: float, shift: int, decimals: int, figures: int, unit: str) -> str:
    """``value`` times ten to the ``shift``, with so many figures of it and two of its rest."""
    if math.isnan(value):
        return NO_VALUE
    if value < 0:
        return "−" + _written(-value, shift, decimals, figures, unit)
    rest = min(value, abs(1 - value))
    if rest and value < LEAST:
        mantissa, _, exponent = f"{10**shift * value:.{figures - 1}e}".partition("e")
        return f"{_stripped(mantissa, 0)}e{int(exponent)}{unit}"
    if rest and rest < LEAST and value < 1:
        return f"> {_half_up(10**shift * (1 - LEAST), 9 - shift)}{unit}"
    places = max(_places(value, figures), _places(rest, 2)) - shift
    return _stripped(_half_up(10**shift * value, max(decimals, places, 0)), decimals) + unit


def _places(value: float, figures: int) -> int:
    """Decimals up to the last of so many figures."""
    return figures - 1 - int(f"{value:.{figures - 1}e}".partition("e")[2]) if value else 0


def _half_up(value: float, places: int) -> str:
    """So many decimals, halves upwards, as a browser writes them."""
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


def _stripped(number: str, decimals: int) -> str:
    """Without zeros at the end beyond so many decimals."""
    whole, point, part = number.partition(".")
    kept = part.rstrip("0").ljust(decimals, "0") if point else ""
    return f"{whole}.{kept}" if kept else whole


def is_number(text: str) -> bool:
    """Tell what can be read as a number from other text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _finite(value: Any) -> Any:
    """The same document with NaN and infinities replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return _finite(value.tolist()) if hasattr(value, "tolist") else value
