"""A report with every section, from synthetic data that look like a real evaluation."""

import math
import re
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.special import betaincinv

from bayesight import report as r
from bayesight.causal import Dag, EffectEstimate, Strata
from bayesight.causal.potential_outcomes import Contrast
from bayesight.data.audit import Conflict
from bayesight.evaluation import confusion_matrix, one_vs_rest, reliability

LETTERS = tuple("ABCDEFGHIJ")


def rate_of(k: float, n: float) -> r.Estimate:
    """A counted rate with its Jeffreys interval."""
    a, b = k + 0.5, n - k + 0.5
    return r.Estimate(a / (a + b), float(betaincinv(a, b, 0.025)), float(betaincinv(a, b, 0.975)))


def posteriors(classes: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-posteriors (n, classes) that are right about nineteen times in twenty, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) * 1.5
    logits[np.arange(n), labels] += rng.gamma(9, 1.0, n)
    logits[labels == classes - 1, classes - 2] += 2.5
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True), labels


def letter(name: str, seed: int, size: int = 28) -> np.ndarray:
    """A white letter on black, turned and scaled a little."""
    rng = np.random.default_rng(seed)
    image = Image.new("L", (size, size))
    font = ImageFont.load_default(size=int(size * rng.uniform(0.8, 1.0)))
    ImageDraw.Draw(image).text((size / 2, size / 2), name[:1], fill=255, font=font, anchor="mm")
    return np.asarray(image.rotate(rng.uniform(-14, 14), Image.Resampling.BILINEAR))


def readings_of(matrix: np.ndarray, classes: tuple[str, ...]) -> tuple[r.ClassReading, ...]:
    """Every class of a confusion matrix as a test."""
    c = one_vs_rest(matrix)
    out = []
    for k, name in enumerate(classes):
        tp, fn, fp, tn = (int(x[k]) for x in (c.tp, c.fn, c.fp, c.tn))
        s, f = rate_of(tp, tp + fn), rate_of(fp, fp + tn)
        plus = r.Estimate(s.mean / f.mean, s.low / f.high, s.high / f.low)
        minus = r.Estimate(
            (1 - s.mean) / (1 - f.mean), (1 - s.high) / (1 - f.low), (1 - s.low) / (1 - f.high)
        )
        out.append(r.ClassReading(name, tp + fn, s, f, rate_of(tp, tp + fp), plus, minus))
    return tuple(out)


def curve_of(reading: r.ClassReading, stated: float | None) -> r.PrecisionCurve:
    """Precision of a class over base rates from one in ten thousand to all."""
    g = np.geomspace(1e-4, 1, 60)
    s, f = reading.sensitivity, reading.false_alarm
    at = lambda a, b: g * a / (g * a + (1 - g) * b)  # noqa: E731
    low, high = at(s.low, f.high), at(s.high, f.low)
    return r.PrecisionCurve(reading.name, g, at(s.mean, f.mean), low, high, 0.1, stated)


def classifier_sections(classes: tuple[str, ...], n: int = 3000, curves: int = 12) -> tuple[partial, ...]:
    """The sections of the main job, each a function with what it is given."""
    log_p, labels = posteriors(len(classes), n, 0)
    predicted = log_p.argmax(axis=1)
    matrix = confusion_matrix(labels, predicted, classes)
    readings = readings_of(matrix, classes)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-log_p[wrong, predicted[wrong]])][:14]
    pictures = tuple(
        r.Picture(
            letter(classes[labels[i]], int(i)),
            classes[labels[i]],
            classes[predicted[i]],
            float(np.exp(log_p[i, predicted[i]])),
            f"notMNIST/{classes[labels[i]]}/Rm9udC1u{i}udHRm.png",
            float(np.exp(log_p[i, labels[i]])),
        )
        for i in wrong
    )
    epochs = np.arange(1, 21)
    rng = np.random.default_rng(1)
    right = int(np.trace(matrix))
    diagram = reliability(log_p, labels)
    recipe = {
        "data": {"source": "notMNIST_real8k.tar.gz", "size": [28, 28], "augment": "glyph"},
        "model": {"name": "resnet", "width": 32, "depth": 3, "parameters": 222_134},
        "loss": {"name": "cross-entropy", "label_smoothing": 0.1, "class_weights": None},
        "optimization": "Nesterov 0.2, one-cycle with 20 % warm-up, 20 epochs of batches of 128, bf16",
    }
    return (
        partial(
            r.summary,
            rate_of(right, n),
            n,
            log_loss=0.1734,
            calibration_error=diagram.expected_error,
            readings=readings,
        ),
        partial(
            r.training,
            (
                r.TrainingSource(
                    "../shared/data/notMNIST_real8k.tar.gz",
                    "training and validation",
                    7998,
                    "9f2b61c4e07ad1c3",
                ),
                r.TrainingSource("letters-from-fonts.tar.gz", "training only", 12_000, "03bb52a0f9e1d6aa"),
            ),
            samples={"training": 18_398, "validation": 800, "test": n},
            recipe=recipe,
            seed=7,
            selection="the epoch with the least log-loss on the validation images",
            elapsed_s=143.2,
            threads=2,
            versions={"bayesight": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"},
        ),
        partial(r.class_counts, {name: int((labels == i).sum()) for i, name in enumerate(classes)}),
        partial(
            r.learning_curves,
            epochs,
            train_loss=1.9 * np.exp(-epochs / 4) + 0.16 + rng.normal(0, 0.01, 20),
            validation_loss=1.7 * np.exp(-epochs / 4) + 0.21 + rng.normal(0, 0.015, 20) + 0.003 * epochs,
            train_accuracy=1 - 0.6 * np.exp(-epochs / 4) - 0.01,
            validation_accuracy=1 - 0.55 * np.exp(-epochs / 4) - 0.045 + rng.normal(0, 0.003, 20),
            best_epoch=17,
        ),
        partial(r.confusion_table, matrix, classes),
        partial(r.per_class, readings),
        partial(r.precision_curves, tuple(curve_of(x, 0.01) for x in readings[:curves]), chosen=classes[1]),
        partial(r.reliability_diagram, diagram),
        partial(r.mistakes, pictures, total=int((predicted != labels).sum())),
        partial(r.suspicious_labels, pictures[:4], total=31),
        partial(
            r.quarantine,
            (
                (
                    "notMNIST/A/RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png",
                    "the file is empty (0 bytes)",
                ),
                ("notMNIST/F/Q3Jvc3NvdmVyIEJvbGRPYmxpcXVlLnR0Zg==.png", "the file is empty (0 bytes)"),
            ),
            ignored=3,
        ),
        partial(
            r.duplicates,
            121,
            164,
            near_groups=37,
            conflicts=(
                Conflict(("I/a.png", "J/b.png"), {"I": 1, "J": 1}),
                Conflict(("D/c.png", "O/c.png"), {"D": 1, "O": 1}),
            ),
        ),
    )


def belief_sections(classes: tuple[str, ...], seed: int = 0) -> tuple[partial, ...]:
    """The sections of the Bayesian layer."""
    rng = np.random.default_rng(seed)
    k = len(classes)
    g = np.linspace(0, 1, 101)
    positive = g * 0.99 / (g * 0.99 + (1 - g) * 0.10)
    negative = g * 0.01 / (g * 0.01 + (1 - g) * 0.90)
    here = rng.dirichlet(np.full(k, 0.5))
    before = rng.uniform(0.9, 0.98, k)
    before[-3:] = np.nan
    after = np.where(np.isnan(before), rng.uniform(0.86, 0.93, k), before - rng.uniform(0, 0.01, k))
    many = [np.full(k, 1 / k), rng.dirichlet(np.full(k, 0.4)), rng.dirichlet(np.full(k, 0.08))]
    return (
        partial(
            r.belief_steps,
            ("ill", "healthy"),
            (
                r.BeliefStep("prior", [0.1, 0.9]),
                r.BeliefStep("1st positive", [0.9167, 0.0833], np.log(0.108)),
                r.BeliefStep("2nd positive", [0.9991, 0.0009], np.log(0.9083)),
            ),
        ),
        partial(r.counted_people, 0.10, 0.99, 0.10),
        partial(
            r.posterior_by_prevalence,
            g,
            positive,
            after_negative=negative,
            low=positive * 0.93,
            high=1 - (1 - positive) * 0.9,
            here=0.1,
        ),
        partial(
            r.belief_steps,
            classes,
            tuple(r.BeliefStep(t, p) for t, p in zip(("prior", "1st", "2nd photograph"), many, strict=True)),
            heading="A second reading of the same subject",
        ),
        partial(
            r.base_rates,
            classes,
            np.full(k, 1 / k),
            here,
            low=np.clip(here - 0.02, 0, 1),
            high=np.clip(here + 0.02, 0, 1),
            method="Inferred from 2,000 unlabelled images, by expectation-maximisation after calibration.",
            measures=(
                r.Comparison("accuracy", rate_of(1900, 2000), rate_of(1941, 2000)),
                r.Comparison("log-loss", 0.192, 0.141, fraction=False),
            ),
        ),
        partial(
            r.novelty,
            rng.normal(0, 1, 2000),
            unknown=rng.normal(4.2, 1.4, 1500),
            threshold=1.645,
            level=0.05,
            auroc=rate_of(1479, 1500),
            fpr95=0.061,
            source="MNIST",
        ),
        partial(
            r.update_change,
            classes,
            before,
            after,
            1000,
            elapsed_s=0.0382,
            new_classes=classes[-3:],
            trust_past=0.2,
            measures=(
                r.Comparison("accuracy, old classes", 0.951, 0.947),
                r.Comparison("accuracy, all classes", 0.664, 0.934),
            ),
        ),
        partial(
            r.steps,
            (
                r.Step(
                    "Render letters from fonts",
                    "1,000 letters in ten classes, from 42 fonts.",
                    "bayesight data render letters.tar.gz",
                    1.9,
                ),
                r.Step(
                    "Train",
                    "It reached 95.1 % on letters kept back.",
                    "bayesight train letters.tar.gz --out runs/demo",
                    31.0,
                ),
                r.Step(
                    "Ask at another base rate",
                    "Where one letter in a hundred is a B, a B is worth 71 %.",
                    "bayesight predict runs/demo b.png --prior B=0.01",
                ),
            ),
        ),
        partial(r.prose, "A last word", "Something nobody foresaw.", "A note."),
    )


@pytest.fixture(scope="session")
def classifier():
    """The sections of the main job, for ten letters."""
    return classifier_sections(LETTERS, curves=4)


@pytest.fixture(scope="session")
def beliefs():
    """The sections of the Bayesian layer, for ten letters."""
    return belief_sections(LETTERS)


@pytest.fixture(scope="session")
def shifts():
    """The section on data that shift."""
    agreement = tuple(k / 10 for k in range(1, 10))
    falling, level = tuple(0.1 + 0.8 * a for a in agreement), (0.67,) * 9

    def method(name: str, test: tuple[float, ...], published: tuple[float, float] | None) -> r.ShiftMethod:
        low, high = (tuple(t + d for t in test) for d in (-0.02, 0.02))
        return r.ShiftMethod(name, f"way {name}", f"hint {name}", (0.9, 0.8), test, low, high, published)

    methods = (method("ordinary", falling, (0.874, 0.171)), method("adjusted", level, None))
    return (
        partial(
            r.shift_table,
            methods,
            (0.9, 0.8),
            agreement,
            ("ordinary", "adjusted"),
            chosen="adjusted",
            ceiling=0.75,
            seeds=5,
        ),
    )


@pytest.fixture(scope="session")
def makers():
    """Sections of models that make images."""
    pictures = np.stack([letter("A", 1), letter("B", 2)])
    losses = {"generator": [1.2, 0.9, 0.8], "discriminator": [0.6, 0.65, 0.67]}
    return (
        partial(r.loss_curves, [1, 2, 3], losses, best_epoch=2),
        partial(r.generated_images, pictures),
        partial(r.network_input, pictures, "cut to its middle"),
        partial(r.reconstructions, pictures, pictures[:, ::-1]),
    )


@pytest.fixture(scope="session")
def causes():
    """Sections of a causal question: two treatments of kidney stones."""
    gap = Contrast("A", "B", r.Estimate(-0.046, -0.105, 0.013))
    seen = EffectEstimate("counts", {"A": rate_of(273, 350), "B": rate_of(289, 350)}, (gap,))
    done = EffectEstimate("strata", {"A": r.Estimate(0.833, 0.79, 0.87), "B": r.Estimate(0.779, 0.72, 0.83)})
    arrows = (("size", "treatment"), ("size", "success"), ("treatment", "success"))
    rows, means = np.array([[87.0], [270.0]]), np.array([[0.931], [0.867]])
    small = Strata(("size",), (("small",),), rows, rows, means, means, True, ("A", "B"))
    graph = Dag(("size", "treatment", "success"), arrows)
    answers = {"as they are": seen, "if it were set": done}
    return (
        partial(r.causal_graph, graph, "treatment", "success", held=("size",)),
        partial(r.seeing_and_doing, "success", answers, fraction=True),
        partial(r.strata_table, small, ("A", "B")),
    )


@pytest.fixture(scope="session")
def tasks():
    """Sections about places in images."""
    rows = {"road": r.Estimate(0.9, 0.85, 0.94), "bike": r.Estimate(math.nan, math.nan, math.nan)}
    picture = np.full((20, 30, 3), 90, np.uint8)
    return (
        partial(r.cases, [r.Case("worst", picture, "street/7.png", "mean IoU 0.1")], "The image, the truth."),
        partial(r.measures_by_class, "Overlap", rows, {"road": 1200, "bike": 0}, "IoU", "pixels"),
    )


@pytest.fixture(scope="session")
def given(classifier, beliefs, shifts, makers, causes, tasks):
    """The sections of a report of everything, each a function with what it is given."""
    return (*classifier, *beliefs, *shifts, *makers, *causes, *tasks)


@pytest.fixture(scope="session")
def full(given):
    """A report of everything."""
    return r.Report(
        "Ten letters, read by a small residual network",
        tuple(make() for make in given),
        "runs/real",
        "21 November 2025, 21:12",
    )


@pytest.fixture(scope="session")
def page(full):
    """That report as HTML."""
    return r.render(full)


class Outline(HTMLParser):
    """Checks that tags are balanced, and keeps what the tests ask about."""

    VOID = frozenset({"meta", "img", "input", "br", "wbr", "link"})

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids, self.attributes, self.headings, self.text = [], [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="session")
def outline():
    """Reads a page and returns its outline, having checked its balance."""

    def read(html: str) -> Outline:
        parsed = Outline()
        parsed.feed(html)
        parsed.close()
        assert parsed.open == []
        return parsed

    return read
