"""CenterNet: sizes of its maps, boxes in pixels, and the peaks of a map."""

import pytest
import torch

from bayesight.errors import InvalidInput
from bayesight.models.centernet import CenterNet, centre_peaks
from bayesight.models.outline import initial_weights


@pytest.mark.parametrize(("size", "stride"), [((48, 48), 2), ((45, 51), 4), ((64, 33), 8)])
@pytest.mark.parametrize("encoder", ["own", "lite0"])
def test_maps_are_as_large_as_the_image_in_cells(encoder, size, stride):
    network = CenterNet(3, 5, encoder=encoder, widths=(4, 8, 8), width=8, stride=stride).eval()
    logits, boxes = network(torch.rand(2, 3, *size))
    cells = tuple(-(-side // stride) for side in size)
    assert logits.shape == (2, 5, *cells)
    assert boxes.shape == (2, 4, *cells)


def test_a_box_is_centred_in_its_cell_until_something_is_learned():
    """Sides of four cells, with deviations of the last layer's weights of a thousandth."""
    with initial_weights(0):
        network = CenterNet(1, 2, widths=(4, 8, 8), width=8, stride=4).eval()
    logits, boxes = network(torch.rand(1, 1, 32, 48))
    row, column = 3, 7
    expected = torch.tensor([column * 4 + 2 - 8, row * 4 + 2 - 8, column * 4 + 2 + 8, row * 4 + 2 + 8.0])
    torch.testing.assert_close(boxes[0, :, row, column], expected, atol=0.5, rtol=0)
    assert logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.1)


def test_peaks_are_higher_than_their_neighbours_and_the_highest_first():
    logits, boxes = torch.full((1, 2, 5, 6), -9.0), torch.arange(120.0).reshape(1, 4, 5, 6)
    logits[0, 0, 1, 1], logits[0, 0, 1, 2], logits[0, 1, 4, 5] = 2.0, 1.0, 3.0
    logits[0, 1, 1, 2] = 1.5  # beside a higher one of another class
    found = centre_peaks(logits, boxes, most=2)
    assert found.there.all()
    assert found.logits.tolist() == [[[-9.0, 3.0], [2.0, -9.0]]]
    assert found.boxes[0].tolist() == [boxes[0, :, 4, 5].tolist(), boxes[0, :, 1, 1].tolist()]
    crowded = torch.zeros(1, 1, 3, 3)
    crowded[0, 0, 1, 1] = 5.0
    lone = centre_peaks(crowded, boxes[:, :, :3, :3])
    assert lone.logits.shape == (1, 9, 1)
    assert lone.there.tolist() == [[True] + [False] * 8]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 3}, "got 3; expected one of 2, 4"),
        ({"stride": 8}, "got 8; expected one of 2, 4"),
        ({"widths": ()}, "widths"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(InvalidInput, match=message):
        CenterNet(1, 2, **{"widths": (4, 8), **options})
    with pytest.raises(InvalidInput, match="at least one"):
        CenterNet(1, 0)
