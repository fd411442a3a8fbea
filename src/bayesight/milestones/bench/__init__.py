"""The bench that milestones share: the types of a claim, data, trials, the run that measures, and the card.

```
claim       arms in four keys, claims, verdicts      sources     letters and text, no download
workbench   what a trial works with                  running     every arm with every seed, kept as it goes
card        the page, the curves, the pictures       pictures    images and play as trials take and show them
```

Trials, each of a kind of recipe:

```
lines       a line through points                    classifying a classifier of letters
kernels     a kernel machine                         language    a language model
rates       an optimizer, the best of some rates     detecting   boxes, from a map of centres or from windows
generating  a model that makes images; an image through a few numbers and back
few_labels  what was learned without labels          playing     a Q-network that plays
shifting    a clue that turns round                  coloured    the letters in colour that it is shown
posing      a network that finds key points
```

A milestone's file imports from these modules by name.
"""

__all__: list[str] = []
