"""Sources as a run reads them: its parts, its names, and what it knows of the classes."""

import shutil

import numpy as np
import pytest

from bayesight.data import open_store
from bayesight.data.layout import LayoutOptions
from bayesight.errors import InvalidInput
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.sources import SourceOptions, class_numbers
from bayesight.workflows.train import TrainRequest, read_material, train
from bayesight.workflows.training.images import sides
from bayesight.workflows.update import update

QUICK = Recipe.default("mlp").changed(
    {"optimization.epochs": 3, "data.batch": 16, "model.hidden": [16], "data.augment": "none"}
)


@pytest.fixture
def parted(make_archive):
    """Makes an archive of parts: {"train/bar": 20, ...}; the last folder that names a drawing is drawn."""

    def make(counts, name="parted.tar.gz", seed=2):
        drawing = {
            path: next((p for p in reversed(path.split("/")) if p in ("bar", "disc", "ring")), "disc")
            for path in counts
        }
        return make_archive(name, counts, drawing, seed)

    return make


PARTS = {"train/bar": 20, "train/ring": 20, "val/bar": 6, "val/ring": 7, "test/bar": 8, "test/ring": 9}


def test_training_validates_on_the_validation_part_and_leaves_the_test_part_alone(parted, tmp_path):
    source = parted(PARTS | {"unlabeled": 5})
    heard = []
    made = train(TrainRequest(source, tmp_path / "run", QUICK, threads=1), listeners=[heard.append])
    assert (len(made.material.train), len(made.material.validation)) == (40, 13)
    assert made.metrics["parts"] == {"train": 40, "validation": 13, "test": 17, "unlabelled": 5}
    assert heard[0].notes == tuple(made.metrics["notes"])
    said = " / ".join(heard[0].notes)
    assert "the test part takes no part in training; bayesight evaluate RUN SOURCE scores it" in said
    assert "the validation part chooses the weights" in said
    test = {d.tobytes() for d in open_store(source).digests[open_store(source).rows_of("test")]}
    for name in ("train", "validation"):
        assert not {d.tobytes() for d in made.material.digests[name]} & test
    found = evaluate(made.run.folder, source)
    assert (found.data.part, len(found.evaluation.labels)) == ("test", 17)
    assert found.as_dict()["part"] == "test"
    chosen = evaluate(made.run.folder, source, options=SourceOptions(part="validation"))
    assert len(chosen.evaluation.labels) == 13


COPIED = {"train": 9, "train/more": 8, "test": 8}  # equally many drawings are the same ones


def test_copies_of_images_in_another_part_are_not_learned_from(parted):
    alike = open_store(parted({"train/bar": 9, "train/ring": 9, "test/bar": 9, "test/ring": 9}))
    with pytest.raises(
        InvalidInput, match="classes 'bar', 'ring' in the test part but not in the training part"
    ):
        sides(alike, np.asarray(alike.labels), 0.25, 0)
    some = {f"{part}/{name}": many for part, many in COPIED.items() for name in ("bar", "ring")}
    options = LayoutOptions(class_level=-1)
    store = open_store(parted(some, "some.tar.gz"), layout=options)
    chosen, notes = sides(store, np.asarray(store.labels), 0.25, 0)
    assert sum(map(len, chosen.values())) == 18
    assert "16 images that lie in another part of the source too were left out of training" in notes


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            {"train/bar": 9, "train/ring": 9, "test/disc": 3},
            "class 'disc' in the test part but not in the tr",
        ),
        ({"train/bar": 9, "train/ring": 9, "val/bar": 3}, "the validation part has no image of 'ring'"),
        ({"train/bar": 9, "test/bar": 3, "test/ring": 3}, "class 'ring' in the test part but not"),
    ],
)
def test_parts_that_lack_classes_are_refused(parted, tmp_path, counts, words):
    with pytest.raises(InvalidInput, match=words):
        read_material(TrainRequest(parted(counts), tmp_path / "run", QUICK), QUICK)
    pooled = SourceOptions(LayoutOptions(class_level=3, split_folders=False))
    if len({path.split("/")[1] for path in counts}) > 1:
        request = TrainRequest(parted(counts), tmp_path / "run", QUICK, options=pooled)
        assert len(read_material(request, QUICK).classes.names) >= 2


def test_all_classes_too_small_are_named_with_their_numbers(make_archive, tmp_path):
    source = make_archive("s.tar.gz", {"bar": 9, "ring": 1, "disc": 1})
    with pytest.raises(InvalidInput, match=r"2 classes are too small, .*: disc \(1\), ring \(1\)"):
        read_material(TrainRequest(source, tmp_path / "run", QUICK), QUICK)


def test_an_update_takes_the_training_part(run_copy, parted):
    found = update(run_copy, parted(PARTS, seed=7))
    assert found.absorbed + found.repeated == 40
    assert "train is taken: 40 images" in found.note


def test_folders_are_read_in_the_way_that_gives_known_classes(shapes_run, run_copy, parted):
    nested = parted({"bar/mine": 5, "bar/theirs": 5, "ring/mine": 5, "ring/theirs": 5})
    assert evaluate(shapes_run, nested).evaluation.confusion.sum(axis=1).tolist() == [10, 0, 10]
    places = parted({"here/bar": 5, "here/ring": 4, "there/bar": 5, "there/ring": 4}, "places.tar.gz")
    assert evaluate(shapes_run, places).evaluation.confusion.sum(axis=1).tolist() == [10, 0, 8]
    with pytest.raises(
        InvalidInput, match=r"'today' lies inside 'ring', a class of the run; --class-level 2"
    ):
        update(run_copy, parted({"ring/today": 4}, "today.tar.gz"))
    taken = SourceOptions(LayoutOptions(class_level=2))
    assert update(run_copy, parted({"ring/today": 4}, "today.tar.gz"), options=taken).new_classes == ()


def test_further_images_of_unknown_classes_are_refused(shapes, make_archive, tmp_path):
    more = make_archive("more.tar.gz", {"0": 4, "1": 4}, {"0": "bar", "1": "ring"})
    request = TrainRequest(shapes, tmp_path / "run", QUICK, also=(more,))
    with pytest.raises(InvalidInput, match=r"--also .*more.tar.gz: the run does not know classes '0', '1'"):
        read_material(request, QUICK)


def test_new_names_that_look_like_known_ones_are_asked_about(run_copy, make_archive):
    for name in ("Ring", "ring ", "r\N{FULLWIDTH LATIN SMALL LETTER I}ng"):
        archive = make_archive("x.tar.gz", {name: 3}, {name: "ring"})
        with pytest.raises(InvalidInput, match=r"from 'ring' by case, width or blanks only.*--similar-names"):
            update(run_copy, archive)
    allowed = update(run_copy, archive, options=SourceOptions(similar_names=True))
    assert allowed.new_classes == (name,)
    near = update(run_copy, make_archive("y.tar.gz", {"rings": 3}, {"rings": "ring"}, seed=4))
    assert "'rings' (did you mean 'ring'?)" in near.note


def test_names_are_compared_in_one_unicode_form():
    composed, apart = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
    assert class_numbers((composed,), ("tea", apart))[0].tolist() == [1]
    assert class_numbers((composed, "x"), (composed,), new_classes=True)[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("found", "options", "expected"),
    [
        (("0", "2"), {"by_position": True}, [0, 2]),
        (("0", "10"), {"by_position": True, "asked": True}, "labels 0, 10; expected numbers from 0 to 2"),
        (("A", "0"), {"by_position": True, "asked": True}, "expected numbers from 0 to 2"),
        (("0", "2"), {}, "does not know classes '0', '2'"),
        (("0", "2"), {"new_classes": True}, [3, 4]),
    ],
)
def test_numbers_are_positions_only_where_that_is_said(found, options, expected):
    if isinstance(expected, str):
        with pytest.raises(InvalidInput, match=expected):
            class_numbers(found, ("A", "B", "C"), **options)
    else:
        assert class_numbers(found, ("A", "B", "C"), **options)[0].tolist() == expected


def test_the_belief_of_an_untouched_run_stays(run_copy, make_archive):
    belief = (run_copy / "belief.safetensors").read_bytes()
    with pytest.raises(InvalidInput):
        update(run_copy, make_archive("x.tar.gz", {"RING": 3}, {"RING": "ring"}))
    assert (run_copy / "belief.safetensors").read_bytes() == belief
    assert Run.open(run_copy).classes().names == ("bar", "disc", "ring")


def test_classes_are_left_out_on_request(make_archive, tmp_path):
    source = make_archive("s.tar.gz", {"bar": 9, "ring": 9, "disc": 1})
    request = TrainRequest(source, tmp_path / "run", QUICK, without=("disc",))
    material = read_material(request, QUICK)
    assert material.classes.names == ("bar", "ring")
    assert len(material.train) + len(material.validation) == 18
    assert "left out as asked for: 'disc'" in material.notes
    assert material.content_hashes != [open_store(source).manifest.content_hash]
    with pytest.raises(InvalidInput, match="no class is called 'dics'; did you mean 'disc'"):
        read_material(TrainRequest(source, tmp_path / "run", QUICK, without=("dics",)), QUICK)


def test_labels_by_name_train_measure_and_update_as_folders_do(shapes, shapes_run, make_archive, tmp_path):
    """A pattern that takes the folder for the label is the folder, in every job; new classes are absorbed."""
    by_name = SourceOptions(LayoutOptions(labels_from="(?P<label>[a-z]+)/[^/]*$"))
    made = train(TrainRequest(shapes, tmp_path / "run", QUICK, options=by_name, threads=1))
    plain = train(TrainRequest(shapes, tmp_path / "plain", QUICK, threads=1))
    assert made.metrics["validation"] == plain.metrics["validation"]
    assert any(note.startswith("labels from the pattern") for note in made.metrics["notes"])
    scores = [evaluate(shapes_run, shapes, options=options) for options in (by_name, SourceOptions())]
    assert scores[0].evaluation.accuracy == scores[1].evaluation.accuracy
    inside = make_archive("inside.tar.gz", {"bar/star": 9}, {"bar/star": "disc"})
    table = tmp_path / "l.csv"
    names = [open_store(inside).path_of(row) for row in range(9)]
    table.write_text("path,kind\n" + "".join(f"{name},star\n" for name in names))
    by_table = SourceOptions(LayoutOptions(labels_from=f"{table}:kind"))
    copy = tmp_path / "copy"
    shutil.copytree(shapes_run, copy)
    assert update(copy, inside, options=by_table).new_classes == ("star",)


def test_environments_by_folder_need_class_folders():
    by_name = SourceOptions(LayoutOptions(labels_from="(?P<label>a)"))
    assert by_name.beside("t.csv:place") == by_name
    with pytest.raises(InvalidInput, match="--environments folder: labels from --labels-from"):
        by_name.beside("folder")
