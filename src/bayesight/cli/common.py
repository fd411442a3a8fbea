"""Parts that every command shares: the JSON document, messages, the progress bar, errors as one sentence."""

from __future__ import annotations

import gc
import inspect
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.errors import InvalidInput, printable
from bayesight.formatting import json_text, plain
from bayesight.language import LANGUAGES, marked, of_system, retold, speak

if TYPE_CHECKING:
    from bayesight.workflows.sources import SourceOptions
else:
    SourceOptions = Any  # signatures of commands are looked at while they run

__all__ = [
    "INTERRUPTED",
    "STOPPED",
    "Bar",
    "ClusterOption",
    "FitOption",
    "LabelsFileOption",
    "LedgerOption",
    "LedgerPlaceOption",
    "PartsOption",
    "PriorOption",
    "ReportedStatus",
    "SeedOption",
    "SetCoverageOption",
    "SourceOptions",
    "environment_lines",
    "json_wanted",
    "ledger_words",
    "loading",
    "progress_bar",
    "refuse_options",
    "say",
    "share",
    "share_option",
    "source_or_parts",
    "this_program",
    "when_interrupted",
    "with_json",
    "with_source",
    "write",
    "write_parts",
]

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else there.")
]
_JSON = ContextVar("bayesight_json", default=False)
LangOption = Annotated[
    str | None,
    typer.Option(
        "--lang",
        metavar="|".join(LANGUAGES),
        help="Language of answers, messages and reports (default: BAYESIGHT_LANG, or the system's locale).",
    ),
]
LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        help="Answer with everything this ledger holds about the run (default: with the run alone).",
    ),
]
FitOption = Annotated[
    str | None,
    typer.Option(
        metavar="crop|pad|stretch",
        help="Images of another shape: crop the centre, pad with black to keep all of them, or stretch "
        "(default: crop).",
    ),
]
LabelsFileOption = Annotated[
    Path | None,
    typer.Option("--labels-file", "--labels", help="Labels of an IDX source (default: the file beside it)."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Every random choice follows from it.")]

ClassLevelOption = Annotated[
    int | None,
    typer.Option(
        "--class-level",
        metavar="N",
        help="Which folders are classes: 1 those at the top of the source, 2 the next, -1 the lowest "
        "(default: found from the folders, or asked for).",
    ),
]
SplitFoldersOption = Annotated[
    bool | None,
    typer.Option(
        "--split-folders/--no-split-folders",
        help="Folders named train, val, test ... are parts of the source, or folders like others (default: "
        "found from the folders, or asked for).",
    ),
]
LabelsFromOption = Annotated[
    str | None,
    typer.Option(
        "--labels-from",
        metavar="TABLE:COLUMN|PATTERN",
        help="Classes that no folder tells: a column of a CSV or Parquet table beside a column path, or a "
        "regular expression over paths, such as '(?P<label>[a-z]+)_[0-9]+' (default: the folders).",
    ),
]
NamesOption = Annotated[
    str | None,
    typer.Option(
        "--names",
        metavar="ENCODING",
        help="Encoding of names in an archive that do not say theirs: cp437, cp949, shift_jis, gbk ... "
        "(default: found from the names).",
    ),
]
FollowLinksFlag = Annotated[
    bool, typer.Option("--follow-links", help="Follow symbolic links that lead out of the folder.")
]
ByNameFlag = Annotated[
    bool, typer.Option("--by-name", help="Labels of IDX data are names of classes, not the run's order.")
]
ByPositionFlag = Annotated[
    bool, typer.Option("--by-position", help="Labels 0, 1, ... are places in the run's order of classes.")
]


def share(text: str) -> float:
    """A probability as it is typed: ``0.1`` or ``10%``.

    Raises:
        ValueError: it is no number.
        BadParameter: it is a percentage beyond 0 to 100.
    """
    from bayesight.formatting import fraction

    value = fraction(text)
    if "%" in text and (value < 0 or value > 1):
        raise typer.BadParameter(f"{text.strip()} is no probability; expected 0% to 100%")
    return value


def share_option(words: str) -> Any:
    """An option that is a probability; ``words`` are its help."""
    return typer.Option(parser=share, metavar="P", help=words)


SetCoverageOption = Annotated[
    float | None,
    typer.Option(
        "--set-coverage",
        parser=share,
        metavar="SHARE",
        help="Name a set of classes for each image, so that this share of the sets hold the truth at the "
        "base rates here (default: no sets).",
    ),
]


PartsOption = Annotated[
    Path | None,
    typer.Option(
        "--parts",
        metavar="PARTS.json",
        help="In place of a source: many archives, listed by 'bayesight data parts' (default: none).",
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="auto|local|ADDRESS",
        help="With --parts: a part a task on a Ray cluster, that of this machine, this machine's cores, or "
        "ray://HOST:10001 (default: one part after another).",
    ),
]


LedgerPlaceOption = Annotated[
    str,
    typer.Option(
        "--ledger",
        envvar="BAYESIGHT_LEDGER",
        help="A SQLite file, a run folder (its ledger.sqlite), or postgresql://USER:PASSWORD@HOST/DATABASE.",
    ),
]


def _prior_text(given: str | None) -> str | None:
    """The prior that ``--prior`` states; of ``-``, the one on standard input."""
    return sys.stdin.read() if given == "-" else given


PriorOption = Annotated[
    str | None,
    typer.Option(
        "--prior",
        callback=_prior_text,
        help="Base rates where it is used: A=0.5,B=10% (the rest shared), uniform, or JSON as of 'prior'; "
        "- reads standard input (default: shares of the images it learned).",
    ),
]


def with_json(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options ``--json`` and ``--lang``, by which ``write`` renders its answers."""

    def answering(as_json: JsonFlag = False, lang: LangOption = None) -> None:
        if lang is not None and lang not in LANGUAGES:
            raise typer.BadParameter(f"got {lang!r}; expected {' or '.join(LANGUAGES)}", param_hint="--lang")
        _JSON.set(as_json)
        speak(lang or of_system())

    return _with_options(command, answering)


def with_source(*but: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: the command with the options of ``source_options`` in place of its argument ``options``.

    Args:
        but: names of those that it does not have.
    """
    return lambda command: _with_options(command, source_options, "options", but)


def _with_options(
    command: Callable[..., None], more: Callable[..., Any], place: str = "", but: Sequence[str] = ()
) -> Callable[..., None]:
    """The command with further options.

    Args:
        command: a function as Typer takes it.
        more: called with the further options, which are its parameters, before the command is.
        place: parameter of the command that takes what ``more`` returns; empty for none.
        but: parameters of ``more`` that are left out.
    """
    signature = inspect.signature(command, eval_str=True)
    further = [p for p in inspect.signature(more, eval_str=True).parameters.values() if p.name not in but]

    @wraps(command)
    def extended(**given: Any) -> None:
        made = more(**{p.name: given.pop(p.name, p.default) for p in further})
        command(**given, **({place: made} if place else {}))

    own = [p for p in signature.parameters.values() if p.name != place]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *further)]
    extended.__annotations__ = {p.name: p.annotation for p in parameters}
    vars(extended)["__signature__"] = signature.replace(parameters=parameters)
    return extended


def json_wanted() -> bool:
    """Tell a command whether it was called with ``--json``."""
    return _JSON.get()


def write(document: Any, text: str, *, verbatim: bool = False) -> None:
    """Print a command's answer on standard output.

    Args:
        document: what ``--json`` prints; NaN and infinities become null, for JSON has none.
        text: the answer for people.
        verbatim: it is in no language of the program's, such as the words of a model.
    """
    answer = json_text(document) if json_wanted() else printable(plain(text if verbatim else retold(text)))
    try:
        sys.stdout.write(answer.rstrip("\n") + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader left (`| head`): nothing to say, and Python must not complain while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def source_or_parts(
    source: Any, parts: Path | None, cluster: str | None, alone: Mapping[str, Any]
) -> Any | None:
    """The source of a command; None where a manifest of parts is given in its place.

    Args:
        source: as it was given; empty for none.
        parts: the manifest.
        cluster: belongs to a manifest.
        alone: options by name that go with a source only, and whether each was given.

    Raises:
        BadParameter: both, neither, or an option that does not go with what was given.
    """
    if parts is None:
        if not source:
            raise typer.BadParameter("missing; expected a source, or --parts PARTS.json", param_hint="SOURCE")
        if cluster is not None:
            raise typer.BadParameter("needs --parts, a manifest of 'data parts'", param_hint="--cluster")
        return source
    if source:
        raise typer.BadParameter("given with a source; expected one of the two", param_hint="--parts")
    for name, given in alone.items():
        if given:
            raise typer.BadParameter(f"given with {name}; expected one of the two", param_hint="--parts")
    return None


def write_parts(document: Any, text: str, job: Any) -> None:
    """Print the answer of a job on parts; the exit status is 1 where one is missing.

    Args:
        document: what ``--json`` prints.
        text: the answer for people.
        job: the ``PartsJob``.
    """
    write(document, text)
    if job.failures:
        raise SystemExit(ReportedStatus(1))


def say(message: str, *, verbatim: bool = False) -> None:
    """Tell a person something on standard error; ``verbatim`` as ``write`` takes it."""
    sys.stderr.write(printable(plain(message if verbatim else retold(message))).rstrip("\n") + "\n")


def ledger_words(run: Path, ledger: str | None) -> dict[str, str]:
    """Say where a ledger knows more than the run that answered.

    Args:
        run: its folder.
        ledger: the one that answered with it, if any.

    Returns:
        The same for the JSON document; empty where there is nothing to say.
    """
    from bayesight.run import Run
    from bayesight.workflows.belief import ledger_note

    note = "" if ledger is not None else ledger_note(Run.open(run))
    if not note:
        return {}
    say(note)
    return {"ledger_note": note}


def source_options(
    by_name: ByNameFlag = False,
    by_position: ByPositionFlag = False,
    labels_from: LabelsFromOption = None,
    class_level: ClassLevelOption = None,
    split_folders: SplitFoldersOption = None,
    names: NamesOption = None,
    follow_links: FollowLinksFlag = False,
) -> SourceOptions:
    """The way a source is read, from the options that commands share."""
    with loading():
        from bayesight.data.layout import LayoutOptions
        from bayesight.data.sources import ContainerOptions
        from bayesight.workflows.sources import SourceOptions

    if by_position and by_name:
        raise typer.BadParameter("given with --by-name; expected one of the two", param_hint="--by-position")
    layout = LayoutOptions(class_level, split_folders, labels_from)
    container = ContainerOptions(names, follow_links)
    return SourceOptions(layout, container, "names" if by_name else "positions" if by_position else None)


@contextmanager
def loading() -> Iterator[None]:
    """Import without collecting garbage, and leave what was imported out of every later collection.

    PyTorch makes half a million objects that stay: looking through them takes a third as long as making them.
    """
    modules, collecting = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > modules:
            gc.freeze()
        if collecting:
            gc.enable()


class ReportedStatus(int):
    """The exit status of an interrupted command that has said so already."""


STOPPED = marked("bayesight: interrupted; what was written before is whole.")
INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the number of the signal, as shells have it."""


@contextmanager
def when_interrupted(words: Callable[[], str]) -> Iterator[None]:
    """Say on Ctrl-C how to go on, and leave with the status of an interrupted program."""
    try:
        yield
    except KeyboardInterrupt:
        say(marked(f"bayesight: interrupted; {words()}"))
        raise SystemExit(ReportedStatus(INTERRUPTED)) from None


def this_program() -> list[str]:
    """The words that call this program from here: its name where the shell finds it, else its path."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [sys.executable, "-m", "bayesight"]
    found = shutil.which(called.name)
    if not called.exists() or (found and Path(found).samefile(called)):
        return ["bayesight"]
    return [os.path.relpath(called)]


class Bar:
    """Draws a bar: how much is done, of how much, and in words; nothing where there is none to draw."""

    def __init__(self, draw: Callable[[int, int | None, str], None] | None = None) -> None:
        self._draw = draw

    def __call__(self, done: int, total: int | None, words: str = "") -> None:
        """Show how far it has come."""
        if self._draw is not None:
            self._draw(done, total, words)

    def announce(self, sentence: str) -> None:
        """Tell a person a sentence, bar or none."""
        say(sentence)


@contextmanager
def progress_bar(label: str, unit: str = "images") -> Iterator[Bar]:
    """A bar with rate and time left while standard error is a terminal; silent elsewhere.

    Yields a function to call with (done, total) and, where there is more to say than the label, with words;
    total is None while it is unknown.
    """
    if not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.completed:,.0f} " + unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def draw(done: int, total: int | None, words: str) -> None:
            bar.update(task, completed=done, total=total, description=words or label)

        yield Bar(draw)


def refuse_options(given: Mapping[str, object], kind: str) -> None:
    """Refuse options that a run of this kind has no use for; those that are None, False or 0 were not given.

    Raises:
        InvalidInput: the first one that was.
    """
    for option, value in given.items():
        if value is not None and value is not False and value != 0:
            raise InvalidInput(f"{option}: not for a run of {kind}; expected none. Leave it out.")


def environment_lines(environments: Mapping[str, Any]) -> str:
    """One line an environment."""
    from bayesight.report.words import percent

    return "".join(
        marked(
            f"  environment {name}: accuracy {percent(row['accuracy'])}, "
            f"log-loss {row['log_loss']:.4f} nats, {row['examples']:,} images\n"
        )
        for name, row in environments.items()
    )
