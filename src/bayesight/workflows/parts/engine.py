"""Tasks done one after another here, or side by side on a Ray cluster: the same function, the same result.

A task that fails is tried again, three times in all; then it is given up with its reason, and the others go
on. A worker that dies costs no try: Ray does its task again elsewhere. Nothing here depends on the order in
which tasks end, nor on how often one is done.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import torch

import bayesight
from bayesight.cores import available_cores
from bayesight.errors import BayesightError, InvalidInput, MissingExtra, shown

TRIES = 3
"""Number of times a task is tried before it is given up."""
DEATHS = 5
"""Number of times that a task is begun again, within one try, because its worker died."""
REACH_S = 10.0
"""Seconds that a cluster has to accept a connection."""
PROCESSOR_S = 600.0
"""Seconds that a cluster may be without a processor, as one that grows when asked is at first."""
_OBJECTS_BYTES = 512 << 20
_AHEAD = 2
"""Tasks that wait at a worker, for each core."""

Work = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class TaskOutcome:
    """A task that has ended, or a try of one.

    Args:
        task: its place among the tasks.
        value: what it gave; None where it failed.
        reason: why it gave nothing; empty where it gave something.
        again: another try may help.
        elsewhere: why the job cannot be done on this cluster at all.
    """

    task: int
    value: Any = None
    reason: str = ""
    again: bool = False
    elsewhere: str = ""


def computed(
    work: Work, context: Any, tasks: Sequence[Any], cluster: str | None = None
) -> Iterator[TaskOutcome]:
    """The outcome of each task, as they end.

    Args:
        work: ``work(context, task)``; a function of a module, for workers import it.
        context: what all tasks share; sent to each machine once.
        tasks: small values that can be pickled.
        cluster: "local" for this machine's cores, "auto" for the cluster that this machine belongs to, or its
            address, ``ray://HOST:10001`` or ``HOST:6379``; None computes them here, one after another.

    Raises:
        MissingExtra: a cluster, and Ray is not installed.
        InvalidInput: no such cluster, or workers with another version of Bayesight.
    """
    if not tasks:
        return
    if cluster is None:
        for place, task in enumerate(tasks):
            tried = TaskOutcome(place, again=True)
            for _ in range(TRIES):
                if tried.again:
                    tried = _attempt(work, context, place, task, _versions())
            yield tried
        return
    with connected(cluster) as ray:
        found = _on_cluster(ray, work, context, tasks)
        while True:
            try:
                outcome = next(found, None)
            except (ConnectionError, ray.exceptions.RayError) as problem:
                raise InvalidInput(
                    f"--cluster {cluster}: the cluster went away ({_first_line(problem)}); what is done is "
                    "kept, run the command again."
                ) from problem
            if outcome is None:
                return
            yield outcome


def _on_cluster(ray: Any, work: Work, context: Any, tasks: Sequence[Any]) -> Iterator[TaskOutcome]:
    """The outcome of each task on the cluster that is connected, few of them under way at once."""
    shared, versions = ray.put(context), _versions()
    attempt = ray.remote(num_cpus=1, max_retries=DEATHS)(_attempt)
    tries = dict.fromkeys(range(len(tasks)), 0)
    waiting = list(tries)[::-1]
    running: dict[Any, int] = {}
    last = time.monotonic()  # with a processor
    while waiting or running:
        processors = int(ray.cluster_resources().get("CPU", 0))
        last = time.monotonic() if processors else last
        if time.monotonic() - last > PROCESSOR_S:
            raise InvalidInput(
                f"--cluster: it has had no processor for {PROCESSOR_S:.0f} s; what is done is kept. Start "
                "workers with 'ray start --address HOST:6379', or give the head some with --num-cpus."
            )
        room = _AHEAD * max(1, processors)
        while waiting and len(running) < room:
            place = waiting.pop()
            tries[place] += 1
            running[attempt.remote(work, shared, place, tasks[place], versions)] = place
        ended, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
        for reference in ended:
            place = running.pop(reference)
            done = _received(ray, reference, place)
            if done.elsewhere:
                raise InvalidInput(done.elsewhere)
            if done.again and tries[place] < TRIES:
                waiting.append(place)
            else:
                yield done


def _received(ray: Any, reference: Any, place: int) -> TaskOutcome:
    """The answer that a worker sent back, or why none came."""
    try:
        found: TaskOutcome = ray.get(reference)
    except ray.exceptions.RayTaskError as problem:  # it could not even begin
        return TaskOutcome(
            place,
            elsewhere=f"a worker cannot run Bayesight ({shown(str(problem.cause), 200)}); install "
            f"bayesight {bayesight.__version__} with the same Python on every machine of the cluster.",
        )
    except ray.exceptions.RayError as problem:
        return TaskOutcome(place, reason=f"{type(problem).__name__}: {_first_line(problem)}", again=True)
    return found


def _attempt(work: Work, context: Any, place: int, task: Any, versions: tuple[str, str]) -> TaskOutcome:
    """One try of a task, wherever it is done; one thread, so that sums have the same bits everywhere."""
    if versions != _versions():
        mine, theirs = (f"bayesight {ours} and torch {torchs}" for ours, torchs in (_versions(), versions))
        return TaskOutcome(
            place,
            elsewhere=f"a worker ({socket.gethostname()}) has {mine}, this program {theirs}; install the "
            "same on every machine of the cluster.",
        )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return TaskOutcome(place, work(context, task))
    except InvalidInput as problem:  # it would be refused again
        return TaskOutcome(place, reason=str(problem))
    except BayesightError as problem:
        return TaskOutcome(place, reason=str(problem), again=True)
    except Exception as problem:  # noqa: BLE001 - one part's fault stops no other
        return TaskOutcome(place, reason=f"{type(problem).__name__}: {shown(str(problem), 300)}", again=True)
    finally:
        torch.set_num_threads(threads)


def _versions() -> tuple[str, str]:
    """The versions that have to agree on all machines."""
    return bayesight.__version__, torch.__version__.partition("+")[0]


@contextmanager
def connected(cluster: str | None) -> Iterator[Any]:
    """Ray, connected to a cluster; one that was connected before stays so. None where there is none.

    Ray tells of workers that died on standard output, which belongs to ``--json``: it goes to standard error.

    Raises:
        MissingExtra: Ray is not installed.
        InvalidInput: there is no such cluster.
    """
    if cluster is None:
        yield None
        return
    try:
        import ray
    except ImportError as problem:
        raise MissingExtra("--cluster", "cluster") from problem
    if ray.is_initialized():
        yield ray
        return
    with redirect_stdout(sys.stderr):
        _connect(ray, cluster)
        try:
            yield ray
        finally:
            ray.shutdown()


def _connect(ray: Any, cluster: str) -> None:
    """Connect Ray to a cluster, or start one on this machine.

    Raises:
        InvalidInput: there is no such cluster.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if cluster == "local":
            ray.init(
                address="local",
                num_cpus=available_cores(),
                object_store_memory=_OBJECTS_BYTES,
                include_dashboard=False,
                **quiet,
            )
        else:
            _reach(cluster)
            ray.init(address=cluster, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as problem:
        if "version mismatch" in str(problem).lower():
            raise InvalidInput(
                f"--cluster {cluster}: it was started with another Ray or Python "
                f"({shown(' '.join(str(problem).split()), 300)}); install the same here and there."
            ) from problem
        raise InvalidInput(
            f"--cluster {cluster}: no cluster answers ({_first_line(problem)}). Start one with 'ray start "
            "--head' there, give ray://HOST:10001 with the host of its head, or take --cluster local for the "
            "cores of this machine."
        ) from problem


def _first_line(problem: BaseException) -> str:
    return shown((str(problem).strip() or type(problem).__name__).splitlines()[0], 160)


def _reach(cluster: str) -> None:
    """Refuse an address that accepts no connection within ``REACH_S`` seconds.

    Raises:
        InvalidInput: no address.
        OSError: nobody answers.
    """
    if cluster == "auto":
        return
    try:
        parts = urlsplit(cluster if "://" in cluster else f"//{cluster}")
        host, port = parts.hostname, parts.port or (10001 if parts.scheme == "ray" else 6379)
    except ValueError:
        host, port = None, 0
    if host is None or parts.scheme not in ("", "ray") or ("." not in cluster and ":" not in cluster):
        raise InvalidInput(f"--cluster: got {shown(cluster)}; expected auto, local or ray://HOST:10001.")
    try:
        socket.create_connection((host, port), timeout=REACH_S).close()
    except OSError as problem:
        told = "no answer" if isinstance(problem, TimeoutError) else problem.strerror or str(problem)
        raise ConnectionError(f"{host}:{port} within {REACH_S:.0f} s: {told}") from problem
