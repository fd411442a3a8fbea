"""``bayesight export`` and ``summary``: a run as one file for other programs, its network in numbers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.options import LedgerOption, with_json
from bayesight.cli.output import progress_bar, write
from bayesight.formatting import percent
from bayesight.language import marked, tr

if TYPE_CHECKING:
    from bayesight.workflows.export import Export


class TargetChoice(StrEnum):
    """Formats of the file."""

    onnx = "onnx"
    torch = "torch"


class QuantisedChoice(StrEnum):
    """Numbers that the network computes in."""

    int8 = "int8"


@with_json
def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    to: Annotated[
        TargetChoice, typer.Option("--to", help="Its format: ONNX, or a program of torch.export.")
    ] = TargetChoice.onnx,
    source: Annotated[
        Path | None,
        typer.Option("--check", help="Images to compare its answers with the run's on (default: noise)."),
    ] = None,
    quantize: Annotated[
        QuantisedChoice | None,
        typer.Option(
            help="Compute the network in these, calibrated and judged on --check (default: float32)."
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option("--license", help="A licence to name in the file.", show_default="none named")
    ] = "",
    ledger: LedgerOption = None,
) -> None:
    """Write network, head and belief as one file that answers without this program.

    It takes images and base rates, and gives log-likelihood, log-evidence, posterior and novelty. Classes,
    image size and the base rates of training stand in its metadata. Its answers are compared with the run's,
    and the largest difference is printed.

    Example: bayesight export runs/letters --out letters.onnx --check letters.tar.gz
    """
    from bayesight.workflows.export import export as work

    with progress_bar("reading") as progress:
        made = work(
            run, out, to.value, source=source, ledger=ledger, quantise=quantize is not None,
            licence=licence, progress=progress,
        )  # fmt: skip
    write(made.as_dict(), _text(made))


def _text(made: Export) -> str:
    seen = marked(f"{made.images:,} images of noise") if made.noise else marked(f"{made.images:,} images")
    lines = [
        marked(f"{made.path}: {made.target}, {made.size_bytes / 1e6:.1f} MB"),
        *(tr("  takes  {name:<15} {kind}", name=name, kind=kind) for name, kind in made.inputs.items()),
        *(tr("  gives  {name:<15} {kind}", name=name, kind=kind) for name, kind in made.outputs.items()),
        marked(
            f"  largest difference of a posterior from the run's, on {seen}: {made.largest_difference:.1e}"
        ),
    ]
    if (price := made.quantisation) is not None:
        lines.append(
            marked(
                f"  in 8-bit integers: accuracy {percent(price.accuracy_quantised)} instead of "
                f"{percent(price.accuracy)}, log-loss {price.log_loss_quantised:.4f} instead of "
                f"{price.log_loss:.4f} nats"
            )
        )
    return "\n".join(lines)


@with_json
def summary(
    what: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run folder, or a model's name.")],
    classes: Annotated[int, typer.Option(help="Number of classes, for a model's name.")] = 10,
    size: Annotated[int, typer.Option(help="Side of the images in pixels, for a model's name.")] = 28,
    mode: Annotated[str, typer.Option(help="L (grey) or RGB, for a model's name.")] = "L",
) -> None:
    """Print a network's layers with their shapes, parameters and multiply-adds.

    Example: bayesight summary resnet
    """
    from bayesight.workflows.summary import summarise

    found = summarise(what, classes=classes, size=size, mode=mode)
    write(found.as_dict(), found.table, verbatim=True)
