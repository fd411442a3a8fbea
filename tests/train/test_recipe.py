"""Recipes: TOML both ways, every problem at once, the nearest valid value."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.errors import InvalidConfig, SourceNotFound, UnknownName
from bayesight.models import MODELS
from bayesight.train.recipe import Recipe


@pytest.mark.parametrize("model", MODELS.names())
def test_every_model_has_a_packaged_recipe(model):
    assert Recipe.default(model).model.name == model


def test_unknown_model():
    with pytest.raises(UnknownName, match="did you mean 'resnet'"):
        Recipe.default("restnet")


def test_toml_round_trip(tmp_path):
    recipe = Recipe.default("resnet").changed({"data.size": [28, 30], "model.depth": 2, "seed": 9})
    file = tmp_path / "recipe.toml"
    file.write_text(recipe.to_toml())
    assert Recipe.load(file) == recipe
    assert recipe.model.options == {"widths": [32, 64, 96], "depth": 2}


@settings(deadline=None, max_examples=40)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "data.batch": st.integers(1, 4096),
            "data.validation": st.floats(0.01, 0.5),
            "optimization.lr": st.floats(1e-6, 10),
            "optimization.patience": st.integers(0, 9),
            "optimization.average": st.floats(0, 0.9999),
            "optimization.schedule": st.sampled_from(["cosine", "constant", "one_cycle"]),
            "data.augment": st.sampled_from(["none", "glyph", "photo"]),
            "loss": st.sampled_from([{"name": "cross_entropy", "label_smoothing": 0.2}]),
            "seed": st.integers(0, 2**40),
        },
    )
)
def test_parse_reads_back_what_as_dict_says(changes):
    recipe = Recipe().changed(changes)
    assert Recipe.parse(recipe.as_dict()) == recipe


def test_every_problem_is_reported_at_once():
    tree = {
        "seed": -1,
        "data": {"validation": 0.9, "batchh": 3, "augment": {"name": "glyph", "rotate_deg": 999}},
        "model": {"name": "mpl"},
        "loss": {"name": "cross_entropy", "smoothing": 0.1},
        "optimization": {"name": "adamw", "momentum": 0.9, "schedule": "cosinus", "precision": "fp8"},
    }
    with pytest.raises(InvalidConfig) as caught:
        Recipe.parse(tree, "r.toml")
    text = str(caught.value)
    assert len(caught.value.problems) == 9
    for part in (
        "the nearest valid value is 0",
        "the nearest valid value is 0.5",
        "did you mean 'batch'",
        "rotate_deg",
        "did you mean 'mlp'",
        "did you mean 'label_smoothing'",
        "has no option 'momentum'",
        "did you mean 'cosine'",
        "'fp8'",
    ):
        assert part in text


def test_bad_files(tmp_path):
    with pytest.raises(SourceNotFound):
        Recipe.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("seed = = 1")
    with pytest.raises(InvalidConfig, match="not TOML"):
        Recipe.load(tmp_path / "bad.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidConfig, match="not TOML"):
        Recipe.load(tmp_path / "bytes.toml")
    (tmp_path / "kinds.toml").write_text('model = 3\ndata = "x"')
    with pytest.raises(InvalidConfig, match="2 problems"):
        Recipe.load(tmp_path / "kinds.toml")


def test_a_misspelt_field_beside_options_is_recognised():
    with pytest.raises(InvalidConfig, match="did you mean 'epochs'"):
        Recipe.default("mlp").changed({"optimization.epoch": 3})
    with pytest.raises(InvalidConfig, match="did you mean 'eps'"):
        Recipe.default("mlp").changed({"optimization.epss": 3})
