"""From images to a run that makes some: its folder, its refusals, and going on after an interruption."""

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from bayesight.errors import InvalidInput, RunUnreadable, TrainingDiverged
from bayesight.run import Run
from bayesight.training.events import StepEvent
from bayesight.training.recipe import Recipe
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.infer_prior import infer_prior
from bayesight.workflows.predict import predict
from bayesight.workflows.summary import summarise
from bayesight.workflows.train import TrainRequest, train
from bayesight.workflows.training.generate import sheet
from bayesight.workflows.update import update

SMALL = {
    "gan": {"model.widths": [8, 4], "model.code": 8},
    "vae": {"model.widths": [8, 4], "model.code": 8},
    "autoencoder": {"model.hidden": [32], "model.code": 8},
}
every_model = pytest.mark.parametrize("name", sorted(SMALL))


def recipe(name, **changes):
    named = {key.replace("__", "."): value for key, value in changes.items()}
    few = {"optimization.epochs": 2, "data.batch": 32, "data.validation": 0.25}
    return Recipe.default(name).changed(SMALL[name] | few | named)


def request(source, out, recipe, **options):
    return TrainRequest(source, out, recipe, threads=1, checkpoint_every_s=0.0, **options)


def same_weights(one, other):
    a, b = (safetensors.torch.load_file(folder / "model.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class KilledError(Exception):
    pass


@every_model
def test_a_run_holds_pictures_and_says_what_it_is(shapes, tmp_path, name):
    found = train(request(shapes, tmp_path / "run", recipe(name)))
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        "recipe.toml",
        "classes.json",
        "model.safetensors",
        "metrics.json",
        "history.csv",
        "samples.png",
        "report.html",
    }
    run = Run.open(tmp_path / "run")
    assert run.kind == "generation"
    assert found.metrics["kind"] == "generation"
    assert found.metrics["examples"] == {"train": 180, "validation": 60}
    assert found.metrics["validation"]["examples"] == 60
    assert len(run.history()) == 2
    drawn = np.asarray(Image.open(tmp_path / "run" / "samples.png"))
    assert drawn.shape == (8 * 30 + 2, 8 * 30 + 2)
    again = run.generator().sample(64, _samples_of(run))
    assert np.array_equal(drawn, sheet(again))
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "What it made" in page
    assert ("What its codes remember" in page) == (name != "gan")


def _samples_of(run):
    from bayesight.seeding import torch_generator

    return torch_generator(run.recipe().seed, "samples")


@every_model
def test_resume_after_an_interruption_gives_the_same_bits(shapes, tmp_path, name):
    def stop(event):
        if isinstance(event, StepEvent) and event.step == 7:
            raise KilledError

    train(request(shapes, tmp_path / "straight", recipe(name)))
    with pytest.raises(KilledError):
        train(request(shapes, tmp_path / "cut", recipe(name)), listeners=[stop])
    with pytest.raises(RunUnreadable, match="not finished"):
        Run.open(tmp_path / "cut")
    train(request(shapes, tmp_path / "cut", None, resume=True))
    assert same_weights(tmp_path / "straight", tmp_path / "cut")
    straight, cut = (tmp_path / n / "samples.png" for n in ("straight", "cut"))
    assert straight.read_bytes() == cut.read_bytes()


def test_images_without_folders_will_do(shapes, more_shapes, tmp_path):
    from bayesight.data import open_store

    loose = tmp_path / "loose"
    loose.mkdir()
    for row, image in enumerate(open_store(shapes).images[:40]):
        Image.fromarray(np.asarray(image)).save(loose / f"{row}.png")
    found = train(request(loose, tmp_path / "run", recipe("autoencoder", data__batch=8), also=(more_shapes,)))
    assert found.metrics["examples"]["train"] + found.metrics["examples"]["validation"] == 40 + 90
    assert len(found.metrics["sources"]) == 2


def test_an_autoencoder_learns_to_remember(shapes, tmp_path):
    found = train(request(shapes, tmp_path / "run", recipe("autoencoder", optimization__epochs=40)))
    errors = [row["squared_error"] for row in found.run.history()]
    assert min(errors) < 0.5 * errors[0]
    assert found.metrics["validation"]["squared_error"] == pytest.approx(min(errors), rel=0.05)


def test_what_needs_classes_refuses_in_one_sentence(shapes, more_shapes, tmp_path):
    folder = train(request(shapes, tmp_path / "run", recipe("gan"))).run.folder
    image = tmp_path / "image.png"
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(image)
    for refused in (
        lambda: evaluate(folder, more_shapes),
        lambda: predict(folder, [image]),
        lambda: update(folder, more_shapes),
        lambda: infer_prior(folder, more_shapes),
        lambda: train(request(shapes, tmp_path / "next", Recipe(), init_from=folder)),
    ):
        with pytest.raises(InvalidInput, match="makes images and knows no classes; expected a classifier"):
            refused()


def test_a_classifier_makes_no_images(shapes_run):
    with pytest.raises(InvalidInput, match="expected one of a model that makes images"):
        Run.open(shapes_run).generator()


@every_model
def test_summary_of_a_name_and_of_a_run(shapes, tmp_path, name):
    folder = train(request(shapes, tmp_path / "run", recipe(name, optimization__epochs=0.1))).run.folder
    for what in (name, str(folder)):
        found = summarise(what)
        assert found.model == name
        assert found.parameters == sum(layer.parameters for layer in found.layers)
        assert found.multiply_adds > 0
    network = Run.open(folder).generator()
    assert found.parameters == sum(p.numel() for p in network.parameters())


def test_refusals(shapes, shapes_run, make_archive, tmp_path):
    few = make_archive("few.tar.gz", {"bar": 4, "disc": 5})
    with pytest.raises(InvalidInput, match="9 images; expected at least 16"):
        train(request(few, tmp_path / "a", recipe("gan")))
    with pytest.raises(InvalidInput, match="--init-from"):
        train(request(shapes, tmp_path / "b", recipe("gan"), init_from=shapes_run))
    with pytest.raises(InvalidInput, match="learns by the loss 'adversarial', not 'cross_entropy'"):
        recipe("gan", loss={"name": "cross_entropy"})
    with pytest.raises(InvalidInput, match="pretrain is for classifiers"):
        recipe("gan", pretrain="simclr")
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()


def test_one_class_is_enough(make_archive, tmp_path):
    one = make_archive("one.tar.gz", {"ring": 60})
    assert train(request(one, tmp_path / "run", recipe("gan"))).metrics["steps"] == 2


def test_a_diverging_game_stops_with_a_sentence(shapes, tmp_path):
    wild = recipe("gan", optimization__lr=1e30, optimization__epochs=5)
    with pytest.raises(TrainingDiverged, match="Lower the learning rate"):
        train(request(shapes, tmp_path / "run", wild))
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_sheet_lays_images_out_in_rows():
    images = torch.stack([torch.full((1, 2, 3), value / 10) for value in range(5)])
    page = sheet(images, columns=2)
    assert page.shape == (3 * 4 + 2, 2 * 5 + 2)
    assert page[2, 2] == 0
    assert page[2, 7] == round(0.1 * 255)
    assert page[10, 2] == round(0.4 * 255)
    assert sheet(torch.rand(3, 3, 4, 4)).shape[2] == 3
    with pytest.raises(InvalidInput, match="at least one"):
        sheet(images[:0])
