"""What folders are taken for: classes, parts, unlabelled images, masks; and what is asked about."""

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesight.data.foldernames import roles
from bayesight.data.layout import LOWEST, Folder, LayoutOptions, LayoutUnclear, decide, flat_hint, folder_of
from bayesight.errors import InvalidInput


def tree(text):
    """``a/b:3`` is a folder of 3 images, ``a/b:txt`` one of other files."""
    folders = {}
    for item in text.split():
        path, _, what = item.partition(":")
        folder = folders.setdefault(folder_of(f"{path}/"), Folder())
        if what and not what.isdecimal():
            folder.others[what] += 3
        else:
            folder.images = int(what or 5)
            folder.names = [f"{k}.png" for k in range(3)]
    return folders


def taken(folders, asked):
    """The classes that options give."""
    places = decide(folders, asked, "x.zip").places.values()
    return tuple(sorted({place.name for place in places if place.name is not None}))


def layout_of(text, **options):
    return decide(tree(text), LayoutOptions(**options), "x.zip")


def read(text, **options):
    """{folder: (class, part)}."""
    places = layout_of(text, **options).places
    return {"/".join(path): (place.name, place.part) for path, place in places.items()}


def classes(text, **options):
    return sorted({name for name, _ in read(text, **options).values() if name is not None})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A B C", "A B C"),
        ("set/A set/B", "A B"),
        ("a/b/c/A a/b/c/B", "A B"),
        ("0001 0002 10", "0001 0002 10"),
        ("train/cat train/dog", "cat dog"),
        ("test/cat test/dog", "cat dog"),
        ("animals/cat animals/dog vehicles/bus", "bus cat dog"),
        ("with_mask without_mask", "with_mask without_mask"),
        ("Mask no-mask", "Mask no-mask"),
        ("jpg png", "jpg png"),
        ("photos drawings", "drawings photos"),
        ("A-M/A A-M/B N-Z/N", "A B N"),
        ("ring bar notes:.txt", "bar ring"),
        ("train bus car", "bus car train"),
    ],
)
def test_plain_layouts_stay_plain(text, expected):
    assert classes(text) == expected.split()
    assert {part for _, part in read(text).values()} == {""}


@pytest.mark.parametrize(
    "text",
    [
        "train/cat train/dog val/cat val/dog test/cat test/dog",
        "Train/cat Train/dog Validation/cat Validation/dog TEST/cat TEST/dog",
        "set/training_set/cat set/training_set/dog set/dev/cat set/dev/dog set/hold-out/cat set/hold-out/dog",
        "train2017/cat train2017/dog val2017/cat val2017/dog testset/cat testset/dog",
        "seg_train/seg_train/cat seg_train/seg_train/dog seg_val/cat seg_val/dog seg_test/cat",
        "cat/train cat/valid cat/test dog/train dog/valid dog/test",
        "trainImages/cat trainImages/dog validImages/cat validImages/dog testImages/cat",
    ],
)
def test_parts_are_recognised_in_any_spelling_above_or_below_the_class(text):
    begins = {"tr": "train", "va": "validation", "de": "validation", "te": "test", "ho": "test"}
    found = read(text)
    assert {part for _, part in found.values()} == {"train", "validation", "test"}
    for path, (name, part) in found.items():
        others = [folder.lower().removeprefix("seg_") for folder in path.split("/") if folder != name]
        assert name in ("cat", "dog")
        assert part == begins[next(folder for folder in others if folder != "set")[:2]]


def test_parts_are_recognised_in_korean():
    found = read("훈련/고양이 훈련/개 검증용/고양이 검증용/개 테스트셋/고양이 테스트셋/개")
    assert {part for _, part in found.values()} == {"train", "validation", "test"}
    assert {name for name, _ in found.values()} == {"고양이", "개"}


def test_what_was_set_apart_is_no_class_and_is_said():
    text = "set/train/ring:60 set/train/bar:9 set/val/ring set/val/bar set/test:20 set/Un-Labelled_Data/x:7"
    found = read(text)
    assert found["set/test"] == (None, "test")
    assert found["set/Un-Labelled_Data/x"] == (None, "unlabelled")
    said = " / ".join(layout_of(text).notes)
    assert "set/Un-Labelled_Data/: no class (7 images)" in said
    assert "train/ train (69 images), val/ validation (10 images), test/ test (20 images)" in said
    assert "20 images in set/test/ have no class folder" in said


@pytest.mark.parametrize(
    "name", ["unlabeled", "Unlabelled", "UNLABELED data", "unlabelled-images", "unsup", "no_label"]
)
@pytest.mark.parametrize("where", ["{}", "deep/{}/x/y", "ring/{}"])
def test_unlabelled_in_any_spelling_and_depth_is_no_class(name, where):
    folders = {("ring",): Folder(3), ("bar",): Folder(3), tuple(where.format(name).split("/")): Folder(4)}
    places = decide(folders, LayoutOptions(), "x.zip").places
    assert {place.name for place in places.values() if place.part == ""} == {"bar", "ring"}
    assert [place.name for place in places.values() if place.part == "unlabelled"] == [None]


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("COVID/images COVID/masks Normal/images Normal/masks", {"COVID/masks", "Normal/masks"}),
        ("images/ring images/bar masks/ring masks/bar", {"masks/ring", "masks/bar"}),
        ("ring/img ring/GT bar/img bar/GT", {"ring/GT", "bar/GT"}),
        ("b/train/good b/train/bad b/test/good b/test/bad b/ground_truth/bad", {"b/ground_truth/bad"}),
    ],
)
def test_masks_beside_images_are_left_out(text, left_out):
    found = read(text)
    assert {path for path, (_, part) in found.items() if part == "left out"} == left_out
    assert len(classes(text)) == 2
    assert "masks or annotations beside images: no class, left out" in " ".join(layout_of(text).notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "set/ring/kaggle set/ring/own set/bar/kaggle set/bar/own",
            "--class-level 2 takes bar, ring for the classes; --class-level 3 takes kaggle, own",
        ),
        ("env1/cat env1/dog env2/cat env2/dog", "--class-level 2 takes cat, dog for the classes"),
        ("ring ring/extra bar", "--class-level 1 takes bar, ring .*--class-level -1 takes bar, extra, ring"),
        ("good bad/scratch bad/dent", "several depths: .*--class-level 1 takes bad, good"),
        ("set set/ring set/bar", "--class-level 2 takes bar, ring .*--class-level -1 takes bar, ring, set"),
        ("ring/subject01 ring/subject02 bar/subject03", "numbered .*--class-level 1 takes bar, ring"),
        ("ring bar test", "--split-folders takes bar, ring .*--no-split-folders takes bar, ring, test"),
        ("test control", "--split-folders takes control .*--no-split-folders takes control, test"),
        ("train/a train/b val/a val/b extra/a", "--class-level 2 --split-folders takes a, b"),
        ("train test", "hold images, not class folders; .* --no-split-folders takes test, train"),
        ("train/a train/b val", "val/ hold images, .*--class-level 2 takes a, b for the classes"),
        (
            "images masks",
            "images and their masks .* train --task segment, .*--class-level 1 takes images, masks",
        ),
        ("val/JPEGImages val/SegmentationClass", "images and their masks or annotations"),
        ("ring bar masks", "masks/ beside class folders .*--class-level 1 takes bar, masks, ring"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_the_option_for_each(text, words):
    with pytest.raises(LayoutUnclear, match=words) as refused:
        classes(text)
    assert str(refused.value).startswith("x.zip: ")
    for reading in refused.value.readings:
        places = decide(tree(text), reading.asked, "x.zip").places.values()
        assert sorted({place.name for place in places if place.name is not None}) == list(reading.classes)


def test_the_level_counts_from_the_top_or_from_the_image():
    text = "set/ring/kaggle set/ring/own set/bar/kaggle set/bar/own"
    assert classes(text, class_level=2) == classes(text, class_level=-2) == ["bar", "ring"]
    assert classes(text, class_level=3) == classes(text, class_level=LOWEST) == ["kaggle", "own"]
    assert read("set set/ring set/bar", class_level=2)["set"] == (None, "left out")
    with pytest.raises(InvalidInput, match="--class-level 7: no image has a folder there; expected 1 to 3"):
        classes(text, class_level=7)


def test_parts_beside_a_stated_level_and_against_the_names():
    text = "train/ring/kaggle train/bar/own test/ring/own test/bar/own"
    assert read(text, class_level=2)["test/bar/own"] == ("bar", "test")
    assert classes(text, class_level=1) == ["test", "train"]
    assert read("ring bar test", split_folders=True)["test"] == (None, "test")
    assert read("train/a train/b test/c", split_folders=False)["test/c"] == ("c", "")


def test_a_class_none_of_whose_files_can_be_read_is_named():
    (lost,) = layout_of("set/ring set/bar set/cross:heic").lost
    said = "'cross', of which no file in set/cross/ could be read as an image (3 heic)"
    assert (lost.name, lost.folder, lost.files, str(lost)) == ("cross", "set/cross", {"heic": 3}, said)
    (lost,) = layout_of("train/ring train/bar train/cross:png test/ring test/bar").lost
    assert lost.folder == "train/cross"
    (lost,) = layout_of("ring/ring bar/x/bar cross:heic", class_level=1).lost
    assert lost.folder == "cross"
    two = layout_of("ring bar cross:heic disc:.dat").lost
    assert [one.name for one in two] == ["cross", "disc"]
    assert layout_of("ring bar docs:.md scripts:.py Annotations:png unlabelled:heic").lost == ()
    assert classes("ring bar docs:.md scripts:.py Annotations:png unlabelled:heic") == ["bar", "ring"]


def test_names_of_one_spelling_and_names_easily_mixed_up():
    accented = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    assert folder_of("cafe\N{COMBINING ACUTE ACCENT}/x.png") == (accented,)
    (note,) = layout_of("Cat cat dog").notes
    assert note == "'Cat', 'cat' differ by case, width or blanks only and are 2 classes"


def test_names_of_files_that_name_classes():
    for first, second, between in (
        ("cat", "dog", "."),
        ("Abyssinian", "beagle", "_"),
        ("a b", "a c", " "),
    ):
        names = [f"{name}{between}{k}.jpg" for name in (first, second) for k in range(5)]
        assert f"Names begin with {first}, {second}" in flat_hint(names)
    assert flat_hint([f"IMG_{k}.jpg" for k in range(9)]) == flat_hint(["a.png", "b.png"]) == ""


def test_no_name_takes_long_to_understand():
    began = time.perf_counter()
    assert roles(["train" + "dataset" * 35, "train" + "dataset" * 35 + "x", "val"]).keys() == {
        "train" + "dataset" * 35,
        "val",
    }
    assert flat_hint(["_" * 60_000 + "x.png", "1" * 60_000 + "x1y.png"]) == ""
    assert time.perf_counter() - began < 10  # it takes milliseconds, and years if every way is tried


NAMES = st.sampled_from(["a", "b", "train", "test", "images", "masks"])


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=7))
def test_every_tree_is_decided_or_refused(paths):
    folders = {path: Folder(2, Counter(), ["0.png"]) for path in paths}
    try:
        layout = decide(folders, LayoutOptions(), "x.zip")
    except LayoutUnclear as unclear:
        for reading in unclear.readings:
            assert taken(folders, reading.asked) == reading.classes
        return
    except InvalidInput:
        return
    assert set(layout.places) == set(folders)
    assert all(place.name is None or place.name in path for path, place in layout.places.items())


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("images/unlabeled:20 1/test/label/cat2:20 labels:5 data:20", None),
        ("images/unlabeled:20 1/test/label/cat2:20 labels:5 data:20", True),
        ("images/A/images:0 gt/train/cat2/val:5 jpeg/a/A:20 2/images/A/data:5", False),
        ("Train/train:5 masks:1", None),
    ],
)
def test_the_options_of_a_refusal_give_the_classes_it_names(text, split):
    with pytest.raises(LayoutUnclear) as refused:
        layout_of(text, split_folders=split)
    assert refused.value.readings
    for reading in refused.value.readings:
        assert taken(tree(text), reading.asked) == reading.classes
        assert f"{reading.asked.options} takes" in str(refused.value)


def test_a_refusal_without_a_way_says_what_to_do_in_a_sentence():
    with pytest.raises(LayoutUnclear, match=r"NAME\.png\. Put each class into a folder of its own\.$"):
        layout_of("Train/train:5 masks:1", split_folders=True)


def test_ten_thousand_classes_are_decided_in_a_moment():
    folders = {(part, f"class{k}"): Folder(2) for part in ("train", "test") for k in range(5000)}
    began = time.perf_counter()
    assert len({place.name for place in decide(folders, LayoutOptions(), "x.zip").places.values()}) == 5000
    assert time.perf_counter() - began < 10  # it takes a tenth of a second, and minutes if in the square
