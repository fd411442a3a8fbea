"""Evaluation of a run on labelled images: its accuracy, and the worth of each of its answers there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from bayesight.bayes.diagnostic import Diagnosis, diagnose_classes
from bayesight.bayes.head import laplace
from bayesight.bayes.rates import mixture_draws, rate_interval
from bayesight.belief.classifier import Classifier
from bayesight.checks import check, probability
from bayesight.data.notes import reading_notes
from bayesight.errors import listed
from bayesight.evaluation import (
    Answers,
    Reliability,
    accuracy,
    at_prior,
    most_confused,
    never_named,
    no_better_than,
    one_vs_rest,
    sparse_confusion,
)
from bayesight.evaluation.arrays import row_blocks
from bayesight.evaluation.conformal import prediction_sets
from bayesight.evaluation.novelty import auroc, false_positive_rate, threshold
from bayesight.language import marked
from bayesight.progress import reporter
from bayesight.report.words import percent, spread
from bayesight.run import Run
from bayesight.seeding import numpy_generator
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.types import FloatArray, IntArray, ShownProgress
from bayesight.workflows.belief import belief_of
from bayesight.workflows.decisions import SetCheck, sets_reference
from bayesight.workflows.groups import environment_scores, read_environments
from bayesight.workflows.parts.duplicates import parts_folder, with_rows_of_parts
from bayesight.workflows.priors import parse_prior
from bayesight.workflows.sources import (
    AS_IT_IS,
    SCORED,
    LabelledImages,
    SourceOptions,
    read_labelled,
    read_unlabelled,
)

CALIBRATION_BINS = 15
ACCURACY_DRAWS = 4000
MOST_CLASSES = 100
"""So many classes are listed for people; of more, the least precise."""
WHOLE = 1000
"""Beyond so many classes ``--json`` too lists the least precise, and a confusion matrix by its cells."""


@dataclass(frozen=True)
class Likelihoods:
    """Log p(features | class), nats, of images: rows of it are computed when asked for, and not kept.

    Args:
        of: features (N, D) to log-likelihoods (N, K).
        features: of all the images.
    """

    of: Callable[[Tensor], Tensor]
    features: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice) -> Tensor:
        return self.of(self.features[rows])


@dataclass(frozen=True)
class Evaluation:
    """A classifier measured on labelled images; a figure is computed when it is asked for.

    Args:
        classes: names (K,).
        answers: what it says of each image.
        prior: (K,) stated base rates, or None: the images are then a sample of where it is used. Accuracy,
            log-loss and calibration error are those at the prior's base rates where there is one.
        posteriors: gives ``log_p``.

    Raises:
        InvalidInput: no image is of a class with a positive prior.
    """

    classes: tuple[str, ...]
    answers: Answers
    prior: FloatArray | None
    posteriors: Callable[[], Iterable[FloatArray]] = field(repr=False)

    def __post_init__(self) -> None:
        came, known = "no image of a class that has one", self._met is None or bool(self._met.sum() > 0)
        check(known, "base rates", came, "images of one class at least whose base rate is above 0")

    @property
    def accuracy(self) -> float:
        """The share of the images that is answered rightly."""
        return self._accuracy[0]

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % credible interval of the accuracy."""
        return self._accuracy[1]

    @cached_property
    def _accuracy(self) -> tuple[float, tuple[float, float]]:
        return _share(self.cells.diagonal(), self.cells.sum(axis=1), self.prior)

    @cached_property
    def log_loss(self) -> float:
        """Mean log-loss, nats."""
        return self.answers.log_loss(self.weights)

    @cached_property
    def log_loss_error(self) -> float:
        """Standard error of the log-loss, nats."""
        return _log_loss_error(-self.answers.log_p_true, self.weights)

    def reliability(self) -> Reliability:
        """Stated probability against how often it came true, in 15 bins of equal width."""
        return self.answers.reliability(CALIBRATION_BINS, weights=self.weights)

    @property
    def ece(self) -> float:
        """Calibration error over those bins."""
        return self.reliability().expected_error

    @property
    def ece_by_chance(self) -> float:
        """The one to be expected of as many images were all probabilities true."""
        return self.reliability().by_chance

    @property
    def figures(self) -> dict[str, Any]:
        """Accuracy, log-loss and calibration error, each with its error, by their names in ``--json``."""
        return {
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "log_loss": self.log_loss,
            "log_loss_error": self.log_loss_error,
            "ece": self.ece,
            "ece_by_chance": self.ece_by_chance,
        }

    @property
    def labels(self) -> IntArray:
        """(N,) class numbers."""
        return self.answers.labels

    @property
    def log_p(self) -> FloatArray:
        """(N, K) log-posteriors, nats, under ``prior`` or the training shares; computed when asked for."""
        return np.concatenate(list(self.posteriors()))

    @property
    def confusion(self) -> IntArray:
        """(K, K) counts, rows true, columns predicted."""
        table: IntArray = self.cells.toarray()
        return table

    @cached_property
    def cells(self) -> Any:
        """``confusion`` as a sparse array."""
        return sparse_confusion(self.labels, self.predictions, len(self.classes))

    @property
    def unmet(self) -> tuple[str, ...]:
        """Classes with a stated base rate of which there is no image: nothing is known of their answers."""
        if self.prior is None:
            return ()
        absent = (self.cells.sum(axis=1) == 0) & (self.prior > 0)
        return tuple(self.classes[k] for k in np.flatnonzero(absent))

    @property
    def verdict(self) -> str:
        """A sentence on why it is no classifier, or empty: classes never named, a constant as good."""
        return _verdict(self._table * len(self.labels) / self._table.sum(), self.classes)

    @cached_property
    def _met(self) -> FloatArray | None:
        """(K,) base rates of the classes that are in the sample, which need not sum to 1."""
        return None if self.prior is None else np.where(self.cells.sum(axis=1) > 0, self.prior, 0.0)

    @cached_property
    def _table(self) -> Any:
        """``cells``, as often as the base rates of the classes that are among them say."""
        table = self.cells.astype(np.float64)
        return table if self._met is None else at_prior(table, self._met / self._met.sum())

    @property
    def predictions(self) -> IntArray:
        """(N,) class numbers."""
        return self.answers.predicted

    @cached_property
    def weights(self) -> FloatArray | None:
        """(N,) how much each image counts at the prior's base rates, 1 on average; None without a prior."""
        if self._met is None:
            return None
        shares = self.cells.sum(axis=1) / len(self.labels)
        found: FloatArray = (self._met / self._met.sum() / np.where(shares > 0, shares, 1.0))[self.labels]
        return found

    def least_precise(self, most: int) -> list[int]:
        """The numbers of the ``most`` least precise classes, ascending; those never named come first."""
        rates = one_vs_rest(self._table)
        called = rates.tp + rates.fp
        precision = np.where(called > 0, rates.tp / np.where(called > 0, called, 1), -1.0)
        return sorted(np.argsort(precision, kind="stable")[:most].tolist())

    def per_class(self, only: Sequence[int] | None = None) -> dict[str, dict[str, Any]]:
        """Rates of each class by name, their 95 % intervals under ``intervals``.

        A rate is a share of the images. One that they leave open is None, and ``undefined`` says why: "never
        said" where no image was called the class, "not in this sample" where none is of it, "infinite".

        Args:
            only: numbers of the classes to read; all when left out.
        """
        rates, own = one_vs_rest(self._table), one_vs_rest(self.cells)
        support = self.cells.sum(axis=1)
        chosen = range(len(self.classes)) if only is None else only
        readings: Sequence[Diagnosis | None] = [None] * len(chosen)  # of a single class
        if len(self.classes) > 1:
            readings = diagnose_classes(self.cells, self.prior, draws=4000, only=chosen)
        table = {}
        for k, reading in zip(chosen, readings, strict=True):
            name = self.classes[k]
            tp, fn, fp, tn = (float(part[k]) for part in (rates.tp, rates.fn, rates.fp, rates.tn))
            # Of images of the class alone, so that no base rate matters, not even one of 0.
            sensitivity = _ratio(float(own.tp[k]), float(own.tp[k] + own.fn[k]))
            false_alarm = _ratio(fp, fp + tn)
            figures = {
                "sensitivity": sensitivity,
                "specificity": 1 - false_alarm,
                "false_alarm": false_alarm,
                "precision": _ratio(tp, tp + fp),
                "negative_predictive_value": _ratio(tn, tn + fn),
                "likelihood_ratio_positive": _ratio(sensitivity, false_alarm),
                "likelihood_ratio_negative": _ratio(1 - sensitivity, 1 - false_alarm),
            }
            undefined = {
                n: _why(n, v, sensitivity, false_alarm) for n, v in figures.items() if not math.isfinite(v)
            }
            if len(self.labels) > support[k]:  # the others are there, and their base rates are 0
                elsewhere = {n for n, why in undefined.items() if why == "no other class in this sample"}
                undefined |= dict.fromkeys(elsewhere, marked("no other class at these base rates"))
            table[name] = {
                "support": int(support[k]),
                **{n: None if n in undefined else v for n, v in figures.items()},
                "undefined": undefined,
                "intervals": {} if reading is None else _intervals(reading, figures),
            }
        return table

    def as_dict(self) -> dict[str, Any]:
        """The numbers ``--json`` prints; of more than ``WHOLE`` classes the least precise, and the cells."""
        many = len(self.classes) > WHOLE
        return {
            "examples": len(self.labels),
            "verdict": self.verdict,
            **self.figures,
            "ece_bins": CALIBRATION_BINS,
            "reliability": self.reliability().as_dict(),
            "classes": self.classes,
            "prior": None if self.prior is None else dict(zip(self.classes, self.prior, strict=True)),
            "not_in_this_sample": list(self.unmet),
            "confusion": None if many else self.confusion,
            **({"confused": self._confused()} if many else {}),
            "per_class": self.per_class(self.least_precise(MOST_CLASSES) if many else None),
        }

    def _confused(self) -> list[dict[str, Any]]:
        """The cells of the confusion matrix off its diagonal, the fullest first."""
        names = self.classes
        return [
            {"true": names[pair.true], "predicted": names[pair.predicted], "count": int(pair.count)}
            for pair in most_confused(self.cells, limit=len(self.labels))
        ]


@dataclass(frozen=True)
class NoveltyCheck:
    """Known images beside images of kinds never learned.

    Args:
        known: (N,) novelty of the labelled images.
        unknown: (M,) novelty of the others.
        limit: novelty above which an image is called unknown.
        level: share of known images the limit is meant to flag.
        source: where the unknown images came from.
        notes: what was left out there, and what was done to the images.
    """

    known: Tensor
    unknown: Tensor
    limit: float
    level: float
    source: str
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """auroc; fpr95, the unknown that pass when 95 % of the known do; the shares flagged at the level."""
        return {
            "auroc": auroc(self.known, self.unknown),
            "fpr95": false_positive_rate(-self.unknown, -self.known),
            "level": self.level,
            "known_flagged": (self.known > self.limit).double().mean().item(),
            "unknown_flagged": (self.unknown > self.limit).double().mean().item(),
            "unknown_examples": len(self.unknown),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class EvaluateResult:
    """An evaluation and what it was made with.

    Args:
        run: the run.
        data: the labelled images.
        evaluation: the numbers.
        novelty: how well images of unknown kinds are told apart; None where none were given.
        environments: accuracy, log_loss and examples of each environment; empty where none were stated.
        learned: how many of the images the run has learned from.
        chosen: how many of the others chose its weights.
        unseen: the figures of the rest; None where all are new to it, or none.
        sets: how often sets of classes hold the truth; None where none were asked for.
    """

    run: Run
    data: LabelledImages
    evaluation: Evaluation
    novelty: NoveltyCheck | None = None
    environments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    learned: int = 0
    chosen: int = 0
    unseen: Evaluation | None = None
    sets: SetCheck | None = None

    @property
    def seen_note(self) -> str:
        """A sentence on the images that are not new to the run; empty where all are."""
        count = len(self.evaluation.labels)
        learned = marked(f"{self.learned:,} trained the run") if self.learned else ""
        chose = marked(f"{self.chosen:,} chose its weights") if self.chosen else ""
        if not (learned or chose):
            return ""
        both = marked(f"{self.learned:,} trained the run and {self.chosen:,} chose its weights")
        both = both if learned and chose else learned or chose
        note = marked(f"of these {count:,} {self.run.reads} {both}: the figures flatter it")
        if self.unseen is None:
            return marked(f"{note}; none is new to it")
        rest = self.unseen
        return marked(
            f"{note}; on the other {len(rest.labels):,} it has accuracy {percent(rest.accuracy)} "
            f"({spread(rest.accuracy_interval)}), log-loss {rest.log_loss:.3f} nats"
        )

    def as_dict(self) -> dict[str, Any]:
        """The numbers ``--json`` prints."""
        tree = {"run": str(self.run.folder), **self.evaluation.as_dict()}
        tree["seen_in_training"] = {"trained": self.learned, "validated": self.chosen}
        if self.unseen is not None:
            tree["unseen"] = {"examples": len(self.unseen.labels), **self.unseen.figures}
        if self.novelty is not None:
            tree["novelty"] = self.novelty.as_dict()
        if self.sets is not None:
            tree["sets"] = self.sets.as_dict()
        if self.environments:
            tree["environments"] = dict(self.environments)
        if self.data.part:
            tree["part"] = self.data.part
        tree |= self.data.facts
        notes = [note for note in (self.data.note, self.data.fitted_note) if note]
        if notes:
            tree["note"] = "; ".join(notes)
        return tree


def evaluate(
    run_path: str | Path,
    source: str | Path,
    *,
    prior: str | None = None,
    unknown: str | Path | None = None,
    level: float = 0.05,
    head: Literal["gaussian", "laplace"] = "gaussian",
    labels: Path | None = None,
    environments: str | None = None,
    ledger: str | None = None,
    set_coverage: float | None = None,
    options: SourceOptions = AS_IT_IS,
    progress: ShownProgress = None,
) -> EvaluateResult:
    """Measure a run on labelled images.

    Args:
        run_path: the run folder.
        source: a folder, archive or IDX file of images with classes the run knows.
        prior: base rates as ``parse_prior`` reads them: the answers are given under them, and every figure
            is for a place where the classes appear that often.
        unknown: images of kinds the run never learned, to see whether it notices.
        level: share of known images that may be called unknown.
        head: "gaussian" is the run's belief; "laplace" fits a softmax with a Laplace posterior to the
            absorbed images instead, for comparison.
        labels: an IDX source's file of labels, when it is not beside it.
        environments: where each image comes from, as ``read_environments`` takes it, to score each apart.
        ledger: measure what is believed with everything it holds about the run.
        set_coverage: also name sets of classes that are to hold the truth in this share of the images.
        options: how the source is read where it does not show; of one with parts, the test part is scored,
            or where there is none the validation part.
        progress: told how far reading is.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable: what was given cannot be read.
        InvalidInput: classes the run does not know, a prior or a coverage that is none, or sets of the
            Laplace head, which no left-out image judges.
    """
    if set_coverage is not None:
        probability(set_coverage, "set_coverage", open_interval=True)
        check(head == "gaussian", "set_coverage", f"got the head {head}", "the head gaussian")
    progress = reporter(progress, "reading")
    run = Run.open(run_path)
    classifier = belief_of(run, ledger)
    data = read_labelled(
        source,
        classifier.classes,
        labels=labels,
        options=options.beside(environments),
        parts=SCORED,
        progress=progress,
    )
    stated = None if prior is None else parse_prior(prior, classifier.classes.names, classifier.prior)
    features = classifier.features(data.examples.in_order(EVALUATION_BATCH))
    true = torch.from_numpy(data.examples.labels)
    likelihood = classifier.log_likelihood if head == "gaussian" else _laplace_likelihood(classifier)
    found = measure(classifier, Likelihoods(likelihood, features), true, stated)
    digests = torch.from_numpy(data.digests)
    known = with_rows_of_parts(classifier, parts_folder(run), digests)
    learned, chosen = known.seen(digests)
    new = ~(learned | chosen)
    unseen = None
    if 0 < int(new.sum()) < len(new):
        unseen = replace(
            found, answers=found.answers.at(new.numpy()), posteriors=lambda: [found.log_p[new.numpy()]]
        )
    novelty = None
    if unknown is not None:
        strangers, store = read_unlabelled(
            unknown, classifier.classes, container=options.container, progress=progress
        )
        novelty = NoveltyCheck(
            classifier.novelty(features),
            classifier.novelty(classifier.features(strangers.in_order(EVALUATION_BATCH))),
            threshold(classifier.novelty_reference, level),
            level,
            store.manifest.source,
            tuple(reading_notes(store, whose="the run's ")),
        )
    scores: dict[str, dict[str, float]] = {}
    if environments is not None:
        places = read_environments(data.store, environments)
        numbers = places.numbers[data.examples.rows]
        scores = environment_scores(found.log_p, found.labels, numbers, places.names)
    sets = None if set_coverage is None else _checked_sets(classifier, found, set_coverage)
    seen = int(learned.sum()), int(chosen.sum())
    return EvaluateResult(run, data, found, novelty, scores, *seen, unseen, sets)


def _laplace_likelihood(classifier: Classifier) -> Callable[[Tensor], Tensor]:
    """Log p(class | features) less the log class shares, from a Laplace head fitted to the exemplars."""
    absorbed = classifier.absorbed
    features = absorbed.exemplars.float()
    labels = absorbed.labels[absorbed.exemplar_rows]
    prior = laplace.empty(classifier.head.shift, classifier.head.scale, len(classifier.classes.names))
    fitted = laplace.absorb(prior, features, labels)
    shares = (torch.bincount(labels, minlength=len(classifier.classes.names)) + 1).double()
    return lambda x: laplace.log_posterior(fitted, x) - (shares / shares.sum()).log()


def measure(
    classifier: Classifier, log_likelihood: Tensor | Likelihoods, labels: Tensor, prior: Tensor | None = None
) -> Evaluation:
    """All figures of a classifier on labelled images.

    Args:
        classifier: whose prior and class names count.
        log_likelihood: (N, K) of the images, nats; read in blocks of rows.
        labels: (N,) class numbers.
        prior: (K,) base rates where the classifier is used; None takes the images as a sample of it.

    Raises:
        InvalidInput: no image is of a class with a positive prior.
    """
    names = classifier.classes.names

    def posteriors() -> Iterator[FloatArray]:
        return _posteriors(classifier, log_likelihood, prior)

    answers = answers_about(classifier, log_likelihood, labels, prior)
    return Evaluation(names, answers, None if prior is None else prior.numpy(), posteriors)


def answers_about(
    classifier: Classifier, log_likelihood: Tensor | Likelihoods, labels: Tensor, prior: Tensor | None = None
) -> Answers:
    """The answers to labelled images; the arguments are those of ``measure``."""
    blocks = row_blocks(len(labels), len(classifier.classes.names))
    pairs = zip(_posteriors(classifier, log_likelihood, prior), blocks, strict=True)
    return Answers.joined([Answers.of(log_p, labels[rows], "measure") for log_p, rows in pairs])


def _posteriors(
    classifier: Classifier, log_likelihood: Tensor | Likelihoods, prior: Tensor | None
) -> Iterator[FloatArray]:
    """(N, K) log-posteriors, in blocks of rows."""
    log_prior = (classifier.prior if prior is None else prior).log()
    for rows in row_blocks(len(log_likelihood), len(classifier.classes.names)):
        yield (log_likelihood[rows] + log_prior).log_softmax(dim=1).numpy()


def _checked_sets(classifier: Classifier, found: Evaluation, coverage: float) -> SetCheck:
    """The sets at the base rates the figures are for."""
    prior = classifier.prior if found.prior is None else torch.from_numpy(found.prior)
    reference, classes = sets_reference(classifier, prior), len(found.classes)
    parts = [prediction_sets(torch.from_numpy(part), reference, coverage) for part in found.posteriors()]
    inside = torch.cat(parts).numpy()
    held, sizes = inside[np.arange(len(inside)), found.labels], inside.sum(axis=1)
    support = np.bincount(found.labels, minlength=classes).astype(float)
    share, span = _share(
        np.bincount(found.labels, held, minlength=classes).astype(float), support, found.prior
    )
    return SetCheck(
        asked=coverage,
        held=share,
        interval=span,
        mean_size=float(np.average(sizes, weights=found.weights)),
        single=float(np.average(sizes == 1, weights=found.weights)),
    )


def verdict_now(classifier: Classifier) -> str:
    """``Evaluation.verdict`` of a belief as it is, by the images that judge it."""
    judged = classifier.judged
    called = (classifier.judged_log_likelihood + classifier.prior.log()).argmax(dim=1)
    names = classifier.classes.names
    return _verdict(
        sparse_confusion(judged.labels.numpy(), called.numpy(), len(names), judged.weights.numpy()), names
    )


def _intervals(reading: Diagnosis, figures: Mapping[str, float]) -> dict[str, list[float]]:
    """The credible intervals of a class's rates, wide enough for the shares of the images themselves."""
    spans = {}
    for name, e in reading.estimates().items():
        share = figures.get(name, math.nan)
        spans[name] = [min(e.low, share), max(e.high, share)] if math.isfinite(share) else [e.low, e.high]
    return spans


def _verdict(table: Any, classes: tuple[str, ...]) -> str:
    silent, constant = never_named(table), no_better_than(table)
    said = [marked(f"never says {listed((classes[k] for k in silent), 3)}")] if silent else []
    if constant is not None:
        more = accuracy(table) > table.sum(axis=1)[constant] / table.sum()
        always = listed([classes[constant]])
        said.append(
            marked(f"may be no better than always saying {always}")
            if more
            else marked(f"is no better than always saying {always}")
        )
    if len(said) == 2:
        return marked(f"This classifier {said[0]}; it {said[1]}.")
    return marked(f"This classifier {said[0]}.") if said else ""


def _share(
    right: FloatArray, support: FloatArray, prior: FloatArray | None
) -> tuple[float, tuple[float, float]]:
    """The share that is right, and its 95 % interval: at a prior that of a mixture of the classes' shares.

    A class of which there is no image may be named rightly in any share; one half is as good a guess as any.
    """
    if prior is None:
        _, low, high = rate_interval(float(right.sum()), float(support.sum()))
        share = float(right.sum() / support.sum())
    else:
        share = float(prior @ np.where(support > 0, right / np.maximum(support, 1), 0.5))
        rng = numpy_generator(0, "accuracy at a prior")
        drawn = 1 - mixture_draws(support - right, support, prior, rng, draws=ACCURACY_DRAWS)
        low, high = np.quantile(drawn, [0.025, 0.975])
    return share, (min(float(low), share), max(float(high), share))


def _log_loss_error(losses: FloatArray, weights: FloatArray | None) -> float:
    """Standard error of a (weighted) mean log-loss, nats; infinite for a single image."""
    count = len(losses)
    if count < 2:
        return math.inf
    if weights is not None and not (weights > 0).all():  # of a class with a base rate of 0
        met = weights > 0
        return _log_loss_error(losses[met], weights[met])
    share = np.full(count, 1 / count) if weights is None else weights / weights.sum()
    spread = losses - float(share @ losses)
    return float(np.sqrt((share**2 @ spread**2) * count / (count - 1)))


def _why(name: str, value: float, sensitivity: float, false_alarm: float) -> str:
    """The word for a figure that is no number."""
    if math.isinf(value):
        return marked("infinite")
    if name == "precision":
        return marked("never said")
    if name == "negative_predictive_value":
        return marked("always said")
    if math.isnan(sensitivity) and name not in ("false_alarm", "specificity"):
        return marked("not in this sample")
    if math.isnan(false_alarm):
        return marked("no other class in this sample")
    return "never said" if name == "likelihood_ratio_positive" else "always said"


def _ratio(part: float, whole: float) -> float:
    if whole == 0:
        return math.inf if part > 0 else math.nan
    return part / whole
