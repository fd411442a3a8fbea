"""Fetching, against a server that cuts off, lies, forgets, serves the wrong file, and falls over."""

import contextlib
import hashlib
import http.server
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from bayesight.data import download
from bayesight.data.download import CATALOGUE, KnownSet, Patience, RemoteFile, fetch
from bayesight.errors import DownloadFailed, InvalidInput, StorageFailed, UnknownName

CONTENT = bytes(range(256)) * 4000  # about 1 MB
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = Patience(retries=3, timeout_s=5, pause_s=0.001)
NAME = "notMNIST_small.tar.gz"

Server = namedtuple("Server", "url requests plan")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; each request follows the next entry of the plan, the last entry for ever."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.requests.append((self.path, dict(self.headers)))
        plan = self.server.plan
        getattr(self, plan.pop(0) if len(plan) > 1 else plan[0])()

    def answer(self, body, *, status=200, length=None, sent=None, content_range=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body[:sent])

    def first(self):
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def good(self, sent=None, length=None):
        first = self.first()
        if first >= len(CONTENT):
            return self.answer(b"", status=416, content_range=f"bytes */{len(CONTENT)}")
        span = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
        return self.answer(
            CONTENT[first:],
            status=206 if first else 200,
            content_range=span if first else None,
            sent=sent,
            length=length,
        )

    def cut(self):
        self.good(sent=300_000)

    def cut_at_once(self):
        self.good(sent=0)

    def promises_more(self):
        first = self.first()
        if first < len(CONTENT):
            self.good(length=len(CONTENT) - first + 5000)
        else:
            self.answer(
                b"", status=206, length=5000, content_range=f"bytes {first}-{first + 4999}/{first + 5000}"
            )

    def promises_less(self):
        self.answer(CONTENT[:1000])

    def ignores_range(self):
        self.answer(CONTENT)

    def ignores_range_and_cuts(self):
        self.answer(CONTENT, sent=200_000)

    def another_version(self):
        first, other = self.first(), CONTENT[::-1]
        span = f"bytes {first}-{len(other) - 1}/{len(other)}"
        self.answer(other[first:], status=206 if first else 200, content_range=span if first else None)

    def wrong_range(self):
        self.answer(CONTENT[5:], status=206, content_range=f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}")

    def wrong_file(self):
        self.answer(b"<html>Please log in</html>")

    def missing(self):
        self.answer(b"no", status=404)

    def broken(self):
        self.answer(b"oops", status=500)

    def hangs_up(self):
        self.close_connection = True

    def no_length(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def chunked_and_cut(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"1000\r\n" + CONTENT[:4096])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    files = (RemoteFile(NAME, MD5),)
    monkeypatch.setattr(
        download, "CATALOGUE", {**CATALOGUE, "notmnist-small": KnownSet("", "http://no", files)}
    )
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    served.requests, served.plan = [], ["good"]
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield Server(f"http://127.0.0.1:{served.server_port}/mirror", served.requests, served.plan)
    served.shutdown()
    served.server_close()
    thread.join()


def get(server, root, *plan, **options):
    server.plan[:] = plan
    return fetch("notmnist-small", root, base_url=server.url, patience=QUICK, **options)


def visible(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


@pytest.mark.parametrize(
    ("plan", "requests"),
    [
        (["good"], 1),
        (["no_length"], 1),
        (["cut", "cut", "cut", "good"], 4),
        (["cut", "ignores_range"], 2),
        (["cut", "wrong_range", "good"], 3),
        (["broken", "hangs_up", "good"], 3),
        (["chunked_and_cut", "good"], 2),
        (["cut_at_once", "cut", "broken", "broken", "cut", "cut_at_once", "broken", "good"], 8),
        (["promises_more"], 1),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_the_file_arrives_whole_whatever_the_server_does(server, tmp_path, plan, requests):
    path = get(server, tmp_path / "deep" / "er", *plan)
    assert path == tmp_path / "deep" / "er" / NAME
    assert path.read_bytes() == CONTENT
    assert visible(path.parent) == [NAME]
    assert len(server.requests) == requests
    assert server.requests[0][0] == f"/mirror/{NAME}"


def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path):
    seen = []
    get(server, tmp_path, "cut", "good", progress=lambda done, total: seen.append((done, total)))
    headers = server.requests[1][1]
    assert headers["Range"] == "bytes=300000-"
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {len(CONTENT)}


def test_an_interruption_keeps_what_came_and_the_next_call_goes_on(server, tmp_path):
    def interrupt(done, total):
        if done > 400_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, "good", progress=interrupt)
    kept = (tmp_path / f"{NAME}.part").stat().st_size
    assert kept > 400_000
    assert not (tmp_path / NAME).exists()
    assert get(server, tmp_path, "good").read_bytes() == CONTENT
    assert server.requests[1][1]["Range"] == f"bytes={kept}-"
    assert visible(tmp_path) == [NAME]


def test_a_complete_part_is_taken_without_asking(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert get(server, tmp_path, "missing").read_bytes() == CONTENT
    assert server.requests == []


def test_the_remains_of_another_file_are_dropped(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * 500)
    assert get(server, tmp_path, "good").read_bytes() == CONTENT
    (tmp_path / NAME).unlink()
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * (len(CONTENT) + 9))
    assert get(server, tmp_path, "good").read_bytes() == CONTENT


def test_a_file_glued_together_from_two_versions_is_received_again_as_a_whole(server, tmp_path):
    assert get(server, tmp_path, "cut", "another_version", "good").read_bytes() == CONTENT
    assert ["Range" in headers for _, headers in server.requests] == [False, True, False]
    assert visible(tmp_path) == [NAME]


def test_one_whole_restart_is_made_and_no_second_one(server, tmp_path):
    with pytest.raises(DownloadFailed, match="MD5"):
        get(server, tmp_path, "cut", "another_version", "cut", "another_version", "good")
    assert len(server.requests) == 4
    assert visible(tmp_path) == []


@pytest.mark.parametrize("behaviour", ["wrong_file", "promises_less"])
def test_another_file_is_refused_with_both_sums_and_not_left_behind(server, tmp_path, behaviour):
    served = b"<html>Please log in</html>" if behaviour == "wrong_file" else CONTENT[:1000]
    with pytest.raises(DownloadFailed, match=rf"{hashlib.md5(served).hexdigest()}; expected {MD5}"):
        get(server, tmp_path, behaviour)
    assert visible(tmp_path) == []


def test_what_is_not_there_is_not_asked_for_again(server, tmp_path):
    with pytest.raises(DownloadFailed, match="404"):
        get(server, tmp_path, "missing")
    assert len(server.requests) == 1
    assert visible(tmp_path) == []


@pytest.mark.parametrize("behaviour", ["broken", "cut_at_once", "hangs_up", "ignores_range_and_cuts"])
def test_a_server_that_keeps_failing_is_given_up(server, tmp_path, behaviour):
    with pytest.raises(DownloadFailed, match="times in a row"):
        get(server, tmp_path, behaviour)
    assert len(server.requests) in (QUICK.retries + 1, QUICK.retries + 2)
    assert not (tmp_path / NAME).exists()


def test_nobody_listening_is_a_failed_download(tmp_path, monkeypatch, server):
    with pytest.raises(DownloadFailed, match="cannot be reached"):
        fetch("notmnist-small", tmp_path, base_url="http://127.0.0.1:9", patience=QUICK)


def test_waits_double_up_to_a_minute(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    server.plan[:] = ["broken"]
    with pytest.raises(DownloadFailed):
        fetch("notmnist-small", tmp_path, base_url=server.url, patience=Patience(retries=8, pause_s=1))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_right_local_file_needs_no_network(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    assert get(server, tmp_path, "broken").read_bytes() == CONTENT
    assert server.requests == []


def test_a_wrong_local_file_is_refused_and_left_alone(server, tmp_path):
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(DownloadFailed, match=f"{hashlib.md5(b'mine').hexdigest()}; expected {MD5}"):
        get(server, tmp_path, "good")
    assert (tmp_path / NAME).read_bytes() == b"mine"
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    with pytest.raises(StorageFailed, match="no regular file"):
        get(server, tmp_path, "good")


def test_a_disk_too_small_is_noticed_before_it_is_filled(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(StorageFailed, match="1,000 bytes are free"):
        get(server, tmp_path, "good")
    assert len(server.requests) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_is_no_fault_of_the_server(server, tmp_path):
    (tmp_path / f"{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(StorageFailed, match="No space left"):
        get(server, tmp_path, "good")
    assert len(server.requests) == 1


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="file"):
        get(server, tmp_path / "file" / "below", "good")


def test_several_at_once_download_once(server, tmp_path):
    with ThreadPool(4) as pool:
        paths = pool.map(lambda _: get(server, tmp_path, "good"), range(4))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert len(server.requests) == 1


def test_every_file_of_a_set_is_fetched_and_the_first_is_the_source(server, tmp_path, monkeypatch):
    names = [file.name for file in CATALOGUE["mnist"].files]
    files = tuple(RemoteFile(name, MD5) for name in names)
    monkeypatch.setattr(download, "CATALOGUE", {"mnist": KnownSet("", server.url + "/", files)})
    assert fetch("mnist", tmp_path, patience=QUICK) == tmp_path / "train-images-idx3-ubyte.gz"
    assert visible(tmp_path) == sorted(names)
    assert [path for path, _ in server.requests] == [f"/mirror/{name}" for name in names]


def test_the_catalogue_names_the_published_files():
    assert sorted(CATALOGUE) == ["mnist", "notmnist-large", "notmnist-small"]
    sums = {file.name: file.md5 for known in CATALOGUE.values() for file in known.files}
    assert sums["notMNIST_small.tar.gz"] == "c9890a473a9769fda4bdf314aaf500dd"
    assert sums["notMNIST_large.tar.gz"] == "70a95b805ecfb6592c48e196df7c1499"
    assert len(sums) == 6


def test_bad_requests_say_what_would_be_right(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'notmnist-small'"):
        fetch("notmnist_small", tmp_path)
    with pytest.raises(InvalidInput, match="http or https"):
        fetch("notmnist-small", tmp_path, base_url=tmp_path.as_uri())
    with pytest.raises(InvalidInput, match="retries"):
        Patience(retries=-1)


def test_a_killed_process_leaves_a_part_that_is_gone_on_with(server, tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from bayesight.data.download import download\n"
        "def slow(done, total): print(done, flush=True); time.sleep(0.05)\n"
        f"download({server.url + '/' + NAME!r}, Path({str(tmp_path / NAME)!r}), {MD5!r}, progress=slow)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert visible(tmp_path) == [f"{NAME}.part"]
    assert get(server, tmp_path, "good").read_bytes() == CONTENT
    assert "Range" in server.requests[-1][1]
