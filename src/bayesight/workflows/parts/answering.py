"""Parts evaluated, answered, counted and looked at, a task a part: what reading many images needs."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from bayesight.belief.classifier import Classes, Classifier
from bayesight.checks import check
from bayesight.data.parts import PartsManifest, SourcePart
from bayesight.evaluation import Answers
from bayesight.files import make_folder
from bayesight.language import marked
from bayesight.run import Run
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.workflows.answer_table import table_of
from bayesight.workflows.belief import belief_of
from bayesight.workflows.evaluate import Evaluation, Likelihoods, answers_about
from bayesight.workflows.infer_prior import InferredPrior, infer_from
from bayesight.workflows.parts.absorbing import by_digest
from bayesight.workflows.parts.duplicates import parts_folder, with_rows_of_parts
from bayesight.workflows.parts.engine import Work, computed
from bayesight.workflows.parts.jobs import (
    PartsJob,
    ShownParts,
    computed_files,
    labelled_part,
    opened_part,
    plain_part,
    unlabelled_part,
)
from bayesight.workflows.predict import Readings, answer_blocks
from bayesight.workflows.priors import parse_prior
from bayesight.workflows.sources import AS_IT_IS, SCORED, SourceOptions

MOST_FOR_PRIOR = 100_000
"""Images of which base rates are inferred; of more those with the smallest digests, a sample at random."""


@dataclass(frozen=True)
class _Task:
    """A part, and how it is read."""

    part: SourcePart
    options: SourceOptions


@dataclass(frozen=True)
class PartsEvaluation:
    """An evaluation on the parts that could be read.

    Args:
        run: the run.
        evaluation: the numbers.
        job: the parts.
        learned: how many of the images the run has learned from.
        chosen: how many of the others chose its weights.
    """

    run: Run
    evaluation: Evaluation
    job: PartsJob
    learned: int
    chosen: int

    @property
    def seen_note(self) -> str:
        """A sentence on the images that are not new to the run; empty where all are."""
        seen = self.learned + self.chosen
        return (
            marked(f"{seen:,} of the {self.run.reads} are not new to the run: the figures flatter it")
            if seen
            else ""
        )

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        seen = {"trained": self.learned, "validated": self.chosen}
        tree = {"run": str(self.run.folder), **self.evaluation.as_dict(), "seen_in_training": seen}
        return tree | {"parts": self.job.as_dict()}


@dataclass(frozen=True)
class PartsAnswers:
    """Tables of answers, one a part.

    Args:
        folder: where they are.
        classes: of the run.
        job: the parts.
        answered: images that were answered now.
        unread: images that could not be read now.
    """

    folder: Path
    classes: Classes
    job: PartsJob
    answered: int
    unread: int

    def text(self) -> str:
        """The same for people."""
        return marked(
            f"{self.folder}: {self.classes.counted(self.answered)} answered, {self.unread:,} not read; "
            f"{self.job.text()}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        counts = {"answered": self.answered, "unread": self.unread}
        return {"path": str(self.folder), **counts, "parts": self.job.as_dict()}


def evaluate_parts(
    run_path: str | Path,
    manifest_path: str | Path,
    *,
    prior: str | None = None,
    cluster: str | None = None,
    options: SourceOptions = AS_IT_IS,
    progress: ShownParts | None = None,
) -> PartsEvaluation:
    """Measure a run on the labelled images of parts, as ``evaluate`` does on those of one source.

    Of each image its answer comes back, 48 bytes, and no posterior.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable: what was given cannot be read, or no part.
        InvalidInput: a prior that is none, no manifest, or no such cluster.
    """
    run = Run.open(run_path)
    classifier = belief_of(run)
    names = classifier.classes.names
    stated = None if prior is None else parse_prior(prior, names, classifier.prior)
    job, found = _done(_evaluate_part, (classifier, stated), manifest_path, cluster, options, progress)
    learned = chosen = 0
    for _, _, digests in found:
        ids = torch.from_numpy(digests)
        masks = with_rows_of_parts(classifier, parts_folder(run), ids).seen(ids)
        learned, chosen = learned + int(masks[0].sum()), chosen + int(masks[1].sum())
    answers = Answers.joined([answers for _, answers, _ in found])
    figures = Evaluation(names, answers, None if stated is None else stated.numpy(), lambda: [])
    return PartsEvaluation(run, figures, job, learned, chosen)


def infer_parts(
    run_path: str | Path,
    manifest_path: str | Path,
    *,
    level: float = 0.9,
    seed: int = 0,
    cluster: str | None = None,
    options: SourceOptions = AS_IT_IS,
    progress: ShownParts | None = None,
) -> tuple[InferredPrior, PartsJob]:
    """Infer the base rates of the unlabelled images of parts, as ``infer_prior`` does of one source.

    Of more than ``MOST_FOR_PRIOR`` images those with the smallest digests are taken, the same for any order.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable: what was given cannot be read, or no part.
        InvalidInput: a level outside (0, 1), no manifest, or no such cluster.
    """
    check(0 < level < 1, "--level", f"got {level:g}", "a share strictly between 0 and 1")
    classifier = belief_of(Run.open(run_path))
    job, found = _done(_describe_part, classifier, manifest_path, cluster, options, progress, _fewest)
    digests = np.concatenate([digests for _, _, _, digests in found])
    few = torch.from_numpy(by_digest(digests)[:MOST_FOR_PRIOR].copy())
    likelihoods = torch.cat([some for _, some, _, _ in found])[few]
    novelty = torch.cat([some for _, _, some, _ in found])[few]
    made = infer_from(classifier, likelihoods, novelty, level=level, seed=seed)
    return replace(made, source={"parts": job.as_dict()}), job


def answer_parts(
    run_path: str | Path,
    manifest_path: str | Path,
    to: str | Path,
    how: Readings | None = None,
    *,
    cluster: str | None = None,
    options: SourceOptions = AS_IT_IS,
    progress: ShownParts | None = None,
) -> PartsAnswers:
    """Classify the images of parts into a folder of Parquet tables, one a part, named by the part's key.

    The columns are those of ``write_answers``. A part whose table is there already, from the same belief and
    the same options, is not read again.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable: what was given cannot be read, or no part.
        InvalidInput: options that are none, no manifest, or no such cluster.
        StorageFailed: a table cannot be written.
    """
    how = how or Readings()
    check(not how.same_subject, "--parts", "given with --same-subject", "one of the two")
    classifier, folder = belief_of(Run.open(run_path)), Path(to)
    make_folder(folder, "a folder for the tables")
    told = f"{classifier.digest()} {how} {options.container}"
    asked = hashlib.blake2b(told.encode(), digest_size=4).hexdigest()
    manifest = PartsManifest.open(manifest_path)
    paths = [folder / f"{part.key}-{asked}.parquet" for part in manifest.parts]
    job, answered, unread = PartsJob(len(paths), progress), 0, 0
    tasks = [_Task(part, options) for part in manifest.parts]

    def fail(at: int, reason: str) -> None:
        job.fail(manifest.parts[at], reason)

    work = computed_files(_answer_part, (classifier, how), tasks.__getitem__, paths, cluster, fail)
    for at, sent in work:
        with pq.ParquetFile(paths[at]) as table:
            rows, read = table.metadata.num_rows, table.read(["error"])["error"].null_count
        job.take(rows if sent is None else read, sent)
        if sent is not None:
            answered, unread = answered + read, unread + rows - read
    job.require_any()
    return PartsAnswers(folder, classifier.classes, job, answered, unread)


def inspect_parts(
    manifest_path: str | Path,
    *,
    cluster: str | None = None,
    options: SourceOptions = AS_IT_IS,
    progress: ShownParts | None = None,
) -> tuple[dict[str, Any], PartsJob]:
    """Count the classes, the images, what is broken and what is there twice in parts.

    Raises:
        SourceNotFound, SourceUnreadable: no manifest, or no part that can be read.
        InvalidInput: no such cluster.
    """
    job, found = _done(_inspect_part, None, manifest_path, cluster, options, progress)
    classes: Counter[str] = Counter()
    for _, facts, _ in found:
        classes.update(facts["classes"])
    words = np.concatenate([np.ascontiguousarray(d).view("<u8")[:, 0] for _, _, d in found])
    shapes = sorted({tuple(facts["shape"]) for _, facts, _ in found})
    document = {
        "images": job.images,
        "classes": dict(sorted(classes.items())),
        "duplicates": len(words) - len(np.unique(words)),
        "quarantined": sum(facts["quarantined"] for _, facts, _ in found),
        "shapes": [list(shape) for shape in shapes],
        "parts": job.as_dict(),
    }
    return document, job


def inspection_text(document: dict[str, Any], job: PartsJob) -> str:
    """The findings of ``inspect_parts``, for people."""
    classes = [f"  {name}  {count:,}" for name, count in document["classes"].items()]
    head = marked(
        f"{document['images']:,} images of {len(classes):,} classes; {document['duplicates']:,} are there "
        f"twice, {document['quarantined']:,} quarantined"
    )
    return "\n".join([head, *classes, job.text()])


def _done(
    work: Work,
    context: Any,
    manifest_path: str | Path,
    cluster: str | None,
    options: SourceOptions,
    progress: ShownParts | None,
    fewer: Callable[[dict[int, Any]], dict[int, Any]] = lambda values: values,
) -> tuple[PartsJob, list[Any]]:
    """The result of a task of each part that can be read, in the order of the manifest; images come first.

    ``fewer`` lets go of what is not needed of the results that are there.
    """
    manifest = PartsManifest.open(manifest_path)
    job = PartsJob(len(manifest.parts), progress)
    values: dict[int, Any] = {}
    for outcome in computed(work, context, [_Task(part, options) for part in manifest.parts], cluster):
        if outcome.reason:
            job.fail(manifest.parts[outcome.task], outcome.reason)
            continue
        values[outcome.task] = outcome.value
        values = fewer(values)
        job.take(outcome.value[0], _bytes(outcome.value))
    job.require_any()
    return job, [values[at] for at in sorted(values)]


def _fewest(values: dict[int, Any]) -> dict[int, Any]:
    """Descriptions of parts without the images that the prior will not take, once they are many."""
    places = sorted(values)
    sizes = [len(values[at][3]) for at in places]
    if sum(sizes) <= 2 * MOST_FOR_PRIOR:
        return values
    taken = np.zeros(sum(sizes), bool)
    taken[by_digest(np.concatenate([values[at][3] for at in places]))[:MOST_FOR_PRIOR]] = True
    found = {}
    for at, some in zip(places, np.split(taken, np.cumsum(sizes)[:-1]), strict=True):
        count, likelihoods, novelty, digests = values[at]
        rows = torch.from_numpy(some)
        found[at] = count, likelihoods[rows], novelty[rows], digests[some]
    return found


def _bytes(value: Sequence[Any]) -> int:
    """The bytes of the arrays that a task gave."""
    arrays = [one for part in value for one in (vars(part).values() if isinstance(part, Answers) else [part])]
    return sum(one.nbytes for one in arrays if isinstance(one, np.ndarray | Tensor))


def _evaluate_part(context: tuple[Classifier, Tensor | None], task: _Task) -> tuple[int, Answers, np.ndarray]:
    """The answers to a part's labelled images, and their digests."""
    classifier, stated = context
    with labelled_part(task.part, classifier.classes, task.options, parts=SCORED) as (data, _):
        features = classifier.features(data.examples.in_order(EVALUATION_BATCH))
        true = torch.from_numpy(data.examples.labels)
        answers = answers_about(classifier, Likelihoods(classifier.log_likelihood, features), true, stated)
        return len(true), answers, np.ascontiguousarray(data.digests)


def _describe_part(classifier: Classifier, task: _Task) -> tuple[int, Tensor, Tensor, np.ndarray]:
    """Log-likelihoods and novelty of a part's images, at most as many as the prior takes."""
    with unlabelled_part(task.part, classifier.classes, task.options) as (examples, store):
        digests = np.ascontiguousarray(np.asarray(store.digests)[examples.rows])
        few = np.sort(by_digest(digests)[:MOST_FOR_PRIOR])
        some = replace(examples, rows=examples.rows[few], labels=examples.labels[few])
        features = classifier.features(some.in_order(EVALUATION_BATCH))
        likelihoods = classifier.log_likelihood(features)
        return len(digests), likelihoods, classifier.novelty(features, likelihoods), digests[few]


def _answer_part(context: tuple[Classifier, Readings], task: _Task) -> bytes:
    """A Parquet table of answers to a part's images, which are named by the address of the part."""
    classifier, how = context
    out, names, url = io.BytesIO(), classifier.classes.names, task.part.url
    container = replace(task.options.container, share=task.part.share)
    schema = table_of([], names, how).schema
    with opened_part(task.part) as (path, _, _found), pq.ParquetWriter(out, schema) as writer:
        for block in answer_blocks(classifier, [path], how, container):
            rows = [replace(row, path=url + row.path.removeprefix(str(path))) for row in block.rows]
            writer.write_table(table_of(rows, names, how))
    return out.getvalue()


def _inspect_part(_: None, task: _Task) -> tuple[int, dict[str, Any], np.ndarray]:
    """Counts of a part, and the digests of its images."""
    with plain_part(task.part, task.options) as (store, _found):
        facts = {
            "classes": dict(store.manifest.counts),
            "quarantined": len(store.manifest.quarantined),
            "shape": store.manifest.shape,
        }
        return len(store), facts, np.array(store.digests)
