"""A network and what is believed about its classes: images in, the four terms of Bayes' theorem out.

The network turns an image into a feature vector; the Gaussian head holds p(features | class), its evidence
and everything needed to take in more images, or to let some go, exactly. The network itself never changes.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.head import gaussian
from bayesight.bayes.head.gaussian import AbsorbedBatch, Distances, GaussianHead, Predictive
from bayesight.bayes.head.label_noise import fit_noise
from bayesight.belief.absorbed import AbsorbedRows, Rows, digest_words
from bayesight.belief.check import check_belief
from bayesight.belief.corrections import ReplacedLabel
from bayesight.belief.features import Precision, features_of, reader_of
from bayesight.belief.held_parts import HeldParts
from bayesight.belief.judged import (
    JudgedRows,
    judge,
    later_judges,
    most_later_judges,
    moved_on,
    nearest_other,
)
from bayesight.checks import check
from bayesight.data.text import Subwords
from bayesight.errors import InvalidInput, RunUnreadable, UnknownName
from bayesight.evaluation.arrays import row_blocks
from bayesight.evaluation.novelty import (
    ExemplarBank,
    NoveltyReference,
    fit_novelty,
    nearest_distance,
    novelty_score,
    opinions,
    pick_exemplars,
)
from bayesight.frame import EIGHT_BIT, Fit, Frame, FrameOptions, Levels
from bayesight.language import marked
from bayesight.models.base import ImageModel
from bayesight.seeding import torch_generator

EXEMPLARS = 20_000
"""Training images kept for distances; as many again may be absorbed later."""

_REFERENCE = ("reference", "reference_labels", "reference_digests")


@dataclass(frozen=True)
class Classes:
    """The meaning of a run's numbers 0 .. K-1 and of its pixels.

    Args:
        names: class names in the order they were learned; never recomputed.
        mode: "L" or "RGB".
        size: (height, width) in pixels.
        levels: the values of its images that became 0 and 255; those of 8 bits themselves.
        fit: how images of another shape are brought to the size.
        vocabulary: the symbols of texts, in the place of images; their mode is "text", their size (1, T).
    """

    names: tuple[str, ...]
    mode: str
    size: tuple[int, int]
    levels: Levels = EIGHT_BIT
    fit: Fit = "crop"
    vocabulary: Subwords | None = field(default=None, compare=False, repr=False)

    def require_images(self, what: str) -> None:
        """Refuse what can be done with images only.

        Raises:
            InvalidInput: the run reads texts.
        """
        came = "a run that reads texts"
        mend = "Predict, evaluate, prior, update and summary read them."
        check(self.vocabulary is None, what, came, "one that reads images", mend)

    @property
    def reads(self) -> str:
        """The things that are classified, in a word: images or texts."""
        return marked("images") if self.mode != "text" else marked("texts")

    def counted(self, many: int) -> str:
        """So many of them, in words.

        Example:
            >>> Classes(("a", "b"), "L", (8, 8)).counted(2000), Classes(("a", "b"), "text", (1, 8)).counted(1)
            ('2,000 images', '1 text')
        """
        if self.mode != "text":
            return marked("1 image") if many == 1 else marked(f"{many:,} images")
        return marked("1 text") if many == 1 else marked(f"{many:,} texts")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) as the network sees an image; (symbols, 1, T) of a text."""
        if self.vocabulary is not None:
            return (len(self.vocabulary), *self.size)
        return (1 if self.mode == "L" else 3, *self.size)

    @property
    def frame(self) -> Frame:
        """The frame that images are brought to."""
        return Frame(*self.size, self.mode, self.levels, self.fit)

    @property
    def reading(self) -> FrameOptions:
        """The options of ``open_store`` for sources of the run."""
        return {"size": self.size, "mode": self.mode, "levels": self.levels, "fit": self.fit}


@dataclass(frozen=True)
class Classifier:
    """A trained network whose answers are beliefs.

    Args:
        network: in evaluation mode.
        classes: what the numbers mean.
        precision: in which the network's features are read, now and ever after: what was absorbed in one
            cannot be taken out in another.
        head: p(features | class) and how it got there.
        absorbed: what the head holds.
        reference: (V, D) features of images that trained nothing, against which novelty is measured.
        reference_labels: (V,) their classes.
        reference_digests: (V, 16) uint8, which images they are.
        replaced: labels that later ones replaced; a run folder does not keep them.
        parts: what the head holds without a row for each image.
    """

    network: ImageModel
    classes: Classes
    precision: Precision
    head: GaussianHead
    absorbed: AbsorbedRows
    reference: Tensor
    reference_labels: Tensor
    reference_digests: Tensor
    replaced: tuple[ReplacedLabel, ...] = ()
    parts: HeldParts = field(default_factory=HeldParts)

    @cached_property
    def prior(self) -> Tensor:
        """(K,) class shares absorbed so far, each class given one image beforehand."""
        return gaussian.class_log_prior(self.head).exp()

    @cached_property
    def _reader(self) -> ImageModel:
        return reader_of(self.network, self.precision)

    @cached_property
    def predictive(self) -> Predictive:
        """The predictive of every class, as sharp as the images that judge it allow."""
        judged = self.judged
        return gaussian.sharpened(gaussian.predictive(self.head), judged.rows, judged.labels, judged.weights)

    @cached_property
    def background(self) -> Predictive:
        """The predictive of all images as if of one class, at the mean temperature of its answers."""
        return replace(gaussian.background(self.head), sharpness=sharpness.plain(self.temperature))

    @property
    def temperature(self) -> float:
        """The mean temperature of its answers."""
        return sharpness.centre(self.predictive.sharpness)

    @cached_property
    def judged(self) -> JudgedRows:
        """Labelled images as a belief sees them that has not learned them."""
        rows = self.absorbed.exemplar_rows[self._later]
        return judge(
            gaussian.predictive(self.head),
            (self.reference[self._held_out], self.reference_labels[self._held_out], self.head.kept),
            (
                self.absorbed.exemplars[self._later].float(),
                self.absorbed.labels[rows],
                self.absorbed.weights[rows],
            ),
        )

    @cached_property
    def judged_log_likelihood(self) -> Tensor:
        """(M, K) log p(features | class), nats, of the images in ``judged``."""
        return gaussian.density_at(self.predictive, self.judged.rows)

    @cached_property
    def novelty_reference(self) -> NoveltyReference:
        """The novelty of images of known kinds under the belief as it is now."""
        return fit_novelty(self._judged_opinions, self.judged.weights)

    @cached_property
    def judged_novelty(self) -> Tensor:
        """(M,) novelty of the images in ``judged``."""
        return novelty_score(self.novelty_reference, self._judged_opinions)

    @cached_property
    def _judged_opinions(self) -> Tensor:
        """(M, 3) how new the images in ``judged`` are, by three opinions."""
        background, later = self.background, self.absorbed.exemplars[self._later].float()
        weights = self.absorbed.weights[self.absorbed.exemplar_rows[self._later]]
        rows = gaussian.distances(background, self.reference[self._held_out])
        if len(later):
            rows = rows.joined(gaussian.each_left_out(background, later, weights))
        under_all = gaussian.density_at(background, rows)[:, 0]
        return opinions(_even_evidence(self.judged_log_likelihood), under_all, self._judged_distance)

    @cached_property
    def _held_out(self) -> Tensor:
        """Positions of the reference images that judge: those not absorbed since, every n-th of very many.

        Those absorbed since judge among the later ones, left out one at a time: none counts twice. Where
        fewer than two judge at all, the whole reference does.
        """
        left = (
            ~torch.isin(digest_words(self.reference_digests), digest_words(self.absorbed.digests))
        ).nonzero()[:, 0]
        if len(left) + len(self._later) < 2:
            left = torch.arange(len(self.reference))
        return left[sharpness.judges(len(left), len(self.classes.names))]

    @property
    def _judged_distance(self) -> Tensor:
        """(M,) how far each image that judges is from the nearest exemplar but itself."""
        return torch.cat([self._reference_distance[self._held_out], self._later_distance])

    @cached_property
    def _later(self) -> Tensor:
        """(L,) positions of the exemplars that judge the belief."""
        absorbed, most = self.absorbed, most_later_judges(len(self.classes.names))
        return later_judges(absorbed.digests, absorbed.exemplar_rows, absorbed.trained, most)

    @cached_property
    def _later_distance(self) -> Tensor:
        """(L,) how far each of them is from the nearest other exemplar."""
        return nearest_other(self._bank, self._later)

    @cached_property
    def _bank(self) -> ExemplarBank:
        return ExemplarBank.of(self.absorbed.exemplars)

    @cached_property
    def _reference_distance(self) -> Tensor:
        """(V,) how far each reference image is from the nearest exemplar."""
        return nearest_distance(self.reference, self._bank)

    def features(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """(N, D) float32 of every image; see ``features_of``."""
        return features_of(self._reader, batches)

    def log_likelihood(self, features: Tensor) -> Tensor:
        """(N, K) log p(features | class), nats."""
        return gaussian.log_density(self.predictive, features)

    def left_out(self, rows: Rows) -> Distances:
        """Rows that it holds, each as a belief sees it that has not learned it."""
        weights = torch.full((len(rows),), self.head.kept, dtype=torch.float64)
        return gaussian.left_out(gaussian.predictive(self.head), rows.features, rows.labels, weights)

    def log_evidence(self, features: Tensor, prior: Tensor | None = None) -> Tensor:
        """(N,) log p(features), nats, under ``prior``; by default every class alike."""
        shares = torch.full_like(self.prior, 1 / len(self.prior)) if prior is None else prior
        return self._each(features, lambda likelihood: torch.logsumexp(likelihood + shares.log(), dim=1))

    def novelty(self, features: Tensor, log_likelihood: Tensor | None = None) -> Tensor:
        """(N,) how unlike anything seen, in standard deviations of images of known kinds.

        Args:
            features: (N, D).
            log_likelihood: (N, K) of these features, where it is known already.
        """
        return novelty_score(self.novelty_reference, self.opinions(features, log_likelihood))

    def opinions(self, features: Tensor, log_likelihood: Tensor | None = None) -> Tensor:
        """(N, 3) what the novelty of images adds up; see ``bayesight.evaluation.novelty.opinions``.

        The arguments are those of ``novelty``.
        """
        if log_likelihood is None:
            even = self._each(features, _even_evidence)
        else:
            even = _even_evidence(log_likelihood)
        under_all = gaussian.log_density(self.background, features)[:, 0]
        return opinions(even, under_all, nearest_distance(features, self._bank))

    def share_predicted(self, features: Tensor, labels: Tensor) -> float:
        """The share of images of known classes that are named rightly; NaN where there are none.

        Args:
            features: (N, D).
            labels: (N,) class numbers; those from K on are not known.
        """
        known = labels < len(self.classes.names)
        named = self._each(features[known], lambda likelihood: (likelihood + self.prior.log()).argmax(dim=1))
        return float((named == labels[known]).double().mean())

    def _each(self, features: Tensor, what: Callable[[Tensor], Tensor]) -> Tensor:
        """(N,) something of the log-likelihoods of each image, of which few are held at once."""
        blocks = row_blocks(len(features), len(self.classes.names))
        parts = [what(self.log_likelihood(features[rows])) for rows in blocks]
        return torch.cat(parts or [what(self.log_likelihood(features))])

    def with_rows(
        self,
        rows: Rows,
        new_classes: tuple[str, ...] = (),
        weights: Tensor | None = None,
        trained: Tensor | None = None,
    ) -> tuple[Classifier, AbsorbedBatch]:
        """Yesterday's posterior is today's prior: a classifier that has also seen ``rows``.

        Args:
            rows: labels may number classes beyond the known ones, in the order of ``new_classes``.
            new_classes: names of classes that come with these rows.
            weights: (N,) in [0, 1], the trust in each label; all 1 when left out.
            trained: (N,) whether the network was trained on the image; on none when left out.

        Returns:
            The new classifier, and what was learned on the way.
        """
        if weights is None:
            weights = torch.ones(len(rows), dtype=torch.float64)
        head = self.with_classes(new_classes).head
        head, learned = gaussian.absorb(head, rows.features, rows.labels, weights)
        keep = torch.arange(min(self.room, len(rows)))
        if trained is None:
            trained = torch.zeros(len(rows), dtype=torch.bool)
        absorbed = self.absorbed.with_rows(rows, weights, keep, trained)
        classes = replace(self.classes, names=head.classes)
        after = replace(self, head=head, classes=classes, absorbed=absorbed)
        if "_reference_distance" in vars(self):  # exemplars only joined: what was nearest may be beaten
            new = rows.features[keep].half()
            near = nearest_distance(self.reference, new) if len(new) else self._reference_distance
            vars(after)["_reference_distance"] = torch.minimum(self._reference_distance, near)
        if "_later_distance" in vars(self):
            vars(after)["_later_distance"] = moved_on(
                self._later_distance, self._later, after._bank, after._later, len(self.absorbed.exemplars)
            )
        return after, learned

    @property
    def room(self) -> int:
        """The number of exemplars that may be kept beside those there are."""
        return max(0, 2 * EXEMPLARS - len(self.absorbed.exemplars))

    def remove(self, rows: Rows) -> Classifier:
        """A classifier that never saw ``rows``; each is taken out with the weight it has now.

        Raises:
            InvalidInput: rows that were not absorbed with these labels, or not as often.
        """
        images = {digest.tobytes() for digest in rows.digests.numpy()}
        positions = self._positions(rows)
        weights = self.absorbed.weights[positions]
        head = gaussian.remove(self.head, rows.features, rows.labels, weights)
        replaced = tuple(one for one in self.replaced if one.image not in images)
        return replace(self, head=head, absorbed=self.absorbed.without(positions), replaced=replaced)

    def without_rows(
        self, positions: Tensor, features: Tensor, *, exemplars_return: bool = False
    ) -> Classifier:
        """A classifier without the absorbed rows at ``positions``; which they are is known, not guessed.

        Args:
            positions: of the rows, each once.
            features: of those rows, as the network reads them now.
            exemplars_return: the same images are absorbed again at once, so that distances stay as they are.
        """
        labels, weights = self.absorbed.labels[positions], self.absorbed.weights[positions]
        head = gaussian.remove(self.head, features, labels, weights, sure=True)
        after = replace(self, head=head, absorbed=self.absorbed.without(positions))
        if exemplars_return and "_reference_distance" in vars(self):
            vars(after)["_reference_distance"] = self._reference_distance
        whole = len(self._later) < most_later_judges(len(self.classes.names))
        if exemplars_return and "_later_distance" in vars(self) and whole:
            stays = ~torch.isin(self.absorbed.exemplar_rows[self._later], positions)
            vars(after)["_later_distance"] = self._later_distance[stays]
        return after

    def with_classes(self, names: Sequence[str]) -> Classifier:
        """A classifier that knows of these classes too, of which it has seen nothing yet."""
        head = self.head
        for name in names:
            head = gaussian.add_class(head, name)
        return replace(self, head=head, classes=replace(self.classes, names=head.classes))

    def without_class(self, name: str) -> Classifier:
        """A classifier that knows nothing of a class any more; images held out of it go with it.

        Raises:
            InvalidInput: there are images of it in the belief, or fewer than two classes would be left.
        """
        number, names = self.classes.names.index(name), self.classes.names
        held = int((self.absorbed.labels == number).sum() + self.parts.counted(len(names))[number].ceil())
        check(held == 0, f"class {name[:60]!r}", f"{held} images of it", "none", "Take them out first.")
        head = gaussian.drop_class(self.head, name)
        absorbed = replace(self.absorbed, labels=_closed_up(self.absorbed.labels, number))
        left = self.reference_labels != number
        return replace(
            self,
            head=head,
            classes=replace(self.classes, names=tuple(n for n in names if n != name)),
            absorbed=absorbed,
            parts=self.parts.without_class(number, len(names)),
            reference=self.reference if bool(left.all()) else self.reference[left],
            reference_labels=_closed_up(self.reference_labels[left], number),
            reference_digests=self.reference_digests[left],
        )

    def renamed(self, old: str, new: str) -> Classifier:
        """A classifier that calls the class ``old`` by another name.

        Raises:
            UnknownName: there is no class ``old``.
            InvalidInput: there is a class ``new`` already.
        """
        names = self.classes.names
        if old not in names:
            raise UnknownName("class", old[:60], names)
        mend = "Two classes cannot become one by a name: give the images of one the label of the other."
        check(new not in names, "rename", f"{new!r}, which is a class already", "a new name", mend)
        after = tuple(new if name == old else name for name in names)
        return replace(
            self,
            head=replace(self.head, classes=after),
            classes=replace(self.classes, names=after),
            replaced=tuple(replace(r, label=new) if r.label == old else r for r in self.replaced),
        )

    def discount(self, trust_past: float) -> Classifier:
        """A classifier whose past counts ``trust_past`` of what it did."""
        absorbed = replace(self.absorbed, weights=self.absorbed.weights * trust_past)
        gone = tuple(replace(one, weight=one.weight * trust_past) for one in self.replaced)
        head = gaussian.discount(self.head, trust_past)
        parts = self.parts.discounted(trust_past)
        return replace(self, head=head, absorbed=absorbed, replaced=gone, parts=parts)

    def trust(self, rows: Rows) -> Tensor:
        """(N,) probability that each label is right, by the belief as it is; 1 for classes not yet known."""
        known = rows.labels < len(self.classes.names)
        trust = torch.ones(len(rows), dtype=torch.float64)
        if bool(known.any()):
            # At one temperature and without slips: a wrong label is what would be counted twice.
            log_p = gaussian.log_density(self.predictive, rows.features[known], self.temperature)
            log_p = (log_p + self.prior.log()).log_softmax(dim=1)
            trust[known] = fit_noise(log_p, rows.labels[known]).trust
        return trust

    def seen(self, digests: Tensor) -> tuple[Tensor, Tensor]:
        """Two (N,) masks: which images (N, 16) it has learned from, and which chose its weights."""
        learned = torch.isin(digest_words(digests), digest_words(self.absorbed.digests))
        return learned, torch.isin(digest_words(digests), digest_words(self.reference_digests)) & ~learned

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The belief as tensors and plain values, for ``from_tensors``."""
        head = self.head
        parts = {f.name: getattr(head, f.name) for f in fields(head) if f.name not in ("classes", "prior")}
        named = {f"head.{name}": part for name, part in parts.items() if isinstance(part, Tensor)}
        named |= {f"absorbed.{name}": v for name, v in vars(self.absorbed).items() if name != "sources"}
        named |= {name: getattr(self, name) for name in _REFERENCE}
        values = {
            "classes": list(self.classes.names),
            "precision": self.precision,
            "prior": asdict(head.prior),
            "head": {name: part for name, part in parts.items() if not isinstance(part, Tensor)},
        }
        if len(self.parts):
            named |= {"parts.counts": self.parts.counted(len(self.classes.names))}
            named |= {"parts.released": self.parts.released}
            values["parts"] = {"keys": list(self.parts.keys), "weights": list(self.parts.weights)}
        return named, values

    def digest(self) -> str:
        """32 hexadecimal digits that are the same for the same belief, to the last bit of its statistics."""
        tensors, values = self.tensors()
        total = hashlib.blake2b(repr(values).encode(), digest_size=16)
        for name in sorted(tensors):
            total.update(name.encode() + tensors[name].detach().cpu().contiguous().numpy().tobytes())
        return total.hexdigest()

    @classmethod
    def from_tensors(
        cls, network: ImageModel, classes: Classes, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
    ) -> Classifier:
        """The classifier whose ``tensors`` these are.

        Raises:
            RunUnreadable: something is missing, of the wrong kind, shape or range, or no statistic of any
                rows; see ``check_belief``.
        """
        shift = tensors.get("head.shift")
        if shift is not None and shift.numel() == network.classes:
            network.widest = max(network.widest, network.classes)  # a belief of before logits were folded
        try:
            head, precision, absorbed, parts = check_belief(tensors, values, network.evidence_size)
        except ValueError as problem:
            raise RunUnreadable(f"belief.safetensors is damaged ({problem}).") from problem
        named = replace(classes, names=head.classes)
        reference, labels, digests = (tensors[name] for name in _REFERENCE)
        held = AbsorbedRows(**absorbed)
        return cls(network, named, precision, head, held, reference, labels, digests, parts=parts)

    def _positions(self, rows: Rows) -> Tensor:
        """(N,) position of each row in ``absorbed``, each place once, the latest first."""
        places: dict[bytes, list[int]] = {}
        for position, key in enumerate(_keys(self.absorbed.digests, self.absorbed.labels)):
            places.setdefault(key, []).append(position)
        keys = _keys(rows.digests, rows.labels)
        missing = sum(max(0, n - len(places.get(key, ()))) for key, n in Counter(keys).items())
        if missing:
            raise InvalidInput(
                f"{missing} of {len(rows)} images were never absorbed with these labels; nothing was "
                "removed. Remove only what was absorbed, labelled as it was then."
            )
        return torch.tensor([places[key].pop() for key in keys], dtype=torch.int64)


def fit_classifier(
    network: ImageModel,
    classes: Classes,
    train: Rows,
    validation: Rows,
    precision: Precision,
    *,
    borrowed: bool = False,
) -> Classifier:
    """A classifier from a trained network's features.

    Features that are ``borrowed`` have learned nothing of any of these images: the head absorbs the held-out
    ones too, and all of them judge it, left out in turn.

    Args:
        network: in evaluation mode.
        classes: names, mode, size.
        train: what the head absorbs.
        validation: held out; chooses the head's shrinkage, judges the belief from then on.
        precision: in which the features were read.
        borrowed: the network's weights come from other images than these.
    """
    if borrowed:
        train = train.joined(validation)
        head = gaussian.fit_borrowed(train.features, train.labels, classes.names)
    else:
        held_out = validation.features, validation.labels
        head = gaussian.fit(train.features, train.labels, classes.names, validation=held_out)
    nothing = AbsorbedRows(
        torch.empty(0, 16, dtype=torch.uint8),
        torch.empty(0, dtype=torch.int64),
        torch.empty(0, dtype=torch.float64),
        torch.empty(0, dtype=torch.bool),
        torch.empty(0, train.features.shape[1], dtype=torch.float16),
        torch.empty(0, dtype=torch.int64),
    )
    keep = pick_exemplars(train.labels, EXEMPLARS, torch_generator(0, "exemplars"))
    trained = torch.full((len(train),), not borrowed)
    absorbed = nothing.with_rows(train, torch.ones(len(train), dtype=torch.float64), keep, trained)
    held = (validation.features, validation.labels, validation.digests)
    return Classifier(network, classes, precision, head, absorbed, *held)


def _even_evidence(log_likelihood: Tensor) -> Tensor:
    """(N,) log p(features), nats, where every class is as common as another."""
    return log_likelihood.logsumexp(dim=1) - math.log(log_likelihood.shape[1])


def _closed_up(labels: Tensor, gone: int) -> Tensor:
    """Class numbers once one class is gone."""
    return torch.where(labels > gone, labels - 1, labels)


def _keys(digests: Tensor, labels: Tensor) -> list[bytes]:
    """One key for each row: which image it is and what it was called."""
    images = digests.contiguous().numpy()
    return [d.tobytes() + str(y).encode() for d, y in zip(images, labels.tolist(), strict=True)]
