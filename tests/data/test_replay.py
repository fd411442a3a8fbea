"""The replay memory against a list."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayesight.data.replay import ReplayBuffer, Transitions
from bayesight.errors import InvalidInput


def numbered(numbers):
    """Transitions of which every part says the number."""
    n = np.asarray(numbers)
    seen = np.stack([n, n + 1], 1).astype(np.uint8) if len(n) else np.zeros((0, 2), np.uint8)
    return Transitions(
        seen, n.astype(np.int64), n.astype(np.float32), n % 2 == 0, (seen + 3).astype(np.uint8)
    )


def told(transitions):
    """The numbers, after every part has been held against them."""
    for i, n in enumerate(transitions.actions.tolist()):
        assert transitions.observations[i].tolist() == [n, n + 1]
        assert transitions.rewards[i] == n
        assert transitions.terminated[i] == (n % 2 == 0)
        assert transitions.following[i].tolist() == [n + 3, n + 4]
    return transitions.actions.tolist()


@given(st.integers(1, 7), st.lists(st.integers(0, 12), max_size=8))
def test_it_holds_what_a_list_would(capacity, sizes):
    buffer, kept, number = ReplayBuffer(capacity, (2,), np.uint8), [], 0
    for size in sizes:
        new = list(range(number, number + size))
        number += size
        buffer.add(numbered(new))
        kept = (kept + new)[-capacity:]
        assert len(buffer) == len(kept)
        if kept:
            assert sorted(told(buffer.sample(capacity, np.random.default_rng(0)))) == kept


def test_draws_are_uniform_and_follow_from_the_generator():
    buffer = ReplayBuffer(5, (2,), np.uint8)
    buffer.add(numbered(range(8)))
    draw = lambda seed: told(buffer.sample(4, np.random.default_rng(seed)))  # noqa: E731
    assert draw(1) == draw(1) != draw(2)
    generator = np.random.default_rng(0)
    drawn = np.concatenate([buffer.sample(4, generator).actions for _ in range(5000)])
    counts = np.bincount(drawn, minlength=8)
    assert counts[:3].sum() == 0
    assert counts[3:] == pytest.approx(4000, abs=5 * np.sqrt(20_000 * 0.2 * 0.8))


def test_what_is_drawn_is_a_copy_and_keeps_its_type():
    buffer = ReplayBuffer(4, (2,), np.bool_)
    buffer.add(numbered([1, 2]))
    drawn = buffer.sample(4, np.random.default_rng(0))
    assert drawn.observations.dtype == np.bool_
    drawn.rewards[:] = 9
    assert buffer.sample(4, np.random.default_rng(0)).rewards.tolist() == [1, 2]
    assert drawn.tensors()[0].dtype == torch.bool


def test_an_empty_one_has_no_batch():
    with pytest.raises(InvalidInput, match="play before"):
        ReplayBuffer(4, (2,), np.uint8).sample(1, np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="at least 1"):
        ReplayBuffer(0, (2,), np.uint8)
