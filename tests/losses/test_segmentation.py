"""The loss of masks: against PyTorch's cross-entropy, Dice by hand, and laws."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.losses.segmentation import dice_loss, mask_loss


def drawn(seed, classes=4):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 5, 6, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (2, 5, 6), generator=generator)


def test_cross_entropy_is_pytorchs_with_and_without_void():
    logits, masks = drawn(0)
    assert mask_loss(logits, masks) == pytest.approx(F.cross_entropy(logits, masks).item(), rel=1e-6)
    masks[:, :2] = 9
    expected = F.cross_entropy(logits[:, :, 2:], masks[:, 2:]).item()
    assert mask_loss(logits, masks, void=9) == pytest.approx(expected, rel=1e-6)
    assert mask_loss(logits, torch.full_like(masks, 9), void=9) == 0


def test_dice_by_hand():
    p = torch.tensor([[[[0.8, 0.4]], [[0.2, 0.6]]]])
    masks = torch.tensor([[[0, 1]]])
    zero = 1 - (2 * 0.8 + 1) / (0.64 + 0.16 + 1 + 1)
    one = 1 - (2 * 0.6 + 1) / (0.04 + 0.36 + 1 + 1)
    assert dice_loss(p.log(), masks) == pytest.approx((zero + one) / 2, rel=1e-6)
    assert mask_loss(p.log(), masks, dice=0.5) == pytest.approx(
        mask_loss(p.log(), masks).item() + 0.5 * dice_loss(p.log(), masks).item()
    )


@given(st.integers(0, 10**6), st.permutations(range(4)))
def test_laws(seed, order):
    """In [0, 1], whatever classes are called, void pixels apart, and falling towards the truth."""
    logits, masks = drawn(seed)
    log_p = logits.log_softmax(1)
    loss = dice_loss(log_p, masks).item()
    assert 0 <= loss <= 1
    place = torch.tensor(order)
    assert dice_loss(log_p[:, place.argsort()], place[masks]).item() == pytest.approx(loss)
    nearer = (logits + 8 * F.one_hot(masks, 4).movedim(-1, 1)).log_softmax(1)
    assert dice_loss(nearer, masks).item() < loss
    void = masks.clone()
    void[0] = 7
    assert dice_loss(log_p, void, 7).item() == pytest.approx(dice_loss(log_p[1:], masks[1:]).item())


def test_its_gradient_is_the_differences():
    logits, masks = drawn(1)
    small, true = logits[:, :, :2, :2].clone().requires_grad_(), masks[:, :2, :2]
    assert torch.autograd.gradcheck(lambda x: dice_loss(x.log_softmax(1), true), small)


def test_shapes_that_do_not_fit():
    with pytest.raises(InvalidInput, match=r"\(B, K, H, W\)"):
        dice_loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 4, dtype=torch.int64))
