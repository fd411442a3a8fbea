"""A request's recipe, as far as it can be checked before anything is read."""

import pytest

from bayesight.errors import InvalidConfig
from bayesight.workflows.training.request import common_recipe


def test_what_no_model_could_take_is_refused_before_anything_is_read():
    with pytest.raises(InvalidConfig, match=r"data\.size is 0"):
        common_recipe({"data.size": 0, "model.depth": 2})
