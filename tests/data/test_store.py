import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import bayesight.data.build as build_module
import bayesight.data.store as store_module
from bayesight.data import decode, open_store, require_classes
from bayesight.data.store import only_rows
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable, StorageFailed


def listing(cache):
    return sorted(p.name for p in (cache / "stores").iterdir() if not p.name.endswith(".lock"))


@pytest.fixture
def archive(tmp_path, make):
    return make.tar(tmp_path / "letters.tar.gz", make.letters("BCA", each=5))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_the_real_archive_and_the_idx_pair_are_the_same_store(real_data, tmp_path):
    folder = real_data / "notmnist"
    one = open_store(folder / "notMNIST_real8k.tar.gz", cache=tmp_path)
    two = open_store(folder / "notmnist-real-images-idx3-ubyte.gz", cache=tmp_path)
    assert len(one) == 8000
    assert one.manifest.counts == dict.fromkeys("ABCDEFGHIJ", 800)
    assert [q.reason for q in one.manifest.quarantined] == ["zero bytes"] * 2
    assert [q.path.split("/")[1] for q in one.manifest.quarantined] == ["A", "F"]
    assert (one.manifest.shape, one.manifest.mode) == ((28, 28), "L")
    assert two.classes == tuple("0123456789")
    assert one.manifest.content_hash == two.manifest.content_hash
    for name in ("images.npy", "labels.npy", "digests.npy"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()


def test_every_real_image_is_as_pillow_reads_it(real_data):
    import io
    import tarfile

    path = real_data / "notmnist" / "notMNIST_real8k.tar.gz"
    store = open_store(path)
    row_of = {store.path_of(i): i for i in range(len(store))}
    seen = 0
    with tarfile.open(path) as members:
        for member in members:
            data = members.extractfile(member).read() if member.isfile() else b""
            if data:
                row = row_of[member.name]
                np.testing.assert_array_equal(store.images[row], np.asarray(Image.open(io.BytesIO(data))))
                assert store.classes[store.labels[row]] == member.name.split("/")[1]
                seen += 1
    assert seen == len(store)


def test_rows_are_in_canonical_order_and_lead_back_to_the_source(archive, cache, make):
    store = open_store(archive, cache=cache)
    assert store.classes == ("A", "B", "C")
    assert isinstance(store.images, np.memmap)
    assert (store.images.dtype, store.labels.dtype, store.digests.dtype) == (np.uint8, np.int64, np.uint8)
    keys = [(label, digest.tobytes()) for label, digest in zip(store.labels, store.digests, strict=True)]
    assert keys == sorted(keys)
    for i, image in enumerate(store.images):
        assert hashlib.blake2b(image.tobytes(), digest_size=16).digest() == store.digests[i].tobytes()
        _, name, file = store.path_of(i).split("/")
        assert name == store.classes[store.labels[i]]
        seed = 1000 * "BCA".index(name) + int(file.removesuffix(".png"))
        np.testing.assert_array_equal(image, make.picture(seed))
    assert store.path_of(-1) == store.path_of(len(store) - 1)
    with pytest.raises(IndexError):
        store.path_of(len(store))


def test_order_in_the_source_does_not_matter(tmp_path, cache, make):
    members = make.letters("AB", each=6)
    one = open_store(make.tar(tmp_path / "1.tar.gz", members), cache=cache)
    two = open_store(make.tar(tmp_path / "2.tar", members[::-1], "w"), cache=cache)
    assert one.manifest.content_hash == two.manifest.content_hash
    np.testing.assert_array_equal(one.images, two.images)
    other = open_store(make.tar(tmp_path / "3.tar", members[:-1], "w"), cache=cache)
    assert other.manifest.content_hash != one.manifest.content_hash


def test_large_stores_are_sorted_in_buckets_with_the_same_result(archive, tmp_path, monkeypatch):
    whole = open_store(archive, cache=tmp_path / "1")
    monkeypatch.setattr(build_module, "_BUCKET_BYTES", 4 * 30)
    monkeypatch.setattr(build_module, "_CHUNK_BYTES", 3 * 30)
    dealt = open_store(archive, cache=tmp_path / "2")
    for name in ("images.npy", "labels.npy", "digests.npy", "paths.txt"):
        assert (whole.folder / name).read_bytes() == (dealt.folder / name).read_bytes()
    assert sorted(p.name for p in dealt.folder.iterdir()) == sorted(p.name for p in whole.folder.iterdir())


def test_pictures_larger_than_a_batch_are_read_in_parts(tmp_path, cache, make, monkeypatch):
    monkeypatch.setattr(build_module, "_DECODED_BYTES", 70)
    members = [
        *make.letters("AB", each=5),
        ("set/A/broken.png", b"text"),
        ("lonely.png", b"x"),
        ("x.txt", b""),
    ]
    store = open_store(make.tar(tmp_path / "x.tar", members, "w"), cache=cache)
    assert len(store) == 10
    assert {q.path for q in store.manifest.quarantined} == {"set/A/broken.png", "lonely.png"}
    assert store.manifest.ignored == 1


def test_a_store_is_built_once_and_again_when_the_source_changes(archive, cache, make, monkeypatch):
    first = open_store(archive, cache=cache)
    calls = []
    real = store_module.build
    monkeypatch.setattr(store_module, "build", lambda *a: calls.append(1) or real(*a))
    assert open_store(archive, cache=cache).folder == first.folder
    assert calls == []
    make.tar(archive, make.letters("AB", each=3))
    changed = open_store(archive, cache=cache)
    assert calls == [1]
    assert len(changed) == 6
    assert len(listing(cache)) == 1  # what it was before is gone
    os.utime(archive, ns=(0, 12345))  # touched, and the same bytes
    assert open_store(archive, cache=cache).folder == changed.folder
    assert calls == [1]
    open_store(archive, cache=cache, mode="RGB")
    assert calls == [1, 1]
    assert len(listing(cache)) == 2


def rewrite(path, content):
    """Other bytes of the same length, with size and time of the last write as they were."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def bmp(make, seed):
    return make.encoded(make.picture(seed), "BMP")


def test_other_bytes_behind_the_same_size_and_time_are_read(tmp_path, cache, make):
    one, two = ([(f"{c}/{k}.bmp", bmp(make, k + seed)) for k, c in enumerate("ABAB")] for seed in (0, 9))
    archive = make.tar(tmp_path / "x.tar", one, "w")
    before = open_store(archive, cache=cache)
    rewrite(archive, make.tar(tmp_path / "y.tar", two, "w").read_bytes())
    assert open_store(archive, cache=cache).manifest.content_hash != before.manifest.content_hash


def test_labels_of_idx_data_exchanged_behind_the_same_size_and_time_are_read(tmp_path, cache, make):
    images = make.idx(
        tmp_path / "x-images-idx3-ubyte", np.stack([make.picture(k) for k in range(4)]), pack=False
    )
    labels = make.idx(tmp_path / "x-labels-idx1-ubyte", np.array([0, 1, 0, 1]), pack=False)
    before = open_store(images, cache=cache)
    corrected = make.idx(tmp_path / "other", np.array([0, 1, 1, 1]), pack=False).read_bytes()
    (tmp_path / "other").unlink()
    rewrite(labels, corrected)
    assert open_store(images, cache=cache).manifest.counts == {"0": 1, "1": 3} != before.manifest.counts


@pytest.mark.parametrize("exchanged", ["files", "folders", "content"])
def test_a_folder_whose_files_were_exchanged_is_read_again(tmp_path, cache, make, exchanged):
    source = tmp_path / "set"
    for number, name in enumerate(("A/0.bmp", "A/1.bmp", "B/0.bmp", "B/1.bmp")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(bmp(make, number))
        os.utime(source / name, (1_600_000_000,) * 2)
    before = open_store(source, cache=cache).manifest.content_hash
    pair = (
        (source / "A", source / "B") if exchanged == "folders" else (source / "A/0.bmp", source / "B/0.bmp")
    )
    if exchanged == "content":
        contents = [path.read_bytes() for path in pair]
        for path, content in zip(pair, contents[::-1], strict=True):
            rewrite(path, content)
    else:
        pair[0].rename(tmp_path / "kept")
        pair[1].rename(pair[0])
        (tmp_path / "kept").rename(pair[1])
    assert open_store(source, cache=cache).manifest.content_hash != before


def test_a_folder_is_read_again_when_a_file_in_it_changes(tmp_path, cache, make):
    for name, content in make.letters("AB", each=2, top="folder/"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    before = open_store(tmp_path / "folder", cache=cache)
    assert open_store(tmp_path / "folder", cache=cache).folder == before.folder
    (tmp_path / "folder" / "A" / "new.png").write_bytes(make.encoded(make.picture(77)))
    assert len(open_store(tmp_path / "folder", cache=cache)) == 5


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "digests.npy", "paths.txt", "manifest.json"])
@pytest.mark.parametrize("harm", ["cut", "empty", "gone", "zeros"])
def test_a_damaged_store_is_built_again(archive, cache, name, harm):
    store = open_store(archive, cache=cache)
    expected = {p.name: p.read_bytes() for p in store.folder.iterdir()}
    path = store.folder / name
    data = path.read_bytes()
    if harm == "gone":
        path.unlink()
    elif name == "paths.txt" and harm == "zeros":
        return
    else:
        path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "zeros": bytes(len(data))}[harm])
    again = open_store(archive, cache=cache)
    assert {p.name: p.read_bytes() for p in again.folder.iterdir()} == expected


def test_pickles_in_a_store_are_never_opened(archive, cache):
    store = open_store(archive, cache=cache)
    np.save(store.folder / "labels.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert open_store(archive, cache=cache).labels.dtype == np.int64


def test_two_at_once_build_it_once(archive, cache, monkeypatch):
    calls = []
    real = store_module.build

    def slow(*args):
        calls.append(1)
        time.sleep(0.2)
        return real(*args)

    monkeypatch.setattr(store_module, "build", slow)
    stores = []
    threads = [
        threading.Thread(target=lambda: stores.append(open_store(archive, cache=cache))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len({store.folder for store in stores}) == 1
    assert len(stores) == 4


def run(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


SLOW = """
    import sys, time
    import bayesight.data.build as build
    from bayesight.data import open_store
    whole = build.Spool.add
    def slow(self, *arguments):
        whole(self, *arguments)
        print("reading", flush=True)
        time.sleep(60)
    build.Spool.add = slow
    open_store(sys.argv[1], cache=sys.argv[2])
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_build_that_is_stopped_leaves_nothing_for_good(archive, cache, sent):
    process = run(SLOW, archive, cache)
    assert process.stdout.readline() == "reading\n"
    process.send_signal(sent)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    left = listing(cache)
    if sent == signal.SIGINT:
        assert left == []
        assert "KeyboardInterrupt" in errors
    else:
        assert [name.startswith(".building-") for name in left] == [True]
    store = open_store(archive, cache=cache)
    assert listing(cache) == [store.folder.name]


def test_leftovers_of_other_sources_go_too_but_not_those_at_work(archive, cache, tmp_path, make):
    process = run(SLOW, archive, cache)
    assert process.stdout.readline() == "reading\n"
    other = make.tar(tmp_path / "other.tar", make.letters("XY"), "w")
    open_store(other, cache=cache)
    assert any(name.startswith(".building-") for name in listing(cache))
    process.kill()
    process.communicate(timeout=20)
    make.tar(other, make.letters("XZ"), "w")
    open_store(other, cache=cache)
    assert not any(name.startswith(".building-") for name in listing(cache))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(archive, cache, monkeypatch, number):
    def full(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(build_module, "_write_sorted", full)
    with pytest.raises(StorageFailed, match=r"is full.*BAYESIGHT_CACHE") as error:
        open_store(archive, cache=cache)
    assert "\n" not in str(error.value)
    assert listing(cache) == []


def test_a_write_that_the_system_refuses(tmp_path, make):
    archive = make.tar(tmp_path / "x.tar", make.letters("AB", each=40, height=40, width=40), "w")
    code = """
        import resource, signal, sys
        from bayesight.data import open_store
        from bayesight.errors import StorageFailed
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            open_store(sys.argv[1], cache=sys.argv[2])
        except StorageFailed as error:
            print(error)
    """
    output, errors = run(code, archive, tmp_path / "cache").communicate(timeout=30)
    assert "is full" in output, errors
    assert listing(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_a_folder(archive, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageFailed, match="cannot be written"):
        open_store(archive, cache=tmp_path / "file")


def test_a_source_that_changes_while_it_is_read(archive, cache, monkeypatch):
    real = store_module.build

    def meddle(*args):
        done = real(*args)
        archive.write_bytes(archive.read_bytes() + b"more")
        return done

    monkeypatch.setattr(store_module, "build", meddle)
    with pytest.raises(SourceUnreadable, match="changed while it was being read"):
        open_store(archive, cache=cache)
    assert listing(cache) == []


def test_sizes_and_modes_that_differ_are_settled_by_a_stated_choice(tmp_path, cache, make):
    most = make.letters("A", each=6)
    few = make.letters("B", each=3, height=9, width=9)
    store = open_store(make.tar(tmp_path / "1.tar", most + few, "w"), cache=cache)
    assert store.manifest.shape == (6, 5)
    assert "6x5, the size of 6 of 9 images" in store.manifest.choice
    assert store.manifest.fitted == 3
    assert store.manifest.counts == {"A": 6, "B": 3}

    colour = make.letters("C", each=1, colour=True)
    store = open_store(make.tar(tmp_path / "2.tar", most + colour, "w"), cache=cache)
    assert (store.manifest.shape, store.manifest.mode) == ((6, 5, 3), "RGB")
    assert "RGB, because 1 of them have colour" in store.manifest.choice
    np.testing.assert_array_equal(store.images[0][..., 0], store.images[0][..., 2])

    mixed = [
        (f"A/{k}.png", make.encoded(make.picture(k, side, side + 5)))
        for k, side in enumerate((20, 30, 37, 50))
    ]
    store = open_store(make.tar(tmp_path / "3.tar", mixed, "w"), cache=cache)
    assert store.manifest.shape == (32, 32)  # the median short side is 33.5
    assert "33.5" in store.manifest.choice
    for sides, expected in (((200, 300), 64), ((3, 4), 16)):
        tiny = [
            (f"A/{k}.png", make.encoded(make.picture(k, s, s))) for k, s in enumerate((*sides, sides[0] + 2))
        ]
        store = open_store(make.tar(tmp_path / f"{expected}.tar", tiny, "w"), cache=cache)
        assert store.manifest.shape == (expected, expected)


def test_half_is_enough_for_the_most_common_size(tmp_path, cache, make):
    members = make.letters("A", each=2) + make.letters("B", 1, 9, 9) + make.letters("C", 1, 8, 9)
    assert open_store(make.tar(tmp_path / "x.tar", members, "w"), cache=cache).manifest.shape == (6, 5)


def test_size_and_mode_as_asked_for(archive, cache, make):
    store = open_store(archive, cache=cache, size=8, mode="RGB")
    assert store.manifest.shape == (8, 8, 3)
    assert store.manifest.choice == "8x8 as asked for; RGB as asked for"
    assert store.manifest.fitted == len(store)
    own = open_store(archive, cache=cache)
    assert own.manifest.fitted == 0
    same = open_store(archive, cache=cache, size=own.manifest.shape[:2], mode=own.manifest.mode)
    assert same.manifest.fitted == 0
    assert open_store(archive, cache=cache, size=(4, 9)).manifest.shape == (4, 9)
    for wrong in ({"size": 0}, {"size": (3, -1)}, {"mode": "CMYK"}, {"size": 100_000}):
        with pytest.raises(InvalidInput):
            open_store(archive, cache=cache, **wrong)


def test_size_alone_keeps_the_mode_of_the_data(tmp_path, cache, make):
    members = make.letters("A", 3) + make.letters("B", 3, 9, 9, colour=True)
    store = open_store(make.tar(tmp_path / "x.tar", members, "w"), cache=cache, size=7)
    assert store.manifest.shape == (7, 7, 3)
    grey = open_store(tmp_path / "x.tar", cache=cache, mode="L")
    assert grey.manifest.mode == "L"


def test_idx_data_are_made_to_fit_too(tmp_path, cache, make):
    pictures = np.stack([make.picture(k, 8, 8) for k in range(4)])
    images = make.idx(tmp_path / "x-images-idx3-ubyte.gz", pictures)
    make.idx(tmp_path / "x-labels-idx1-ubyte.gz", np.array([1, 0, 1, 12]))
    store = open_store(images, cache=cache, size=4, mode="RGB")
    assert store.manifest.shape == (4, 4, 3)
    assert store.classes == ("0", "1", "12")
    assert {store.path_of(i) for i in range(4)} == {f"x-images-idx3-ubyte.gz[{i}]" for i in range(4)}


def test_unlabelled_images(tmp_path, cache, make):
    archive = make.tar(
        tmp_path / "x.tar", [("a.png", make.encoded(make.picture(1))), *make.letters("A", 2)], "w"
    )
    store = open_store(archive, cache=cache, labelled=False)
    assert store.labels.tolist() == [-1, -1, -1]
    assert (store.classes, store.manifest.counts) == ((), {})
    assert len(open_store(archive, cache=cache)) == 2


def test_one_class_is_opened_and_refused_for_training(tmp_path, cache, make):
    store = open_store(make.tar(tmp_path / "x.tar", make.letters("A"), "w"), cache=cache)
    assert len(store) == 4
    with pytest.raises(InvalidInput, match=r"holds 1 class \(A\); expected at least 2"):
        require_classes(store)
    require_classes(store, 1)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([], "it is empty"),
        ([("A/x.txt", b"words")], r"1 file ignored as no image \(1 .txt; first: A/x.txt\)"),
        (
            [("A/x.txt", b"words"), ("B/y.txt", b"words")],
            r"2 files ignored as no images \(2 .txt; first: A/x",
        ),
        (
            [("[Content_Types].xml", b"<a/>"), ("xl/workbook.xml", b"<a/>")],
            "is an Excel workbook; .* CSV UTF-8",
        ),
        ([("x.png", b"data")], r"1 quarantined \(first: x.png: no class folder\)"),
        ([("A/x.png", b"text")], r"not an image \(begins with b'text'\)"),
        ([("A/x.png", b"")], "zero bytes"),
    ],
)
def test_a_source_without_images_says_what_it_holds(tmp_path, cache, make, members, expected):
    archive = make.tar(tmp_path / "x.tar.gz", members)
    with pytest.raises(SourceUnreadable, match=expected):
        open_store(archive, cache=cache)
    assert listing(cache) == []


def test_other_bad_sources(tmp_path, cache):
    with pytest.raises(SourceNotFound):
        open_store(tmp_path / "missing", cache=cache)
    (tmp_path / "empty.tar.gz").write_bytes(b"")
    with pytest.raises(SourceUnreadable, match="is empty"):
        open_store(tmp_path / "empty.tar.gz", cache=cache)
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceUnreadable, match="it is empty"):
        open_store(tmp_path / "folder", cache=cache)


def test_names_with_line_breaks_keep_their_rows(tmp_path, cache, make):
    members = [(f"A/{k}\n{k}.png", make.encoded(make.picture(k))) for k in range(5)]
    store = open_store(make.tar(tmp_path / "x.tar", members, "w"), cache=cache)
    assert {store.path_of(i) for i in range(5)} == {f"A/{k}\\n{k}.png" for k in range(5)}


def test_progress_counts_the_images(archive, cache):
    heard = []
    open_store(archive, cache=cache, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (15, 15)


def test_the_manifest_is_plain_json(archive, cache):
    document = json.loads((open_store(archive, cache=cache).folder / "manifest.json").read_text())
    assert document["classes"] == ["A", "B", "C"]
    assert document["source"] == str(archive)


def test_nothing_heavy_is_imported(archive, cache):
    code = """
        import sys
        import bayesight.data
        assert "numpy" not in sys.modules and "PIL" not in sys.modules
        bayesight.data.open_store(sys.argv[1], cache=sys.argv[2])
        assert "torch" not in sys.modules
    """
    process = run(code, archive, cache)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


def test_memory_does_not_grow_with_the_pictures(tmp_path, make):
    """200 MiB of pixels pass through a process that grows by far less."""
    picture = make.encoded(np.zeros((512, 512), np.uint8), compress_level=9)
    archive = make.tar(tmp_path / "x.tar", [(f"{k % 2}/{k}.png", picture) for k in range(800)], "w")
    code = """
        import resource, sys
        from bayesight.data import open_store
        import PIL.Image, numpy
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        store = open_store(sys.argv[1], cache=sys.argv[2])
        assert store.images.nbytes == 200 << 20
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    output, errors = run(code, archive, tmp_path / "cache").communicate(timeout=120)
    unit = 1 if sys.platform == "darwin" else 1024
    assert output, errors
    assert int(output) * unit < 190 << 20


def test_images_far_larger_than_what_holds_them_are_refused_before_they_are_decoded(
    tmp_path, cache, make, monkeypatch
):
    monkeypatch.setattr(decode, "PIXELS_FREE", 100_000)
    monkeypatch.setattr(decode, "PIXELS_A_BYTE", 3)
    blank = [(f"A/{k}.png", make.encoded(np.zeros((200, 200), np.uint8))) for k in range(9)]
    with pytest.raises(SourceUnreadable) as refused:
        open_store(make.tar(tmp_path / "x.tar.gz", blank), size=8, cache=cache)
    size = (tmp_path / "x.tar.gz").stat().st_size
    said = f"holds images of more than 80,000 pixels in {size} bytes; expected at most 100,000, or 3 for each"
    assert said in str(refused.value)
    unpacked = tmp_path / "folder" / "A"
    unpacked.mkdir(parents=True)
    for name, blob in blank:
        (unpacked / name[2:]).write_bytes(blob)
    with pytest.raises(SourceUnreadable, match="more than 80,000 pixels"):
        open_store(unpacked.parent, size=8, cache=cache)
    noise = [(f"A/{k}.png", make.encoded(make.picture(k, 200, 200))) for k in range(9)]
    assert len(open_store(make.tar(tmp_path / "y.tar", noise, "w"), size=8, cache=cache)) == 9
    deep = [(f"A/{k}.png", make.encoded(np.full((200, 200), 300 + k, np.uint16))) for k in range(9)]
    with pytest.raises(SourceUnreadable, match="more than 80,000 pixels"):
        open_store(make.tar(tmp_path / "z.tar.gz", deep), size=8, cache=cache)


def test_large_images_of_one_size_are_scaled_down_unless_a_size_is_asked_for(tmp_path, cache, make):
    members = [(f"A/{k}.png", make.encoded(make.picture(k, 1000, 1800), "JPEG")) for k in range(3)]
    archive = make.tar(tmp_path / "x.tar", members, "w")
    store = open_store(archive, cache=cache)
    assert store.manifest.shape == (64, 115)
    assert "64x115, because 1000x1800, the size of 3 of 3 images, is large (--size" in store.manifest.choice
    assert store.manifest.treatment.cut_share < 0.01
    asked = open_store(archive, cache=cache, size=(1000, 1800)).manifest
    assert (asked.shape, asked.treatment.cut) == ((1000, 1800), 0)


def test_one_bright_image_does_not_darken_the_others(tmp_path, cache, make):
    values = [make.picture(k).astype(np.uint16) * 16 for k in range(30)]
    values[7][0, 0] = 65_535  # a single hot pixel
    members = [(f"A/{k}.png", make.encoded(v)) for k, v in enumerate(values)]
    store = open_store(make.tar(tmp_path / "x.tar", members, "w"), cache=cache)
    assert store.manifest.levels[1] <= 4080
    assert store.manifest.treatment.clipped >= 1
    assert store.images.max() == 255


def test_only_rows_keep_their_class(tmp_path, make):
    store = open_store(make.tar(tmp_path / "x.tar", make.letters("ABC", each=4), "w"), cache=tmp_path)
    kept = only_rows(store, np.array([0, 1, 5, 6, 7]))
    assert kept.classes == store.classes
    assert kept.manifest.counts == {"A": 2, "B": 3, "C": 0}
    assert kept.labels.tolist() == [0, 0, -1, -1, -1, 1, 1, 1, -1, -1, -1, -1]
    assert kept.rows_of("").tolist() == [0, 1, 5, 6, 7]
    assert len(kept.rows_of("left out")) == 7
    assert kept.manifest.content_hash != store.manifest.content_hash
    assert only_rows(store, np.arange(12)).manifest == store.manifest


class Waiting:
    """A listener that takes sentences."""

    def __init__(self):
        self.said, self.seen = [], []

    def __call__(self, done, total):
        self.seen.append((done, total))

    def announce(self, sentence):
        self.said.append(sentence)


def some(make, how):
    """Images of one size, which are read in one pass, or of two, which are counted first."""
    return [
        (f"{k % 2}/{k}.png", make.encoded(make.picture(k, 20 + 4 * (k % 3 == 0) * (how == "two"), 20)))
        for k in range(30)
    ]


@pytest.mark.parametrize("how", ["one", "two"])
def test_a_large_store_is_told_of_before_it_is_built(tmp_path, cache, make, monkeypatch, how):
    archive, listener = make.tar(tmp_path / "x.tar", some(make, how), "w"), Waiting()
    store = open_store(archive, cache=cache, progress=listener)
    assert (listener.said, listener.seen[-1]) == ([], (30, 30))
    monkeypatch.setattr(build_module, "_LARGE_BYTES", store.images.nbytes)
    (tmp_path / "other").mkdir()
    open_store(archive, cache=tmp_path / "other", progress=listener)
    (said,) = listener.said
    assert said.startswith(f"30 images of 20x20 take about 0.0 GB in {tmp_path / 'other'}")
    assert "--size HxW makes them smaller, BAYESIGHT_CACHE names" in said
    open_store(archive, cache=cache, progress=lambda done, total: None)


@pytest.mark.parametrize("how", ["one", "two"])
def test_a_store_for_which_there_is_no_room_is_refused_before_it_is_built(
    tmp_path, cache, make, monkeypatch, how
):
    for name, content in some(make, how):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    monkeypatch.setattr("bayesight.data.archives._BATCH_MEMBERS", 10)
    needed = {"one": 20 * 400, "two": 2 * 30 * 400}[how]  # ten are written when it is known of how many
    free = [needed - 1]
    monkeypatch.setattr(build_module.shutil, "disk_usage", lambda path: SimpleNamespace(free=free[0]))
    with pytest.raises(StorageFailed, match=r"^30 images of 20x20 take about .* twice that while") as error:
        open_store(tmp_path / "set", cache=cache)
    assert "\n" not in str(error.value)
    assert listing(cache) == []
    free[0] += 1
    assert len(open_store(tmp_path / "set", cache=cache)) == 30


def test_files_are_read_by_their_content_whatever_their_suffix(tmp_path, cache, make):
    ramp = np.linspace(0, 255, 400).reshape(20, 20).astype(np.uint8)
    names = {
        "A/jpeg.png": "JPEG",
        "A/none": "PNG",
        "A/webp.jpg": "WEBP",
        "B/gif.dat": "GIF",
        "B/two.x.y": "TIFF",
    }
    members = [(name, make.encoded(np.roll(ramp, k), form)) for k, (name, form) in enumerate(names.items())]
    members += [("B/text.png", b"no image"), ("B/text", b"no image either")]
    store = open_store(make.tar(tmp_path / "x.tar", members, "w"), mode="L", cache=cache)
    assert {store.path_of(i) for i in range(len(store))} == set(names)
    assert [one.path for one in store.manifest.quarantined] == ["B/text.png"]
    assert store.manifest.ignored == 1
    for i in range(len(store)):
        expected = np.roll(ramp, list(names).index(store.path_of(i))).astype(int)
        assert np.abs(store.images[i] - expected).mean() < 4


def test_photographs_of_a_telephone_are_taken_in(tmp_path, cache, make):
    pytest.importorskip("pillow_heif").register_heif_opener()  # which writes as well
    members = [
        (f"{k % 2}/IMG_{k}.HEIC", make.encoded(make.picture(k, 24, 32, True), "HEIF")) for k in range(4)
    ]
    members += [("0/IMG_9.HEIC", members[0][1][:90]), ("1/IMG_8.heic", b"words")]
    store = open_store(make.tar(tmp_path / "x.tar", members, "w"), cache=cache)
    assert (len(store), store.manifest.shape) == (4, (24, 32, 3))
    reasons = {one.path: one.reason for one in store.manifest.quarantined}
    assert reasons == {
        "0/IMG_9.HEIC": "its header is cut off or damaged",
        "1/IMG_8.heic": "not an image (begins with b'words')",
    }
