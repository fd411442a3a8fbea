"""Both backends, ledgers on them, and records to write."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import numpy as np
import pytest

from bayesight.ledger import Label, Ledger, Prediction, RunRecord, begin
from bayesight.run import Run


class Server:
    """A PostgreSQL server of Debian's package; it refuses to run as root, so root runs it as ``postgres``."""

    def __init__(self, programs: Path, folder: Path, *, fsync: bool = False) -> None:
        # Tests do not pull the plug of the machine, so their disk need not be waited for.
        self.programs, self.folder, self.fsync = programs, folder, fsync
        self.data = folder / "data"
        self.prefix = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.prefix = ["runuser", "-u", "postgres", "--"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.call("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync")
        self.start()

    def call(self, program, *arguments):
        words = [*self.prefix, self.programs / program, *arguments]
        subprocess.run(
            [str(word) for word in words],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            cwd=self.folder, timeout=60,
        )  # fmt: skip

    def start(self):
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        options += f" -c fsync={'on' if self.fsync else 'off'}"
        self.call("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, mode="fast"):
        self.call("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def database(self):
        """The URL of a new, empty database."""
        import psycopg

        name = f"ledger_{uuid.uuid4().hex[:12]}"
        where = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="session")
def postgres():
    """A running server; a skip with its reason where PostgreSQL is missing, a failure in CI."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        reason = "no PostgreSQL in /usr/lib/postgresql; install Debian's package postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="bayesight-pg-"))
    server = Server(found[-1], folder)
    yield server
    server.stop("immediate")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """An empty place for a ledger, on each backend."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def ledger(url):
    """An empty ledger."""
    with Ledger.open(url) as opened:
        yield opened


@pytest.fixture
def run_record():
    """A run of three features, enough for everything that computes nothing."""
    return RunRecord("run1", belief="ab" * 32, classes=("bar", "disc"), features=3, model="mlp")


def image_of(number):
    """The digest of an image that has this number."""
    return f"{number:032x}"


@pytest.fixture
def label():
    """Make a label: number of the image, class, person."""

    def make(number, name="bar", person="alice", run="run1", size=3):
        features = np.random.default_rng(number).normal(size=size).astype(np.float32)
        return Label(run, image_of(number), name, person, features, pixels=b"PNG %d" % number)

    return make


@pytest.fixture
def prediction():
    """Make a prediction: number of the image, who asked."""

    def make(number, person="", run="run1"):
        shares = {"bar": 0.25, "disc": 0.75}
        return Prediction(
            run, "cd" * 32, image_of(number), "disc", {"bar": 0.5, "disc": 0.5}, {"bar": -3.5, "disc": -2.25},
            -2.5, shares, novelty=0.5, person=person, features=np.ones(3, np.float32), pixels=b"PNG",
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def base_run(shapes_run):
    """The run on drawings, opened; nothing here changes it."""
    return Run.open(shapes_run)


@pytest.fixture
def held(ledger, base_run):
    """The belief of the run on drawings, on an empty ledger."""
    return begin(ledger, base_run)


@pytest.fixture
def drawn(held):
    """Make a label of a drawing: its number, class (the right one if None), person."""
    base = held.base

    def make(number, name=None, person="alice"):
        row = number % len(base.reference)
        right = base.classes.names[int(base.reference_labels[row])]
        noise = np.random.default_rng(number).normal(scale=0.01, size=base.head.dimension)
        features = (base.reference[row].numpy() + noise).astype(np.float32)
        return Label(held.run, image_of(number + 1), name or right, person, features)

    return make
