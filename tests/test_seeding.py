"""Streams that are named, independent and the same everywhere."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from bayesight.seeding import derive, numpy_generator, torch_generator

seeds = st.integers(0, 2**62)


def test_a_known_value_stays_what_it_is():
    assert derive(7, "order", 3) == 2732397880727487379


@given(seeds, st.text(max_size=5), st.text(max_size=5))
def test_streams_differ_exactly_when_their_names_do(seed, one, other):
    assert (derive(seed, one) == derive(seed, other)) == (one == other)
    assert 0 <= derive(seed, one) < 2**63


def test_kinds_and_places_of_names_matter():
    assert (
        len({derive(0, 1), derive(0, "1"), derive(0, 1, 2), derive(0, 2, 1), derive(0, 12), derive(1, 1)})
        == 6
    )


def test_generators_repeat():
    assert numpy_generator(3, "a").random() == numpy_generator(3, "a").random()
    draw = [torch.rand(2, generator=torch_generator(3, "a")) for _ in range(2)]
    assert torch.equal(*draw)
