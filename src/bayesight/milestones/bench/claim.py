"""A milestone: arms in four keys, and claims about what they measure.

Everything here is a plain value, so that a test, a card and a reader can compare two recipes and say which
key differs. How an arm is trained and measured is its ``trial``, a function shared by many milestones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.language import marked

if TYPE_CHECKING:
    from bayesight.milestones.bench.workbench import Bench

KEYS = ("data", "model", "loss", "optimization")
"""The four keys, in their order."""

Curve: TypeAlias = tuple[tuple[float, float], ...]
"""(step, value) pairs, steps ascending."""


@dataclass(frozen=True)
class RecipeKey:
    """One of the four keys: what it is called, and its options as plain values.

    Args:
        name: of a model, a loss, an optimizer, or of the way data are laid out.
        options: numbers, texts, booleans, and tuples of them.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, option: str) -> Any:
        return self.options[option]

    def get(self, option: str, default: Any = None) -> Any:
        """The option's value, or ``default`` where it is not given."""
        return self.options.get(option, default)

    def without(self, *names: str) -> dict[str, Any]:
        """All options but these: what is handed on to a factory."""
        return {name: value for name, value in self.options.items() if name not in names}

    def __str__(self) -> str:
        said = ", ".join(f"{name}={_said(value)}" for name, value in self.options.items())
        return f"{self.name}({said})" if said else self.name


def key(name: str, /, **options: Any) -> RecipeKey:
    """A key, written as a call.

    Example:
        >>> print(key("nesterov", lr=0.1, steps=300))
        nesterov(lr=0.1, steps=300)
    """
    return RecipeKey(name, MappingProxyType(options))


@dataclass(frozen=True)
class Keys:
    """A recipe: one stage of training, in four keys.

    Args:
        data: what it learns from.
        model: what it computes.
        loss: what counts as wrong.
        optimization: how the parameters move; ``steps`` is the budget.
        stage: its name, where an arm has several.
    """

    data: RecipeKey
    model: RecipeKey
    loss: RecipeKey
    optimization: RecipeKey
    stage: str = "train"

    def changed(self, changes: Mapping[str, Any]) -> Keys:
        """The recipe with options replaced, named ``KEY.OPTION`` or ``STAGE.KEY.OPTION``.

        A change of an option that this recipe does not have, or of another stage, leaves it as it is.

        Example:
            >>> recipe = Keys(key("letters"), key("mlp"), key("cross_entropy"), key("adam", steps=300))
            >>> print(recipe.changed({"optimization.steps": 20, "pretrain.model.width": 8}).optimization)
            adam(steps=20)
        """
        changed = self
        for path, value in changes.items():
            *stage, which, option = path.split(".")
            part: RecipeKey = getattr(self, which)
            if option in part.options and (not stage or stage == [self.stage]):
                now: RecipeKey = getattr(changed, which)
                one: dict[str, Any] = {which: key(now.name, **{**now.options, option: value})}
                changed = replace(changed, **one)
        return changed

    def as_dict(self) -> dict[str, Any]:
        """The recipe as nested plain values."""
        return {
            "stage": self.stage,
            **{name: _plain(getattr(self, name)) for name in KEYS},
        }


@dataclass(frozen=True)
class Measurement:
    """The figures of one arm with one seed.

    Args:
        values: each metric's value.
        curve: what was watched while it trained, (step, value).
        pictures: uint8 images (H, W) or (H, W, 3) worth looking at, and films (T, H, W, 3), by caption.
    """

    values: Mapping[str, float]
    curve: Curve = ()
    pictures: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)


Trial: TypeAlias = "Callable[[Sequence[Keys], Bench], Measurement]"
"""Trains an arm's recipes in order, each starting from the one before, and measures what came out."""


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Args:
        name: short, as it stands in the table.
        recipes: its stages; nearly always one.
        trial: trains and measures it.
    """

    name: str
    recipes: tuple[Keys, ...]
    trial: Trial

    def changed(self, changes: Mapping[str, Any]) -> Arm:
        """The arm with options of its recipes replaced (see ``Keys.changed``)."""
        return replace(self, recipes=tuple(recipe.changed(changes) for recipe in self.recipes))


@dataclass(frozen=True)
class Claim:
    """One thing that must hold: an arm's median against a bound, or against another arm's median.

    The bound is ``factor`` times the other arm's median plus ``margin``; without another arm, ``margin``.

    Args:
        arm: whose median.
        metric: of what.
        relation: ">=" or "<=".
        against: the other arm's name.
        factor: of the other's median.
        margin: added to it, in the metric's unit.
        differs: the keys in which the two arms differ, and no other.
        smoke: (factor, margin) that a smoke run must meet, where its budget is too small for the claim.
    """

    arm: str
    metric: str
    relation: Literal[">=", "<="]
    against: str | None = None
    factor: float = 1.0
    margin: float = 0.0
    differs: tuple[str, ...] = ()
    smoke: tuple[float, float] | None = None

    def sentence(self, *, smoke: bool = False) -> str:
        """The claim in words.

        Example:
            >>> print(Claim("res-56", "loss", "<=", against="res-20", factor=1.5).sentence())
            loss of res-56 ≤ 1.5 x res-20
        """
        factor, margin = self._terms(smoke)
        bound = f"{margin:g}"
        if self.against is not None:
            bound = self.against if factor == 1 else f"{factor:g} x {self.against}"
            if margin:
                bound += f" {'+' if margin > 0 else '-'} {abs(margin):g}"
        if self.relation == ">=":
            return marked(f"{self.metric} of {self.arm} ≥ {bound}")
        return marked(f"{self.metric} of {self.arm} ≤ {bound}")

    def bound(self, other: float, *, smoke: bool = False) -> float:
        """The bound, where the other arm's median is ``other``."""
        factor, margin = self._terms(smoke)
        return margin if self.against is None else factor * other + margin

    def _terms(self, smoke: bool) -> tuple[float, float]:
        return self.smoke if smoke and self.smoke is not None else (self.factor, self.margin)


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim: what was measured, against which bound.

    Args:
        sentence: the claim.
        measured: the arm's median.
        bound: what it was held against.
        holds: whether it did.
    """

    sentence: str
    measured: float
    bound: float
    holds: bool


def judge(
    claim: Claim, values: Mapping[str, Sequence[Mapping[str, float]]], *, smoke: bool = False
) -> Verdict:
    """Hold a claim against what was measured.

    Args:
        claim: what must hold.
        values: for each arm the values of every seed.
        smoke: whether the smoke run's terms apply.

    Example:
        >>> claim = Claim("new", "accuracy", ">=", against="old", margin=0.03)
        >>> seeds = {"new": [{"accuracy": 0.92}, {"accuracy": 0.94}], "old": [{"accuracy": 0.87}]}
        >>> judge(claim, seeds).holds
        True
    """
    measured = median(row[claim.metric] for row in values[claim.arm])
    other = 0.0 if claim.against is None else median(row[claim.metric] for row in values[claim.against])
    bound = claim.bound(other, smoke=smoke)
    holds = measured >= bound if claim.relation == ">=" else measured <= bound
    return Verdict(claim.sentence(smoke=smoke), measured, bound, holds)


@dataclass(frozen=True)
class Paper:
    """The paper that made the claim.

    Args:
        authors: as one cites them.
        title: of the paper.
        venue: where it appeared.
        link: an address.
    """

    authors: str
    title: str
    venue: str
    link: str


@dataclass(frozen=True)
class Smoke:
    """The small budget of a smoke run: at most 60 seconds, on rendered letters.

    Args:
        changes: options replaced in every recipe that has them (see ``Keys.changed``).
        seeds: how many.
    """

    changes: Mapping[str, Any]
    seeds: int = 1


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """A paper's claim and how it is measured here.

    Args:
        name: as the command line has it.
        year: of the paper.
        paper: where the claim was made.
        claim: what it claimed, in one sentence.
        figure: the paper's own figure.
        displaced: what was best before.
        key: which of the four keys it changed.
        story: two or three sentences on what it changed, from the point of view of the four keys.
        arms: the paper's first.
        claims: what must hold for it to count as reproduced.
        metrics: what each metric is, with its unit.
        timed: metrics that depend on the machine and on the moment.
        watched: what the curves show.
        source: what it learns from: "letters" or another kind that ``--data`` can replace, or "play",
            "shapes" or "none", which it cannot.
        needs: the least it needs of that source: images a class, characters of text, sentences or pairs of
            them.
        seeds: of a full run.
        minutes: of a full run, on one idle core.
        smoke: the small budget.
        differences: where it departs from the paper on purpose, one sentence each.
        notes: what else a reader of the card should know, one paragraph each.
    """

    name: str
    year: int
    paper: Paper
    claim: str
    figure: str
    displaced: str
    key: str
    story: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    metrics: Mapping[str, str]
    watched: str
    smoke: Smoke
    minutes: float
    source: Literal["letters", "text", "pairs", "sentences", "play", "shapes", "none"] = "letters"
    needs: int = 0
    seeds: int = 3
    timed: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        came = f"arms {names}"
        check(len(set(names)) == len(names) > 0, f"milestone {self.name!r}", came, "arms of different names")
        for claim in self.claims:
            known = {claim.arm, claim.against or claim.arm} <= set(names) and claim.metric in self.metrics
            check(known, f"milestone {self.name!r}", f"a claim on {claim}", "arms and a metric it has")

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)


def differing_keys(one: Arm, other: Arm) -> tuple[str, ...]:
    """The keys in which two arms differ, in any stage; the name of a stage that only one of them has, too.

    Example:
        >>> base = Keys(key("letters"), key("mlp"), key("cross_entropy"), key("adam", lr=0.1))
        >>> trial = lambda recipes, bench: Measurement({})
        >>> differing_keys(
        ...     Arm("a", (base,), trial), Arm("b", (base.changed({"optimization.lr": 0.2}),), trial)
        ... )
        ('optimization',)
    """
    ours, theirs = ({recipe.stage: recipe for recipe in arm.recipes} for arm in (one, other))
    alone = sorted(set(ours) ^ set(theirs))
    both = [(ours[stage].as_dict(), theirs[stage].as_dict()) for stage in ours if stage in theirs]
    return (*[name for name in KEYS if any(a[name] != b[name] for a, b in both)], *alone)


def _plain(value: Any) -> Any:
    """A value as JSON has it: keys become tables, tuples lists."""
    if isinstance(value, RecipeKey):
        return {"name": value.name, **{option: _plain(inner) for option, inner in value.options.items()}}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def _said(value: Any) -> str:
    if isinstance(value, RecipeKey):
        return str(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_said(part) for part in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
