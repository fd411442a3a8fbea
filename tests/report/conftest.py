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


def reading(support: int, **rates: r.Estimate) -> dict:
    """A class read as a test; a rate without a value is infinite, or open."""
    undefined = {
        n: "infinite" if e.mean > 0 else "never said" for n, e in rates.items() if not np.isfinite(e.mean)
    }
    values = {n: None if n in undefined else e.mean for n, e in rates.items()}
    intervals = {n: [e.low, e.high] for n, e in rates.items()}
    return {"support": support, **values, "undefined": undefined, "intervals": intervals}


def readings_of(matrix: np.ndarray, classes: tuple[str, ...]) -> dict[str, dict]:
    """Every class of a confusion matrix as a test."""
    c = one_vs_rest(matrix)
    out = {}
    for k, name in enumerate(classes):
        tp, fn, fp, tn = (int(x[k]) for x in (c.tp, c.fn, c.fp, c.tn))
        s, f = rate_of(tp, tp + fn), rate_of(fp, fp + tn)
        plus = r.Estimate(s.mean / f.mean, s.low / f.high, s.high / f.low)
        minus = r.Estimate(
            (1 - s.mean) / (1 - f.mean), (1 - s.high) / (1 - f.low), (1 - s.low) / (1 - f.high)
        )
        out[name] = reading(
            tp + fn,
            sensitivity=s,
            false_alarm=f,
            precision=rate_of(tp, tp + fp),
            likelihood_ratio_positive=plus,
            likelihood_ratio_negative=minus,
        )
    return out


def curve_of(name: str, read: dict, stated: float | None) -> r.PrecisionCurve:
    """Precision of a class over base rates from one in ten thousand to all."""
    g = np.geomspace(1e-4, 1, 60)
    s, f = (r.Estimate(read[n], *read["intervals"][n]) for n in ("sensitivity", "false_alarm"))
    at = lambda a, b: g * a / (g * a + (1 - g) * b)  # noqa: E731
    low, high = at(s.low, f.high), at(s.high, f.low)
    return r.PrecisionCurve(name, g, at(s.mean, f.mean), low, high, 0.1, stated)


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
        "optimization": {"name": "nesterov", "lr": 0.2, "schedule": "one-cycle", "epochs": 20, "bf16": True},
    }
    return (
        partial(
            r.summary,
            rate_of(right, n),
            n,
            log_loss=0.1734,
            calibration_error=diagram.expected_error,
            by_chance=0.008,
            bins=15,
            readings=readings,
        ),
        partial(
            r.training,
            {
                "sources": [
                    {"source": "notMNIST_real8k.tar.gz", "images": 7998, "content_hash": "9f2b61c4e07ad1c3"},
                    {"source": "from-fonts.tar.gz", "images": 12_000, "content_hash": "03bb52a0f9e1d6aa"},
                ],
                "examples": {"train": 18_398, "validation": 800, "also": 0},
                "seed": 7,
                "selection": "the epoch with the least log-loss on the validation images",
                "seconds": {"training": 143.2},
                "hardware": {"threads": 2, "torch": "2.13.0"},
                "bayesight": "0.1.0",
            },
            recipe,
        ),
        partial(r.class_counts, {name: int((labels == i).sum()) for i, name in enumerate(classes)}),
        partial(
            r.learning_curves,
            {
                "validation": 1.7 * np.exp(-epochs / 4) + 0.21 + rng.normal(0, 0.015, 20) + 0.003 * epochs,
                "training": 1.9 * np.exp(-epochs / 4) + 0.16 + rng.normal(0, 0.01, 20),
            },
            1 - 0.55 * np.exp(-epochs / 4) - 0.045 + rng.normal(0, 0.003, 20),
            best_epoch=17,
        ),
        partial(r.confusion_table, matrix, classes),
        partial(r.per_class, readings),
        partial(r.precision_curves, tuple(curve_of(name, readings[name], 0.01) for name in classes[:curves])),
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
            (
                Conflict(("I/a.png", "J/b.png"), {"I": 1, "J": 1}),
                Conflict(("D/c.png", "O/c.png"), {"D": 1, "O": 1}),
            ),
        ),
    )


def belief_sections(classes: tuple[str, ...], seed: int = 0) -> tuple[partial, ...]:
    """The sections of the Bayesian layer."""
    rng = np.random.default_rng(seed)
    k = len(classes)
    g = np.geomspace(1e-4, 1, 101)
    positive = g * 0.99 / (g * 0.99 + (1 - g) * 0.10)
    here = rng.dirichlet(np.full(k, 0.5))
    before = rng.uniform(0.9, 0.98, k)
    before[-3:] = np.nan
    after = np.where(np.isnan(before), rng.uniform(0.86, 0.93, k), before - rng.uniform(0, 0.01, k))
    many = [np.full(k, 1 / k), rng.dirichlet(np.full(k, 0.4)), rng.dirichlet(np.full(k, 0.08))]
    return (
        partial(
            r.belief_steps,
            ("ill", "healthy"),
            {"prior": [0.1, 0.9], "1st positive": [0.9167, 0.0833], "2nd positive": [0.9991, 0.0009]},
        ),
        partial(r.counted_people, 0.10, 0.99, 0.10),
        partial(
            r.posterior_by_prevalence,
            g,
            positive,
            0.1,
        ),
        partial(
            r.belief_steps,
            classes,
            dict(zip(("prior", "1st", "2nd photograph"), many, strict=True)),
            heading="A second reading of the same subject",
        ),
        partial(
            r.base_rates,
            classes,
            np.full(k, 1 / k),
            [r.Estimate(p, max(p - 0.02, 0), min(p + 0.02, 1)) for p in here.tolist()],
            method="Inferred from 2,000 unlabelled images, by expectation-maximisation after calibration.",
            measures={"accuracy": (rate_of(1900, 2000), rate_of(1941, 2000))},
        ),
        partial(
            r.novelty,
            rng.normal(0, 1, 2000),
            rng.normal(4.2, 1.4, 1500),
            threshold=1.645,
            level=0.05,
            auroc=0.986,
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
            measures={
                "accuracy, old classes": (0.951, 0.947),
                "accuracy, new classes": (math.nan, 0.93),
                "accuracy, all classes": (0.664, 0.934),
            },
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

    def method(name: str, test: tuple[float, ...], published: dict[str, float] | None) -> dict:
        spreads = {
            a: {"median": t, "low": t - 0.02, "high": t + 0.02} for a, t in zip(agreement, test, strict=True)
        }
        train = {a: {"median": a, "low": a, "high": a} for a in (0.9, 0.8)}
        words = {"title": f"way {name}", "sees": f"hint {name}", "published": published}
        return {**words, "validation": train, "test": spreads}

    methods = {
        "ordinary": method("ordinary", falling, {"train": 0.874, "test": 0.171}),
        "adjusted": method("adjusted", level, None),
    }
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
    return (
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
        partial(r.causal_graph, graph, "treatment", "success", held=("size",), sentences=("Hold size.",)),
        partial(
            r.seeing_and_doing,
            "success",
            answers,
            fraction=True,
            headline="It turns round.",
            others={"by weights": gap.estimate},
            sentences=("A note.",),
            level=0.9,
        ),
        partial(r.strata_table, small, ("A", "B")),
    )


@pytest.fixture(scope="session")
def tasks():
    """Sections about places in images."""
    rows = {"road": r.Estimate(0.9, 0.85, 0.94), "bike": r.Estimate(math.nan, math.nan, math.nan)}
    picture = np.full((20, 30, 3), 90, np.uint8)
    return (
        partial(
            r.cases, [r.Card(picture, "worst", ["mean IoU 0.1"], "street/7.png")], "The image, the truth."
        ),
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
