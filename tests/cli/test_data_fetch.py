"""``bayesight data fetch``: the path on standard output, refusals in one sentence."""

import functools
import hashlib
import http.server
import json
import sys
import threading
from collections import namedtuple

import pytest

from bayesight.cli import main
from bayesight.data import download
from bayesight.data.download import CATALOGUE, KnownSet, RemoteFile

Done = namedtuple("Done", "returncode stdout stderr")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.tar.gz").write_bytes(b"letters" * 1000)
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fetch(capsys, monkeypatch, tmp_path):
    """Run the command in this process, in ``tmp_path``; gives status, standard output, standard error."""

    def run(*arguments, content=b"letters" * 1000):
        file = RemoteFile("a.tar.gz", hashlib.md5(content).hexdigest())
        known = {"notmnist-small": KnownSet("", "http://127.0.0.1:9", (file,))}
        monkeypatch.setattr(download, "CATALOGUE", known)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["bayesight", "data", "fetch", *map(str, arguments)])
        try:
            status = main() or 0
        except SystemExit as leave:
            status = leave.code or 0
        return Done(status, *capsys.readouterr())

    return run


def test_fetch_prints_the_path_and_a_second_time_needs_no_server(fetch, mirror, tmp_path):
    done = fetch("notmnist-small", "--root", "sets", "--from", mirror, "--json")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "sets" / "a.tar.gz"
    assert json.loads(done.stdout) == {"path": str(path)}
    assert done.stderr == ""
    assert path.read_bytes() == b"letters" * 1000
    again = fetch("notmnist-small", "--root", "sets")
    assert (again.returncode, again.stdout) == (0, f"{path}\n")


def test_the_folder_is_data_unless_said_otherwise(fetch, mirror, tmp_path):
    done = fetch("notmnist-small", "--from", mirror)
    assert done.stdout == f"{tmp_path / 'data' / 'a.tar.gz'}\n"


def test_another_file_is_one_sentence_and_status_1(fetch, mirror, tmp_path):
    done = fetch("notmnist-small", "--from", mirror, content=b"other")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("bayesight: http://127.0.0.1")
    assert hashlib.md5(b"other").hexdigest() in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_name_is_suggested_for(fetch):
    done = fetch("notmnist_smal")
    assert done.returncode == 1
    assert "did you mean 'notmnist-small'" in done.stderr


def test_the_help_names_every_known_set(fetch):
    shown = " ".join(fetch("--help").stdout.split())
    assert all(name in shown for name in CATALOGUE)
