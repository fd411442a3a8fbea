"""A belief in memory, its record, and a digest that covers every bit of it."""

import hashlib
import shutil
from dataclasses import replace

import pytest
import torch

from bayesight.ledger import BeliefState, belief_digest, run_record
from bayesight.run import Run


@pytest.fixture(scope="module")
def base(base_run):
    return base_run.classifier()


def test_the_digest_is_the_same_in_every_process(base, base_run):
    assert belief_digest(base) == belief_digest(base_run.classifier())


@pytest.mark.parametrize("part", ["counts", "sums", "second_moments", "shift", "scale"])
def test_the_last_bit_of_the_head_shows(base, part):
    value = getattr(base.head, part).clone()
    value.view(-1)[0] = torch.nextafter(value.view(-1)[0], torch.tensor(torch.inf, dtype=value.dtype))
    assert belief_digest(replace(base, head=replace(base.head, **{part: value}))) != belief_digest(base)


def test_what_is_absorbed_shows_and_who_said_it_does_not(base):
    absorbed = base.absorbed
    weights = absorbed.weights.clone()
    weights[3] *= 0.5
    renamed = base.renamed("bar", "rod")
    others = [
        replace(base, absorbed=replace(absorbed, weights=weights)),
        replace(base, absorbed=replace(absorbed, labels=absorbed.labels.roll(1))),
        replace(base, head=replace(base.head, prior=replace(base.head.prior, scatter=7.0))),
        renamed,
    ]
    assert len({belief_digest(one) for one in (base, *others)}) == 5
    said = replace(base, absorbed=replace(absorbed, sources=torch.full_like(absorbed.sources, 9)))
    assert belief_digest(said) == belief_digest(base)


def test_exemplars_are_digested_for_a_base_alone(base):
    other = replace(base, absorbed=replace(base.absorbed, exemplars=base.absorbed.exemplars + 1))
    assert belief_digest(other) == belief_digest(base)
    assert belief_digest(other, exemplars=True) != belief_digest(base, exemplars=True)


def test_a_run_is_called_by_its_network_wherever_it_lies(base, base_run, tmp_path):
    record = run_record(base_run, base)
    copy = Run.open(shutil.copytree(base_run.folder, tmp_path / "copy"))
    other = run_record(copy, copy.classifier())
    assert replace(other, folder=record.folder) == record
    assert (record.classes, record.features, record.model) == (base.classes.names, base.head.dimension, "mlp")
    total = hashlib.sha256()
    for name, tensor in sorted(base.network.state_dict().items()):
        total.update(name.encode() + tensor.contiguous().numpy().tobytes())
    assert record.run == total.hexdigest()[:32]
    network = copy.network()
    network.head.bias.data += 1
    copy.save_network(network)
    assert run_record(copy, copy.classifier()).run != record.run


def test_the_runs_own_labels_are_told_by_todays_names(base):
    renames = ((5, "bar", "rod"), (9, "rod", "stick"))
    state = BeliefState(base, "run1", base, 9, "", renames=renames)
    known = base.absorbed
    row = int((known.labels == base.classes.names.index("bar")).nonzero()[0, 0])
    image = bytes(known.digests[row].numpy()).hex()
    assert state.run_names([image, "0" * 32]) == {image: ("stick",)}
    assert (state.name_now("bar"), state.name_now("bar", 5), state.name_now("rod", 7)) == (
        "stick",
        "bar",
        "stick",
    )
