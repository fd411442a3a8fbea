"""The whole story on rendered letters, with no download: every term of Bayes' theorem put to use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bayesight import report
from bayesight.bayes import theorem
from bayesight.bayes.diagnostic import from_rates
from bayesight.data import open_store
from bayesight.data.audit import audit
from bayesight.evaluation import most_confused, one_vs_rest
from bayesight.formatting import decimal, percent
from bayesight.language import marked, tr
from bayesight.letters.glyphs import RenderOptions, render
from bayesight.progress import reporter
from bayesight.report import Estimate, Section, Step
from bayesight.run import Run
from bayesight.seeding import numpy_generator
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.training.events import Listener
from bayesight.training.hardware import default_threads
from bayesight.training.recipe import Recipe
from bayesight.types import FloatArray, Progress, ShownProgress
from bayesight.workflows.evaluate import EvaluateResult, evaluate
from bayesight.workflows.infer_prior import infer
from bayesight.workflows.reporting import (
    data_sections,
    evaluation_sections,
    mistakes,
    novelty_section,
    training_sections,
    write_report,
)
from bayesight.workflows.train import TrainRequest, train
from bayesight.workflows.update import update

KNOWN, LATER, STRANGE = "ABCDEFGH", "IJ", "2345679"
RARE, COMMON = 0.01, 0.6


@dataclass(frozen=True)
class Sizes:
    """Amounts of everything the demonstration uses.

    Args:
        learn: letters of each class to learn from.
        test: letters of each class kept apart, the later classes' too.
        later: letters of each class learned later.
        strange: digits of each kind, none of which is ever learned.
        unlabelled: letters from which base rates are inferred.
        epochs: passes over the letters to learn from.
    """

    learn: int = 220
    test: int = 60
    later: int = 20
    strange: int = 40
    unlabelled: int = 300
    epochs: int = 14


@dataclass(frozen=True)
class Demo:
    """The result of the demonstration: its files, figures and steps.

    Args:
        run: the run folder.
        source: the letters it was trained on.
        report: the page.
        accuracy: on letters kept apart, under the training shares.
        steps: the story; a line of words is a sentence.
    """

    run: Run
    source: Path
    report: Path
    accuracy: float
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "run": str(self.run.folder),
            "source": str(self.source),
            "report": str(self.report),
            "accuracy": self.accuracy,
            "steps": [vars(step) | {"words": step.words.replace("\n", " ")} for step in self.steps],
        }


@dataclass
class _Story:
    """The steps so far, who is told of each, and what they tell of: a run, measured on letters kept apart."""

    out: Path
    tell: Callable[[Step], None]
    steps: list[Step] = field(default_factory=list)

    def begin(self, run: Run, measured: EvaluateResult) -> None:
        """Go on with a run that has been measured."""
        self.run, self.measured = run, measured
        self.classifier, self.labels = run.classifier(), measured.evaluation.labels
        self.names = self.classifier.classes.names
        self.features = self.classifier.features(measured.data.examples.in_order(EVALUATION_BATCH))
        self.log_likelihood = self.classifier.log_likelihood(self.features)

    @contextmanager
    def step(self, title: str, command: str = "") -> Iterator[list[str]]:
        """Time a step; what is put into the list becomes its words, a line each."""
        began = time.perf_counter()
        words: list[str] = []
        yield words
        done = Step(title, "\n".join(words), command, time.perf_counter() - began)
        self.steps.append(done)
        self.tell(done)


def demo(
    out: Path,
    *,
    overwrite: bool = False,
    seed: int = 0,
    threads: int | None = None,
    tell: Callable[[Step], None] = lambda step: None,
    progress: ShownProgress = None,
    listeners: tuple[Listener, ...] = (),
    sizes: Sizes | None = None,
) -> Demo:
    """Render, inspect, train, evaluate, move base rates, read twice, teach new classes, meet the unknown.

    Args:
        out: the run folder; the rendered letters go beside it, to ``OUT-data``.
        overwrite: replace an earlier run there.
        seed: of everything.
        threads: processor threads; None takes all.
        tell: called with each step as it ends.
        progress: told how far rendering is.
        listeners: told every event of training.
        sizes: how much of everything; None takes what shows the story well.

    Raises:
        RunExists: the folder is taken.
        StorageFailed: the disk is full.
    """
    progress = reporter(progress, "rendering")
    folder = Run.check_free(out, overwrite=overwrite)
    torch.set_num_threads(threads or default_threads())
    data = folder.with_name(folder.name + "-data")
    story, sizes = _Story(out, tell), sizes or Sizes()
    sources = _render(story, data, seed, sizes, progress)
    _inspect(story, sources["letters"])
    recipe = Recipe.default("resnet").changed(
        {"seed": seed, "data.batch": 128, "data.validation": 0.2, "optimization.epochs": sizes.epochs}
    )
    with story.step(
        marked("Train"), f"bayesight train {sources['letters']} --out {out} --model resnet"
    ) as words:
        request = TrainRequest(sources["letters"], folder, recipe, overwrite=overwrite, threads=threads)
        result = train(request, listeners=listeners)
        found = result.metrics["validation"]
        words.append(
            marked(
                f"A residual network learned {result.metrics['examples']['train']:,} letters; on "
                f"{found['examples']} held out it is right in {percent(found['accuracy'])}."
            )
        )
    measured = _evaluate(story, result.run, sources)
    story.begin(result.run, measured)
    sections = [
        *_base_rates(story),
        *_second_reading(story),
        *_inferred(story, seed, sizes.unlabelled),
        *_new_classes(story, sources),
    ]
    page = _report(story, sections)
    return Demo(result.run, sources["letters"], page, measured.evaluation.accuracy, tuple(story.steps))


def hardest(log_likelihood: Tensor) -> tuple[int, int, float]:
    """The most doubtful image, its class under equal base rates, and a base rate that changes the answer.

    Args:
        log_likelihood: (N, K), nats.

    Returns:
        The image's row, the class, and the first of .01, .001, ... at which that class is the answer no more.
    """
    before = log_likelihood.softmax(dim=1)
    image = int(before.max(dim=1).values.argmin())
    top = int(before[image].argmax())
    second = float(before[image].topk(2).values[1])
    rate, others = RARE, log_likelihood.shape[1] - 1
    while rate > 1e-9 and float(before[image, top]) * rate >= second * (1 - rate) / others:
        rate /= 10
    return image, top, rate


def doubtful_pair(probability: Tensor, labels: Tensor) -> Tensor:
    """The two images of one class that are least surely right, but more likely right than not.

    With equal base rates, two independent readings that each make a class more likely than not make it
    likelier together than alone: the odds against it are at most (1 - p)(1 - q) / (p q).

    Args:
        probability: of each image's true class (N,).
        labels: true classes (N,).

    Returns:
        Rows of the two (2,), the more doubtful one first.
    """
    unsure = torch.where(probability > 0.5, probability, torch.inf)
    pairs = []
    for label in labels.unique().tolist():
        rows = (labels == label).nonzero()[:, 0]
        pairs.append(rows[unsure[rows].argsort()[:2]])
    sums = torch.stack([unsure[pair].sum() if len(pair) == 2 else torch.tensor(torch.inf) for pair in pairs])
    found: Tensor = pairs[int(sums.argmin())]
    return found


def _render(story: _Story, data: Path, seed: int, sizes: Sizes, progress: Progress | None) -> dict[str, Path]:
    wanted = {
        "letters": (KNOWN, sizes.learn, seed),
        "test": (KNOWN, sizes.test, seed + 1),
        "later": (LATER, sizes.later, seed + 2),
        "later-test": (LATER, sizes.test, seed + 3),
        "strange": (STRANGE, sizes.strange, seed + 4),
    }
    sources = {name: data / f"{name}.tar.gz" for name in wanted}
    command = f"bayesight data render {sources['letters']} --characters {KNOWN} --per-class {sizes.learn}"
    with story.step(marked("Render letters from fonts"), command) as words:
        made = {
            name: render(
                sources[name],
                RenderOptions(characters=characters, images_per_class=count, seed=s),
                overwrite=True,
                progress=progress,
            )
            for name, (characters, count, s) in wanted.items()
        }
        total = sum(summary.examples for summary in made.values())
        fonts = len(made["letters"].fonts)
        words.append(
            marked(
                f"{total:,} images from {fonts} fonts; {KNOWN} to learn, {LATER} for later, digits as "
                "strangers."
            )
        )
    return sources


def _inspect(story: _Story, source: Path) -> None:
    with story.step(marked("Look at the data"), f"bayesight data inspect {source}") as words:
        store = open_store(source)
        found = audit(store)
        words.append(
            marked(
                f"{len(store):,} images of {len(store.classes)} classes, {len(store.manifest.quarantined)} "
                f"broken, {found.extra} there more than once."
            )
        )


def _evaluate(story: _Story, run: Run, sources: dict[str, Path]) -> EvaluateResult:
    command = f"bayesight evaluate {story.out} {sources['test']} --unknown {sources['strange']}"
    title = marked("Measure it on letters kept apart, and on digits it has never seen")
    with story.step(title, command) as words:
        result = evaluate(run.folder, sources["test"], unknown=sources["strange"])
        novelty = result.novelty
        words.append(
            marked(
                f"Of {len(result.evaluation.labels)} letters {percent(result.evaluation.accuracy)} "
                "are called rightly."
            )
        )
        if novelty is not None:
            figures = novelty.as_dict()
            words.append(
                marked(
                    f"Of the digits {percent(figures['unknown_flagged'], 0)} are called unknown, and of the "
                    f"letters {percent(figures['known_flagged'], 0)} (AUROC {decimal(figures['auroc'], 3)})."
                )
            )
    return result


def _base_rates(story: _Story) -> list[Section]:
    """One hard picture under two priors, and the class read as a test."""
    names, log_likelihood = story.names, story.log_likelihood
    uniform = torch.full((len(names),), 1 / len(names), dtype=torch.float64)
    hard, top, rate = hardest(log_likelihood)
    rare = torch.full((len(names),), (1 - rate) / (len(names) - 1), dtype=torch.float64)
    rare[top] = rate
    before = (log_likelihood[hard] + uniform.log()).softmax(dim=0)
    after = (log_likelihood[hard] + rare.log()).softmax(dim=0)
    taken, shown = int(after.argmax()), names[int(story.labels[hard])]
    command = f"bayesight predict {story.out} IMAGE --prior {names[top]}={rate:g}"
    with story.step(marked("Ask again where that letter is rare"), command) as words:
        words += [
            marked(
                f"The hardest letter, drawn as {shown}, is read as {names[top]} (probability "
                f"{percent(float(before[top]))}) where all letters are equally common."
            ),
            marked(
                f"Where one letter in {1 / rate:,.0f} is {names[top]}, the same picture is read as "
                f"{names[taken]} ({percent(float(after[taken]))}), and {names[top]} has "
                f"{percent(float(after[top]))}: another prior, another answer."
            ),
        ]
    rates = one_vs_rest(story.measured.evaluation.confusion)
    sensitivity = float((rates.tp[top] + 0.5) / (rates.tp[top] + rates.fn[top] + 1))
    false_alarm = float((rates.fp[top] + 0.5) / (rates.fp[top] + rates.tn[top] + 1))
    grid = np.geomspace(1e-3, 0.99, 60)
    called = tr("called {name}", name=names[top])
    positive = np.array([from_rates(sensitivity, false_alarm, p).precision.mean for p in grid])
    return [
        report.belief_steps(
            names,
            {tr("prior"): uniform.numpy(), tr("posterior"): before.numpy()},
            heading=tr("A picture where all letters are equally common"),
        ),
        report.belief_steps(
            names,
            {tr("prior"): rare.numpy(), tr("posterior"): after.numpy()},
            heading=tr("The same picture where {name} is one in {many:,.0f}", name=names[top], many=1 / rate),
        ),
        report.counted_people(
            0.1,
            sensitivity,
            false_alarm,
            affected=tr("a {name}", name=names[top]),
            unaffected=tr("another letter"),
            positive=called,
        ),
        report.posterior_by_prevalence(grid, positive, here=0.1),
    ]


def _second_reading(story: _Story) -> list[Section]:
    """Two uncertain pictures of one letter: together they say more than each."""
    names, likelihood, labels = story.names, story.log_likelihood, torch.from_numpy(story.labels)
    pair = doubtful_pair(likelihood.softmax(dim=1).gather(1, labels[:, None])[:, 0], labels)
    truth = names[int(labels[pair[0]])]
    prior = theorem.Belief.uniform(names)
    steps = theorem.sequence(prior, list(likelihood[pair]))
    alike = theorem.sequence(prior, list(likelihood[pair]), dependence=0.5)[-1].posterior
    at = names.index(truth)
    values = [float(step.posterior.log_p[at].exp()) for step in steps]
    command = f"bayesight predict {story.out} FIRST SECOND --same-subject"
    with story.step(marked("Read the same letter twice"), command) as words:
        words += [
            marked(
                f"Two doubtful pictures of one {truth}: after the first its probability is "
                f"{percent(values[0])}, after the second {percent(values[1])} "
                f"({percent(float(alike.log_p[at].exp()))} if the two readings are half dependent)."
            ),
            marked("The posterior of the first reading is the prior of the second."),
        ]
    beliefs = [(tr("prior"), prior.log_p)]
    beliefs += [(tr("reading {number}", number=i), s.posterior.log_p) for i, s in enumerate(steps, 1)]
    return [
        report.belief_steps(
            names,
            {title: log_p.exp().numpy() for title, log_p in beliefs},
            heading=tr("Two readings of one {name}", name=truth),
        )
    ]


def _inferred(story: _Story, seed: int, images: int) -> list[Section]:
    """Base rates nobody told, found from unlabelled letters of a place where a hard one is common."""
    classifier, names, labels = story.classifier, story.names, story.labels
    worst = most_confused(story.measured.evaluation.confusion, limit=1)
    common, rare = (worst[0].true, worst[0].predicted) if worst else (0, 1)
    true = np.full(len(names), (1 - COMMON - RARE) / (len(names) - 2))
    true[[common, rare]] = COMMON, RARE
    weights = true[labels] / np.bincount(labels, minlength=len(names))[labels]
    chosen = numpy_generator(seed, "demo", "sample").choice(len(labels), images, p=weights / weights.sum())
    features = story.features[torch.from_numpy(chosen)]
    title = marked(f"Infer base rates from {images} letters without labels")
    with story.step(title, f"bayesight prior {story.out} LETTERS") as words:
        found = infer(classifier, features, seed=seed)
        log_likelihood, given = classifier.log_likelihood(features), torch.from_numpy(labels[chosen])
        known, inferred = (
            (log_likelihood + prior.log()).softmax(dim=1)
            for prior in (classifier.prior, found.estimate.prior.clamp_min(1e-12))
        )
        scores = [float((p.argmax(dim=1) == given).double().mean()) for p in (known, inferred)]
        sure = [float(p.gather(1, given[:, None]).mean()) for p in (known, inferred)]
        seen = np.bincount(labels[chosen], minlength=len(names)) / len(chosen)
        gap = float(np.abs(found.estimate.prior.numpy() - seen).max())
        words += [
            marked(
                f"In a place where {names[common]} is common ({percent(COMMON, 0)}) and {names[rare]} rare, "
                f"the shares inferred without a label are at most {percent(gap)} from the true ones."
            ),
            _gain(scores, sure),
        ]
    estimate = found.estimate
    return [
        report.base_rates(
            names,
            classifier.prior.numpy(),
            [
                Estimate(*three)
                for three in torch.stack([estimate.prior, estimate.low, estimate.high], 1).tolist()
            ],
            method=found.method,
            measures={tr("accuracy on these letters"): (scores[0], scores[1])},
        )
    ]


def _gain(right: Sequence[float], probability: Sequence[float]) -> str:
    """A sentence on what inferred base rates change: (without, with them) of two measures."""
    if right[1] > right[0]:
        return marked(
            f"With them {percent(right[1])} of the letters are read rightly instead of {percent(right[0])}."
        )
    verb = marked("rises") if probability[1] > probability[0] else marked("does not rise")
    return marked(
        f"Of the letters {percent(right[1])} are read rightly with them, {percent(right[0])} without; the "
        f"mean probability of the right one {verb}: {percent(probability[0])} without, "
        f"{percent(probability[1])} with them."
    )


def _new_classes(story: _Story, sources: dict[str, Path]) -> list[Section]:
    """Two classes from twenty images each, nothing trained again."""
    old, folder, measured = story.names, story.run.folder, story.measured
    title = marked(f"Teach it {' and '.join(LATER)}")
    with story.step(title, f"bayesight update {story.out} {sources['later']}") as words:
        result = update(folder, sources["later"])
        later, again = (evaluate(folder, sources[name]) for name in ("later-test", "test"))
        words += [
            marked(
                f"{result.absorbed} labelled images were absorbed in "
                f"{result.features_s + result.belief_s:.2f} s."
            ),
            marked(
                f"Of the new letters {percent(later.evaluation.accuracy)} are right now, of the old ones "
                f"{percent(again.evaluation.accuracy)} (before: {percent(measured.evaluation.accuracy)})."
            ),
        ]
    names = again.evaluation.classes
    before, after = _sensitivity(measured.evaluation.confusion), _sensitivity(again.evaluation.confusion)
    after[len(old) :] = _sensitivity(later.evaluation.confusion)[len(old) :]
    return [
        report.update_change(
            names,
            np.concatenate([before, np.full(len(names) - len(old), np.nan)]),
            after,
            result.absorbed,
            elapsed_s=result.features_s + result.belief_s,
            new_classes=result.new_classes,
            measures={
                tr("accuracy, old letters"): (measured.evaluation.accuracy, again.evaluation.accuracy),
                tr("accuracy, new letters"): (float("nan"), later.evaluation.accuracy),
            },
        )
    ]


def _report(story: _Story, sections: list[Section]) -> Path:
    note = tr("Judged on letters rendered anew from the same fonts, none of them learned from.")
    run, measured, data = story.run, story.measured, story.measured.data
    summary, *rest = evaluation_sections(measured.evaluation, note=note)
    novelty = [novelty_section(measured.novelty)] if measured.novelty is not None else []
    pages = [
        report.steps(story.steps, heading=marked("The story in steps")),
        summary,
        *training_sections(run),
        *rest,
        mistakes(measured.evaluation, data.examples, data.store),
        *sections,
        *novelty,
        *data_sections(data.store),
    ]
    return write_report(tr("Bayesight: the whole story"), pages, run.folder / "report.html", str(run.folder))


def _sensitivity(confusion: Any) -> FloatArray:
    rows = np.asarray(confusion, dtype=np.float64)
    support = rows.sum(axis=1)
    found: FloatArray = np.where(support > 0, np.diagonal(rows) / np.maximum(support, 1), np.nan)
    return found
