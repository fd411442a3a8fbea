"""Fixtures shared by the whole suite."""

import io
import os
import pwd
import shutil
import socket
import struct
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from bayesight.language import speak

os.environ["BAYESIGHT_LANG"] = "en"  # whatever the machine's locale

# Tests marked ``fuzz`` leave the number of examples to the profile, so that ``make soak`` can run them long.
settings.register_profile("soak", max_examples=20_000, deadline=None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; a skip with its reason on a user's machine, a failure in CI."""
    here = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("BAYESIGHT_DATA", here.parent / "shared" / "data"))
    if not folder.is_dir():
        reason = f"no real data at {folder}; set BAYESIGHT_DATA to the folder that holds notmnist/ and mnist/"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep stores built by tests out of the user's cache."""
    os.environ["BAYESIGHT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Speak English again after a command that spoke another language."""
    yield
    speak("en")


@pytest.fixture(autouse=True)
def unset_prompting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give command output a fixed width and no colour, whatever the terminal."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(autouse=True)
def unwatched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take the names of ledgers that a test began out of the run that all share."""
    yield
    for mark in tmp_path_factory.getbasetemp().glob("runs*/*/ledgers.json"):
        mark.unlink()


def shape_images(name: str, count: int, seed: int) -> np.ndarray:
    """(count, 28, 28) uint8 noisy drawings of a bar, a disc or a ring, each in its own place, some faint."""
    rng = np.random.default_rng([seed, *name.encode()])
    y, x = np.mgrid[:28, :28]
    cy, cx = rng.uniform(11, 17, (2, count, 1, 1))
    distance = np.hypot(y - cy, x - cx)
    drawn = {
        "bar": np.abs(x - cx) < 3,
        "disc": distance < 8,
        "ring": np.abs(distance - 7) < 2,
    }[name]
    contrast = rng.uniform(15, 120, (count, 1, 1))
    noise = rng.normal(0, 35, (count, 28, 28))
    return np.clip(drawn * contrast + 60 + noise, 0, 255).astype(np.uint8)


def write_archive(path: Path, images: dict[str, np.ndarray]) -> Path:
    """A .tar.gz with one folder of PNG files a class, as notMNIST is laid out."""
    with tarfile.open(path, "w:gz") as tar:
        for name, stack in images.items():
            for index, pixels in enumerate(stack):
                out = io.BytesIO()
                Image.fromarray(pixels).save(out, "PNG")
                member = tarfile.TarInfo(f"top/{name}/{index:04}.png")
                member.size = out.tell()
                out.seek(0)
                tar.addfile(member, out)
    return path


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 240 drawings in three classes that any network can tell apart."""
    path = tmp_path_factory.mktemp("shapes") / "shapes.tar.gz"
    return write_archive(path, {name: shape_images(name, 80, 0) for name in ("bar", "disc", "ring")})


@pytest.fixture(scope="session")
def more_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other drawings of the same classes, 30 a class."""
    path = tmp_path_factory.mktemp("shapes") / "more.tar.gz"
    return write_archive(path, {name: shape_images(name, 30, 1) for name in ("bar", "disc", "ring")})


@pytest.fixture(scope="session")
def shapes_run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on ``shapes``; do not change it."""
    from bayesight.training.recipe import Recipe
    from bayesight.workflows.train import TrainRequest, train

    folder = tmp_path_factory.mktemp("runs") / "shapes"
    recipe = Recipe.default("mlp").changed(
        {"optimization.epochs": 6, "data.batch": 32, "model.hidden": [32], "data.validation": 0.25}
    )
    return train(TrainRequest(shapes, folder, recipe, threads=1)).run.folder


@pytest.fixture(scope="session")
def lite_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights for lite0, as a network of other classes and other images would leave them."""
    import safetensors.torch

    from bayesight.models import build

    file = tmp_path_factory.mktemp("weights") / "lite0.safetensors"
    network = build("lite0", (3, 40, 40), 7, side=32, seed=5)
    kept = {k: v.contiguous() for k, v in network.state_dict().items() if not k.startswith("standardise.")}
    safetensors.torch.save_file(kept, file)
    return file


@pytest.fixture(scope="session")
def lite_recipe():
    """A recipe of lite0 that small drawings are learned by in a second."""
    from bayesight.training.recipe import Recipe

    return Recipe.default("lite0").changed(
        {"model.side": 32, "optimization.epochs": 20, "data.validation": 0.25, "data.batch": 32}
    )


@pytest.fixture(scope="session")
def lite_run(shapes: Path, lite_recipe, lite_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on ``shapes`` whose network is frozen at ``lite_weights``; do not change it."""
    from bayesight.workflows.train import TrainRequest, train

    folder = tmp_path_factory.mktemp("runs") / "lite"
    return train(TrainRequest(shapes, folder, lite_recipe, weights=lite_weights, threads=1)).run.folder


@pytest.fixture
def make_archive(tmp_path: Path):
    """Make an archive: file name, {class: count}, {class: drawing} where they differ."""

    def make(name: str, counts: dict[str, int], drawing: dict[str, str] | None = None, seed: int = 2) -> Path:
        drawn = drawing or {}
        return write_archive(
            tmp_path / name, {c: shape_images(drawn.get(c, c), n, seed) for c, n in counts.items()}
        )

    return make


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """IDX data of bars, numbered 0, and rings, numbered 2: their places in the order of ``shapes_run``."""
    images = np.concatenate([shape_images("bar", 4, 2), shape_images("ring", 5, 2)]).astype(np.uint8)
    for kind, values in (("images-idx3", images), ("labels-idx1", np.array([0] * 4 + [2] * 5, np.uint8))):
        header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
        (tmp_path / f"x-{kind}-ubyte").write_bytes(header + values.tobytes())
    return tmp_path / "x-images-idx3-ubyte"


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


@pytest.fixture(scope="module")
def chromium():
    """A headless browser; a skip with its reason on a user's machine, a failure in CI."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        reason = "no chromium on this machine; install it (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium) -> Iterator[Callable]:
    """Open a page in a context of its own; whatever it complains of or asks elsewhere fails the test."""
    contexts, complaints = [], []

    def opened(url: str, *, tolerated: tuple[int, ...] = (), **options):
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()

        def heard(message) -> None:
            refused = any(f"status of {code}" in message.text for code in tolerated)
            if message.type in ("error", "warning") and not refused:
                complaints.append(message.text)

        def asked(request) -> None:
            if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
                complaints.append(f"asked {request.url}")

        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", asked)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


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
def ledger_url(request, tmp_path):
    """An empty place for a ledger, on each backend."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    return request.getfixturevalue("postgres").database()
