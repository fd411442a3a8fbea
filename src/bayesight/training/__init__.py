"""Training: a recipe in four keys, and one engine that runs it.

```
recipe      the four keys, in TOML or in Python     engine     the loop: Task, Update, Budget, fit
events      what listeners are told, and listeners  checkpoint going on after an interruption
hardware    device, precision, threads              average    the moving average of the weights
classification   the task of a classifier
```

Names are loaded when first used. The function ``classification`` is found in its module, for the package's
attribute of that name is the module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.training.average import WeightAverage as WeightAverage
    from bayesight.training.checkpoint import FileCheckpointer as FileCheckpointer
    from bayesight.training.engine import Budget as Budget
    from bayesight.training.engine import State as State
    from bayesight.training.engine import Task as Task
    from bayesight.training.engine import Update as Update
    from bayesight.training.engine import fit as fit
    from bayesight.training.events import EvaluationEvent as EvaluationEvent
    from bayesight.training.events import Event as Event
    from bayesight.training.events import Listener as Listener
    from bayesight.training.events import StepEvent as StepEvent
    from bayesight.training.events import TrainingEnd as TrainingEnd
    from bayesight.training.events import TrainingStart as TrainingStart
    from bayesight.training.hardware import Hardware as Hardware
    from bayesight.training.hardware import choose_hardware as choose_hardware
    from bayesight.training.recipe import Recipe as Recipe

__getattr__, __dir__, __all__ = door(__name__)
