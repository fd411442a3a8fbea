"""A manifest is read back as it was written, and not believed where the files beside it are others."""

import dataclasses
import json

import pytest

from bayesight.data import open_store
from bayesight.data.manifest import Manifest, content_hash


@pytest.fixture
def store(make, tmp_path):
    source = tmp_path / "letters"
    for k, name in enumerate(["A/1", "A/2", "B/1"]):
        path = source / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make.encoded(make.picture(k)))
    (source / "A" / "broken.png").write_bytes(b"")
    (source / "A" / "read me.txt").write_text("letters")
    (source / "C").mkdir()
    (source / "C" / "scan.heic").write_bytes(b"\0\0\0\x18ftypheic")
    return open_store(source, cache=tmp_path / "cache")


def test_it_is_read_back_as_it_was_written(store, tmp_path):
    manifest = store.manifest
    assert manifest.quarantined
    assert manifest.passed
    assert manifest.lost
    assert Manifest.read(store.folder) == manifest
    changed = dataclasses.replace(manifest, choice="another", notes=("said",))
    changed.write(tmp_path / "cache")
    assert Manifest.read(tmp_path / "cache") == changed


def test_its_hash_is_that_of_the_arrays(store):
    found = content_hash(store.manifest.frame, store.labels, store.digests, store.parts)
    assert found == store.manifest.content_hash
    assert content_hash(store.manifest.frame, store.labels[::-1], store.digests, store.parts) != found


@pytest.mark.parametrize("name", ["images.npy", "paths.txt"])
def test_it_is_not_believed_beside_a_file_of_another_size(store, name):
    with (store.folder / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="another size"):
        Manifest.read(store.folder)


def test_another_format_is_refused(store):
    path = store.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 4}))
    with pytest.raises(ValueError, match="format 4"):
        Manifest.read(store.folder)
