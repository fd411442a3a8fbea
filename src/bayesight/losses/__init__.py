"""Losses by name: ``build_loss("cross_entropy", 10, label_smoothing=0.1)``."""

from bayesight.losses.classification import (
    LOSSES,
    ClassificationLoss,
    CrossEntropy,
    ForwardCorrected,
    build_loss,
)
from bayesight.losses.environments import (
    EnvironmentLoss,
    GroupDRO,
    InvariantRisk,
    Reweighted,
    sees_environments,
)

__all__ = [
    "LOSSES",
    "ClassificationLoss",
    "CrossEntropy",
    "EnvironmentLoss",
    "ForwardCorrected",
    "GroupDRO",
    "InvariantRisk",
    "Reweighted",
    "build_loss",
    "sees_environments",
]
