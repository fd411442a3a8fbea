"""Numbers and names as people read them.

A thin space stands before the per-cent sign and a comma between thousands. Names of files and classes come
from strangers: ``clean`` makes them printable before anything else sees them.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from bayesight import formatting
from bayesight.bayes.frequencies import LARGEST
from bayesight.bayes.rates import Estimate
from bayesight.formatting import NO_VALUE, THIN, thin
from bayesight.language import current, tr

Number: TypeAlias = float | Estimate
"""A finished number, with or without its interval."""

_HIDDEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_TURNS_TEXT = {
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
    "\u200e",
    "\u200f",
    "\u061c",
}


def clean(name: str) -> str:
    r"""``name`` with every character that cannot be shown, or that reorders its neighbours, replaced by �.

    Bytes of a file name that are no UTF-8 reach Python as lone surrogates, which no page can hold.

    Example:
        >>> clean("a\x00b\udcffc\u202ed")
        'a�b�c�d'
    """
    return "".join("�" if unicodedata.category(c) in _HIDDEN or c in _TURNS_TEXT else c for c in str(name))


def mean_of(number: Number) -> float:
    """The number itself, without its interval."""
    return number.mean if isinstance(number, Estimate) else float(number)


def percent(number: Number, decimals: int = 1) -> str:
    """``formatting.percent`` of a number with or without its interval, for columns.

    Example:
        >>> [percent(x).replace(THIN, " ") for x in (0.9734, 0.99996, 1, 0.00001, math.nan)]
        ['97.3 %', '99.996 %', '100.0 %', '0.001 %', '–']
    """
    return thin(formatting.percent(mean_of(number), decimals))


def rate(number: Number) -> str:
    """The same with as many decimals as it needs, for sentences and axes.

    Example:
        >>> [rate(x).replace(THIN, " ") for x in (0.5, 0.973, 0.9991, 0.0123, 0.0001, 0, 1)]
        ['50 %', '97.3 %', '99.91 %', '1.2 %', '0.01 %', '0 %', '100 %']
    """
    return percent(number, 0)


def points(number: Number) -> str:
    """``rate`` without its sign, for percentage points.

    Example:
        >>> points(0.0082)
        '0.82'
    """
    return rate(number).removesuffix(f"{THIN}%")


def percents(numbers: Sequence[Number], between: str = " / ", decimals: int = 1) -> str:
    """Several fractions in per cent under one sign.

    Example:
        >>> percents((0.874, 0.171)).replace(THIN, " ")
        '87.4 / 17.1 %'
    """
    return between.join(percent(number, decimals).removesuffix(f"{THIN}%") for number in numbers) + f"{THIN}%"


def interval(number: Number, decimals: int = 1) -> str:
    """The interval of a fraction in per cent, or nothing when it has none.

    Example:
        >>> interval(Estimate(mean=0.97, low=0.953, high=0.981)).replace(THIN, " ")
        '95.3–98.1 %'
    """
    return spread((number.low, number.high), decimals) if isinstance(number, Estimate) else ""


def spread(ends: Sequence[float], decimals: int = 1) -> str:
    """The two ends of an interval of fractions in per cent, or nothing where they are not known.

    Example:
        >>> spread((0.9312, 0.9567)).replace(THIN, " ")
        '93.1–95.7 %'
    """
    return "" if any(map(math.isnan, ends)) else percents(ends, "–", decimals)


def quality(figures: Mapping[str, Any]) -> str:
    """Accuracy with its interval, log-loss with its standard error, and calibration error, as words.

    Args:
        figures: as ``Evaluation.figures``; ``log_loss_error`` may be None, and ``ece_by_chance`` missing.

    Example:
        >>> figures = {"accuracy": 0.95, "accuracy_interval": (0.93, 0.97), "log_loss": 0.21, "ece": 0.01}
        >>> quality(figures | {"log_loss_error": None, "ece_by_chance": 0.008}).replace(THIN, " ")
        'accuracy 95.0 % (93.0–97.0 %), log-loss 0.2100 nats, calibration error 1.0 % (chance alone 0.8 %)'
    """
    accuracy, span, log_loss, error, ece = (
        figures[name] for name in ("accuracy", "accuracy_interval", "log_loss", "log_loss_error", "ece")
    )
    by_chance = figures.get("ece_by_chance")
    give = (
        "" if error is None or not math.isfinite(error) else tr(" (standard error {error:.4f})", error=error)
    )
    return tr(
        "accuracy {accuracy} ({span}), log-loss {log_loss:.4f} nats{give}, calibration error {ece}",
        accuracy=percent(accuracy),
        span=spread(span),
        log_loss=log_loss,
        give=give,
        ece=percent(ece)
        + ("" if by_chance is None else tr(" (chance alone {share})", share=percent(by_chance))),
    )


def of_hundred(number: Number) -> tuple[str, str, str]:
    """A fraction as a count of people or pictures: out of 100, or near 0 and 1 of a larger power of ten.

    Returns:
        The round number, how many of it, and the range of the interval ("95–98", empty without one).

    Example:
        >>> of_hundred(Estimate(mean=0.971, low=0.95, high=0.98)), of_hundred(0.996)
        (('100', '97', '95–98'), ('1,000', '996', ''))
    """
    value = mean_of(number)
    rest = min(value, 1 - value)
    base = 100
    while 0 < base * rest < 1.5 and base < LARGEST:
        base *= 10
    spread = ""
    if isinstance(number, Estimate) and not math.isnan(number.low):
        spread = f"{base * number.low:,.0f}–{base * number.high:,.0f}"
    return f"{base:,}", f"{base * value:,.0f}", spread


def ratio(number: Number) -> str:
    """A likelihood ratio with two or three figures.

    Example:
        >>> [ratio(x) for x in (0.0312, 1, 99.2, 1234, math.inf)]
        ['0.031', '1.0', '99', '1,234', 'infinite']
    """
    return _figures(mean_of(number))


def ratio_interval(number: Number) -> str:
    """The interval of a ratio, or nothing when it has none."""
    if not isinstance(number, Estimate) or math.isnan(number.low):
        return ""
    return f"{_figures(number.low)}–{_figures(number.high)}"


def count(value: float) -> str:
    """A number of things; a sum of weights keeps one decimal.

    Example:
        >>> count(12345), count(0.25)
        ('12,345', '0.2')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def plural(value: float, one: str, many: str = "") -> str:
    """A count with its noun; the catalogue has it as a message, ``{count}`` before the first form.

    Example:
        >>> plural(1, "image"), plural(2000, "image"), plural(0, "class", "classes")
        ('1 image', '2,000 images', '0 classes')
    """
    if current() == "en":
        return f"{count(value)} {one if value == 1 else many or one + 's'}"
    return tr(f"{{count}} {one}", count=count(value))


def duration(elapsed_s: float) -> str:
    """A time as people say it.

    Example:
        >>> [duration(x).replace(THIN, " ") for x in (0.0042, 3.21, 75, 7300)]
        ['4.2 ms', '3.2 s', '1 min 15 s', '2 h 1 min']
    """
    if elapsed_s < 1:
        return f"{1000 * elapsed_s:.{1 if elapsed_s < 0.1 else 0}f}{THIN}ms"
    if elapsed_s < 60:
        return tr("{seconds:.1f}\u202fs", seconds=elapsed_s)
    minutes, seconds = divmod(round(elapsed_s), 60)
    if minutes < 60:
        return tr("{minutes}\u202fmin {seconds}\u202fs", minutes=minutes, seconds=seconds)
    return tr("{hours}\u202fh {minutes}\u202fmin", hours=minutes // 60, minutes=minutes % 60)


def signed(value: float, digits: int = 1) -> str:
    """A difference of fractions in percentage points, with its sign.

    Example:
        >>> signed(0.0234), signed(-0.001), signed(0)
        ('+2.3', '−0.1', '0.0')
    """
    points = f"{100 * value:+.{digits}f}".replace("-", "−")
    return points[1:] if float(f"{100 * value:.{digits}f}") == 0 else points


def joined(names: Sequence[str]) -> str:
    """Names as a list in a sentence.

    Example:
        >>> joined(["A"]), joined(["A", "B", "C"])
        ('A', 'A, B and C')
    """
    if len(names) < 2:
        return names[0] if names else tr("none")
    return tr("{names} and {last}", names=", ".join(names[:-1]), last=names[-1])


def _figures(value: float) -> str:
    if math.isnan(value):
        return NO_VALUE
    if math.isinf(value):
        return tr("infinite")
    if value >= 1e5:
        return "> 100,000"
    if 0 < value < 0.001:
        return "< 0.001"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 10 else f"{value:#.2g}"
