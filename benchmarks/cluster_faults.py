"""Updates by parts on two nodes while something is killed: the belief has the bits of an undisturbed one.

    python benchmarks/cluster_faults.py            # 25 kills: 10 workers, 10 nodes, 5 drivers
    python benchmarks/cluster_faults.py --times 1  # a look; nothing is recorded

worker    SIGKILL to a process of either node that computes a part
node      SIGKILL to the raylet of the second node, with which its workers end; another node joins afterwards
driver    SIGKILL to ``bayesight update``; the same command is given again on the same run folder

Victim and moment are drawn, the moment from the seconds in which an undisturbed job computes. A kill counts
where the victim was alive before and dead after it, and parts were open; otherwise it is drawn again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import CIFAR, first_belief, parts_of_cifar, two_nodes
from support.processes import Process, children, process
from support.record import append, facts

from bayesight.run import Run
from bayesight.workflows.parts.update import update_by_parts

PATIENCE_S = 300
FULL_TIMES = {"worker": 10, "node": 10, "driver": 5}


class Job:
    """One ``bayesight update`` on the cluster, as a process of its own, on a copy of a run."""

    def __init__(self, run: Path, manifest: Path, address: str) -> None:
        update = [sys.executable, "-m", "bayesight", "update", run, "--parts", manifest, "--run-only"]
        self.run = run
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self.faults = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*map(str, update), "--cluster", address, "--json"], stdout=self.said, stderr=self.faults
        )

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def ended_parts(self) -> int:
        """Parts whose statistics are kept."""
        return len(list((self.run / "parts").glob("*.stats")))

    def result(self) -> dict[str, Any]:
        """The document that it printed in the end.

        Raises:
            RuntimeError: it failed.
        """
        if self.process.wait(PATIENCE_S):
            self.faults.seek(0)
            raise RuntimeError(self.faults.read())
        self.said.seek(0)
        return json.load(self.said)


@dataclass(frozen=True)
class Kill:
    """A process that was killed while a job ran.

    Args:
        victim: its kind.
        killed: which it was.
        at_s: seconds since the job began.
        parts_open: parts that had not ended.
        computing: workers that computed a part and ended with it.
        is_dead: within 10 seconds.
    """

    victim: str
    killed: Process
    at_s: float
    parts_open: int
    computing: int
    is_dead: bool


class Campaign:
    """Kills on a cluster of two nodes with one processor each."""

    def __init__(self, run: Path, manifest: Path, parts: int, seed: int) -> None:
        self.first, self.manifest, self.parts = run, manifest, parts
        self.chance = random.Random(seed)
        self.cluster, self.second = two_nodes()
        self.usual_s = 0.0

    def undisturbed(self) -> dict[str, Any]:
        """A job that nothing happens to; it says how long jobs compute."""
        job = self._begin()
        self._until(lambda: self._computing() or not job.is_running)
        began = time.monotonic()
        self._until(lambda: job.ended_parts() == self.parts or not job.is_running)
        self.usual_s = time.monotonic() - began
        return self._told(job.result())

    def disturbed(self, victim: str) -> dict[str, Any]:
        """A job in which a victim is killed, drawn as often as it takes.

        Raises:
            RuntimeError: the job failed.
        """
        misses = 0
        while True:
            job = self._begin()
            self._until(lambda job=job: self._computing() or not job.is_running)
            time.sleep(self.chance.uniform(0, self.usual_s))
            kill = self._kill(job, victim)
            again, kept = {}, 0
            if victim == "driver" and kill:
                kept = job.ended_parts()
                unchanged = Run.open(job.run).classifier().digest() == self._before()
                job = Job(job.run, self.manifest, self.cluster.address)
                again = {"belief_unchanged": unchanged}
            told = job.result()
            if victim == "node" and kill:
                self.cluster.remove_node(self.second)
                self.second = self.cluster.add_node(num_cpus=1)
            if kill and kill.is_dead:
                assert told["parts"]["resumed"] == kept
                return self._told(told) | again | {
                    "victim": victim, "pid": kill.killed.pid, "at_s": round(kill.at_s, 2),
                    "parts_open": kill.parts_open, "workers_lost": kill.computing,
                    "alive_before": True, "dead_after": kill.is_dead, "parts_kept": kept, "misses": misses,
                }  # fmt: skip
            misses += 1

    def end(self) -> None:
        self.cluster.shutdown()

    def _begin(self) -> Job:
        copy = Path(tempfile.mkdtemp(dir=self.first.parent)) / "run"
        shutil.copytree(self.first, copy)
        return Job(copy, self.manifest, self.cluster.address)

    def _before(self) -> str:
        return Run.open(self.first).classifier().digest()

    def _kill(self, job: Job, victim: str) -> Kill | None:
        """SIGKILL to a victim; None where there is none, or no part is open any more."""
        busy = self._computing()
        raylet = self.second.all_processes["raylet"][0].process.pid
        found = {
            "worker": busy,
            "node": [process(raylet)],
            "driver": [process(job.process.pid)],
        }[victim]
        alive = [one for one in found if one is not None and one.is_alive]
        parts_open = self.parts - job.ended_parts()
        if not alive or not parts_open or not job.is_running or not busy:
            return None
        killed = self.chance.choice(sorted(alive, key=lambda one: one.pid))
        lost = {"worker": [killed], "node": [one for one in busy if one.parent == raylet], "driver": busy}
        at_s = time.monotonic() - job.began
        os.kill(killed.pid, signal.SIGKILL)
        if victim == "driver":
            job.process.wait(PATIENCE_S)
        gone = [killed, *lost[victim]]
        end = time.monotonic() + 10
        while any(one.is_alive for one in gone) and time.monotonic() < end:
            time.sleep(0.01)
        return Kill(
            victim, killed, at_s, parts_open, len(lost[victim]), not any(one.is_alive for one in gone)
        )

    def _computing(self) -> list[Process]:
        """The processes of both nodes that compute a part."""
        raylets = [node.all_processes["raylet"][0].process.pid for node in self.cluster.list_all_nodes()]
        below = [one for raylet in raylets for one in children(raylet)]
        return [one for one in below if one.name.startswith("ray::_attempt")]

    def _until(self, true: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > end:
                raise RuntimeError(f"nothing happened for {PATIENCE_S} s")
            time.sleep(0.01)

    def _told(self, result: dict[str, Any]) -> dict[str, Any]:
        done = result["parts"]
        assert done["done"] + done["resumed"] == self.parts
        assert not done["missing"]
        return {
            "parts": self.parts, "images": done["images"], "seconds": round(done["seconds"], 1),
            "digest": result["digest"],
        }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", type=Path, default=CIFAR)
    options.add_argument("--parts", type=int, default=40)
    options.add_argument("--images", type=int, default=500, help="of each part")
    options.add_argument("--model", default="resnet")
    options.add_argument("--victim", action="append", choices=FULL_TIMES)
    options.add_argument("--times", type=int, help="of each victim, and nothing is recorded")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="cluster-faults-") as place:
        folder = Path(place)
        manifest = parts_of_cifar(asked.data, folder, asked.parts, asked.images)
        run = first_belief(folder, asked.model)
        alone = update_by_parts(shutil.copytree(run, folder / "alone"), manifest)
        common = {"model": asked.model, "seed": asked.seed}
        rows = [
            facts() | common | {"what": "absorb", "workers": 0, "parts": asked.parts, "digest": alone.digest}
        ]
        campaign = Campaign(run, manifest, asked.parts, asked.seed)
        times = {victim: asked.times or FULL_TIMES[victim] for victim in asked.victim or FULL_TIMES}
        two = common | {"workers": 2, "nodes": 2}
        try:
            rows.append(facts() | two | {"what": "absorb"} | campaign.undisturbed())
            print(rows[-1], flush=True)
            for number in range(max(times.values())):
                for victim in (victim for victim, many in times.items() if number < many):
                    rows.append(facts() | two | {"what": f"{victim} killed"} | campaign.disturbed(victim))
                    print(number, rows[-1], flush=True)
        finally:
            campaign.end()
            if asked.times is None:
                append("cluster.csv", rows)
    wrong = [row for row in rows if row["digest"] != alone.digest or row.get("belief_unchanged") is False]
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(rows)} beliefs differ")


if __name__ == "__main__":
    main()
