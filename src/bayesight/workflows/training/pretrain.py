"""Learning from images or texts without their labels, before a classifier sees the labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from bayesight.data import Store
from bayesight.data.batches import Examples
from bayesight.data.sources import AS_STORED, ContainerOptions
from bayesight.data.text import Subwords
from bayesight.errors import InvalidInput
from bayesight.models import Bert, ImageModel
from bayesight.training.checkpoint import FileCheckpointer
from bayesight.training.contrastive import contrastive, require_enough
from bayesight.training.engine import fit
from bayesight.training.events import Listener
from bayesight.training.hardware import Hardware
from bayesight.training.masked import masked
from bayesight.training.recipe import Recipe
from bayesight.types import Progress
from bayesight.workflows.training.images import Material, further_unlabelled, seen_freely


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


def pretrain(
    recipe: Recipe,
    network: ImageModel,
    pool: Pool,
    hardware: Hardware,
    keeper: FileCheckpointer,
    listeners: Iterable[Listener] = (),
) -> dict[str, Any]:
    """Let a network learn without labels, images from two views and texts by masking, in place.

    Args:
        recipe: with a key ``pretrain``.
        network: whose features learn.
        pool: what it looks at.
        hardware: what to compute on.
        keeper: where an interrupted pretraining goes on.
        listeners: told every event.

    Returns:
        What the run's metrics say of it: images, steps, seconds, and the loss after each pass, in nats.

    Raises:
        TrainingDiverged: the loss became NaN.
    """
    assert recipe.pretrain is not None
    if isinstance(network, Bert):
        assert pool.vocabulary is not None
        task, budget = masked(recipe.pretrain, network, pool.examples, pool.vocabulary, hardware, recipe.seed)
    else:
        task, budget = contrastive(recipe.pretrain, network, pool.examples, hardware, recipe.seed)
    with keeper.stopping_between_steps():
        state = fit(task, budget, fabric=hardware.fabric, checkpointer=keeper, listeners=listeners)
    if isinstance(network, Bert):
        network.name_masked(False)
    return {
        "name": recipe.pretrain.name,
        "examples": {"labelled": pool.labelled, "unlabelled": len(pool.examples) - pool.labelled},
        "validation_images": "left out",
        "sources": [
            {
                "source": store.manifest.source,
                "content_hash": store.manifest.content_hash,
                "images": len(store),
            }
            for store in pool.stores
        ],
        "steps": state.step,
        "loss": [row["pretrain.total"] for row in state.history],
        "seconds": state.elapsed_s,
    }
