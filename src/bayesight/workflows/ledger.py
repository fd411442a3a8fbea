"""What is done with a whole ledger: check it, replay it, export it, forget somebody, record an update."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bayesight.checks import check
from bayesight.errors import InvalidInput, RunUnreadable
from bayesight.ledger import (
    ChainHead,
    Entry,
    ErasureOutcome,
    LabelRecord,
    LearningOptions,
    Ledger,
    RunRecord,
    Verification,
    begin,
    catch_up,
    erase,
    export,
    learn,
    run_record,
    verify,
)
from bayesight.ledger.discovery import MARK
from bayesight.ledger.erasure import runs_concerned
from bayesight.ledger.records import CHANGES
from bayesight.progress import reporter
from bayesight.run import Run
from bayesight.train.classification import EVALUATION_BATCH
from bayesight.types import ShownProgress
from bayesight.workflows.sources import AS_IT_IS, SourceOptions, read_labelled
from bayesight.workflows.update import UpdateResult

__all__ = [
    "ErasureResult",
    "ReplayResult",
    "erase_from",
    "export_ledger",
    "record_update",
    "replay_run",
    "verify_ledger",
]


@dataclass(frozen=True)
class ReplayResult:
    """A belief built again from its run and the ledger.

    Args:
        run: the base.
        ledger: where the evidence lies, without a password.
        changes: updates, labels taken back, new names and erasures applied.
        position: sequence number of the last of them.
        images: what the belief holds in absorbed images, a sum of weights.
        classes: names it knows.
        belief: its digest.
        exact: every bit is as it was recorded.
        differs_at: the first update whose digest is another one; 0 when there is none.
        elapsed_s: seconds it took.
        out: the run folder it was written to; None when it was not.
    """

    run: Run
    ledger: str
    changes: int
    position: int
    images: float
    classes: tuple[str, ...]
    belief: str
    exact: bool
    differs_at: int
    elapsed_s: float
    out: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        tree = {k: v for k, v in vars(self).items() if k != "elapsed_s"}
        paths = {"run": str(self.run.folder), "out": None if self.out is None else str(self.out)}
        return tree | paths | {"seconds": self.elapsed_s}


@dataclass(frozen=True)
class ErasureResult:
    """What was erased, run by run.

    Args:
        ledger: where, without a password.
        by_run: what was erased of each run; empty when there was nothing.
    """

    ledger: str
    by_run: dict[str, ErasureOutcome]

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints: sums over the runs, and the records of the erasure."""
        found = list(self.by_run.values())
        names = ("labels", "predictions", "other", "unlearned", "in_base")
        sums = {name: sum(getattr(one, name) for one in found) for name in names}
        records = [one.receipt.last for one in found if one.receipt is not None]
        return {"ledger": self.ledger, "runs": sorted(self.by_run), **sums, "records": records}


def verify_ledger(url: str, *, receipt: str = "", progress: ShownProgress = None) -> Verification:
    """Check every record of a ledger.

    Args:
        url: the ledger.
        receipt: ``NUMBER:DIGEST`` of an entry, kept from earlier; may be empty.
        progress: told how many records were checked.

    Raises:
        SourceNotFound, StorageFailed: there is no such ledger, or it cannot be reached.
        LedgerBroken: it cannot even be opened.
        InvalidInput: a receipt that is none.
    """
    progress = reporter(progress, "replaying", "entries")
    kept = _receipt(receipt) if receipt else None
    with Ledger.open(url, create=False) as ledger:
        return verify(ledger, receipt=kept, progress=progress)


def replay_run(
    run_path: str | Path, url: str, *, out: str | Path | None = None, progress: ShownProgress = None
) -> ReplayResult:
    """The belief of a run after everything a ledger holds about it, from the base on.

    Args:
        run_path: the run folder the ledger began with.
        url: the ledger.
        out: a new folder for a copy of the run with this belief; None writes nothing.
        progress: told how many changes were applied.

    Raises:
        RunUnreadable, SourceNotFound: no such run, or no such ledger.
        InvalidInput: the ledger does not know this run, or began with another belief of it.
        RunExists: something is at ``out`` already.
    """
    progress = reporter(progress, "replaying", "entries")
    began = time.perf_counter()
    run = Run.open(run_path)
    if out is not None:
        Run.check_free(out)
    with Ledger.open(url, create=False) as ledger:
        name = run_record(run, run.classifier()).run
        if not ledger.latest(name, RunRecord.kind):
            raise InvalidInput(f"ledger {ledger.url} knows nothing of {run_path}; expected its run.")
        held = begin(ledger, run, fresh=True, progress=progress)
        kinds = CHANGES[1:]
        changes = len(ledger.since(0, run=name, kinds=kinds, limit=2**31))
        shown = ledger.url
    if out is not None:
        target = Run.create(out)
        _copy(run, target)
        target.save_classifier(held.classifier)
    return ReplayResult(
        run=run,
        ledger=shown,
        changes=changes,
        position=held.position,
        images=float(held.classifier.head.counts.sum()),
        classes=held.classifier.classes.names,
        belief=held.belief,
        exact=held.exact,
        differs_at=held.differs_at,
        elapsed_s=time.perf_counter() - began,
        out=None if out is None else Path(out).absolute(),
    )


def export_ledger(url: str, path: str | Path, *, progress: ShownProgress = None) -> int:
    """Write every record to a Parquet or CSV file; the number of them.

    Raises:
        SourceNotFound: no such ledger.
        InvalidInput: a file name that ends otherwise.
        StorageFailed: the ledger cannot be reached, or the file not be written.
    """
    progress = reporter(progress, "replaying", "entries")
    with Ledger.open(url, create=False) as ledger:
        return export(ledger, path, progress=progress)


def erase_from(
    url: str,
    *,
    person: str = "",
    image: str = "",
    run_path: str | Path | None = None,
    progress: ShownProgress = None,
) -> ErasureResult:
    """Erase a person, or an image, from everything a ledger holds.

    Args:
        url: the ledger.
        person: whose records and images.
        image: 32 hexadecimal digits; one of the two.
        run_path: where the run is, if it has moved since the ledger began with it.
        progress: told how many changes of belief were made again.

    Raises:
        SourceNotFound: no such ledger.
        InvalidInput: neither a person nor an image, or both.
        RunUnreadable: a run's folder is gone; without its base no belief can be built anew. What belongs to
            other runs may be erased by then; repeat the command when the run is back.
        StorageFailed: the ledger cannot be written.
    """
    progress = reporter(progress, "replaying", "entries")
    found: dict[str, ErasureOutcome] = {}
    with Ledger.open(url, create=False) as ledger:
        for name in runs_concerned(ledger, person=person, image=image):
            run = _folder_of(ledger, name, run_path)
            held = catch_up(ledger, begin(ledger, run))
            _, found[name] = erase(ledger, held, person=person, image=image, progress=progress)
        return ErasureResult(ledger.url, found)


def record_update(
    run_path: str | Path,
    source: str | Path,
    url: str,
    *,
    learning: LearningOptions,
    person: str = "",
    labels: Path | None = None,
    by_name: bool = False,
    options: SourceOptions = AS_IT_IS,
    second_reading: bool = False,
    progress: ShownProgress = None,
) -> UpdateResult:
    """Labelled images into the belief that a run and its ledger make, as one update of the ledger.

    The run folder stays as it is: it is the base. Services on the same ledger catch up by themselves.

    Args:
        run_path: the run folder.
        source: labelled images; classes that are not known are new classes.
        url: the ledger; made where there is none.
        learning: how the labels are to be taken, or that they are to be taken out again.
        person: who gave the labels; may be empty.
        labels: an IDX source's file of labels, when it is not beside it.
        by_name: labels of IDX data are names of (new) classes, not places in the run's order.
        options: how the source is read where it does not show; of one with parts, the training part is meant.
        second_reading: the labels count beside those their person, or the run, gave the images before.
        progress: told how far reading is.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable: what was given cannot be read.
        InvalidInput: images to remove that were never absorbed, or as a second reading; the ledger began with
            another belief.
        StorageFailed: the ledger could not be written.
    """
    progress = reporter(progress, "replaying", "entries")
    check(not (learning.remove and second_reading), "second_reading", "given with --remove", "one of the two")
    run = Run.open(run_path)
    with Ledger.open(url) as ledger:
        began = time.perf_counter()
        held = begin(ledger, run)
        opened_s = time.perf_counter() - began
        before = held.classifier
        data = read_labelled(
            source, before.classes,
            labels=labels, new_classes=not learning.remove, options=options.named(by_name), progress=progress,
        )  # fmt: skip
        began = time.perf_counter()
        features = before.features(data.examples.in_order(EVALUATION_BATCH)).numpy()
        names = (*before.classes.names, *data.new_classes)
        digests, numbers = data.digests, data.examples.labels
        told = [
            LabelRecord(held.run, bytes(digest).hex(), names[number], person, values, b"", second_reading)
            for digest, number, values in zip(digests, numbers, features, strict=True)
        ]
        features_s = time.perf_counter() - began
        began = time.perf_counter()
        predicted = None
        if not learning.remove:
            predicted = before.share_predicted(torch.from_numpy(features), torch.from_numpy(numbers))
        held, learned = learn(ledger, held, told, options=learning)
        found = UpdateResult(
            run,
            absorbed=0,
            removed=len(told) if learning.remove else 0,
            new_classes=learned.new_classes,
            repeated=0,
            log_evidence=learned.absorbed.log_evidence if learned.absorbed else None,
            predicted=predicted,
            features_s=features_s,
            belief_s=opened_s + time.perf_counter() - began,
            note=data.note,
            fitted_note=data.fitted_note,
            source=data.facts,
            gone_classes=learned.gone_classes,
        )
        corrected = learned.corrections
        return found if corrected is None else found.corrected_by(corrected, learned.known)


def _receipt(text: str) -> ChainHead:
    number, _, digest = text.partition(":")
    if not (number.isdecimal() and len(digest) == 64):
        raise InvalidInput(f"receipt: got {text[:80]!r}; expected NUMBER:DIGEST, as the ledger gave it.")
    return ChainHead(int(number), digest)


def _folder_of(ledger: Ledger, name: str, given: str | Path | None) -> Run:
    """The run folder behind a name, checked to be the one."""
    entry: Entry = ledger.latest(name, RunRecord.kind)[0]
    assert isinstance(entry.record, RunRecord)
    path = entry.record.folder if given is None else given
    try:
        run = Run.open(path)
        same = run_record(run, run.classifier()).run == name
    except FileNotFoundError as problem:
        raise RunUnreadable(f"run {name} was in {path} and is not there; say where with --run.") from problem
    if not same:
        raise RunUnreadable(f"{path} is not run {name} any more; say with --run where that is.")
    return run


def _copy(source: Run, target: Run) -> None:
    """Everything of a run but its lock, its checkpoint, its ledger and the names of others."""
    with _undone(target):
        for path in sorted(source.folder.iterdir()):
            kept = path.suffix in (".toml", ".json", ".csv", ".html", ".safetensors") and path.name != MARK
            if path.is_file() and kept:
                shutil.copyfile(path, target.folder / path.name)


@contextmanager
def _undone(target: Run) -> Iterator[None]:
    """Leave no half a run behind."""
    try:
        yield
    except BaseException:
        shutil.rmtree(target.folder, ignore_errors=True)
        raise
