"""Device, precision, processes and threads of a run, chosen on purpose and written down."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from bayesight.checks import check
from bayesight.cores import available_cores
from bayesight.errors import InvalidInput, shown

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Hardware:
    """Device, precision, processes and threads of a run.

    Args:
        fabric: device, precision and processes, ready to set up models.
        precision: "bf16" or "32".
        threads: processor threads of each process.
    """

    fabric: Fabric
    precision: Literal["32", "bf16"]
    threads: int

    @property
    def dtype(self) -> torch.dtype:
        """The floating type images are handed to a network in."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32


def choose_hardware(
    *, precision: Literal["auto", "32", "bf16"] = "auto", threads: int | None = None, device: str = "auto"
) -> Hardware:
    """Decide what to compute on, and set the process's thread count.

    Under ``torchrun`` each process takes its share of the machine's cores, and gradients are averaged over
    all processes.

    Args:
        precision: "auto" takes bf16 where the processor or accelerator has matrix units for it: elsewhere it
            is slower than fp32.
        threads: processor threads; None takes half the cores this process may run on, at least one. Small
            kernels wait for their slowest thread: two threads on two cores, one of them busy with something
            else, have trained thirty times slower than one, and at best they are twice as fast. Name the
            count where the machine is yours alone; results of convolutions depend on it in the last bits.
        device: "auto", "cpu", "cuda" (or "gpu"), one of several as "cuda:1", or "mps".

    Raises:
        InvalidInput: a thread count below 1, or a device that is none or not there.
    """
    from lightning_fabric import Fabric  # takes longer than torch; what does not train does without it

    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    check(threads is None or threads >= 1, "threads", f"got {threads}", "at least 1")
    accelerator, devices = _accelerator(device, local)
    count = threads or default_threads(local)
    torch.set_num_threads(count)
    on_accelerator = accelerator not in ("auto", "cpu") or (
        accelerator == "auto" and torch.cuda.is_available()
    )
    chosen: Literal["32", "bf16"]
    chosen = ("bf16" if has_bf16(on_accelerator) else "32") if precision == "auto" else precision
    # Fabric announces its precision on every start; the run's metrics say it where it is looked for.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    # The precision is applied by autocast around forward passes: weights and optimizer state stay fp32.
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=max(1, world // local),
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if chosen == "bf16" else "32-true",
    )
    fabric.launch()
    return Hardware(fabric, chosen, count)


def default_threads(processes: int = 1) -> int:
    """Half the cores this process may run on, shared between ``processes``; at least one."""
    return max(1, available_cores() // 2 // processes)


def has_bf16(on_accelerator: bool = False) -> bool:
    """True where bf16 is the faster one: matrix units of a processor (AMX), or an accelerator that can.

    Vectors of bf16 alone (AVX-512 BF16) are not enough: there products took 1.8 times as long as in fp32.
    """
    if on_accelerator:
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_amx_tile_supported())


def _accelerator(device: str, processes: int) -> tuple[str, int | list[int]]:
    """Fabric's words for a device that is there: its kind, and how many of it or which.

    Raises:
        InvalidInput: no such device, or not on this machine.
    """
    kind, colon, number = device.strip().lower().partition(":")
    kind = {"gpu": "cuda"}.get(kind, kind)
    there = {"auto": 1, "cpu": 1, "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0}
    there["mps"] = int(torch.backends.mps.is_available())
    numbered = kind in ("cuda", "mps") and number.isdecimal() and len(number) < 6
    if kind not in there or (colon and not numbered):
        raise InvalidInput(f"device: got {shown(device)}; expected auto, cpu, cuda, cuda:N or mps.")
    mend = f"Use {'cuda, ' if there['cuda'] and kind != 'cuda' else ''}cpu, or auto for the fastest there is."
    names = {"cuda": "CUDA GPU", "mps": "Apple GPU"}
    found = f"finds no {names.get(kind)}" if not there[kind] else f"finds {there[kind]} of them"
    came = f"got {device!r}, and torch {torch.__version__} {found}"
    check(int(number or 0) < there[kind], "device", came, "a device of this machine", mend)
    if not colon:
        return kind, processes
    check(processes == 1, "device", f"got {device!r} for {processes} processes", "one process, or plain cuda")
    return kind, [int(number)]
