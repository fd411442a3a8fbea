"""Reports: results in, one HTML file out that opens offline, in light and dark, on a phone and on paper.

```
sections  a result -> a heading with words, figures, tables; one function a section
figures   data -> one SVG
page      a report -> HTML
```
"""

from bayesight.bayes.rates import Estimate
from bayesight.report.blocks import Card, Section, Step
from bayesight.report.page import Report, render, save
from bayesight.report.sections.belief import (
    base_rates,
    belief_steps,
    counted_people,
    novelty,
    posterior_by_prevalence,
    update_change,
)
from bayesight.report.sections.causation import causal_graph, seeing_and_doing, strata_table
from bayesight.report.sections.data import (
    Picture,
    duplicates,
    generated_images,
    mistakes,
    network_input,
    quarantine,
    reconstructions,
    suspicious_labels,
)
from bayesight.report.sections.evaluation import (
    PrecisionCurve,
    confusion_table,
    per_class,
    precision_curves,
    reliability_diagram,
    summary,
)
from bayesight.report.sections.overview import class_counts, learning_curves, prose, steps, training
from bayesight.report.sections.shifting import shift_table
from bayesight.report.sections.tasks import cases, measures_by_class, telling

__all__ = [
    "Card",
    "Estimate",
    "Picture",
    "PrecisionCurve",
    "Report",
    "Section",
    "Step",
    "base_rates",
    "belief_steps",
    "cases",
    "causal_graph",
    "class_counts",
    "confusion_table",
    "counted_people",
    "duplicates",
    "generated_images",
    "learning_curves",
    "measures_by_class",
    "mistakes",
    "network_input",
    "novelty",
    "per_class",
    "posterior_by_prevalence",
    "precision_curves",
    "prose",
    "quarantine",
    "reconstructions",
    "reliability_diagram",
    "render",
    "save",
    "seeing_and_doing",
    "shift_table",
    "steps",
    "strata_table",
    "summary",
    "suspicious_labels",
    "telling",
    "training",
    "update_change",
]
