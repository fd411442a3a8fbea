"""Jobs on a whole ledger: verify it, replay it, export it, erase a person or an image."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesight.errors import InvalidInput, RunUnreadable
from bayesight.files import write_atomic
from bayesight.ledger import (
    ChainHead,
    Entry,
    ErasureOutcome,
    Ledger,
    RunRecord,
    Verification,
    begin,
    catch_up,
    erase,
    export,
    run_record,
    verify,
)
from bayesight.ledger.discovery import MARK
from bayesight.ledger.erasure import runs_concerned
from bayesight.ledger.records import CHANGES
from bayesight.progress import reporter
from bayesight.run import Run
from bayesight.types import ShownProgress


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
        """The document that ``--json`` prints."""
        tree = {k: v for k, v in vars(self).items() if k != "elapsed_s"}
        paths = {"run": str(self.run.folder), "out": None if self.out is None else str(self.out)}
        return tree | paths | {"seconds": self.elapsed_s}


@dataclass(frozen=True)
class ErasureResult:
    """The erased records, run by run.

    Args:
        ledger: where, without a password.
        by_run: what was erased of each run; empty when there was nothing.
    """

    ledger: str
    by_run: dict[str, ErasureOutcome]

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints: sums over the runs, and the records of the erasure."""
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
        state = begin(ledger, run, fresh=True, known=True, progress=progress)
        changes = len(ledger.since(0, run=state.run, kinds=CHANGES[1:], limit=2**31))
        shown = ledger.url
    if out is not None:
        target = Run.create(out)
        try:
            _copy(run, target)
            target.save_classifier(state.classifier)
        except BaseException:  # leave no half a run behind
            shutil.rmtree(target.folder, ignore_errors=True)
            raise
    return ReplayResult(
        run=run,
        ledger=shown,
        changes=changes,
        position=state.position,
        images=float(state.classifier.head.counts.sum()),
        classes=state.classifier.classes.names,
        belief=state.belief,
        exact=state.exact,
        differs_at=state.differs_at,
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
            state = catch_up(ledger, begin(ledger, run))
            _, found[name] = erase(ledger, state, person=person, image=image, progress=progress)
        return ErasureResult(ledger.url, found)


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
    for path in sorted(source.folder.iterdir()):
        kept = path.suffix in (".toml", ".json", ".csv", ".html", ".safetensors") and path.name != MARK
        if path.is_file() and kept:
            write_atomic(target.folder / path.name, path.read_bytes())
