"""A language model's recipe: the loss by hand over a whole text, refusals, and what it learns."""

import math

import pytest
import torch
import torch.nn.functional as F

from bayesight.errors import InvalidConfig, InvalidInput
from bayesight.models import LANGUAGE_MODELS, build_language_model
from bayesight.training.hardware import choose_hardware
from bayesight.training.language import TARGET_OF_NONE, language, next_symbol_loss, stretch_loss
from bayesight.training.recipe import Recipe

CODES = torch.randint(7, (101,), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", LANGUAGE_MODELS.names())
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_loss_of_a_text_is_that_of_its_stretches_one_by_one(name, batch):
    torch.manual_seed(1)
    model = build_language_model(name, 7, 12, width=8, layers=1).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    terms = []
    for start in range(0, 96, 12):  # 8 whole stretches, each symbol with the one after it
        logs = model(CODES[None, start : start + 12])[0].log_softmax(-1)
        terms += [-logs[i, CODES[start + i + 1]].item() for i in range(12)]
    assert stretch_loss(model, CODES, 12, batch) == pytest.approx(sum(terms) / 96, abs=1e-6)


def test_places_without_a_target_are_not_judged():
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[1, TARGET_OF_NONE, 2, TARGET_OF_NONE]] * 2)
    loss = next_symbol_loss(lambda symbols: logits, (torch.zeros(2, 4), targets))["total"]
    logs = logits.log_softmax(-1)
    torch.testing.assert_close(loss, -torch.stack([logs[:, 0, 1], logs[:, 2, 2]]).mean())
    assert F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100) == loss


def recipe(**changes):
    few = {"model.layers": 1, "model.width": 16, "model.heads": 2, "data.context": 8, "data.batch": 4}
    return Recipe.default("gpt").changed(few | changes)


def test_steps_are_passes_over_the_symbols():
    plan = language(
        recipe(**{"optimization.epochs": 2.5}), CODES.repeat(4), CODES, 7, choose_hardware(threads=1)
    )
    assert plan.budget.evaluate_every == round(404 / 32)
    assert plan.budget.steps == math.ceil(2.5 * 13)
    assert set(plan.evaluate(plan.network)) == {"log_loss"}


def test_what_cannot_be_is_refused():
    hardware = choose_hardware(threads=1)
    with pytest.raises(InvalidInput, match="8 symbols for validation; expected more than the context of 8"):
        language(recipe(), CODES, CODES[:8], 7, hardware)
    with pytest.raises(InvalidConfig, match="learns by the loss 'next_symbol', not 'cross_entropy'"):
        recipe(**{"loss.name": "cross_entropy"})
    with pytest.raises(InvalidConfig, match="vocabulary"):
        recipe(**{"data.vocabulary": 100})
    with pytest.raises(InvalidConfig, match="makes text learns without labels"):
        recipe(pretrain="simclr")
    with pytest.raises(InvalidConfig, match="no option 'hedas'; did you mean 'heads'"):
        recipe(**{"model.hedas": 2})
    with pytest.raises(InvalidInput, match="a width that the heads divide"):
        language(recipe(**{"model.heads": 3}), CODES, CODES, 7, hardware)


def test_recipes_of_images_do_not_speak_of_texts():
    assert {"context", "vocabulary"} <= set(Recipe.default("gpt").as_dict()["data"])
    assert not {"context", "vocabulary"} & set(Recipe.default("mlp").as_dict()["data"])
