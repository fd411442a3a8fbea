"""One range of values for all images of a source, or a refusal; sizes and levels that can be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesight.data.framing import BitDepths, ImageSpec, sides
from bayesight.errors import InvalidInput, SourceUnreadable
from bayesight.frame import EIGHT_BIT, Range


def depths_of(*ranges, eight=0):
    depths = BitDepths("x.tar", eight)
    for k, found in enumerate(ranges):
        depths.add(f"{k}.png", found)
    return depths


def test_the_range_is_that_of_all_images_together():
    assert depths_of().levels() == EIGHT_BIT
    assert depths_of(eight=3).levels() == EIGHT_BIT
    assert depths_of(Range(7, 3000), Range(90, 4095)).levels() == (7, 4095)
    assert depths_of(Range(-0.5, 0.25, whole=False), Range(0, 1, whole=False)).levels() == (-0.5, 1)
    # 8-bit values in 16-bit files are on the scale of 8-bit files
    assert depths_of(Range(0, 255), Range(3, 90), eight=4).levels() == EIGHT_BIT
    # black images are of any range
    assert depths_of(*[Range(0, 0)] * 9, Range(0, 4000)).levels() == (0, 4000)
    assert depths_of(Range(-9, -3, whole=False), Range(-5, 0, whole=False)).levels() == (-9, 0)


def test_few_images_far_brighter_than_all_others_are_clipped():
    many = [Range(0, 3000 + k) for k in range(40)]
    assert depths_of(*many, Range(0, 65_535)).levels() == (0, 3039)
    # a steady growth has no such gap
    assert depths_of(*[Range(0, 300 * 2**k) for k in range(8)]).levels() == (0, 300 * 2**7)


@pytest.mark.parametrize(
    ("depths", "said"),
    [
        (depths_of(Range(0, 4000), eight=5), "mixes 5 images of 8 bits and 1 of 0 to 4,000"),
        (depths_of(*[Range(0, 4095)] * 3, *[Range(0, 60_000)] * 2), "3 images of values up to 4,095 and 2"),
        (depths_of(*[Range(0, 1, False)] * 3, *[Range(0, 255, False)] * 3), "up to 1 and 3 up to 255"),
    ],
)  # fmt: skip
def test_two_ranges_are_refused(depths, said):
    with pytest.raises(SourceUnreadable, match="expected images of one range") as refused:
        depths.levels()
    assert said in str(refused.value)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30))
def test_levels_hold_the_values_of_most_images(pairs):
    depths = BitDepths("x.tar")
    for k, (low, span) in enumerate(pairs):
        depths.add(str(k), Range(low, low + span, whole=False))
    try:
        low, high = depths.levels()
    except SourceUnreadable as refused:
        assert "mixes" in str(refused)  # noqa: PT017
        return
    assert low == min(pair[0] for pair in pairs)
    inside = sum(low + span <= high for low, span in pairs)
    assert inside >= 0.9 * len(pairs)


def test_a_size_is_one_whole_number_or_two():
    assert sides(np.int64(8)) == sides([8, 8]) == sides((np.int32(8), 8)) == (8, 8)
    assert all(type(side) is int for side in sides(np.int64(8)))
    for size in ((28,), (1, 2, 3), 8.5, "8", "88", [8, None]):
        with pytest.raises(InvalidInput, match="expected a whole number, or"):
            sides(size)
    for size in (0, (0, 5), -3, 1 << 20):
        with pytest.raises(InvalidInput, match="sides of at least 1"):
            sides(size)


@pytest.mark.parametrize("levels", [(9, 1), (0, float("nan")), (float("-inf"), 4), (1, 2, 3), (1,)])
def test_levels_are_a_least_and_a_greatest_value(levels):
    with pytest.raises(InvalidInput, match="expected the least and the greatest of the values"):
        ImageSpec(levels=levels)
    assert ImageSpec(levels=(500, 500)).levels == (500, 500)  # images of one value
