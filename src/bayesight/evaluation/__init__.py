"""Measures of a classifier: confusion, calibration of its probabilities, novelty and distances.

```
confusion    confusion matrix, one class against the rest, the pairs most confused, another base rate
calibration  log-loss, Brier score, calibration error, reliability
frechet      how far made images are from real ones
bleu         how much of a translation a reference has
novelty      whether an image is like anything seen
conformal    sets of classes that hold the truth as often as asked
regions      masks of pixels: intersection over union
boxes        boxes around things: overlap, average precision
keypoints    points on things: the share near enough, COCO's likeness
bootstrap    intervals of such measures, by drawing the images anew
```

Novelty and conformal sets work on tensors. These and the rooms below them are imported from their modules.
"""

from bayesight.evaluation.calibration import (
    Answers,
    Reliability,
    brier_score,
    expected_calibration_error,
    log_loss,
    reliability,
)
from bayesight.evaluation.confusion import (
    ConfusedPair,
    OneVsRest,
    accuracy,
    at_prior,
    confusion_matrix,
    most_confused,
    never_named,
    no_better_than,
    one_vs_rest,
    sparse_confusion,
)
from bayesight.evaluation.frechet import FeatureMoments, class_entropy, frechet_distance, moments

__all__ = [
    "Answers",
    "ConfusedPair",
    "FeatureMoments",
    "OneVsRest",
    "Reliability",
    "accuracy",
    "at_prior",
    "brier_score",
    "class_entropy",
    "confusion_matrix",
    "expected_calibration_error",
    "frechet_distance",
    "log_loss",
    "moments",
    "most_confused",
    "never_named",
    "no_better_than",
    "one_vs_rest",
    "reliability",
    "sparse_confusion",
]
