"""What is cached: where, how large, when it was last used, and how it goes away."""

import os

from filelock import FileLock

from bayesight.data.cache import cached, clear_cache
from bayesight.data.store import open_store


def test_stores_are_listed_with_source_size_and_last_use(shapes, more_shapes, tmp_path):
    for source in (shapes, more_shapes):
        open_store(source, cache=tmp_path)
    found = cached(tmp_path)
    assert [(store.source, store.images) for store in found.stores] == [
        (str(shapes), 240),
        (str(more_shapes), 90),
    ]
    assert found.bytes == sum(
        f.stat().st_size for f in (tmp_path / "stores").rglob("*") if f.is_file() and f.suffix != ".lock"
    )
    for folder in (tmp_path / "stores").iterdir():
        for file in (folder, *folder.iterdir()) if folder.is_dir() else ():
            os.utime(file, (0, 0))
    assert {store.used for store in cached(tmp_path).stores} == {"1970-01-01T00:00:00+00:00"}
    open_store(shapes, cache=tmp_path)
    used = {store.source: store.used for store in cached(tmp_path).stores}
    assert used[str(shapes)] > "2020" > used[str(more_shapes)]


def test_clearing_removes_all_but_what_is_being_made_and_it_can_be_made_again(shapes, more_shapes, tmp_path):
    stores = [open_store(source, cache=tmp_path) for source in (shapes, more_shapes)]
    left = tmp_path / "stores" / ".building-x-1-2"
    left.mkdir()
    (tmp_path / "milestones").mkdir()
    (tmp_path / "milestones" / "letters-3.tar.gz").write_bytes(b"x" * 1000)
    with FileLock(stores[1].folder.parent / f"{stores[1].folder.name.rpartition('-')[0]}.lock"):
        gone = clear_cache(tmp_path)
    assert len(gone.stores) == 3
    assert [store.source for store in cached(tmp_path).stores] == [str(more_shapes)]
    assert stores[0].images[0].sum() > 0  # who has it open goes on reading
    assert len(open_store(shapes, cache=tmp_path)) == 240
    assert shapes.exists()


def test_an_empty_or_strange_cache(tmp_path):
    assert (cached(tmp_path / "none").stores, clear_cache(tmp_path / "none").bytes) == ((), 0)
    (tmp_path / "stores" / "odd").mkdir(parents=True)
    (tmp_path / "stores" / "odd" / "manifest.json").write_text("[1]")
    assert [store.source for store in cached(tmp_path).stores] == [""]


def test_images_without_classes_count(shapes, tmp_path):
    open_store(shapes, labelled=False, cache=tmp_path)
    assert [store.images for store in cached(tmp_path).stores] == [240]
