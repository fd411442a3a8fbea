"""The records of a ledger, as frozen dataclasses, and the receipts it answers with.

Each record has two parts. Its *body* stays for ever and names nobody. Its *facts*, features and pixels say
who and about which image; they lie beside the chain, which knows them by a salted digest only, so they can be
erased and the chain still holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.names import NAME_LIMIT

Features: TypeAlias = npt.NDArray[np.float32]
"""(D,) evidence features of one image, as the network of the run gave them."""


@dataclass(frozen=True)
class PersonalPart:
    """The part of a record that can be erased.

    Args:
        facts: plain values.
        person: who; empty for nobody.
        image: which image, 32 hexadecimal digits; empty for none.
        features: float32 values as little-endian bytes; empty for none.
        pixels: an encoded image file; empty for none.
    """

    facts: Mapping[str, Any]
    person: str = ""
    image: str = ""
    features: bytes = b""
    pixels: bytes = b""


class _Parts:
    """The two parts of a record, where it does not say otherwise: who and which image, and all the rest."""

    def body(self) -> dict[str, Any]:
        """The part that stays."""
        return _plain(self, "person", "image")

    def personal(self) -> PersonalPart | None:
        """The part that can be erased; None where there is nothing of the kind."""
        person, image = (str(vars(self).get(name, "")) for name in ("person", "image"))
        return PersonalPart({}, person, image) if person or image else None


@dataclass(frozen=True)
class RunRecord(_Parts):
    """A run the ledger begins from; see ``belief.run_record``.

    Args:
        run: its name in the ledger, the digest of its network.
        belief: digest of its belief, the base of every replay.
        classes: names in order.
        features: D, the length of a feature vector.
        model: what the network is, for people.
        folder: where the run was opened.
    """

    kind: ClassVar[str] = "run"
    run: str
    belief: str
    classes: tuple[str, ...]
    features: int
    model: str = ""
    folder: str = ""


@dataclass(frozen=True)
class PredictionRecord(_Parts):
    """The four terms for one image.

    Args:
        run: its name.
        belief: digest of the belief that answered: the model's version.
        image: 32 hexadecimal digits, the 16 bytes a run keeps of an image it absorbs.
        prediction: the class answered, or "unknown".
        prior: probability of each class before.
        log_likelihood: log p(image | class), nats.
        log_evidence: log p(image), nats.
        posterior: probability of each class after.
        novelty: in standard deviations of known images.
        known: whether the image is of a kind that was seen.
        person: who asked; may be empty.
        features: of the image, when a label may come for it; None otherwise.
        pixels: an encoded image file, when people are to see it again; may be empty.
    """

    kind: ClassVar[str] = "prediction"
    run: str
    belief: str
    image: str
    prediction: str
    prior: Mapping[str, float]
    log_likelihood: Mapping[str, float]
    log_evidence: float
    posterior: Mapping[str, float]
    novelty: float = 0.0
    known: bool = True
    person: str = ""
    features: Features | None = field(default=None, compare=False)
    pixels: bytes = field(default=b"", repr=False)

    def body(self) -> dict[str, Any]:
        """The part that stays."""
        return {"belief": self.belief}

    def personal(self) -> PersonalPart:
        """The part that can be erased."""
        names = ("prediction", "log_evidence", "novelty", "known")
        facts = {name: getattr(self, name) for name in names}
        facts |= {name: dict(getattr(self, name)) for name in ("prior", "log_likelihood", "posterior")}
        return PersonalPart(facts, self.person, self.image, _bytes(self.features), self.pixels)


@dataclass(frozen=True)
class LabelRecord(_Parts):
    """The class of an image, as a person states it.

    Args:
        run: its name.
        image: 32 hexadecimal digits.
        label: the class; one the run does not know is a new class when it is absorbed.
        person: who says so; may be empty.
        features: of the image, exactly as they are absorbed: a replay adds these very numbers.
        pixels: an encoded image file, when people are to see it again; may be empty.
        second_reading: it counts beside what they said of the image before, instead of replacing it.

    Raises:
        InvalidInput: no label, an image that is no digest, or features that are no finite float32 (D,).
    """

    kind: ClassVar[str] = "label"
    run: str
    image: str
    label: str
    person: str
    features: Features = field(compare=False, repr=False)
    pixels: bytes = field(default=b"", repr=False)
    second_reading: bool = False

    def __post_init__(self) -> None:
        check(bool(self.label.strip()), "label", "an empty name", "the name of a class")
        plain_text(self.label, "label", NAME_LIMIT)
        good = len(self.image) == 32 and all(c in "0123456789abcdef" for c in self.image)
        check(good, "image", f"got {self.image[:40]!r}", "the 32 hexadecimal digits of an image's digest")
        fits = self.features.ndim == 1 and self.features.dtype == np.float32
        check(fits, "features", f"{self.features.dtype} {self.features.shape}", "float32 (D,)")
        check(bool(np.isfinite(self.features).all()), "features", "NaN or infinity", "finite numbers")

    def body(self) -> dict[str, Any]:
        """The part that stays."""
        return {}

    def personal(self) -> PersonalPart:
        """The part that can be erased."""
        facts = {"label": self.label} | ({"second_reading": True} if self.second_reading else {})
        return PersonalPart(facts, self.person, self.image, _bytes(self.features), self.pixels)


@dataclass(frozen=True)
class UpdateRecord(_Parts):
    """A batch of labels taken into the belief, or out of it, in the order of their sequence numbers.

    Args:
        run: its name.
        position: sequence number of the change of belief this one was computed from.
        before: digest of the belief until now, as that change recorded it.
        after: digest of the belief from now on.
        labels: sequence numbers of the labels; the ledger adds those that come with the update.
        new_classes: names of classes they bring, in order.
        trust_past: in (0, 1], what an image absorbed earlier counts beside a new one.
        robust: labels were weighed by the probability that they are right.
        remove: the labelled images were taken out.
        threads: torch threads it was computed with: sums of floats depend on how work is shared out.
        corrects: labels replace those their person, or the run itself, gave the image before; without it, as
            in ledgers of earlier versions, every label counts beside the others.
        gone_classes: names of classes that lost their last image by it, in order.
    """

    kind: ClassVar[str] = "update"
    run: str
    position: int
    before: str
    after: str
    labels: tuple[int, ...] = ()
    new_classes: tuple[str, ...] = ()
    trust_past: float = 1.0
    robust: bool = False
    remove: bool = False
    threads: int = 1
    corrects: bool = False
    gone_classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WithdrawalRecord(_Parts):
    """A person's last label of an image, taken back: the belief is as if it had never been given.

    What that label had replaced stands again.

    Args:
        run: its name.
        image: 32 hexadecimal digits.
        person: whose label it was, and who took it back; may be empty.
        position: as in ``UpdateRecord``.
        before: likewise.
        after: likewise.
        labels: sequence numbers of the labels taken back: the last, and those before it that said the same.
        new_classes: names of classes that come again with what stands again.
        gone_classes: as in ``UpdateRecord``.
        threads: likewise.
    """

    kind: ClassVar[str] = "withdrawal"
    run: str
    image: str
    person: str
    position: int
    before: str
    after: str
    labels: tuple[int, ...] = ()
    new_classes: tuple[str, ...] = ()
    gone_classes: tuple[str, ...] = ()
    threads: int = 1


@dataclass(frozen=True)
class RenameRecord(_Parts):
    """A new name for a class; labels and base rates under its old name stay its own.

    Args:
        run: its name.
        old: name of the class until now.
        new: from now on.
        position: as in ``UpdateRecord``.
        before: likewise.
        after: likewise.
        person: who said so; may be empty.
    """

    kind: ClassVar[str] = "rename"
    run: str
    old: str
    new: str
    position: int
    before: str
    after: str
    person: str = ""

    def __post_init__(self) -> None:
        check(bool(self.new.strip()), "new name", "an empty one", "the name of a class")
        plain_text(self.new, "new name", NAME_LIMIT)


@dataclass(frozen=True)
class PriorRecord(_Parts):
    """Base rates, stated by somebody or inferred from unlabelled images.

    Args:
        run: its name.
        shares: probability of each class.
        source: "stated" or "inferred".
        detail: intervals, number of images, method: whatever explains it; plain JSON.
        person: who stated it or asked for it; may be empty.
    """

    kind: ClassVar[str] = "prior"
    run: str
    shares: Mapping[str, float]
    source: str = "stated"
    detail: Mapping[str, Any] = field(default_factory=dict)
    person: str = ""

    def __post_init__(self) -> None:
        check(self.source in ("stated", "inferred"), "source", repr(self.source), "'stated' or 'inferred'")

    def body(self) -> dict[str, Any]:
        """The part that stays."""
        return {"shares": dict(self.shares), "source": self.source, "detail": dict(self.detail)}


@dataclass(frozen=True)
class ErasureRecord(_Parts):
    """The deletion of personal parts of earlier records; written by ``erasure.erase`` alone.

    Args:
        run: its name.
        erased: sequence numbers of the records concerned.
        position: sequence number of the change of belief before this one.
        before: digest of the belief until now.
        after: digest of the belief that never saw the erased labels; ``before`` when there were none in it.
        threads: as in ``UpdateRecord``.
        unlearned: how many labels were in the belief; it may be the same without them, if they had been taken
            out before.
    """

    kind: ClassVar[str] = "erasure"
    run: str
    erased: tuple[int, ...]
    position: int
    before: str
    after: str
    threads: int = 1
    unlearned: int = 0

    def body(self) -> dict[str, Any]:
        """The part that stays."""
        return _plain(self) if self.unlearned else _plain(self, "unlearned")


Record: TypeAlias = (
    RunRecord
    | PredictionRecord
    | LabelRecord
    | UpdateRecord
    | WithdrawalRecord
    | RenameRecord
    | PriorRecord
    | ErasureRecord
)


CHANGES = (RunRecord.kind, UpdateRecord.kind, WithdrawalRecord.kind, RenameRecord.kind, ErasureRecord.kind)
"""Kinds of records after which the belief is another one."""


@dataclass(frozen=True)
class Entry:
    """A record as the ledger keeps it.

    Args:
        sequence: 1, 2, 3, ... without gaps; the order of everything.
        at: UTC time of writing in ISO 8601. Clocks may jump: it tells people when, and decides nothing.
        kind: "run", "prediction", "label", "update", "withdrawal", "rename", "prior" or "erasure".
        run: name of the run it is about.
        record: what was written; None where its personal part was erased and nothing else was in it.
        digest: SHA-256 over this entry and, through ``previous``, over all before it.
        previous: the digest of the entry before; 64 zeros for the first.
    """

    sequence: int
    at: str
    kind: str
    run: str
    record: Record | None
    digest: str
    previous: str


@dataclass(frozen=True)
class Receipt:
    """Proof that records are in the ledger; given only once they are on the disk.

    Args:
        first: sequence number of the first record.
        last: of the last one.
        at: UTC time of writing.
        digest: of entry ``last``; whoever keeps it can later show that the ledger still holds what came
            before (``verify(ledger, receipt=...)``).
        repeated: this key had been used before with the same content; nothing new was written.
    """

    first: int
    last: int
    at: str
    digest: str
    repeated: bool = field(default=False, compare=False)

    @property
    def sequences(self) -> range:
        """The sequence numbers of the records."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True)
class ChainHead:
    """The end of the chain.

    Args:
        sequence: of the last entry; 0 for an empty ledger.
        digest: of the last entry; 64 zeros for an empty ledger.
    """

    sequence: int
    digest: str


def from_parts(kind: str, run: str, body: Mapping[str, Any], personal: PersonalPart | None) -> Record | None:
    """The record whose parts these are; None where the erased part was all of it.

    Args:
        kind: as in ``Entry``.
        run: name of the run.
        body: what stays.
        personal: what can be erased, None when it is gone or never was.
    """
    if kind == "run":
        return RunRecord(run=run, **{**body, "classes": tuple(body["classes"])})
    if kind in ("update", "withdrawal"):
        lists = {name: tuple(body.get(name, ())) for name in ("new_classes", "gone_classes")}
        parts = {**body, **lists, "labels": numbers_in(body["labels"])}
        if kind == "update":
            return UpdateRecord(run=run, **parts)
        left = personal or PersonalPart({})
        return WithdrawalRecord(run=run, **parts, image=left.image, person=left.person)
    if kind == "erasure":
        return ErasureRecord(run=run, **{**body, "erased": numbers_in(body["erased"])})
    if kind in ("prior", "rename"):
        made = PriorRecord if kind == "prior" else RenameRecord
        return made(run=run, **body, person=personal.person if personal else "")
    if personal is None:
        return None
    features = np.frombuffer(personal.features, "<f4").astype(np.float32) if personal.features else None
    shared: dict[str, Any] = {"image": personal.image, "person": personal.person, "pixels": personal.pixels}
    if kind == "prediction":
        return PredictionRecord(run=run, **body, **personal.facts, **shared, features=features)
    return LabelRecord(run=run, **personal.facts, **shared, features=_present(features))


def plain_text(text: str, where: str, longest: int = 200) -> str:
    """Return a short printable text, which every database can hold.

    Raises:
        InvalidInput: longer than ``longest`` characters, or with control characters.
    """
    good = len(text) <= longest and (text.isprintable() or not text)
    check(good, where, f"got {text[:40]!r}", f"at most {longest:,} printable characters")
    return text


def numbers_in(pairs: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The sequence numbers of [first, last] pairs, as a body keeps them."""
    return tuple(number for first, last in pairs for number in range(first, last + 1))


def _plain(record: _Parts, *without: str) -> dict[str, Any]:
    """A record as JSON knows it, less its run and these: names as a list, sequence numbers as ranges."""
    tree = {k: v for k, v in vars(record).items() if k not in ("run", *without)}
    for name, value in tree.items():
        if name in ("labels", "erased"):
            tree[name] = _ranges(value)
        elif isinstance(value, tuple):
            tree[name] = list(value)
    return tree


def _present(features: Features | None) -> Features:
    return np.empty(0, dtype=np.float32) if features is None else features


def _bytes(features: Features | None) -> bytes:
    return b"" if features is None else features.astype("<f4").tobytes()


def _ranges(numbers: tuple[int, ...]) -> list[list[int]]:
    """Sorted numbers as [first, last] pairs.

    Example:
        >>> _ranges((1, 2, 3, 7)), numbers_in([[1, 3], [7, 7]])
        ([[1, 3], [7, 7]], (1, 2, 3, 7))
    """
    pairs: list[list[int]] = []
    for number in sorted(numbers):
        if pairs and number == pairs[-1][1] + 1:
            pairs[-1][1] = number
        else:
            pairs.append([number, number])
    return pairs
