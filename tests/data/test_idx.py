import numpy as np
import pytest

from bayesight.data.idx import beside, idx_batches
from bayesight.data.sources import find_source
from bayesight.errors import SourceUnreadable

PICTURES = np.random.default_rng(0).integers(0, 256, (7, 4, 3), dtype=np.uint8)
LABELS = np.array([3, 0, 9, 9, 1, 3, 0], np.uint8)


@pytest.fixture
def pair(tmp_path, make):
    images = make.idx(tmp_path / "train-images-idx3-ubyte.gz", PICTURES)
    return images, make.idx(tmp_path / "train-labels-idx1-ubyte.gz", LABELS)


def read(images, labels):
    parts = list(idx_batches(images, labels, 1000))
    return np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts])


def test_a_pair_is_found_and_read(pair):
    images, labels = pair
    source = find_source(images)
    assert (source.kind, source.path, source.labels) == ("idx", images, labels)
    found, known = read(*pair)
    np.testing.assert_array_equal(found, PICTURES)
    np.testing.assert_array_equal(known, LABELS)


def test_real_mnist_is_read(real_data):
    source = find_source(real_data / "mnist" / "mnist-half-images-idx3-ubyte.gz")
    images, labels = (
        np.concatenate(x)
        for x in zip(
            *[(b.images, b.labels) for b in idx_batches(source.path, source.labels, 1000)], strict=True
        )
    )
    assert images.shape == (5000, 28, 28)
    assert sorted(np.unique(labels).tolist()) == list(range(10))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("x-images-idx4-ubyte", "x-labels-idx1-ubyte.gz"),
    ],
)
def test_names_of_labels(tmp_path, images, labels):
    (tmp_path / images).touch()
    assert beside(tmp_path / images) is None
    (tmp_path / labels).touch()
    assert beside(tmp_path / images) == tmp_path / labels


def test_plain_files_colour_and_no_labels(tmp_path, make):
    colour = np.stack([PICTURES] * 3, axis=3)
    path = make.idx(tmp_path / "rgb", colour, pack=False)
    found, known = read(path, None)
    np.testing.assert_array_equal(found, colour)
    assert known.tolist() == [-1] * 7
    assert find_source(path, labelled=False).kind == "idx"


def test_a_folder_with_one_pair(pair, tmp_path, make):
    assert find_source(tmp_path).path == pair[0]
    make.idx(tmp_path / "t10k-images-idx3-ubyte.gz", PICTURES)
    with pytest.raises(SourceUnreadable, match="2 IDX files"):
        find_source(tmp_path)
    (tmp_path / "A").mkdir()
    assert find_source(tmp_path).kind == "folder"


def test_missing_labels_are_named(tmp_path, make):
    path = make.idx(tmp_path / "my-images-idx3-ubyte.gz", PICTURES)
    with pytest.raises(SourceUnreadable, match=r"my-labels-idx1-ubyte.gz"):
        find_source(path)
    other = make.idx(tmp_path / "other.gz", LABELS)
    assert find_source(path, labels=other).labels == other


BAD = {
    "wrong magic": ({"magic": b"\1\2\3\4"}, "0x01020304; expected the magic number 0x00000803"),
    "floats": ({"magic": b"\0\0\x0d\3"}, "floats"),
    "labels": ({"magic": b"\0\0\x08\1"}, "--labels-file"),
    "cut off": ({"cut": 5}, "promises 7 entries of 12 bytes but ends after 6"),
    "too long": ({"extra": b"12345"}, "5 bytes follow"),
    "count": ({"count": 6}, "holds 7 labels but .* holds 6 images"),
    "no pixels": ({"magic": b"\0\0\x08\3\0\0\0\7\0\0\0\0\0\0\0\3"}, "0x3 pixels"),
    "many pixels": ({"magic": b"\0\0\x08\3\0\0\0\7\0\0\xff\xff\0\0\xff\xff"}, "65535x65535 pixels"),
    "channels": ({"magic": b"\0\0\x08\4\0\0\0\7\0\0\0\1\0\0\0\1\0\0\0\2"}, "2 channels"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_say_what_is_wrong(pair, tmp_path, make, name):
    options, expected = BAD[name]
    path = make.idx(tmp_path / "bad.gz", PICTURES, **options)
    with pytest.raises(SourceUnreadable, match=expected):
        read(path, pair[1])


def test_bad_labels(pair, tmp_path, make):
    for options, expected in (({"cut": 2}, "ends after 5"), ({"magic": b"\0\0\x08\3"}, "file of labels")):
        path = make.idx(tmp_path / "bad.gz", LABELS, **options)
        with pytest.raises(SourceUnreadable, match=expected):
            read(pair[0], path)
    short = make.idx(tmp_path / "short.gz", LABELS[:5])
    with pytest.raises(SourceUnreadable, match=r"holds 5 labels but .* holds 7 images"):
        read(pair[0], short)


def test_a_header_cut_off(tmp_path, pair):
    (tmp_path / "x").write_bytes(b"\0\0\x08\3\0\0")
    with pytest.raises(SourceUnreadable, match="inside its header"):
        read(tmp_path / "x", pair[1])
