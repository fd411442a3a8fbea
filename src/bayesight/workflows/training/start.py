"""The weights and the vocabulary a training starts from: of another run, of a file, or published ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from bayesight.belief.classifier import Classes
from bayesight.checks import check, existing_path
from bayesight.data.labelled_texts import open_texts
from bayesight.data.text import Subwords
from bayesight.errors import InvalidInput, shown
from bayesight.files import read_plain, reading
from bayesight.models import (
    PRETRAINED,
    Bert,
    BidirectionalTransformer,
    ImageModel,
    TimmModel,
    from_huggingface,
    pretrained_weights,
    timm_weights,
)
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.workflows.training.request import TrainRequest


def start_from(request: TrainRequest, recipe: Recipe, network: ImageModel, classes: Classes) -> str | None:
    """Copy the weights that the request names into the network, or those its model comes with.

    Where the classes differ, the last layer keeps its fresh weights: its outputs mean something else.

    Returns:
        SHA-256 of the file they are from; None where the network keeps its random ones.

    Raises:
        InvalidInput: two starts at once, weights that do not fit the network, or a package that is missing.
    """
    if request.init_from is not None and request.weights is not None:
        raise InvalidInput("--init-from and --weights both say what to start from; expected one of them.")
    if request.init_from is not None:
        return _from_run(request.init_from, network, classes)
    if request.weights is not None and isinstance(network, Bert) and request.weights.is_dir():
        published, digest = _published(request.weights)
        network.encoder.load_state_dict(published.state_dict())
        return digest
    if request.weights is not None:
        return _from_file(request.weights, network)
    if recipe.model.name in PRETRAINED:
        name = recipe.model.name
        copy_weights(pretrained_weights(name), network, f"the weights of {name}")
        return PRETRAINED[name]
    if isinstance(network, TimmModel):
        weights = timm_weights(recipe.model.name)
        copy_weights(weights, network, f"the weights of {recipe.model.name}")
        return hashlib.sha256(b"".join(weights[key].numpy().tobytes() for key in sorted(weights))).hexdigest()
    return None


def like_published(request: TrainRequest, recipe: Recipe) -> Recipe:
    """The recipe of a model of texts with the sizes of the published network in the folder ``--weights``.

    Raises:
        SourceUnreadable, InvalidInput: as ``from_huggingface``, or a network that is no BERT.
    """
    folder = request.weights
    if folder is None or not recipe.reads_texts or not folder.is_dir():
        return recipe
    network, _ = _published(folder)
    shape = {"places": network.context, "layers": len(network.blocks), "norm_first": network.shape.norm_first}
    shape["segments"] = 0 if network.segment is None else network.segment.num_embeddings
    for name in ("width", "heads", "inner", "eps", "activation", "positions"):
        shape[name] = getattr(network.shape, name)
    sizes = {f"model.{name}": value for name, value in shape.items()}
    return recipe.changed({**sizes, "data.vocabulary": network.embed.symbol.num_embeddings})


def _published(folder: Path) -> tuple[BidirectionalTransformer, str]:
    """The published BERT in a folder and the SHA-256 of its weights."""
    network = from_huggingface(folder)
    if not isinstance(network, BidirectionalTransformer):
        raise InvalidInput(f"--weights {folder}: a GPT-2, which reads one way; expected a BERT.")
    return network, hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def _from_run(path: Path, network: ImageModel, classes: Classes) -> str:
    source = Run.open(path, finished=False)
    weights: Mapping[str, Tensor] = source.network().state_dict()
    if source.classes().names != classes.names:
        weights = without_head(weights)
    copy_weights(weights, network, f"--init-from {path}")
    return hashlib.sha256(source.folder.joinpath("model.safetensors").read_bytes()).hexdigest()


def _from_file(path: Path, network: ImageModel) -> str:
    file, where = existing_path(path), f"--weights {path}"
    with reading(file):
        content = file.read_bytes()
    try:
        weights: Mapping[str, Tensor] = load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as problem:
        raise InvalidInput(
            f"{where}: not a safetensors file ({problem}); expected weights by name, as model.safetensors of "
            "a run holds them."
        ) from problem
    unsound = [k for k, v in weights.items() if v.is_floating_point() and not bool(v.isfinite().all())]
    if unsound:
        raise InvalidInput(f"{where}: {unsound[0]!r} holds NaN or infinity; expected numbers.")
    head = weights.get("head.weight")
    if head is not None and head.ndim == 2 and head.shape[0] != network.classes:
        weights = without_head(weights)
    own = [name for name in network.state_dict() if not name.startswith(("head.", "standardise."))]
    missing = [name for name in own if name not in weights]
    if missing:
        raise InvalidInput(
            f"{where}: {missing[0]!r} is not in it; expected all {len(own)} weights of the recipe's "
            "network before its last layer. Use the same model and options as where they come from."
        )
    copy_weights(weights, network, where)
    return hashlib.sha256(content).hexdigest()


def without_head(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights but those of the last layer."""
    return {name: value for name, value in weights.items() if not name.startswith("head.")}


def copy_weights(weights: Mapping[str, Tensor], network: nn.Module, where: str) -> None:
    """Copy weights into a network, which may have more.

    Args:
        weights: by name.
        network: to be given them.
        where: they come from, for messages.

    Raises:
        InvalidInput: a name it does not have, or another shape.
    """
    own = network.state_dict()
    wrong = [n for n, v in weights.items() if n not in own or own[n].shape != v.shape]
    if wrong:
        raise InvalidInput(
            f"{where}: its network does not fit this recipe ({wrong[0]} differs); use the same "
            "model, options and image size."
        )
    network.load_state_dict(weights, strict=False)


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
        return _published_vocabulary(request.weights)
    size = recipe.data.vocabulary
    check(isinstance(size, int), "data.vocabulary", shown(size), "a number of subwords")
    more = [text for path in request.unlabelled for text in open_texts(path, labelled=False).texts]
    return Subwords.learned([*texts, *more], int(size), masks=True)


def _published_vocabulary(folder: Path) -> Subwords:
    path = existing_path(folder / "tokenizer.json")
    vocabulary = Subwords(read_plain(path, MOST_BYTES).decode("utf-8", "replace"))
    vocabulary.marks  # noqa: B018 (refuses one without marks)
    return vocabulary
