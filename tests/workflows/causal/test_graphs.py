"""Paths of a graph, with what blocks them."""

from bayesight.causal import AdjustFor
from bayesight.workflows.causal import causal_paths, causal_simulate


def test_paths_are_told_with_what_blocks_them():
    found = causal_paths("T <- A -> C <- B -> Y, T -> Y", "T", "Y", given=["C"])
    rows = {p["path"]: p for p in found.paths}
    assert rows["T <- A -> C <- B -> Y"]["open"]
    assert rows["T <- A -> C <- B -> Y"]["colliders"] == ["C"]
    assert found.identification == AdjustFor((), ((),))


GRAPH = "Z -> T, Z -> Y, T -> Y"


def test_simulation_depends_on_its_seed_alone(tmp_path):
    one, same, other = (
        causal_simulate(GRAPH, tmp_path / f"{i}.csv", rows=50, kind="linear", seed=s).path.read_bytes()
        for i, s in enumerate((1, 1, 2))
    )
    assert one == same != other
