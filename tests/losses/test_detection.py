"""The loss of boxes: against closed forms, slow obvious versions, and laws."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.losses.detection import centre_heat, detection_loss, focal_heat_loss, giou_loss


def drawn(seed, shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def boxes_of(seed, count=6):
    """Boxes (count, 4) with an area."""
    low, sides = drawn(seed, (2, count, 2)) * 10
    return torch.cat([low, low + sides.abs() + 0.1], dim=1)


def test_heat_by_hand():
    """A box of 24 by 48 pixels around (20, 40): cell (10, 5) of 4 pixels; deviations .5 and 1 cell."""
    boxes, classes = torch.tensor([[[8.0, 16, 32, 64]]]), torch.tensor([[1]])
    heat = centre_heat(boxes, classes, (2, 16, 12), 4)
    assert heat[0, 0].max() == 0
    assert heat[0, 1, 10, 5] == 1
    assert heat[0, 1, 10, 6].item() == pytest.approx(math.exp(-0.5 * (1 / 0.5) ** 2), rel=1e-6)
    assert heat[0, 1, 12, 5].item() == pytest.approx(math.exp(-0.5 * (2 / 1.0) ** 2), rel=1e-6)


def test_heat_is_the_largest_of_its_boxes_and_ignores_none():
    boxes = boxes_of(3)[None].float() + 30
    classes = torch.tensor([[0, 1, 0, -1, 1, 0]])
    heat = centre_heat(boxes, classes, (2, 15, 15), 4)
    for k in range(2):
        alone = [
            centre_heat(boxes[:, g : g + 1], classes[:, g : g + 1], (2, 15, 15), 4)[:, k]
            for g in range(6)
            if classes[0, g] == k
        ]
        assert torch.equal(heat[:, k], torch.stack(alone).amax(dim=0))


def test_ten_thousand_boxes_in_one_picture():
    boxes = torch.tensor([[[8.0, 16, 32, 64]]]).repeat(1, 10_000, 1)
    classes = torch.zeros(1, 10_000, dtype=torch.int64)
    heat = centre_heat(boxes, classes, (1, 16, 16), 4)
    assert torch.equal(heat, centre_heat(boxes[:, :1], classes[:, :1], (1, 16, 16), 4))


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 4.0), (1.5, 3.0)])
def test_focal_loss_is_equation_one(alpha, beta):
    logits, heat = drawn(0, (2, 3, 4, 5)), drawn(1, (2, 3, 4, 5)).abs().clamp(max=1)
    assert (heat == 1).sum() > 3
    slow = 0.0
    for x, y in zip(logits.flatten().tolist(), heat.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        slow -= (1 - p) ** alpha * math.log(p) if y == 1 else (1 - y) ** beta * p**alpha * math.log(1 - p)
    slow /= int((heat == 1).sum())
    assert focal_heat_loss(logits, heat, alpha=alpha, beta=beta).item() == pytest.approx(slow, rel=1e-9)


def test_focal_loss_in_closed_form_and_where_nothing_is():
    """Undecided about one centre and one cell of heat 1/2: (log 2 / 4) (1 + 1/16)."""
    heat = torch.tensor([[[[1.0, 0.5]]]])
    expected = math.log(2) / 4 * (1 + 0.5**4)
    assert focal_heat_loss(torch.zeros(1, 1, 1, 2), heat).item() == pytest.approx(expected, rel=1e-6)
    empty = focal_heat_loss(torch.full((1, 1, 1, 2), -3.0), torch.zeros(1, 1, 1, 2))
    p = 1 / (1 + math.exp(3))
    assert empty.item() == pytest.approx(-2 * p**2 * math.log(1 - p), rel=1e-5)
    with pytest.raises(InvalidInput, match=r"expected \(1, 1, 2\)"):
        focal_heat_loss(torch.zeros(1, 2), torch.zeros(1, 1, 2))


def test_giou_by_hand():
    """Rezatofighi et al.: overlap less the share of the box around both that neither covers."""
    ours = torch.tensor([[0.0, 0, 4, 4], [0, 0, 2, 2], [1, 1, 3, 3]])
    theirs = torch.tensor([[2.0, 2, 6, 6], [4, 0, 6, 2], [1, 1, 3, 3]])
    giou = [4 / 28 - (36 - 28) / 36, 0 - (12 - 8) / 12, 1.0]
    assert (1 - giou_loss(ours, theirs)).tolist() == pytest.approx(giou, rel=1e-5)


@given(st.integers(0, 10**6), st.floats(0.1, 50), st.floats(-100, 100))
def test_laws_of_giou(seed, scale, shift):
    """In [0, 2], symmetric, the same at any scale and place, 0 for the box itself."""
    ours, theirs = boxes_of(seed), boxes_of(seed + 1)
    loss = giou_loss(ours, theirs)
    assert ((loss >= 0) & (loss <= 2)).all()
    torch.testing.assert_close(giou_loss(theirs, ours), loss)
    torch.testing.assert_close(giou_loss(ours * scale + shift, theirs * scale + shift), loss)
    torch.testing.assert_close(giou_loss(ours, ours), torch.zeros_like(loss), atol=1e-12, rtol=0)


def test_gradients_are_the_differences():
    heat = drawn(4, (1, 2, 3, 3)).abs().clamp(max=1)
    logits = drawn(5, (1, 2, 3, 3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: focal_heat_loss(x, heat), logits)
    boxes = boxes_of(6).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: giou_loss(x, boxes_of(7)), boxes)


def test_boxes_count_in_the_cells_of_their_centres_alone():
    """Two boxes in two images: their GIoU losses' mean, whatever other cells say."""
    true_boxes = torch.tensor([[[8.0, 8, 16, 16], [0, 0, 0, 0]], [[0, 0, 8, 4], [0, 0, 0, 0]]])
    classes = torch.tensor([[0, -1], [1, -1]])
    logits, boxes = torch.zeros(2, 2, 6, 6), torch.full((2, 4, 6, 6), 777.0)
    boxes[0, :, 3, 3] = torch.tensor([8.0, 8, 16, 12])
    boxes[1, :, 0, 1] = torch.tensor([0.0, 0, 8, 4])
    found = detection_loss(logits, boxes, true_boxes, classes, stride=4, box=3.0)
    assert found["box"].item() == pytest.approx(0.5 / 2, rel=1e-6)
    heat = centre_heat(true_boxes, classes, (2, 6, 6), 4)
    assert found["centre"].item() == pytest.approx(focal_heat_loss(logits, heat).item())
    assert found["total"].item() == pytest.approx(found["centre"].item() + 3 * found["box"].item())
    nothing = detection_loss(logits, boxes, true_boxes, torch.full_like(classes, -1), stride=4)
    assert nothing["box"] == 0
