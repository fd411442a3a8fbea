"""A belief in memory, its record in a ledger, and the digest that proves it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, fields

from torch import Tensor

from bayesight.belief.classifier import Classifier
from bayesight.belief.corrections import rows_of
from bayesight.ledger.applying import Renames, name_now
from bayesight.ledger.chain import canonical
from bayesight.ledger.records import RunRecord
from bayesight.run import Run


@dataclass(frozen=True)
class BeliefState:
    """A belief in memory, and how far along the ledger it is.

    Args:
        base: the run's own belief, which every replay starts from.
        run: its name in the ledger.
        classifier: the belief now.
        position: sequence number of the last change of belief in it.
        belief: digest of the belief as that change recorded it: the model's version.
        exact: the digest of what is held has equalled the recorded one ever since the base.
        differs_at: the first update where it did not; 0 when there is none.
        renames: (sequence number, old, new) of every new name of a class since the base.
    """

    base: Classifier
    run: str
    classifier: Classifier
    position: int
    belief: str
    exact: bool = True
    differs_at: int = 0
    renames: Renames = ()

    def name_now(self, name: str, said_at: int = 0) -> str:
        """The name today of the class that was called ``name`` when entry ``said_at`` was written."""
        return name_now(self.renames, name, said_at)

    def run_names(self, images: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Image -> the classes under which the run itself learned it, as they are called today."""
        absorbed, names = self.base.absorbed, self.base.classes.names
        found: dict[str, tuple[str, ...]] = {}
        for row in rows_of(absorbed, {bytes.fromhex(image) for image in images}):
            image = absorbed.digests[row].numpy().tobytes().hex()
            found[image] = (*found.get(image, ()), self.name_now(names[int(absorbed.labels[row])]))
        return found


def run_record(run: Run, base: Classifier) -> RunRecord:
    """The record a ledger begins with; the run's name is the digest of its network.

    Args:
        run: the folder.
        base: its classifier.
    """
    total = hashlib.sha256()
    for name, tensor in sorted(base.network.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return RunRecord(
        run=total.hexdigest()[:32],
        belief=belief_digest(base, exemplars=True),
        classes=base.classes.names,
        features=base.head.dimension,
        model=run.recipe().model.name,
        folder=str(run.folder),
    )


def belief_digest(classifier: Classifier, *, exemplars: bool = False) -> str:
    """SHA-256 over what is believed, every bit of it.

    Args:
        classifier: whose head and absorbed rows are digested.
        exemplars: their features as well. Once for a base is enough: later exemplars are features of labels
            the ledger's chain holds, and which rows they are is always digested.
    """
    total = hashlib.sha256()
    for part in (classifier.head, classifier.absorbed):
        plain: dict[str, object] = {}
        for item in fields(part):
            if item.name == "sources":  # who said so is in the chain, and no run folder keeps it
                continue
            value = getattr(part, item.name)
            if not isinstance(value, Tensor):
                plain[item.name] = vars(value) if item.name == "prior" else value
            elif exemplars or item.name != "exemplars":
                total.update(f"{item.name} {value.dtype} {tuple(value.shape)}".encode())
                total.update(value.contiguous().numpy().tobytes())
        total.update(canonical(plain).encode())
    return total.hexdigest()
