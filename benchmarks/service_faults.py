"""The service killed again and again under a stream of labels: what was acknowledged has to be there, once.

    python benchmarks/service_faults.py               # 50 kills
    python benchmarks/service_faults.py --kills 3     # a look; nothing is recorded

SIGKILL goes to all processes of the service at a random moment. Each time it is started again on the same
ledger without any repair. A label whose request got no answer is sent again with the same key, as
clients should.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

import torch
from service_load import checked
from support.record import append, facts
from support.serving import label_body, served, small_run

from bayesight.run import Run


class Client(threading.Thread):
    """Sends its next label until the service is gone; what got no answer is first in the next life."""

    def __init__(self, port: int, names: tuple[str, ...], todo: list[int], answers: dict[int, dict]) -> None:
        super().__init__(daemon=True)
        self.port, self.names, self.todo, self.answers = port, names, todo, answers

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while True:
            number = self.todo[0]
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"label-{number}"}
            try:
                connection.request("POST", "/v1/labels", label_body(number, self.names), headers)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                return
            if answer.status != 200:
                raise RuntimeError(body)
            self.answers[number] = json.loads(body)
            self.todo[0] += 100


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = small_run(Path(folder))
        row = measure(run, f"{folder}/ledger.sqlite", options)
    for name, value in row.items():
        print(f"{name:22} {value}")
    if options.kills >= 50:
        append("service_faults.csv", [row])


def measure(run: Path, ledger: str, options: argparse.Namespace) -> dict[str, object]:
    before, names, chance = facts(), Run.open(run).classes().names, random.Random(options.seed)
    answers: dict[int, dict] = {}
    todo = [[number] for number in range(options.clients)]
    repeated = 0
    for _ in range(options.kills):
        known = len(answers)
        with served(run, ledger, workers=options.workers) as (process, port):
            clients = [Client(port, names, mine, answers) for mine in todo]
            for client in clients:
                client.start()
            while len(answers) < known + 2 * options.clients:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.3))
            os.killpg(process.pid, signal.SIGKILL)
            for client in clients:
                client.join(60)
    repeated = sum(answer["repeated"] for answer in answers.values())
    return {
        **before, "kills": options.kills, "clients": options.clients, "workers": options.workers,
        "seed": options.seed, "acknowledged": len(answers), "sent_again_and_known": repeated,
        **checked(run, ledger, list(answers.values())),
    }  # fmt: skip


if __name__ == "__main__":
    main()
