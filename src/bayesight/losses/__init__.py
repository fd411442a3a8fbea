"""Losses by name: ``build_loss("cross_entropy", 10, label_smoothing=0.1)``."""

from bayesight.losses.classification import (
    LOSSES,
    ClassificationLoss,
    CrossEntropy,
    ForwardCorrected,
    build_loss,
)

__all__ = ["LOSSES", "ClassificationLoss", "CrossEntropy", "ForwardCorrected", "build_loss"]
