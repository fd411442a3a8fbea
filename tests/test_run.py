"""A run folder may be a stranger's: whatever it holds, it is opened rightly or refused in one sentence."""

import json
import math
import os
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import tomli_w
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bayesight.errors import BayesightError, RunUnreadable
from bayesight.run import Run, _digest
from bayesight.workflows.predict import Readings, judge, read_images

HOSTILE = [
    None, True, False, -1, 0, 1, 2.5, 10**20, -(10**30), 1e308, math.nan, math.inf, -math.inf, "", "x", "0.1",
    "x" * 5000, "\x1b[2J", "\ud800", "bar", "mlp", "vae", "L", [], [5], [[5]], [-1, 28], [28, 28, 28], {},
    {"name": "resnet"}, {"a": {"b": {}}}, 4096, 8000, 65536,
]  # fmt: skip
TENSORS = ["belief.safetensors", "model.safetensors"]
NUMBERS = [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-300, 1e9, 1e30, 1e300]


@pytest.fixture(scope="module")
def victim(shapes_run, tmp_path_factory) -> Path:
    """A copy of a run, to be spoiled one file at a time."""
    return Path(shutil.copytree(shapes_run, tmp_path_factory.mktemp("victim") / "run"))


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)).save(path)
    return path


def answer(run: Path, picture: Path) -> str:
    """The refusal, or nothing where the run answers with probabilities."""
    try:
        classifier = Run.open(run).classifier()
        pixels = read_images([picture], classifier.classes)
        found = judge(classifier, ["a.png"], classifier.features([(pixels, pixels)]), Readings())
    except BayesightError as refused:
        said = str(refused)
        assert 0 < len(said) <= 1500
        assert "Traceback" not in said
        return said
    for one in found:
        assert abs(sum(one.posterior.values()) - 1) < 1e-6
        assert math.isfinite(one.log_evidence)
        assert math.isfinite(one.novelty)
    return ""


def spoiled(run: Path, name: str, content: bytes, picture: Path) -> str:
    """What comes of a run of which one file has other content."""
    path = run / name
    good = path.read_bytes()
    path.write_bytes(content)
    try:
        return answer(run, picture)
    finally:
        path.write_bytes(good)


def places(tree, before=()):
    """Every path into nested dictionaries and lists."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inside:
        yield (*before, key)
        yield from places(value, (*before, key))


def put(tree, path, value, *, remove=False) -> None:
    for key in path[:-1]:
        tree = tree[key]
    if remove:
        del tree[path[-1]]
    else:
        tree[path[-1]] = value


fuzz = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.fuzz
@fuzz
@given(
    name=st.sampled_from(["metrics.json", "classes.json", "recipe.toml"]),
    where=st.integers(0, 10**6),
    value=st.sampled_from(HOSTILE),
    remove=st.booleans(),
    extra=st.booleans(),
)
def test_files_with_other_values_are_opened_or_refused(victim, picture, name, where, value, remove, extra):
    text = (victim / name).read_text()
    tree = tomllib.loads(text) if name.endswith("toml") else json.loads(text)
    every = list(places(tree))
    path = every[where % len(every)]
    put(
        tree,
        (*path[:-1], "more") if extra and isinstance(path[-1], str) else path,
        value,
        remove=remove and not extra,
    )
    try:
        content = (tomli_w.dumps(tree) if name.endswith("toml") else json.dumps(tree)).encode()
    except (TypeError, UnicodeEncodeError, ValueError):
        return  # TOML has no such value
    spoiled(victim, name, content, picture)


def tensors_of(path: Path) -> tuple[dict, dict]:
    with safetensors.safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata())  # noqa: SIM118


def changed(tensor: torch.Tensor, how: str, at: int, number: float) -> torch.Tensor | None:
    """A tensor spoiled in one way; None where it goes."""
    flat = tensor.clone().flatten()
    if how == "drop":
        return None
    if how == "kind":
        return tensor.to([torch.float32, torch.float64, torch.int64, torch.uint8, torch.float16][at % 5])
    if how == "shape":
        return [flat, tensor[None], flat[: len(flat) // 2], flat[:0], tensor[..., None]][at % 5].contiguous()
    if how == "all":
        return (
            torch.full_like(tensor, number)
            if tensor.is_floating_point()
            else torch.full_like(tensor, at % 300)
        )
    if how == "times":
        return tensor * (-1 if number < 0 else 3 if number == 0 else 1000)
    if how == "noise":
        return tensor + torch.randn(tensor.shape, generator=torch.Generator().manual_seed(at)).to(
            tensor.dtype
        )
    if len(flat):
        flat[at % len(flat)] = number if flat.is_floating_point() else at % 2**31 - 2**30
    return flat.view(tensor.shape)


@pytest.mark.fuzz
@fuzz
@given(
    name=st.sampled_from(["belief.safetensors", "belief.safetensors", "model.safetensors"]),
    which=st.integers(0, 10**6),
    how=st.sampled_from(["drop", "kind", "shape", "all", "times", "noise", "one", "one"]),
    at=st.integers(0, 2**31),
    number=st.sampled_from(NUMBERS),
)
def test_tensors_that_are_no_statistics_are_refused(victim, picture, name, which, how, at, number):
    tensors, metadata = tensors_of(victim / name)
    key = sorted(tensors)[which % len(tensors)]
    try:
        new = changed(tensors.pop(key), how, at, number)
    except (RuntimeError, OverflowError):
        return  # a kind of number that has no such value
    if new is not None:
        tensors[key] = new
    if "digest" in metadata:
        metadata["digest"] = _digest(tensors)
    spoiled(victim, name, safetensors.torch.save(tensors, metadata), picture)


@pytest.mark.fuzz
@fuzz
@given(where=st.integers(0, 10**6), value=st.sampled_from(HOSTILE), remove=st.booleans())
def test_what_a_belief_says_beside_its_tensors_is_opened_or_refused(victim, picture, where, value, remove):
    tensors, metadata = tensors_of(victim / "belief.safetensors")
    tree = json.loads(metadata["values"])
    every = list(places(tree))
    put(tree, every[where % len(every)], value, remove=remove)
    metadata["values"] = json.dumps(tree)
    spoiled(victim, "belief.safetensors", safetensors.torch.save(tensors, metadata), picture)


@pytest.mark.fuzz
@fuzz
@given(
    name=st.sampled_from(
        ["metrics.json", "classes.json", "recipe.toml", "belief.safetensors", "model.safetensors"]
    ),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    early=st.booleans(),
)
def test_other_bytes_are_opened_or_refused(victim, picture, name, cut, flips, early):
    content = bytearray((victim / name).read_bytes())
    content = content[: int(len(content) * cut)] if not flips else content
    reach = min(len(content), 2000) if early else len(content)
    for place, byte in flips:
        content[int(place * reach)] = byte
    spoiled(victim, name, bytes(content), picture)


def belief(victim: Path, change) -> bytes:
    tensors, metadata = tensors_of(victim / "belief.safetensors")
    change(tensors)
    return safetensors.torch.save(tensors, metadata | {"digest": _digest(tensors)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["head.counts"].fill_(0), "sums are larger than the counts"),
        (lambda t: t["head.counts"].neg_(), "counts are not all 0 or more"),
        (lambda t: t["head.counts"].add_(1), "head.counts are not the sums of absorbed.weights"),
        (lambda t: t["head.second_moments"][0, 0, 1].add_(5), "second moments are not symmetric"),
        (lambda t: t["head.second_moments"].neg_(), "sums of squares are below 0"),
        (lambda t: t["head.second_moments"][0, 2, 2].fill_(math.inf), "second_moments holds NaN"),
        (lambda t: t["head.second_moments"].mul_(0.9), "not positive semidefinite|sums are larger"),
        (lambda t: t["head.sums"].mul_(50), "sums are larger than the counts"),
        (lambda t: t["head.scale"].mul_(-1), "scale and shift"),
        (lambda t: t["head.scale"].fill_(1e-300), "scale and shift"),
        (lambda t: t["absorbed.weights"].mul_(2), "absorbed.weights holds numbers outside 0 to 1"),
        (lambda t: t["absorbed.labels"].fill_(0), "head.counts are not the sums"),
        (lambda t: t["absorbed.exemplar_rows"].fill_(0), "exemplar_rows does not ascend"),
        (lambda t: t["reference"].fill_(math.nan), "reference holds NaN"),
        (lambda t: [t.update({k: t[k][..., :5].contiguous()}) for k in ("head.shift", "head.scale")],
         r"head.shift is torch.float64 of shape \(5,\), not torch.float64 \(D\) with D = 32"),
    ],
)  # fmt: skip
def test_a_belief_that_no_images_could_give_is_refused_with_the_law_it_breaks(victim, picture, change, words):
    said = spoiled(victim, "belief.safetensors", belief(victim, change), picture)
    assert said.startswith("belief.safetensors is damaged (")
    assert re.search(words, said)


def test_deep_long_or_endless_files_are_refused_at_once(victim, picture):
    for name in ("metrics.json", "classes.json"):
        assert "brackets within brackets" in spoiled(victim, name, b"[" * 200_000, picture)
        deep = b'{"format": 1, "classes": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
        assert "brackets within brackets" in spoiled(victim, name, deep, picture)
        assert "bytes; expected 16,777,216 at most" in spoiled(victim, name, b" " * (2**24 + 1), picture)
    assert "not TOML" in spoiled(victim, "recipe.toml", b"a = " + b"[" * 100_000, picture)
    long = json.dumps({"format": 2, "classes": ["a" * 6000, 5], "mode": "x" * 6000, "size": [0]}).encode()
    assert len(spoiled(victim, "classes.json", long, picture)) < 700


@pytest.mark.parametrize("name", ["metrics.json", "classes.json", "recipe.toml", "belief.safetensors"])
def test_no_pipe_device_or_link_out_of_the_run_is_opened(victim, picture, name, tmp_path):
    path, kept = victim / name, tmp_path / name
    for make, words in (
        (lambda: os.mkfifo(path), "is no plain file|is not a run folder"),
        (lambda: path.mkdir(), "is no plain file|is not a run folder|missing or damaged"),
        (lambda: path.symlink_to("/dev/zero"), "a link that leads out of the run|is not a run folder"),
        (lambda: path.symlink_to(kept), "a link that leads out of the run"),
    ):
        shutil.move(path, kept)
        try:
            make()
            with pytest.raises(RunUnreadable, match=words):
                Run.open(victim).classifier()
        finally:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            shutil.move(kept, path)


def test_a_link_within_the_run_is_followed(victim, picture):
    (victim / "weights").mkdir()
    shutil.move(victim / "model.safetensors", victim / "weights" / "m")
    (victim / "model.safetensors").symlink_to("weights/m")
    try:
        assert answer(victim, picture) == ""
    finally:
        shutil.move(victim / "weights" / "m", victim / "model.safetensors")
        (victim / "weights").rmdir()


def test_history_is_numbers_or_refused(victim):
    good = (victim / "history.csv").read_bytes()
    try:
        for content in (b"step,loss\n1,x\n", b"step\n1,2,3\n", b"\xff\xfe", b'step\n"1'):
            (victim / "history.csv").write_bytes(content)
            with pytest.raises(RunUnreadable, match=r"history\.csv is damaged"):
                Run.open(victim).history()
    finally:
        (victim / "history.csv").write_bytes(good)


def test_a_run_taken_away_leaves_no_lock_that_would_keep_another_from_its_folder(tmp_path):
    run = Run.create(tmp_path / "run")
    (run.folder / "belief.lock").touch()
    run.remove()
    assert not run.folder.exists()
