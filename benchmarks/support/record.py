"""What every benchmark writes down beside its figures: when, which commit, on what machine."""

from __future__ import annotations

import csv
import datetime
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"


def facts() -> dict[str, str | int | float]:
    """Date, commit and machine, as columns."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": _commit(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else "",
        "python": platform.python_version(),
    }


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Least, median and greatest: ``"0.9 - 1.1 - 1.4"``."""
    three = min(values), statistics.median(values), max(values)
    return " - ".join(f"{value:.{digits}g}" for value in three)


def append(name: str, rows: Sequence[Mapping[str, object]]) -> Path:
    """Add rows to ``results/NAME``; a file whose columns differ is continued with the union of both."""
    path = RESULTS / name
    kept: list[Mapping[str, object]] = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            kept = list(csv.DictReader(file))
    every = [*kept, *rows]
    columns = list(dict.fromkeys(column for row in every for column in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(every)
    return path


def _commit() -> str:
    """The commit measured; ``-dirty`` when the program's files differ from it."""
    here = Path(__file__).parent
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude", "*"],
        cwd=here, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return said.stdout.strip() or "unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
