"""Every arm with every seed, and the verdicts. Finished trials are kept until the run is whole."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image

from bayesight.checks import check
from bayesight.data.codecs import png_of
from bayesight.errors import StorageFailed
from bayesight.files import make_folder, write_atomic
from bayesight.milestones.bench.claim import Arm, Curve, Measurement, Milestone, Verdict, judge
from bayesight.milestones.bench.workbench import Bench, Sources
from bayesight.training.hardware import choose_hardware
from bayesight.types import ImageArray, Progress

Tell: TypeAlias = Callable[[str], None]
"""Told, in a sentence, of each trial that ends."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The setting a milestone is run in.

    Args:
        out: the user's folder that the card goes into; made if need be.
        smoke: the small budget.
        seeds: how many; None takes the milestone's own.
        data: the user's source in place of the one that is there already.
        fresh: forget the trials that an interrupted run has finished.
        threads: processor threads; None takes half the cores.
        precision: "auto", "32" or "bf16".
    """

    out: Path
    smoke: bool = False
    seeds: int | None = None
    data: Path | None = None
    fresh: bool = False
    threads: int | None = None
    precision: Literal["auto", "32", "bf16"] = "auto"


@dataclass(frozen=True)
class MetricSummary:
    """One metric of one arm over the seeds: middle, smallest and largest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcome:
    """The figures a run measured, and its verdicts.

    Args:
        milestone: what was run, its recipes as they were run.
        origin: of the data, in words.
        smoke: whether it had the small budget.
        seeds: every seed.
        measured: for each arm what each seed gave.
        verdicts: whether each claim held.
        seconds: that training and measuring took, over all sittings.
    """

    milestone: Milestone
    origin: str
    smoke: bool
    seeds: tuple[int, ...]
    measured: Mapping[str, tuple[Measurement, ...]]
    verdicts: tuple[Verdict, ...]
    seconds: float

    @property
    def reproduced(self) -> bool:
        """True where every claim held."""
        return all(verdict.holds for verdict in self.verdicts)

    def summary(self, arm: str, metric: str) -> MetricSummary | None:
        """The metric over the seeds; None where the arm does not have it."""
        values = [one.values[metric] for one in self.measured[arm] if metric in one.values]
        return MetricSummary(median(values), min(values), max(values)) if values else None

    def as_dict(self) -> dict[str, Any]:
        """The document ``--json`` prints."""
        return {
            "name": self.milestone.name,
            "claim": self.milestone.claim,
            "arms": {arm.name: self._arm(arm) for arm in self.milestone.arms},
            "threshold": [vars(verdict) for verdict in self.verdicts],
            "reproduced": self.reproduced,
            "seconds": round(self.seconds, 1),
            "year": self.milestone.year,
            "published": self.milestone.figure,
            "data": self.origin,
            "seeds": list(self.seeds),
            "smoke": self.smoke,
        }

    def _arm(self, arm: Arm) -> dict[str, Any]:
        return {
            "recipes": [recipe.as_dict() for recipe in arm.recipes],
            "values": [dict(one.values) for one in self.measured[arm.name]],
            "median": {
                metric: found.median
                for metric in self.milestone.metrics
                if (found := self.summary(arm.name, metric)) is not None
            },
        }


def run(
    milestone: Milestone,
    setting: Setting,
    *,
    tell: Tell = lambda sentence: None,
    progress: Progress | None = None,
) -> Outcome:
    """Train and measure every arm with every seed, and judge the claims.

    Every finished trial is kept in the output folder until all are; an interrupted run goes on from there if
    nothing it depends on has changed. A run that ends takes them away.

    Args:
        milestone: what is run.
        setting: how.
        tell: told of each trial.
        progress: told the steps done, trial by trial.

    Raises:
        InvalidInput: fewer than one seed, or too little data; says how much is needed.
        StorageFailed: the output folder cannot be written.
        TrainingDiverged: a loss became infinite.
    """
    check(setting.seeds is None or setting.seeds >= 1, "seeds", f"got {setting.seeds}", "at least 1")
    milestone = budgeted(milestone) if setting.smoke else milestone
    own = milestone.smoke.seeds if setting.smoke else milestone.seeds
    seeds = tuple(range(own if setting.seeds is None else setting.seeds))
    kept = _Kept(writable(setting.out) / ".unfinished" / milestone.name, fresh=setting.fresh)
    sources = Sources(milestone, setting.data, setting.smoke, progress)
    measured: dict[str, list[Measurement]] = {arm.name: [] for arm in milestone.arms}
    seconds = 0.0
    for seed in seeds:  # a seed's arms one after the other, so that an early stop compares like with like
        shared: dict[Hashable, Any] = {}
        for arm in milestone.arms:
            identity = _identity(arm, seed, sources, setting)
            found, took = kept.find(identity), 0.0
            if found is None:
                began = time.perf_counter()
                one = measure(arm, sources, seed, setting, progress, shared=shared)
                took = time.perf_counter() - began
                kept.keep(identity, one, took)
            else:
                one, took = found
            measured[arm.name].append(one)
            seconds += took
            values = ", ".join(
                f"{name} {one.values[name]:.4g}" for name in milestone.metrics if name in one.values
            )
            tell(f"{milestone.name}, {arm.name}, seed {seed}: {values} ({took:.0f} s{' kept' * bool(found)})")
    values_of = {name: [one.values for one in ones] for name, ones in measured.items()}
    verdicts = tuple(judge(claim, values_of, smoke=setting.smoke) for claim in milestone.claims)
    whole = {name: tuple(ones) for name, ones in measured.items()}
    kept.clear()
    return Outcome(milestone, sources.origin, setting.smoke, seeds, whole, verdicts, seconds)


def budgeted(milestone: Milestone) -> Milestone:
    """The milestone with the small budget of its smoke run in every recipe."""
    arms = tuple(arm.changed(milestone.smoke.changes) for arm in milestone.arms)
    return replace(milestone, arms=arms)


def measure(
    arm: Arm,
    sources: Sources,
    seed: int,
    setting: Setting,
    progress: Progress | None = None,
    *,
    one_batch: bool = False,
    shared: dict[Hashable, Any] | None = None,
) -> Measurement:
    """Train and measure one arm with one seed; the same bits for the same seed, threads and precision.

    ``shared`` holds what other arms with this seed have left for it, and takes what this one leaves.
    """
    hardware = choose_hardware(threads=setting.threads, precision=setting.precision)
    tell = progress or (lambda done, total: None)
    bench = Bench(sources, seed, hardware, tell, one_batch, {} if shared is None else shared)
    return arm.trial(arm.recipes, bench)


def writable(folder: Path) -> Path:
    """The folder, made, after trying that a file can be written there.

    Raises:
        StorageFailed: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # of no name, so that two runs into one folder do not meet
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageFailed(
            f"{folder}: cannot be written ({reason}); expected a folder for the card. "
            "Give another one with --out."
        ) from error
    return folder


class _Kept:
    """Finished trials of an unfinished run, a file each; whole at every moment.

    Args:
        folder: where.
        fresh: begin with none.
    """

    def __init__(self, folder: Path, *, fresh: bool) -> None:
        self.folder = folder
        if fresh:
            self._remove()
        make_folder(folder)

    def find(self, identity: str) -> tuple[Measurement, float] | None:
        """A kept trial and the seconds it took; None where there is none, or one that cannot be read."""
        try:
            document = json.loads((self.folder / f"{identity}.json").read_text(encoding="utf-8"))
            pictures = {name: _from_png(image) for name, image in document["pictures"].items()}
            curve: Curve = tuple((float(x), float(y)) for x, y in document["curve"])
            return Measurement(document["values"], curve, pictures), float(document["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, identity: str, one: Measurement, seconds: float) -> None:
        """Keep a trial."""
        document = {
            "values": dict(one.values),
            "curve": one.curve,
            "pictures": {name: _as_png(image) for name, image in one.pictures.items()},
            "seconds": seconds,
        }
        write_atomic(self.folder / f"{identity}.json", json.dumps(document))

    def clear(self) -> None:
        """The run is whole: nothing needs to be kept."""
        self._remove()
        parent = self.folder.parent
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _identity(arm: Arm, seed: int, sources: Sources, setting: Setting) -> str:
    """Changes when anything does that a trial's result depends on."""
    parts = {
        "arm": arm.name,
        "recipes": [recipe.as_dict() for recipe in arm.recipes],
        "seed": seed,
        "data": sources.identity,
        "precision": setting.precision,
        "torch": torch.__version__,
    }
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _as_png(image: ImageArray) -> dict[str, Any]:
    """A picture, or a film's frames one below the other."""
    sheet = image.reshape(-1, *image.shape[2:]) if image.ndim == 4 else image
    return {"shape": image.shape, "png": base64.b64encode(png_of(sheet, small=True)).decode("ascii")}


def _from_png(kept: Mapping[str, Any]) -> ImageArray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(kept["png"])))).reshape(kept["shape"])
