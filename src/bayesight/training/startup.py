"""A quicker start for a process that trains and compiles nothing.

Optimizers and Lightning Fabric load ``torch._dynamo``, the front of PyTorch's compiler, only to tell it to
keep out of their way. Fabric loads torchmetrics, where it is installed, to ask for its version. Loading
either takes as long as loading PyTorch itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo"


def defer_imports() -> bool:
    """Load PyTorch's compiler and torchmetrics when something needs them, and not to make an optimizer.

    Fabric is loaded here, without torchmetrics: it detects no spikes in a loss. In the compiler's place a
    stand-in answers the three things optimizers and Fabric ask: not to trace a function, to break a graph,
    and what a compiled module is. Whatever else is asked for, by ``torch.compile`` say, loads the real one,
    which takes its place. Meant for the program's own process: a library leaves other people's processes as
    they are. Under ``torchrun`` the compiler is not deferred.

    Returns:
        Whether the compiler is deferred; False when it is loaded already.
    """
    deferred = _defer_compiler()
    if "torchmetrics" not in sys.modules:
        sys.modules["torchmetrics"] = None  # type: ignore[assignment]
        try:
            importlib.import_module("lightning_fabric")
        finally:
            del sys.modules["torchmetrics"]
    return deferred


def _defer_compiler() -> bool:
    if _NAME in sys.modules or "WORLD_SIZE" in os.environ:
        return False
    import torch

    if _NAME in sys.modules:  # a later PyTorch may load it by itself
        return False
    stand_in = _StandIn(_NAME)
    sys.modules[_NAME] = stand_in
    torch._dynamo = stand_in
    sys.meta_path.insert(0, _FINDER)
    return True


def _real() -> ModuleType:
    """The compiler itself, in the stand-in's place."""
    if isinstance(sys.modules.get(_NAME), _StandIn):
        del sys.modules[_NAME]
        sys.meta_path.remove(_FINDER)
    return importlib.import_module(_NAME)


class _StandIn(ModuleType):
    """The little of the compiler that optimizers and Fabric ask for without compiling."""

    def __init__(self, name: str) -> None:
        import torch

        super().__init__(name)
        self.__path__ = []  # a package, so that the finder hears when one of its modules is imported
        self.OptimizedModule = type("OptimizedModule", (torch.nn.Module,), {})

    @staticmethod
    def graph_break(*_: Any, **__: Any) -> None:
        """Nothing is being traced."""

    @staticmethod
    def disable(fn: Any = None, *args: Any, **options: Any) -> Any:
        """``fn`` as it is, for nothing would trace it."""
        return fn if fn is not None else _real().disable(fn, *args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(), name)


class _Finder(MetaPathFinder, Loader):
    """Loads the compiler when one of its modules is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{_NAME}."):
            return None
        _real()
        module = sys.modules.get(fullname)
        if module is None:
            return importlib.util.find_spec(fullname)
        # Loaded on the way. The import system would load it a second time by its own spec.
        again = ModuleSpec(fullname, self, loader_state=module.__spec__)
        module.__spec__ = again
        return again

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


_FINDER = _Finder()
