"""``bayesight train``: from an archive of images, or texts, to a run folder."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.choices import (
    AUGMENTATIONS,
    CLASSIFIERS,
    DETECTORS,
    ENVIRONMENT_LOSSES,
    GENERATORS,
    LANGUAGE_MODELS,
    LOSSES,
    OPTIMIZERS,
    POSE_MODELS,
    PRECISIONS,
    QUESTION_MODELS,
    SEGMENTERS,
    TASKS,
    TEXT_CLASSIFIERS,
    TRANSLATION_MODELS,
    either,
)
from bayesight.cli.common import (
    FitOption,
    LabelsFileOption,
    SourceOptions,
    environment_lines,
    loading,
    progress_bar,
    this_program,
    when_interrupted,
    with_json,
    with_source,
    write,
)
from bayesight.cli.events import training_listeners
from bayesight.language import marked

if TYPE_CHECKING:
    from bayesight.training.recipe import Recipe

__all__ = ["train"]


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
        str | None, typer.Option(help=f"Data: {either(AUGMENTATIONS)} (default: the recipe's).")
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
            help=f"Model: {either(CLASSIFIERS)}, or timm:NAME where timm is installed; "
            f"{either(TEXT_CLASSIFIERS)} of texts; {either(GENERATORS)} to make images; "
            f"{either(LANGUAGE_MODELS)} to go on with a text; {either(TRANSLATION_MODELS)} to translate; "
            f"{either(SEGMENTERS)} to name pixels; {either(POSE_MODELS)} to find key points; "
            f"{either(DETECTORS)} to find boxes; {either(QUESTION_MODELS)} to answer questions "
            "(default: what suits the images or texts, and says why)."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help=f"Answer more of an image than its class: {either(TASKS)} (default: what the model says)."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help=f"Loss: {either(LOSSES)}; with --environments also {either(ENVIRONMENT_LOSSES)} (default: "
            "the recipe's)."
        ),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help=f"Optimization: {either(OPTIMIZERS)} (default: the recipe's).")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Optimization: base learning rate (default: the recipe's).")
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Optimization: passes over the images (default: the recipe's).")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help=f"Optimization: {either(PRECISIONS)} (default: the recipe's).")
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
                from bayesight.workflows.folds import train_with_folds

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


def _document(result: Any) -> dict[str, Any]:
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


def _model(metrics: Mapping[str, Any]) -> str:
    """A line on which model was taken and why."""
    model = metrics.get("model")
    return marked(f"model {model['name']}, {model['why']}\n") if model else ""


def _folds(metrics: Mapping[str, Any]) -> str:
    """A line on answers by runs that did not see the image."""
    from bayesight.report.words import quality

    found = metrics.get("folds")
    if found is None:
        return ""
    runs = marked(f"by one of {found['count']} runs that did not see it (folds.html, folds.csv)")
    return marked(f"each of {found['examples']:,} images answered {runs}: {quality(found)}\n")


def _text(result: Any) -> str:
    from bayesight.report.words import quality
    from bayesight.training.events import measured
    from bayesight.training.recipe import ON_IMAGES

    metrics = result.metrics
    validation, seconds = metrics["validation"], metrics["seconds"]
    if metrics.get("kind") == "language":
        return marked(
            f"{result.run.folder}\n{_model(metrics)}"
            f"trained on {metrics['examples']['train']:,} characters in {seconds['total']:.1f} s\n"
            f"on {validation['examples']:,} characters held out: {measured(validation)}, "
            f"{validation['bits_per_character']:.3f} bits a character\n"
            f"look at {result.run.folder / 'report.html'}, or let it write: bayesight generate "
            f'{result.run.folder} --prompt "..."'
        )
    if metrics.get("kind") == "translation":
        return marked(
            f"{result.run.folder}\n{_model(metrics)}"
            f"trained on {metrics['examples']['train']:,} pairs in {seconds['total']:.1f} s\n"
            f"on {validation['examples']:,} pairs held out: BLEU {validation['bleu']:.2f} of 100, "
            f"{measured(validation)}\n"
            f"look at {result.run.folder / 'report.html'}, or let it translate: bayesight translate "
            f'{result.run.folder} "..."'
        )
    if metrics.get("kind") == "generation":
        return marked(
            f"{result.run.folder}\n{_model(metrics)}"
            f"trained on {metrics['examples']['train']:,} images in {seconds['total']:.1f} s\n"
            f"on {validation['examples']:,} images held out: {measured(validation)}\n"
            f"look at {result.run.folder / 'samples.png'}"
        )
    if metrics.get("kind") in ON_IMAGES:
        words = marked(f"held out, which also chose the weights: {result.words}\n") if result.words else ""
        return marked(
            f"{result.run.folder}\n{_model(metrics)}"
            f"trained on {metrics['examples']['train']:,} images in {seconds['total']:.1f} s\n"
            f"{words}look at {result.run.folder / 'report.html'}, or measure it elsewhere: bayesight "
            f"evaluate {result.run.folder} SOURCE"
        )
    reads = "texts" if metrics["sources"][0].get("kind") == "text" else "images"
    verdict = f"{validation['verdict']}\n" if validation["verdict"] else ""
    return marked(
        f"{verdict}{result.run.folder}\n{_model(metrics)}"
        f"trained on {_learned_from(metrics):,} {reads} of {len(metrics['classes'])} classes in "
        f"{seconds['total']:.1f} s (training alone {seconds['training']:.1f} s)\n"
        f"on {validation['examples']:,} {reads} held out, which also chose the weights: "
        f"{quality(validation)}\n"
        f"{environment_lines(metrics.get('environments', {}))}"
        f"{_folds(metrics)}"
        f"look at {result.run.folder / 'report.html'}, or measure it elsewhere: bayesight evaluate "
        f"{result.run.folder} SOURCE"
    )
