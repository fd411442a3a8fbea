"""Optimizers and learning-rate schedules by name."""

from bayesight.optim.factory import OPTIMIZERS, build_optimizer, decay_groups
from bayesight.optim.schedules import SCHEDULES, Schedule, build_schedule

__all__ = ["OPTIMIZERS", "SCHEDULES", "Schedule", "build_optimizer", "build_schedule", "decay_groups"]
