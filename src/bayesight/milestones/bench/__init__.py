"""What milestones share: the types of a claim, data, trials, the run that measures, and the card.

```
claim       arms in four keys, claims, verdicts      sources     letters and text, no download
workbench   what a trial works with                  running     every arm with every seed, kept as it goes
classifying the trial of a classifier                card        the page, the curves, the pictures
```

A milestone's file imports from these modules by name.
"""

__all__: list[str] = []
