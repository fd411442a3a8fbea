import contextlib
import errno
import http.server
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
from PIL import Image

from bayesight.data.parts import PartsManifest, SourcePart, find_parts, local_copy, shard_labels
from bayesight.data.sources import ContainerOptions
from bayesight.data.store import open_store
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable, StorageFailed


@pytest.fixture
def archives(tmp_path: Path) -> list[Path]:
    """Two small zip archives, in a folder of their own."""
    import zipfile

    (tmp_path / "in").mkdir()
    paths = []
    for name, greys in (("b.zip", range(3)), ("a.zip", range(10, 30))):
        paths.append(tmp_path / "in" / name)
        with zipfile.ZipFile(paths[-1], "w") as archive:
            for grey in greys:
                with archive.open(f"{'odd' if grey % 2 else 'even'}/{grey}.png", "w") as file:
                    Image.fromarray(np.full((4, 4), grey, np.uint8)).save(file, "PNG")
    return paths


class Files(http.server.BaseHTTPRequestHandler):
    """Files by HTTP, and as the objects of an S3 bucket ``photos``: HEAD, GET with ranges, ListObjectsV2."""

    files: dict[str, bytes]
    kinds: dict[str, str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path, _, query = self.path.partition("?")
        if path.rstrip("/") == "/photos" and "list-type" in query:
            rows = "".join(
                f"<Contents><Key>{escape(name)}</Key><Size>{len(data)}</Size><ETag>e</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for name, data in sorted(self.files.items())
            )
            listing = f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
            self._send(200, listing.encode(), "application/xml", body=body)
            return
        name = path.removeprefix("/photos").lstrip("/")
        if name not in self.files:
            self._send(404, b"", "text/plain", body=body)
            return
        data, first = self.files[name], self.headers.get("Range", "")
        status = 200
        if first:
            low, high = first.removeprefix("bytes=").split("-")
            data, status = data[int(low) : int(high or len(data)) + 1], 206
        self._send(status, data, self.kinds.get(name, "application/octet-stream"), body=body)

    def _send(self, status: int, data: bytes, kind: str, *, body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        content = self.files.get(self.path.strip("/"))
        if content is not None:
            self.send_header("ETag", f'"{hash(content)}"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(files: dict[str, bytes], kinds: dict[str, str] | None = None) -> Iterator[str]:
    handler = type("Handler", (Files,), {"files": files, "kinds": kinds or {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_paths_patterns_and_folders_become_parts_in_order(archives, tmp_path):
    (tmp_path / "folder" / "even").mkdir(parents=True)
    found = find_parts([str(tmp_path / "in" / "*.zip"), archives[0], tmp_path / "folder"])
    assert [Path(part.url).name for part in found.parts] == ["folder", "a.zip", "b.zip"]
    assert found.parts[1].bytes == archives[1].stat().st_size
    assert found.parts[1].hash is None
    found.save(tmp_path / "parts.json")
    assert PartsManifest.open(tmp_path / "parts.json") == found
    known = found.with_hashes({found.parts[1].key: "ab"})
    assert [part.hash for part in known.parts] == [None, "ab", None]
    assert [part.key for part in known.parts] == [part.key for part in found.parts]


def test_shares_of_an_archive_hold_each_image_once(archives):
    size = archives[1].stat().st_size
    found = find_parts([archives[1]], most_bytes=size // 3)
    count = len(found.parts)
    assert count in (3, 4)
    assert len({part.key for part in found.parts}) == count
    digests = [
        open_store(part.url, container=ContainerOptions(share=part.share)).digests for part in found.parts
    ]
    whole = open_store(archives[1]).digests
    assert sorted(np.concatenate(digests).tolist()) == sorted(whole.tolist())
    assert min(map(len, digests)) > 0


def test_a_changed_or_missing_file_is_named(archives):
    (part,) = find_parts([archives[0]]).parts
    with local_copy(part) as path:
        assert path == archives[0]
    os.utime(archives[0], ns=(1, 1))
    with (
        pytest.raises(SourceUnreadable, match=r"b\.zip has changed since the manifest was written \("),
        local_copy(part),
    ):
        pass
    (folder,) = find_parts([archives[0].parent]).parts
    (archives[0].parent / "more.png").write_bytes(b"new")
    assert find_parts([archives[0].parent]).parts[0].key != folder.key
    with pytest.raises(SourceUnreadable, match="has changed since the manifest"), local_copy(folder):
        pass
    archives[0].unlink()
    with pytest.raises(SourceNotFound, match=r"b\.zip' does not exist"), local_copy(part):
        pass


def test_http_parts_are_fetched_and_removed(archives):
    with served({"b.zip": archives[0].read_bytes()}) as host:
        (part,) = find_parts([f"http://{host}/b.zip"]).parts
        assert part.bytes == archives[0].stat().st_size
        with local_copy(part) as path:
            assert path.read_bytes() == archives[0].read_bytes()
            assert path.name == "b.zip"
        assert not path.exists()
        shorter = SourcePart(part.url, part.bytes - 1)
        with (
            pytest.raises(SourceUnreadable, match=r"has changed .*more than [0-9,]+ bytes\)"),
            local_copy(shorter),
        ):
            pass
        longer = SourcePart(part.url, part.bytes + 1)
        with pytest.raises(SourceUnreadable, match=r"has changed .* bytes, .* then\)"), local_copy(longer):
            pass
        other = SourcePart(part.url, part.bytes, hash="00")
        with pytest.raises(SourceUnreadable, match="its content differs"), local_copy(other):
            pass
        with (
            pytest.raises(SourceNotFound, match=r"gone\.zip does not exist"),
            local_copy(SourcePart(f"http://{host}/gone.zip")),
        ):
            pass
    with pytest.raises(SourceUnreadable, match="cannot be fetched"), local_copy(part):
        pass


def test_a_full_disk_is_no_fault_of_the_server(archives, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with served({"b.zip": archives[0].read_bytes()}) as host:
        (part,) = find_parts([f"http://{host}/b.zip"]).parts
        monkeypatch.setattr("pathlib.Path.open", full)
        with pytest.raises(StorageFailed, match=r"no room in .* for a copy of .*b\.zip"), local_copy(part):
            pass


def test_other_bytes_of_the_same_length_are_another_version(archives):
    files = {"b.zip": archives[0].read_bytes()}
    with served(files) as host:
        (part,) = find_parts([f"http://{host}/b.zip"]).parts
        assert part.version
        files["b.zip"] = bytes(len(files["b.zip"]))
        with pytest.raises(SourceUnreadable, match="has changed since the manifest"), local_copy(part):
            pass


def test_a_web_page_is_named_before_and_while_it_is_read():
    page = b"<!DOCTYPE html><html>log in</html>"
    with served({"a.tar": page, "b.tar": page}, {"a.tar": "text/html"}) as host:
        with pytest.raises(SourceUnreadable, match=r"a\.tar answers with a web page, not an archive"):
            find_parts([f"http://{host}/a.tar"])
        (part,) = find_parts([f"http://{host}/b.tar"]).parts
        with pytest.raises(SourceUnreadable, match=r"b\.tar answers with a web page"), local_copy(part):
            pass


def test_objects_of_s3_are_found_by_a_pattern_and_read(archives, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    files = {path.name: path.read_bytes() for path in archives} | {"notes.txt": b"-"}
    with served(files) as host:
        query = f"?endpoint_override={host}&scheme=http&region=us-east-1"
        found = find_parts([f"s3://photos/*.zip{query}"])
        assert [part.url for part in found.parts] == [f"s3://photos/{n}.zip{query}" for n in "ab"]
        assert [part.bytes for part in found.parts] == [path.stat().st_size for path in archives[::-1]]
        with local_copy(found.parts[1]) as path:
            assert path.read_bytes() == archives[0].read_bytes()
            assert path.name == "b.zip"
        with pytest.raises(SourceNotFound, match="no object fits"):
            find_parts([f"s3://photos/*.tar{query}"])


def test_what_is_no_source_is_refused(tmp_path):
    with pytest.raises(SourceNotFound, match=r"no file fits '.*\*\.tar'"):
        find_parts([str(tmp_path / "*.tar")])
    with pytest.raises(SourceNotFound, match="does not exist"):
        find_parts([tmp_path / "a.tar"])
    with pytest.raises(InvalidInput, match="nosuch"):
        find_parts(["nosuch://a/b.tar"])
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(SourceUnreadable, match=r"a\.txt is no archive; expected"):
        find_parts([tmp_path / "a.txt"])


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ("no JSON", "no manifest of parts"),
        ({"format": 2, "parts": []}, "format 2; expected format 1"),
        ({"format": 1, "parts": []}, "no parts; expected at least one"),
        ({"format": 1, "parts": [{"url": "a", "bytes": "b"}]}, "no manifest of parts"),
        ({"format": 1, "parts": [{"url": "a", "share": [3, 2]}]}, "no manifest of parts"),
        ({"format": 1, "parts": [{"url": "a", "share": [False, True]}]}, "no manifest of parts"),
        ({"format": 1, "parts": [{"url": "a", "bytes": -1}]}, "no manifest of parts"),
        ({"format": 1, "parts": [{"url": "a", "bytes": True}]}, "no manifest of parts"),
        ({"format": 1, "parts": [{"url": ""}]}, "no manifest of parts"),
        ({"format": 1, "parts": [{"url": "a"}, {"url": "a"}]}, "a part twice"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path, tree, said):
    path = tmp_path / "parts.json"
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    with pytest.raises(InvalidInput, match=said):
        PartsManifest.open(path)


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
