"""A request's recipe, as far as it can be checked before anything is read."""

from pathlib import Path

import pytest

from bayesight.errors import InvalidConfig, InvalidInput, UnknownName
from bayesight.training.recipe import Recipe
from bayesight.workflows.training.request import TrainRequest, known_recipe, stated_recipe


def test_what_no_model_could_take_is_refused_before_anything_is_read():
    with pytest.raises(InvalidConfig, match=r"data\.size is 0"):
        known_recipe(TrainRequest(Path("x"), Path("y"), changes={"data.size": 0, "model.depth": 2}))


def test_a_model_named_brings_its_recipe():
    named = TrainRequest(Path("x"), Path("y"), model="resnet", changes={"model.depth": 2})
    assert known_recipe(named) == Recipe.default("resnet").changed({"model.depth": 2})
    with pytest.raises(UnknownName, match="did you mean 'resnet'"):
        known_recipe(TrainRequest(Path("x"), Path("y"), model="restnet"))


def test_a_run_goes_on_with_the_model_it_was_begun_with(shapes_run):
    assert stated_recipe(TrainRequest(Path("x"), shapes_run, model="mlp"), True).model.name == "mlp"
    with pytest.raises(InvalidInput, match="begun with another recipe"):
        stated_recipe(TrainRequest(Path("x"), shapes_run, model="resnet"), True)
