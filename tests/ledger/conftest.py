"""Ledgers on both backends, and records to write."""

import numpy as np
import pytest
import torch

from bayesight.belief.absorbed import Rows
from bayesight.ledger import LabelRecord, Ledger, PredictionRecord, RunRecord, begin
from bayesight.run import Run


@pytest.fixture
def ledger(ledger_url):
    """An empty ledger."""
    with Ledger.open(ledger_url) as opened:
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
def state(ledger, base_run):
    """The belief of the run on drawings, on an empty ledger."""
    return begin(ledger, base_run)


@pytest.fixture
def drawn(state):
    """Make a label of a drawing: its number, class (the right one if None), person."""
    base = state.base

    def make(number, name=None, person="alice"):
        row = number % len(base.reference)
        right = base.classes.names[int(base.reference_labels[row])]
        noise = np.random.default_rng(number).normal(scale=0.01, size=base.head.dimension)
        features = (base.reference[row].numpy() + noise).astype(np.float32)
        return LabelRecord(state.run, image_of(number + 1), name or right, person, features)

    return make


@pytest.fixture
def same_bits():
    """Compare two classifiers in every bit, exemplars included."""

    def same(one, other):
        mine, theirs = one.tensors(), other.tensors()
        return mine[1] == theirs[1] and all(torch.equal(mine[0][name], theirs[0][name]) for name in mine[0])

    return same


@pytest.fixture
def rows_of():
    """Labels as rows of the run itself: label records, names of classes."""

    def rows(labels, names):
        return Rows(
            torch.from_numpy(np.stack([label.features for label in labels])),
            torch.tensor([names.index(label.label) for label in labels]),
            torch.tensor([list(bytes.fromhex(label.image)) for label in labels], dtype=torch.uint8),
        )

    return rows


@pytest.fixture
def same_belief(same_bits):
    """Compare two classifiers in every bit, in whose labels they hold, and in what those replaced."""
    return lambda one, other: (
        same_bits(one, other)
        and torch.equal(one.absorbed.sources, other.absorbed.sources)
        and one.replaced == other.replaced
    )


@pytest.fixture
def discs_called_rings(state):
    """Labels by ann that leave the run's own class of discs without an image."""
    known = state.base.absorbed
    rows = torch.nonzero(known.labels == state.base.classes.names.index("disc"))[:, 0].tolist()
    features = dict(zip(known.exemplar_rows.tolist(), known.exemplars.float().numpy(), strict=True))
    images = [bytes(known.digests[row].numpy()).hex() for row in rows]
    return [
        LabelRecord(state.run, image, "ring", "ann", features[row])
        for image, row in zip(images, rows, strict=True)
    ]
