"""The service under a stream of labels while something fails: what was acknowledged has to be there, once.

    python benchmarks/service_faults.py                        # every fault: 50 kills, 20 of each other
    python benchmarks/service_faults.py --fault kill --times 3 # a look; nothing is recorded

kill      SIGKILL to all processes of the service at a random moment; it is started again with no repair
restart   PostgreSQL is stopped and started again (by turns in order, and at once), the service stays
disk      the ledger's disk (a small tmpfs, which only root can make) is filled, and there is room again later
clock     the clock jumps, mostly back, by up to years (libfaketime, from Debian's package faketime)

A label whose request got no answer, or 503, is sent again with the same key, as clients should. In the end
the service is started once more: its belief has to be the replay of the ledger.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from service_load import checked
from support.record import append, facts
from support.serving import label_body, served, small_run
from support.suite import part

from bayesight.run import Run

PATIENCE_S = 120
FULL_TIMES = {"kill": 50, "restart": 20, "disk": 20, "clock": 20}


class Client(threading.Thread):
    """Sends its next label until the service is gone or it has to stop; one refused for now is sent again."""

    def __init__(self, stream: Stream, port: int, todo: list[int]) -> None:
        super().__init__(daemon=True)
        self.stream, self.port, self.todo = stream, port, todo
        self.problem = ""

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.stream.stop.is_set():
            number = self.todo[0]
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"label-{number}"}
            try:
                connection.request("POST", "/v1/labels", label_body(number, self.stream.names), headers)
                answer = connection.getresponse()
                body = json.loads(answer.read())
            except (OSError, http.client.HTTPException):
                return
            if answer.status == 503:
                self.stream.refusals.append(body["message"])
                time.sleep(0.05)
            elif answer.status == 200:
                self.stream.answers[number] = body
                self.todo[0] += 100
            else:
                self.problem = f"{answer.status} {body}"
                return


class Stream:
    """Labels from several clients, through as many lives of the service as it takes."""

    def __init__(self, names: tuple[str, ...], clients: int) -> None:
        self.names = names
        self.answers: dict[int, dict] = {}
        self.refusals: list[str] = []
        self.todo = [[number] for number in range(clients)]
        self.stop = threading.Event()
        self.clients: list[Client] = []

    @contextmanager
    def to(self, port: int) -> Iterator[None]:
        """Clients send to a service; afterwards they have ended."""
        self.stop.clear()
        self.clients = [Client(self, port, mine) for mine in self.todo]
        for client in self.clients:
            client.start()
        try:
            yield
        finally:
            self.stop.set()
            for client in self.clients:
                client.join(PATIENCE_S)
        self.check()

    def check(self) -> None:
        """Fail where an answer was neither an acknowledgement nor "later"."""
        for client in self.clients:
            if client.problem:
                raise RuntimeError(client.problem)

    def wait(self, more: int = 8) -> None:
        """Until so many more labels are acknowledged."""
        wanted = len(self.answers) + more
        until(lambda: len(self.answers) >= wanted or self.check())


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"nothing happened for {PATIENCE_S} s")
        time.sleep(0.005)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--fault", choices=list(FULL_TIMES))
    parser.add_argument("--times", type=int, help="how often; by default 50 kills and 20 of the others")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = small_run(Path(folder))
        for fault in [options.fault] if options.fault else FULL_TIMES:
            times = options.times or FULL_TIMES[fault]
            row = measure(run, fault, times, options)
            print("\n".join(f"{name:22} {value}" for name, value in row.items()), "\n")
            if times >= FULL_TIMES[fault]:
                append("service_faults.csv", [row])


def measure(run: Path, fault: str, times: int, options: argparse.Namespace) -> dict[str, object]:
    before, chance = facts(), random.Random(options.seed)
    stream = Stream(Run.open(run).classes().names, options.clients)
    with (
        tempfile.TemporaryDirectory() as folder,
        FAULTS[fault](Path(folder)) as (ledger, strike, environment),
    ):
        if fault == "kill":
            for _ in range(times):
                with served(run, ledger, workers=options.workers) as (process, port), stream.to(port):
                    stream.wait()
                    time.sleep(chance.uniform(0, 0.3))
                    os.killpg(process.pid, signal.SIGKILL)
        else:
            with (
                served(run, ledger, workers=options.workers, environment=environment) as (process, port),
                stream.to(port),
            ):
                for number in range(times):
                    stream.wait()
                    strike(number, stream)
                stream.wait()
        with served(run, ledger) as (_, port):
            belief = settled(port)
        answers = list(stream.answers.values())
        return {
            **before, "fault": fault, "times": times, "clients": options.clients, "workers": options.workers,
            "seed": options.seed, "acknowledged": len(answers),
            "sent_again_and_known": sum(answer["repeated"] for answer in answers),
            "refused_503": len(stream.refusals), "sentences": len(set(stream.refusals)),
            "longest_sentence": max(map(len, stream.refusals), default=0),
            **checked(run, ledger, answers, belief),
        }  # fmt: skip


def settled(port: int) -> str:
    """Digest of the service's belief once nothing is queued any more."""
    url, found = f"http://127.0.0.1:{port}/v1/belief", {"queued": 1}

    def done() -> bool:
        found.update(json.loads(urllib.request.urlopen(url, timeout=60).read()))
        return found["queued"] == 0

    until(done)
    return str(found["belief"])


# Each fault: where the ledger lies, what happens to it (its number, the stream), the service's environment.


@contextmanager
def kill(folder: Path) -> Iterator[tuple]:
    yield str(folder / "ledger.sqlite"), None, None


@contextmanager
def restart(folder: Path) -> Iterator[tuple]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not programs:
        raise SystemExit("no PostgreSQL in /usr/lib/postgresql; install Debian's package postgresql")
    folder.chmod(0o755)
    (folder / "server").mkdir()
    server = part("conftest.py").Server(programs[-1], folder / "server", fsync=True)

    def strike(number: int, stream: Stream) -> None:
        refused = len(stream.refusals)
        server.stop(("fast", "immediate")[number % 2])
        until(lambda: len(stream.refusals) > refused + 2)
        server.start()

    yield server.database(), strike, None
    server.stop("immediate")


@contextmanager
def disk(folder: Path) -> Iterator[tuple]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    ballast = folder / "ballast"

    def strike(number: int, stream: Stream) -> None:
        refused = len(stream.refusals)
        with ballast.open("wb", buffering=0) as file, suppress_full():
            while True:
                file.write(bytes(4096))
        until(lambda: len(stream.refusals) > refused + 4)
        ballast.unlink()

    try:
        yield str(folder / "ledger.sqlite"), strike, None
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def suppress_full() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if "No space" not in str(problem):
            raise


@contextmanager
def clock(folder: Path) -> Iterator[tuple]:
    found = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
    if not found:
        raise SystemExit("no libfaketime; install Debian's package faketime")
    shift = folder / "shift"
    shift.write_text("+0", encoding="ascii")
    environment = {
        "LD_PRELOAD": str(found[0]), "FAKETIME_TIMESTAMP_FILE": str(shift), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # no setting of a clock moves that one
    }  # fmt: skip
    jumps = ("-2h", "-1d", "+0", "-1h", "-3y", "+1d", "-1s")

    def strike(number: int, stream: Stream) -> None:
        shift.write_text(jumps[number % len(jumps)], encoding="ascii")
        time.sleep(1.2)  # until it is looked at again

    yield str(folder / "ledger.sqlite"), strike, environment


FAULTS = {"kill": kill, "restart": restart, "disk": disk, "clock": clock}


if __name__ == "__main__":
    main()
