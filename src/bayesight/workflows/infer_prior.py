"""The base rates of a place, inferred from unlabelled images taken there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from bayesight.bayes.label_shift import PriorEstimate, ShiftCheck, check_ambiguity, check_prior_shift
from bayesight.bayes.label_shift import infer_prior as estimate
from bayesight.belief.classifier import Classifier
from bayesight.checks import check
from bayesight.data.notes import notes, source_facts
from bayesight.data.sources import AS_STORED, ContainerOptions
from bayesight.formatting import percent
from bayesight.language import marked
from bayesight.progress import reporter
from bayesight.run import Run
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.types import ShownProgress
from bayesight.workflows.belief import belief_of
from bayesight.workflows.sources import read_unlabelled

AMBIGUOUS = 0.05
"""Below this p-value images are warned of that fall between the classes."""


@dataclass(frozen=True)
class InferredPrior:
    """Base rates that unlabelled images of known kinds speak for, and how many are of unknown ones.

    Args:
        classes: names (K,).
        estimate: the prior, its intervals, a second opinion and the share of unknown kinds.
        shift: whether other base rates alone explain the images.
        ambiguity: p-value that they are no more ambiguous than images of known kinds.
        method: how it was found, one sentence.
        source: what was left out of the source and what was done to its images, and the notes that say so.
    """

    classes: tuple[str, ...]
    estimate: PriorEstimate
    shift: ShiftCheck
    ambiguity: float
    method: str
    source: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        found = self.estimate
        spans = zip(found.low.tolist(), found.high.tolist(), strict=True)
        return {
            "prior": dict(zip(self.classes, found.prior.tolist(), strict=True)),
            "interval": dict(zip(self.classes, map(list, spans), strict=True)),
            "level": found.level,
            "method": self.method,
            "second_opinion": dict(zip(self.classes, found.second_opinion.tolist(), strict=True)),
            "images": found.images,
            "training_weight": found.weight,
            "unknown": None
            if found.unknown is None
            else {
                "share": found.unknown.share,
                "interval": [found.unknown.low, found.unknown.high],
                "probability": found.unknown.probability,
            },
            "prior_shift": {
                "believed": self.warning is None,
                "statistic": self.shift.statistic,
                "p_value": self.shift.p_value,
                "ambiguity_p_value": self.ambiguity,
            },
            "warning": self.warning,
            **self.source,
        }

    @property
    def warning(self) -> str | None:
        """A caution about the estimate, in a sentence; empty where none is due."""
        unknown = self.estimate.unknown
        if unknown is not None and unknown.found:
            share, low, high = (percent(x, 0) for x in (unknown.share, unknown.low, unknown.high))
            return marked(
                f"about {share} of these images ({low} to {high}) seem "
                "to be of unknown kinds, or taken in another way. The base rates are those of the others. "
                "Look at them with 'bayesight predict' before you trust this prior."
            )
        if self.shift.prior_shift and self.ambiguity >= AMBIGUOUS:
            return None
        if self.shift.prior_shift:
            return marked(
                "more of these images fall between the classes than other base rates explain "
                f"(p = {self.ambiguity:.2g}): some may be of unknown kinds that look familiar. Look at them "
                "with 'bayesight predict' before you trust this prior."
            )
        return marked(
            "other base rates alone do not explain these images (their evidence is distributed otherwise, "
            f"p = {self.shift.p_value:.2g}): some may be of unknown kinds, or taken in another way. Look at "
            "them with 'bayesight predict' before you trust this prior."
        )


def infer_prior(
    run_path: str | Path,
    source: str | Path,
    *,
    level: float = 0.9,
    seed: int = 0,
    ledger: str | None = None,
    container: ContainerOptions = AS_STORED,
    progress: ShownProgress = None,
) -> InferredPrior:
    """Infer the base rates of unlabelled images.

    Args:
        run_path: the run folder.
        source: a folder, archive or IDX file; labels, if any, are not looked at.
        level: share of the posterior inside each interval.
        seed: of resampling and draws.
        ledger: answer with everything it holds about the run.
        container: how names in archives are encoded, and whether links are followed.
        progress: told how far reading is.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable: what was given cannot be read.
        InvalidInput: a level outside (0, 1).
    """
    progress = reporter(progress, "reading")
    check(0 < level < 1, "--level", f"got {level:g}", "a share strictly between 0 and 1")
    classifier = belief_of(Run.open(run_path), ledger)
    examples, store = read_unlabelled(source, classifier.classes, container=container, progress=progress)
    features = classifier.features(examples.in_order(EVALUATION_BATCH))
    facts = source_facts(store, notes(store, whose="the run's "))
    return replace(infer(classifier, features, level=level, seed=seed), source=facts)


def infer(classifier: Classifier, features: Tensor, *, level: float = 0.9, seed: int = 0) -> InferredPrior:
    """Base rates of images whose features are given.

    Args:
        classifier: the belief.
        features: (N, D) of the unlabelled images.
        level: share of the posterior inside each interval.
        seed: of resampling and draws.
    """
    log_likelihood = classifier.log_likelihood(features)
    novelty = classifier.novelty(features, log_likelihood)
    return infer_from(classifier, log_likelihood, novelty, level=level, seed=seed)


def infer_from(
    classifier: Classifier, log_likelihood: Tensor, novelty: Tensor, *, level: float = 0.9, seed: int = 0
) -> InferredPrior:
    """Base rates of images (N, K) whose log-likelihoods and novelty (N,) are given; else as ``infer``."""
    judged, old = classifier.judged, classifier.prior
    log_p = (log_likelihood + old.log()).log_softmax(dim=1)
    validation = (classifier.judged_log_likelihood + old.log()).log_softmax(dim=1)
    found = estimate(
        log_p,
        validation,
        judged.labels,
        old,
        novelty=(classifier.judged_novelty, novelty),
        weights=judged.weights,
        level=level,
        seed=seed,
    )
    shift = check_prior_shift(classifier.judged_novelty, judged.labels, novelty, found.prior)
    ambiguity = check_ambiguity(validation, judged.labels, log_p, old, found.prior)
    count, many, share = f"{len(judged.labels):,}", f"{len(log_likelihood):,}", percent(level, 0)
    weight = f"{found.weight:,.0f}" if found.weight >= 10 else f"{found.weight:.2g}"
    method = marked(
        f"calibration with a bias a class on {count} held-out examples, then the posterior mean "
        f"over {many} examples, with the share of unknown kinds and the weight of the "
        f"training shares (here {weight} examples) unknown too; {share} intervals "
        f"from Gibbs draws over resampled calibrations, seed {seed}"
    )
    return InferredPrior(classifier.classes.names, found, shift, ambiguity, method)
