"""Which model is taken where none is named, and that it is said."""

import pytest

from bayesight.errors import InvalidConfig
from bayesight.training.recipe import Recipe
from bayesight.workflows.train import TrainRequest, train
from bayesight.workflows.training.request import choose_recipe, common_recipe


@pytest.mark.parametrize(
    ("shape", "mode", "model"),
    [
        ((28, 28), "L", "mlp"),
        ((32, 30), "L", "mlp"),
        ((33, 28), "L", "resnet"),
        ((64, 64), "L", "resnet"),
        ((32, 32, 3), "RGB", "resnet"),
        ((16, 40, 3), "RGB", "mlp"),  # too small for a residual network
    ],
)
def test_grey_and_small_is_for_a_perceptron(shape, mode, model):
    recipe, why = choose_recipe(shape, mode, {"optimization.epochs": 3})
    assert recipe == Recipe.default(model).changed({"optimization.epochs": 3})
    assert f"images of {shape[1]}x{shape[0]}; --model takes another" in why


def test_options_of_one_model_choose_it():
    recipe, why = choose_recipe((28, 28), "L", {"model.depth": 2})
    assert (recipe.model.name, recipe.model.options["depth"]) == ("resnet", 2)
    assert why == "chosen for the options stated; --model takes another"
    with pytest.raises(InvalidConfig, match="model 'mlp' has no option 'dpth'"):
        choose_recipe((28, 28), "L", {"model.dpth": 2})
    with pytest.raises(InvalidConfig, match=r"optimization\.lr is -1"):
        choose_recipe((28, 28), "L", {"optimization.lr": -1})


def test_what_no_model_could_take_is_refused_before_anything_is_read():
    with pytest.raises(InvalidConfig, match=r"data\.size is 0"):
        common_recipe({"data.size": 0, "model.depth": 2})


def test_the_run_says_which_and_why(shapes, tmp_path):
    quick = {"optimization.epochs": 1, "data.batch": 64}
    chosen = train(TrainRequest(shapes, tmp_path / "a", changes=quick, threads=1))
    assert chosen.metrics["model"] == {
        "name": "mlp",
        "why": "chosen for grey images of 28x28; --model takes another",
    }
    assert chosen.run.recipe() == Recipe.default("mlp").changed(quick)
    assert chosen.run.recipe().model.name == "mlp"
    named = train(TrainRequest(shapes, tmp_path / "b", Recipe.default("linear").changed(quick), threads=1))
    assert named.metrics["model"] == {"name": "linear", "why": "as named"}
    again = train(TrainRequest(shapes, tmp_path / "a", changes=quick, threads=1, resume=True))
    assert again.metrics["model"] == chosen.metrics["model"]
