"""From a section's data to the blocks a page draws: plain words, figures, tables.

One function a section. A new kind of section is a dataclass, a function here, and a line in ``VIEWS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bayesight.errors import UnknownName
from bayesight.report import beliefs, causes, sections, shift
from bayesight.report.blocks import Block, Words
from bayesight.report.views import belief, causation, data, evaluation, overview, shifting

__all__ = ["VIEWS", "View", "view"]


@dataclass(frozen=True)
class View:
    """A section ready to be drawn.

    Attributes:
        uid: unique on the page, and the anchor of the section.
        heading: its heading.
        blocks: what stands below it.
    """

    uid: str
    heading: str
    blocks: tuple[Block, ...]


VIEWS: Mapping[type[sections.Section], tuple[str, Callable[[Any, str], tuple[Block, ...]]]] = (
    MappingProxyType(
        {
            sections.Summary: ("In short", overview.summary),
            sections.Steps: ("Step by step", overview.steps),
            sections.Training: ("What was trained on what", overview.training),
            sections.ClassCounts: ("Examples of each class", overview.class_counts),
            sections.LearningCurves: ("How it learned", overview.learning_curves),
            sections.LossCurves: ("How the losses went", overview.loss_curves),
            sections.GeneratedImages: ("What it made", data.made),
            sections.Reconstructions: ("What its codes remember", data.remembered),
            sections.ConfusionTable: ("Who is taken for whom", evaluation.confusion),
            sections.PerClass: ("Each class as a test", evaluation.per_class),
            sections.PrecisionCurves: ("What a positive is worth elsewhere", evaluation.precision_curves),
            sections.ReliabilityDiagram: ("Do its probabilities come true?", evaluation.reliability),
            sections.Mistakes: ("Its most confident mistakes", data.mistakes),
            sections.SuspiciousLabels: ("Labels that look wrong", data.suspicious_labels),
            sections.Quarantine: ("What could not be read", data.quarantine),
            sections.Duplicates: ("Duplicates", data.duplicates),
            sections.Prose: ("", overview.prose),
            beliefs.BeliefSteps: ("From prior to posterior", belief.belief_steps),
            beliefs.NaturalFrequencies: ("Counted in people", belief.frequencies),
            beliefs.PosteriorByPrevalence: ("The same test elsewhere", belief.posterior_by_prevalence),
            beliefs.BaseRates: ("Base rates where it is used", belief.base_rates),
            beliefs.Novelty: ("Known and unknown", belief.novelty),
            beliefs.UpdateChange: ("Before and after the update", belief.update_change),
            causes.CausalGraph: ("Who causes whom", causation.graph),
            causes.SeeingAndDoing: ("Seeing and doing", causation.seeing_and_doing),
            causes.StrataTable: ("Like compared with like", causation.strata),
            shift.ShiftTable: ("Which of them holds", shifting.shift_table),
        }
    )
)
"""Kind of section to its own heading and the function that turns it into blocks."""


def view(section: sections.Section, number: int) -> View:
    """The section as blocks, with its note as a last paragraph.

    Args:
        section: one of the kinds in ``VIEWS``.
        number: its place on the page, from which its ids are made.

    Raises:
        UnknownName: a kind of section that has no view.
    """
    if type(section) not in VIEWS:
        raise UnknownName("section", type(section).__name__, [kind.__name__ for kind in VIEWS])
    heading, blocks_of = VIEWS[type(section)]
    uid = f"s{number}"
    blocks = blocks_of(section, uid)
    note: tuple[Block, ...] = (Words((section.note,)),) if section.note else ()
    return View(uid, section.heading or heading, (*blocks, *note))


def __dir__() -> list[str]:
    """The public names."""
    return __all__
