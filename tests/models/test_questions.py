"""Networks that answer questions: shapes, what each may depend on, and the mean over pairs held to a loop."""

import pytest
import torch

from bayesight.errors import InvalidConfig, InvalidInput, UnknownName
from bayesight.models.questions import QUESTION_MODELS, build_question_model

every = pytest.mark.parametrize("name", QUESTION_MODELS.names())


def network(name, shape=(3, 30, 30), **options):
    return build_question_model(name, shape, 9, 4, width=8, seed=3, **options).eval()


def asked(*lines):
    return torch.tensor([lines])


@every
def test_answers_to_every_question_of_every_picture(name):
    questions = torch.randint(1, 9, (2, 5, 6))
    assert network(name)(torch.rand(2, 3, 30, 30), questions).shape == (2, 5, 4)
    bits = build_question_model(name, (1, 17, 23), 11, 3, form="bits", width=8).eval()
    assert bits(torch.rand(2, 1, 17, 23), torch.rand(2, 5, 11)).shape == (2, 5, 3)


@every
def test_what_an_answer_depends_on(name):
    """On its own question and its order, not on the others or on the padding; on the picture unless blind."""
    model, image = network(name), torch.rand(1, 3, 30, 30)
    one, other = model(image, asked([1, 2, 3, 0], [4, 5, 0, 0]))[0]
    assert torch.allclose(model(image, asked([1, 2, 3, 0, 0]))[0, 0], one, atol=1e-6)
    assert torch.allclose(model(image, asked([4, 5]))[0, 0], other, atol=1e-6)
    assert not torch.allclose(model(image, asked([2, 1, 3]))[0, 0], one, atol=1e-6)
    seen = not torch.allclose(model(image.flip(-1), asked([1, 2, 3]))[0, 0], one, atol=1e-6)
    assert seen is (name != "blind")


def test_the_mean_over_pairs_is_that_of_a_loop():
    model = network("relation", pairs=6).double()
    reason, asked = model.reason, torch.rand(1, 2, 8).double()
    places = torch.rand(1, 4, model.places.size).double()
    questions = reason.scale(asked)
    chosen = reason.look(places, questions)
    for row in range(2):
        question, one = questions[0, row], chosen[0, row]
        total = torch.zeros(6).double()
        for other in places[0]:
            seen = reason.one(one) + reason.asked(question) + reason.other(other)
            total += reason.pair(seen.relu()).relu()
        slow = question + reason.after(torch.cat([reason.even(total / 4), one]))
        assert torch.allclose(reason(places, asked)[0, row], slow)


def test_a_head_takes_the_mean_of_places_weighed_by_the_question():
    look = network("relation").double().reason.look
    places, asked = torch.rand(1, 5, look.key.in_features).double(), torch.rand(1, 3, 8).double()
    found = look(places, asked)
    for head in range(4):
        part = slice(2 * head, 2 * head + 2)
        scores = look.query(asked)[0, :, part] @ look.key(places)[0, :, part].T / 2**0.5
        assert torch.allclose(found[0, :, part], scores.softmax(-1) @ look.value(places)[0, :, part])


@pytest.mark.parametrize("name", ["relation", "attention"])
def test_places_come_in_no_order(name):
    """Pairs and looks see where a place is by its coordinates alone."""
    model = network(name)
    places, asked = torch.rand(1, 16, model.places.size), torch.rand(1, 3, 8)
    turned = model.reason(places[:, torch.randperm(16)], asked)
    assert torch.allclose(model.reason(places, asked), turned, atol=1e-5)


def test_wrong_names_and_options():
    with pytest.raises(UnknownName, match="did you mean 'relation'"):
        build_question_model("relations", (3, 30, 30), 9, 4)
    with pytest.raises(InvalidConfig, match="'pair'; did you mean 'pairs'"):
        build_question_model("relation", (3, 30, 30), 9, 4, pair=3)
    with pytest.raises(InvalidInput, match="0 answers"):
        build_question_model("blind", (3, 30, 30), 9, 0)
    for name in ("relation", "attention"):
        with pytest.raises(InvalidInput, match="heads that divide"):
            network(name, heads=3)
