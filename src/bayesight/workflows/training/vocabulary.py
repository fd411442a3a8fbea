"""The symbols of a classifier of texts: a run's, those of published weights, or learned from its texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bayesight.checks import check, existing_path
from bayesight.data.labelled_texts import open_texts
from bayesight.data.text import Subwords
from bayesight.errors import shown
from bayesight.files import read_plain
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.workflows.training.request import TrainRequest

__all__ = ["vocabulary_for"]

MOST_BYTES = 64 << 20
"""Bytes of a published tokenizer."""


def vocabulary_for(request: TrainRequest, recipe: Recipe, texts: Sequence[str]) -> Subwords:
    """The vocabulary that the texts of a training are written in.

    Args:
        request: a run that goes on, or what the weights start from, brings its own.
        recipe: says how many subwords are learned where none is there.
        texts: of the training part; those without labels are learned from too.

    Raises:
        InvalidInput: a start that does not read texts, or a vocabulary without the marks of a text.
        SourceUnreadable: a folder of weights without ``tokenizer.json``.
    """
    if request.resume and (request.out / "vocabulary.json").is_file():
        return Run.open(request.out, finished=False).subwords()
    if request.init_from is not None:
        start = Run.open(request.init_from, finished=False)
        came = f"a run of the model {start.recipe().model.name!r}"
        check(start.recipe().reads_texts, f"--init-from {request.init_from}", came, "one that reads texts")
        return start.subwords()
    if request.weights is not None and request.weights.is_dir():
        return _published(request.weights)
    size = recipe.data.vocabulary
    check(isinstance(size, int), "data.vocabulary", shown(size), "a number of subwords")
    more = [text for path in request.unlabelled for text in open_texts(path, labelled=False).texts]
    return Subwords.learned([*texts, *more], int(size), masks=True)


def _published(folder: Path) -> Subwords:
    path = existing_path(folder / "tokenizer.json")
    vocabulary = Subwords(read_plain(path, MOST_BYTES).decode("utf-8", "replace"))
    vocabulary.marks  # noqa: B018 (refuses one without marks)
    return vocabulary
