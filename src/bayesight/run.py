"""The run folder: what a training run leaves behind, saved and opened in one place.

```
recipe.toml         the four keys
classes.json        class order; size, mode, levels and fit of the images
model.safetensors   the network
belief.safetensors  what is believed about the classes, float64
metrics.json        what was measured, on what, chosen how
history.csv         one row an epoch
samples.png         what a model that makes images made; such a run has no classes and no belief
task.json           of a run of a task on images: its calibration and base rates
vocabulary.json     the symbols of texts; where a model writes them, it has neither
samples.txt         what it wrote
report.html         all of it for people
ledgers.json        names of ledgers elsewhere that go on from it
checkpoint/         where interrupted training goes on
parts/              which images of parts the belief holds by their statistics
```

Every file is written atomically. Nothing in a run is code: opening a stranger's run runs nothing.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
from torch import Tensor, nn

from bayesight.belief.check import from_format_1
from bayesight.belief.classifier import Classes, Classifier
from bayesight.checks import existing_path
from bayesight.data.labelled_texts import TEXT
from bayesight.data.text import Characters, Subwords, vocabulary_from
from bayesight.errors import InvalidConfig, InvalidInput, RunExists, RunUnreadable, StorageFailed
from bayesight.files import read_plain, write_atomic
from bayesight.losses import sees_environments
from bayesight.models import (
    GenerativeModel,
    ImageModel,
    LanguageModel,
    TranslationModel,
    build,
    build_generator,
    build_language_model,
    build_translation_model,
    channels_last,
)
from bayesight.models.outline import outline
from bayesight.run_schema import (
    MOST_CLASSES,
    MOST_JSON,
    MOST_RECIPE,
    ClassesFile,
    MetricsFile,
    TaskFile,
    VocabularyFile,
    check_links,
    look_at,
    read_model,
    read_tensors,
)
from bayesight.training.recipe import Kind, Recipe

Network = TypeVar("Network", bound=nn.Module)
Facts = TypeVar("Facts", bound=TaskFile)

FORMAT = 2
"""Version of the run folder; a newer one is refused."""

_FILES = (
    "metrics.json",
    "model.safetensors",
    "belief.safetensors",
    "classes.json",
    "history.csv",
    "samples.png",
    "task.json",
    "vocabulary.json",
    "samples.txt",
    "folds.csv",
    "folds.html",
    "report.html",
    "ledgers.json",
    "recipe.toml",
)


_KNOWS: Mapping[Kind, str] = {
    "classification": "tells classes apart",
    "generation": "makes images and knows no classes",
    "language": "goes on with texts and knows no classes",
    "translation": "translates sentences and knows no classes",
    "segmentation": "names the pixels of images",
    "pose": "finds the key points of figures",
    "questions": "answers questions about images",
    "detection": "finds boxes in images",
}
_WANTED: Mapping[Kind, tuple[str, str]] = {
    "classification": ("a classifier's run", "resnet"),
    "generation": ("one of a model that makes images", "gan"),
    "language": ("one of a language model", "gpt"),
    "translation": ("one of a translation model", "transformer"),
    "segmentation": ("one that names pixels", "unet"),
    "pose": ("one that finds key points", "heat_maps"),
    "questions": ("one that answers questions", "relation"),
    "detection": ("one that finds boxes", "centernet"),
}


@dataclass(frozen=True)
class Run:
    """A run folder.

    Args:
        folder: where it is, absolute.
    """

    folder: Path

    @classmethod
    def create(cls, path: str | Path, *, overwrite: bool = False) -> Run:
        """An empty folder for a new run.

        Args:
            path: where; parents are made.
            overwrite: remove an earlier run's files. Nothing else in the folder is touched.

        Raises:
            RunExists: something is there, and ``overwrite`` is not given or what is there is no run.
            StorageFailed: the folder cannot be made.
        """
        folder = cls.check_free(path, overwrite=overwrite)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            run = cls(folder)
            run._clear()
        except OSError as problem:
            raise StorageFailed(f"cannot make the run folder {folder}: {problem.strerror}") from problem
        return run

    def remove(self) -> None:
        """Take the run away; other files in its folder stay, and then the folder too."""
        with contextlib.suppress(OSError):
            self._clear()
            shutil.rmtree(self.folder / "tensorboard", ignore_errors=True)
            (self.folder / "belief.lock").unlink(missing_ok=True)  # left by updates of an earlier run here
            self.folder.rmdir()

    def drop_checkpoint(self) -> None:
        """Leave nothing for interrupted training to go on from."""
        shutil.rmtree(self.folder / "checkpoint", ignore_errors=True)

    def _clear(self) -> None:
        self.drop_checkpoint()
        shutil.rmtree(self.folder / "folds", ignore_errors=True)
        shutil.rmtree(self.folder / "parts", ignore_errors=True)
        for name in _FILES:
            (self.folder / name).unlink(missing_ok=True)

    @staticmethod
    def check_free(path: str | Path, *, overwrite: bool = False) -> Path:
        """The absolute path of a folder that ``create`` could use; asks before anything is done.

        Raises:
            RunExists: as in ``create``.
        """
        folder = Path(path).expanduser().absolute()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            if not _is_run(folder):
                raise RunExists(f"{path} exists and is not a run; choose another --out.")
            if not overwrite:
                raise RunExists(
                    f"{path} already holds a run; --resume continues it, --overwrite replaces it."
                )
        return folder

    @classmethod
    def open(cls, path: str | Path, *, finished: bool = True) -> Run:
        """A run that is there.

        Args:
            path: its folder.
            finished: also require that training has ended.

        Raises:
            SourceNotFound: no such folder.
            RunUnreadable: not a run, not finished, or written by a newer version.
        """
        folder = existing_path(path)
        if not _is_run(folder):
            raise RunUnreadable(f"{path} is not a run folder; expected one made by 'bayesight train --out'.")
        check_links(folder)
        run = cls(folder)
        if finished:
            if not (folder / "metrics.json").exists():
                diverged = (folder / "model.safetensors").exists() and not (folder / "checkpoint").exists()
                mend = "has diverged; start again from its weights with --init-from and a lower --lr"
                raise RunUnreadable(
                    f"{path}: training {mend if diverged else 'has not finished; continue it with --resume'}."
                )
            run.metrics()
        return run

    # What a run holds, part by part.

    def save_recipe(self, recipe: Recipe) -> None:
        """Write ``recipe.toml``."""
        write_atomic(self.folder / "recipe.toml", recipe.to_toml())

    def recipe(self) -> Recipe:
        """Read ``recipe.toml``."""
        path = self.folder / "recipe.toml"
        try:
            return Recipe.from_toml(read_plain(path, MOST_RECIPE), str(path))
        except InvalidConfig as problem:
            raise RunUnreadable(str(problem)) from problem

    @property
    def kind(self) -> Kind:
        """The kind of run: it classifies images, makes them, goes on with texts, or translates."""
        return self.recipe().kind

    def save_classes(self, classes: Classes) -> None:
        """Write ``classes.json``."""
        tree = {"format": FORMAT, "classes": classes.names, "mode": classes.mode, "size": classes.size}
        tree |= {"levels": classes.levels, "fit": classes.fit}
        self._save_json("classes.json", tree)

    def classes(self) -> Classes:
        """Read ``classes.json``."""
        path = self.folder / "classes.json"
        found, _ = read_model(path, ClassesFile, FORMAT)
        if not found.classes and self.kind == "classification":
            raise RunUnreadable(f"{path} is damaged: classes is []; expected at least one name.")
        (height, width), (low, high) = found.size, found.levels
        if low > high:
            raise RunUnreadable(
                f"{path} is damaged: levels is [{low:g}, {high:g}]; expected the lower first."
            )
        vocabulary = self.subwords() if found.mode == TEXT else None
        names = tuple(found.classes)
        return Classes(names, found.mode, (height, width), (low, high), found.fit, vocabulary)

    @property
    def reads(self) -> str:
        """The things it classifies, in a word: images or texts."""
        return self.classes().reads

    def save_vocabulary(self, vocabulary: Characters | Subwords) -> None:
        """Write ``vocabulary.json``."""
        self._save_json("vocabulary.json", {"format": FORMAT, **vocabulary.as_dict()})

    def vocabulary(self) -> Characters | Subwords:
        """Read ``vocabulary.json``.

        Raises:
            RunUnreadable: a damaged or missing file.
            MissingExtra: subwords, and ``tokenizers`` is not installed.
        """
        path = self.folder / "vocabulary.json"
        try:
            return vocabulary_from(read_model(path, VocabularyFile, FORMAT)[1])
        except InvalidInput as problem:
            raise RunUnreadable(f"{path} is damaged: {problem}") from problem

    def subwords(self) -> Subwords:
        """Read ``vocabulary.json`` of a run that classifies texts.

        Raises:
            RunUnreadable: as ``vocabulary``, or one of characters, or without marks.
        """
        vocabulary = self.vocabulary()
        path = self.folder / "vocabulary.json"
        if not isinstance(vocabulary, Subwords):
            raise RunUnreadable(f"{path} is damaged: its kind is 'characters'; expected 'subwords'.")
        try:
            vocabulary.marks  # noqa: B018
        except InvalidInput as problem:
            raise RunUnreadable(f"{path} is damaged: {problem}") from problem
        return vocabulary

    def language_model(self) -> LanguageModel:
        """The trained network of a language model, in evaluation mode.

        Raises:
            InvalidInput: the run is of another kind.
            RunUnreadable: a damaged or missing part.
        """
        recipe, symbols = self._require("language"), len(self.vocabulary())
        model, context = recipe.model, recipe.data.context
        return self.weighted(
            lambda: build_language_model(model.name, symbols, context, **model.options)
        ).eval()

    def translation_model(self) -> TranslationModel:
        """The trained network of a translation model, in evaluation mode.

        Raises:
            InvalidInput: the run is of another kind.
            RunUnreadable: a damaged or missing part.
        """
        recipe, vocabulary = self._require("translation"), self.vocabulary()
        if not isinstance(vocabulary, Subwords) or not vocabulary.marked:
            path = self.folder / "vocabulary.json"
            raise RunUnreadable(f"{path} is damaged: it has no marks of a sentence's beginning and end.")
        model, context, symbols = recipe.model, recipe.data.context, len(vocabulary)
        return self.weighted(
            lambda: build_translation_model(model.name, symbols, context, **model.options)
        ).eval()

    def save_network(self, network: nn.Module) -> None:
        """Write ``model.safetensors``."""
        tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
        write_atomic(
            self.folder / "model.safetensors", safetensors.torch.save(tensors, {"format": str(FORMAT)})
        )

    def network(self) -> ImageModel:
        """The trained network of a classifier, in evaluation mode.

        Raises:
            InvalidInput: the run makes images.
            RunUnreadable: a damaged or missing part.
        """
        recipe, shape = self._require("classification"), self.classes().image_shape
        model, outputs = recipe.model, self._outputs()
        network = self.weighted(lambda: build(model.name, shape, outputs, **model.options))
        channels_last(network)
        network.answers_alone = sees_environments(recipe.loss.name)
        return network.eval()

    def generator(self) -> GenerativeModel:
        """The trained model that makes images, in evaluation mode.

        Raises:
            InvalidInput: the run classifies images.
            RunUnreadable: a damaged or missing part.
        """
        model, shape = self._require("generation").model, self.classes().image_shape
        return self.weighted(lambda: build_generator(model.name, shape, **model.options)).eval()

    def save_task(self, facts: TaskFile) -> None:
        """Write ``task.json``."""
        self._save_json("task.json", facts.model_dump(mode="json") | {"format": FORMAT})

    def task(self, kind: type[Facts]) -> Facts:
        """Read ``task.json``.

        Args:
            kind: its model.

        Raises:
            RunUnreadable: a damaged or missing file.
        """
        return read_model(self.folder / "task.json", kind, FORMAT)[0]

    def save_classifier(self, classifier: Classifier) -> None:
        """Write ``belief.safetensors``, and ``classes.json`` after it.

        The belief alone decides what the classes are, so a crash between the two loses nothing.
        """
        tensors, values = classifier.tensors()
        whole = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        metadata = {
            "format": str(FORMAT),
            "values": json.dumps(values, ensure_ascii=False),
            "digest": _digest(whole),
        }
        write_atomic(self.folder / "belief.safetensors", safetensors.torch.save(whole, metadata))
        self.save_classes(classifier.classes)

    def classifier(self) -> Classifier:
        """The network with what is believed about its classes.

        Raises:
            InvalidInput: the run makes images.
            RunUnreadable: a damaged or missing part.
        """
        network, path = self.network(), self.folder / "belief.safetensors"
        tensors, metadata = read_tensors(path, FORMAT)
        try:
            values = json.loads(metadata["values"])
            if metadata["digest"] != _digest(tensors):
                raise ValueError("its content has changed since it was written")
            if metadata["format"] == "1":
                tensors, values = from_format_1(tensors, values)
        except (KeyError, TypeError, ValueError, RecursionError) as problem:
            raise RunUnreadable(f"{path} is damaged ({problem}).") from problem
        return Classifier.from_tensors(network, self.classes(), tensors, values)

    def save_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``; its presence says that training has ended."""
        self._save_json("metrics.json", {"format": FORMAT, **metrics})

    def metrics(self) -> dict[str, Any]:
        """Read ``metrics.json``."""
        return read_model(self.folder / "metrics.json", MetricsFile, FORMAT)[1]

    def save_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write ``history.csv``, one row an evaluation."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        out = io.StringIO()
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.folder / "history.csv", out.getvalue())

    def history(self) -> list[dict[str, float]]:
        """Read ``history.csv``; an empty list where there is none."""
        path = self.folder / "history.csv"
        if not path.exists():
            return []
        try:
            rows = csv.DictReader(io.StringIO(read_plain(path, MOST_JSON).decode(), newline=""), strict=True)
            return [{k: float(v) if v else math.nan for k, v in row.items()} for row in rows]
        except (ValueError, TypeError, csv.Error) as problem:
            raise RunUnreadable(f"{path} is damaged ({problem}).") from problem

    def _outputs(self) -> int:
        """The number of classes the network was built for; the belief may have been taught more since."""
        path = self.folder / "model.safetensors"
        shape = look_at(path).get("head.bias", (None, ()))[1]
        if len(shape) != 1 or not 0 < shape[0] <= MOST_CLASSES:
            came = f"'head.bias' has shape {shape}; expected (classes,)"
            raise RunUnreadable(f"{path} does not fit recipe.toml and classes.json: {came}.")
        return shape[0]

    def weighted(self, make: Callable[[], Network]) -> Network:
        """A network with the run's weights, whose names, kinds and shapes its outline must have."""
        path = self.folder / "model.safetensors"
        try:
            drawn = outline(make, "the network of the run").state_dict()
            layout = {name: (value.dtype, tuple(value.shape)) for name, value in drawn.items()}
            weights, _ = read_tensors(path, FORMAT, layout)
            network = make()
        except InvalidInput as problem:
            raise RunUnreadable(f"{self.folder}: {problem}") from problem
        unsound = [k for k, v in weights.items() if v.is_floating_point() and not bool(v.isfinite().all())]
        if unsound:
            raise RunUnreadable(f"{path} is damaged: {unsound[0]!r} holds NaN or infinity.")
        network.load_state_dict(weights)
        return network

    def _require(self, kind: Kind) -> Recipe:
        """The recipe of a run of this kind; refuses what one of another kind cannot do, in one sentence."""
        recipe = self.recipe()
        if recipe.kind == kind:
            return recipe
        knows, (wanted, model) = _KNOWS[recipe.kind], _WANTED[kind]
        raise InvalidInput(
            f"{self.folder} is a run of the model {recipe.model.name!r}, which {knows}; expected {wanted}, "
            f"as 'bayesight train SOURCE --model {model} --out RUN' makes."
        )

    def _save_json(self, name: str, tree: Mapping[str, Any]) -> None:
        write_atomic(self.folder / name, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and bytes: a flipped bit in a belief would otherwise be believed."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].numpy().tobytes())
    return total.hexdigest()


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and (folder / "recipe.toml").is_file()
