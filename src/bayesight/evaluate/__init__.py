"""How good a classifier is, in numbers: who is taken for whom, and whether its probabilities hold.

```
confusion    confusion matrix, one class against the rest, the pairs most confused, another base rate
calibration  log-loss, Brier score, calibration error, reliability
```
"""

from bayesight.evaluate.calibration import (
    Reliability,
    brier_score,
    expected_calibration_error,
    log_loss,
    reliability,
)
from bayesight.evaluate.confusion import (
    ConfusedPair,
    OneVsRest,
    accuracy,
    at_prior,
    confusion_matrix,
    most_confused,
    one_vs_rest,
)

__all__ = [
    "ConfusedPair",
    "OneVsRest",
    "Reliability",
    "accuracy",
    "at_prior",
    "brier_score",
    "confusion_matrix",
    "expected_calibration_error",
    "log_loss",
    "most_confused",
    "one_vs_rest",
    "reliability",
]
