"""Questions about images: an answer out of those that were learned, with a calibrated posterior."""

from __future__ import annotations

import functools
import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor, nn

from bayesight import report
from bayesight.bayes.calibrate import Calibration, apply, fit_bcts
from bayesight.bayes.rates import Estimate
from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data.annotated import AnnotatedImages, as_tensor, own_picture, picture_of
from bayesight.data.annotations import Question
from bayesight.data.augment import SceneAugment
from bayesight.data.codecs import png_of
from bayesight.data.readers import QuestionReader
from bayesight.data.text import KnownWords
from bayesight.errors import listed
from bayesight.evaluation.bootstrap import bootstrap_interval
from bayesight.evaluation.calibration import Answers, Reliability
from bayesight.formatting import columns, decimal, padded, percent
from bayesight.language import marked, tr
from bayesight.letters.questions import question_lines, shape_scenes
from bayesight.models.questions import build_question_model
from bayesight.report.overlays import in_colour
from bayesight.report.pictures import font_for
from bayesight.run_schema import MOST_CLASSES, TaskFile
from bayesight.training.engine import Batch, Loss
from bayesight.training.recipe import DataKey, Recipe
from bayesight.types import FloatArray, ImageArray, IntArray
from bayesight.values import Name, Within
from bayesight.workflows.tasks.base import (
    Asked,
    ImageAnswer,
    ImageTask,
    Judgement,
    Trained,
    at_rates,
    in_percent,
    measures_of,
    rates_of,
    weights_at,
)

BINS = 15
ASKED = 20
"""Questions about an image that a step takes, at most; the others wait for another step."""
TOGETHER = 16
"""Images that the network is shown at a time."""
LONGEST = 128
"""Words of a question that are read; what comes after is not."""
KINDS = 12
"""Kinds of questions that are measured by themselves; the rarer ones are taken together."""
SHOWN = 5
"""Answers that are told of a question."""
STRANGE = -1
"""The number of an answer that was never learned."""
_SIDE = 320  # pixels of the side of a drawing, at least

Questions: TypeAlias = tuple[Question, ...]
Images = AnnotatedImages[Questions]


class QuestionFile(TaskFile):
    """``task.json`` of a run that answers questions.

    Args:
        words: of the questions that were learned from.
        answers: (K,) that were learned, the run's classes.
        temperature: log-posteriors are divided by it.
    """

    words: Sequence[Name] = ()
    answers: Sequence[Name] = ()
    temperature: Annotated[float, Within(1e-3, 1e4)] = 1.0


TrainedNet = Trained[QuestionFile]


class AskTask(ImageTask[Questions, QuestionFile]):
    """Answers questions about images."""

    name, kind, model = "ask", "questions", "relation"
    file = QuestionFile
    measure = ("accuracy", "accuracy")
    meant = ("head.", "question.embedding.")
    asks = "question"
    glyphs = False

    def meanings(self, classes: Classes, facts: QuestionFile) -> object:
        """Answers and words."""
        return tuple(facts.answers), tuple(facts.words)

    def reader(self, data: DataKey, trained: TrainedNet | None) -> QuestionReader:
        """The reader of questions with answers."""
        return QuestionReader()

    def learned(
        self, train: Images, validation: Images, data: DataKey
    ) -> tuple[tuple[str, ...], QuestionFile, tuple[str, ...]]:
        """The answers as classes, their shares, and the words of the questions."""
        moved = f"{data.augment.name!r}, which moves what a question may be about"
        check(data.augment.name == "none", "data.augment", moved, "none for --task ask")
        counts = Counter(one.answer for asked in train.annotations for one in asked)
        answers = tuple(sorted(counts))
        check(len(answers) >= 2, train.source, f"one answer, {listed(answers)}", "at least two answers")
        came = f"{len(answers):,} different answers"
        check(len(answers) <= MOST_CLASSES, train.source, came, f"at most {MOST_CLASSES:,}")
        words = KnownWords.of(one.question for asked in train.annotations for one in asked)
        check(bool(words.known), train.source, "questions without a word", "words")
        total = counts.total()
        shares = [counts[one] / total for one in answers]
        facts = QuestionFile(shares=shares, words=list(words.known), answers=list(answers))
        kinds = Counter(_kind(one) for asked in train.annotations for one in asked)
        each = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common(KINDS))
        each += ", ..." * (len(kinds) > KINDS)
        common = ", ".join(
            f"{answer} {percent(count / total)}" for answer, count in counts.most_common(SHOWN)
        )
        held = sum(map(len, validation.annotations))
        said = [
            marked(
                f"learns from {total:,} questions ({each}) of {len(words.known):,} words; "
                f"{held:,} are held out"
            ),
            marked(f"the most common answers: {common}"),
        ]
        strange = Counter(
            one.answer for asked in validation.annotations for one in asked if one.answer not in counts
        )
        return answers, facts, (*said, *_strange_answers(strange, marked("learned from")))

    def network(self, recipe: Recipe, classes: Classes, facts: QuestionFile) -> nn.Module:
        """A network of ``QUESTION_MODELS``."""
        model, symbols, answers = recipe.model, len(facts.words) + 1, len(classes.names)
        return build_question_model(
            model.name, classes.image_shape, symbols, answers, seed=recipe.seed, **model.options
        )

    def batch(
        self,
        images: Tensor,
        annotations: Sequence[Questions],
        facts: QuestionFile,
        augment: SceneAugment | None,
        generator: torch.Generator,
    ) -> Batch:
        """Images, words (B, Q, L) and places of the answers (B, Q), as many questions of every image."""
        each = min(ASKED, max(map(len, annotations)))
        drawn = []
        for asked in annotations:
            order = torch.randperm(len(asked), generator=generator).tolist()
            drawn.append([asked[order[n % len(order)]] for n in range(each)])
        words = _padded([[one.question for one in asked] for asked in drawn], facts)
        place = {answer: number for number, answer in enumerate(facts.answers)}
        return images, words, torch.tensor([[place[one.answer] for one in asked] for asked in drawn])

    def loss(self, recipe: Recipe, facts: QuestionFile) -> Loss:
        """Cross-entropy of the answers, nats."""
        smoothing = recipe.loss.options.get("label_smoothing", 0.0)

        def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
            images, words, answers = batch
            logits = model(images, words).float().flatten(0, 1)
            return {"total": F.cross_entropy(logits, answers.flatten(), label_smoothing=smoothing)}

        return terms

    def look(self, trained: TrainedNet, images: Images) -> Mapping[str, float]:
        """Log-loss of an answer, nats, and the share that is right."""
        found = _answered(trained, images)
        known = found.labels != STRANGE
        log_p, labels = found.log_p[known], found.labels[known]
        right = (found.log_p.argmax(1) == found.labels).double().mean()
        return {
            "log_loss": float(F.nll_loss(log_p, labels)) if len(labels) else 0.0,
            "accuracy": float(right),
        }

    def calibrated(self, trained: TrainedNet, images: Images) -> QuestionFile:
        """A temperature."""
        found = _answered(trained, images)
        known = found.labels != STRANGE
        if not bool(known.any()):
            return trained.facts
        fitted = fit_bcts(found.log_p[known], found.labels[known], bias=False)
        return trained.facts.model_copy(update={"temperature": fitted.temperature})

    def judge(self, trained: TrainedNet, images: Images, prior: Tensor | None) -> Judgement:
        """Accuracy by kind of question, log-loss and calibration of the answers; cases beside the truth."""
        found = _Measured(trained, images, _answered(trained, images), prior)
        check(len(found.known) > 0, images.source, "no question whose answer was learned", "some")
        weight = float(found.weights[found.known].sum())
        check(weight > 0, "--prior", "nothing for the answers of these images", "a share for one of them")
        return Judgement(found.figures, found.text, tuple(found.sections()))

    def scenes(
        self, glyphs: ImageArray, labels: IntArray, names: Sequence[str], count: int, seed: int
    ) -> Iterator[tuple[str, bytes]]:
        """Pictures of six shapes, which need no glyphs, and twenty questions about each."""
        made = shape_scenes(count, seed=seed)
        paths = [f"images/{number:05}.png" for number in range(count)]
        for path, image in zip(paths, made.images, strict=True):
            yield path, png_of(image)
        yield "questions.jsonl", "\n".join([*question_lines(made, paths), ""]).encode()

    def answer(self, trained: TrainedNet, blob: bytes, asked: Asked) -> ImageAnswer:
        """The answers to a question with their probabilities."""
        check(bool(asked.question.strip()), "--question", "no question", "one, as 'What shape is it?'")
        words = KnownWords(trained.facts.words)
        strange = words.strange(asked.question)
        check(
            len(words.encode(asked.question)) > 0,
            "--question",
            f"{asked.question!r}, of whose words none was seen in training",
            f"some of {listed(_some(trained.facts.words))}",
        )
        pixels, _ = picture_of(blob, trained.classes.frame)
        with torch.no_grad():
            logits = trained.network(as_tensor(pixels[None]), _padded([[asked.question]], trained.facts))
        p = _posterior(trained, logits[0].float().log_softmax(-1), prior=asked.prior).exp()[0]
        order = p.argsort(descending=True).tolist()
        answers = {trained.classes.names[row]: float(p[row]) for row in order}
        told = ", ".join(f"{answer} {percent(share)}" for answer, share in list(answers.items())[:SHOWN])
        text = f"{asked.question} {told}"
        if strange:
            text += marked(f"\n  never seen in training, and left out: {listed(strange, quoted=True)}")
        row = {
            "question": asked.question,
            "answer": trained.classes.names[order[0]],
            "probability": float(p[order[0]]),
            "answers": answers,
            "unseen_words": list(strange),
        }
        return ImageAnswer(row, text, _captioned(own_picture(blob), (asked.question, told)))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Every question of images: log-probabilities (M, K) float64, true answers (M,), the images (M,)."""

    log_p: Tensor
    labels: Tensor
    image: IntArray


@dataclass(frozen=True, eq=False)
class _Measured:
    """Answers beside the truth, at the training's base rates or at stated ones."""

    trained: TrainedNet
    images: Images
    rows: _Rows
    prior: Tensor | None

    @cached_property
    def questions(self) -> Questions:
        """(M,), in the order of the rows."""
        return tuple(one for asked in self.images.annotations for one in asked)

    @cached_property
    def log_p(self) -> Tensor:
        """Calibrated log-posteriors (M, K), nats."""
        return _posterior(self.trained, self.rows.log_p, prior=self.prior)

    @cached_property
    def known(self) -> IntArray:
        """Rows whose answer was learned."""
        found: IntArray = np.flatnonzero(self.rows.labels.numpy() != STRANGE)
        return found

    @cached_property
    def weights(self) -> FloatArray:
        """(M,) how much a question counts, so that the answers have the stated base rates."""
        labels = self.rows.labels.numpy()
        if self.prior is None:
            return np.ones(len(labels))
        counts = np.bincount(labels[self.known], minlength=len(self.prior))
        ratio = weights_at(self.prior.numpy(), counts)
        return np.where(labels == STRANGE, 0.0, ratio[labels])

    @cached_property
    def right(self) -> FloatArray:
        """(M,) 1 where the answer is right."""
        return (self.log_p.argmax(1) == self.rows.labels).numpy().astype(float)

    def accuracy(self, chosen: IntArray) -> Estimate:
        """The share of these rows that is right, with its interval by drawing the images anew."""
        weights, image = self.weights[chosen], self.rows.image[chosen]
        count = len(self.images)
        right = np.bincount(image, weights * self.right[chosen], count)
        asked = np.bincount(image, weights, count)

        def measure(drawn: FloatArray) -> float:
            total = float(drawn @ asked)
            return float(drawn @ right) / total if total > 0 else math.nan

        return Estimate(measure(np.ones(count)), *bootstrap_interval(measure, count))

    @cached_property
    def overall(self) -> Estimate:
        """Accuracy of all questions."""
        return self.accuracy(np.arange(len(self.questions)))

    @cached_property
    def kinds(self) -> Mapping[str, IntArray]:
        """The rows of each kind of question, the most common first."""
        named = [_kind(one) for one in self.questions]
        common = [kind for kind, _ in Counter(named).most_common(KINDS)]
        places = np.array([common.index(kind) if kind in common else len(common) for kind in named])
        return {
            kind: np.flatnonzero(places == number)
            for number, kind in enumerate((*common, "others"))
            if (places == number).any()
        }

    @property
    def counts(self) -> dict[str, int]:
        """The number of questions of each kind."""
        return {kind: len(rows) for kind, rows in self.kinds.items()}

    @cached_property
    def by_kind(self) -> Mapping[str, Estimate]:
        """Accuracy of each kind of question."""
        return {kind: self.accuracy(rows) for kind, rows in self.kinds.items()}

    def calibration(self, log_p: Tensor) -> tuple[float, Reliability]:
        """Log-loss and reliability of log-posteriors (M, K), where the answer was learned."""
        found = Answers.of(log_p[self.known], self.rows.labels[self.known])
        return found.log_loss(self.weights[self.known]), found.reliability(
            BINS, weights=self.weights[self.known]
        )

    @cached_property
    def calibrated(self) -> tuple[float, Reliability]:
        """Log-loss and reliability of the posteriors."""
        return self.calibration(self.log_p)

    @cached_property
    def strange_words(self) -> tuple[str, ...]:
        """Words of the questions that were never learned from."""
        words = KnownWords(self.trained.facts.words)
        return tuple(dict.fromkeys(word for one in self.questions for word in words.strange(one.question)))

    @cached_property
    def strange_answers(self) -> Counter[str]:
        """Answers that were never learned, and how many questions have them."""
        labels = self.rows.labels.tolist()
        return Counter(
            one.answer for one, label in zip(self.questions, labels, strict=True) if label == STRANGE
        )

    @cached_property
    def figures(self) -> dict[str, Any]:
        """The measures for ``--json``."""
        log_loss, reliability = self.calibrated
        raw = _posterior(self.trained, self.rows.log_p, prior=self.prior, temperature=1.0)
        return {
            "examples": len(self.images),
            "questions": len(self.questions),
            "accuracy": self.overall.mean,
            "accuracy_interval": [self.overall.low, self.overall.high],
            "log_loss": log_loss,
            "ece": reliability.expected_error,
            "ece_bins": BINS,
            "ece_before_temperature": self.calibration(raw)[1].expected_error,
            "temperature": self.trained.facts.temperature,
            "reliability": reliability.as_dict(),
            "prior": rates_of(self.prior, self.trained.classes.names),
            "per_kind": measures_of(self.by_kind, "accuracy", self.counts, "questions"),
            "unseen_words": list(self.strange_words),
            "unseen_answers": dict(self.strange_answers),
        }

    @cached_property
    def text(self) -> str:
        """The measures in a line, and the kinds of questions in a table."""
        log_loss, reliability = self.calibrated
        lines = [
            tr(
                "{images:,} images, {questions:,} questions: {right} right, log-loss {loss:.4f}, calibration "
                "error {error} over {bins} bins",
                images=len(self.images),
                questions=len(self.questions),
                right=in_percent(self.overall),
                loss=log_loss,
                error=decimal(reliability.expected_error, 4),
                bins=BINS,
            )
        ]
        width = max(map(columns, self.by_kind))
        lines += [
            f"  {padded(kind, width)}  "
            + tr("{share} of {count:,}", share=in_percent(one), count=self.counts[kind])
            for kind, one in self.by_kind.items()
        ]
        lines += _strange_answers(self.strange_answers, marked("learned"))
        if self.strange_words:
            lines.append(
                marked(f"words never seen in training: {listed(_some(self.strange_words), quoted=True)}")
            )
        return "\n".join(lines)

    def sections(self) -> Iterator[report.Section]:
        """The report: the figures, cases, kinds, reliability."""
        yield report.prose(tr("How well it answers"), *self.text.splitlines()[:1])
        yield report.cases(
            self.cases(),
            tr("The image, a question about it, the answer with its probability, and the truth."),
        )
        heading = tr("Accuracy of each kind of question")
        yield report.measures_by_class(heading, self.by_kind, self.counts, tr("accuracy"), tr("questions"))
        yield report.reliability_diagram(self.calibrated[1], "answer")

    def cases(self) -> Iterator[report.Card]:
        """The two best, most typical and worst answers, by the probability of the true one."""
        true = self.log_p.gather(1, self.rows.labels.clamp_min(0)[:, None])[:, 0]
        for title, row in report.telling(true.where(self.rows.labels != STRANGE, math.nan).tolist()):
            one, image = self.questions[row], int(self.rows.image[row])
            best = int(self.log_p[row].argmax())
            share = percent(float(self.log_p[row, best].exp()))
            given = f"{self.trained.classes.names[best]} ({share})"
            truth = tr("right") if self.right[row] else tr("it is {answer}", answer=one.answer)
            picture = in_colour(self.images.pixels[image])
            yield report.Card(picture, title, [f"{one.question} {given}: {truth}"], self.images.paths[image])


@torch.no_grad()
def _answered(trained: TrainedNet, images: Images) -> _Rows:
    """The network's own answer to every question, of so many images at a time."""
    place = {answer: number for number, answer in enumerate(trained.facts.answers)}
    pieces = [
        (row, asked[start : start + 4 * ASKED])
        for row, asked in enumerate(images.annotations)
        for start in range(0, len(asked), 4 * ASKED)
    ]
    parts: list[Tensor] = []
    for start in range(0, len(pieces), TOGETHER):
        rows, asked = zip(*pieces[start : start + TOGETHER], strict=True)
        words = _padded([[one.question for one in some] for some in asked], trained.facts)
        logits = (
            trained.network(images.tensor(np.array(rows)).to(trained.device), words.to(trained.device))
            .float()
            .cpu()
        )
        parts += [one[: len(some)].double().log_softmax(-1) for one, some in zip(logits, asked, strict=True)]
    labels = [place.get(one.answer, STRANGE) for asked in images.annotations for one in asked]
    image = np.repeat(np.arange(len(images)), [len(asked) for asked in images.annotations])
    return _Rows(torch.cat(parts), torch.tensor(labels), image)


def _posterior(
    trained: TrainedNet, log_p: Tensor, *, prior: Tensor | None, temperature: float | None = None
) -> Tensor:
    """Calibrated log-posteriors (M, K), nats, at the training's base rates or at stated ones (K,)."""
    facts, none = trained.facts, torch.zeros(len(trained.classes.names), dtype=torch.float64)
    calibration = Calibration(temperature or facts.temperature, none)
    return at_rates(apply(calibration, log_p), facts.shares, prior)


def _padded(questions: Sequence[Sequence[str]], facts: QuestionFile) -> Tensor:
    """Words of questions (P, Q, L) as numbers, 0 where there is none."""
    words = _vocabulary(tuple(facts.words))
    each = [[words.encode(one)[:LONGEST] for one in asked] for asked in questions]
    longest = max([1, *(len(one) for asked in each for one in asked)])
    found = np.zeros((len(each), max(map(len, each)), longest), np.int64)
    for row, asked in enumerate(each):
        for place, one in enumerate(asked):
            found[row, place, : len(one)] = one
    return torch.from_numpy(found)


@functools.lru_cache(maxsize=4)
def _vocabulary(words: tuple[str, ...]) -> KnownWords:
    return KnownWords(words)


def _kind(question: Question) -> str:
    """The kind of a question; its first word where none is given."""
    return question.kind or next(iter(question.question.casefold().split()), "")


def _strange_answers(counts: Mapping[str, int], what: str) -> list[str]:
    """A sentence on answers that cannot be given, where there are some."""
    if not counts:
        return []
    many = sum(counts.values())
    have = marked("question has an answer") if many == 1 else marked("questions have answers")
    count = marked("it counts") if many == 1 else marked("they count")
    return [marked(f"{many:,} {have} never {what}, {listed(_some(counts), quoted=True)}; {count} as wrong")]


def _some(names: Sequence[str] | Mapping[str, int], most: int = 8) -> list[str]:
    """The first of many names."""
    return list(names)[:most]


def _captioned(image: ImageArray, lines: Sequence[str]) -> ImageArray:
    """An image with lines of text below it, a small one enlarged by repeating its pixels."""
    picture = Image.fromarray(in_colour(image))
    factor = max(1, -(-_SIDE // max(picture.size)))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    font = font_for("".join(lines), max(12, picture.width // 28))
    text = "\n".join(part for line in lines for part in textwrap.wrap(line, picture.width // 8))
    bottom = ImageDraw.Draw(picture).multiline_textbbox((4, 4), text, font)[3]
    page = Image.new("RGB", (picture.width, picture.height + round(bottom) + 8), "white")
    page.paste(picture)
    ImageDraw.Draw(page).multiline_text((4, picture.height + 4), text, "black", font)
    return np.asarray(page)
