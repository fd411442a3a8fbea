"""The words of commands: answers on standard output; messages, progress and interruptions beside it."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesight.errors import printable
from bayesight.formatting import json_text, plain
from bayesight.language import marked, retold, speak

if TYPE_CHECKING:
    from bayesight.training.events import Event, Listener

_JSON = ContextVar("bayesight_json", default=False)


class ReportedStatus(int):
    """The exit status of an interrupted command that has said so already."""


STOPPED = marked("bayesight: interrupted; what was written before is whole.")
INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the number of the signal, as shells have it."""


def json_wanted() -> bool:
    """Tell a command whether it was called with ``--json``."""
    return _JSON.get()


def say_as(as_json: bool, language: str) -> None:
    """Render all further answers as JSON or as text, and speak a language."""
    _JSON.set(as_json)
    speak(language)


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


def environment_lines(environments: Mapping[str, Any]) -> list[str]:
    """One line an environment."""
    from bayesight.report.words import percent

    return [
        marked(
            f"  environment {name}: accuracy {percent(row['accuracy'])}, "
            f"log-loss {row['log_loss']:.4f} nats, {row['examples']:,} images"
        )
        for name, row in environments.items()
    ]


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

    Of several processes that train together the first draws it.

    Yields a function to call with (done, total) and, where there is more to say than the label, with words;
    total is None while it is unknown.
    """
    if not sys.stderr.isatty() or os.environ.get("RANK", "0") != "0":
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


@contextmanager
def training_listeners(
    out: Path, *, tensorboard: bool = False, quiet: bool = False
) -> Iterator[list[Listener]]:
    """A bar, or unless ``quiet`` a line an epoch, on standard error, and TensorBoard if asked for.

    Of the processes that ``torchrun`` starts the first shows and writes, the others nothing.
    """
    from bayesight.training.events import EpochReporter, SourceEvent, StepEvent

    with progress_bar("training", "steps") as bar:
        is_first = os.environ.get("RANK", "0") == "0"
        lines = not quiet and not sys.stderr.isatty() and is_first
        epochs = EpochReporter(say if lines else lambda line: None)

        def show(event: Event) -> None:
            epochs(event)
            if isinstance(event, StepEvent):
                bar(event.step, epochs.started.total_steps, epochs.now(event))
            elif isinstance(event, SourceEvent) and not quiet and is_first:
                for note in event.notes:
                    say(note)

        listeners: list[Listener] = [show]
        if tensorboard and is_first:
            from bayesight.training.events import TensorBoardListener

            listeners.append(TensorBoardListener(out / "tensorboard"))
        yield listeners
