"""The trial on pictures of shapes: batches, and that figures count what they say."""

import numpy as np
import pytest
import torch
from torch import nn

from bayesight.letters.questions import ANSWERS, shape_scenes
from bayesight.milestones import Bench, find
from bayesight.milestones.bench import asking
from bayesight.milestones.bench.pictures import ImageBatches
from bayesight.milestones.bench.running import budgeted
from bayesight.milestones.bench.workbench import Sources
from bayesight.training.hardware import choose_hardware


class Knowing(nn.Module):
    """Answers what it is told to, whatever it is asked."""

    def __init__(self, answers):
        super().__init__()
        self.answers, self.at, self.scale = answers, 0, nn.Parameter(torch.tensor(20.0))

    def forward(self, images, questions):
        told = self.answers[self.at : self.at + len(images)]
        self.at += len(images)
        return nn.functional.one_hot(torch.from_numpy(told), len(ANSWERS)) * self.scale


@pytest.fixture
def bench():
    milestone = budgeted(find("visual-questions"))
    return Bench(Sources(milestone, smoke=True), 0, choose_hardware(threads=1, precision="32"))


def test_batches_hold_pictures_with_their_own_questions():
    scenes = shape_scenes(5, side=32)
    both = torch.from_numpy(scenes.codes()), torch.from_numpy(scenes.answers)
    batches = ImageBatches(scenes.images, both, 4, 7, "shapes", torch.float32)
    images, codes, answers = batches(nn.Linear(1, 1), 2)
    assert images.shape == (4, 3, 32, 32)
    for image, code, answer in zip(images, codes, answers, strict=True):
        row = int(
            (scenes.images == (image.movedim(0, -1) * 255).round().byte().numpy()).all((1, 2, 3)).argmax()
        )
        assert (code.numpy() == scenes.codes()[row]).all()
        assert (answer.numpy() == scenes.answers[row]).all()


def test_figures_of_either_kind_are_told_apart(bench, monkeypatch):
    """A network that is right of single objects and wrong of relations."""
    (recipe,) = budgeted(find("visual-questions")).arm("blind").recipes
    _, test = asking.shapes_of(recipe.data, bench)
    known = test.answers.copy()
    known[:, 10:] = (known[:, 10:] + 1) % len(ANSWERS)
    monkeypatch.setattr(asking, "build_question_model", lambda *_, **__: Knowing(known))
    monkeypatch.setattr(Bench, "fit", lambda *_: [1.0])
    found = asking.answer_questions([recipe], bench)
    assert found.values["non_relational"] == 1
    assert found.values["relational"] == 0
    assert found.values["ece"] == pytest.approx(0.5, abs=1e-4)
    (caption,) = found.pictures
    assert caption.count("(it is") == asking.SHOWN
    assert np.array_equal(next(iter(found.pictures.values()))[:, :32], test.images[0])
