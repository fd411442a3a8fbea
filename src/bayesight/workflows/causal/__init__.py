"""The causal job: an effect from a table, the paths of a graph, a table drawn from one, and the report.

``effect`` is what is asked and answered of a table, ``answer`` its document, ``graphs`` what needs no table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.workflows.causal.answer import CausalAnswer as CausalAnswer
    from bayesight.workflows.causal.answer import ColumnUse as ColumnUse
    from bayesight.workflows.causal.effect import CausalRequest as CausalRequest
    from bayesight.workflows.causal.effect import causal_effect as causal_effect
    from bayesight.workflows.causal.graphs import PathsAnswer as PathsAnswer
    from bayesight.workflows.causal.graphs import SimulatedTable as SimulatedTable
    from bayesight.workflows.causal.graphs import causal_paths as causal_paths
    from bayesight.workflows.causal.graphs import causal_simulate as causal_simulate
    from bayesight.workflows.causal.report import causal_report as causal_report
    from bayesight.workflows.causal.report import causal_sections as causal_sections

__getattr__, __dir__, __all__ = door(__name__)
