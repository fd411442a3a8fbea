"""Translation models: the GRU against torch's, attention by hand, padding without effect, greedy and beam."""

import itertools
import math

import pytest
import torch
from torch import nn

from bayesight.errors import InvalidConfig, InvalidInput, UnknownName
from bayesight.models import TRANSLATION_MODELS, RecurrentTranslator, build_translation_model, decoded
from bayesight.models.recurrent_translation import GRU, AdditiveAttention

SOURCE = torch.tensor([[5, 3, 8, 9, 2], [4, 7, 2, 0, 0], [6, 6, 3, 2, 0]])
TARGET = torch.tensor([[1, 5, 8, 4], [1, 9, 3, 3], [1, 7, 4, 6]])
VARIANTS = [("transformer", {}), ("gru", {}), ("gru", {"attention": False})]
every = pytest.mark.parametrize(("name", "options"), VARIANTS)


def model(name, seed=1, context=24, **options):
    """A small model far from its initial weights, without dropout."""
    options = {"layers": 2, "heads": 2} | options if name == "transformer" else options
    network = build_translation_model(name, 11, context, seed=seed, width=12, **options).eval()
    torch.manual_seed(3 + seed)
    for parameter in network.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("backwards", [False, True])
def test_the_gru_is_that_of_torch(backwards):
    torch.manual_seed(0)
    ours, theirs = GRU(5, 7).double(), nn.GRU(5, 7, batch_first=True).double()
    theirs.load_state_dict(
        {
            "weight_ih_l0": ours.input.weight,
            "bias_ih_l0": ours.input.bias,
            "weight_hh_l0": ours.recurrent.weight,
            "bias_hh_l0": ours.recurrent.bias,
        }
    )
    x, present = torch.randn(3, 9, 5, dtype=torch.float64), torch.ones(3, 9, dtype=torch.bool)
    expected = theirs(x.flip(1))[0].flip(1) if backwards else theirs(x)[0]
    torch.testing.assert_close(ours(x, present, backwards=backwards).double(), expected, atol=1e-12, rtol=0)


def test_padding_leaves_the_state_as_it_was():
    torch.manual_seed(0)
    gru, x = GRU(5, 7), torch.randn(1, 6, 5)
    present = torch.tensor([[True] * 4 + [False] * 2])
    torch.testing.assert_close(gru(x, present)[:, -1], gru(x[:, :4], present[:, :4])[:, -1])
    back = gru(x, present, backwards=True)
    torch.testing.assert_close(back[:, :4], gru(x[:, :4], present[:, :4], backwards=True))


def test_attention_is_the_softmax_of_its_equation():
    torch.manual_seed(0)
    attention, state, memory = AdditiveAttention(4, 6, 5), torch.randn(2, 4), torch.randn(2, 3, 6)
    unseen = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -math.inf]])
    found = attention(state, attention.key(memory), unseen)
    for row, length in ((0, 3), (1, 2)):
        scores = torch.stack(
            [
                attention.score.weight[0]
                @ torch.tanh(
                    attention.query.weight @ state[row]
                    + attention.key.weight @ memory[row, j]
                    + attention.key.bias
                )
                for j in range(length)
            ]
        )
        torch.testing.assert_close(found[row, :length], scores.softmax(0))
    assert found[1, 2] == 0


@every
def test_padding_and_the_symbols_to_come_change_nothing(name, options):
    network = model(name, **options)
    logits = network(SOURCE, TARGET, SOURCE != 0)
    for row, length in enumerate([5, 3, 4]):
        alone = SOURCE[row : row + 1, :length]
        torch.testing.assert_close(
            network(alone, TARGET[row : row + 1], alone != 0)[0], logits[row], atol=1e-5, rtol=1e-5
        )
    changed = TARGET.clone()
    changed[:, 2] = 10
    after = network(SOURCE, changed, SOURCE != 0)
    assert torch.equal(after[:, :2], logits[:, :2])
    assert not torch.equal(after[:, 2:], logits[:, 2:])
    assert not torch.allclose(network(SOURCE.flip(0), TARGET, SOURCE.flip(0) != 0), logits)


@every
def test_the_logits_of_some_places_are_those_of_all(name, options):
    network, said = model(name, **options), TARGET > 5
    assert 0 < said.sum() < said.numel()
    present = SOURCE != 0
    torch.testing.assert_close(
        network(SOURCE, TARGET, present, said), network(SOURCE, TARGET, present)[said], atol=1e-6, rtol=1e-5
    )


@every
def test_step_by_step_is_as_at_once(name, options):
    network = model(name, **options)
    present = SOURCE != 0
    memory, cache = network.encode(SOURCE, present), network.new_cache()
    steps = [network.decode(TARGET[:, [place]], memory, present, cache) for place in range(4)]
    assert cache.places == 4
    torch.testing.assert_close(torch.cat(steps, 1), network(SOURCE, TARGET, present), atol=1e-5, rtol=1e-5)


def test_the_weights_shown_are_those_that_are_used():
    network = model("gru")
    weights = network.attended(SOURCE, TARGET, SOURCE != 0)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4))
    assert (weights[1, :, 3:] == 0).all()
    with pytest.raises(InvalidInput, match="no attention"):
        model("gru", attention=False).attended(SOURCE, TARGET, SOURCE != 0)


@every
def test_a_beam_of_one_is_greedy(name, options):
    network, longest = model(name, **options), 8
    for row, length in enumerate([5, 3, 4]):
        alone = SOURCE[row : row + 1, :length]
        said = [1]
        for _ in range(longest):
            logits = network(alone, torch.tensor([said]), alone != 0)[0, -1]
            logits[[0, 1]] = -torch.inf
            said.append(int(logits.argmax()))
            if said[-1] == 2:
                break
        greedy = [symbol for symbol in said[1:] if symbol != 2]
        assert decoded(network, alone, longest=longest) == [greedy]
        assert decoded(network, SOURCE, longest=longest)[row] == greedy  # together as alone


@every
@pytest.mark.parametrize("power", [0.0, 0.6, 1.0])
def test_a_beam_as_wide_as_all_sentences_finds_the_best(name, options, power):
    network, alone = model(name, **options), SOURCE[:1]
    scores = {}
    for words in itertools.product(range(2, 11), repeat=3):
        said = list(words[: words.index(2) + 1]) if 2 in words else list(words)
        logits = network(alone, torch.tensor([[1, *said[:-1]]]), alone != 0)[0]
        logits[:, [0, 1]] = -torch.inf
        logs = logits.log_softmax(-1)
        total = sum(logs[place, symbol].item() for place, symbol in enumerate(said))
        scores[tuple(said)] = total / len(said) ** power
    best = max(scores, key=scores.get)
    found = decoded(network, alone, beam=100, longest=3, length_power=power)
    assert found == [[symbol for symbol in best if symbol != 2]]


class Chain(nn.Module):
    """A model that knows the odds of a symbol from the one before it alone."""

    context = 10

    def __init__(self, odds):
        super().__init__()
        self.logits = torch.full((6, 6), -torch.inf)
        for before, after in odds.items():
            for symbol, p in after.items():
                self.logits[before, symbol] = math.log(p)

    def encode(self, source, present):
        return source

    def new_cache(self):
        return self

    def select(self, rows):
        pass

    def decode(self, target, memory, present, cache):
        return self.logits[target]


def test_a_beam_finds_the_sentence_that_greed_misses():
    """3 is likelier at first, but what follows it is uncertain: .6 x .5 against .4 x .9."""
    odds = {1: {3: 0.6, 4: 0.4}, 3: {3: 0.5, 2: 0.5}, 4: {5: 0.9, 2: 0.1}, 5: {2: 1.0}}
    source = torch.tensor([[3, 2], [4, 2]])
    assert decoded(Chain(odds), source, beam=1, length_power=0)[0][0] == 3
    assert decoded(Chain(odds), source, beam=2, length_power=0) == [[4, 5], [4, 5]]


def test_the_length_is_divided_by_as_far_as_asked():
    """Short: .5. Long: .45 x .8 x .8 = .288, a third of whose logarithm is less."""
    odds = {1: {4: 0.45, 2: 0.5, 3: 0.05}, 4: {5: 0.8, 3: 0.2}, 5: {2: 0.8, 3: 0.2}, 3: {2: 1.0}}
    source = torch.tensor([[3, 2]])
    assert decoded(Chain(odds), source, beam=3, length_power=0) == [[]]
    assert decoded(Chain(odds), source, beam=3, length_power=1) == [[4, 5]]


def test_refusals():
    with pytest.raises(UnknownName, match="no translation model is called 'grru'; did you mean 'gru'"):
        build_translation_model("grru", 10, 10)
    with pytest.raises(InvalidConfig, match="no option 'heads'"):
        build_translation_model("gru", 10, 10, heads=2)
    with pytest.raises(InvalidInput, match="at least 1 of each"):
        RecurrentTranslator(10, 0)
    network = model("gru")
    for options, message in (({"beam": 0}, "beam: got 0"), ({"longest": 0}, "longest: got 0")):
        with pytest.raises(InvalidInput, match=message):
            decoded(network, SOURCE, **options)
    with pytest.raises(InvalidInput, match="length_power: got -1"):
        decoded(network, SOURCE, length_power=-1)


def test_initial_weights_follow_from_the_seed():
    assert TRANSLATION_MODELS.names() == ("gru", "transformer")
    for name in TRANSLATION_MODELS.names():
        one, same, other = (
            torch.cat(
                [p.flatten() for p in build_translation_model(name, 9, 9, width=8, seed=s).parameters()]
            )
            for s in (4, 4, 5)
        )
        assert torch.equal(one, same)
        assert not torch.equal(one, other)
