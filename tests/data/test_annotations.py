"""Masks, boxes, key points and questions: read as their formats say, faults named, and nothing lost."""

import contextlib
import io
import json
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bayesight.data.annotations import MOST_BOXES, read_coco, read_mask, read_questions, read_voc
from bayesight.errors import InvalidInput


def voc(*things: str, size: str = "<size><width>64</width><height>48</height></size>") -> bytes:
    return f"<annotation><filename>a.jpg</filename>{size}{''.join(things)}</annotation>".encode()


def thing(box: tuple, name: str = "cell", more: str = "") -> str:
    ends = "".join(
        f"<{end}>{at}</{end}>" for end, at in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name>{more}<bndbox>{ends}</bndbox></object>"


def test_pixels_of_voc_begin_at_one_and_both_ends_are_inside():
    found = read_voc(
        voc(thing((1, 1, 64, 48)), thing((10, 20, 10, 20), more="<difficult>1</difficult>")), "a.xml"
    )
    assert (found.image, found.size, found.names) == ("a.jpg", (48, 64), ("cell", "cell"))
    assert found.boxes.tolist() == [[0, 0, 64, 48], [9, 19, 10, 20]]
    assert found.difficult.tolist() == [False, True]
    assert found.faults == ()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (thing((10, 10, 9, 20)), "cell at 9, 9 to 9, 20: a box without area"),
        (thing((70, 10, 90, 20)), "cell at 69, 9 to 90, 20: outside the picture of 64x48"),
        (thing(("x", 10, 9, 20)), "cell: a box whose ends are no numbers"),
        (thing((1, 1, 9, 9), name=" "), "a box without a class"),
        ("<object><name>cell</name></object>", "cell: a box whose ends are no numbers"),
    ],
)
def test_a_box_that_is_none_is_named_and_the_others_stay(wrong, reason):
    found = read_voc(voc(wrong, thing((3, 3, 8, 8))), "a.xml")
    assert found.faults == (reason,)
    assert found.boxes.tolist() == [[2, 2, 8, 8]]


def test_a_box_that_reaches_out_of_the_picture_ends_at_its_edge():
    assert read_voc(voc(thing((-5, 40, 80, 60))), "a.xml").boxes.tolist() == [[0, 39, 64, 48]]
    assert read_voc(voc(thing((60, 40, 80, 60)), size=""), "a.xml").boxes.tolist() == [[59, 39, 80, 60]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<annotation>",
        b"<html/>",
        b"\x89PNG",
        b'<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>',
    ],
)
def test_what_is_no_annotation_of_voc(content):
    with pytest.raises(InvalidInput, match=r"a\.xml"):
        read_voc(content, "a.xml")


def test_ten_thousand_boxes_and_no_more():
    found = read_voc(voc(thing((3, 3, 8, 8)) * (MOST_BOXES + 2)), "a.xml")
    assert len(found.boxes) == MOST_BOXES
    assert found.faults == ("more than 10,000 boxes",) * 2


def coco(**changes) -> bytes:
    tree = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 48, "width": 64},
            {"id": 8, "file_name": "b.jpg"},
        ],
        "categories": [{"id": 3, "name": "figure", "keypoints": ["head", "foot"]}, {"id": 4, "name": "tree"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 3,
                "bbox": [2, 3, 10, 20],
                "keypoints": [5, 6, 2, 0, 0, 0],
            },
            {"id": 2, "image_id": 8, "category_id": 4, "bbox": [0.5, 0, 4, 4], "iscrowd": 1},
        ],
    }
    return json.dumps({**tree, **changes}).encode()


def test_boxes_and_points_of_coco():
    one, other = read_coco(coco(), "i.json")
    assert (one.image, one.size, one.names, one.boxes.tolist()) == (
        "a.jpg",
        (48, 64),
        ("figure",),
        [[2, 3, 12, 23]],
    )
    assert one.points.tolist() == [[[5, 6, 1], [0, 0, 0]]]
    assert (other.size, other.boxes.tolist(), other.difficult.tolist()) == (None, [[0.5, 0, 4.5, 4]], [True])
    assert other.points.shape == (1, 2, 3)
    assert not other.points.any()


def test_the_skeleton_of_coco_and_points_that_are_none():
    """Lines count from 1 in the file; points outside and lists of another length are named."""
    figure = {"id": 3, "name": "figure", "keypoints": ["head", "foot"], "skeleton": [[1, 2], [2, 3], "x"]}
    box = {"image_id": 7, "category_id": 3, "bbox": [2, 3, 10, 20]}
    marks = ([5, 6, 2, 64, 48, 1], [5, 6, 2, 70, 9, 1], [1, 2, 3], "here", [0, 0, 0, -9, 0, 0], None)
    entries = [{**box, "id": number, "keypoints": mark} for number, mark in enumerate(marks)]
    one, other = read_coco(coco(categories=[figure], annotations=entries), "i.json")
    assert one.skeleton == other.skeleton
    assert (one.skeleton.points, one.skeleton.lines) == (("head", "foot"), ((0, 1),))
    assert one.points[..., 2].tolist() == [[1, 1], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert one.faults == (
        "foot at 70, 9: outside the picture of 64x48",
        "key points of 3 values; expected 6 numbers",
        "key points of 'here'; expected 6 numbers",
    )


def test_boxes_of_coco_are_those_of_its_own_code(tmp_path):
    from pycocotools.coco import COCO

    (tmp_path / "i.json").write_bytes(coco())
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO(tmp_path / "i.json")
    for found in read_coco(coco(), "i.json"):
        (image,) = [one for one in theirs.dataset["images"] if one["file_name"] == found.image]
        rows = theirs.loadAnns(theirs.getAnnIds(image["id"]))
        assert found.boxes.tolist() == [[x, y, x + w, y + h] for x, y, w, h in (row["bbox"] for row in rows)]
        assert list(found.names) == [theirs.cats[row["category_id"]]["name"] for row in rows]


def test_annotations_without_an_image_or_a_class_are_named():
    lost = {"id": 9, "image_id": 99, "category_id": 3, "bbox": [0, 0, 1, 1]}
    nameless = {"id": 10, "image_id": 7, "category_id": 99, "bbox": [0, 0, 1, 1]}
    broken = {"id": 11, "image_id": 7, "category_id": 3, "bbox": [0, "x", 1, 1]}
    found = read_coco(coco(annotations=[lost, nameless, broken, 5]), "i.json")
    assert found[0].faults == ("a box without a class", "box [0, 'x', 1, 1]")
    assert found[-1].faults == ("annotation 9 has no image or box", "annotation 5 has no image or box")
    assert found[1].boxes.shape == (0, 4)


@pytest.mark.parametrize("content", [b"", coco()[:-9], b"[]", coco(images=None), b"[" * 5000, b"{}"])
def test_what_is_no_document_of_coco(content):
    with pytest.raises(InvalidInput, match=r"i\.json"):
        read_coco(content, "i.json")


def test_questions_and_lines_that_are_none():
    lines = [
        '{"image": "a.png", "question": "Is it red?", "answer": "yes", "kind": "colour"}',
        "",
        '{"image": "a.png", "question": "How many?", "answer": 3}',
        '{"image": "a.png", "que',
        '{"image": "a.png"}',
        '["a.png"]',
    ]
    found, faults = read_questions("\n".join(lines).encode(), "q.jsonl")
    assert [(q.question, q.answer, q.kind) for q in found] == [
        ("Is it red?", "yes", "colour"),
        ("How many?", "3", ""),
    ]
    assert [fault.split(":")[0] for fault in faults] == ["line 4", "line 5", "line 6"]
    with pytest.raises(InvalidInput, match="without a question"):
        read_questions(b"\n\n", "q.jsonl")
    with pytest.raises(InvalidInput, match="line 2: not UTF-8"):
        read_questions(b'{"image": 1}\n\xff', "q.jsonl")


def saved(image: Image.Image, form: str = "png") -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["L", "P"])
def test_values_of_a_mask_are_class_numbers(kind):
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(numbers)
    if kind == "P":
        image.putpalette([(7 * n) % 256 for n in range(768)])
    assert read_mask(saved(image), "m.png").tolist() == numbers.tolist()
    assert read_mask(saved(Image.fromarray(numbers).convert("RGBA")), "m.png").tolist() == numbers.tolist()
    deep = Image.fromarray(np.full((3, 4), 256, np.uint16))
    with pytest.raises(InvalidInput, match="the value 256; expected class numbers from 0 to 255"):
        read_mask(saved(deep), "m.png")


def test_colours_by_a_table():
    red, blue = (255, 0, 0), (0, 0, 255)
    pixels = np.array([[red, blue], [blue, red]], np.uint8)
    blob = saved(Image.fromarray(pixels))
    assert read_mask(blob, "m.png", colours={red: 4, blue: 1}).tolist() == [[4, 1], [1, 4]]
    with pytest.raises(InvalidInput, match="the colour #0000ff; expected one of the 1 colours"):
        read_mask(blob, "m.png", colours={red: 4})
    with pytest.raises(InvalidInput, match="a mask in colours"):
        read_mask(blob, "m.png")


def test_a_mask_of_another_size_or_none():
    mask = saved(Image.fromarray(np.zeros((3, 4), np.uint8)))
    assert read_mask(mask, "m.png", size=(3, 4)).shape == (3, 4)
    with pytest.raises(InvalidInput, match="a mask of 4x3; expected 3x4, the size of its picture"):
        read_mask(mask, "m.png", size=(4, 3))
    with pytest.raises(InvalidInput, match="cannot be read as an image"):
        read_mask(b"\x89PNG and more", "m.png")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.sampled_from(["voc", "coco", "questions", "mask"]))
def test_whatever_comes_is_read_or_refused(content, kind):
    readers = {"voc": read_voc, "coco": read_coco, "questions": read_questions, "mask": read_mask}
    with contextlib.suppress(InvalidInput):
        readers[kind](content, "x")


NAMES = ["id", "image_id", "category_id", "bbox", "name", "file_name", "keypoints", "height", "width"]
JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 99)
    | st.just(10**400)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["id", "image_id", "category_id", "bbox", "name", "file_name", "keypoints"]),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(st.lists(JSONS, max_size=3), st.lists(JSONS, max_size=3), st.lists(JSONS, max_size=3))
def test_whatever_is_in_a_document_of_coco_its_boxes_are_boxes(images, categories, annotations):
    content = json.dumps({"images": images, "categories": categories, "annotations": annotations}).encode()
    for found in read_coco(content, "x"):
        assert len(found.boxes) == len(found.names) == len(found.difficult) == len(found.points)
        assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


def test_blood_cells(real_data):
    """The counts of the archive's own annotations; a few boxes have no area, as in life."""
    counts, faults = {}, 0
    with tarfile.open(real_data / "bccd" / "bccd-val.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".xml"):
                found = read_voc(archive.extractfile(member).read(), member.name)
                faults += len(found.faults)
                for name in found.names:
                    counts[name] = counts.get(name, 0) + 1
    assert set(counts) == {"RBC", "WBC", "Platelets"}
    assert counts["RBC"] > 800
    assert faults <= 3


def test_street_scenes(real_data):
    with tarfile.open(real_data / "camvid" / "camvid-val.tar.gz") as archive:
        name = next(n for n in archive.getnames() if n.endswith(".png"))
        blob = archive.extractfile(name).read()
    assert read_mask(blob, name, size=(360, 480)).max() <= 11


def test_a_mask_whose_numbers_a_format_has_changed_is_refused():
    out = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(out, "JPEG")
    with pytest.raises(
        InvalidInput, match="a mask as JPEG, which changes class numbers; expected one as PNG"
    ):
        read_mask(out.getvalue(), "a.jpg")
