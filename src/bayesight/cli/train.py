"""``bayesight train``: from an archive of images, or texts, to a run folder."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.options import (
    FitOption,
    LabelsFileOption,
    SourceOptions,
    either,
    with_json,
    with_source,
)
from bayesight.cli.output import (
    environment_lines,
    loading,
    progress_bar,
    this_program,
    training_listeners,
    when_interrupted,
    write,
)
from bayesight.language import marked

if TYPE_CHECKING:
    from bayesight.training.recipe import Recipe
    from bayesight.workflows.train import TrainResult


@with_json
@with_source("by_name")
def train(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder, .tar(.gz|.xz|.bz2), .zip or IDX .gz of images; lines of label<TAB>text, plain "
            "or .gz, or a folder with a text file a class."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The run folder to make.")],
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", help="A TOML file with the four keys (default: the recipe of the model)."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Data: size the images are brought to: a side, or HEIGHTxWIDTH (default: as they are)."
        ),
    ] = None,
    fit: FitOption = None,
    mode: Annotated[str | None, typer.Option(help="Data: L (grey) or RGB (default: as they are).")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Data: images in one step (default: the recipe's).")
    ] = None,
    validation: Annotated[
        float | None, typer.Option(help="Data: share held out to choose weights (default: the recipe's).")
    ] = None,
    augment: Annotated[
        str | None, typer.Option(help=f"Data: {either('augmentations')} (default: the recipe's).")
    ] = None,
    environments: Annotated[
        str | None,
        typer.Option(
            metavar="folder|TABLE:COLUMN",
            help="Data: where each image comes from: folder, for ENVIRONMENT/CLASS/NAME.png, or a column of "
            "a CSV or Parquet table beside a column path. Name the misleading attribute (a colour) for "
            "reweight and groupdro, places or times that differ for irm (default: nothing is known of it).",
        ),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE:COLUMN|PATTERN",
            help="Data: images that belong together, such as those of one patient, never on both sides of "
            "the split: a column of a table beside a column path, or a regular expression over paths, as "
            "'(?P<group>patient[0-9]+)' (default: identical images alone).",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Model: {either('classifiers')}, or timm:NAME where timm is installed; "
            f"{either('text_classifiers')} of texts; {either('generators')} to make images; "
            f"{either('language_models')} to go on with a text; {either('translation_models')} to translate; "
            f"{either('segmenters')} to name pixels; {either('pose_models')} to find key points; "
            f"{either('detectors')} to find boxes; {either('question_models')} to answer questions "
            "(default: what suits the images or texts, and says why)."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help=f"Answer more of an image than its class: {either('tasks')} (default: what the model says)."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help=f"Loss: {either('losses')}; with --environments also {either('environment_losses')} "
            "(default: the recipe's)."
        ),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help=f"Optimization: {either('optimizers')} (default: the recipe's).")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Optimization: base learning rate (default: the recipe's).")
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Optimization: passes over the images (default: the recipe's).")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help=f"Optimization: {either('precisions')} (default: the recipe's).")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any value of the recipe, as model.hidden=[256,256]."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Every random choice follows from it (default: the recipe's).")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(help="More training images; never used to validate. May be repeated.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="For few images: also train so many runs, each without its part of the images, so that "
            "every image is answered by a run that did not see it (default: not)."
        ),
    ] = None,
    labels: LabelsFileOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is there.")] = False,
    pretrain: Annotated[
        str | None,
        typer.Option(
            help="Learn from all images (simclr) or texts (masked) without their labels first "
            "(default: not). Images in a folder unlabelled/ of the source take part.",
        ),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(help="More images or texts without labels, for --pretrain. May be repeated."),
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(help="Start from this run's weights (default: random ones).")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Start from the weights in this safetensors file, or those of a published BERT in a folder "
            "as Hugging Face lays it out (default: random ones; for lite0, "
            "lite1 and lite2 those learned from ImageNet, of the extra 'pretrained').",
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: half the cores.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write RUN/tensorboard (extra 'tensorboard').")
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Leave this class out, readable or not. May be repeated."),
    ] = None,
    *,
    options: SourceOptions,
) -> None:
    """Train a classifier, or a model that makes images, and save its run.

    Example: bayesight train letters.tar.gz --out runs/letters --model resnet

    Example: bayesight train reviews.tsv --out runs/reviews

    Example: bayesight train street.zip --task segment --out runs/street
    """
    with when_interrupted(lambda: _how_to_go_on(out)):
        with loading():
            from bayesight.training.startup import defer_imports

            defer_imports()
            from bayesight.workflows.train import TrainRequest
            from bayesight.workflows.train import train as work

        changes = {
            "data.size": None if size is None else _sides(size),
            "data.fit": fit,
            "data.mode": mode,
            "data.batch": batch,
            "data.validation": validation,
            "data.augment": augment,
            "data.environments": environments,
            "data.group_by": group_by,
            "loss": None if loss is None else {"name": loss},
            "optimization.name": optimizer,
            "optimization.lr": lr,
            "optimization.epochs": epochs,
            "optimization.precision": precision,
            "pretrain": None if pretrain is None else {"name": pretrain},
            "seed": seed,
        }
        wanted = {k: v for k, v in changes.items() if v is not None} | _settings(settings or [])
        request = TrainRequest(
            source=source,
            out=out,
            recipe=None if recipe is None else _recipe(recipe, model, wanted),
            model="" if recipe or model is None else model,
            task=task or "",
            changes=wanted,
            also=tuple(also or ()),
            labels=labels,
            options=options,
            resume=resume,
            overwrite=overwrite,
            init_from=init_from,
            weights=weights,
            unlabelled=tuple(unlabelled or ()),
            threads=threads,
            device=device,
            without=tuple(without or ()),
        )
        with (
            progress_bar("reading") as reading,
            training_listeners(out, tensorboard=tensorboard) as listeners,
        ):
            if folds is None:
                result = work(request, progress=reading, listeners=listeners)
            else:
                from bayesight.workflows.train import train_with_folds

                result = train_with_folds(request, folds, progress=reading, listeners=listeners)
        if os.environ.get("RANK", "0") == "0":  # under torchrun one process speaks for all
            write(_document(result), _text(result))


def _recipe(path: Path, model: str | None, changes: dict[str, Any]) -> Recipe:
    """The file's recipe with the options' changes."""
    from bayesight.training.recipe import Recipe

    return Recipe.load(path).changed({**({} if model is None else {"model": {"name": model}}), **changes})


def _how_to_go_on(out: Path) -> str:
    """The command that goes on with interrupted training."""
    if not (out / "recipe.toml").exists() or (out / "metrics.json").exists():
        return marked("nothing was trained yet. The same command begins again.")
    arguments = [word for word in sys.argv[1:] if word not in ("--overwrite", "--resume")]
    kept = (
        marked("what was trained is kept") if (out / "checkpoint").exists() else marked("it had hardly begun")
    )
    return marked(f"{kept}. Go on with: {shlex.join([*this_program(), *arguments, '--resume'])}")


def _sides(text: str) -> int | tuple[int, int]:
    """A side, or (height, width) where they differ."""
    from bayesight.data.notes import parse_size

    height, width = parse_size(text)
    return height if height == width else (height, width)


def _settings(pairs: list[str]) -> dict[str, Any]:
    """``key=value`` pairs, the values read as TOML, or as plain text where they are none."""
    import tomllib

    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not (separator and key):
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--set")
        try:
            found[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = text
    return found


def _document(result: TrainResult) -> dict[str, Any]:
    metrics = result.metrics
    return {
        "run": str(result.run.folder),
        "classes": metrics["classes"],
        "examples": _learned_from(metrics) + metrics["examples"]["validation"],
        "seconds": metrics["seconds"]["total"],
        "validation": metrics["validation"],
        **({"environments": metrics["environments"]} if "environments" in metrics else {}),
        **metrics.get("left_out", {}),
        **{name: metrics[name] for name in ("groups", "folds") if name in metrics},
        "notes": metrics.get("notes", []),
        "model": metrics.get("model", {}),
        "details": metrics,
    }


def _learned_from(metrics: Mapping[str, Any]) -> int:
    """Images trained on, those of further sources among them."""
    count: int = metrics["examples"]["train"] + metrics["examples"].get("also", 0)
    return count


def _text(result: TrainResult) -> str:
    """The run, what it learned from, how good it is on what was held out, and what to do next."""
    from bayesight.training.events import measured
    from bayesight.training.recipe import ON_IMAGES

    metrics, run = result.metrics, result.run.folder
    kind, model = metrics.get("kind", "classification"), metrics.get("model")
    validation, total = metrics["validation"], f"{metrics['seconds']['total']:.1f}"
    count, held = f"{metrics['examples']['train']:,}", f"{validation['examples']:,}"
    again = shlex.quote(str(run))
    report, learned, judged = run / "report.html", marked(f"trained on {count} images in {total} s"), ""
    then = marked(f"look at {report}, or measure it elsewhere: bayesight evaluate {again} SOURCE")
    if kind == "classification":
        learned, judged = _classifier_lines(metrics, total)
    elif kind == "generation":
        judged = marked(f"on {held} images held out: {measured(validation)}")
        then = marked(f"look at {run / 'samples.png'}")
    elif kind == "language":
        learned = marked(f"trained on {count} characters in {total} s")
        bits = f"{validation['bits_per_character']:.3f}"
        judged = marked(f"on {held} characters held out: {measured(validation)}, {bits} bits a character")
        then = marked(f'look at {report}, or let it write: bayesight generate {again} --prompt "..."')
    elif kind == "translation":
        learned = marked(f"trained on {count} pairs in {total} s")
        score = f"{validation['bleu']:.2f}"
        judged = marked(f"on {held} pairs held out: BLEU {score} of 100, {measured(validation)}")
        then = marked(f'look at {report}, or let it translate: bayesight translate {again} "..."')
    elif kind in ON_IMAGES and result.words:
        judged = marked(f"held out, which also chose the weights: {result.words}")
    lines = [validation.get("verdict"), str(run), model and marked(f"model {model['name']}, {model['why']}")]
    return "\n".join(filter(None, (*lines, learned, judged, then)))


def _classifier_lines(metrics: Mapping[str, Any], total: str) -> tuple[str, str]:
    """The lines on what a classifier learned from in ``total`` seconds, and on how good it is."""
    from bayesight.report.words import quality

    reads = "texts" if metrics["sources"][0].get("kind") == "text" else "images"
    count, alone = f"{_learned_from(metrics):,}", f"{metrics['seconds']['training']:.1f}"
    classes, validation = len(metrics["classes"]), metrics["validation"]
    learned = marked(
        f"trained on {count} {reads} of {classes} classes in {total} s (training alone {alone} s)"
    )
    held = f"{validation['examples']:,}"
    judged = [marked(f"on {held} {reads} held out, which also chose the weights: {quality(validation)}")]
    judged += environment_lines(metrics.get("environments", {}))
    if (folds := metrics.get("folds")) is not None:
        runs = marked(f"by one of {folds['count']} runs that did not see it (folds.html, folds.csv)")
        judged.append(marked(f"each of {folds['examples']:,} images answered {runs}: {quality(folds)}"))
    return learned, "\n".join(judged)
