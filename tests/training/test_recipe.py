"""Recipes: TOML both ways, every problem at once, the nearest valid value."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.errors import InvalidConfig, SourceNotFound, SourceUnreadable, UnknownName
from bayesight.models import MODELS
from bayesight.training.recipe import Recipe


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
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())  # as some editors begin a file
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
    with pytest.raises(SourceUnreadable, match="cannot be read: Is a directory"):
        Recipe.load(tmp_path)


def test_a_misspelt_field_beside_options_is_recognised():
    with pytest.raises(InvalidConfig, match="did you mean 'epochs'"):
        Recipe.default("mlp").changed({"optimization.epoch": 3})
    with pytest.raises(InvalidConfig, match="did you mean 'eps'"):
        Recipe.default("mlp").changed({"optimization.epss": 3})


def refusals(**tables):
    with pytest.raises(InvalidConfig) as caught:
        Recipe.parse(tables)
    return list(caught.value.problems)


def test_a_value_is_held_to_its_kind_and_range():
    widths = "expected a list of 0 to 32 whole numbers from 1 to 65536"
    share = "expected a number from 0 to below 1"
    assert refusals(model={"hidden": 5, "dropout": "x"}) == [
        f"model.hidden is 5; {widths} (the nearest valid value is [5])",
        f"model.dropout is 'x'; {share}",
    ]
    for hidden in ([[5]], [10**20], "x", [True], [0], [2.0]):
        assert refusals(model={"hidden": hidden}) == [f"model.hidden is {hidden!r}; {widths}"]
    for dropout in (float("nan"), True, None, [0.1], {}, 1, -0.1):
        assert refusals(model={"dropout": dropout})[0].startswith(f"model.dropout is {dropout!r}; {share}")
    assert refusals(model={"dropout": "0.3"})[0].endswith(f"{share} (the nearest valid value is 0.3)")
    side = "expected a whole number from 1 to 4096"
    assert refusals(data={"size": 10**30})[0].endswith(f"{side} (the nearest valid value is 4096)")
    for size in (0, -28, 8000, 2.5, "28", True):
        assert refusals(data={"size": size})[0].startswith(f"data.size is {size!r}; {side}")
    assert refusals(data={"size": [28, -1]}) == [
        "data.size is [28, -1]; expected a list of 2 whole numbers from 1 to 4096"
    ]
    assert refusals(data={"mode": "rgb"})[0].endswith("'L' or 'RGB' (the nearest valid value is 'RGB')")
    assert "from above 0 to 1e+30" in refusals(optimization={"lr": float("inf")})[0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("optimization.betas", [0.9]),
        ("optimization.schedule", {"name": "cosine", "warmup": 7}),
        ("loss", {"name": "forward_corrected", "transition": "x"}),
        ("loss", {"name": "cross_entropy", "class_weights": [1, float("inf")]}),
        ("data.augment", {"name": "glyph", "shear": "a"}),
        ("pretrain.temperature", -1),
        ("model", {"name": "resnet", "depth": 10**9}),
        ("model", {"name": "gan", "code": -1}),
        ("seed", 1.5),
    ],
)
def test_every_registry_and_table_does_so(path, value):
    with pytest.raises(InvalidConfig, match=rf"{path}\S* is .*; expected a ") as caught:
        Recipe().changed({path: value})
    assert len(caught.value.problems) == 1 + (path == "model" and value["name"] == "gan")


def test_names_and_values_of_any_length_make_short_sentences():
    with pytest.raises(InvalidConfig) as caught:
        Recipe.parse({"n" * 9000: 1, "model": {"name": "m" * 9000}, "data": {"mode": "RGB" * 9000}})
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["seed = " + "9" * 5000, "seed = " + "[" * 100_000, "seed = 2020-01-01"])
def test_toml_that_python_chokes_on_is_a_sentence(tmp_path, text):
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(InvalidConfig, match=r"recipe\.toml: 1 problem: "):
        Recipe.load(tmp_path / "recipe.toml")
