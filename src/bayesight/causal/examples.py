"""Tables that made history, each with its graph, its question and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bayesight.causal.sample import Sample, sample_of
from bayesight.errors import UnknownName
from bayesight.language import marked
from bayesight.seeding import numpy_generator


@dataclass(frozen=True)
class Example:
    """A table with its question.

    Attributes:
        name: as it is asked for.
        title: what it is about.
        source: where the numbers come from.
        graph: the causal assumptions.
        treatment: the variable that would be set.
        outcome: the variable that is looked at.
        reference: the treatment others are compared with.
        success: the outcome that counts; empty for a number.
        direct: whether the question is for the direct effect.
        make: the table.
    """

    name: str
    title: str
    source: str
    graph: str
    treatment: str
    outcome: str
    reference: str
    success: str
    direct: bool
    make: Callable[[], Sample]


def example(name: str) -> Example:
    """An example by name.

    Raises:
        UnknownName: there is none of that name.

    Example:
        >>> example("kidney-stones").make().total
        700.0
    """
    if name not in EXAMPLES:
        raise UnknownName("example", name, EXAMPLES)
    return EXAMPLES[name]


def _kidney_stones() -> Sample:
    cells = [
        ("small", "A", 81, 87),
        ("large", "A", 192, 263),
        ("small", "B", 234, 270),
        ("large", "B", 55, 80),
    ]
    return _shares(("size", "treatment"), "success", ("yes", "no"), cells)


def _berkeley() -> Sample:
    """Admitted and rejected men and women in the six largest departments."""
    men = {"A": (512, 313), "B": (353, 207), "C": (120, 205), "D": (138, 279), "E": (53, 138), "F": (22, 351)}
    women = {"A": (89, 19), "B": (17, 8), "C": (202, 391), "D": (131, 244), "E": (94, 299), "F": (24, 317)}
    cells = [
        (department, sex, admitted, admitted + rejected)
        for sex, table in (("male", men), ("female", women))
        for department, (admitted, rejected) in table.items()
    ]
    return _shares(("department", "sex"), "admitted", ("yes", "no"), cells)


def _ice_cream() -> Sample:
    """Three summers and winters of days: warmth sells ice cream and sends people swimming."""
    rng = numpy_generator(1, "ice cream")
    days = np.arange(3 * 365)
    temperature = 17 - 10 * np.cos(2 * np.pi * days / 365) + rng.normal(0, 3, len(days))
    ice_cream = np.maximum(10 * temperature + rng.normal(0, 40, len(days)), 0).round()
    drownings = rng.poisson(0.1 * np.maximum(temperature, 0))
    return sample_of({"temperature": temperature.round(1), "ice_cream": ice_cream, "drownings": drownings})


def _birth_weight() -> Sample:
    """A million births from a stated model: smoking and a rare defect both make babies light.

    Smoking: 25 %. Defect: 1 %. Light: 5 %, with smoking 10 %, with the defect 60 %, with both 65 %. Death
    before the first birthday: 4 in 1,000, with smoking 5, three times as many when light, with the defect
    200.
    """
    counts: dict[tuple[str, str, str], float] = {}
    for smoking in (0, 1):
        for defect in (0, 1):
            light_p = (0.60 + 0.05 * smoking) if defect else (0.05 + 0.05 * smoking)
            for light in (0, 1):
                death_p = 0.2 if defect else (0.004 + 0.001 * smoking) * (3 if light else 1)
                share = (0.25 if smoking else 0.75) * (0.01 if defect else 0.99)
                share *= light_p if light else 1 - light_p
                for death in (0, 1):
                    key = (_yes(smoking), _yes(light), _yes(death))
                    n = 1_000_000 * share * (death_p if death else 1 - death_p)
                    counts[key] = counts.get(key, 0.0) + n
    columns = {name: [key[i] for key in counts] for i, name in enumerate(("smoking", "light", "death"))}
    return sample_of(columns, counts=[round(n) for n in counts.values()])


def _shares(
    names: tuple[str, str], outcome: str, values: tuple[str, str], cells: list[tuple[str, str, int, int]]
) -> Sample:
    """A table from how many of how many in each cell."""
    rows = [(a, b, v, n) for a, b, some, of in cells for v, n in zip(values, (some, of - some), strict=True)]
    columns = {name: [row[i] for row in rows] for i, name in enumerate((*names, outcome))}
    return sample_of(columns, counts=[row[3] for row in rows])


def _yes(value: int) -> str:
    return "yes" if value else "no"


EXAMPLES: Mapping[str, Example] = MappingProxyType(
    {
        e.name: e
        for e in (
            Example(
                "kidney-stones",
                marked("Open surgery (A) or a keyhole (B) against kidney stones"),
                marked(
"Charig, Webb, Payne and Wickham 1986, BMJ 292:879-882; 700 patients, as retold by Julious "
                "and Mullee 1994, BMJ 309:1480"
),
                "size -> treatment, size -> success, treatment -> success",
                "treatment", "success", "B", "yes", False, _kidney_stones,
            ),
            Example(
                "berkeley",
                marked("Admission to Berkeley's graduate school in 1973, men and women"),
                marked(
"Bickel, Hammel and O'Connell 1975, Science 187:398-404; the six largest departments, counts "
                "as in Freedman, Pisani and Purves, Statistics, chapter 2"
),
                "sex -> department, sex -> admitted, department -> admitted",
                "sex", "admitted", "female", "yes", True, _berkeley,
            ),
            Example(
                "ice-cream",
                marked("Ice cream sold and people drowned, day by day"),
                marked("simulated: warmth raises both, and neither touches the other"),
                "temperature -> ice_cream, temperature -> drownings",
                "ice_cream", "drownings", "", "", False, _ice_cream,
            ),
            Example(
                "birth-weight",
                marked("Smoking, birth weight and death before the first birthday"),
                marked(
"simulated from a stated model, after Hernández-Díaz, Schisterman and Hernán 2006, American "
                "Journal of Epidemiology 164:1115-1120, who explain the paradox of real births"
),
                "smoking -> light, smoking -> death, light -> death, U_defect -> light, U_defect -> death",
                "smoking", "death", "no", "yes", False, _birth_weight,
            ),
        )
    }
)  # fmt: skip
"""Name to example."""
