"""What a report can say about a trained classifier, as plain data: one frozen dataclass a section.

A report is a title and any of these in any order, any of them twice. A section left out leaves no trace.
Wherever a ``Number`` is asked for, a float will do, or an ``Estimate`` with its credible interval. Fractions
are in [0, 1]; the page turns them into per cent. Names and paths may hold anything: the page escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
from scipy.sparse import sparray

from bayesight.evaluation import Reliability
from bayesight.report.words import Number
from bayesight.types import ImageArray

__all__ = [
    "ClassCounts",
    "ClassReading",
    "Conflict",
    "ConfusionTable",
    "Duplicates",
    "GeneratedImages",
    "LearningCurves",
    "LossCurves",
    "Mistakes",
    "PerClass",
    "Picture",
    "PrecisionCurve",
    "PrecisionCurves",
    "Prose",
    "Quarantine",
    "Reconstructions",
    "ReliabilityDiagram",
    "Section",
    "Source",
    "Step",
    "Steps",
    "Summary",
    "SuspiciousLabels",
    "Training",
]


@dataclass(frozen=True, kw_only=True)
class Section:
    """What every section has.

    Attributes:
        heading: replaces the section's own heading.
        note: a further paragraph in the caller's words.
    """

    heading: str = ""
    note: str = ""


@dataclass(frozen=True)
class ClassReading:
    """One class read as a diagnostic test: it against all others.

    Attributes:
        name: the class.
        support: examples of the class.
        sensitivity: of those, the fraction that was called it.
        false_alarm: of all others, the fraction that was called it.
        precision: of those called it, the fraction that was it.
        likelihood_ratio_positive: factor by which being called it multiplies the odds.
        likelihood_ratio_negative: factor by which being called something else multiplies them.
        undefined: a word for each of these that the images leave open ("never said").
    """

    name: str
    support: int
    sensitivity: Number
    false_alarm: Number
    precision: Number
    likelihood_ratio_positive: Number
    likelihood_ratio_negative: Number
    undefined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary(Section):
    """The whole report in a few plain sentences and figures.

    Attributes:
        accuracy: fraction of images called rightly.
        examples: how many images were judged.
        log_loss: mean, in nats.
        calibration_error: expected calibration error, a fraction.
        bins: the bins of the calibration error.
        readings: the classes; the best and the worst precision become sentences.
        sentences: further ones, in the caller's words.
        level: credible level of the intervals.
        verdict: what makes it no classifier, if anything; it comes first.
        judged: which images were judged, behind "images".
    """

    accuracy: Number
    examples: int
    log_loss: float | None = None
    calibration_error: float | None = None
    bins: int = 15
    readings: tuple[ClassReading, ...] = ()
    sentences: tuple[str, ...] = ()
    level: float = 0.95
    verdict: str = ""
    judged: str = "it never learned from"


@dataclass(frozen=True)
class Source:
    """One source of data.

    Attributes:
        path: the archive or folder.
        use: what it was for ("training and validation", "training only", "test").
        examples: images taken from it.
        content_hash: of its images and labels, hexadecimal.
    """

    path: str
    use: str
    examples: int
    content_hash: str = ""


@dataclass(frozen=True)
class Training(Section):
    """What was trained on what, and how it could be done again.

    Attributes:
        sources: where the images came from.
        samples: how many images each use got ({"training": 6400, "validation": 800}).
        recipe: the four keys data, model, loss and optimization, each a sentence or a mapping of options.
        seed: the one seed.
        selection: the rule by which weights were kept, one sentence.
        elapsed_s: duration of the training, seconds.
        threads: processor threads used.
        versions: package to version.
    """

    sources: tuple[Source, ...]
    samples: Mapping[str, int] = field(default_factory=dict)
    recipe: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    seed: int | None = None
    selection: str = ""
    elapsed_s: float | None = None
    threads: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassCounts(Section):
    """How many examples each class has.

    Attributes:
        counts: class name to number of examples.
    """

    counts: Mapping[str, int]


@dataclass(frozen=True)
class LearningCurves(Section):
    """Loss and accuracy after each epoch; series left out are not drawn.

    Attributes:
        epochs: epoch numbers (E,).
        train_loss: mean loss on training data (E,), NaN where unknown.
        validation_loss: mean log-loss on validation data (E,), nats.
        train_accuracy: fractions (E,).
        validation_accuracy: fractions (E,).
        best_epoch: the epoch whose weights were kept.
    """

    epochs: npt.ArrayLike
    train_loss: npt.ArrayLike | None = None
    validation_loss: npt.ArrayLike | None = None
    train_accuracy: npt.ArrayLike | None = None
    validation_accuracy: npt.ArrayLike | None = None
    best_epoch: int | None = None


@dataclass(frozen=True)
class LossCurves(Section):
    """Up to two losses after each epoch.

    Attributes:
        epochs: epoch numbers (E,).
        losses: one or two series (E,) by name; the first is drawn solid.
        quantity: what they measure, the label of the axis.
        best_epoch: the epoch whose weights were kept, if one was chosen.
    """

    epochs: npt.ArrayLike
    losses: Mapping[str, npt.ArrayLike]
    quantity: str = "loss (nats)"
    best_epoch: int | None = None


@dataclass(frozen=True)
class GeneratedImages(Section):
    """Images that a model made.

    Attributes:
        images: uint8 (N, H, W) or (N, H, W, 3).
    """

    images: ImageArray


@dataclass(frozen=True)
class Reconstructions(Section):
    """Images and how their codes bring them back.

    Attributes:
        originals: uint8 (N, H, W) or (N, H, W, 3).
        copies: the same shape.
    """

    originals: ImageArray
    copies: ImageArray


@dataclass(frozen=True)
class ConfusionTable(Section):
    """Who was taken for whom.

    Attributes:
        matrix: counts (K, K), rows true, columns predicted; an array, or a sparse one of SciPy.
        classes: names (K,).
        worst: how many of the most confused pairs to put into words.
    """

    matrix: npt.ArrayLike | sparray
    classes: tuple[str, ...]
    worst: int = 5


@dataclass(frozen=True)
class PerClass(Section):
    """Each class as a diagnostic test, in a table.

    Attributes:
        readings: one for each class.
        base_rates: where the base rates behind the precision come from ("the test images", "your prior").
        level: credible level of the intervals.
    """

    readings: tuple[ClassReading, ...]
    base_rates: str = "the test images"
    level: float = 0.95


@dataclass(frozen=True)
class PrecisionCurve:
    """What being called one class is worth, at every base rate.

    Attributes:
        name: the class.
        base_rate: ascending base rates (G,) in (0, 1].
        precision: at each of them (G,).
        low: lower ends of the intervals (G,), or None.
        high: upper ends (G,), or None.
        sample_rate: base rate among the test images.
        stated_rate: base rate the user stated, if any.
    """

    name: str
    base_rate: npt.ArrayLike
    precision: npt.ArrayLike
    low: npt.ArrayLike | None = None
    high: npt.ArrayLike | None = None
    sample_rate: float | None = None
    stated_rate: float | None = None


@dataclass(frozen=True)
class PrecisionCurves(Section):
    """Precision against base rate, for a class to be chosen on the page.

    A curve takes about 6 kB of the page and a twentieth of a second; leave out what nobody will look up.

    Attributes:
        curves: one for each class that can be chosen.
        chosen: name of the class shown first; the first curve when empty.
        log: a logarithmic axis of base rates.
    """

    curves: tuple[PrecisionCurve, ...]
    chosen: str = ""
    log: bool = True


@dataclass(frozen=True)
class ReliabilityDiagram(Section):
    """Whether stated probabilities come true.

    Attributes:
        data: from ``bayesight.evaluation.reliability``.
    """

    data: Reliability


@dataclass(frozen=True)
class Picture:
    """One image with what is known of it.

    Attributes:
        image: uint8, (H, W) grey or (H, W, 3) RGB.
        label: its label, the truth as far as known; empty without one.
        prediction: the class it was called.
        probability: of the prediction, a fraction.
        path: where it comes from.
        label_probability: of the label, a fraction; shown for suspicious labels.
    """

    image: ImageArray
    label: str
    prediction: str
    probability: float
    path: str = ""
    label_probability: float | None = None


@dataclass(frozen=True)
class Mistakes(Section):
    """The most confident mistakes, as pictures.

    Attributes:
        pictures: worst first; the first 60 are shown.
        total: how many mistakes there are in all.
    """

    pictures: tuple[Picture, ...]
    total: int | None = None


@dataclass(frozen=True)
class SuspiciousLabels(Section):
    """Labels that the other images speak against, as pictures.

    Attributes:
        pictures: most suspicious first; the first 60 are shown.
        total: how many are suspicious in all.
    """

    pictures: tuple[Picture, ...]
    total: int | None = None


@dataclass(frozen=True)
class Quarantine(Section):
    """Files that could not be read, and why.

    Attributes:
        items: (path, reason) of each; the first 200 are shown.
        ignored: other files that were no images and were passed over.
    """

    items: tuple[tuple[str, str], ...] = ()
    ignored: int = 0


@dataclass(frozen=True)
class Conflict:
    """One image that is there under several labels.

    Attributes:
        labels: the classes it was found in.
        paths: where.
        image: uint8, (H, W) or (H, W, 3), or None.
    """

    labels: tuple[str, ...]
    paths: tuple[str, ...]
    image: ImageArray | None = None


@dataclass(frozen=True)
class Duplicates(Section):
    """Images that are there more than once.

    Attributes:
        groups: sets of identical images.
        extra: images beyond the first of each set.
        near_groups: sets of images that are almost identical, or None when nobody looked.
        conflicts: identical images with different labels; the first 60 are shown.
    """

    groups: int
    extra: int
    near_groups: int | None = None
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of a story.

    Attributes:
        title: what was done.
        words: what came of it.
        command: the command line that does it, if any.
        elapsed_s: how long it took, seconds.
    """

    title: str
    words: str
    command: str = ""
    elapsed_s: float | None = None


@dataclass(frozen=True)
class Steps(Section):
    """Steps in their order, as of the demonstration.

    Attributes:
        steps: the steps.
    """

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Prose(Section):
    """Words for which no other section is made; give it a heading.

    Attributes:
        paragraphs: plain text.
    """

    paragraphs: tuple[str, ...]
