"""What becomes of the images of a source by their folders and names, read from real files."""

import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bayesight.data import ImageDataset, open_store
from bayesight.data.audit import audit
from bayesight.data.layout import LayoutOptions, LayoutUnclear
from bayesight.errors import InvalidInput, SourceUnreadable


@pytest.fixture
def source(tmp_path, make):
    """Makes a tar of pictures by name, all different; other files hold a word."""

    def build(*names, name="x.tar", first=0):
        members = [
            (path, make.encoded(make.picture(first + k)) if path.endswith((".png", ".jpg")) else b"word")
            for k, path in enumerate(names)
        ]
        return make.tar(tmp_path / name, members, "w")

    return build


def several(*folders, each=3):
    return [f"{folder}/{k}.png" for folder in folders for k in range(each)]


def test_parts_unlabelled_images_and_masks_lie_in_one_store(source, tmp_path):
    names = several("train/a", "train/b", "val/a", "val/b", "test", "Unlabeled Data/x")
    store = open_store(source(*names, "train/a/0_mask.png"), cache=tmp_path)
    assert store.classes == ("a", "b")
    assert store.manifest.counts == {"a": 6, "b": 6}
    assert store.manifest.parts == {"train": 6, "validation": 6, "test": 3, "unlabelled": 3, "left out": 1}
    for row in range(len(store)):
        path = store.path_of(row)
        label = store.classes[store.labels[row]] if store.labels[row] >= 0 else None
        assert label == (
            path.split("/")[1] if path.startswith(("train", "val")) and "mask" not in path else None
        )
    assert [len(store.rows_of(part)) for part in ("train", "validation", "test")] == [6, 6, 0]
    assert "1 mask beside the image it belongs to" in " ".join(store.manifest.notes)


def test_a_long_name_is_told_from_a_mask_in_a_moment(source, tmp_path):
    began = time.perf_counter()
    store = open_store(source(*several("a", "b"), f"b/{'_' * 50_000}x.png"), cache=tmp_path)
    assert store.manifest.counts == {"a": 3, "b": 4}
    assert time.perf_counter() - began < 20  # it takes a tenth of a second, and minutes if in the square


def test_parts_are_part_of_what_a_store_holds(source, tmp_path):
    one = open_store(source(*several("train/a", "train/b", "test/a", "test/b")), cache=tmp_path)
    plain = open_store(
        source(*several("train/a", "train/b", "test/a", "test/b")),
        layout=LayoutOptions(split_folders=False, class_level=2),
        cache=tmp_path,
    )
    assert one.manifest.counts == plain.manifest.counts
    assert one.manifest.content_hash != plain.manifest.content_hash
    assert not plain.has_parts


def test_one_class_in_two_unicode_forms_is_one(source, tmp_path):
    composed, apart = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
    store = open_store(source(*several(composed, apart, "tea")), cache=tmp_path)
    assert store.manifest.counts == {composed: 6, "tea": 3}
    assert "read as one" in " ".join(store.manifest.notes)


def test_members_with_and_without_a_dot_in_front_lie_in_one_folder(source, tmp_path):
    names = ["./a/0.png", "a/1.png", "a//2.png", "b/0.png"]
    store = open_store(source(*names, "a/0_mask.png", "./a/1_mask.png"), cache=tmp_path)
    assert store.manifest.counts == {"a": 3, "b": 1}
    assert store.manifest.notes == (
        "2 masks beside the images they belong to, as x_mask.png beside x.png, are left out",
    )


@pytest.mark.parametrize("kind", ["tar", "zip", "folder"])
def test_backslashes_separate_folders(source, tmp_path, make, kind):
    names = [f"set\\{folder}\\{k}.png" for folder in ("ring", "bar") for k in range(3)]
    path = source(*names)
    if kind == "zip":
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for k, name in enumerate(names):
                archive.writestr(name, make.encoded(make.picture(k)))
    if kind == "folder":
        path = tmp_path / "unpacked"
        path.mkdir()
        with tarfile.open(tmp_path / "x.tar") as archive:
            for member in archive:
                (path / member.name).write_bytes(archive.extractfile(member).read())
    store = open_store(path, cache=tmp_path / "cache")
    assert store.manifest.counts == {"bar": 3, "ring": 3}
    assert store.manifest.container.backslashes == 6
    assert "6 names separate folders by backslashes" in " ".join(store.manifest.notes)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([f"{k:04}.{end}" for k in range(4) for end in ("jpg", "cls")], "shard of WebDataset"),
        (
            [f"cat.{k}.jpg" for k in range(3)] + [f"dog.{k}.jpg" for k in range(3)],
            "Names begin with cat, dog",
        ),
        (["one.zip", "two.tar.gz", "README"], "It holds 2 archives, which are not opened"),
    ],
)
def test_a_source_without_class_folders_names_the_way_on(source, tmp_path, names, words):
    with pytest.raises(SourceUnreadable, match=words):
        open_store(source(*names), cache=tmp_path)


def test_shards_that_were_unpacked_are_no_classes(source, tmp_path):
    names = [f"{shard}/{k:04}.{end}" for shard in ("s0", "s1") for k in range(4) for end in ("jpg", "cls")]
    with pytest.raises(InvalidInput, match="shard of WebDataset"):
        open_store(source(*names), cache=tmp_path)


@pytest.mark.parametrize(
    ("parts", "given", "join"),
    [
        (["x.zip.001", "x.zip.002"], "x.zip.001", "cat x.zip.* > x.zip"),
        (["x.tar.gz.aa", "x.tar.gz.ab", "x.tar.gz.ac"], "x.tar.gz.ab", "cat x.tar.gz.* > x.tar.gz"),
        (["x.tar.part1", "x.tar.part2"], "x.tar.part1", "cat x.tar.* > x.tar"),
        (["x.z01", "x.zip"], "x.zip", "zip -s 0 x.zip --out x-whole.zip"),
        (["x.z01", "x.zip"], "x.z01", "zip -s 0 x.zip --out x-whole.zip"),
    ],
)
def test_parts_of_an_archive_are_joined_first(tmp_path, parts, given, join):
    for name in parts:
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(SourceUnreadable) as refused:
        open_store(tmp_path / given, cache=tmp_path / "cache")
    assert f"one of {len(parts)} parts of an archive" in str(refused.value)
    assert join in str(refused.value)


def test_an_archive_in_a_folder_that_cannot_be_listed_is_read(source, tmp_path, monkeypatch):
    listing = Path.iterdir

    def refusing(folder):
        if folder == tmp_path:
            raise PermissionError(13, "Permission denied", str(folder))
        return listing(folder)

    monkeypatch.setattr(Path, "iterdir", refusing)
    assert len(open_store(source(*several("a", "b"), name="x.zip.001"), cache=tmp_path / "cache")) == 6


def test_names_that_only_look_like_parts_are_read(source, tmp_path):
    source(*several("a", "b"), name="x.tar.gz")
    assert len(open_store(source(*several("a", "b"), name="x.tar.xz"), cache=tmp_path / "cache")) == 6


def test_classes_that_do_not_matter_are_never_asked_about(source, tmp_path):
    names = [*several("ring/kaggle", "ring/own", "bar/kaggle", "bar/own"), "lonely.png"]
    with pytest.raises(LayoutUnclear):
        open_store(source(*names), cache=tmp_path)
    assert len(open_store(source(*names), cache=tmp_path, labelled=False)) == 13


def test_an_audit_tells_copies_across_parts_from_copies_across_classes(tmp_path, make):
    same = make.encoded(make.picture(1))
    others = [
        (f"{part}/{name}/x.png", make.encoded(make.picture(9 + k)))
        for k, (part, name) in enumerate((p, n) for p in ("train", "test") for n in "ab")
    ]
    copies = [(f"{folder}/y.png", same) for folder in ("train/a", "test/a", "unlabelled")]
    found = audit(open_store(make.tar(tmp_path / "x.tar", others + copies, "w"), cache=tmp_path))
    assert (found.across_parts, found.across) == (1, 0)


def test_a_dataset_holds_the_images_that_have_a_class(source, tmp_path):
    import pickle

    store = open_store(source(*several("a", "b", "unlabelled")), cache=tmp_path)
    dataset = ImageDataset(store)
    assert len(dataset) == 6
    assert sorted(dataset.targets.tolist()) == [0, 0, 0, 1, 1, 1]
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(dataset))))
    for k in range(6):
        np.testing.assert_array_equal(again.images[k], store.images[np.flatnonzero(store.labels >= 0)[k]])


# Labels that no folder tells.


def labelled_by(table, rows, column="breed"):
    """A table of labels, and the option that names it."""
    table.write_text(f"path,{column}\n" + "".join(f"{path},{label}\n" for path, label in rows))
    return LayoutOptions(labels_from=f"{table}:{column}")


@pytest.mark.parametrize("told", ["table", "pattern"])
def test_labels_by_table_or_name_hold_what_class_folders_hold(source, tmp_path, told):
    """The same images under the same labels are the same store, whatever told the labels."""
    flat = [f"images/{'ab'[k // 3]}_{k:02}.png" for k in range(6)]
    layout = LayoutOptions(labels_from=r"images/(?P<label>[a-z])_\d+\.png$")
    if told == "table":
        layout = labelled_by(tmp_path / "l.csv", [(name, name[7]) for name in reversed(flat)])
    store = open_store(source(*flat), layout=layout, cache=tmp_path)
    folders = open_store(source(*several("a", "b"), name="y.tar"), cache=tmp_path)
    assert store.manifest.content_hash == folders.manifest.content_hash
    assert all(store.classes[store.labels[row]] == store.path_of(row)[7] for row in range(6))
    assert store.manifest.notes[0].startswith("labels from ")


def test_images_without_a_row_and_rows_without_an_image_are_counted_and_named(source, tmp_path):
    """The parts are those of the folders; masks, unlabelled images and broken files need no row."""
    names = [*several("train", "val"), *several("unlabelled", each=2), "train/0_mask.png", "root.png"]
    broken = tmp_path / "x"
    with tarfile.open(source(*names)) as archive:
        archive.extractall(broken)
    (broken / "train" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    rows = [(name, f"class {name[-5]}") for name in names if name[0] in "tv" and name != "val/2.png"]
    rows += [("gone.png", "class 0"), ("train/broken.png", "owl")]
    layout = labelled_by(tmp_path / "l.csv", rows)
    with pytest.raises(LayoutUnclear, match="--split-folders sets them apart"):
        open_store(broken, layout=layout, cache=tmp_path)
    layout = LayoutOptions(split_folders=True, labels_from=layout.labels_from)
    store = open_store(broken, layout=layout, cache=tmp_path)
    said = " / ".join(store.manifest.notes)
    assert store.manifest.counts == {"class 0": 2, "class 1": 2, "class 2": 1}
    assert store.manifest.parts == {"train": 3, "validation": 2, "unlabelled": 2, "left out": 3}
    assert "2 of 10 images have no label there, left out (first: " in said
    assert "1 of 8 rows name no image (first: 'gone.png')" in said
    assert [(one.name, one.folder) for one in store.manifest.lost] == [("owl", "train")]
    labels = {store.path_of(row): store.labels[row] for row in range(len(store))}
    assert [labels[name] for name in ("val/2.png", "root.png", "train/0_mask.png")] == [-1, -1, -1]


def test_another_table_is_another_store_and_the_same_one_is_opened_again(source, tmp_path):
    names = [f"{k}.png" for k in range(4)]
    path, table = source(*names), tmp_path / "l.csv"
    layout = labelled_by(table, zip(names, "abab", strict=True))
    first = open_store(path, layout=layout, cache=tmp_path)
    assert open_store(path, layout=layout, cache=tmp_path).folder == first.folder
    labelled_by(table, zip(names, "aabb", strict=True))
    other = open_store(path, layout=layout, cache=tmp_path)
    assert other.manifest.content_hash != first.manifest.content_hash
    assert not first.folder.exists()


def test_labels_that_two_things_tell_or_none_are_refused(source, tmp_path, make):
    path = source(*several("a", "b"))
    pattern = LayoutOptions(labels_from="(?P<label>cat)")
    with pytest.raises(InvalidInput, match=r"none of 6 images has a label by the pattern .*first: 'a/0.png'"):
        open_store(path, layout=pattern, cache=tmp_path)
    table = labelled_by(tmp_path / "l.csv", [("c/0.png", "x")])
    with pytest.raises(InvalidInput, match=r"the nearest path in the table is 'c/0\.png'"):
        open_store(path, layout=table, cache=tmp_path)
    with pytest.raises(InvalidInput, match="--labels-from: given with --class-level; expected one"):
        open_store(path, layout=LayoutOptions(class_level=1, labels_from="(?P<label>a)"), cache=tmp_path)
    make.idx(tmp_path / "train-images-idx3-ubyte.gz", np.zeros((2, 3, 3)))
    make.idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(2))
    with pytest.raises(InvalidInput, match="given with IDX data, which have labels"):
        open_store(tmp_path / "train-images-idx3-ubyte.gz", layout=pattern, cache=tmp_path)
