"""Images paired with their annotations: layouts, parts, sizes, and what is left out by name."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bayesight.data.annotated import open_annotated
from bayesight.data.framing import ImageSpec
from bayesight.data.readers import (
    VOID,
    BoxReader,
    MaskReader,
    QuestionReader,
    class_table,
    points_in,
    points_out,
)
from bayesight.errors import InvalidInput, SourceUnreadable
from bayesight.frame import Frame, Placing


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, "PNG")
    return out.getvalue()


def archive(folder, members, name="set.zip"):
    with zipfile.ZipFile(folder / name, "w") as file:
        for path, content in members.items():
            file.writestr(path, content)
    return folder / name


def street(number, side=6):
    """An image and its mask: the left half is class 0, the right 1."""
    mask = np.repeat([[0] * (side // 2) + [1] * (side // 2)], side, axis=0)
    return png(mask * 200 + number), png(mask)


def pairs(count, prefix=""):
    found = {}
    for number in range(count):
        image, mask = street(number)
        found |= {f"{prefix}images/{number}.png": image, f"{prefix}masks/{number}.png": mask}
    return found


def test_images_and_masks_are_paired_in_folder_and_archive_alike(tmp_path):
    members = pairs(3, "set/")
    for path, content in members.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    one = open_annotated(archive(tmp_path, members), MaskReader(), ImageSpec())
    other = open_annotated(tmp_path / "set", MaskReader(), ImageSpec())
    for found in (one, other):
        assert [path[-12:] for path in found.paths] == [f"images/{n}.png" for n in range(3)]
        assert found.image_shape == (1, 6, 6)
        assert all((mask[:, :3] == 0).all() and (mask[:, 3:] == 1).all() for mask in found.annotations)
        assert not found.faults
    assert np.array_equal(one.digests, other.digests)
    assert len(np.unique(one.digests, axis=0)) == 3


def test_masks_move_with_their_images_into_every_frame(tmp_path):
    """The mask of an image whose pixels tell their class is what those pixels tell, in every fit."""
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:50] = 1
    path = archive(tmp_path, {"images/a.png": png(mask * 255), "masks/a.png": png(mask)})
    for fit in ("pad", "crop", "stretch"):
        for size in ((40, 40), (20, 30), (80, 90)):
            found = open_annotated(path, MaskReader(), ImageSpec(size=size, fit=fit))
            pixels, placed = found.pixels[0], found.annotations[0]
            sure = (pixels < 5) | (pixels > 250)
            told = sure & (placed != VOID)
            assert told.mean() > 0.4
            assert ((pixels > 127) == (placed == 1))[told].all()
            assert (placed == VOID).any() == (fit == "pad" and size != (20, 30))


def test_everything_that_takes_no_part_is_named_and_counted(tmp_path):
    members = pairs(2) | {
        "images/alone.png": street(7)[0],
        "masks/alone-too.png": street(8)[1],
        "images/broken.png": b"",
        "masks/broken.png": street(8)[1],
        "images/large.png": street(8)[0],
        "masks/large.png": png(np.zeros((3, 4))),
        "images/colours.png": street(9)[0],
        "masks/colours.png": png(np.full((6, 6, 3), (9, 0, 0))),
        "images/high.png": street(10)[0],
        "masks/high.png": png(np.full((6, 6), 77)),
    }
    reader = MaskReader(classes=2)
    found = open_annotated(archive(tmp_path, members), reader, ImageSpec())
    assert found.paths == ("images/0.png", "images/1.png")
    told = {fault.path: fault.reason for fault in found.faults}
    assert told["images/alone.png"] == "no masks"
    assert told["masks/alone-too.png"] == "no image of its name"
    assert told["images/broken.png"] == "zero bytes"
    assert "a mask of 4x3; expected 6x6, the size of its picture" in told["images/large.png"]
    assert "a mask in colours" in told["images/colours.png"]
    assert "the value 77; expected class numbers from 0 to 1" in told["images/high.png"]
    assert len(told) == len(found.faults) == 6
    assert sum(int(note.split()[2]) for note in found.notes) == 6


def test_parts_by_folder(tmp_path):
    path = archive(tmp_path, pairs(2, "train/") | pairs(1, "test/"))
    found = open_annotated(path, MaskReader(), ImageSpec())
    assert sorted(found.parts) == ["test", "train", "train"]
    assert len(found.part("test")) == 1
    assert found.part("test").paths == ("test/images/0.png",)


def test_values_that_are_no_class_of_the_run_are_refused_but_for_that_of_nothing(tmp_path):
    members = {"images/a.png": street(1)[0], "masks/a.png": png(np.eye(6) * 11)}
    path = archive(tmp_path, members)
    found = open_annotated(path, MaskReader(classes=11, void=11), ImageSpec())
    assert np.array_equal(found.annotations[0], np.eye(6) * VOID)
    with pytest.raises(SourceUnreadable, match="the value 11; expected class numbers from 0 to 9, or 255"):
        open_annotated(path, MaskReader(classes=10, void=10), ImageSpec())


def test_masks_of_black_and_white_and_numbers_for_nothing(tmp_path):
    white = {"images/a.png": street(1)[0], "masks/a.png": png(np.eye(6) * 255)}
    found = open_annotated(archive(tmp_path, white), MaskReader(), ImageSpec())
    assert np.array_equal(found.annotations[0], np.eye(6))
    grey = {"images/a.png": street(1)[0], "masks/a.png": png(np.eye(6) * 11)}
    found = open_annotated(archive(tmp_path, grey, "b.zip"), MaskReader(void=11), ImageSpec())
    assert np.array_equal(found.annotations[0], np.eye(6) * VOID)


def test_colours_by_a_table(tmp_path):
    mask = np.zeros((6, 6, 3))
    mask[:2], mask[2:4] = (128, 0, 0), (0, 128, 0)
    table = b"128 0 0 house\n0 128 0 tree\n0 0 0 void\n"
    members = {"images/a.png": street(1)[0], "masks/a.png": png(mask), "label_colors.txt": table}
    found = open_annotated(archive(tmp_path, members), MaskReader(), ImageSpec())
    assert found.reader.names == ("house", "tree")
    assert found.annotations[0][:, 0].tolist() == [0, 0, 1, 1, VOID, VOID]
    members["masks/a.png"] = png(mask + 1)
    with pytest.raises(SourceUnreadable, match="the colour #"):
        open_annotated(archive(tmp_path, members, "b.zip"), MaskReader(), ImageSpec())


def test_a_run_reads_colours_and_numbers_of_its_own_classes(tmp_path):
    mask = np.zeros((6, 6, 3))
    mask[:2], mask[2:] = (128, 0, 0), (0, 128, 0)
    table = b"128 0 0 house\n0 128 0 tree\n0 0 0 void\n"
    members = {"images/a.png": street(1)[0], "masks/a.png": png(mask), "label_colors.txt": table}
    known = MaskReader(classes=2, names=("tree", "house"))
    found = open_annotated(archive(tmp_path, members), known, ImageSpec())
    assert found.annotations[0][:, 0].tolist() == [1, 1, 0, 0, 0, 0]
    members |= {"masks/a.png": street(1)[1], "label_colors.txt": b"house\ntree\n"}
    with pytest.raises(InvalidInput, match="classes house, tree; expected tree, house, as the run has"):
        open_annotated(archive(tmp_path, members, "b.zip"), known, ImageSpec())
    members["label_colors.txt"] = b"a\nb\nc\n"  # other classes: numbers are taken as they are
    found = open_annotated(archive(tmp_path, members, "c.zip"), known, ImageSpec())
    assert found.annotations[0][0].tolist() == [0] * 3 + [1] * 3


def test_numbers_beside_colours_kept_to_show_them_by(tmp_path):
    image, mask = street(1)
    members = {"images/a.png": image, "masks/a.png": mask, "label_colors.txt": b"0 0 9 road\n9 0 0 car\n"}
    found = open_annotated(archive(tmp_path, members), MaskReader(), ImageSpec())
    assert found.reader.names == ("road", "car")
    assert found.annotations[0][0].tolist() == [0] * 3 + [1] * 3


@pytest.mark.parametrize(
    ("table", "void", "names"),
    [
        (b"void\nroad\ncar\n", 0, ("void", "road", "car")),  # numbers in masks stay what they are
        (b"# classes\nroad\ncar\nvoid\n", 2, ("road", "car")),
        (b"0 0 0 none\n9 0 0 road\n0 9 0 car\n", 0, ("road", "car")),
        (b"Class,R,G,B\nroad,9,0,0\ncar,0,9,0\n", None, ("road", "car")),
        (b"name;Red;Green;Blue\nroad;9;0;0\ncar;0;9;0\n", None, ("road", "car")),
        (b"red\ngreen\n", None, ("red", "green")),  # classes, and no header
        (b"1 car\n0 road\n", None, ("road", "car")),  # in the order of their numbers
        (b"road 1\ncar 2\n255 void\n", None, ("0", "road", "car")),
        (b"1 car\n1 road\n", None, ()),
        (b"id,name,r,g,b\n0,road,9,0,0\n1,car,0,9,0\n", None, ("road", "car")),
        (b"# label:color_rgb:parts:actions\nroad:9,0,0::\ncar:0,9,0::\n", None, ("road", "car")),
        ("\ufeffroad\ncar\n".encode(), None, ("road", "car")),
        ("도로\n자동차\n".encode("cp949"), None, ("도로", "자동차")),
        (b"9" * 5000 + b" road\ncar\n", None, ("9" * 5000 + " road", "car")),  # no number that could be meant
    ],
)
def test_a_number_for_nothing_moves_no_other(table, void, names):
    assert class_table(table, void)[0] == names


def test_boxes_of_both_kinds_stand_in_the_frame(tmp_path):
    blank = png(np.zeros((20, 40)))
    xml = (
        b"<annotation><filename>a.png</filename><object><name>cell</name><bndbox><xmin>5</xmin>"
        b"<ymin>3</ymin><xmax>20</xmax><ymax>10</ymax></bndbox></object></annotation>"
    )
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 40}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 2, 16, 8]}],
    }
    one = archive(tmp_path, {"JPEGImages/a.png": blank, "Annotations/a.xml": xml}, "voc.zip")
    other = archive(tmp_path, {"pictures/a.png": blank, "boxes.json": json.dumps(coco)}, "coco.zip")
    for path in (one, other):
        found = open_annotated(path, BoxReader(), ImageSpec(size=(40, 40), fit="pad"))
        assert found.annotations[0].names == ("cell",)
        assert found.annotations[0].boxes.tolist() == [[4, 12, 20, 20]]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.png", True),
        ("other/folder/a.png", True),
        ("C:\\data\\pictures\\a.png", True),
        ("/home/me/train2017/a.png", True),
        ("val2017/a.png", False),  # another picture of the same name
        ("twice.png", False),
    ],
)
def test_annotations_with_folders_of_another_place_mean_the_one_image_of_that_name(tmp_path, name, found):
    coco = {
        "images": [{"id": 1, "file_name": name}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}],
    }
    members = {f"train/images/{one}.png": png(np.zeros((6, 6))) for one in ("a", "x/twice", "y/twice")}
    path = archive(tmp_path, members | {"boxes.json": json.dumps(coco)})
    if found:
        assert open_annotated(path, BoxReader(), ImageSpec()).paths == ("train/images/a.png",)
    else:
        with pytest.raises(SourceUnreadable, match="no image with boxes"):
            open_annotated(path, BoxReader(), ImageSpec())


@pytest.mark.parametrize("ending", ["_mask", "-GT", " segmentation", ".labels", "_ground_truth", "_L", ""])
def test_the_name_of_a_mask_may_end_in_what_it_is(tmp_path, ending):
    image, mask = street(1)
    path = archive(tmp_path, {"images/a.png": image, f"masks/a{ending}.png": mask})
    assert open_annotated(path, MaskReader(), ImageSpec()).paths == ("images/a.png",)


def test_questions_of_many_images(tmp_path):
    lines = [{"image": "a.png", "question": "round?", "answer": "yes"}] * 2
    lines += [{"image": "gone.png", "question": "round?", "answer": "no"}]
    text = "\n".join(map(json.dumps, lines)) + "\n{cut off"
    members = {"images/a.png": street(1)[0], "images/b.png": street(2)[0], "questions.jsonl": text}
    found = open_annotated(archive(tmp_path, members), QuestionReader(), ImageSpec())
    assert [len(asked) for asked in found.annotations] == [2]
    told = [f"{fault.path}: {fault.reason}" for fault in found.faults]
    assert told[0].startswith("questions.jsonl: line 4: not JSON")
    assert told[1:] == ["questions.jsonl: no image gone.png", "images/b.png: no questions"]


def test_sources_without_anything_to_use(tmp_path):
    with pytest.raises(SourceUnreadable, match=r"no image with masks: images/0.png: no masks"):
        open_annotated(archive(tmp_path, {"images/0.png": street(0)[0]}), MaskReader(), ImageSpec())
    cut = {"images/0.png": street(0)[0], "boxes.json": '{"images": ['}
    with pytest.raises(SourceUnreadable, match=r"boxes.json: not JSON"):
        open_annotated(archive(tmp_path, cut, "cut.zip"), BoxReader(), ImageSpec())


def test_large_images_are_scaled_down_and_more_than_memory_holds_are_refused(tmp_path, monkeypatch):
    blank = png(np.zeros((50, 100)))
    path = archive(tmp_path, {"images/a.png": blank, "masks/a.png": blank})
    assert open_annotated(path, MaskReader(), ImageSpec(), longest=40).image_shape == (1, 20, 40)
    monkeypatch.setattr("bayesight.data.annotated.MOST_BYTES", 100)
    with pytest.raises(InvalidInput, match="State a smaller --size"):
        open_annotated(path, MaskReader(), ImageSpec())


def test_the_commonest_size_is_that_of_grey_and_coloured_images_together(tmp_path):
    """Two grey and two coloured images of one size are more than three of another."""
    kinds = [(6, 6)] * 2 + [(6, 6, 3)] * 2 + [(9, 9, 3)] * 3
    members = {}
    for number, shape in enumerate(kinds):
        pixels = np.random.default_rng(number).integers(0, 255, shape)
        members |= {f"images/{number}.png": png(pixels), f"masks/{number}.png": png(np.zeros(shape[:2]))}
    found = open_annotated(archive(tmp_path, members), MaskReader(), ImageSpec())
    assert found.image_shape == (3, 6, 6)


def test_of_files_of_one_name_in_a_tar_the_last_counts(tmp_path):
    path = tmp_path / "set.tar"
    with tarfile.open(path, "w") as file:
        for name, content in [
            ("images/a.png", street(1)[0]),
            ("masks/a.png", b"old"),
            ("masks/a.png", street(1)[1]),
            ("masks/.hidden.png", b"junk"),
            ("../masks/b.png", b"out of here"),
        ]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    found = open_annotated(path, MaskReader(), ImageSpec())
    assert found.paths == ("images/a.png",)
    assert [(fault.path, fault.reason) for fault in found.faults] == [
        ("../masks/b.png", "its name leads out of the archive")
    ]


@given(
    st.tuples(st.integers(5, 90), st.integers(5, 90)),
    st.sampled_from(["pad", "crop", "stretch"]),
    st.integers(0, 10**6),
)
def test_points_of_a_frame_go_back_to_their_image(size, fit, seed):
    placing = Placing.of(size, Frame(31, 47, "L", fit=fit))
    points = np.random.default_rng(seed).uniform(-10, 100, (4, 2))
    assert points_out(points_in(points, placing), placing) == pytest.approx(points)
