"""A milestone's card, written by the run itself so that it cannot drift: a page, its curves, its pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from bayesight.data.codecs import gif_of, png_of
from bayesight.files import write_atomic
from bayesight.milestones.bench.claim import KEYS, Arm, Curve, Measurement, Milestone
from bayesight.milestones.bench.running import Outcome, writable
from bayesight.report.figures import Line, line_chart

_INK = (
    "<style>svg{color:#1f2328;font-variant-numeric:tabular-nums}"
    "@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"
)
"""A drawing on its own takes its ink from the reader's preference, not from a page around it."""


def write_card(outcome: Outcome, folder: Path) -> Path:
    """Write NAME.md, NAME.json, NAME.svg and a PNG or GIF a picture; each is the old one or the new one.

    Returns:
        The page.

    Raises:
        StorageFailed: the folder cannot be written.
    """
    writable(folder)
    name, pictures = outcome.milestone.name, {}
    for number, (caption, image) in enumerate(_pictures(outcome).items(), 1):
        film = image.ndim == 4
        file = f"{name}-{number}.{'gif' if film else 'png'}"
        write_atomic(folder / file, gif_of(image) if film else png_of(image, small=True))
        pictures[caption] = file
    drawing = curves_svg(outcome)
    if drawing:
        write_atomic(folder / f"{name}.svg", drawing)
    write_atomic(folder / f"{name}.json", json.dumps(outcome.as_dict(), indent=1, ensure_ascii=False) + "\n")
    page = folder / f"{name}.md"
    write_atomic(page, markdown(outcome, pictures, curves=bool(drawing)))
    return page


def markdown(outcome: Outcome, pictures: dict[str, str], *, curves: bool = True) -> str:
    """The page: claim, source, verdicts, figures, the four keys, differences, how to run it again.

    Args:
        outcome: what was measured.
        pictures: file names by caption.
        curves: whether there is a drawing NAME.svg.
    """
    m, paper = outcome.milestone, outcome.milestone.paper
    state = "Reproduced" if outcome.reproduced else "Not reproduced"
    budget = " (a smoke run, at a small budget and with bounds to suit)" if outcome.smoke else ""
    sections = [
        f"# {m.name} ({m.year})",
        m.claim,
        f"{paper.authors}: [{paper.title}]({paper.link}), {paper.venue}. The paper's figure: {m.figure} "
        f"It displaced {m.displaced}.",
        f"## {state}{budget}",
        _table(
            ["claim", "measured", "bound", "holds"],
            [
                [v.sentence, _figure(v.measured), _figure(v.bound), "yes" if v.holds else "**no**"]
                for v in outcome.verdicts
            ],
        ),
        f"Data: {outcome.origin}. Seeds: {', '.join(map(str, outcome.seeds))}; figures are the median, with "
        f"the smallest and the largest in brackets. All of it took {outcome.seconds / 60:.1f} minutes.",
        _measurements(outcome),
        "\n".join(f"- `{metric}`: {meaning}" for metric, meaning in m.metrics.items()),
    ]
    if curves:
        sections += [f"![{m.watched} of every arm]({m.name}.svg)"]
        if len(outcome.seeds) > 1:
            sections += ["Lines are medians over the seeds, bands reach from the smallest to the largest."]
    for caption, file in pictures.items():
        sections += [f"![{caption}]({file})", f"*{caption}*"]
    sections += ["## The four keys", m.story, _recipes(m.arms), _contrasts(m)]
    if m.differences:
        sections += [
            "## Departures from the paper, on purpose",
            "\n".join(f"- {one}" for one in m.differences),
        ]
    if m.notes:
        sections += ["## Notes", *m.notes]
    sections += ["## Run it", f"```console\n$ {_command(outcome)}\n```"]
    return "\n\n".join(part for part in sections if part) + "\n"


def curves_svg(outcome: Outcome) -> str:
    """The watched curves, each arm's median over the seeds; empty where nothing was watched."""
    lines = [line for arm in outcome.milestone.arms if (line := _line(arm.name, outcome.measured[arm.name]))]
    if not lines:
        return ""
    drawing = line_chart(lines, "step", outcome.milestone.watched, named=True)
    head, rest = drawing.split(">", 1)
    return f"{head}>{_INK}{rest}\n"


def write_index(milestones: Sequence[Milestone], folder: Path) -> Path:
    """Write README.md: the history in order, with the figures of the cards that are there."""
    page = folder / "README.md"
    write_atomic(page, index_page(milestones, folder))
    return page


def index_page(milestones: Sequence[Milestone], folder: Path) -> str:
    """The history in order, from the point of view of the four keys.

    Args:
        milestones: oldest first.
        folder: where the cards are; one that is not there is told without figures.
    """
    told, rows = [], []
    for m in milestones:
        found = _card(folder, m.name)
        link = f"[{m.name}]({m.name}.md)" if found else m.name
        state = "" if found is None else "yes" if found["reproduced"] else "no"
        if found is not None and found["smoke"]:
            state += " (smoke run)"
        rows.append([str(m.year), link, m.key, m.displaced, state])
        told.append(f"**{m.year}, {link}: the {m.key}.** {m.story}" + _measured_words(found))
    return (
        "\n\n".join(
            [
                "# Milestones",
                "A training run is stated in four keys: **data** (what it learns from), **model** "
                "(what it computes), **loss** (what counts as wrong), **optimization** (how the parameters "
                "move). Most papers that changed the field changed one of them and left the others alone. "
                "Here they are in order, each with its recipe beside its predecessor's, on one engine, and "
                "its claim measured.",
                _table(["year", "milestone", "key", "displaced", "reproduced"], rows),
                *told,
                "Run one with `bayesight milestones run NAME`; its card is written by the run itself. A card "
                "that says *not reproduced* is kept: it says at what size a claim does not show.",
            ]
        )
        + "\n"
    )


def _measured_words(found: dict[str, object] | None) -> str:
    if found is None:
        return ""
    verdicts = found["threshold"]
    assert isinstance(verdicts, list)
    words = [f"{v['sentence']}: {_figure(v['measured'])} against {_figure(v['bound'])}" for v in verdicts]
    return f" Measured on {found['data']}: {'; '.join(words)}."


def _card(folder: Path, name: str) -> dict[str, object] | None:
    try:
        document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _measurements(outcome: Outcome) -> str:
    rows = []
    metrics = list(outcome.milestone.metrics)
    for arm in outcome.milestone.arms:
        cells = [arm.name]
        for metric in metrics:
            found = outcome.summary(arm.name, metric)
            spread = (
                ""
                if found is None or found.low == found.high
                else (f" ({_figure(found.low)} to {_figure(found.high)})")
            )
            cells.append("" if found is None else _figure(found.median) + spread)
        rows.append(cells)
    return _table(["arm", *(f"`{metric}`" for metric in metrics)], rows)


def _recipes(arms: Sequence[Arm]) -> str:
    rows = []
    for arm in arms:
        for recipe in arm.recipes:
            name = arm.name if len(arm.recipes) == 1 else f"{arm.name}: {recipe.stage}"
            rows.append([name, *(f"`{getattr(recipe, which)}`" for which in KEYS)])
    return _table(["arm", *KEYS], rows)


def _contrasts(m: Milestone) -> str:
    words = {
        f"{claim.arm} and {claim.against} differ in: {', '.join(claim.differs)}."
        for claim in m.claims
        if claim.against is not None
    }
    return " ".join(sorted(words))


def _command(outcome: Outcome) -> str:
    words = ["bayesight milestones run", outcome.milestone.name]
    own = outcome.milestone.smoke.seeds if outcome.smoke else outcome.milestone.seeds
    if outcome.smoke:
        words.append("--smoke")
    if len(outcome.seeds) != own:
        words.append(f"--seeds {len(outcome.seeds)}")
    if " from " in outcome.origin and "rendered" not in outcome.origin:
        words.append(f"--data {outcome.origin.rsplit(' from ', 1)[1]}")
    return " ".join(words)


def _line(name: str, ones: Sequence[Measurement]) -> Line | None:
    curves: list[Curve] = [one.curve for one in ones if one.curve]
    if not curves:
        return None
    shortest = min(len(one) for one in curves)
    x = [point[0] for point in curves[0][:shortest]]
    across = [[one[i][1] for one in curves] for i in range(shortest)]
    y = [median(values) for values in across]
    if len(curves) == 1:
        return Line(name, x, y)
    return Line(name, x, y, [min(v) for v in across], [max(v) for v in across])


def _pictures(outcome: Outcome) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """The first seed's pictures, by arm and caption."""
    return {
        f"{arm.name}: {caption}": image
        for arm in outcome.milestone.arms
        for caption, image in outcome.measured[arm.name][0].pictures.items()
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _figure(value: float) -> str:
    """A number as a card has it: whole ones whole, others with four figures, never a dozen.

    Example:
        >>> _figure(0.92346), _figure(61100840.0), _figure(3.2e-7)
        ('0.9235', '61,100,840', '3.2e-07')
    """
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
