"""Labelled images by the part taken into a run's belief: the same bits on one core and on a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from bayesight.bayes.head.gaussian import log_evidence
from bayesight.bayes.head.state import GaussianHead, empty
from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classifier
from bayesight.belief.held_parts import image_keys
from bayesight.belief.part_statistics import LARGE, PartStatistics, added, merged, subtracted
from bayesight.belief.updating import LearningOptions, without_emptied
from bayesight.checks import check
from bayesight.data.parts import PartsManifest
from bayesight.errors import SourceUnreadable
from bayesight.files import make_folder, write_atomic
from bayesight.language import marked
from bayesight.run import Run
from bayesight.types import IntArray
from bayesight.workflows.belief import belief_lock, check_alone
from bayesight.workflows.parts.absorbing import AbsorbTask, absorb_part, by_digest, reader_of_parts
from bayesight.workflows.parts.duplicates import Duplicates, find_duplicates, parts_folder
from bayesight.workflows.parts.engine import connected
from bayesight.workflows.parts.jobs import PartsJob, ShownParts, computed_files, keep_hashes
from bayesight.workflows.sources import AS_IT_IS, SourceOptions, class_numbers


@dataclass(frozen=True)
class PartsUpdate:
    """The result of an update by parts.

    Args:
        run: the run.
        job: the parts that are done, and those that are missing with their reasons.
        held: parts that the belief held before; they change nothing.
        absorbed: images taken in, or whose label was corrected.
        repeated: images that had this label before, or in an earlier part.
        superseded: labels that a later one of the same image replaced.
        was: class -> how many images had it before.
        new_classes: names that were not known before.
        log_evidence: log p(these images | everything before), nats.
        digest: of the belief's statistics, 32 hexadecimal digits: equal for equal bits.
        notes: what is to be said of a part, by its address.
    """

    run: Run
    job: PartsJob
    held: int
    absorbed: int
    repeated: int
    superseded: int
    was: Mapping[str, int]
    new_classes: tuple[str, ...]
    log_evidence: float
    digest: str
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        tree = {k: v for k, v in vars(self).items() if k not in ("run", "job")}
        tree |= {"corrected": sum(self.was.values()), "parts": self.job.as_dict()}
        return {"run": str(self.run.folder), "seconds": self.job.seconds} | tree

    def text(self) -> str:
        """The same for people."""
        counted, before = self.run.classes().counted, sum(self.was.values())
        count, job = f"{self.absorbed:,}", self.job.text()
        lines = [
            marked(f"absorbed {count} texts: {job}")
            if self.run.reads == "texts"
            else marked(f"absorbed {count} images: {job}")
        ]
        told = [
            (self.held, marked(f"{self.held:,} parts are in the belief already, and change nothing")),
            (before, marked(f"{counted(before)} had another label before")),
            (self.repeated, marked(f"{counted(self.repeated)} came again, which changes nothing")),
            (self.superseded, marked(f"{self.superseded:,} labels were replaced by later ones")),
            (len(self.new_classes), marked(f"new classes: {', '.join(self.new_classes)}")),
        ]
        return "\n".join([*lines, *(words for count, words in told if count)])


@dataclass(frozen=True)
class _Absorbed:
    """One part, ready to be added up.

    Args:
        key: of the part.
        file: its statistics.
        minus: the statistics to subtract; None for none.
        place: among the parts.
    """

    key: str
    file: Path
    minus: Path | None
    place: int


def update_by_parts(
    run_path: str | Path,
    manifest_path: str | Path,
    *,
    cluster: str | None = None,
    trust_past: float = 1.0,
    run_only: bool = False,
    options: SourceOptions = AS_IT_IS,
    progress: ShownParts | None = None,
) -> PartsUpdate:
    """Absorb the parts of a manifest into a run's belief.

    The statistics of each part are computed by a task and kept in ``RUN/parts`` until the belief is written,
    so that a job that was interrupted goes on. They are added up in the order of the manifest by a binary
    tree: the belief has the same bits however many workers there are, and whenever they end. It is replaced
    in one step, under the lock that other updates take. A part that fails three times is left out, and named.

    An image that comes in several parts counts once, under its last label; so does one that the belief holds.

    Args:
        run_path: the run folder.
        manifest_path: from ``bayesight data parts``; hashes that become known are written into it.
        cluster: as in ``computed``; None computes the parts one after another.
        trust_past: in (0, 1], how much an image absorbed earlier counts beside a new one.
        run_only: change the run folder also where a ledger goes on from it.
        options: how the parts are read where it does not show.
        progress: told after each part.

    Raises:
        RunUnreadable, SourceNotFound: what was given cannot be read.
        SourceUnreadable: no part could be read, or one changed while the job ran.
        InvalidInput: no manifest, no such cluster, new classes that a reader would take for known ones, or a
            past to be trusted less that holds some parts of the manifest already.
        StorageFailed: a result could not be written, or another update holds the belief for too long.
    """
    LearningOptions(trust_past)
    run, manifest = Run.open(run_path), PartsManifest.open(manifest_path)
    with belief_lock(run), connected(cluster):
        if not run_only:
            check_alone(run)
        before = run.classifier()
        before.classes.require_images("update --parts")
        fresh = tuple(part for part in manifest.parts if part.key not in before.parts.keys)
        held = len(manifest.parts) - len(fresh)
        if fresh:
            check(
                trust_past == 1 or not held,
                f"--trust-past {trust_past:g}",
                f"the past holds {held:,} of the {len(manifest.parts):,} parts, which would count less too",
                "parts of which it holds none",
                "Leave it out: what was before those parts has been trusted less with them. Or make a "
                "manifest of the others alone.",
            )
        job, folder = PartsJob(len(fresh), progress), parts_folder(run)
        make_folder(folder, "a folder for the results of parts")
        reader, key = reader_of_parts(before)
        tasks = [AbsorbTask(part, options) for part in fresh]
        paths, files = [folder / f"{task.key(key)}.stats" for task in tasks], {}

        def fail(at: int, reason: str) -> None:
            job.fail(tasks[at].part, reason)

        for at, sent in computed_files(absorb_part, reader, tasks.__getitem__, paths, cluster, fail):
            job.take(PartStatistics.read(paths[at], without=LARGE).facts["images"], sent)
            files[at] = paths[at]
        job.require_any()
        done = [(task, files[at]) for at, task in enumerate(tasks) if at in files]
        past = before.discount(trust_past) if done and trust_past != 1 else before
        twice = find_duplicates(past, folder, [file for _, file in done])
        minus = _subtractions(reader, key, [task for task, _ in done], twice, folder, cluster)
        ready = [_Absorbed(task.part.key, file, minus.get(at), at) for at, (task, file) in enumerate(done)]
        facts = [PartStatistics.read(one.file, without=LARGE).facts for one in ready]
        after, new = _added(past, ready, facts, twice, options, folder)
        run.save_classifier(after)
        for path in folder.glob("*.stats"):
            path.unlink()
        keep_hashes(
            Path(manifest_path),
            manifest,
            {one.key: fact["hash"] for one, fact in zip(ready, facts, strict=True)},
        )
        elsewhere = twice.repeated + twice.superseded
        return PartsUpdate(
            run,
            job,
            held=held,
            absorbed=sum(f["images"] - f["repeated"] - f["superseded"] for f in facts) - elsewhere,
            repeated=twice.repeated + sum(f["repeated"] for f in facts),
            superseded=twice.superseded + sum(f["superseded"] for f in facts),
            was=dict(twice.was),
            new_classes=new,
            log_evidence=log_evidence(after.head) - log_evidence(past.head),
            digest=after.digest(),
            notes={t.part.name: f["notes"] for (t, _), f in zip(done, facts, strict=True) if f["notes"]},
        )


def _subtractions(
    reader: Classifier,
    key: str,
    tasks: Sequence[AbsorbTask],
    twice: Duplicates,
    folder: Path,
    cluster: str | None,
) -> dict[int, Path]:
    """The files of the statistics of images that were counted elsewhere, by the places of their parts.

    Raises:
        SourceUnreadable: a part that was there a moment ago cannot be read; nothing was changed.
    """
    places = twice.parts()

    def again(at: int) -> AbsorbTask:
        return replace(tasks[places[at]], rows=twice.of_part(places[at]))

    def fail(at: int, reason: str) -> NoReturn:
        raise SourceUnreadable(
            f"{tasks[places[at]].part.name} has images that other parts hold too, and could not be read "
            f"again ({reason}); nothing was changed. Run the command again: what is done is kept."
        )

    paths = [folder / f"{again(at).key(key)}.stats" for at in range(len(places))]
    done = computed_files(absorb_part, reader, again, paths, cluster, fail)
    return {places[at]: paths[at] for at, _ in done}


def _added(
    past: Classifier,
    ready: Sequence[_Absorbed],
    facts: Sequence[Mapping[str, Any]],
    twice: Duplicates,
    options: SourceOptions,
    folder: Path,
) -> tuple[Classifier, tuple[str, ...]]:
    """The belief with all parts, and the names of its new classes; writes which images each part holds."""
    named = tuple(dict.fromkeys(name for fact in facts for name in fact["new_classes"]))
    class_numbers(named, past.classes.names, new_classes=True, similar_names=options.similar_names)
    after = _without_replaced(past, twice).with_classes(named)
    names, head = after.classes.names, after.head
    zero = replace(empty(names, head.shift, head.scale, head.prior), founding=head.founding, kept=head.kept)
    total = merged(_with(zero, one) for one in ready)
    summed = head if total is None else merged([head, total])
    assert summed is not None
    after = replace(after, head=summed)
    rows = _exemplars(after, ready, twice)
    taken = image_keys(rows.digests.numpy())
    held = zero.counts.clone()
    for one in ready:
        part = PartStatistics.read(one.file, without=LARGE)
        gone = np.concatenate([twice.counted_elsewhere(one.place), taken])
        stays = torch.from_numpy(~np.isin(image_keys(part.digests.numpy()), gone))
        write_atomic(folder / f"{one.key}.images", part.images(stays).packed())
        number = torch.tensor([names.index(name) for name in part.classes], dtype=torch.int64)
        held += torch.bincount(number[part.labels[stays].long()], minlength=len(names))
    trained = past.absorbed.trained_on(rows.digests)
    ones = torch.ones(len(rows), dtype=torch.float64)
    absorbed = after.absorbed.with_rows(rows, ones, torch.arange(len(rows)), trained)
    parts = after.parts.with_parts(tuple(one.key for one in ready), held)
    after, gone_names = without_emptied(past, replace(after, absorbed=absorbed, parts=parts))
    return after, tuple(name for name in named if name not in gone_names)


def _with(zero: GaussianHead, one: _Absorbed) -> GaussianHead:
    """The statistics of a part as a head of all classes, less those that are counted elsewhere."""
    part = PartStatistics.read(one.file)
    if one.minus is None:
        return added(zero, part)
    return subtracted(added(zero, part), PartStatistics.read(one.minus))


def _without_replaced(past: Classifier, twice: Duplicates) -> Classifier:
    """The belief without the rows and images of parts whose label is replaced, but with their statistics."""
    after = past
    if twice.rows:
        after = replace(after, absorbed=after.absorbed.without(torch.tensor(twice.rows)))
    for some in twice.released:
        parts = after.parts.without_images(
            torch.from_numpy(np.ascontiguousarray(some["digest"])),
            torch.from_numpy(some["label"].astype(np.int64)),
            torch.from_numpy(np.ascontiguousarray(some["weight"])),
        )
        after = replace(after, parts=parts)
    return after


def _exemplars(after: Classifier, ready: Sequence[_Absorbed], twice: Duplicates) -> Rows:
    """Images of the parts that become rows of the belief, by whose features distances are told.

    Of more than there is room for, the first of each class by their digests, then the second, and so on: the
    same whatever the parts and their order.
    """
    size = after.head.dimension
    features = torch.empty(0, size, dtype=torch.float16)
    digests, labels = torch.empty(0, 16, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    for one in ready:
        part = PartStatistics.read(one.file, without=("sums", "second_moments"))
        rows = part.exemplar_places
        mine = part.digests[rows]
        gone = twice.counted_elsewhere(one.place)
        stays = torch.from_numpy(~np.isin(image_keys(mine.numpy()), gone))
        number = torch.tensor([after.classes.names.index(name) for name in part.classes], dtype=torch.int64)
        features = torch.cat([features, part.exemplars[stays]])
        digests = torch.cat([digests, mine[stays]])
        labels = torch.cat([labels, number[part.labels[rows].long()][stays]])
        chosen = torch.from_numpy(_chosen(labels.numpy(), digests.numpy(), after.room))
        features, digests, labels = features[chosen], digests[chosen], labels[chosen]
    return Rows(features.float(), labels, digests)


def _chosen(labels: IntArray, digests: np.ndarray, room: int) -> IntArray:
    """Places of at most ``room`` rows, the classes in turn, each in the order of its digests."""
    order = by_digest(digests)
    of_class = order[np.argsort(labels[order], kind="stable")]
    rank = np.empty(len(labels), np.int64)
    rank[of_class] = np.arange(len(labels)) - np.searchsorted(labels[of_class], labels[of_class])
    turn: IntArray = order[np.argsort(rank[order], kind="stable")]
    return turn[:room]
