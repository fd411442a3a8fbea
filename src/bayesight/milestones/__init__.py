"""The papers that changed the field, each claim measured on the one engine.

```
catalogue every milestone by name       papers   one file a paper: recipes in four keys, and the claim
bench     what they share: claims, data, trials, the run, the card
shift     the arms of irm as methods to choose between: a table and a report
```
"""

from bayesight.milestones.bench.card import write_card, write_index
from bayesight.milestones.bench.claim import (
    Arm,
    Claim,
    Keys,
    Measurement,
    Milestone,
    Paper,
    RecipeKey,
    Smoke,
    differing_keys,
    key,
)
from bayesight.milestones.bench.running import Outcome, Setting, run
from bayesight.milestones.bench.workbench import Bench
from bayesight.milestones.catalogue import find, gallery, names

__all__ = [
    "Arm",
    "Bench",
    "Claim",
    "Keys",
    "Measurement",
    "Milestone",
    "Outcome",
    "Paper",
    "RecipeKey",
    "Setting",
    "Smoke",
    "differing_keys",
    "find",
    "gallery",
    "key",
    "names",
    "run",
    "write_card",
    "write_index",
]
