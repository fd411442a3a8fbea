"""Prediction of single images, in the four terms of Bayes' theorem."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from bayesight.bayes import theorem
from bayesight.belief.classifier import Classifier
from bayesight.checks import check, probability
from bayesight.data.sources import AS_STORED, ContainerOptions
from bayesight.errors import SourceUnreadable
from bayesight.evaluation.novelty import NoveltyReference, p_value, threshold
from bayesight.formatting import percent
from bayesight.language import marked
from bayesight.run import Run
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.types import Progress
from bayesight.workflows.belief import belief_of
from bayesight.workflows.decisions import ImageDecision, Stakes, choose, class_sets, parse_costs, reading_of
from bayesight.workflows.pictures import ImageCollection, UnreadImage, gather_pictures, read_images
from bayesight.workflows.priors import complete_prior, parse_prior

__all__ = [
    "Prediction",
    "Predictions",
    "Readings",
    "UnreadImage",
    "answer_blocks",
    "answers_for",
    "base_rates",
    "judge",
    "predict",
    "read_images",
]

UNKNOWN = "unknown"

_V = TypeVar("_V")


@dataclass(frozen=True)
class Readings:
    """Options for reading images.

    Args:
        prior: base rates as ``parse_prior`` reads them, or by class, as ``complete_prior`` does; None takes
            the shares absorbed so far.
        same_subject: the images are readings of one subject: the posterior after one is the prior of the
            next.
        dependence: correlation of such readings given the class, in [0, 1]. Two photographs by the same
            camera of the same thing are not two independent readings.
        level: share of known images that may be called unknown.
        abstain: answer "unknown" instead of a class where the image is like nothing seen.
        stakes: what acting on an answer costs; None leaves the decision to the reader.
        set_coverage: share of images whose class is to be among the classes named; None names one.

    Raises:
        InvalidInput: a level, a dependence or a coverage out of range; sets for readings of one subject.
    """

    prior: str | Mapping[str, float | str] | None = None
    same_subject: bool = False
    dependence: float = 0.0
    level: float = 0.05
    abstain: bool = False
    stakes: Stakes | None = None
    set_coverage: float | None = None

    def __post_init__(self) -> None:
        probability(self.level, "level", open_interval=True)
        probability(self.dependence, "dependence")
        if self.set_coverage is not None:
            probability(self.set_coverage, "set_coverage", open_interval=True)
            alone = "sets of classes hold for images by themselves"
            check(not self.same_subject, "set_coverage", "got readings of one subject", alone)


@dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    Args:
        path: of the image.
        prediction: the class with the highest posterior, or "unknown".
        prior: probability of each class before the image was seen.
        log_likelihood: log p(image | class), nats, as a density over the network's features.
        log_evidence: log p(image) under the prior, nats; with earlier readings, given them.
        posterior: probability of each class now.
        novelty: how unlike anything seen, in standard deviations of known images; larger is stranger.
        p_value: share of known images at least as strange.
        strangest: none of those it is compared with is as strange: of the known, so are ``p_value`` at most.
        known: whether the image is of a kind that was seen.
        reason: why not, in a sentence; empty when known.
        decision: what to do about it; None where no costs were stated.
        set: the fewest classes that hold the truth as often as asked, the most probable first; None where
            nothing was asked.
    """

    path: str
    prediction: str
    prior: dict[str, float]
    log_likelihood: dict[str, float]
    log_evidence: float
    posterior: dict[str, float]
    novelty: float
    p_value: float
    known: bool
    reason: str
    decision: ImageDecision | None = None
    set: tuple[str, ...] | None = None
    strangest: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints; ``decision`` and ``set`` only where they were asked for."""
        apart = ("decision", "set", "strangest")
        tree = {name: value for name, value in vars(self).items() if name not in apart}
        tree |= {} if self.decision is None else {"decision": self.decision.as_dict()}
        return tree if self.set is None else tree | {"set": list(self.set)}


@dataclass(frozen=True)
class Predictions:
    """The answers for all images that were given.

    Args:
        rows: an answer for each image that could be read, in the order given, and the others.
        notes: what was done to an image file to read it, by its path.
        sources: folders and archives among what was given, and what is to be said of each.
        within: the folder or archive of each image that came from one.
    """

    rows: tuple[Prediction | UnreadImage, ...]
    notes: Mapping[str, Sequence[str]]
    sources: Mapping[str, Sequence[str]]
    within: Mapping[str, str]

    @property
    def unread(self) -> list[UnreadImage]:
        """The images that could not be read."""
        return [row for row in self.rows if isinstance(row, UnreadImage)]

    @property
    def predictions(self) -> list[Prediction]:
        """The answers."""
        return [row for row in self.rows if isinstance(row, Prediction)]

    def as_list(self) -> list[dict[str, Any]]:
        """The document of ``--json``."""
        return [
            row.as_dict() | {"notes": list(self._said(row.path))}
            if isinstance(row, Prediction)
            else row.as_dict()
            for row in self.rows
        ]

    def _said(self, path: str) -> Sequence[str]:
        return self.notes.get(path) or self.sources.get(self.within.get(path, ""), ())


def predict(
    run_path: str | Path,
    images: Sequence[str | Path],
    how: Readings | None = None,
    *,
    ledger: str | None = None,
) -> list[Prediction]:
    """Classify images with a run; ``answers_for`` does without the ones that cannot be read.

    Args:
        run_path: the run folder.
        images: image files of any size and mode, folders and archives of them, and tables with a column
            ``path`` that names such; they are brought to the run's.
        how: prior, repeated readings, the level of the unknown; None takes the defaults.
        ledger: answer with everything it holds about the run.

    Raises:
        RunUnreadable: no run, or a damaged one.
        SourceNotFound, SourceUnreadable: an image that is not there, or is none.
        InvalidInput: a prior or a table of costs that is none, a level or a dependence out of range.
        Impossible: no class with a positive prior allows the image.
    """
    found = answers_for(run_path, images, how, ledger=ledger)
    if found.unread:
        raise SourceUnreadable(found.unread[0].error)
    return found.predictions


def answers_for(
    run_path: str | Path,
    images: Sequence[str | Path],
    how: Readings | None = None,
    *,
    ledger: str | None = None,
    container: ContainerOptions = AS_STORED,
    progress: Progress | None = None,
) -> Predictions:
    """Classify the images that can be read, and name the others.

    Args:
        run_path: the run folder.
        images: as in ``predict``.
        how: as in ``predict``.
        ledger: answer with everything it holds about the run.
        container: how names in archives are encoded, and whether links are followed.
        progress: told how far reading a folder or an archive is.

    Raises:
        RunUnreadable: no run, or a damaged one.
        SourceNotFound, SourceUnreadable: none of the images could be read; the error is the first one's.
        InvalidInput: a prior or a table of costs that is none, a level or a dependence out of range.
        Impossible: no class with a positive prior allows the image.
    """
    classifier = belief_of(Run.open(run_path), ledger)
    blocks = list(answer_blocks(classifier, images, how or Readings(), container, progress))
    return Predictions(
        tuple(row for block in blocks for row in block.rows),
        _merged(block.notes for block in blocks),
        _merged(block.sources for block in blocks),
        _merged(block.within for block in blocks),
    )


def answer_blocks(
    classifier: Classifier,
    images: Sequence[str | Path],
    how: Readings,
    container: ContainerOptions = AS_STORED,
    progress: Progress | None = None,
) -> Iterator[Predictions]:
    """The answers of ``answers_for`` by a belief, few at a time, for many images.

    Its arguments are the same, and its errors; where no image could be read, that is said after the last.
    """
    together = how.same_subject
    for gathered in gather_pictures(images, classifier.classes, container, progress, together=together):
        found = _judged(classifier, gathered, how)
        rows = (row if isinstance(row, UnreadImage) else next(found) for row in gathered.rows)
        while block := tuple(islice(rows, EVALUATION_BATCH)):
            paths = [row.path for row in block]
            notes = {path: gathered.notes[path] for path in paths if path in gathered.notes}
            within = {path: gathered.within[path] for path in paths if path in gathered.within}
            yield Predictions(block, notes, gathered.sources, within)


def _judged(classifier: Classifier, gathered: ImageCollection, how: Readings) -> Iterator[Prediction]:
    """Answers for the images of a collection, in batches unless one image's answer bears on the next."""
    batches = (batch for part in gathered.parts() for batch in part)
    features = (classifier.features([batch]) for batch in batches)
    names = iter(gathered.names)
    for block in [torch.cat(list(features))] if how.same_subject else features:
        yield from judge(classifier, list(islice(names, len(block))), block, how)


def judge(classifier: Classifier, paths: Sequence[str], features: Tensor, how: Readings) -> list[Prediction]:
    """The four terms for images whose features are given.

    Args:
        classifier: the belief.
        paths: (N,) what to call the images.
        features: (N, D).
        how: as in ``predict``.
    """
    names = classifier.classes.names
    base = base_rates(classifier, how.prior)
    prior = theorem.Belief(base.log(), names)
    likelihoods = classifier.log_likelihood(features)
    if how.same_subject:
        steps = theorem.sequence(prior, list(likelihoods), dependence=how.dependence)
        before = torch.stack([step.prior.log_p for step in steps]).exp()
        after = torch.stack([step.posterior.log_p for step in steps]).exp()
        log_evidence = torch.stack([step.log_evidence for step in steps])
    else:
        posterior, log_evidence = theorem.update(prior, likelihoods)
        after, before = posterior.log_p.exp(), base[None]
    novelty, reference = classifier.novelty(features, likelihoods), classifier.novelty_reference
    limit = threshold(reference, how.level)
    # Plain numbers all at once: asking a tensor for one of them takes as long as for all.
    best, strange, evidence = after.argmax(1).tolist(), novelty.tolist(), log_evidence.tolist()
    known = [one <= limit for one in strange]
    decided = _decisions(classifier, how.stakes, after, known)
    sets = class_sets(classifier, how.set_coverage, base, after)
    p = p_value(reference, novelty).tolist()
    priors, terms, posteriors = (_named(names, rows) for rows in (before, likelihoods, after))
    if not how.same_subject:
        priors *= len(paths)  # one and the same for every image
    above = _share_above(reference, limit, how.level)
    return [
        Prediction(
            path=path,
            prediction=names[best[i]] if known[i] or not how.abstain else UNKNOWN,
            prior=priors[i],
            log_likelihood=terms[i],
            log_evidence=evidence[i],
            posterior=posteriors[i],
            novelty=strange[i],
            p_value=p[i],
            known=known[i],
            reason="" if known[i] else _reason(strange[i], limit, above, classifier.classes.reads),
            decision=decided[i],
            set=sets[i],
            strangest=p[i] <= reference.least_p,
        )
        for i, path in enumerate(paths)
    ]


def base_rates(classifier: Classifier, prior: str | Mapping[str, float | str] | None) -> Tensor:
    """(K,) what each class's probability is before an image is seen."""
    if prior is None:
        return classifier.prior
    if isinstance(prior, str):
        return parse_prior(prior, classifier.classes.names, classifier.prior)
    return complete_prior(prior, classifier.classes.names, classifier.prior)


def _decisions(
    classifier: Classifier, stakes: Stakes | None, posterior: Tensor, known: Sequence[bool]
) -> Sequence[ImageDecision | None]:
    """The action for each image; nothing where no costs were stated."""
    if stakes is None:
        return [None] * len(known)
    names = classifier.classes.names
    costs = parse_costs(stakes.costs, names)
    reading = None if stakes.reading is None else reading_of(classifier, stakes.reading)
    return [
        choose(theorem.Belief(row.log(), names), stakes, costs, reading, known=is_known)
        for row, is_known in zip(posterior, known, strict=True)
    ]


def _merged(parts: Iterable[Mapping[str, _V]]) -> dict[str, _V]:
    return {name: value for part in parts for name, value in part.items()}


def _named(names: Sequence[str], rows: Tensor) -> list[dict[str, float]]:
    return [dict(zip(names, row, strict=True)) for row in rows.tolist()]


def _share_above(reference: NoveltyReference, limit: float, level: float) -> tuple[str, bool]:
    """The share of known images above the limit, and whether it is a bound: too few are known to tell it."""
    if reference.least_p <= level:
        return percent(level, 0), False
    return percent(p_value(reference, torch.tensor([limit])).item(), 0), True


def _reason(novelty: float, limit: float, above: tuple[str, bool], reads: str) -> str:
    """The sentence on what is unknown."""
    said, (share, at_most) = marked(f"unlike anything seen: novelty {novelty:.1f}"), above
    if at_most:
        return marked(f"{said}, where at most {share} of {reads} of known kinds are above {limit:.1f}")
    return marked(f"{said}, where only {share} of {reads} of known kinds are above {limit:.1f}")
