"""A service with its pages, a browser to look at them, and images to show it."""

import io
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from bayesight.service import Settings, create_app
from bayesight.service.page import router
from bayesight.training.recipe import Recipe
from bayesight.workflows.train import TrainRequest, train


class Site:
    """A running service: its address, and the application inside."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings, routers=(router,))
        config = uvicorn.Config(
            self.app, port=0, log_level="error", ws="none", lifespan="on", proxy_headers=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        end = time.monotonic() + 60
        while not self._server.started and time.monotonic() < end:
            time.sleep(0.02)
        assert self._server.started
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    @property
    def service(self):
        return self.app.state.service

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture(scope="session")
def site(shapes_run: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service on loopback, without tokens, that may show what its run was trained on."""
    ledger = str(tmp_path_factory.mktemp("ledger") / "l.sqlite")
    made = Site(Settings(str(shapes_run), ledger, rate="", sources=(str(shapes),)))
    yield made
    made.close()


@pytest.fixture(scope="session")
def guarded(shapes_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that asks for tokens."""
    ledger = str(tmp_path_factory.mktemp("guarded") / "l.sqlite")
    made = Site(Settings(str(shapes_run), ledger, require_token=True, rate=""))
    yield made
    made.close()


class Proxy:
    """A reverse proxy on this machine that puts a service below ``/bayes``.

    ``strips`` says whether it takes the path away; ``asked`` holds the paths that browsers asked for. It
    passes no ``Host`` on, as nginx by itself, and says in forwarded headers what it was asked.
    """

    def __init__(self, url: str) -> None:
        self.strips, self.asked = False, []
        handler = type("Handler", (_Handler,), {"proxy": self, "inner": httpx.Client(base_url=url)})
        self._server = _Listener(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.RequestHandlerClass.inner.close()
        self._thread.join(30)


class _Listener(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # as http.server calls it
        self.proxy.asked.append(self.path)
        path = self.path.removeprefix("/bayes") if self.proxy.strips else self.path
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        hop = ("host", "connection", "accept-encoding")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in hop}
        headers |= {
            "X-Forwarded-For": self.client_address[0],
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": self.headers["host"],
        }
        answer = self.inner.request(self.command, path, content=body, headers=headers)
        self.send_response(answer.status_code)
        for name, value in answer.headers.multi_items():
            if name.lower() not in ("date", "content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def behind(shapes_run: Path, tmp_path: Path) -> Iterator[tuple[Site, Proxy]]:
    """A service with tokens below ``/bayes``, and the proxy in front of it."""
    settings = Settings(
        str(shapes_run), str(tmp_path / "l.sqlite"), rate="", require_token=True, proxies=("127.0.0.1",),
        root_path="/bayes",
    )  # fmt: skip
    site = Site(settings)
    proxy = Proxy(site.url)
    yield site, proxy
    proxy.close()
    site.close()


def _photograph(name: str, seed: int) -> bytes:
    rng = np.random.default_rng([seed, *name.encode()])
    colour = {"sky": (90, 140, 220), "grass": (60, 150, 60), "sand": (210, 180, 120), "night": (20, 20, 60)}
    pixels = np.array(colour[name]) + rng.normal(0, 15, 3) + rng.normal(0, 25, (32, 40, 3))
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def photograph() -> Callable[..., dict[str, object]]:
    """A colour image file as a browser is given it: "sky", "grass", "sand" or "night", and a seed."""
    return lambda name, seed=0: {
        "name": f"{name}.png", "mimeType": "image/png", "buffer": _photograph(name, seed)
    }  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service of a run of colour images, without tokens."""
    folder = tmp_path_factory.mktemp("photos")
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for name in ("sky", "grass", "sand"):
            for seed in range(20):
                archive.writestr(f"{name}/{seed}.png", _photograph(name, seed))
    recipe = Recipe.default("linear").changed({"optimization.epochs": 3, "data.batch": 16})
    run = train(TrainRequest(folder / "photos.zip", folder / "run", recipe, threads=1)).run.folder
    made = Site(Settings(str(run), str(folder / "l.sqlite"), rate=""))
    yield made
    made.close()


@pytest.fixture
def page_client(shapes_run: Path, tmp_path: Path) -> Iterator[TestClient]:
    """The pages without a browser, on a ledger of their own."""
    settings = Settings(str(shapes_run), str(tmp_path / "ledger.sqlite"), rate="")
    app = create_app(settings, routers=(router,))
    with TestClient(app, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def picture() -> Callable[..., dict[str, object]]:
    """An image file as a browser is given it: "bar", "disc", "ring" or "stripes", and a seed."""

    def made(name: str, seed: int = 0) -> dict[str, object]:
        rng = np.random.default_rng([seed, *name.encode()])
        y, x = np.mgrid[:28, :28]
        cy, cx = rng.uniform(12, 16, 2)
        distance = np.hypot(y - cy, x - cx)
        shapes = {
            "bar": np.abs(x - cx) < 3,
            "disc": distance < 8,
            "ring": np.abs(distance - 7) < 2,
            "stripes": (y // 3 % 2) * 1.6,
        }
        pixels = np.clip(shapes[name] * 100 + 60 + rng.normal(0, 20, (28, 28)), 0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        return {"name": f"{name}.png", "mimeType": "image/png", "buffer": out.getvalue()}

    return made
