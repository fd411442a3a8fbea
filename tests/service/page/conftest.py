"""A service with its pages, a browser to look at them, and images to show it."""

import io
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from bayesight.service import Settings, create_app
from bayesight.service.page import router

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


class Site:
    """A running service: its address, and the application inside."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings, routers=(router,))
        config = uvicorn.Config(self.app, port=0, log_level="error", ws="none", lifespan="on")
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
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
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
