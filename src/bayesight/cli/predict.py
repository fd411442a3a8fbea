"""``bayesight predict``: what single images are, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.common import JsonFlag, emit
from bayesight.cli.evaluate import PriorOption

if TYPE_CHECKING:
    from bayesight.workflows.predict import Prediction

__all__ = ["predict"]

SHOWN = 5


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    prior: PriorOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Classify images: the posterior of every class, under a stated prior if you give one.

    Example: bayesight predict runs/letters unknown.png --prior A=0.5
    """
    from bayesight.workflows.predict import predict as work

    found = work(run, images, prior=prior)
    emit([p.as_dict() for p in found], as_json=as_json, text=lambda: "\n".join(map(_line, found)))


def _line(found: Prediction) -> str:
    ranked = sorted(found.posterior.items(), key=lambda pair: -pair[1])[:SHOWN]
    return f"{found.path}: {found.prediction}  (" + ", ".join(f"{n} {p:.3f}" for n, p in ranked) + ")"
