"""Tables drawn from a graph: their seed and nothing else."""

from bayesight.workflows.causal import causal_simulate

GRAPH = "Z -> T, Z -> Y, T -> Y"


def test_simulation_depends_on_its_seed_alone(tmp_path):
    one, same, other = (
        causal_simulate(GRAPH, tmp_path / f"{i}.csv", rows=50, kind="linear", seed=s).path.read_bytes()
        for i, s in enumerate((1, 1, 2))
    )
    assert one == same != other
