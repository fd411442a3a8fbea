"""Training's state in one safetensors file, replaced atomically.

A process killed at any moment leaves either the previous file or the new one. Randomness needs no place in
it: every step draws from streams derived from the seed and the step's number.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from bayesight.errors import RunUnreadable
from bayesight.files import make_folder, read_plain, write_atomic
from bayesight.training.average import WeightAverage
from bayesight.training.engine import State, Task

FORMAT = 1


class FileCheckpointer:
    """Keeps a task's state in ``folder/state.safetensors``.

    Guarantees: the file is whole at every moment (written aside, synced, renamed), and training resumed from
    it ends with the same bits as training never interrupted, on the same machine with the same threads.

    Args:
        folder: made when first needed.
        identity: what must be equal for a resumed run to be the same run (recipe, data, threads).
        every_s: seconds that must have passed since the last save for an unforced one to be made.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], *, every_s: float = 10.0) -> None:
        self.path = folder / "state.safetensors"
        self.identity = identity
        self.every_s = every_s
        self._saved_at = time.monotonic()
        self._stopping = False

    @contextmanager
    def stopping_between_steps(self) -> Iterator[None]:
        """Let Ctrl-C end training after the step under way, which is then kept; a second one ends it at once.

        A step cut off in its middle has moved some weights and not others, and could not be resumed. Signals
        reach the main thread only; elsewhere nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(signal_number: int, frame: FrameType | None) -> None:
            if self._stopping:
                raise KeyboardInterrupt
            self._stopping = True

        before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, stop)
        try:
            yield
            if self._stopping:  # it came with the last step
                raise KeyboardInterrupt
        finally:
            self._stopping = False
            signal.signal(signal.SIGINT, before)

    def save(self, task: Task, average: WeightAverage | None, state: State, *, force: bool = False) -> None:
        """Keep everything, unless the last save was less than ``every_s`` ago.

        Raises:
            StorageFailed: the disk is full or the folder cannot be written; the previous file is intact.
        """
        if not (force or self._stopping) and time.monotonic() - self._saved_at < self.every_s:
            return
        tensors = _collect(task, average, state)
        numbers = {k: v for k, v in vars(state).items() if k != "best_weights"}
        metadata = {"format": str(FORMAT), "identity": _json(self.identity), "state": json.dumps(numbers)}
        make_folder(self.path.parent)
        write_atomic(self.path, safetensors.torch.save(tensors, metadata))
        self._saved_at = time.monotonic()
        if self._stopping:
            raise KeyboardInterrupt

    def load(self, task: Task, average: WeightAverage | None) -> State:
        """Put the kept state back; a fresh ``State`` where nothing was kept.

        Raises:
            RunUnreadable: the file is damaged, of a newer format, or of another recipe or data.
        """
        if not self.path.exists():
            return State()
        read_plain(self.path, 0)
        try:
            with safetensors.safe_open(self.path, "pt") as file:
                metadata = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            version, identity = int(metadata["format"]), json.loads(metadata["identity"])
            numbers = json.loads(metadata["state"])
        except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as problem:
            message = f"{self.path} is damaged ({problem}); start again with --overwrite."
            raise RunUnreadable(message) from problem
        if version > FORMAT:
            raise RunUnreadable(f"{self.path} has format {version}, newer than {FORMAT}; update Bayesight.")
        self._check_identity(identity)
        _restore(task, average, tensors)
        return State(**numbers, best_weights=_under(tensors, "best."))

    def _check_identity(self, kept: dict[str, Any]) -> None:
        now = json.loads(_json(self.identity))
        changed = sorted(k for k in kept.keys() | now.keys() if kept.get(k) != now.get(k))
        if changed:
            differs = "; ".join(f"{k} was {kept.get(k)!r}, is {now.get(k)!r}" for k in changed)
            raise RunUnreadable(
                f"{self.path} belongs to another run: {differs}. Resume with the same settings, or start "
                "again with --overwrite."
            )


def _collect(task: Task, average: WeightAverage | None, state: State) -> dict[str, Tensor]:
    """Every tensor of a task by its name in the file; copies, so that shared memory is no matter."""
    named: dict[str, Tensor] = {f"model.{k}": v for k, v in task.model.state_dict().items()}
    named |= {f"best.{k}": v for k, v in state.best_weights.items()}
    if average is not None:
        named |= {f"average.{k}": v for k, v in average.shadow.items()}
    for update in task.updates:
        for index, values in update.optimizer.state_dict()["state"].items():
            for key, value in values.items():
                if isinstance(value, Tensor):
                    named[f"optimizer.{update.name}.{index}.{key}"] = value
    for name, part in task.stateful.items():
        named |= {f"stateful.{name}.{k}": v for k, v in part.state_dict().items()}
    return {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in named.items()}


@torch.no_grad()
def _restore(task: Task, average: WeightAverage | None, tensors: dict[str, Tensor]) -> None:
    task.model.load_state_dict(_under(tensors, "model."))
    if average is not None:
        for name, value in _under(tensors, "average.").items():
            average.shadow[name].copy_(value)
    for update in task.updates:
        _restore_optimizer(update.optimizer, _under(tensors, f"optimizer.{update.name}."))
    for name, part in task.stateful.items():
        part.load_state_dict(_under(tensors, f"stateful.{name}."))


def _restore_optimizer(optimizer: torch.optim.Optimizer, kept: dict[str, Tensor]) -> None:
    """Moments go back with the strides of their parameters: fused kernels walk both side by side."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in kept.items():
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        like = torch.empty_like(parameter, dtype=value.dtype) if value.shape == parameter.shape else None
        state.setdefault(int(index), {})[key] = value if like is None else like.copy_(value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
