"""Losses by name: ``build_loss("cross_entropy", 10, label_smoothing=0.1)``.

```
classification   the answer is a class          reconstruction   the answer is the image itself
adversarial      a game of two networks         contrastive      the answer is a likeness
environments     the answer holds wherever the image comes from; its mathematics is in invariance
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
from bayesight.losses.invariance import (
    backdoor_weights,
    exponentiated,
    group_means,
    invariance_penalty,
    scale_gradient,
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
    "backdoor_weights",
    "build_generative_loss",
    "build_loss",
    "exponentiated",
    "group_means",
    "invariance_penalty",
    "kl_to_standard_normal",
    "nt_xent",
    "scale_gradient",
    "sees_environments",
    "squared_error",
]
