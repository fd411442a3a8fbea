"""The guide's page of JavaScript: an exported run answers in a browser as it does in Python."""

import functools
import io
import json
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bayesight.workflows.export import METADATA_KEY, export

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guide" / "in-the-browser.html"
MODULES = Path(os.environ.get("BAYESIGHT_WEB_MODULES", ROOT / ".venv" / "web" / "node_modules"))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_words) -> None:
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page beside ONNX Runtime for browsers, handed out on this machine."""
    runtime = MODULES / "onnxruntime-web" / "dist"
    if not runtime.is_dir():
        pytest.skip(f"no ONNX Runtime for browsers at {runtime}; 'make .venv/ready-web' installs it with npm")
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(PAGE, folder)
    (folder / "node_modules" / "onnxruntime-web").mkdir(parents=True)
    (folder / "node_modules" / "onnxruntime-web" / "dist").symlink_to(runtime)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{PAGE.name}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def model(shapes_run, tmp_path_factory):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = export(shapes_run, tmp_path_factory.mktemp("onnx") / "shapes.onnx").path
    return onnxruntime.InferenceSession(path), Path(path)


def png(pixels: np.ndarray) -> dict[str, object]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="png")
    return {"name": "drawn.png", "mimeType": "image/png", "buffer": stream.getvalue()}


def posterior_on(page) -> list[float]:
    return [
        float(p)
        for p in page.eval_on_selector_all("#classes tr", "rows => rows.map(r => r.dataset.posterior)")
    ]


@pytest.fixture
def page(visit, address, model):
    opened = visit(address)
    opened.set_input_files("#model", str(model[1]))
    opened.wait_for_selector("#image:not([disabled])")
    return opened


def test_it_answers_as_the_file_does_elsewhere_and_at_other_base_rates(page, model):
    session, _ = model
    about = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    pixels = np.zeros((28, 28), np.uint8)
    pixels[10:18, 4:24] = 200

    def expected(rates) -> list[float]:
        given = {"images": pixels[None, None], "prior": np.asarray(rates, np.float64)}
        return session.run(["posterior"], given)[0][0].tolist()

    page.set_input_files("#image", png(pixels))
    page.wait_for_function("document.querySelector('#classes tr').dataset.posterior")
    assert posterior_on(page) == pytest.approx(expected(about["prior"]), abs=1e-5)
    assert page.locator("#classes td:first-child").all_inner_texts() == about["classes"]
    for field, rate in zip(page.locator("td input").all(), ("2", "1", "0"), strict=True):
        field.fill(rate)
    page.wait_for_function("document.querySelectorAll('#classes tr')[2].dataset.posterior === '0'")
    assert posterior_on(page) == pytest.approx(expected([2 / 3, 1 / 3, 0.0]), abs=1e-5)


def test_colours_weigh_as_they_do_in_the_run_and_other_shapes_are_cut(page):
    """A wide image of one colour is one grey in the model's size: Pillow's."""
    page.set_input_files("#image", png(np.full((40, 90, 3), (200, 30, 90), np.uint8)))
    page.wait_for_function("document.querySelector('#classes tr').dataset.posterior")
    size = page.eval_on_selector("#seen", "c => [c.width, c.height]")
    assert size == [28, 28]
    drawn = page.eval_on_selector("#seen", "c => [...c.getContext('2d').getImageData(0, 0, 28, 28).data]")
    assert np.asarray(drawn).reshape(-1, 4)[:, :3].tolist() == [[200, 30, 90]] * 784


def test_another_file_is_refused_in_a_sentence(visit, address):
    page = visit(address)
    page.set_input_files("#model", {"name": "x.onnx", "mimeType": "", "buffer": b"nothing of the kind"})
    page.wait_for_function("document.getElementById('said').textContent.includes('bayesight export')")
    assert page.inner_text("#said").startswith("x.onnx: the file has no classes in it")
