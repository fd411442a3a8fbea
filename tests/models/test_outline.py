"""Networks looked at before they are built: names and shapes as they will be, and no memory."""

import pytest
import torch

from bayesight.errors import InvalidInput
from bayesight.models import GENERATORS, MODELS, build, build_generator
from bayesight.models.outline import MOST_PARAMETERS, outline


@pytest.mark.parametrize("name", [*MODELS, *GENERATORS])
def test_an_outline_has_the_names_shapes_and_kinds_of_the_network(name):
    shape = (1, 28, 28)
    if name in MODELS:
        real, drawn = build(name, shape, 5), outline(lambda: MODELS[name](shape, 5), name, shape)
    else:
        real, drawn = build_generator(name, shape), outline(lambda: GENERATORS[name](shape), name, shape)
    kinds = [{k: (v.dtype, v.shape) for k, v in net.state_dict().items()} for net in (drawn, real)]
    assert kinds[0] == kinds[1]
    assert all(value.is_meta for value in drawn.state_dict().values())


def test_what_no_memory_holds_is_refused_before_it_is_asked_for():
    with pytest.raises(InvalidInput, match=r"^model 'mlp': 4,347,133,964 parameters; expected 500,000,000"):
        build("mlp", (1, 28, 28), 10, hidden=(65_536, 65_536))
    with pytest.raises(InvalidInput, match=f"{MOST_PARAMETERS:,} at most. Choose fewer or narrower layers"):
        build_generator("autoencoder", (3, 4096, 4096))
    said = "model 'resnet': 2,000 channels of 4096x4096 pixels; expected 1,073,741,824 numbers a layer"
    with pytest.raises(InvalidInput, match=said):
        build("resnet", (1, 4096, 4096), 10, widths=(2000,))


def test_the_random_generator_stays_as_it_was():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    outline(lambda: MODELS["resnet"]((1, 28, 28), 3), "resnet")
    assert torch.equal(before, torch.get_rng_state())
