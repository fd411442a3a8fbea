"""The language of what people read: English sentences in the code, their translations in one catalogue.

A message is an English sentence with its values in braces, as of ``str.format``; without a translation it is
shown as it is. JSON keys, names of files and what run folders and ledgers keep are in no language.
"""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.resources import files

LANGUAGES = ("en", "ko")
_LANGUAGE = ContextVar("bayesight_language", default="en")
_LONGEST = 1000  # characters of a line that is looked for among the messages

_ENTRY = re.compile(r'^msgid ((?:"[^\n]*"\n)+)msgstr ((?:"[^\n]*"\n?)+)', re.MULTILINE)
_PARTICLE = re.compile(
    r"(.)((?:['\"”’)\]\u202f]|</?[a-z][^>]*>)*)(은\(는\)|이\(가\)|을\(를\)|과\(와\)|\(으\)로|\(이\))"
)
_BETWEEN = re.compile(r"(; (?=\d|and |\S+: )|, (?=\d)|(?<=[)%]), )")
_COUNTED = re.compile(r"([\d,]+) (.+)")
_SHARED = re.compile(r"(.+)( [\d.,]+\W?%)")
_NAMED = re.compile(r"(\S+: )(.+)")
_MORE = re.compile(r" and ([\d,]+) more$")  # the end of a long list, see errors.listed
_ALONE = re.compile(r"[A-Za-z]{2}|(.*[a-z]){8}", re.DOTALL)
"""Messages that whole lines may be of: those that begin with a word, or have words enough."""
_OF_ONE = {"were": "was", "are": "is", "have": "has"}
_ONE = re.compile(
    r"(?<![\w.,/])(?<!of )1 (boxes|classes|(?:change|epoch|example|figure|file|font|image|label|letter|line"
    r"|member|pair|part|question|record|row|scene|seed|sentence|step|text|word)s)\b( were\b| are\b| have\b)?"
)
_ENDS_IN_CONSONANT, _ENDS_IN_L = frozenset("013678LMNR"), frozenset("178LR")


def tr(message: str, /, **values: object) -> str:
    """A message in the language spoken now, its values put in.

    Args:
        message: English, with names of values in braces.
        values: by name; without any the message is taken as it is, braces too.

    Example:
        >>> tr("{count:,} images", count=2000)
        '2,000 images'
        >>> with speaking("ko"):
        ...     tr("precision"), tr("Precision of {name}", name="A")
        ('정밀도', 'A의 정밀도')
    """
    language = _LANGUAGE.get()
    text = message if language == "en" else catalogue(language).get(message, message)
    told = text.format(**values) if values else text
    return _with_singulars(told) if language == "en" else _with_particles(told)


def speak(language: str) -> None:
    """Speak a language from here on; one that is not known is English."""
    _LANGUAGE.set(language if language in LANGUAGES else "en")


def marked(message: str) -> str:
    """The message itself, for the catalogue to have it; ``tr`` or ``retold`` translates it where it is shown.

    Each line is a message, without the blanks around it, and each value of an f-string a number in braces.
    """
    return message


def current() -> str:
    """The language spoken now, as ISO 639-1 has it."""
    return _LANGUAGE.get()


def retold(sentence: str) -> str:
    """English text that was made elsewhere, or long ago, in the language spoken now, line by line.

    Each is told again by the message it was made from, one ``marked`` with its values; without one it stays.

    Example:
        >>> with speaking("ko"):
        ...     retold("This classifier never says 'B'.")
        "이 분류기는 'B'를 한 번도 답하지 않습니다."
    """
    if _LANGUAGE.get() == "en":
        return _with_singulars(sentence)
    return "\n".join(map(_line_retold, sentence.split("\n")))


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language inside the block; one that is not known is English."""
    token = _LANGUAGE.set(language if language in LANGUAGES else "en")
    try:
        yield
    finally:
        _LANGUAGE.reset(token)


def of_system(environment: Mapping[str, str] = os.environ) -> str:
    """The language that ``BAYESIGHT_LANG`` or, without it, the locale of the system asks for.

    Example:
        >>> of_system({"LANG": "ko_KR.UTF-8"}), of_system({"BAYESIGHT_LANG": "en", "LANG": "ko_KR.UTF-8"})
        ('ko', 'en')
    """
    names = ("BAYESIGHT_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    first = next((environment[name] for name in names if environment.get(name)), "")
    return "ko" if first[:2].lower() == "ko" else "en"


def accepted(header: str, otherwise: str = "en") -> str:
    """The language that an ``Accept-Language`` header prefers of those there are.

    Example:
        >>> accepted("ko-KR,ko;q=0.9,en;q=0.8"), accepted("de, en;q=0.5, ko;q=0.1"), accepted("fr")
        ('ko', 'en', 'en')
    """
    wanted = []
    for place, part in enumerate(header.split(",")):
        name, _, weight = part.replace(" ", "").partition(";q=")
        try:
            wanted.append((-float(weight or 1), place, name.strip()[:2].lower()))
        except ValueError:
            continue
    known = (name for quality, _, name in sorted(wanted) if name in LANGUAGES and quality < 0)
    return next(known, otherwise)


@functools.cache
def catalogue(language: str) -> Mapping[str, str]:
    """The translations of a language, message to text; of English there are none."""
    if language == "en":
        return {}
    place = files("bayesight") / "locale" / language / "LC_MESSAGES" / "bayesight.po"
    entries = ((_unquoted(a), _unquoted(b)) for a, b in _ENTRY.findall(place.read_text("utf-8")))
    return {message: text for message, text in entries if message and text}


class _Value(str):
    """A value of a message; a translation may tell it again: as a message ``{0:~}``, as a list ``{0:~~}``."""

    def __format__(self, spec: str) -> str:
        if spec == "~~":
            return "".join(map(_item_retold, _BETWEEN.split(self)))
        told = _line_retold(self, whole=False) if spec == "~" else str(self)
        return _MORE.sub(lambda found: tr(" and {count} more", count=found[1]), told)


def _line_retold(line: str, *, whole: bool = True) -> str:
    words = line.strip()
    if len(words) > _LONGEST:
        return line
    for sentence in (words, words.removesuffix(".")):
        told = _told(sentence, whole)
        if told is not None:
            return line.replace(words, told + words[len(sentence) :])
    return line


def _item_retold(item: str) -> str:
    """A message of a list: "2 cut off", "splines 40 %", "a.png: zero bytes", or nothing but itself."""
    if (found := _COUNTED.fullmatch(item)) and (told := _told(found[2], whole=False)):
        return tr("{count} {what}", count=found[1], what=told)
    if (found := _SHARED.fullmatch(item)) and (told := _told(found[1], whole=False)):
        return f"{told}{found[2]}"
    if (found := _NAMED.fullmatch(item)) and (told := _told(found[2], whole=False)):
        return f"{found[1]}{told}"
    return _line_retold(item, whole=False)


def _told(words: str, whole: bool) -> str | None:
    """The translation of a line, or of a part of one, which may be of a single word; None without one."""
    told = catalogue(_LANGUAGE.get()).get(words)
    if told is not None and (" " in words or not whole):
        return told
    for pattern, text in _patterns(_LANGUAGE.get()):
        if whole and not _ALONE.match(pattern.pattern):
            continue
        found = pattern.fullmatch(words)
        if found and not any(value.startswith(" ") for value in found.groups()):  # those are columns
            return _with_particles(text.format(*map(_Value, found.groups())))
    return None


@functools.cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Messages whose values are numbered, as patterns of what they become, those with most words first."""
    marked = [(message, text) for message, text in catalogue(language).items() if "{0}" in message]
    marked.sort(key=lambda pair: (len(re.findall("[a-z]", pair[0])), pair[0].count("{")), reverse=True)
    pieces = ((re.split(r"\{\d\}", message), text) for message, text in marked)
    return [(re.compile("(.*?)".join(map(re.escape, parts)), re.IGNORECASE), text) for parts, text in pieces]


def _unquoted(lines: str) -> str:
    """The strings of a catalogue's entry as one."""
    return "".join(ast.literal_eval(line) for line in lines.splitlines())


def _with_singulars(text: str) -> str:
    """English text in which one thing is in the singular, its verb with it.

    Example:
        >>> _with_singulars("1 images were cut, 0.1 images, 1 boxes, 21 classes, 1 of 1 images")
        '1 image was cut, 0.1 images, 1 box, 21 classes, 1 of 1 images'
    """

    def singular(found: re.Match[str]) -> str:
        noun, verb = found[1], found[2]
        one = noun[:-2] if noun in ("boxes", "classes") else noun[:-1]
        return f"1 {one}" + (f" {_OF_ONE[verb.strip()]}" if verb else "")

    return _ONE.sub(singular, text) if "1 " in text else text


def _with_particles(text: str) -> str:
    """Korean text with each particle in the form that the sound before it asks for, where that is known.

    Example:
        >>> said = ("사후확률은(는)", "A을(를)", "9(으)로", "'R'이(가)", "cat은(는)")
        >>> [_with_particles(text) for text in said]
        ['사후확률은', 'A를', '9로', "'R'이", 'cat은(는)']
    """

    def chosen(found: re.Match[str]) -> str:
        before, closing, particle = found.groups()
        consonant, liquid = before in _ENDS_IN_CONSONANT, before in _ENDS_IN_L
        if "가" <= before <= "힣":
            ending = (ord(before) - ord("가")) % 28
            consonant, liquid = ending > 0, ending == 8
        elif not (before.isdigit() or before.isupper() or before == "%"):
            return found.group()
        if particle in ("(으)로", "(이)"):
            kept = consonant and not (liquid and particle == "(으)로")
            form = particle.replace("(", "").replace(")", "") if kept else particle.partition(")")[2]
        else:
            with_consonant, without = particle.rstrip(")").split("(")
            form = with_consonant if consonant else without
        return before + closing + form

    return _PARTICLE.sub(chosen, text)
