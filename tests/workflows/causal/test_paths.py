"""Paths of a graph, with what blocks them."""

from bayesight.causal import AdjustFor
from bayesight.workflows.causal import causal_paths


def test_paths_are_told_with_what_blocks_them():
    found = causal_paths("T <- A -> C <- B -> Y, T -> Y", "T", "Y", given=["C"])
    rows = {p["path"]: p for p in found.paths}
    assert rows["T <- A -> C <- B -> Y"]["open"]
    assert rows["T <- A -> C <- B -> Y"]["colliders"] == ["C"]
    assert found.identification == AdjustFor((), ((),))
