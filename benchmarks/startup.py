"""How long the program takes to answer, and that what does not compute does not wait for torch.

    python benchmarks/startup.py             # ten seconds
    python benchmarks/startup.py --quick     # records nothing

Commands take turns with ``python -c pass``, whose time is in the machine and not in us. A row goes to
``results/startup.csv``.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from support.record import append, facts, spread

ALLOWED_S = {"bayesight --help": 0.3, "import bayesight": 0.3}
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "bayesight --help": [str(Path(sys.executable).with_name("bayesight")), "--help"],
    "import bayesight": [sys.executable, "-c", "import bayesight"],
    "bayesight.data.open_store": [sys.executable, "-c", "import bayesight; bayesight.open_store"],
    "import torch": [sys.executable, "-c", "import torch"],
    "bayesight.train": [sys.executable, "-c", "import bayesight; bayesight.train"],
}
LIGHT = ("import bayesight", "import bayesight.cli", "import bayesight; bayesight.open_store")
"""What must not import torch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--turns", type=int, default=9)
    args = parser.parse_args()
    machine, turns = facts(), 2 if args.quick else args.turns
    heavy = [code for code in LIGHT if _imports_torch(code)]
    print("torch is imported by " + ", ".join(heavy) if heavy else "nothing light imports torch")
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(-1, turns):
        for name, command in COMMANDS.items():
            elapsed_s = _elapsed(command)
            if number >= 0:
                seconds[name].append(elapsed_s)
    rows = [machine | _row(name, seconds, heavy) for name in COMMANDS]
    if not args.quick:
        print(append("startup.csv", rows))
    if heavy:
        sys.exit(1)


def _row(name: str, seconds: dict[str, list[float]], heavy: list[str]) -> dict[str, object]:
    own, bare = seconds[name], seconds["python -c pass"]
    allowed = ALLOWED_S.get(name, "")
    print(f"{name}: {spread(own, 3)} s" + (f" (at most {allowed} wanted)" if allowed else ""))
    return {
        "command": name,
        "seconds": spread(own, 3),
        "above_bare_python_s": f"{statistics.median(own) - statistics.median(bare):.3f}",
        "allowed_s": allowed,
        "torch_imported_needlessly": ", ".join(heavy) or "no",
        "turns": len(own),
    }


def _elapsed(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _imports_torch(code: str) -> bool:
    asked = f"{code}\nimport sys; sys.exit('torch' in sys.modules)"
    return subprocess.run([sys.executable, "-c", asked], check=False).returncode != 0


if __name__ == "__main__":
    main()
