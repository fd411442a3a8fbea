"""The trials of detectors: windows, their cuts and names, and batches of scenes with boxes."""

import numpy as np
import pytest
import torch

from bayesight.letters.scenes import SceneOptions, compose
from bayesight.milestones.bench.detecting import (
    WindowClassifier,
    _cut,
    _everywhere,
    _named,
    _shapes,
    _sides,
)


def scenes(count=20):
    glyphs = np.zeros((2, 20, 20), np.uint8)
    glyphs[0, 2:18, 2:18], glyphs[1, :, 8:12] = 255, 255
    return compose(glyphs, np.array([0, 1]), count, SceneOptions(side=32, glyphs=2, smallest=10, largest=14))


def test_a_window_is_cut_where_it_lies():
    """Of a ramp, brought to 24 pixels: the values at the middles of 24 strips of the window."""
    ramp = torch.arange(32.0)
    images = torch.stack([ramp.expand(32, 32), ramp[:, None].expand(32, 32)])[:, None]
    windows = torch.tensor([[[4.0, 6, 16, 30], [0, 0, 32, 32]], [[4, 6, 16, 30], [8, 8, 20, 12]]])
    cut = _cut(images, windows).reshape(2, 2, 24, 24)
    middles = (torch.arange(24) + 0.5) / 24
    torch.testing.assert_close(cut[0, 0], (4 + 12 * middles - 0.5).expand(24, 24))
    torch.testing.assert_close(cut[1, 1], (8 + 4 * middles - 0.5)[:, None].expand(24, 24))


def test_windows_are_everywhere_inside():
    windows = _everywhere(np.array([[8.0, 12.0]]), 20, 4)
    assert len(windows) == 4 * 3
    assert windows.min() == 0
    assert windows.max() == 20
    assert {tuple(one) for one in (windows[:, 2:] - windows[:, :2]).tolist()} == {(8.0, 12.0)}


def test_a_window_is_named_after_what_it_overlaps_by_half():
    boxes, labels = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 40]]]), torch.tensor([[3, 1]])
    windows = torch.tensor([[[0.0, 0, 10, 8], [0, 0, 10, 4.9], [21, 22, 31, 40], [50, 50, 60, 60]]])
    assert _named(windows, boxes, labels, 9).tolist() == [[3, 9, 1, 9]]


def test_shapes_are_those_of_the_boxes():
    rng = np.random.default_rng(0)
    sides = np.repeat([[4.0, 12.0], [10.0, 10.0]], 50, axis=0) + rng.normal(0, 0.3, (100, 2))
    found = _shapes(np.concatenate([np.zeros((100, 2)), sides], axis=1), 2)
    assert sorted(found.round(0).tolist()) == [[4, 12], [10, 10]]


def test_batches_follow_from_the_step_and_leave_scenes_out():
    batches, rows = _sides(scenes(), 64, 5, torch.float32)
    model = WindowClassifier(2, widths=(4,))
    images, boxes, labels = batches(model, 3)
    for ours, again in zip((images, boxes, labels), batches(model, 3), strict=True):
        assert torch.equal(ours, again)
    assert not torch.equal(images, batches(model, 4)[0])
    held_out = {image.tobytes() for image in scenes().images[rows]}
    assert len(held_out) == 4
    assert not held_out & {(image[0] * 255).round().byte().numpy().tobytes() for image in images}
    bright = [
        images[n, 0, int(b[1]) : int(b[3]), int(b[0]) : int(b[2])].mean() for n, b in enumerate(boxes[:, 1])
    ]
    assert np.mean(bright) > images.mean() + 0.15
    assert labels.unique().tolist() == [0, 1]


@pytest.mark.parametrize("count", [1, 3])
def test_the_classifier_answers_each_window(count):
    logits = WindowClassifier(2, widths=(4, 8))(
        torch.rand(5, 1, 32, 32), torch.tensor([[0.0, 0, 9, 9]]).repeat(5, count, 1)
    )
    assert logits.shape == (5 * count, 3)
