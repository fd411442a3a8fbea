"""``bayesight causal shift``: the milestone ``irm`` as a comparison of methods, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.options import with_json
from bayesight.cli.output import progress_bar, say, write
from bayesight.formatting import padded
from bayesight.language import marked, retold, tr

if TYPE_CHECKING:
    from bayesight.milestones.shift import ShiftResult


@with_json
def shift(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Labelled images; their classes are halved (default: rendered letters)."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="How often everything is drawn and trained.")] = 5,
    methods: Annotated[
        str | None,
        typer.Option("--methods", metavar="A,B,...", help="Only these of the methods (default: all)."),
    ] = None,
    balanced: Annotated[int, typer.Option("--balanced", help="Labels of the balanced batch.")] = 200,
    write_to: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="FOLDER",
            help="Write the letters as archives instead of training (default: train on them).",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Write a report (default: none).")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: half the cores.")] = None,
) -> None:
    """Colour letters so that the colour goes with the label, train in several ways, turn the colour round.

    The colour agrees with the label in 90 % and 80 % of the training images and in 10 % at test; a quarter of
    the labels are wrong, so that .75 is the ceiling. With --write, train by hand: bayesight train
    FOLDER/train.tar.gz --environments folder --loss irm, or --environments FOLDER/colours.csv:colour
    --loss reweight, then bayesight evaluate RUN FOLDER/test.tar.gz --environments folder.

    Example: bayesight causal shift --data letters.tar.gz --seeds 5 --report shift.html
    """
    from bayesight.training.startup import defer_imports

    defer_imports()
    import tempfile

    from bayesight.milestones import Setting
    from bayesight.milestones.bench.coloured import ColourPlan, write_world
    from bayesight.milestones.shift import METHODS, grey_letters
    from bayesight.milestones.shift import shift as work
    from bayesight.workflows.reporting import write_report

    if write_to is not None:
        files = write_world(grey_letters(data), ColourPlan(balanced=balanced), 0, write_to)
        document = {"files": {name: str(path) for name, path in files.items()}}
        write(document, "\n".join(map(str, files.values())))
        return
    names = tuple(METHODS) if methods is None else tuple(name.strip() for name in methods.split(","))
    with tempfile.TemporaryDirectory() as folder, progress_bar("training", "steps") as progress:
        setting = Setting(out=Path(folder), seeds=seeds, data=data, threads=threads)
        result = work(setting, names, balanced=balanced, progress=progress)
    if report is not None:
        title = tr("Why the causal classifier holds")
        say(marked(f"report: {write_report(title, result.sections(), report, result.letters.source)}"))
    write(result.as_dict(), _text(result))


def _text(result: ShiftResult) -> str:
    tree = result.as_dict()
    train, test = (tree["agreement"][part] for part in ("train", "test"))
    shown = [agree for agree in test if agree in (test[0], 0.5, test[-1])]
    head = [tr("train {share:g}", share=a) for a in train]
    head += [tr("adjusted"), *(tr("test {share:g}", share=a) for a in shown)]
    width = max(len(name) for name in tree["methods"])
    lines = [
        marked(
            f"{tree['letters']['train']:,} letters to train with, {tree['letters']['test']:,} to test, "
            f"{tree['seeds']} seeds: median accuracy (least - greatest); the ceiling is {tree['ceiling']:.2f}"
        ),
        "",
        f"{'':{width}}  " + "  ".join(padded(name, -16) for name in head),
    ]
    for name, figures in tree["methods"].items():
        spreads = [figures["validation"][f"{a:g}"] for a in train] + [figures["adjusted_validation"]]
        spreads += [figures["test"][f"{a:g}"] for a in shown]
        lines.append(f"{name:{width}}  " + "  ".join(f"{_cell(spread):>16}" for spread in spreads))
    lines += [
        "",
        *(
            tr(
                "{name}: {title}; told: {sees}",
                name=name,
                title=retold(row["title"]),
                sees=retold(row["sees"]),
            )
            for name, row in tree["methods"].items()
        ),
    ]
    lines += [
        "",
        tr("train and adjusted: held-out letters of the training environments.")
        + " "
        + retold(tree["selection"]),
    ]
    if tree["chosen"]:
        lines.append(marked(f"Chosen so: {tree['chosen']}."))
    return "\n".join(lines)


def _cell(spread: dict[str, Any]) -> str:
    return f"{spread['median']:.3f} ({spread['low']:.2f}-{spread['high']:.2f})"
