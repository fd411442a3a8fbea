"""A run from its folder to its metrics: made, trained, measured, saved and reported."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

import bayesight
from bayesight.bayes.head import gaussian
from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classes
from bayesight.data import Store
from bayesight.data.notes import source_facts
from bayesight.data.text import Characters, Subwords
from bayesight.errors import TrainingDiverged
from bayesight.language import marked
from bayesight.models import GenerativeModel, ImageModel, LanguageModel, TranslationModel
from bayesight.run import Run
from bayesight.training.checkpoint import FileCheckpointer
from bayesight.training.engine import Plan, State, fit
from bayesight.training.events import EvaluationEvent, Event, Listener, SourceEvent
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import Recipe
from bayesight.types import Progress
from bayesight.workflows.evaluate import Likelihoods, measure
from bayesight.workflows.reporting import training_report
from bayesight.workflows.training.classify import (
    environment_metrics,
    fitted_classifier,
    read_rows,
    reading_precision,
    selection,
    softmax_figures,
)
from bayesight.workflows.training.images import Material
from bayesight.workflows.training.request import NAMED, TrainRequest

AnyPlan: TypeAlias = (
    Plan[ImageModel] | Plan[GenerativeModel] | Plan[LanguageModel] | Plan[TranslationModel] | Plan[nn.Module]
)

__all__ = ["FinishedTraining", "TrainingJob", "described", "finish"]


@dataclass(frozen=True)
class TrainingJob:
    """A training to do, its recipe and hardware settled.

    Args:
        request: data, run folder and options.
        recipe: the four keys.
        hardware: device, precision, threads.
        resuming: the run folder is there already.
        progress: told how far reading is.
        listeners: told every event of training.
        began: seconds of ``time.perf_counter`` when it was asked for.
        reading: the same when reading began.
    """

    request: TrainRequest
    recipe: Recipe
    hardware: Hardware
    resuming: bool
    progress: Progress | None
    listeners: tuple[Listener, ...]
    began: float
    reading: float

    def tell(self, notes: Iterable[str]) -> float:
        """Tell the listeners of what was read; the seconds that reading took."""
        read_s = time.perf_counter() - self.reading
        for listener in self.listeners:
            listener(SourceEvent(tuple(notes)))
        return read_s

    def start(self, classes: Classes | None, vocabulary: Characters | Subwords | None = None) -> Run:
        """The run folder, made by the first process unless it is there already; the recipe completes it."""
        if self.hardware.fabric.is_global_zero and not self.resuming:
            made = Run.create(self.request.out, overwrite=self.request.overwrite)
            if classes is not None:
                made.save_classes(classes)
                vocabulary = vocabulary or classes.vocabulary
            if vocabulary is not None:
                made.save_vocabulary(vocabulary)
            made.save_recipe(self.recipe)
        self.hardware.fabric.barrier()  # the other processes find the folder made
        return Run.open(self.request.out, finished=False)

    def identity(self, data: Sequence[str], **more: Any) -> dict[str, Any]:
        """All that a checkpoint has to agree on to be gone on from, ``data`` being the sources' hashes."""
        return {
            "recipe": self.recipe.as_dict(),
            "data": data,
            "threads": self.hardware.threads,
            "precision": self.hardware.precision,
            **more,
        }

    def keeper(self, run: Run, identity: Mapping[str, Any], *below: str) -> FileCheckpointer:
        """The keeper of checkpoints in the run's folder, or below that."""
        folder = run.folder.joinpath("checkpoint", *below)
        return FileCheckpointer(folder, dict(identity), every_s=self.request.checkpoint_every_s)

    def fit(
        self,
        run: Run,
        plan: AnyPlan,
        identity: Mapping[str, Any],
        read_s: float,
        *,
        borrowed: bool = False,
    ) -> FinishedTraining:
        """Train; where it diverges, good weights of an earlier look are kept to start from, and nothing else.

        Raises:
            TrainingDiverged: with what to do about it.
        """
        kept: EvaluationEvent | None = None

        def watch(event: Event) -> None:
            nonlocal kept
            if isinstance(event, EvaluationEvent) and event.improved:
                kept = event

        keeper = self.keeper(run, identity)
        try:
            with keeper.stopping_between_steps():
                state = fit(
                    plan.task,
                    plan.budget,
                    fabric=self.hardware.fabric,
                    evaluate=plan.evaluate,
                    average=plan.average,
                    checkpointer=keeper,
                    listeners=[watch, *self.listeners],
                )
        except TrainingDiverged as diverged:
            if not self.hardware.fabric.is_global_zero:
                raise
            if kept is None:
                run.remove()
                raise TrainingDiverged(f"{diverged} Nothing is left in {run.folder}.") from diverged
            run.save_network(plan.network)
            run.drop_checkpoint()
            way = marked(
                f"To go on from the weights of step {kept.step}: --init-from {run.folder} with a lower rate"
            )
            raise TrainingDiverged(f"{diverged} {way} and another --out.") from diverged
        return FinishedTraining(self, run, plan, state, read_s, borrowed)


@dataclass(frozen=True)
class FinishedTraining:
    """A training that is over.

    Args:
        job: what was to be done.
        run: its folder.
        plan: the recipe resolved, with the trained network.
        state: how far it came.
        read_s: seconds that reading took.
        borrowed: the network is frozen below its last layer, with weights that come from other images.
    """

    job: TrainingJob
    run: Run
    plan: AnyPlan
    state: State
    read_s: float
    borrowed: bool = False

    def save(
        self,
        examples: tuple[int, int],
        sources: Sequence[Mapping[str, Any]],
        notes: Sequence[str],
        selection: str,
        validation: Mapping[str, Any],
        *,
        report: Callable[[], object],
        classes: Sequence[str] = (),
        **more: Any,
    ) -> dict[str, Any]:
        """Save a run that is no classifier's; the metrics come last, for they say that it is finished.

        Args:
            examples: how many it learned from, and how many were held out.
            sources: the facts of each.
            notes: on what was read.
            selection: which weights are kept, in words.
            validation: measures on what was held out.
            report: writes it, once the metrics are there.
            classes: their names.
            more: what else it learned from.
        """
        learned = {
            "kind": self.job.recipe.kind,
            "classes": list(classes),
            "examples": dict(zip(("train", "validation"), examples, strict=True)),
            "sources": list(sources),
            **more,
            "notes": list(notes),
        }
        metrics = self.metrics(learned, NAMED, {"selection": selection, "validation": validation})
        self.run.save_network(self.plan.network)
        self.run.save_history(self.state.history)
        self.run.save_metrics(metrics)
        report()
        self.run.drop_checkpoint()
        return metrics

    def metrics(
        self, learned: Mapping[str, Any], why: str, judged: Mapping[str, Any], **seconds: float
    ) -> dict[str, Any]:
        """The run's metrics.

        Args:
            learned: from what.
            why: this model was taken.
            judged: how good it is, and which weights are kept.
            seconds: that anything after the training took.
        """
        state = self.state
        return {
            "bayesight": bayesight.__version__,
            **learned,
            "model": {"name": self.job.recipe.model.name, "why": why},
            "seed": self.job.recipe.seed,
            **judged,
            "steps": state.step,
            "best_step": state.best_step or state.step,  # without a monitor the last weights are kept
            "total_steps": self.plan.budget.steps,
            "hardware": _hardware_facts(self.job.hardware),
            "seconds": {
                "reading": self.read_s,
                "training": state.elapsed_s,
                **seconds,
                "total": time.perf_counter() - self.job.began,
            },
        }


def described(store: Store) -> dict[str, Any]:
    """A source as a run's metrics name it."""
    manifest = store.manifest
    return {
        "source": manifest.source,
        "kind": manifest.kind,
        "content_hash": manifest.content_hash,
        "images": len(store),
        "counts": manifest.counts,
        "quarantined": len(manifest.quarantined),
        "ignored": manifest.ignored,
        "lost_classes": [one.name for one in manifest.lost],
        "choice": manifest.choice,
        "levels": list(manifest.levels),
        "treatment": asdict(manifest.treatment),
    }


def _group_counts(material: Material) -> dict[str, Any]:
    """The numbers of groups on each side, as a run's metrics name them; nothing where there are none."""
    groups = material.groups
    if groups is None:
        return {}
    sides = {"train": material.train, "validation": material.validation}
    return {"groups": {name: groups.count(examples.rows) for name, examples in sides.items()}}


def _hardware_facts(hardware: Hardware) -> dict[str, Any]:
    """The hardware a run was computed on, as its metrics name it."""
    return {
        "precision": hardware.precision,
        "threads": hardware.threads,
        "processes": hardware.fabric.world_size,
        "device": hardware.fabric.device.type,
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }


def finish(
    network: ImageModel,
    training: FinishedTraining,
    material: Material,
    pretrained: Mapping[str, Any] | None,
    rows: Mapping[str, Rows] | None = None,
) -> dict[str, Any]:
    """Calibrate, measure and save; the metrics come last, for they say that the run is finished.

    ``rows`` are what was read of the images already, where the network is frozen.
    """
    measuring = time.perf_counter()
    network, recipe, hardware = network.eval(), training.job.recipe, training.job.hardware
    known = rows["validation"].features if rows else None
    precision = reading_precision(network, recipe, hardware)
    rows = rows or read_rows(network, material, precision)
    classifier = fitted_classifier(network, material, precision, rows, borrowed=training.borrowed)
    validation_rows = rows["validation"]
    likelihoods: Likelihoods | Tensor = Likelihoods(classifier.log_likelihood, validation_rows.features)
    if training.borrowed:
        likelihoods = gaussian.density_at(classifier.predictive, classifier.left_out(validation_rows))
    found = measure(classifier, likelihoods, validation_rows.labels)
    learned = {
        "classes": list(material.classes.names),
        "examples": {
            "train": len(material.train),
            "also": 0 if material.also is None else len(material.also),
            "validation": len(material.validation),
            "dropped": material.dropped,
        },
        "sources": [described(store) for store in material.stores],
        "parts": dict(material.stores[0].manifest.parts),
        **_group_counts(material),
        "left_out": source_facts(material.stores[0], material.notes, most=1000),
        "notes": list(material.notes),
        **({} if pretrained is None else {"pretraining": pretrained}),
    }
    judged = {
        "selection": selection(
            recipe, len(material.validation), len(material.classes.names), borrowed=training.borrowed
        ),
        "validation": {
            **found.figures,
            "log_loss_error": found.log_loss_error if math.isfinite(found.log_loss_error) else None,
            "examples": len(found.labels),
            "verdict": found.verdict,
        },
        **environment_metrics(found, material),
        "softmax": softmax_figures(network, material.validation, known),
    }
    metrics = training.metrics(learned, material.why, judged, measuring=time.perf_counter() - measuring)
    if hardware.fabric.is_global_zero:
        run = training.run
        run.save_network(network)
        run.save_classifier(classifier)
        run.save_history(training.state.history)
        run.save_metrics(metrics)
        training_report(run, found, material.validation, material.stores, borrowed=training.borrowed)
        run.drop_checkpoint()
    return metrics
