"""Help names what the registries hold, and every default."""

import re
from typing import get_args

import pytest
from typer.main import get_command

from bayesight.cli.app import app
from bayesight.cli.options import NAMES
from bayesight.data.augment import AUGMENTATIONS
from bayesight.losses import LOSSES
from bayesight.models import DETECTORS, GENERATORS, LANGUAGE_MODELS, MODELS, TRANSLATION_MODELS
from bayesight.optim import OPTIMIZERS
from bayesight.training.recipe import OptimizationKey, PretrainKey

TRAIN = get_command(app).commands["train"]
OPTIONS = [option for option in TRAIN.params if option.param_type_name == "option"]


@pytest.mark.parametrize(
    ("names", "registered"),
    [
        (NAMES["classifiers"], MODELS),
        (NAMES["generators"], GENERATORS),
        (NAMES["language_models"], LANGUAGE_MODELS),
        (NAMES["translation_models"], TRANSLATION_MODELS),
        (NAMES["detectors"], DETECTORS),
        (NAMES["losses"] + NAMES["environment_losses"], LOSSES),
        (NAMES["optimizers"], OPTIMIZERS),
        (NAMES["augmentations"], AUGMENTATIONS),
        (NAMES["precisions"], get_args(OptimizationKey.model_fields["precision"].annotation)),
        (NAMES["pretraining"], get_args(PretrainKey.model_fields["name"].annotation)),
    ],
)
def test_help_and_registries_name_the_same(names, registered):
    assert sorted(names) == sorted(registered)
    shown = " ".join(option.help for option in OPTIONS)
    assert all(re.search(rf"\b{name}\b", shown) for name in names)


def options(name, command):
    """Each option of every command that takes a value."""
    if hasattr(command, "commands"):
        for part, below in command.commands.items():
            yield from options(f"{name} {part}", below)
    else:
        for option in command.params:
            if option.param_type_name == "option" and not option.is_flag:
                yield pytest.param(option, id=f"{name} {option.opts[0]}")


@pytest.mark.parametrize("option", list(options("bayesight", get_command(app))))
def test_every_default_is_shown(option):
    one_value = not (option.multiple or option.required)
    assert not one_value or option.default is not None or "default: " in option.help
