import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from bayesight.errors import InvalidInput, MissingExtra, SourceUnreadable
from bayesight.run import Run
from bayesight.workflows.parts import engine
from bayesight.workflows.parts.engine import computed
from bayesight.workflows.parts.update import update_by_parts

# Ray leaves sockets and files of its processes to the end of the program.
pytestmark = pytest.mark.filterwarnings("default")


def work(context: Path, task: str) -> str:
    """Note each try in a file; fail as the task's name says."""
    with (context / task).open("a") as file:
        file.write(".")
    tries = len((context / task).read_text())
    if task.startswith("never") or (task.startswith("late") and tries < 3):
        raise SourceUnreadable(f"{task} is busy")
    if task.startswith("refused"):
        raise InvalidInput(f"{task} has classes the run does not know")
    if task.startswith("fault"):
        raise ZeroDivisionError("a fault of our own")
    if task.startswith("slow"):
        time.sleep(1.0)
    return task.upper()


TASKS = ["a", "never", "late", "refused", "fault", "b"]


def outcomes(found):
    return {TASKS[one.task]: (one.value, one.reason) for one in found}


EXPECTED = {
    "a": ("A", ""),
    "never": (None, "never is busy"),
    "late": ("LATE", ""),
    "refused": (None, "refused has classes the run does not know"),
    "fault": (None, "ZeroDivisionError: 'a fault of our own'"),
    "b": ("B", ""),
}


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core on this machine."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def test_failures_are_tried_three_times_and_stop_no_other(tmp_path):
    assert outcomes(computed(work, tmp_path, TASKS)) == EXPECTED
    tries = {name: len((tmp_path / name).read_text()) for name in TASKS}
    assert tries == {"a": 1, "b": 1, "never": 3, "late": 3, "refused": 1, "fault": 3}


def test_a_cluster_that_is_none_is_named(monkeypatch, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(
            InvalidInput, match=rf"--cluster {address}: no cluster answers .*within 10 s"
        ) as no:
            list(computed(work, tmp_path, TASKS, address))
        assert time.monotonic() - began < 5
        assert "ray start --head" in str(no.value)
    for wrong in ("nowhere", "http://127.0.0.1:80", "ray://"):
        with pytest.raises(InvalidInput, match="expected auto, local or ray://HOST:10001"):
            list(computed(work, tmp_path, TASKS, wrong))
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"--cluster needs .*bayesight\[cluster\]"):
        list(computed(work, tmp_path, TASKS, "local"))


def test_a_cluster_that_goes_away_is_named_and_what_came_stays(monkeypatch, tmp_path):
    def outcomes_of(*_):
        yield engine.TaskOutcome(0, "A", "")
        raise ConnectionError("gone\nand more")

    ray = SimpleNamespace(exceptions=SimpleNamespace(RayError=ZeroDivisionError))
    monkeypatch.setattr(engine, "connected", lambda _: contextlib.nullcontext(ray))
    monkeypatch.setattr(engine, "_on_cluster", outcomes_of)
    found = computed(work, tmp_path, TASKS, "auto")
    assert next(found).value == "A"
    with pytest.raises(
        InvalidInput, match=r"--cluster auto: the cluster went away \('gone'\); what is done is"
    ):
        next(found)


def test_a_cluster_without_processors_is_refused_after_a_while(monkeypatch, tmp_path):
    ray = SimpleNamespace(
        put=lambda value: value,
        remote=lambda **_: lambda _: SimpleNamespace(remote=lambda *_: object()),
        cluster_resources=lambda: {"memory": 1.0},
        wait=lambda running, **_: ([], running),
        exceptions=SimpleNamespace(RayError=ZeroDivisionError),
    )
    monkeypatch.setattr(engine, "connected", lambda _: contextlib.nullcontext(ray))
    monkeypatch.setattr(engine, "PROCESSOR_S", 0.2)
    with pytest.raises(
        InvalidInput, match=r"--cluster: it has had no processor for 0 s; what is done is kept"
    ):
        list(computed(work, tmp_path, TASKS, "auto"))


def test_another_version_of_ray_is_named(monkeypatch, tmp_path):
    def refuse(**_):
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.1\n    Python: 3.9")

    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(InvalidInput, match=r"started with another Ray or Python \(.*Ray: 2\.1 Python: 3\.9"):
        list(computed(work, tmp_path, TASKS, "auto"))


def test_words_of_ray_go_to_standard_error(monkeypatch, capsys):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: print("(raylet) and shut down"))
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with engine.connected("local"):
        print("(raylet) A worker died")
    print("{}")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("{}\n", "(raylet) A worker died\n(raylet) and shut down\n")


def test_workers_of_another_version_are_refused(cluster, monkeypatch, tmp_path):
    monkeypatch.setattr(engine, "_versions", lambda: ("9.9.9", "2.0"))
    with pytest.raises(InvalidInput, match=r"has bayesight 0.* and torch .*, this program bayesight 9\.9\.9"):
        list(computed(work, tmp_path, ["a"], cluster.address))


@pytest.fixture
def belief_alone(shapes_run, three, manifest_of, tmp_path):
    """The digest of the belief that one process computes, part after part."""
    import shutil

    return update_by_parts(shutil.copytree(shapes_run, tmp_path / "alone"), manifest_of(*three)).digest


def test_a_cluster_gives_the_same_bits_and_survives_a_killed_node(
    cluster, run_copy, three, manifest_of, belief_alone, tmp_path
):
    address = cluster.address
    assert outcomes(computed(work, tmp_path, TASKS, address)) == EXPECTED
    made = update_by_parts(run_copy, manifest_of(*three), cluster=address)
    assert made.digest == belief_alone
    assert made.job.done == 3
    assert made.job.as_dict()["bytes_sent_a_part"] > 1000
    # A node that dies takes no task with it.
    other = cluster.add_node(num_cpus=1)
    slow = [f"slow{number}" for number in range(6)]
    found = computed(work, tmp_path, slow, address)
    values = [next(found).value]
    os.kill(other.all_processes["raylet"][0].process.pid, signal.SIGKILL)
    values += [one.value for one in found]
    assert sorted(values) == sorted(name.upper() for name in slow)


def test_two_workers_of_this_machine_give_the_same_bits(
    run_copy, three, manifest_of, belief_alone, monkeypatch
):
    import ray

    ray.shutdown()
    monkeypatch.setattr(engine, "available_cores", lambda: 2)
    made = update_by_parts(run_copy, manifest_of(*three), cluster="local")
    assert made.digest == belief_alone == Run.open(run_copy).classifier().digest()
    assert not ray.is_initialized()
