"""``bayesight data`` and ``cache``: look at a source of images, make one, fetch one; what is kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.checks import check
from bayesight.cli.options import (
    ClusterOption,
    FitOption,
    PartsOption,
    SeedOption,
    SourceOptions,
    check_parts,
    either,
    with_json,
    with_source,
)
from bayesight.cli.output import progress_bar, say, write, write_parts
from bayesight.formatting import percent
from bayesight.language import marked, tr

if TYPE_CHECKING:
    from bayesight.data.cache import Cache

data_app = typer.Typer(
    name="data", no_args_is_help=True, help="Look at a source of images, render one, fetch one."
)


@data_app.command("inspect", epilog="Example: bayesight data inspect letters.tar.gz --json")
@with_json
@with_source("by_name", "by_position")
def inspect(
    source: Annotated[
        Path | None, typer.Argument(help="A folder, .tar(.gz|.xz|.bz2), .zip or IDX .gz file, or texts.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Make all images this size: a side, or HEIGHTxWIDTH (default: found from the images)."
        ),
    ] = None,
    fit: FitOption = None,
    mode: Annotated[
        str | None, typer.Option(help="Make all images grey (L) or RGB (default: found from the images).")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help=f"Look at annotations beside the images: {either('tasks')} (default: at class folders)."
        ),
    ] = None,
    labels_file: Annotated[
        Path | None, typer.Option(help="Labels of an IDX source (default: the file beside it).")
    ] = None,
    near: Annotated[
        bool, typer.Option("--near", help="List shifted, cropped or otherwise changed copies of images, too.")
    ] = False,
    labels: Annotated[
        bool,
        typer.Option("--wrong-labels", "--labels", help="List probably mislabelled images."),
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option(help="With --wrong-labels: take this run's network (default: networks are trained)."),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="With --wrong-labels or --near: how many to list.")] = 50,
    report: Annotated[
        Path | None,
        typer.Option(help="With --wrong-labels: write their pictures to this HTML file (default: none)."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="With --wrong-labels: processor threads (default: half the cores).")
    ] = None,
    seed: SeedOption = 0,
    parts: PartsOption = None,
    cluster: ClusterOption = None,
    *,
    options: SourceOptions,
) -> None:
    """Count classes and images or texts, name what is broken, there twice, or probably wrongly labelled."""
    from bayesight.data.audit import audit
    from bayesight.data.labelled_texts import holds_texts, open_texts
    from bayesight.data.notes import (
        parse_fit,
        parse_size,
        report_document,
        report_text,
        text_document,
        text_report,
    )
    from bayesight.data.store import open_store

    alone = {
        "--size": size, "--fit": fit, "--mode": mode, "--labels-file": labels_file, "--near": near,
        "--wrong-labels": labels, "--run": run, "--report": report, "--task": task,
    }  # fmt: skip
    check_parts(source, parts, cluster, alone)
    if parts is not None:
        _inspect_parts(parts, cluster, options)
        return
    assert source is not None
    if holds_texts(source):
        for name, given in alone.items():
            check(not given, name, f"given with {source}, which holds texts", "images")
        texts = open_texts(source, labelled=None)
        twice = audit(texts)
        document = text_document(texts, twice)
        write(document, text_report(document, twice))
        return
    if task is not None:
        from bayesight.workflows.tasks.answers import inspect_annotated

        with progress_bar("reading") as progress:
            seen = inspect_annotated(source, task, container=options.container, progress=progress)
        write(seen.as_dict(), seen.text)
        return
    wanted = parse_size(size) if size is not None else None
    shape = parse_fit(fit)
    with progress_bar("reading") as progress:
        store = open_store(
            source,
            size=wanted,
            mode=mode,
            fit=shape,
            labels=labels_file,
            **options.reading,
            progress=progress,
        )
    found = audit(store, near=near, pairs=top)
    document = report_document(store, found)
    if labels or run is not None or report is not None:
        document["labels"] = _suspicious(
            source, top, report,
            run=run, labels=labels_file, options=options,
            size=wanted, mode=mode, fit=shape, seed=seed, threads=threads,
        )  # fmt: skip
    write(document, report_text(store, found) + _suspicious_text(document.get("labels")))


def _inspect_parts(parts: Path, cluster: str | None, options: SourceOptions) -> None:
    from bayesight.workflows.parts.answering import inspect_parts, inspection_text

    with progress_bar("parts", unit="parts") as progress:
        document, job = inspect_parts(parts, cluster=cluster, options=options, progress=progress)
    write_parts(document, inspection_text(document, job), job)


def _suspicious(source: Path, top: int, report: Path | None, **options: Any) -> dict[str, Any]:
    """The most suspicious labels, and their pictures in a report if one is wanted; see ``audit_labels``."""
    from bayesight.cli.output import training_listeners
    from bayesight.workflows.labels import audit_labels, labels_report

    with training_listeners(Path(), quiet=True) as listeners:
        found = audit_labels(source, listeners=tuple(listeners), **options)
    if report is not None:
        say(marked(f"report: {labels_report(found, report)}"))
    return found.as_dict(top)


def _suspicious_text(labels: dict[str, Any] | None) -> str:
    if labels is None:
        return ""
    lines = [
        marked(
            f"  {percent(row['probability_wrong']):>8}  {row['label']}, more like {row['suggested']}: "
            f"{row['path']}"
        )
        for row in labels["suspicious"]
    ]
    low, high = labels["wrong_share_interval"]
    head = marked(
        f"\n\nAbout {percent(labels['wrong_share'])} of the labels seem wrong "
        f"(95 % interval {percent(low)} to {percent(high)}); the most suspicious:\n"
    )
    return head + "\n".join(lines)


@data_app.command("render", epilog="Example: bayesight data render letters.tar.gz --per-class 500 --seed 1")
@with_json
def render(
    out: Annotated[Path, typer.Argument(help="The archive to write, .tar.gz.")],
    characters: Annotated[str, typer.Option(help="The classes, one character each.")] = "ABCDEFGHIJ",
    per_class: Annotated[int, typer.Option(help="Images of each character.")] = 300,
    fonts: Annotated[
        str | None,
        typer.Option(
            metavar="system|FOLDER",
            help="The operating system's fonts too, or those of a folder (default: the installation's own).",
        ),
    ] = None,
    size: Annotated[int, typer.Option(help="Side of the images, pixels.")] = 28,
    seed: SeedOption = 0,
    label_noise: Annotated[float, typer.Option(help="Share of images filed under a wrong class.")] = 0.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the archive if it is there.")
    ] = False,
) -> None:
    """Render characters from fonts, laid out like notMNIST: a folder of PNG files a class, and fonts.csv."""
    from bayesight.letters.glyphs import RenderOptions, render

    options = RenderOptions(
        characters=characters,
        images_per_class=per_class,
        fonts=fonts,
        size=size,
        seed=seed,
        label_noise=label_noise,
    )
    with progress_bar("rendering") as progress:
        made = render(out, options, overwrite=overwrite, progress=progress)
    document = {
        "path": str(made.path),
        "examples": made.examples,
        "classes": made.counts,
        "fonts": len(made.fonts),
        "mislabelled": made.mislabelled,
        "left_out": [{"path": str(font.path), "reason": font.reason} for font in made.left_out],
    }
    text = marked(
        f"{made.examples:,} images of {len(made.counts)} classes from {len(made.fonts)} fonts "
        f"({len(made.left_out)} left out; fonts.csv inside says why) in {made.path}"
    )
    write(document, text)


@data_app.command("scenes", epilog="Example: bayesight data scenes scenes.zip --task segment --count 400")
@with_json
def scenes(
    out: Annotated[Path, typer.Argument(help="The archive to write, .zip.")],
    task: Annotated[str, typer.Option(help=f"What the scenes are to ask: {either('tasks')}.")] = "segment",
    count: Annotated[int, typer.Option(help="Scenes to learn from, in the folder train/.")] = 1000,
    test: Annotated[
        int, typer.Option(help="Scenes of other glyphs, in the folder test/; 0 makes no such folder.")
    ] = 200,
    archive: Annotated[
        str, typer.Option(metavar="rendered|ARCHIVE", help="Where the glyphs come from.")
    ] = "rendered",
    seed: SeedOption = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the archive if it is there.")
    ] = False,
) -> None:
    """Compose scenes of glyphs on textured ground, with what is where: to try a task on."""
    from bayesight.workflows.scenes import write_scenes

    with progress_bar("reading") as progress:
        made = write_scenes(
            out,
            task,
            count=count,
            test=test,
            archive=archive,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )
    write(
        made.as_dict(),
        marked(f"{made.train:,} scenes to learn from and {made.test:,} to be judged on in {made.path}"),
    )


@data_app.command("fetch", epilog="Example: bayesight data fetch notmnist-small --root data")
@with_json
def fetch(
    name: Annotated[str, typer.Argument(help="notmnist-small, notmnist-large or mnist.")],
    root: Annotated[Path, typer.Option(help="The folder the files belong in; made if need be.")] = Path(
        "data"
    ),
    mirror: Annotated[
        str | None,
        typer.Option(
            "--from", help="Address of a mirror that holds the same file names (default: the set's own)."
        ),
    ] = None,
) -> None:
    """Download a known set, verified; an interrupted download goes on where it stopped."""
    from bayesight.data.download import fetch

    with progress_bar("fetching", unit="bytes") as progress:
        path = fetch(name, root, base_url=mirror, progress=progress)
    write({"path": str(path)}, str(path))


@data_app.command("parts", epilog="Example: bayesight data parts 'photos/*.tar' --out PARTS.json")
@with_json
def parts(
    sources: Annotated[
        list[str],
        typer.Argument(help="Archives and folders: paths, patterns in quotes, and s3://, gs://, http:// ..."),
    ],
    out: Annotated[Path, typer.Option(help="The manifest to write.")],
    most_bytes: Annotated[
        float | None,
        typer.Option(help="Make shares of archives larger than this, each a part (default: none)."),
    ] = None,
) -> None:
    """List the archives of a source that is too large for one machine; 'update --parts' reads the list."""
    from bayesight.data.parts import find_parts

    found = find_parts(sources, most_bytes=None if most_bytes is None else int(most_bytes))
    found.save(out)
    write(
        {"path": str(out), **found.as_dict()},
        tr(
            "{count:,} parts, {size:,.2f} GB, in {path}",
            count=len(found.parts),
            size=found.bytes / 1e9,
            path=out,
        ),
    )


@data_app.callback()
def _group() -> None:
    """Look at a source of images, render one, fetch one."""


SHOWN = 40


@with_json
def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove it all; what is needed again is made again.")
    ] = False,
) -> None:
    """Show what is kept of sources that were read: where, how large, when it was last used.

    Example: bayesight cache --clear
    """
    from bayesight.data.cache import cached, clear_cache

    gone = clear_cache() if clear else None
    found = cached()
    document: dict[str, Any] = {
        "path": str(found.folder),
        "stores": [vars(store) for store in found.stores],
        "bytes": found.bytes,
        "cleared": None if gone is None else {"stores": len(gone.stores), "bytes": gone.bytes},
    }
    write(document, _text(found, gone))


def _text(found: Cache, gone: Cache | None) -> str:
    lines = []
    if gone is not None:
        lines.append(
            marked(f"removed {len(gone.stores):,} stores, {_size(gone.bytes)}; no source was touched")
        )
    for store in found.stores[:SHOWN]:
        what = store.source or Path(store.path).name
        if store.source and not Path(store.source).exists():
            what = tr("{source}, which is no longer there", source=what)
        if store.images:
            what = tr("{count:,} images of {source}", count=store.images, source=what)
        lines.append(marked(f"{_size(store.bytes):>9}  last used {store.used[:10]}  {what}"))
    if len(found.stores) > SHOWN:
        lines.append(marked(f"and {len(found.stores) - SHOWN:,} more"))
    lines.append(marked(f"{_size(found.bytes):>9}  in {len(found.stores):,} stores in {found.folder}"))
    if found.stores:
        lines.append(marked("They save reading a source again; remove them with: bayesight cache --clear"))
    return "\n".join(lines)


def _size(count: int) -> str:
    """Bytes as people say them.

    Example:
        >>> _size(0), _size(1500), _size(48_200_000), _size(3 * 10**9)
        ('0.0 MB', '0.0 MB', '48.2 MB', '3.0 GB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
