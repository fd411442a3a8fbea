"""A run as one file for other programs: ONNX, or a ``torch.export`` program, compared with the run itself."""

from __future__ import annotations

import io
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

import bayesight
from bayesight.bayes import theorem
from bayesight.belief.classifier import Classifier
from bayesight.belief.exported import OUTPUTS, ExportedClassifier
from bayesight.checks import check
from bayesight.data.batches import Examples
from bayesight.errors import InvalidInput, MissingExtra
from bayesight.evaluation.novelty import threshold
from bayesight.files import write_atomic
from bayesight.run import Run
from bayesight.seeding import torch_generator
from bayesight.types import Progress
from bayesight.workflows.belief import belief_of
from bayesight.workflows.sources import SCORED, read_labelled, read_unlabelled

Target: TypeAlias = Literal["onnx", "torch"]
_ENDINGS: dict[str, Target] = {".onnx": "onnx", ".pt2": "torch", ".pt": "torch"}
METADATA_KEY = "bayesight"
"""The entry of the file's metadata that holds classes, size and base rates as JSON."""

COMPARED = 500
"""Images that the exported model and the run are compared on, at most."""
_CALIBRATING = 200
_NOISE = 32
_BATCH = 64

Predict: TypeAlias = Callable[[Tensor, Tensor], list[Tensor]]
"""uint8 images (N, C, H, W) and prior (K,) to the outputs in the order of ``OUTPUTS``."""


@dataclass(frozen=True)
class Quantisation:
    """The price of a network in 8-bit integers, on the images it was compared on.

    Args:
        images: labelled images.
        accuracy: of the run, under its own base rates.
        accuracy_quantised: of the file.
        log_loss: nats an image, of the run.
        log_loss_quantised: of the file.
    """

    images: int
    accuracy: float
    accuracy_quantised: float
    log_loss: float
    log_loss_quantised: float


@dataclass(frozen=True)
class Export:
    """A file that answers as a run does.

    Args:
        path: of the file.
        target: its format.
        size_bytes: of the file.
        inputs: the inputs, with their types and shapes.
        outputs: the outputs, likewise.
        images: the images it was compared on.
        noise: whether those were noise, for want of a source.
        largest_difference: of a posterior probability, between the file and the run, under even base rates.
        quantisation: its price; None where nothing was quantised.
    """

    path: str
    target: Target
    size_bytes: int
    inputs: dict[str, str]
    outputs: dict[str, str]
    images: int
    noise: bool
    largest_difference: float
    quantisation: Quantisation | None = None

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return asdict(self)


def export(
    run: str | Path,
    out: str | Path,
    target: Target = "onnx",
    *,
    source: str | Path | None = None,
    ledger: str | None = None,
    quantise: bool = False,
    licence: str = "",
    progress: Progress | None = None,
) -> Export:
    """Write a run as one file that needs none of this program, and compare its answers with the run's.

    The file takes images of the run's size in 8 bits, and base rates; it holds the network, the head and what
    novelty is measured by, so that it answers with likelihood, evidence, posterior and novelty.

    Args:
        run: a run folder.
        out: the file to write.
        target: "onnx", or "torch" for a ``torch.export`` program.
        source: images to compare on; noise where left out.
        ledger: whose belief about the run is exported; the run's own where left out.
        quantise: compute the network's products in 8-bit integers (ONNX), calibrated on ``source``, whose
            images have to be labelled.
        licence: written into the file's metadata.
        progress: told how far reading is.

    Raises:
        SourceNotFound, SourceUnreadable, RunUnreadable: the run or the source cannot be read.
        InvalidInput: quantisation without a source, or of another format; a name with the ending of another.
        MissingExtra: ONNX is not installed.
        StorageFailed: the file cannot be written.
    """
    check(target in ("onnx", "torch"), "target", f"got {target!r}", "onnx or torch")
    if quantise:
        check(target == "onnx", "quantise", f"got the format {target}", "onnx")
        check(source is not None, "quantise", "got no images", "labelled images to calibrate and judge it on")
    named = _ENDINGS.get(Path(out).suffix.lower(), target)
    check(named == target, str(out), f"is named as a file of {named}", f"one of {target}, as was asked for")
    opened = Run.open(run)
    classifier = belief_of(opened, ledger)
    classifier.classes.require_images("export")
    pixels, labels = _images(classifier, source, labelled=quantise, progress=progress)
    program = _program(classifier)
    path, note = Path(out).expanduser().absolute(), _metadata(classifier, licence)
    if target == "torch":
        content = _torch_bytes(program, note)
    else:
        content = _onnx_bytes(program, note)
        if quantise:
            content = _quantised(content, pixels[:_CALIBRATING], classifier.prior)
    write_atomic(path, content)
    answer = _reader(path, target)
    even = torch.full_like(classifier.prior, 1 / len(classifier.prior))
    own = _posterior(classifier, pixels, even)
    found = answer(pixels, even)[2]
    (channels, height, width), wide = classifier.classes.image_shape, f"float64 (N, {len(classifier.prior)})"
    return Export(
        path=str(path),
        target=target,
        size_bytes=len(content),
        inputs={
            "images": f"uint8 (N, {channels}, {height}, {width})",
            "prior": f"float64 ({len(classifier.prior)},)",
        },
        outputs={
            name: wide if name in ("log_likelihood", "posterior") else "float64 (N,)" for name in OUTPUTS
        },
        images=len(pixels),
        noise=source is None,
        largest_difference=float((found - own).abs().max()),
        quantisation=_price(classifier, answer, pixels, labels) if quantise else None,
    )


def _images(
    classifier: Classifier, source: str | Path | None, *, labelled: bool, progress: Progress | None
) -> tuple[Tensor, Tensor]:
    """At most ``COMPARED`` images (N, C, H, W), evenly out of a source, and their classes; else noise."""
    if source is None:
        shape = (_NOISE, *classifier.classes.image_shape)
        noise = torch.randint(256, shape, generator=torch_generator(0, "export"), dtype=torch.uint8)
        return noise, torch.empty(0, dtype=torch.int64)
    examples: Examples
    if labelled:
        examples = read_labelled(source, classifier.classes, parts=SCORED, progress=progress).examples
    else:
        examples, _ = read_unlabelled(source, classifier.classes, progress=progress)
    if not len(examples):
        raise InvalidInput(f"{source}: got no images; expected some to compare the answers on.")
    order = np.linspace(0, len(examples) - 1, min(COMPARED, len(examples))).round().astype(np.int64)
    some = examples.at(order)
    return some.images(np.arange(len(some))), torch.from_numpy(some.labels.astype(np.int64))


def _program(classifier: Classifier) -> ExportedProgram:
    module = ExportedClassifier(classifier).eval().requires_grad_(False)
    example = torch.zeros(2, *classifier.classes.image_shape, dtype=torch.uint8)
    with _quiet(), torch.no_grad():
        return torch.export.export(
            module, (example, classifier.prior), dynamic_shapes=({0: Dim("images", min=1)}, None)
        )


def _torch_bytes(program: ExportedProgram, note: str) -> bytes:
    stream = io.BytesIO()
    with _quiet():
        torch.export.save(program, stream, extra_files={METADATA_KEY: note})
    return stream.getvalue()


def _onnx_bytes(program: ExportedProgram, note: str) -> bytes:
    try:
        import onnx  # noqa: F401 - the exporter's own message would name three packages
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as problem:
        raise MissingExtra("ONNX", "export") from problem
    with _quiet():
        exported = torch.onnx.export(
            program, dynamo=True, input_names=["images", "prior"], output_names=list(OUTPUTS), verbose=False
        )
    assert exported is not None
    proto = exported.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, note
    content: bytes = proto.SerializeToString()
    return content


def _quantised(content: bytes, pixels: Tensor, prior: Tensor) -> bytes:
    """The network's products in 8-bit integers; the head and the distances stay as they are."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._parts: Iterator[Tensor] = iter(pixels.split(_BATCH))

        def get_next(self) -> dict[str, Any] | None:
            part = next(self._parts, None)
            return None if part is None else {"images": part.numpy(), "prior": prior.numpy()}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, ready, small = (str(Path(folder, name)) for name in ("plain", "ready", "small"))
        Path(plain).write_bytes(content)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        graph = onnx.load(ready).graph
        own = {one.name for one in graph.initializer if one.name.startswith("network.")}
        products = [
            node.name
            for node in graph.node
            if node.op_type in ("Conv", "Gemm", "MatMul") and own.intersection(node.input)
        ]
        if not products:
            raise InvalidInput("quantise: got a network without products; expected layers to quantise.")
        quantize_static(
            ready, small, Reader(), nodes_to_quantize=products, per_channel=True,
            weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
        )  # fmt: skip
        return Path(small).read_bytes()


def _reader(path: Path, target: Target) -> Predict:
    """The written file, read back as another program would."""
    if target == "torch":
        with _quiet():
            module = torch.export.load(path).module()
        return lambda images, prior: list(module(images, prior))
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def answer(images: Tensor, prior: Tensor) -> list[Tensor]:
        given = {"images": images.numpy(), "prior": prior.numpy()}
        return [torch.from_numpy(part) for part in session.run(None, given)]

    return answer


def _posterior(classifier: Classifier, pixels: Tensor, prior: Tensor) -> Tensor:
    features = classifier.features([(part, part) for part in pixels.split(_BATCH)])
    belief = theorem.Belief(prior.log(), classifier.classes.names)
    return theorem.update(belief, classifier.log_likelihood(features))[0].log_p.exp()


def _price(classifier: Classifier, answer: Predict, pixels: Tensor, labels: Tensor) -> Quantisation:
    def quality(posterior: Tensor) -> tuple[float, float]:
        right = (posterior.argmax(1) == labels).double().mean()
        given = posterior.gather(1, labels[:, None]).clamp_min(torch.finfo(torch.float64).tiny)
        return float(right), float(-given.log().mean())

    own = quality(_posterior(classifier, pixels, classifier.prior))
    small = quality(answer(pixels, classifier.prior)[2])
    return Quantisation(len(pixels), own[0], small[0], own[1], small[1])


def _metadata(classifier: Classifier, licence: str) -> str:
    classes = classifier.classes
    height, width = classes.size
    return json.dumps(
        {
            "made_by": f"bayesight {bayesight.__version__}",
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "licence": licence,
            "classes": classes.names,
            "prior": classifier.prior.tolist(),
            "mode": classes.mode,
            "height": height,
            "width": width,
            "fit": classes.fit,
            "levels": classes.levels,
            "unknown_above": threshold(classifier.novelty_reference, 0.05),
        },
        ensure_ascii=False,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters warn of what they do themselves, and log what is not installed."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "root")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
