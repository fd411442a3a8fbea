"""From data to one inline SVG: no page around it, no colours but roles, no state between calls.

```
drawing  SVG by hand, colours by role     axes   charts with axes
lines    lines over an axis               rows   one row a name
scores   reliability, novelty             matrix the confusion heat map
dots     a thousand people                graph  causes and effects
```
"""

from bayesight.report.figures.dots import people_dots
from bayesight.report.figures.graph import causal_graph
from bayesight.report.figures.lines import Line, line_chart, rate_curve
from bayesight.report.figures.matrix import confusion_heat_map
from bayesight.report.figures.rows import belief_bars, count_bars, interval_rows
from bayesight.report.figures.scores import novelty_histogram, reliability_diagram

__all__ = [
    "Line",
    "belief_bars",
    "causal_graph",
    "confusion_heat_map",
    "count_bars",
    "interval_rows",
    "line_chart",
    "novelty_histogram",
    "people_dots",
    "rate_curve",
    "reliability_diagram",
]
