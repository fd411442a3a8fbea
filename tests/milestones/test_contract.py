"""What every milestone in the gallery owes: recipes that differ where it says, and a claim that shows.

A new file in ``papers/`` is under these tests as soon as it is there.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bayesight.errors import UnknownName
from bayesight.milestones import Setting, differing_keys, find, gallery, names
from bayesight.milestones.bench.claim import KEYS
from bayesight.milestones.bench.running import budgeted, measure
from bayesight.milestones.bench.workbench import Sources

CARDS = Path(__file__).resolve().parents[2] / "docs" / "milestones"
FEW_STEPS = 25
"""Enough to learn a batch by heart halfway."""

every = pytest.mark.parametrize("name", names())
GAMES = [name for name in names() if find(name).arms[0].recipes[-1].model.name == "gan"]
"""Two networks against each other: neither comes to rest on one batch."""


def small(milestone, **changes):
    """The milestone at its smoke budget, with further changes to its recipes."""
    milestone = budgeted(milestone)
    named = {path.replace("__", "."): value for path, value in changes.items()}
    return replace(milestone, arms=tuple(arm.changed(named) for arm in milestone.arms))


def test_the_gallery_is_in_order_and_suggests():
    years = [milestone.year for milestone in gallery()]
    assert years == sorted(years)
    assert len(years) >= 4
    with pytest.raises(UnknownName, match="did you mean 'resnet'"):
        find("resnet-56")


@every
def test_it_is_told_in_full(name):
    milestone = find(name)
    for text in (milestone.claim, milestone.figure, milestone.displaced, milestone.story, milestone.watched):
        assert text.strip()
    assert milestone.paper.link.startswith("https://")
    assert milestone.key in KEYS
    assert milestone.claims
    assert milestone.seeds >= 3
    assert 0 < milestone.minutes <= 30


@every
def test_its_arms_differ_in_the_keys_it_says_and_no_other(name):
    milestone = find(name)
    compared = [claim for claim in milestone.claims if claim.against is not None]
    for claim in compared:
        one, other = milestone.arm(claim.arm), milestone.arm(claim.against)
        assert differing_keys(one, other) == claim.differs, claim.sentence()
    if compared:
        assert any(milestone.key in claim.differs for claim in compared)


@every
def test_its_recipes_can_be_written_down(name):
    for arm in find(name).arms:
        for recipe in arm.recipes:
            document = recipe.as_dict()
            assert json.loads(json.dumps(document)) == document


@every
def test_its_smoke_budget_changes_something_it_has(name):
    milestone = find(name)
    if milestone.smoke.changes:
        assert budgeted(milestone).arms != milestone.arms


@every
def test_the_same_seed_gives_the_same_bits(name):
    milestone = small(find(name), optimization__steps=4)
    sources = Sources(milestone, smoke=True)
    setting = Setting(out=Path(), smoke=True, threads=1)
    arm = milestone.arms[0]
    one, two = (measure(arm, sources, 3, setting) for _ in range(2))
    kept = [{k: v for k, v in each.values.items() if k not in milestone.timed} for each in (one, two)]
    assert kept[0] == kept[1]
    assert one.curve == two.curve


@pytest.mark.parametrize("name", sorted(set(names()) - set(GAMES)))
def test_it_learns_one_batch_by_heart(name):
    milestone = small(find(name), optimization__steps=FEW_STEPS)
    sources = Sources(milestone, smoke=True)
    setting = Setting(out=Path(), smoke=True, threads=1)
    curve = measure(milestone.arms[0], sources, 0, setting, one_batch=True).curve
    assert curve[-1][1] < 0.6 * curve[0][1]


@every
def test_it_has_a_card_of_the_recipes_it_has_now(name):
    milestone = find(name)
    if not (CARDS / f"{name}.json").exists():
        pytest.skip(
            f"measured on real data: bayesight milestones run {name} --data ... --out docs/milestones"
        )
    card = json.loads((CARDS / f"{name}.json").read_text(encoding="utf-8"))
    assert not card["smoke"]
    assert len(card["seeds"]) >= 3
    assert set(card["arms"]) == {arm.name for arm in milestone.arms}
    for arm in milestone.arms:
        written = [recipe.as_dict() for recipe in arm.recipes]
        assert card["arms"][arm.name]["recipes"] == written, "run it again: its recipe has changed since"
    assert [verdict["sentence"] for verdict in card["threshold"]] == [
        claim.sentence() for claim in milestone.claims
    ]
    assert (CARDS / f"{name}.md").exists()
    assert f"[{name}]({name}.md)" in (CARDS / "README.md").read_text(encoding="utf-8")
