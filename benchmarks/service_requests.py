"""Bad requests at a served process: refused in one clear sentence each, none its failure, no memory kept.

    python benchmarks/service_requests.py                  # 10,000 requests, without and with tokens
    python benchmarks/service_requests.py --requests 500   # a look; nothing is recorded

What is sent is in ``tests/service/hostile.py``: wrong types, damaged images and bombs of every format, names
that are paths, huge JSON, broken HTTP, wrong tokens. Resident memory is read after a warm-up of the same kind
(a tenth as many), at the end, and at its highest. Afterwards the service has to answer as before, must have
learned nothing, and by its own count never have failed; its ledger is verified.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import urllib.request
from collections import Counter
from pathlib import Path

import torch
from support.record import append, facts
from support.serving import served, small_run
from support.suite import part

from bayesight.ledger import LabelRecord, Ledger, PriorRecord, create_token, find_token, revoke_token, verify

hostile = part("service/hostile.py")


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = small_run(Path(folder))
        rows = [measure(run, Path(folder) / f"{n}.sqlite", options, guarded=bool(n)) for n in (0, 1)]
    for row in rows:
        print("\n".join(f"{name:22} {value}" for name, value in row.items()), "\n")
    if options.requests >= 10_000:
        append("service_requests.csv", rows)


def measure(run: Path, path: Path, options: argparse.Namespace, *, guarded: bool) -> dict[str, object]:
    before = facts()
    tokens = made_tokens(path)
    extra = ("--require-token",) if guarded else ()
    send = {"tokens": tokens if guarded else None, "clients": options.clients}
    with served(run, str(path), extra=extra) as (process, port):
        warm = max(60, options.requests // 10)
        hostile.campaign(port, options.seed + 1, warm, **send)
        told, first_mib = answers(port, tokens["good"]), memory_mib(process.pid)
        statuses, complaints = hostile.campaign(port, options.seed, options.requests, **send)
        last_mib, again = memory_mib(process.pid), answers(port, tokens["good"])
        most_mib, failures = memory_mib(process.pid, "VmHWM"), failed(port, tokens["good"])
    for complaint in complaints[:20]:
        print(complaint)
    by_status: Counter[str] = Counter()
    for name, number in statuses.items():
        by_status[name.rpartition(" ")[2]] += number
    with Ledger.open(str(path)) as ledger:
        learned = len(ledger.since(0, kinds=(LabelRecord.kind, PriorRecord.kind)))
        good = verify(ledger).broken is None
    return {
        **before, "requests": options.requests, "clients": options.clients, "seed": options.seed,
        "tokens": guarded, "statuses": " ".join(f"{k}:{v}" for k, v in sorted(by_status.items())),
        "answered_5xx": sum(v for k, v in by_status.items() if k.startswith("5")), "counted_5xx": failures,
        "without_a_sentence": len(complaints), "memory_mib": first_mib,
        "growth_mib": round(last_mib - first_mib, 1), "most_mib": most_mib,
        "answers_as_before": told == again, "learned": learned, "chain_good": good,
    }  # fmt: skip


def made_tokens(path: Path) -> dict[str, str]:
    """Secrets: a good one, and three that do not allow everything."""
    with Ledger.open(str(path)) as ledger:
        made = {name: create_token(ledger, name, ["admin"]).secret for name in ("good", "revoked")}
        made["predict"] = create_token(ledger, "predict", ["predict"]).secret
        made["expired"] = create_token(ledger, "expired", ["admin"], expires_in_s=1e-6).secret
        revoke_token(ledger, find_token(ledger, made["revoked"]).id)
    return made


def answers(port: int, token: str) -> list[object]:
    """What the service says of four good images, and where its belief is."""
    chance = hostile.random.Random(7)
    url = f"http://127.0.0.1:{port}/v1"
    asked = [urllib.request.Request(f"{url}/predictions", hostile.picture(chance)) for _ in range(4)]
    for one in asked:
        one.add_header("Content-Type", "image/png")
    asked.append(urllib.request.Request(f"{url}/belief"))
    return [json.loads(fetched(one, token)) for one in asked]


def fetched(request: urllib.request.Request, token: str) -> bytes:
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def failed(port: int, token: str) -> int:
    """Answers with 5xx, by the service's own count."""
    text = fetched(urllib.request.Request(f"http://127.0.0.1:{port}/metrics"), token).decode()
    lines = [
        line
        for line in text.splitlines()
        if line.startswith("bayesight_requests_total") and 'status="5' in line
    ]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))


def memory_mib(pid: int, kind: str = "VmRSS") -> float:
    """Resident memory of a process now, or at its highest (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(kind + ":"):
            return round(int(line.split()[1]) / 1024, 1)
    raise RuntimeError(f"no {kind} of process {pid}")


if __name__ == "__main__":
    main()
