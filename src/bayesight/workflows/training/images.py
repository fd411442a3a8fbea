"""Images of a training: read, and split into those learned from and those that choose the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np

from bayesight.belief.classifier import Classes
from bayesight.data import Store, require_classes, split
from bayesight.data.batches import Examples
from bayesight.data.labelled_texts import TextStore
from bayesight.data.notes import notes as source_notes
from bayesight.data.sources import AS_STORED, ContainerOptions
from bayesight.data.splits import groups_of, linked
from bayesight.data.store import only_rows, require_no_class_lost, without_classes
from bayesight.data.text import Subwords
from bayesight.errors import InvalidInput, listed
from bayesight.language import marked
from bayesight.losses import sees_environments
from bayesight.seeding import derive
from bayesight.training.contrastive import require_enough
from bayesight.training.recipe import Recipe
from bayesight.types import IntArray, Progress
from bayesight.workflows.groups import (
    Environments,
    Groups,
    read_environments,
    read_groups,
    require_groups,
)
from bayesight.workflows.sources import LabelledImages, read_labelled, read_unlabelled, unlabelled
from bayesight.workflows.training.request import TrainRequest, open_source
from bayesight.workflows.training.start import vocabulary_for


@dataclass(frozen=True)
class Material:
    """The images a run learns from, split.

    Args:
        stores: the source, then every ``also``.
        classes: names, mode and size.
        train: images of the source that are learned from.
        validation: images that choose the weights, all of the source.
        also: further images learned from, or None.
        dropped: images of ``also`` left out because they, or their groups, are in the validation set.
        unlabelled: rows of the source's folder ``unlabelled``.
        notes: how folders were read and what was left out, in sentences.
        digests: (N, 16) which image each row is, of "train", "validation" and "also".
        environments: where the source's images come from; None where the recipe does not say.
        groups: of the source's images that are not divided; None where the recipe states none.
    """

    stores: tuple[Store, ...]
    classes: Classes
    train: Examples
    validation: Examples
    also: Examples | None
    dropped: int
    digests: Mapping[str, np.ndarray]
    environments: Environments | None = None
    unlabelled: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    notes: tuple[str, ...] = ()
    groups: Groups | None = None

    @property
    def interchangeable(self) -> bool:
        """True where any image may judge what the others teach: no groups, and no part that validates."""
        return self.groups is None and not len(self.stores[0].rows_of("validation"))

    @property
    def content_hashes(self) -> list[str]:
        """Content hashes of the sources that were read."""
        return [store.manifest.content_hash for store in self.stores]


def read_material(request: TrainRequest, recipe: Recipe, progress: Progress | None = None) -> Material:
    """Read and split everything a run learns from.

    Identical images are never on both sides: not within the source, and not between ``also`` and the
    validation images.
    """
    store = open_source(request, recipe, progress)
    store = without_classes(store, request.without)
    store = store if request.only is None else only_rows(store, request.only)
    require_classes(store, 2)
    require_no_class_lost(store, request.without)
    environments = _environments(store, recipe, request)
    labels = np.asarray(store.labels)
    strata = labels
    if environments is not None:  # every environment shall have images of each of its classes on both sides
        strata = environments.numbers * len(store.classes) + labels
    stated, seed = recipe.data.group_by, derive(recipe.seed, "split")
    together = None if stated is None else read_groups(store, stated)
    parts, notes = sides(
        store, strata, recipe.data.validation, seed, None if together is None else together.numbers
    )
    notes += [] if together is None else together.notes(parts)
    vocabulary = None
    if isinstance(store, TextStore):
        vocabulary = vocabulary_for(request, recipe, [store.texts[row] for row in parts["train"].tolist()])
        store = store.written(vocabulary, recipe.data.context)
    classes = classes_like(store, store.classes, vocabulary)
    train, validation = (_examples(store, labels, parts[n], environments) for n in ("train", "validation"))
    digests = {name: np.asarray(store.digests)[parts[name]] for name in ("train", "validation")}
    also, dropped = [], 0
    for path in request.also:
        more = _read_also(path, classes, request, progress)
        kept = ~among(more.store, more.examples.rows, digests["validation"])
        if together is not None:
            paths = [more.store.path_of(row) for row in more.examples.rows.tolist()]
            kept &= ~together.shared(paths, parts["validation"])
        dropped += int((~kept).sum())
        also.append(more.only(kept))
        notes += [f"--also {path.name}: {note}" for note in more.notes]
    if also:
        digests["also"] = np.concatenate([more.digests for more in also])
    return Material(
        (store, *(more.store for more in also)),
        classes,
        train,
        validation,
        reduce(Examples.joined, [more.examples for more in also]) if also else None,
        dropped,
        digests,
        environments,
        store.rows_of("unlabelled"),
        (*source_notes(store), *notes),
        groups=together,
    )


def _read_also(
    path: Path, classes: Classes, request: TrainRequest, progress: Progress | None
) -> LabelledImages:
    """Further images of the same classes."""
    try:
        return read_labelled(path, classes, options=request.options, progress=progress)
    except InvalidInput as problem:
        raise InvalidInput(f"--also {path}: {problem}") from problem


def _environments(store: Store, recipe: Recipe, request: TrainRequest) -> Environments | None:
    """The environments the recipe states, fit for its loss."""
    stated, seeing = recipe.data.environments, sees_environments(recipe.loss.name)
    if stated is None:
        return None  # a loss that sees environments refuses in its own words
    if request.also and seeing:
        raise InvalidInput(
            f"--also: further images of unknown environments; loss {recipe.loss.name!r} wants one for each. "
            "Put all images into one source, or train with --loss cross_entropy."
        )
    environments = read_environments(store, stated)
    require_groups(environments, store, every=seeing)
    return environments


def _examples(store: Store, labels: IntArray, rows: IntArray, environments: Environments | None) -> Examples:
    numbers = None if environments is None else environments.numbers[rows]
    return Examples((store.images,), rows, labels[rows], numbers)


def sides(
    store: Store, strata: IntArray, share: float, seed: int, together: IntArray | None = None
) -> tuple[dict[str, IntArray], list[str]]:
    """Rows to train on and rows to validate with; identical images and groups are never on both sides.

    Where folders of the source set images apart, training has those of the training part, validation those of
    the validation part or, where there is none, a share of the training part. Images of the test part take no
    part, nor does any copy or other image of the group of one.

    Args:
        store: the source.
        strata: (N,) what a random split deals out evenly: the class, or the class within an environment.
        share: of the images that validate where the split is random.
        seed: of the random split.
        together: (N,) groups of images that stay on one side; None where identical images alone do.

    Returns:
        Rows of "train" and "validation", and sentences that need saying.

    Raises:
        InvalidInput: classes too small to split, or missing in a part.
    """
    if not store.has_parts:
        return _at_random(store, store.rows_of(""), strata, share, seed, together), []
    units = groups_of(np.asarray(store.digests))
    units = units if together is None else linked(units, together)
    rows = {part: store.rows_of(part) for part in ("train", "validation", "test")}
    _refuse_missing(store, rows)
    held_out, notes = rows["test"], []
    if len(held_out):
        notes.append(
            marked("the test part takes no part in training; bayesight evaluate RUN SOURCE scores it")
        )
    if len(rows["validation"]):
        notes.append(marked("the validation part chooses the weights"))
        chosen = {"validation": _without(units, rows["validation"], held_out)}
        held_out = np.concatenate([held_out, rows["validation"]])
        chosen["train"] = _without(units, rows["train"], held_out)
    else:
        kept = _without(units, rows["train"], held_out)
        _refuse_missing(store, rows | {"train": kept})
        chosen = _at_random(store, kept, strata, share, seed, together)
    copies = len(rows["train"]) + len(rows["validation"]) - sum(map(len, chosen.values()))
    if copies:
        lie = marked("that lie") if together is None else marked("that lie, or of whose groups others lie,")
        notes.append(
            marked(f"{copies:,} images {lie} in another part of the source too were left out of training")
        )
    _refuse_missing(store, chosen)
    return chosen, notes


def classes_like(store: Store, names: Sequence[str], vocabulary: Subwords | None = None) -> Classes:
    """Classes of these names, whose images come in the frame of a store's."""
    height, width = store.manifest.shape[:2]
    frame = (store.manifest.mode, (height, width), store.manifest.levels, store.manifest.fit)
    return Classes(tuple(names), *frame, vocabulary)


def seen_freely(store: Store, rows: IntArray, held_out: np.ndarray) -> Examples:
    """Images of some rows without their labels, but those with the digests (N, 16) of images held out."""
    return unlabelled(store, rows[~among(store, rows, held_out)])


def further_unlabelled(
    paths: Iterable[Path],
    classes: Classes,
    held_out: np.ndarray,
    container: ContainerOptions,
    progress: Progress | None,
) -> Iterator[tuple[Examples, Store]]:
    """The images of further sources without their labels, as ``seen_freely``; those of no test part."""
    for path in paths:
        found, store = read_unlabelled(
            path, classes, without=("test",), container=container, progress=progress
        )
        yield seen_freely(store, found.rows, held_out), store


@dataclass(frozen=True)
class Pool:
    """Images whose labels are not looked at.

    Args:
        examples: all of them; every label is -1.
        labelled: how many of them have a label that is kept for later.
        stores: the sources of ``--unlabelled``.
        vocabulary: of texts.
    """

    examples: Examples
    labelled: int
    stores: tuple[Store, ...]
    vocabulary: Subwords | None = None

    @property
    def content_hashes(self) -> list[str]:
        """Content hashes of the sources that were read."""
        return [store.manifest.content_hash for store in self.stores]


def pretraining_images(
    recipe: Recipe,
    material: Material,
    sources: Sequence[Path],
    container: ContainerOptions = AS_STORED,
    progress: Progress | None = None,
) -> Pool | None:
    """Everything a network may look at before it sees labels; None where the recipe does not pretrain.

    The validation images are left out, and every copy of one: they judge the whole of what was learned,
    pretraining included.

    Args:
        recipe: says whether and how.
        material: the labelled images, and the source's folder ``unlabelled``.
        sources: further images without labels.
        container: how names in their archives are encoded, and whether links are followed.
        progress: told how far reading is.

    Raises:
        InvalidInput: too few images, or unlabelled sources and a recipe that does not pretrain.
        SourceNotFound, SourceUnreadable: a source cannot be read.
    """
    if recipe.pretrain is None:
        read, method = ("texts", "masked") if recipe.reads_texts else ("images", "simclr")
        if sources:
            raise InvalidInput(
                f"--unlabelled {sources[0]}: {read} without labels teach a classifier nothing by themselves; "
                f"expected a recipe that pretrains. Add --pretrain {method}."
            )
        return None
    if recipe.model.options.get("tune") == 0:
        raise InvalidInput(
            f"--pretrain {recipe.pretrain.name}: every part of {recipe.model.name!r} is frozen and would "
            "learn nothing; expected some to train. Add --set model.tune=3."
        )
    held_out = material.digests["validation"]
    parts = [material.train] if material.also is None else [material.train, material.also]
    labelled = sum(map(len, parts))
    parts.append(seen_freely(material.stores[0], material.unlabelled, held_out))
    further = list(further_unlabelled(sources, material.classes, held_out, container, progress))
    parts += [more for more, _ in further]
    bare = [Examples(part.arrays, part.rows, np.full(len(part), -1, np.int64)) for part in parts]
    examples = reduce(Examples.joined, bare)
    if material.classes.vocabulary is None:
        require_enough(examples)
    return Pool(examples, labelled, tuple(store for _, store in further), material.classes.vocabulary)


def among(store: Store, rows: IntArray, digests: np.ndarray) -> np.ndarray:
    """(N,) whether the image of each row is one of those with the given digests."""
    known = {digest.tobytes() for digest in np.ascontiguousarray(digests)}
    return np.array([digest.tobytes() in known for digest in np.asarray(store.digests)[rows]], dtype=bool)


def _without(units: IntArray, rows: IntArray, others: IntArray) -> IntArray:
    """Those of the rows that are in none of the others' units, which are (N,)."""
    kept: IntArray = rows[~np.isin(units[rows], units[others])]
    return kept


def _at_random(
    store: Store, rows: IntArray, strata: IntArray, share: float, seed: int, together: IntArray | None
) -> dict[str, IntArray]:
    shares = {"train": 1 - share, "validation": share}
    parts = split(
        strata[rows],
        np.asarray(store.digests)[rows],
        shares,
        seed,
        names=store.classes,
        together=None if together is None else together[rows],
    )
    return {name: rows[within] for name, within in parts.items()}


def _refuse_missing(store: Store, rows: dict[str, IntArray]) -> None:
    """Refuse parts that lack classes which others have."""
    labels = {part: set(np.unique(store.labels[found]).tolist()) for part, found in rows.items()}
    learned = labels["train"]
    for part, found in labels.items():
        more = [store.classes[k] for k in sorted(found - learned)]
        if more:
            raise InvalidInput(
                f"{store.manifest.source}: class{'es' if len(more) > 1 else ''} {listed(more, quoted=True)} "
                f"in the {part} part but not in the training part; expected every class to learn from. Add "
                "images of them, or split all images at random with --no-split-folders."
            )
    fewer = [store.classes[k] for k in sorted(learned - labels["validation"])]
    if fewer and len(rows["validation"]):
        raise InvalidInput(
            f"{store.manifest.source}: the validation part has no image of {listed(fewer, quoted=True)} "
            "that the other parts do not have; expected every class to choose weights with. Add images of "
            "them, or split all images at random with --no-split-folders."
        )
    if len(learned) < 2:
        raise InvalidInput(
            f"{store.manifest.source}: the training part holds {len(learned)} "
            f"class{'' if len(learned) == 1 else 'es'} "
            f"({listed(store.classes[k] for k in sorted(learned))}); expected at least 2. "
            "--no-split-folders takes the images of all parts."
        )
