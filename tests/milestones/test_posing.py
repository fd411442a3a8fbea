"""The trial of key points: what both arms are given, and what is judged."""

import pytest

from bayesight.milestones import Bench, find
from bayesight.milestones.bench.posing import _model_of, figures_of
from bayesight.milestones.bench.running import budgeted
from bayesight.milestones.bench.workbench import Sources
from bayesight.training.hardware import choose_hardware


@pytest.mark.parametrize("small", [False, True])
def test_both_arms_have_about_as_many_parameters(small):
    milestone = budgeted(find("pose")) if small else find("pose")
    maps, coordinates = (
        sum(part.numel() for part in _model_of(arm.recipes[0].model, 48).parameters())
        for arm in milestone.arms
    )
    assert maps == pytest.approx(coordinates, rel=0.15)


def test_figures_are_the_same_for_every_seed_and_differ_between_the_parts():
    milestone = budgeted(find("pose"))
    sources = Sources(milestone, smoke=True)
    one, other = (
        figures_of(milestone.arms[0].recipes[0].data, Bench(sources, seed, choose_hardware(threads=1)))
        for seed in (0, 1)
    )
    assert (one[0].images == other[0].images).all()
    assert (one[1].points == other[1].points).all()
    train, test = one
    assert (train.points[: len(test.points)] != test.points).any()
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in test.images}
