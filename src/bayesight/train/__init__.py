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

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.train.average import WeightAverage as WeightAverage
    from bayesight.train.checkpoint import FileCheckpointer as FileCheckpointer
    from bayesight.train.engine import Budget as Budget
    from bayesight.train.engine import State as State
    from bayesight.train.engine import Task as Task
    from bayesight.train.engine import Update as Update
    from bayesight.train.engine import fit as fit
    from bayesight.train.events import EvaluationEvent as EvaluationEvent
    from bayesight.train.events import Event as Event
    from bayesight.train.events import Listener as Listener
    from bayesight.train.events import StepEvent as StepEvent
    from bayesight.train.events import TrainingEnd as TrainingEnd
    from bayesight.train.events import TrainingStart as TrainingStart
    from bayesight.train.hardware import Hardware as Hardware
    from bayesight.train.hardware import choose_hardware as choose_hardware
    from bayesight.train.recipe import Recipe as Recipe

__getattr__, __dir__, __all__ = door(__name__)
