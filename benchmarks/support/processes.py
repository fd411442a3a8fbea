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
        """The most memory that it held at once; 0 when it has ended."""
        return self._memory_mib("VmHWM")

    def resident_mib(self) -> int:
        """The memory that it holds now; 0 when it has ended."""
        return self._memory_mib("VmRSS")

    def _memory_mib(self, name: str) -> int:
        try:
            status = (PROCESSES / str(self.pid) / "status").read_text()
        except OSError:
            return 0
        found = [line for line in status.splitlines() if line.startswith(name)]
        return int(found[0].split()[1]) // 1024 if found else 0


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
    return [one for one in _all() if one.parent == parent]


def below(ancestor: int) -> list[Process]:
    """The children of a process, theirs, and so on."""
    every, found, parents = _all(), [], {ancestor}
    while parents:
        few = [one for one in every if one.parent in parents]
        found, parents = found + few, {one.pid for one in few}
    return found


def _all() -> list[Process]:
    numbers = [int(entry.name) for entry in PROCESSES.iterdir() if entry.name.isdecimal()]
    return [one for number in numbers if (one := process(number)) is not None]


def _status(pid: int) -> list[str] | None:
    """State, parent and so on: the fields of ``/proc/PID/stat`` from the third on."""
    try:
        return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
