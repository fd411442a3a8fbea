"""Processes of this machine, as Linux tells of them: alive or not, below whom, with how much memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process; another that gets its number later is not the same.

    Args:
        pid: its number.
        parent: that of its parent.
        started: clock ticks from the start of the machine to its own.
        name: its command line, which Ray changes while a task runs.
    """

    pid: int
    parent: int
    started: int
    name: str

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; one that has ended and waits for its parent does not."""
        found = _status(self.pid)
        return found is not None and found[0] not in "ZX" and int(found[19]) == self.started

    def peak_mib(self) -> int:
        """The most memory it held at once; 0 when it has ended."""
        try:
            status = (PROCESSES / str(self.pid) / "status").read_text()
        except OSError:
            return 0
        peaks = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(peaks[0].split()[1]) // 1024 if peaks else 0


def process(pid: int) -> Process | None:
    """The process of a number; None where there is none."""
    found = _status(pid)
    try:
        name = (PROCESSES / str(pid) / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return None
    return None if found is None else Process(pid, int(found[1]), int(found[19]), name)


def children(parent: int) -> list[Process]:
    """The processes right below one."""
    numbers = [int(entry.name) for entry in PROCESSES.iterdir() if entry.name.isdecimal()]
    return [one for number in numbers if (one := process(number)) is not None and one.parent == parent]


def _status(pid: int) -> list[str] | None:
    """State, parent and so on: the fields of ``/proc/PID/stat`` from the third on."""
    try:
        return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
