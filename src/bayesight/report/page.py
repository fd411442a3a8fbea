"""A report as one HTML file that carries everything with it: no script, no network, light, dark and paper."""

from __future__ import annotations

import functools
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from bayesight.files import make_folder, write_atomic
from bayesight.language import current, tr
from bayesight.report.blocks import Section
from bayesight.report.pictures import data_uri
from bayesight.report.words import clean, duration

_LONGEST = 26
_RANGE = re.compile(r"(\d[\d.,]*–\d[\d.,]*)")


@dataclass(frozen=True)
class Report:
    """A title and sections, in the order they are read.

    Attributes:
        title: heading of the page.
        sections: any, in any order, any of them twice.
        subtitle: a line below the title, such as the run folder.
        created: when, as text; given by the caller, so that the same data make the same page.
    """

    title: str
    sections: tuple[Section, ...]
    subtitle: str = ""
    created: str = ""


def render(report: Report) -> str:
    """The report as one HTML document; the same report gives the same text.

    Every name is escaped, and characters that cannot be shown are replaced; a content security policy forbids
    the page to load or run anything.

    Example:
        >>> from bayesight.report import prose
        >>> page = render(Report("A & B", (prose("Note", "One <b>word</b>."),)))
        >>> "A &amp; B" in page, "One &lt;b&gt;word&lt;/b&gt;." in page
        (True, True)
    """
    number = itertools.count(1).__next__  # of alternatives, whose buttons need names of their own
    return _environment().get_template("page.html.j2").render(report=report, number=number) + "\n"


def save(report: Report, path: str | os.PathLike[str]) -> Path:
    """Write the report to a file, whole or not at all, making its folder when needed.

    Returns:
        The absolute path of the file.

    Raises:
        StorageFailed: the folder cannot be made or written.
    """
    target = Path(path).expanduser().absolute()
    text = render(report)
    make_folder(target.parent, f"a folder for {target.name}")
    write_atomic(target, text)
    return target


def templates_of(package: str) -> jinja2.Environment:
    """A package's templates with escaping on, and every plain string made printable on its way out."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.globals |= {"tr": _tr, "language": current}
    return environment


@functools.cache
def _environment() -> jinja2.Environment:
    environment = templates_of("bayesight.report")
    environment.filters["breakable"] = _breakable
    environment.filters["unbroken"] = _unbroken
    environment.filters["duration"] = duration
    environment.filters["data_uri"] = data_uri
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment


def _breakable(name: str) -> Markup:
    """``name`` escaped, with places where a line may end inside words too long for a narrow column."""
    parts = re.findall(rf"[^/]{{1,{_LONGEST}}}/?|/", clean(name)) if len(name) > _LONGEST else [clean(name)]
    return Markup("<wbr>").join(parts)


def _unbroken(sentence: str) -> Markup:
    """``sentence`` escaped, with ranges of numbers kept on one line."""
    whole = Markup("<span>{}</span>")
    parts = enumerate(_RANGE.split(clean(sentence)))
    return Markup("").join(whole.format(part) if at % 2 else part for at, part in parts)


def _tr(message: str, **values: Any) -> Markup:
    """A message of a template, which may hold markup of our own, with values that may not."""
    safe = {
        name: escape(_printable(value)) if isinstance(value, str) else value for name, value in values.items()
    }
    return Markup(tr(message, **safe))  # noqa: S704  # messages are ours, and values escaped


def _printable(value: Any) -> Any:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
