"""Starting from weights: a frozen network read once, weights of a file, and those learned from ImageNet."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from bayesight.belief.updating import LearningOptions, update_belief
from bayesight.data.text import Subwords
from bayesight.errors import InvalidConfig, InvalidInput, RunUnreadable, SourceNotFound, SourceUnreadable
from bayesight.models import from_huggingface, pretrained, pretrained_weights
from bayesight.run import Run
from bayesight.seeding import numpy_generator
from bayesight.training.recipe import Recipe
from bayesight.workflows.answer_table import write_answers
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.explain import explain
from bayesight.workflows.export import export
from bayesight.workflows.infer_prior import infer_prior
from bayesight.workflows.predict import Readings, answers_for, predict
from bayesight.workflows.summary import summarise
from bayesight.workflows.train import TrainRequest, train
from bayesight.workflows.training.classify import BORROWED_SELECTION, SELECTION
from bayesight.workflows.training.images import read_material
from bayesight.workflows.update import update

PHOTOGRAPHS = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data")) / "cifar10/cifar10-test2k.tar.gz"


def request(source, out, recipe, weights=None, **options):
    return TrainRequest(source, out, recipe, threads=1, weights=weights, **options)


def parts(folder):
    found = safetensors.torch.load_file(folder / "model.safetensors")
    return {name: value for name, value in found.items() if name.startswith("parts.")}


def test_a_frozen_network_keeps_its_weights_and_its_last_layer_learns(lite_run, lite_weights):
    given = safetensors.torch.load_file(lite_weights)
    kept = parts(lite_run)
    assert kept.keys() == {name for name in given if name.startswith("parts.")}
    assert all(torch.equal(kept[name], given[name]) for name in kept)
    metrics = Run.open(lite_run).metrics()
    assert metrics["softmax"]["accuracy"] > 0.6
    assert metrics["validation"]["accuracy"] > 0.7
    assert metrics["validation"]["examples"] == 60


def test_what_was_read_once_is_what_is_read_later(lite_run, shapes):
    """The head's rows, kept from the one reading, are those that the opened run reads of the same images."""
    classifier = Run.open(lite_run).classifier()
    found = evaluate(lite_run, shapes)
    assert found.evaluation.accuracy > 0.7
    kept = {d.numpy().tobytes(): f for d, f in zip(
        classifier.reference_digests, classifier.reference, strict=True)}  # fmt: skip
    from bayesight.data import open_store
    from bayesight.data.batches import Examples

    store = open_store(shapes)
    rows = torch.arange(len(store)).numpy()
    features = classifier.features(Examples((store.images,), rows, rows).in_order(50))
    again = {d.tobytes(): f for d, f in zip(store.digests, features, strict=True)}
    assert len(kept) == 60
    assert all(torch.equal(again[digest], row) for digest, row in kept.items())


def test_such_a_run_predicts_and_learns_without_the_packages(lite_run, more_shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
    folder = shutil.copytree(lite_run, tmp_path / "run")
    assert len(predict(folder, [more_shapes])) == 90
    before = evaluate(folder, more_shapes).evaluation.log_loss
    update(folder, more_shapes)
    assert evaluate(folder, more_shapes).evaluation.log_loss < before


def test_a_frozen_run_resumed_is_the_same_run(shapes, lite_recipe, lite_weights, lite_run, tmp_path):
    def stop(event):
        if getattr(event, "step", 0) == 9:
            raise KeyboardInterrupt

    asked = request(shapes, tmp_path / "run", lite_recipe, lite_weights, checkpoint_every_s=0.0)
    with pytest.raises(KeyboardInterrupt):
        train(asked, listeners=[stop])
    train(request(shapes, tmp_path / "run", lite_recipe, lite_weights, resume=True))
    one, other = (safetensors.torch.load_file(f / "model.safetensors") for f in (lite_run, tmp_path / "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_tuning_moves_the_last_parts_alone(shapes, lite_recipe, lite_weights, tmp_path):
    recipe = lite_recipe.changed({"model.tune": 1, "optimization.epochs": 2})
    folder = train(request(shapes, tmp_path / "run", recipe, lite_weights)).run.folder
    given, kept = safetensors.torch.load_file(lite_weights), parts(folder)
    moved = {name for name in kept if not torch.equal(kept[name], given[name])}
    assert moved
    assert all(name.startswith("parts.8.") for name in moved)


def test_weights_that_do_not_fit_are_refused(shapes, lite_recipe, lite_weights, shapes_run, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(InvalidInput, match="one of them"):
        train(request(shapes, out, lite_recipe, lite_weights, init_from=shapes_run))
    with pytest.raises(InvalidInput, match="is not in it; expected all"):
        train(request(shapes, out, lite_recipe, shapes_run / "model.safetensors"))
    wider = Recipe.default("lite2").changed({"model.side": 32})
    with pytest.raises(InvalidInput, match=r"does not fit this recipe|is not in it"):
        train(request(shapes, out, wider, lite_weights))
    (tmp_path / "no.safetensors").write_bytes(b"no weights")
    with pytest.raises(InvalidInput, match="not a safetensors file"):
        train(request(shapes, out, lite_recipe, tmp_path / "no.safetensors"))
    broken = {k: v * float("nan") if v.is_floating_point() else v
              for k, v in safetensors.torch.load_file(lite_weights).items()}  # fmt: skip
    safetensors.torch.save_file(broken, tmp_path / "nan.safetensors")
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        train(request(shapes, out, lite_recipe, tmp_path / "nan.safetensors"))


def test_a_tuned_network_begins_with_a_last_layer_that_fits(shapes, lite_recipe, lite_weights, tmp_path):
    changes = {"model.tune": 1, "optimization.epochs": 6}
    losses = []
    for name, rate in (("fitted", 1e-9), ("plain", None)):
        recipe = lite_recipe.changed({**changes, "optimization.backbone_lr": rate})
        train(request(shapes, tmp_path / name, recipe, lite_weights))
        with (tmp_path / name / "history.csv").open() as file:
            losses.append(float(next(csv.DictReader(file))["classifier.total"]))
    assert losses[0] < 0.8 * losses[1]


def test_any_model_starts_from_a_file(shapes, shapes_run, tmp_path):
    recipe = Run.open(shapes_run).recipe().changed({"optimization.epochs": 0.01, "optimization.lr": 1e-9})
    result = train(request(shapes, tmp_path / "run", recipe, shapes_run / "model.safetensors"))
    assert result.metrics["softmax"]["accuracy"] > 0.9


def test_pretraining_what_is_frozen_is_refused(shapes, lite_recipe, lite_weights, tmp_path):
    recipe = lite_recipe.changed({"pretrain": {"name": "simclr"}})
    with pytest.raises(InvalidInput, match=r"--set model\.tune=3"):
        train(request(shapes, tmp_path / "run", recipe, lite_weights))


@pytest.mark.skipif(not PHOTOGRAPHS.exists(), reason=f"no photographs at {PHOTOGRAPHS}")
def test_weights_from_imagenet_tell_photographs_apart(tmp_path):
    recipe = Recipe.default("lite0").changed({"model.side": 96})
    rows = torch.arange(0, 2000, 8).numpy()
    result = train(request(PHOTOGRAPHS, tmp_path / "run", recipe, only=rows))
    given, kept = pretrained_weights("lite0"), parts(tmp_path / "run")
    assert all(torch.equal(kept[name], value) for name, value in given.items())
    assert result.metrics["validation"]["accuracy"] > 0.4
    belief = result.run.classifier()
    assert (
        belief.head.counts.sum() == 250
    )  # the weights come from elsewhere: every image is learned, and judges
    assert len(belief.judged.labels) == 250
    assert result.metrics["selection"] == BORROWED_SELECTION
    grouped = recipe.changed({"data.group_by": r"(?P<group>\d\d)\.jpg"})
    apart = train(request(PHOTOGRAPHS, tmp_path / "grouped", grouped, only=rows))
    assert apart.run.classifier().head.counts.sum() == apart.metrics["examples"]["train"] < 250
    assert apart.metrics["selection"] == SELECTION
    assert "left out one of each class at a time" in (tmp_path / "run" / "report.html").read_text("utf-8")


NOUNS = ("film", "plot", "actor", "scene", "story", "music", "ending", "camera")
WORDS = {"good": ("great", "lovely", "moving", "clever"), "bad": ("dull", "awful", "boring", "weak")}
SMALL = {"model.layers": 1, "model.width": 16, "model.heads": 2, "data.context": 12, "data.vocabulary": 320}
FEW = {"data.batch": 16, "optimization.epochs": 6, "optimization.lr": 0.01, "data.validation": 0.25}


def sentences(label, count, seed=0):
    g = numpy_generator(seed, label)
    drawn = [(g.choice(NOUNS), *g.choice(WORDS[label], 2)) for _ in range(count)]
    return [f"the {noun} was {one} and {other}" for noun, one, other in drawn]


def written(path, count=80, seed=0, labels=WORDS):
    lines = [f"{label}\t{text}\n" for label in labels for text in sentences(label, count, seed)]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def recipe(**changes):
    return Recipe.default("bert").changed(SMALL | FEW | changes)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return written(tmp_path_factory.mktemp("texts") / "reviews.tsv")


@pytest.fixture(scope="module")
def trained(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(TrainRequest(source, out, recipe(), threads=1))


@pytest.fixture
def run(trained, tmp_path):
    import shutil

    return shutil.copytree(trained.run.folder, tmp_path / "run")


def test_a_run_of_texts_holds_what_one_of_images_holds(trained):
    folder = trained.run.folder
    assert {path.name for path in folder.iterdir()} == {
        "recipe.toml", "classes.json", "vocabulary.json", "model.safetensors", "belief.safetensors",
        "metrics.json", "history.csv", "report.html",
    }  # fmt: skip
    assert trained.metrics["validation"]["accuracy"] > 0.9
    assert trained.metrics["classes"] == ["bad", "good"]
    assert trained.run.classes().image_shape == (len(trained.run.vocabulary()), 1, 12)
    assert trained.run.kind == "classification"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "accuracy" in page
    parameters = sum(p.numel() for p in trained.run.network().parameters() if p.requires_grad)
    assert summarise(str(folder)).parameters == parameters


def test_labelled_lines_are_known_without_a_model_named(source, tmp_path):
    changes = {"optimization.epochs": 1} | SMALL
    found = train(TrainRequest(source, tmp_path / "run", changes=changes, threads=1))
    assert found.metrics["model"]["name"] == "bert"
    assert found.metrics["model"]["why"].startswith("chosen for texts")


def test_the_same_words_are_never_on_both_sides_and_subwords_are_of_the_training_part(source, tmp_path):
    doubled = tmp_path / "doubled.tsv"
    text = source.read_text(encoding="utf-8")
    doubled.write_text(text + text.replace(" was ", "  was "), encoding="utf-8")
    how = recipe()
    found = read_material(TrainRequest(doubled, tmp_path / "run", how), how)
    sides = [{d.tobytes() for d in found.digests[side]} for side in ("train", "validation")]
    assert sides[0].isdisjoint(sides[1])
    assert len(found.digests["train"]) > len(sides[0])  # the copies are there
    store = found.stores[0]
    train_texts = [store.texts[row] for row in found.train.rows]
    expected = Subwords.learned(train_texts, 320, masks=True)
    assert json.loads(found.classes.vocabulary.document) == json.loads(expected.document)


def test_an_answer_has_the_four_terms_of_one_about_an_image(run, tmp_path):
    good, bad = predict(run, ["the film was great and lovely", "the plot was dull and weak"])
    assert (good.prediction, bad.prediction) == ("good", "bad")
    assert set(good.as_dict()) == {
        "path", "prediction", "prior", "log_likelihood", "log_evidence", "posterior", "novelty", "p_value",
        "known", "reason",
    }  # fmt: skip
    joint = {k: good.prior[k] * np.exp(good.log_likelihood[k] - good.log_evidence) for k in ("good", "bad")}
    assert good.posterior == pytest.approx(joint)
    lines = tmp_path / "more.txt"
    lines.write_text("the film was great and lovely\n\nthe plot was dull and weak\n", encoding="utf-8")
    alone, other = answers_for(run, [str(lines)]).predictions
    assert [alone.path, other.path] == [f"{lines}:1", f"{lines}:3"]
    assert alone.log_likelihood == good.log_likelihood  # bit for bit, in whatever company
    assert other.log_likelihood == bad.log_likelihood


def test_novelty_of_texts_is_told_of_texts_and_as_a_bound_where_few_are_known(run, tmp_path):
    strange = predict(run, ["zq xv kj wp"], Readings(level=0.2))[0]
    assert strange.strangest
    assert "where only 20 % of texts of known kinds are above" in strange.reason
    (few,) = predict(run, ["zq xv kj wp"], Readings(level=0.001))
    held_out = Run.open(run).classifier().novelty_reference.scores
    assert f"where at most {200 / (1 + len(held_out)):.1f} % of texts of known kinds" in few.reason
    made = write_answers(run, ["the film was great and lovely"], tmp_path / "a.csv")
    assert ": 1 text answered, " in made.text()


def test_texts_that_cannot_be_read_are_named_and_long_ones_are_cut_and_said(run):
    long = "the film was great " * 9
    found = answers_for(run, ["", "no.txt", long])
    assert [one.error for one in found.unread] == [
        "the text is empty; expected words.",
        "no.txt does not exist; expected a text, or a file of texts.",
    ]
    needed = len(Run.open(run).vocabulary().encode(long)) + 2
    assert found.notes[long] == (f"cut after 12 of its {needed} symbols, those the run reads",)
    with pytest.raises(SourceNotFound, match=r"no\.txt does not exist"):
        predict(run, ["no.txt"])


def test_a_text_is_judged_and_base_rates_inferred_elsewhere(run, tmp_path):
    other = written(tmp_path / "other.tsv", 30, seed=5)
    found = evaluate(run, other)
    assert found.evaluation.accuracy > 0.9
    mostly = tmp_path / "mostly.tsv"
    lines = [*sentences("good", 60, 7), *sentences("bad", 20, 7)]
    mostly.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    prior = infer_prior(run, mostly).as_dict()["prior"]
    assert prior["good"] == pytest.approx(0.75, abs=0.12)


def test_labels_in_any_batches_give_one_belief_and_new_classes(run, tmp_path):
    first = written(tmp_path / "first.tsv", 12, seed=3)
    second = tmp_path / "second.tsv"
    second.write_text(
        "".join(f"other\tein {noun} auf Deutsch, ganz anders\n" for noun in NOUNS), encoding="utf-8"
    )
    both = tmp_path / "both.tsv"
    both.write_text(first.read_text(encoding="utf-8") + second.read_text(encoding="utf-8"), encoding="utf-8")
    before = Run.open(run).classifier()
    result = update(run, both)
    assert result.new_classes == ("other",)
    together = Run.open(run).classifier()
    assert predict(run, ["ein neuer film auf Deutsch, ganz anders"])[0].prediction == "other"
    update(run, both, remove=True)
    Run.open(run).save_classifier(before)
    update(run, first)
    update(run, second)
    apart = Run.open(run).classifier()
    x = together.reference[:20]
    torch.testing.assert_close(apart.log_likelihood(x), together.log_likelihood(x), rtol=1e-9, atol=1e-9)


def test_learning_and_unlearning_is_nothing(run, tmp_path):
    classifier = Run.open(run).classifier()
    from bayesight.belief.absorbed import Rows
    from bayesight.data.labelled_texts import encoded

    texts = sentences("good", 5, 11)
    rows, _ = encoded(texts, classifier.classes.vocabulary, 12)
    features = classifier.features([(torch.from_numpy(rows), torch.zeros(5))])
    digests = torch.arange(80, dtype=torch.uint8).view(5, 16)
    labelled = Rows(features, torch.ones(5, dtype=torch.int64), digests)
    after, _ = update_belief(classifier, labelled, (), LearningOptions(1.0, False, False))
    again, _ = update_belief(after, labelled, (), LearningOptions(1.0, False, True))
    torch.testing.assert_close(again.head.sums, classifier.head.sums, rtol=1e-9, atol=1e-9)


def test_images_and_texts_are_not_taken_for_each_other(run, source, tmp_path):
    pictures = tmp_path / "pictures"
    for name, grey in (("a", 0), ("b", 200)):
        (pictures / name).mkdir(parents=True)
        for number in range(6):
            Image.new("L", (8, 8), grey + number).save(pictures / name / f"{number}.png")
    with pytest.raises(SourceUnreadable, match="holds no text; expected lines of label<TAB>text"):
        evaluate(run, pictures)
    with pytest.raises(SourceUnreadable, match="holds no text"):
        train(TrainRequest(pictures, tmp_path / "r", recipe()))
    with pytest.raises(InvalidInput, match="holds texts, and the model 'mlp' reads images"):
        train(TrainRequest(source, tmp_path / "r", Recipe.default("mlp")))
    of_images = train(
        TrainRequest(pictures, tmp_path / "images", Recipe.default("linear"), threads=1)
    ).run.folder
    with pytest.raises(InvalidInput, match="holds texts, and the run's model reads images"):
        evaluate(of_images, source)
    with pytest.raises(SourceUnreadable, match="it is text, and the run reads images"):
        predict(of_images, [source.rename(source.with_suffix(".txt"))])
    source.with_suffix(".txt").rename(source)
    for refused in (
        lambda: explain(run, "the film was great", tmp_path / "x.png"),
        lambda: export(run, tmp_path / "x.onnx"),
    ):
        with pytest.raises(InvalidInput, match="a run that reads texts; expected one that reads images"):
            refused()


def test_bad_texts_are_refused(tmp_path):
    one = tmp_path / "one.tsv"
    one.write_text("ham\thello\nham\tbye\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"holds 1 class \(ham\).*before the tab in its line"):
        train(TrainRequest(one, tmp_path / "r", recipe()))
    lonely = written(tmp_path / "lonely.tsv", 8)
    with lonely.open("a", encoding="utf-8") as file:
        file.write("odd\tthe only one\n")
    with pytest.raises(InvalidInput, match=r"too small.*odd \(1\)"):
        train(TrainRequest(lonely, tmp_path / "r", recipe()))


def test_a_recipe_says_what_a_model_of_texts_has_no_use_for():
    with pytest.raises(InvalidConfig, match=r"data.size is for images"):
        recipe(**{"data.size": 8})
    with pytest.raises(InvalidConfig, match=r"data.augment is for images"):
        recipe(**{"data.augment": {"name": "glyph"}})
    with pytest.raises(InvalidConfig, match=r"a number of subwords, as 4000"):
        recipe(**{"data.vocabulary": "characters"})
    with pytest.raises(InvalidConfig, match=r"pretrain 'simclr' is not for texts; expected 'masked'"):
        recipe(pretrain="simclr")
    with pytest.raises(InvalidConfig, match=r"pretrain 'masked' is not for images"):
        Recipe.default("mlp").changed({"pretrain": "masked"})
    with pytest.raises(InvalidConfig, match=r"pretrain 'masked' has no 'projection'"):
        recipe(pretrain={"name": "masked", "projection": 8})
    kept = recipe(pretrain={"name": "masked", "share": 0.2})
    assert Recipe.from_toml(kept.to_toml().encode(), "it") == kept


def test_it_starts_from_a_run_and_its_symbols(run, source, tmp_path):
    how = recipe(**{"model.tune": 0, "optimization.epochs": 1})
    start = Run.open(run)
    found = train(TrainRequest(source, tmp_path / "next", how, init_from=run, threads=1))
    assert found.run.vocabulary().document == start.vocabulary().document
    ours, theirs = found.run.network().state_dict(), start.network().state_dict()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours if k.startswith("encoder."))


def test_it_starts_from_published_weights(source, tmp_path):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path / "published"
    config = transformers.BertConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=24,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    with pytest.raises(SourceNotFound, match=r"tokenizer.json"):
        train(TrainRequest(source, tmp_path / "r", recipe(), weights=folder))
    own = Subwords.learned(sentences("good", 40), 300, masks=True)
    (folder / "tokenizer.json").write_text(own.document, encoding="utf-8")
    how = recipe(**{"model.tune": 0, "optimization.epochs": 1})
    found = train(TrainRequest(source, tmp_path / "run", how, weights=folder, threads=1))
    assert found.run.recipe().model.options["layers"] == 2
    ours, theirs = found.run.network().encoder.state_dict(), from_huggingface(folder).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert found.run.vocabulary().as_dict() == own.as_dict()
    assert Run.open(tmp_path / "run").classifier().classes.names == ("bad", "good")


def test_a_vocabulary_that_is_damaged_or_another_run_s_is_refused(run):
    file = run / "vocabulary.json"
    whole = json.loads(file.read_text(encoding="utf-8"))

    def refused(match, tree):
        file.write_text(json.dumps(tree), encoding="utf-8")
        with pytest.raises(RunUnreadable, match=match):
            predict(run, ["the film was great"])

    unmarked = Subwords.learned(["a text"], 300).document.replace("<pad>", "<fill>")
    refused("no marks of padding", {"format": 2, "kind": "subwords", "tokenizer": json.loads(unmarked)})
    refused(
        "its kind is 'characters'; expected 'subwords'", {"format": 2, "kind": "characters", "alphabet": "ab"}
    )
    other = Subwords.learned(sentences("bad", 30, 2), 280, masks=True).as_dict()
    refused(r"encoder\.symbol_bias. is float32 \(320,\)", {"format": 2, **other})
    refused("vocabulary", {**whole, "tokenizer": {}})
    file.unlink()
    with pytest.raises(RunUnreadable, match=r"vocabulary\.json"):
        predict(run, ["the film was great"])


def test_masked_pretraining_learns_from_all_texts_but_the_held_out(source, tmp_path):
    more = tmp_path / "more.txt"
    more.write_text("".join(f"{line}\n" for line in sentences("good", 40, 9)), encoding="utf-8")
    how = recipe(pretrain={"name": "masked", "epochs": 6, "batch": 32})
    found = train(TrainRequest(source, tmp_path / "run", how, unlabelled=(more,), threads=1)).metrics
    told = found["pretraining"]
    assert told["name"] == "masked"
    assert told["examples"]["labelled"] == found["examples"]["train"]
    assert 0 < told["examples"]["unlabelled"] <= 40
    assert told["loss"][-1] < told["loss"][0]


@pytest.mark.parametrize(("stop", "pretrained"), [(8, False), (8, True)])
def test_resume_after_kill_9(source, tmp_path, killed_training, stop, pretrained):
    changes = {"pretrain": {"name": "masked", "epochs": 4, "batch": 32}} if pretrained else {}
    how = tmp_path / "recipe.toml"
    how.write_text(recipe(**changes).to_toml(), encoding="utf-8")
    assert killed_training(source, how, tmp_path / "killed", stop, 0.0) != 0
    assert not (tmp_path / "killed" / "metrics.json").exists()
    whole = train(TrainRequest(source, tmp_path / "whole", Recipe.load(how), threads=1))
    resumed = train(TrainRequest(source, tmp_path / "killed", resume=True, threads=1))
    ours, theirs = (one.run.network().state_dict() for one in (resumed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
