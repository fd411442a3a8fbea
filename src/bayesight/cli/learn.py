"""``bayesight demo`` and ``learn``: the whole story, and the lessons, shown, run or written as notebooks."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.options import SeedOption, with_json
from bayesight.cli.output import json_wanted, progress_bar, say, this_program, training_listeners, write
from bayesight.files import write_atomic
from bayesight.formatting import padded
from bayesight.language import marked, retold, tr

if TYPE_CHECKING:
    from bayesight.lessons import Lesson, MachineCheck
    from bayesight.report import Step
    from bayesight.workflows.demo import Demo


@with_json
def learn(
    name: Annotated[
        str | None,
        typer.Argument(help="A lesson's name, or 'check': is this machine ready? Default: list the lessons."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Run the lesson and show it in the browser.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Run the lesson and write it to this file as a page (default: not)."),
    ] = None,
    notebook: Annotated[
        Path | None,
        typer.Option("--notebook", metavar="OUT.ipynb", help="Write it as a notebook (default: not)."),
    ] = None,
    exercise: Annotated[
        Path | None,
        typer.Option(
            "--exercise",
            metavar="DIR",
            help="Write a project with blanks to fill, of lesson mlp (default: not).",
        ),
    ] = None,
    answers: Annotated[
        bool, typer.Option("--answers", help="Show the answers to its questions in the terminal.")
    ] = False,
) -> None:
    """Learn with lessons that run, in English and in Korean.

    A lesson is shown in the terminal, in the browser as a page that needs no network, or written as a
    notebook for Jupyter and Colab. All its code runs on rendered letters; nothing is downloaded.

    Example: bayesight learn bayes --lang ko
    """
    from bayesight.language import current
    from bayesight.lessons import find_lesson, lessons

    language = current()
    if name is None:
        road = lessons(language)
        write([_facts(lesson) for lesson in road], _list(road), verbatim=True)
        return
    if name == "check":
        _check()
        return
    lesson = find_lesson(name, language)
    written = _written(lesson, html, notebook, open_=open_)
    if exercise is not None:
        from bayesight.lessons import write_exercise

        write_exercise(lesson, exercise)
        written["exercise"] = str(exercise)
    if written and not json_wanted():
        write({}, "\n".join(written.values()))
    elif json_wanted() or not sys.stdout.isatty():
        text = lesson.markdown(answers=answers or json_wanted())
        write({**_facts(lesson), "text": text, **written}, text, verbatim=True)
    else:
        _show(lesson, answers=answers)


def _written(lesson: Lesson, html: Path | None, notebook: Path | None, *, open_: bool) -> dict[str, str]:
    """Paths of what was asked for, by kind."""
    written = {}
    if open_ or html is not None:
        written["html"] = str(_page(lesson, html, open_=open_))
    if notebook is not None:
        from bayesight.errors import RunExists
        from bayesight.lessons import as_notebook

        if notebook.exists():
            raise RunExists(f"{notebook} is there already, perhaps with work in it; give another name.")
        write_atomic(notebook, as_notebook(lesson))
        written["notebook"] = str(notebook)
    return written


def _page(lesson: Lesson, html: Path | None, *, open_: bool) -> Path:
    """The file of the page: the one asked for, or one in a new folder of the system's for temporary files."""
    import tempfile
    import webbrowser

    from bayesight.lessons import as_page, run
    from bayesight.training.startup import defer_imports

    defer_imports()
    path = html or Path(tempfile.mkdtemp()) / f"{lesson.number:02}-{lesson.name}-{lesson.language}.html"
    with progress_bar(lesson.title, "blocks") as progress:
        made = run(lesson, progress)
    write_atomic(path, as_page(lesson, made))
    if open_ and not webbrowser.open(path.absolute().as_uri()):
        say(tr("No browser could be started; open {path} in one.", path=path))
    return path


def _show(lesson: Lesson, *, answers: bool) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(lesson.markdown(answers=answers)))
    if not answers:
        command = f"bayesight learn {lesson.name}"
        say(tr("{command} --answers shows the answers, --open the picture.", command=command))


def _check() -> None:
    """Print what the lessons need and find here; exit status 1 where something needed is missing."""
    from bayesight.lessons import check_machine

    found = check_machine(Path.cwd())
    ready = all(one.ready for one in found if one.needed)
    write({"ready": ready, "checks": [vars(one) for one in found]}, "\n".join(map(_line, found)))
    if not ready:
        raise typer.Exit(1)


def _line(one: MachineCheck) -> str:
    state = tr("ready") if one.ready else tr("missing") if one.needed else tr("optional")
    return f"{padded(state, 8)} {one.name:9} {'; '.join(filter(None, (one.found, one.mend)))}".rstrip()


def _list(road: tuple[Lesson, ...]) -> str:
    width = max(len(lesson.name) for lesson in road)
    rows = ((lesson, tr("{minutes} minutes", minutes=lesson.minutes)) for lesson in road)
    return "\n".join(f"{one.number:3}  {one.name:{width}}  {time:>10}  {one.title}" for one, time in rows)


def _facts(lesson: Lesson) -> dict[str, Any]:
    names = ("number", "name", "language", "title", "minutes", "part")
    return {name: getattr(lesson, name) for name in names}


@with_json
def demo(
    out: Annotated[Path, typer.Option("--out", help="The run folder to make.")] = Path("runs/demo"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is there.")] = False,
    seed: SeedOption = 0,
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: half the cores.")] = None,
) -> None:
    """Tell the whole story on rendered letters, with no download, and write a report.

    Render, inspect, train, evaluate, move the base rates, read twice, infer base rates, teach new classes,
    meet the unknown.

    Example: bayesight demo --out runs/demo
    """
    from bayesight.training.startup import defer_imports

    defer_imports()
    from bayesight.workflows.demo import demo as work

    with progress_bar("rendering") as rendering, training_listeners(out, quiet=True) as listeners:
        found = work(
            out,
            overwrite=overwrite,
            seed=seed,
            threads=threads,
            tell=_tell_step,
            progress=rendering,
            listeners=tuple(listeners),
        )
    write(found.as_dict(), _demo_text(found))


def _tell_step(step: Step) -> None:
    command = f"  $ {step.command}\n" if step.command else ""
    words = retold(step.words).replace("\n", " ")
    say(f"{retold(step.title)} ({step.elapsed_s:.1f} s)\n{command}  {words}\n", verbatim=True)


def _demo_text(found: Demo) -> str:
    return marked(
        f"The report, with pictures: {found.report}\n"
        f"The run, to go on with:    {found.run.folder}\n"
        f"With your own images:      bayesight train YOUR-IMAGES.zip --out runs/mine\n"
        "\n"
        "To show it letters you draw, correct it and teach it new ones, in a browser:\n"
        f"  $ {shlex.join([*this_program(), 'serve', str(found.run.folder), '--source', str(found.source)])}"
    )
