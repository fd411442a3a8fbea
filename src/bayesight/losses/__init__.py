"""Losses of classifiers by name, ``build_loss("cross_entropy", 10)``, and of contrastive pretraining.

```
classification   the answer is a class          contrastive   the answer is a likeness
environments     the answer holds wherever the image comes from; its mathematics is in invariance
```

A generative model's loss belongs to the model (``bayesight.models``).
"""

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

__all__ = [
    "LOSSES",
    "ClassificationLoss",
    "CrossEntropy",
    "EnvironmentLoss",
    "ForwardCorrected",
    "GroupDRO",
    "InvariantRisk",
    "Reweighted",
    "backdoor_weights",
    "build_loss",
    "exponentiated",
    "group_means",
    "invariance_penalty",
    "nt_xent",
    "scale_gradient",
    "sees_environments",
]
