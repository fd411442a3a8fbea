"""Losses by name: ``build_loss("cross_entropy", 10, label_smoothing=0.1)``.

```
classification   the answer is a class          reconstruction   the answer is the image itself
adversarial      a game of two networks         contrastive      the answer is a likeness
```
"""

from bayesight.losses.adversarial import Adversarial
from bayesight.losses.classification import (
    LOSSES,
    ClassificationLoss,
    CrossEntropy,
    ForwardCorrected,
    build_loss,
)
from bayesight.losses.contrastive import nt_xent
from bayesight.losses.environments import (
    EnvironmentLoss,
    GroupDRO,
    InvariantRisk,
    Reweighted,
    sees_environments,
)
from bayesight.losses.reconstruction import EvidenceBound, SquaredError, kl_to_standard_normal, squared_error
from bayesight.losses.registry import GENERATIVE_LOSSES, build_generative_loss

__all__ = [
    "GENERATIVE_LOSSES",
    "LOSSES",
    "Adversarial",
    "ClassificationLoss",
    "CrossEntropy",
    "EnvironmentLoss",
    "EvidenceBound",
    "ForwardCorrected",
    "GroupDRO",
    "InvariantRisk",
    "Reweighted",
    "SquaredError",
    "build_generative_loss",
    "build_loss",
    "kl_to_standard_normal",
    "nt_xent",
    "sees_environments",
    "squared_error",
]
