"""Both backends, ledgers on them, and records to write."""

import numpy as np
import pytest
import torch

from bayesight.ledger import LabelRecord, Ledger, PredictionRecord, RunRecord, begin
from bayesight.run import Run


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
        return LabelRecord(run, image_of(number), name, person, features, pixels=b"PNG %d" % number)

    return make


@pytest.fixture
def prediction():
    """Make a prediction: number of the image, who asked."""

    def make(number, person="", run="run1"):
        shares = {"bar": 0.25, "disc": 0.75}
        return PredictionRecord(
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
        return LabelRecord(held.run, image_of(number + 1), name or right, person, features)

    return make


@pytest.fixture
def same_bits():
    """Compare two classifiers in every bit, exemplars included."""

    def same(one, other):
        mine, theirs = one.tensors(), other.tensors()
        return mine[1] == theirs[1] and all(torch.equal(mine[0][name], theirs[0][name]) for name in mine[0])

    return same
