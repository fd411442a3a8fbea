"""Reports: plain data in, one HTML file out that opens offline, in light and dark, on a phone and on paper.

```
sections  what can be said of a classifier     beliefs  of belief     causes  of cause and effect; plain data
figures   data -> one SVG                       views    a section -> words, figures, tables
page      a report -> HTML
```
"""

from bayesight.bayes.rates import Estimate
from bayesight.report.beliefs import (
    BaseRates,
    BeliefStep,
    BeliefSteps,
    Measure,
    NaturalFrequencies,
    Novelty,
    PosteriorByPrevalence,
    UpdateChange,
)
from bayesight.report.causes import CausalGraph, SeeingAndDoing, StrataTable, Stratum, TitledAnswer
from bayesight.report.page import Report, render, save
from bayesight.report.sections import (
    ClassCounts,
    ClassReading,
    Conflict,
    ConfusionTable,
    Duplicates,
    GeneratedImages,
    LearningCurves,
    LossCurves,
    Mistakes,
    PerClass,
    Picture,
    PrecisionCurve,
    PrecisionCurves,
    Prose,
    Quarantine,
    Reconstructions,
    ReliabilityDiagram,
    Section,
    Source,
    Step,
    Steps,
    Summary,
    SuspiciousLabels,
    Training,
)
from bayesight.report.shift import ShiftMethod, ShiftTable

__all__ = [
    "BaseRates",
    "BeliefStep",
    "BeliefSteps",
    "CausalGraph",
    "ClassCounts",
    "ClassReading",
    "Conflict",
    "ConfusionTable",
    "Duplicates",
    "Estimate",
    "GeneratedImages",
    "LearningCurves",
    "LossCurves",
    "Measure",
    "Mistakes",
    "NaturalFrequencies",
    "Novelty",
    "PerClass",
    "Picture",
    "PosteriorByPrevalence",
    "PrecisionCurve",
    "PrecisionCurves",
    "Prose",
    "Quarantine",
    "Reconstructions",
    "ReliabilityDiagram",
    "Report",
    "Section",
    "SeeingAndDoing",
    "ShiftMethod",
    "ShiftTable",
    "Source",
    "Step",
    "Steps",
    "StrataTable",
    "Stratum",
    "Summary",
    "SuspiciousLabels",
    "TitledAnswer",
    "Training",
    "UpdateChange",
    "render",
    "save",
]
