"""The run folder: what a training run leaves behind, saved and opened in one place.

```
recipe.toml         the four keys
classes.json        class order, size and mode of the images
model.safetensors   the network
belief.safetensors  what is believed about the classes, float64
metrics.json        what was measured, on what, chosen how
history.csv         one row an epoch
samples.png         what a model that makes images made; such a run has no classes and no belief
report.html         all of it for people
checkpoint/         where interrupted training goes on
```

Every file is written atomically. Nothing in a run is code: opening a stranger's run runs nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from bayesight.checks import existing_path
from bayesight.errors import InvalidConfig, InvalidInput, RunExists, RunUnreadable, StorageFailed
from bayesight.files import write_atomic
from bayesight.losses import sees_environments
from bayesight.models import GenerativeModel, ImageModel, build, build_generator, channels_last
from bayesight.models.classifier import Classes, Classifier, from_format_1
from bayesight.train.recipe import Recipe

__all__ = ["FORMAT", "Run"]

FORMAT = 2
"""Version of the run folder; a newer one is refused."""

_FILES = (
    "metrics.json",
    "model.safetensors",
    "belief.safetensors",
    "classes.json",
    "history.csv",
    "samples.png",
    "report.html",
    "recipe.toml",
)


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
            shutil.rmtree(folder / "checkpoint", ignore_errors=True)
            for name in _FILES:
                (folder / name).unlink(missing_ok=True)
        except OSError as problem:
            raise StorageFailed(f"cannot make the run folder {folder}: {problem.strerror}") from problem
        return cls(folder)

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
        run = cls(folder)
        if finished:
            if not (folder / "metrics.json").exists():
                raise RunUnreadable(f"{path}: training has not finished; continue it with --resume.")
            version = run.metrics().get("format")
            if not isinstance(version, int) or version > FORMAT:
                raise RunUnreadable(f"{path} has run format {version}; this version reads up to {FORMAT}.")
        return run

    # What a run holds, part by part.

    def save_recipe(self, recipe: Recipe) -> None:
        """Write ``recipe.toml``."""
        write_atomic(self.folder / "recipe.toml", recipe.to_toml())

    def recipe(self) -> Recipe:
        """Read ``recipe.toml``."""
        try:
            return Recipe.load(self.folder / "recipe.toml")
        except (InvalidConfig, FileNotFoundError) as problem:
            raise RunUnreadable(f"{self.folder}: {problem}") from problem

    @property
    def kind(self) -> Literal["classification", "generation"]:
        """Whether the run classifies images or makes them."""
        return self.recipe().kind

    def save_classes(self, classes: Classes) -> None:
        """Write ``classes.json``."""
        tree = {"format": FORMAT, "classes": classes.names, "mode": classes.mode, "size": classes.size}
        self._save_json("classes.json", tree)

    def classes(self) -> Classes:
        """Read ``classes.json``."""
        tree = self._json("classes.json")
        try:
            names, mode, (height, width) = tree["classes"], tree["mode"], tree["size"]
            good = mode in ("L", "RGB") and all(isinstance(n, str) for n in names)
            some = len(set(names)) > 0 or self.kind == "generation"
            if not (good and some) or not (isinstance(height, int) and isinstance(width, int)):
                raise ValueError("values of the wrong kind")
        except (KeyError, TypeError, ValueError) as problem:
            raise RunUnreadable(f"{self.folder / 'classes.json'} is damaged ({problem}).") from problem
        return Classes(tuple(names), mode, (height, width))

    def save_network(self, network: ImageModel | GenerativeModel) -> None:
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
        self._require("classification")
        recipe, classes = self.recipe(), self.classes()
        model = recipe.model
        weights, _ = self._tensors("model.safetensors")
        outputs = len(weights.get("head.bias", ()))
        network = build(model.name, classes.image_shape, outputs or len(classes.names), **model.options)
        try:
            network.load_state_dict(weights)
        except RuntimeError as problem:
            message = f"{self.folder / 'model.safetensors'} does not fit recipe.toml and classes.json"
            raise RunUnreadable(f"{message}: {str(problem).splitlines()[-1].strip()}") from problem
        channels_last(network)
        network.answers_alone = sees_environments(recipe.loss.name)
        return network.eval()

    def generator(self) -> GenerativeModel:
        """The trained model that makes images, in evaluation mode.

        Raises:
            InvalidInput: the run classifies images.
            RunUnreadable: a damaged or missing part.
        """
        self._require("generation")
        model = self.recipe().model
        weights, _ = self._tensors("model.safetensors")
        network = build_generator(model.name, self.classes().image_shape, **model.options)
        try:
            network.load_state_dict(weights)
        except RuntimeError as problem:
            message = f"{self.folder / 'model.safetensors'} does not fit recipe.toml and classes.json"
            raise RunUnreadable(f"{message}: {str(problem).splitlines()[-1].strip()}") from problem
        return network.eval()

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
        self._require("classification")
        tensors, metadata = self._tensors("belief.safetensors")
        try:
            values = json.loads(metadata["values"])
            if metadata["digest"] != _digest(tensors):
                raise ValueError("its content has changed since it was written")
        except (KeyError, ValueError) as problem:
            raise RunUnreadable(f"{self.folder / 'belief.safetensors'} is damaged ({problem}).") from problem
        if metadata["format"] == "1":
            tensors, values = from_format_1(tensors, values)
        return Classifier.from_tensors(self.network(), self.classes(), tensors, values)

    def save_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``; its presence says that training has ended."""
        self._save_json("metrics.json", {"format": FORMAT, **metrics})

    def metrics(self) -> dict[str, Any]:
        """Read ``metrics.json``."""
        return self._json("metrics.json")

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
        with path.open(encoding="utf-8", newline="") as file:
            return [{k: float(v) if v else math.nan for k, v in row.items()} for row in csv.DictReader(file)]

    def _require(self, kind: Literal["classification", "generation"]) -> None:
        """Refuse what a run of the other kind cannot do, in one sentence."""
        if self.kind == kind:
            return
        model = self.recipe().model.name
        if kind == "classification":
            raise InvalidInput(
                f"{self.folder} is a run of the model {model!r}, which makes images and knows no classes; "
                "expected a classifier's run, as 'bayesight train SOURCE --model resnet --out RUN' makes."
            )
        raise InvalidInput(
            f"{self.folder} is a run of the classifier {model!r}; expected one of a model that makes images, "
            "as 'bayesight train SOURCE --model gan --out RUN' makes."
        )

    def _save_json(self, name: str, tree: Mapping[str, Any]) -> None:
        write_atomic(self.folder / name, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")

    def _json(self, name: str) -> dict[str, Any]:
        try:
            tree = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise RunUnreadable(f"{self.folder / name} cannot be read ({problem}).") from problem
        if not isinstance(tree, dict):
            raise RunUnreadable(f"{self.folder / name} is damaged: expected a JSON object.")
        return tree

    def _tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        path = self.folder / name
        try:
            with safetensors.safe_open(path, "pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                metadata = file.metadata() or {}
        except (OSError, SafetensorError, ValueError) as problem:
            raise RunUnreadable(f"{path} is missing or damaged ({problem}).") from problem
        version = metadata.get("format", "")
        if not version.isdecimal() or int(version) > FORMAT:
            raise RunUnreadable(f"{path} has format {version!r}; this version reads up to {FORMAT}.")
        return tensors, metadata


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and bytes: a flipped bit in a belief would otherwise be believed."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].numpy().tobytes())
    return total.hexdigest()


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and (folder / "recipe.toml").is_file()
