"""Training: a recipe in four keys, and one engine that runs it.

```
recipe      the four keys, in TOML or in Python     engine     the loop: Task, Update, Budget, fit
events      what the engine tells its listeners     checkpoint going on after an interruption
hardware    device, precision, threads              average    the moving average of the weights
classification   the task of a classifier           tensorboard   a listener
```

Names are loaded when first used. The function ``classification`` is found in its module, for the package's
attribute of that name is the module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayesight.train.average import WeightAverage
    from bayesight.train.checkpoint import FileCheckpointer
    from bayesight.train.engine import Budget, State, Task, Update, fit
    from bayesight.train.events import Evaluated, Event, Finished, Listener, Started, StepDone
    from bayesight.train.hardware import Hardware, choose_hardware
    from bayesight.train.recipe import Recipe

__all__ = [
    "Budget",
    "Evaluated",
    "Event",
    "FileCheckpointer",
    "Finished",
    "Hardware",
    "Listener",
    "Recipe",
    "Started",
    "State",
    "StepDone",
    "Task",
    "Update",
    "WeightAverage",
    "choose_hardware",
    "fit",
]

_HOME = {
    "Budget": "engine",
    "Evaluated": "events",
    "Event": "events",
    "FileCheckpointer": "checkpoint",
    "Finished": "events",
    "Hardware": "hardware",
    "Listener": "events",
    "Recipe": "recipe",
    "Started": "events",
    "State": "engine",
    "StepDone": "events",
    "Task": "engine",
    "Update": "engine",
    "WeightAverage": "average",
    "choose_hardware": "hardware",
    "fit": "engine",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
