"""Losses of classifiers by name, ``build_loss("cross_entropy", 10)``, and of contrastive pretraining.

```
classification   losses of logits and labels    contrastive   NT-Xent of two views
environments     losses that also see where an image comes from; their mathematics is in invariance
detection        boxes: focal loss of a map of centres, GIoU
segmentation     masks: cross-entropy of pixels, Dice's overlap
pose             key points: divergence of heat maps, squared distance of coordinates
temporal_difference   Q-learning: the value of an action against what followed
```

A generative model's loss belongs to the model (``bayesight.models``).
"""

from bayesight.losses.classification import (
    LOSSES,
    ClassificationLoss,
    CrossEntropy,
    ForwardCorrection,
    build_loss,
)
from bayesight.losses.contrastive import nt_xent
from bayesight.losses.detection import centre_heat, detection_loss, focal_heat_loss, giou_loss
from bayesight.losses.environments import (
    EnvironmentLoss,
    GroupDRO,
    InvariantRisk,
    ReweightedCrossEntropy,
    sees_environments,
)
from bayesight.losses.invariance import (
    backdoor_weights,
    exponentiated,
    group_means,
    invariance_penalty,
    scale_gradient,
)
from bayesight.losses.pose import coordinate_loss, heat_map_loss, heat_maps
from bayesight.losses.segmentation import dice_loss, mask_loss
from bayesight.losses.temporal_difference import td_loss, td_target

__all__ = [
    "LOSSES",
    "ClassificationLoss",
    "CrossEntropy",
    "EnvironmentLoss",
    "ForwardCorrection",
    "GroupDRO",
    "InvariantRisk",
    "ReweightedCrossEntropy",
    "backdoor_weights",
    "build_loss",
    "centre_heat",
    "coordinate_loss",
    "detection_loss",
    "dice_loss",
    "exponentiated",
    "focal_heat_loss",
    "giou_loss",
    "group_means",
    "heat_map_loss",
    "heat_maps",
    "invariance_penalty",
    "mask_loss",
    "nt_xent",
    "scale_gradient",
    "sees_environments",
    "td_loss",
    "td_target",
]
