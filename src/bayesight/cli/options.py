"""Options that commands share, and the names that they take, in the order in which help shows them.

Help must be there at once, so names are written out instead of asked of the registries, which bring PyTorch;
``tests/cli/test_options.py`` holds the two together.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.output import loading, say_as
from bayesight.errors import InvalidInput
from bayesight.formatting import fraction
from bayesight.language import LANGUAGES, of_system

if TYPE_CHECKING:
    from bayesight.workflows.sources import SourceOptions as SourceOptions
else:
    SourceOptions = Any  # signatures of commands are looked at while they run

NAMES: Mapping[str, tuple[str, ...]] = {
    "classifiers": ("linear", "mlp", "alexnet", "resnet", "lite0", "lite1", "lite2"),
    "text_classifiers": ("bert",),
    "generators": ("gan", "vae", "autoencoder"),
    "language_models": ("gpt", "lstm"),
    "translation_models": ("transformer", "gru"),
    "pose_models": ("heat_maps",),
    "segmenters": ("unet",),
    "detectors": ("centernet",),
    "question_models": ("relation", "attention", "cnn-mlp", "blind"),
    "tasks": ("segment", "detect", "pose", "ask"),
    "losses": ("cross_entropy", "forward_corrected"),
    "environment_losses": ("reweight", "groupdro", "irm"),
    "optimizers": ("sgd", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "muon"),
    "augmentations": ("none", "glyph", "photo", "scene"),
    "precisions": ("auto", "32", "bf16"),
    "pretraining": ("simclr", "masked"),
}


def either(kind: str) -> str:
    """The names of a kind as a reader enumerates them.

    Example:
        >>> either("precisions")
        'auto, 32 or bf16'
    """
    *first, last = NAMES[kind]
    return " or ".join(filter(None, (", ".join(first), last)))


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


def share(text: str) -> float:
    """A probability as it is typed: ``0.1`` or ``10%``.

    Raises:
        ValueError: it is no number.
        BadParameter: it is a percentage beyond 0 to 100.
    """
    value = fraction(text)
    if "%" in text and (value < 0 or value > 1):
        raise typer.BadParameter(f"{text.strip()} is no probability; expected 0% to 100%")
    return value


def share_option(words: str) -> Any:
    """An option that is a probability; ``words`` are its help."""
    return typer.Option(parser=_stated_share, metavar="P", help=words)


def _stated_share(text: str) -> float:
    """As ``share``, refused in the words of an option where it is no number."""
    try:
        return share(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number; expected a probability, as 0.1 or 10%") from None


SetCoverageOption = Annotated[
    float | None,
    typer.Option(
        "--set-coverage",
        parser=_stated_share,
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

    def answering(
        as_json: Annotated[
            bool,
            typer.Option("--json", help="Print one JSON document on standard output and nothing else there."),
        ] = False,
        lang: Annotated[
            str | None,
            typer.Option(
                "--lang",
                metavar="|".join(LANGUAGES),
                help="Language of answers, messages and reports (default: BAYESIGHT_LANG, or the system's "
                "locale).",
            ),
        ] = None,
    ) -> None:
        if lang is not None and lang not in LANGUAGES:
            raise typer.BadParameter(f"got {lang!r}; expected {' or '.join(LANGUAGES)}", param_hint="--lang")
        say_as(as_json, lang or of_system())

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


def check_parts(source: Any, parts: Path | None, cluster: str | None, alone: Mapping[str, Any]) -> None:
    """Refuse a command that names neither a source nor a manifest of parts, or both.

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
        return
    for name, given in {"a source": source, **alone}.items():
        if given:
            raise typer.BadParameter(f"given with {name}; expected one of the two", param_hint="--parts")


def source_options(
    by_name: Annotated[
        bool, typer.Option("--by-name", help="Labels of IDX data are names of classes, not the run's order.")
    ] = False,
    by_position: Annotated[
        bool, typer.Option("--by-position", help="Labels 0, 1, ... are places in the run's order of classes.")
    ] = False,
    labels_from: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE:COLUMN|PATTERN",
            help="Classes that no folder tells: a column of a CSV or Parquet table beside a column path, or "
            "a regular expression over paths, such as '(?P<label>[a-z]+)_[0-9]+' (default: the folders).",
        ),
    ] = None,
    class_level: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Which folders are classes: 1 those at the top of the source, 2 the next, -1 the lowest "
            "(default: found from the folders, or asked for).",
        ),
    ] = None,
    split_folders: Annotated[
        bool | None,
        typer.Option(
            "--split-folders/--no-split-folders",
            help="Folders named train, val, test ... are parts of the source, or folders like others "
            "(default: found from the folders, or asked for).",
        ),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option(
            metavar="ENCODING",
            help="Encoding of names in an archive that do not say theirs: cp437, cp949, shift_jis, gbk ... "
            "(default: found from the names).",
        ),
    ] = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow symbolic links that lead out of the folder.")
    ] = False,
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


def refuse_options(given: Mapping[str, object], kind: str) -> None:
    """Refuse options that a run of this kind has no use for; those that are None, False or 0 were not given.

    Raises:
        InvalidInput: the first one that was.
    """
    for option, value in given.items():
        if value is not None and value is not False and value != 0:
            raise InvalidInput(f"{option}: not for a run of {kind}; expected none. Leave it out.")
