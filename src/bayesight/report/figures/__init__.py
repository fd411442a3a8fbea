"""From data to one inline SVG: no page around it, no colours but roles, no state between calls.

```
ink      colours by role           drawing  SVG by hand            canvas  charts with axes
lines    lines over an axis        belief   reliability, evidence  matrix  the confusion heat map
bars     one row a name            dots     a thousand people      graph   causes and effects
```
"""

from bayesight.report.figures.bars import belief_bars, change_rows, count_bars, interval_rows
from bayesight.report.figures.belief import evidence_histogram, reliability_diagram
from bayesight.report.figures.dots import people_dots
from bayesight.report.figures.graph import GraphMarks, causal_graph
from bayesight.report.figures.lines import Line, learning_curve, line_chart, rate_curve
from bayesight.report.figures.matrix import confusion_heat_map

__all__ = [
    "GraphMarks",
    "Line",
    "belief_bars",
    "causal_graph",
    "change_rows",
    "confusion_heat_map",
    "count_bars",
    "evidence_histogram",
    "interval_rows",
    "learning_curve",
    "line_chart",
    "people_dots",
    "rate_curve",
    "reliability_diagram",
]
