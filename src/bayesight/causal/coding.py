"""Success and reference: the value of an outcome that counts as 1, the treatment others are compared with.

The rule for two values, the first that decides:

1. two numbers: the larger one counts;
2. yes, true and their like in several languages count;
3. the value that goes with the column's name counts (``Admit``: Admitted; ``death``: dead);
4. the value without a "not", "non" or "un" counts (diseased against not diseased);
5. of words known to be opposites, the success or the event counts (admitted, survived, case, positive);
6. otherwise the second by the alphabet counts, and the sentence says that nothing speaks for it.

The reference is the value that does not count by 2 and 4, a word such as control or placebo, or the first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bayesight.formatting import is_number
from bayesight.language import marked

YES = frozenset("yes y true t ja j wahr 예 네 oui sí si sim да 是".split())  # noqa: SIM905
NO = frozenset("no n false f nein falsch 아니오 아니요 non não nao нет 否".split())  # noqa: SIM905

_COUNTED = frozenset(
    """
    success successful succeeded admitted accepted approved granted hired passed pass won win survived
    survivor alive lived living cured recovered improved better good case cases event positive pos present
    exposed treated high employed bought purchased clicked converted responder response graduated enrolled
    erfolg erfolgreich zugelassen angenommen bestanden überlebt geheilt positiv vorhanden fall 성공 합격
    생존 승인 채택 양성 있음 찬성 환자 발생 완치 healthy well intact ok stayed gesund 정상 remission
    """.split()  # noqa: SIM905
)
_UNCOUNTED = frozenset(
    """
    failure failed fail unsuccessful rejected refused denied declined lost lose loss died dead deceased
    perished drowned ill worse bad control controls censored none negative neg absent low misserfolg
    gescheitert abgelehnt durchgefallen gestorben tot verstorben krank negativ kontrolle 실패 불합격 사망
    거절 기각 음성 없음 반대 대조 대조군 미발생 relapse relapsed diseased disease sick defective default
    defaulted churned
    """.split()  # noqa: SIM905
)
_REFERENCE = frozenset(
    """
    control controls placebo sham none untreated unexposed usual standard baseline reference conventional
    never kontrolle kontrollgruppe plazebo keine ohne standardtherapie 대조 대조군 위약 없음 미처치
    """.split()  # noqa: SIM905
)
_LOSSES = frozenset("death deaths mortality fatality failure loss tod mortalität 사망 사망여부".split())  # noqa: SIM905
"""Names of columns that count what is lost."""
_NEGATIONS = re.compile(r"^(not|non|no|without|never|nicht|keine|kein|ohne|un|in|dis|비|미|불)[\s_-]*")


@dataclass(frozen=True)
class LevelChoice:
    """A value that was chosen, and the reason.

    Attributes:
        value: the level.
        because: the reason, to stand in brackets.
    """

    value: str
    because: str


def success_of(name: str, levels: Sequence[str]) -> LevelChoice:
    """Choose which of two levels counts as 1.

    Args:
        name: of the outcome.
        levels: the two, in their order; numbers by size.

    Example:
        >>> success_of("Admit", ("Admitted", "Rejected")).value
        'Admitted'
        >>> success_of("outcome", ("died", "lived"))
        LevelChoice(value='lived', because='by its meaning')
    """
    one, two = levels
    if is_number(one) and is_number(two):
        return LevelChoice(two, marked("the larger number"))
    for value in levels:
        if _word(value) in _yes_of(levels):
            return LevelChoice(value, marked("a word for yes"))
    for value, other in ((two, one), (one, two)):
        if _word(other) in NO:
            return LevelChoice(value, marked(f"the other is {other}"))
    named = [value for value in levels if _goes_with(name, value)]
    if len(named) == 1:
        return LevelChoice(named[0], marked("it goes with the column's name"))
    plain = _without_negation(one, two)
    if plain:
        return LevelChoice(plain, marked("the other is its negation"))
    sign = -1 if _LOSSES & set(_words_of(name)) else 1
    counted = [sign * _kind_of_word(value) for value in levels]
    if counted[0] != counted[1]:
        return LevelChoice(levels[counted[1] > counted[0]], marked("by its meaning"))
    return LevelChoice(two, marked("the second by the alphabet, for want of a better reason"))


def reference_of(levels: Sequence[str]) -> LevelChoice:
    """Choose the treatment that the others are compared with.

    Args:
        levels: all of them, in their order; numbers by size.

    Example:
        >>> reference_of(("drug A", "drug B", "placebo")).value, reference_of(("0", "1")).value
        ('placebo', '0')
    """
    if is_number(levels[0]):
        return LevelChoice(levels[0], marked("the smallest number"))
    words = [_word(level) for level in levels]
    for k, word in enumerate(words):
        if word in NO:
            return LevelChoice(levels[k], marked("a word for no"))
    parts = [set(re.split(r"[\s_-]+", word)) for word in words]
    bare = [k for k, some in enumerate(parts) if some & _REFERENCE]
    if len(bare) == 1:
        return LevelChoice(levels[bare[0]], marked("by its meaning"))
    if len(levels) == 2:
        plain = _without_negation(*levels)
        if plain:
            return LevelChoice(next(v for v in levels if v != plain), marked("the negation of the other"))
        yes = [k for k, word in enumerate(words) if word in _yes_of(levels)]
        if len(yes) == 1:
            return LevelChoice(levels[1 - yes[0]], marked("the other is yes"))
    return LevelChoice(levels[0], marked("the first by the alphabet"))


def _yes_of(levels: Sequence[str]) -> frozenset[str]:
    """The words for yes among these levels; O is one beside X, as Korean forms have it."""
    return YES | {"o"} if {_word(level) for level in levels} == {"o", "x"} else YES


def _kind_of_word(value: str) -> int:
    """1 for a success or an event, -1 for its opposite, 0 for what is neither or both."""
    words = {_word(value), *re.split(r"[\s_-]+", _word(value))}
    return bool(words & _COUNTED) - bool(words & _UNCOUNTED)


def _goes_with(name: str, value: str) -> bool:
    """True of a value that begins like a word of the column's name: Admit and admitted, death and dead."""
    word = _word(value)
    for part in _words_of(name):
        shared = next((k for k, (a, b) in enumerate(zip(part, word, strict=False)) if a != b), None)
        length = min(len(part), len(word)) if shared is None else shared
        if length >= max(3, min(len(part), len(word)) - 2):
            return True
    return False


def _without_negation(one: str, two: str) -> str:
    """The value of which the other is the negation; empty if neither is."""
    for plain, other in ((one, two), (two, one)):
        rest = _NEGATIONS.sub("", _word(other), count=1)
        if rest != _word(other) and rest == _word(plain):
            return plain
    return ""


def _words_of(name: str) -> list[str]:
    return re.split(r"[\s_.\d-]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())


def _word(value: str) -> str:
    return value.strip().casefold()
