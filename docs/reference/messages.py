"""Bring the catalogues of translations up to date with the messages in the code.

    python docs/reference/messages.py          writes src/bayesight/locale/*/LC_MESSAGES/bayesight.po
    python docs/reference/messages.py --check  exits 1 and names what is missing, stale or not translated

A message is the first argument of ``tr`` or ``marked``, in Python, a template or a script, or the noun of
``plural``. Translations are written into the catalogue by hand.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import jinja2
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2 import nodes

from bayesight.language import LANGUAGES

__all__ = ["CATALOGUES", "SOURCE", "messages", "problems", "updated"]

SOURCE = Path(__file__).resolve().parents[2] / "src/bayesight"
CATALOGUES = {
    language: SOURCE / "locale" / language / "LC_MESSAGES/bayesight.po"
    for language in LANGUAGES
    if language != "en"
}
_IN_SCRIPT = re.compile(r'\btr\(\s*("(?:[^"\\]|\\.)*")')
_SAME = re.compile(r"[^a-z]*|(?i:log-loss|softmax|Bayesight|nats)")


def messages() -> dict[str, list[str]]:
    """Every message of the code, with the files it is in."""
    found: dict[str, list[str]] = {}
    readers = {".py": _in_python, ".j2": _in_template, ".js": _in_script}
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix not in readers:
            continue
        name = path.relative_to(SOURCE.parents[1]).as_posix()
        for message in readers[path.suffix](path.read_text("utf-8")):
            if name not in found.setdefault(message, []):
                found[message].append(name)
    return found


def updated(language: str) -> str:
    """The text of a catalogue with the messages of today and the translations it has."""
    kept = read_po(io.BytesIO(CATALOGUES[language].read_bytes()), locale=language)
    catalogue = Catalog(language, project="Bayesight", charset="utf-8", fuzzy=False)
    for message, places in sorted(messages().items(), key=lambda pair: (pair[1][0], pair[0])):
        old = kept.get(message)
        catalogue.add(message, old.string if old else "", locations=[(place, 0) for place in places[:1]])
    out = io.BytesIO()
    write_po(out, catalogue, width=0, omit_header=True, include_lineno=False)
    header = (
        f'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
    )
    return header + out.getvalue().decode("utf-8")


def problems(language: str) -> list[str]:
    """Sentences on what a catalogue lacks: messages, translations, values."""
    path = CATALOGUES[language]
    said = [] if path.read_text("utf-8") == updated(language) else [f"{path} is stale: run make docs"]
    for entry in read_po(io.BytesIO(path.read_bytes()), locale=language):
        if entry.id and not entry.string:
            said.append(f"{language}: not translated: {entry.id!r}")
        elif entry.id and _values(entry.id) != _values(entry.string):
            said.append(f"{language}: other values than in the message: {entry.id!r}")
        elif entry.id == entry.string and not _SAME.fullmatch(re.sub(r"\{[^}]*\}", "", entry.id)):
            said.append(f"{language}: left as it is: {entry.id!r}")
    return said


def _values(text: str) -> set[tuple[str, str]]:
    """Names of the values of a message, with the way they are written."""
    if "{" not in text:
        return set()
    parts = Formatter().parse(text)
    return {(name, (spec or "").lstrip("~")) for _, name, spec, _ in parts if name is not None}


def _in_python(text: str) -> Iterator[str]:
    for call in ast.walk(ast.parse(text)):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        first = call.args[0]
        if name == "tr" and isinstance(first, ast.Constant):
            yield first.value
        elif name == "marked" and isinstance(first, ast.Constant | ast.JoinedStr):
            yield from _lines(first)
        elif name == "plural" and len(call.args) > 1 and isinstance(call.args[1], ast.Constant):
            yield f"{{count}} {call.args[1].value}"


def _lines(text: ast.Constant | ast.JoinedStr) -> Iterator[str]:
    """The lines of a string as messages, without blanks around them, values as numbers."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    whole = "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in parts)
    for line in whole.split("\n"):
        first, *others = line.strip().split("\0")
        message = first + "".join(f"{{{number}}}{words}" for number, words in enumerate(others))
        if re.search("[A-Za-z]", re.sub(r"\{\d+\}", "", message)):
            yield message


def _in_template(text: str) -> Iterator[str]:
    tree = jinja2.Environment().parse(text)  # noqa: S701  # read, never rendered
    for call in tree.find_all(nodes.Call):
        if (
            isinstance(call.node, nodes.Name)
            and call.node.name == "tr"
            and isinstance(call.args[0], nodes.Const)
        ):
            yield call.args[0].value
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name == "plural" and isinstance(filtered.args[0], nodes.Const):
            yield f"{{count}} {filtered.args[0].value}"


def _in_script(text: str) -> Iterator[str]:
    yield from (ast.literal_eval(found) for found in _IN_SCRIPT.findall(text))


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        found = [problem for language in CATALOGUES for problem in problems(language)]
        sys.stdout.writelines(f"{problem}\n" for problem in found)
        sys.exit(bool(found))
    for language, path in CATALOGUES.items():
        path.write_text(updated(language), "utf-8")
