import io
import json
import tarfile
from pathlib import Path

import pytest

from bayesight.data.webdataset import shard_labels
from bayesight.errors import SourceUnreadable


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_labels_come_from_cls_and_json_files(tmp_path):
    label, mark = json.dumps({"caption": "x", "label": "disc"}).encode(), b"\xef\xbb\xbf"
    path = shard(
        tmp_path / "a.tar",
        {"d/01.seg.jpg": b"a", "d/01.cls": b"3\n", "02.png": b"b", "02.json": label, "02.txt": b"no"},
    )
    # WebDataset's rule: the key ends at the first dot, so 01.seg.jpg has no plain image suffix.
    assert shard_labels(path) == {"02.png": "disc"}
    path = shard(
        tmp_path / "b.tar", {"d/01.jpg": b"a", "d/01.cls": b"3\n", "02.png": b"b", "02.json": mark + label}
    )
    assert shard_labels(path) == {"d/01.jpg": "3", "02.png": "disc"}


@pytest.mark.parametrize(
    "members",
    [{"a/1.png": b"x", "b/2.png": b"y"}, {"a/1.png": b"x", "notes.json": b'{"label": 1}'}],
)
def test_other_archives_are_no_shards(tmp_path, members):
    assert shard_labels(shard(tmp_path / "a.tar", members)) == {}


def test_what_is_no_tar_is_no_shard(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 and so on")
    assert shard_labels(tmp_path / "a.zip") == {}


def test_an_image_without_a_label_is_named(tmp_path):
    path = shard(tmp_path / "a.tar", {"1.jpg": b"a", "1.cls": b"0", "2.jpg": b"b"})
    with pytest.raises(SourceUnreadable, match=r"1 of 2 images have no label \(2\.jpg\); expected KEY\.cls"):
        shard_labels(path)


@pytest.mark.parametrize(
    ("name", "content"), [("1.cls", b" \n"), ("1.json", b"[]"), ("1.json", b"{}"), ("1.cls", b"\xff")]
)
def test_a_label_that_is_none_is_named(tmp_path, name, content):
    path = shard(tmp_path / "a.tar", {"1.jpg": b"a", name: content})
    with pytest.raises(SourceUnreadable, match=rf"a\.tar: {name} holds .*; expected a class, in JSON under"):
        shard_labels(path)
