"""Networks of timm by name: their weights, sizes and moments, over a stand-in for the library.

timm needs torchvision, which not every machine has; ``Timm`` has the part of its interface that is used.
"""

import sys
import types

import pytest
import torch
from torch import nn

from bayesight.errors import InvalidConfig, InvalidInput, MissingExtra
from bayesight.models import MODELS, build
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.train import TrainRequest, train


class Small(nn.Module):
    def __init__(self, fixed: bool, value: float | None) -> None:
        super().__init__()
        self.convolution, self.num_features = nn.Conv2d(3, 8, 5, stride=2), 8
        self.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3), "input_size": (3, 48, 48)}
        self.pretrained_cfg["fixed_input_size"] = fixed
        if value is not None:
            generator = torch.Generator().manual_seed(0)
            self.convolution.weight.data.normal_(generator=generator)
            self.convolution.bias.data.fill_(value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolution(x).relu().mean(dim=(2, 3))


@pytest.fixture
def timm(monkeypatch):
    names = ("small", "small_fixed", "small_unpublished")

    def create_model(name, *, pretrained, num_classes):
        assert num_classes == 0
        if pretrained and name == "small_unpublished":
            raise RuntimeError("No pretrained weights exist")
        return Small(name == "small_fixed", 0.25 if pretrained else None)

    library = types.ModuleType("timm")
    library.create_model, library.is_model = create_model, lambda name: name in names
    library.list_models = lambda: list(names)
    monkeypatch.setitem(sys.modules, "timm", library)


def test_without_the_library_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"bayesight\[timm\]"):
        build("timm:small", (3, 32, 32), 2)


@pytest.mark.parametrize("name", ["smal", "hf-hub:somebody/net", "../net"])
def test_other_names_are_refused_before_anything_is_fetched(timm, name):
    with pytest.raises(InvalidInput, match="timm has no such architecture"):
        build(f"timm:{name}", (3, 32, 32), 2)
    with pytest.raises(InvalidConfig, match="did you mean"):
        Recipe.default("timm:small").changed({"model.sied": 64})


def test_a_name_of_the_family_is_known_and_not_listed(timm):
    assert "timm:small" in MODELS
    assert "timm:small" not in MODELS.names()
    assert "tim:small" not in MODELS
    assert 3 not in MODELS


def test_images_are_brought_to_its_side_and_standardised_by_its_moments(timm):
    network = build("timm:small", (3, 20, 40), 2, side=64)
    assert network.working_size == (64, 128)
    assert network.standardise.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert build("timm:small_fixed", (3, 20, 40), 2, side=64).working_size == (48, 48)
    grey = build("timm:small", (1, 20, 20), 2)
    assert grey.standardise.mean.item() == pytest.approx(0.4)
    lengths = grey.evidence_features(torch.rand(3, 1, 20, 20)).norm(dim=1)
    assert lengths.tolist() == pytest.approx([1, 1, 1])
    assert build("timm:small", (3, 8, 8), 2).frozen_parts()
    assert build("timm:small", (3, 8, 8), 2, tune=True).frozen_parts() == ()


def test_it_trains_with_published_weights_and_the_run_answers_alike(timm, shapes, more_shapes, tmp_path):
    recipe = Recipe.default("timm:small").changed({"model.side": 32, "optimization.epochs": 4})
    assert Recipe.parse(recipe.as_dict()) == recipe
    result = train(TrainRequest(shapes, tmp_path / "run", recipe, threads=1))
    network = Run.open(tmp_path / "run").network()
    assert network.backbone.convolution.bias.tolist() == [0.25] * 8
    assert result.metrics["model"]["name"] == "timm:small"
    assert evaluate(tmp_path / "run", more_shapes).evaluation.accuracy > 0.6


def test_weights_that_cannot_be_had_are_a_sentence(timm, shapes, tmp_path):
    recipe = Recipe.default("timm:small_unpublished")
    with pytest.raises(InvalidInput, match="--weights"):
        train(TrainRequest(shapes, tmp_path / "run", recipe, threads=1))
    assert not (tmp_path / "run").exists()
