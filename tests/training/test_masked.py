import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bayesight.data.batches import Batches, Examples
from bayesight.data.labelled_texts import encoded
from bayesight.data.text import Marks, Subwords
from bayesight.errors import InvalidInput
from bayesight.models import build
from bayesight.training.engine import fit
from bayesight.training.hardware import choose_hardware
from bayesight.training.masked import MaskedModel, MaskedTexts, masked, masked_loss, masked_symbols
from bayesight.training.recipe import PretrainKey

MARKS = Marks(0, 1, 2, 3)
SENTENCES = [
    f"the {a} sat on the {b}" for a in ("cat", "dog", "hen", "cow") for b in ("mat", "bed", "hay")
] * 6


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_of_the_chosen_symbols_80_10_10_are_masked_replaced_and_kept():
    symbols = torch.full((400, 500), 7)
    hidden, places = masked_symbols(symbols, MARKS, 1004, 0.15, generator())
    n = symbols.numel()
    assert len(places) / n == pytest.approx(0.15, abs=5 * (0.15 * 0.85 / n) ** 0.5)
    at = hidden.flatten()[places]
    m = len(places)
    spread = 5 * (0.25 / m) ** 0.5
    assert float((at == MARKS.mask).double().mean()) == pytest.approx(0.8, abs=spread)
    assert float((at == 7).double().mean()) == pytest.approx(0.1, abs=spread)
    untouched = torch.ones(n, dtype=torch.bool)
    untouched[places] = False
    assert bool((hidden.flatten()[untouched] == 7).all())


def test_marks_are_never_chosen_and_one_symbol_always_is():
    symbols = torch.tensor([[1, 2, 0, 0], [1, 9, 2, 0]])
    for seed in range(20):
        _, places = masked_symbols(symbols, MARKS, 20, 1e-9, generator(seed))
        assert places.tolist() == [5]
    _, places = masked_symbols(torch.tensor([[1, 2, 0]]), MARKS, 20, 0.5, generator())
    assert places.tolist() == []


def test_only_masked_places_are_projected():
    network = build("bert", (40, 1, 9), 2, layers=1, width=16, heads=2)
    symbols = torch.randint(4, 40, (5, 9), generator=generator())
    places = torch.tensor([0, 7, 8, 30, 44])
    model = MaskedModel(network).eval()
    every = model.encoder.symbol_logits(model.encoder(symbols)).flatten(0, 1)
    found = model(symbols, places)
    assert found.shape == (5, 40)
    assert torch.allclose(found, every[places], atol=1e-6)
    targets = torch.tensor([4, 5, 6, 7, 8])
    loss = masked_loss(model, (symbols, places, targets))["total"]
    assert torch.allclose(loss, F.cross_entropy(every[places], targets))


@pytest.fixture(scope="module")
def vocabulary():
    return Subwords.learned(SENTENCES, 300, masks=True)


def test_the_batch_of_a_step_follows_from_the_step(vocabulary):
    rows, _ = encoded(SENTENCES, vocabulary, 64)
    examples = Examples((rows,), np.arange(len(rows)), np.full(len(rows), -1))
    data = MaskedTexts(Batches(examples, 8, 0), vocabulary.marks, len(vocabulary), 0.15, 1)
    network = build("bert", (len(vocabulary), 1, 64), 2, layers=1, width=16, heads=2)
    one, again, other = data(network, 3), data(network, 3), data(network, 4)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[2], other[2])
    hidden, places, targets = one
    assert hidden.shape[1] < 64  # columns of padding alone are left out
    assert len(places) == len(targets)
    assert bool((targets > 3).all())


def test_pretraining_learns_and_leaves_the_last_layer_alone(vocabulary):
    rows, _ = encoded(SENTENCES, vocabulary, 32)
    examples = Examples((rows,), np.arange(len(rows)), np.full(len(rows), -1))
    network = build("bert", (len(vocabulary), 1, 32), 2, layers=1, width=32, heads=2)
    head = network.head.weight.detach().clone()
    hardware = choose_hardware(precision="32", threads=1)
    key = PretrainKey(name="masked", epochs=40, batch=24)
    task, budget = masked(key, network, examples, vocabulary, hardware, 0)
    state = fit(task, budget, fabric=hardware.fabric)
    losses = [row["pretrain.total"] for row in state.history]
    assert losses[-1] < 0.5 * losses[0]
    assert torch.equal(network.head.weight, head)


def test_too_few_texts_and_a_vocabulary_without_a_mask_are_refused(vocabulary):
    rows, _ = encoded(SENTENCES[:5], vocabulary, 32)
    few = Examples((rows,), np.arange(5), np.full(5, -1))
    network = build("bert", (len(vocabulary), 1, 32), 2, layers=1, width=16, heads=2)
    hardware = choose_hardware(precision="32", threads=1)
    key = PretrainKey(name="masked")
    with pytest.raises(InvalidInput, match="5 texts; expected at least 32"):
        masked(key, network, few, vocabulary, hardware, 0)
    many = Examples((np.tile(rows, (8, 1)),), np.arange(40), np.full(40, -1))
    with pytest.raises(InvalidInput, match="a vocabulary without a mask"):
        masked(key, network, many, Subwords.learned(SENTENCES, 300), hardware, 0)
