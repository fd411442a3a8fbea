"""``bayesight causal``: conditional beside interventional, paths of a graph, tables with a known truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.options import SeedOption, with_json
from bayesight.cli.output import progress_bar, say, write
from bayesight.formatting import columns, padded, percent
from bayesight.language import marked, retold, tr

if TYPE_CHECKING:
    from bayesight.causal import EffectEstimate
    from bayesight.workflows.causal import CausalAnswer, PathsAnswer, SimulatedTable

causal_app = typer.Typer(
    name="causal",
    help="Seeing beside doing: what goes with what, and what would happen.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

TreatmentOption = Annotated[str, typer.Option("--treatment", help="The variable that would be set.")]
OutcomeOption = Annotated[str, typer.Option("--outcome", help="The variable that is looked at.")]
UnobservedOption = Annotated[
    list[str] | None,
    typer.Option("--unobserved", metavar="NAME", help="A variable nobody measured; repeat. U* always is."),
]
DirectFlag = Annotated[
    bool,
    typer.Option(
        "--direct", help="Only the direct effect: what goes by way of other variables is held fixed."
    ),
]


@causal_app.command("effect")
@with_json
def effect(
    table: Annotated[str, typer.Argument(help="A CSV or Parquet file, or example:NAME.")],
    treatment: TreatmentOption = "",
    outcome: OutcomeOption = "",
    graph: Annotated[str, typer.Option(help='"Z->T,Z->Y,T->Y", DOT, or a file with either.')] = "",
    reference: Annotated[
        str, typer.Option(metavar="VALUE", help="Treatment the others are compared with.")
    ] = "",
    success: Annotated[str, typer.Option(metavar="VALUE", help="Outcome that counts as 1.")] = "",
    adjust: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Hold these fixed, whatever the graph says (default: found from the graph).",
        ),
    ] = None,
    direct: DirectFlag = False,
    on: Annotated[
        str,
        typer.Option(
            "--effect",
            metavar="ate|att|atc|overlap",
            help="On everybody, on the treated, on the untreated, or on those who could have been either.",
        ),
    ] = "ate",
    unobserved: UnobservedOption = None,
    counts: Annotated[
        str, typer.Option(metavar="COLUMN", help="How many rows each line stands for; 'none': one.")
    ] = "",
    weights: Annotated[str, typer.Option(metavar="COLUMN", help="Sampling weights.")] = "",
    numeric: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Continuous, however few its values; repeat.")
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Names, even if they look like numbers; repeat."),
    ] = None,
    drop_missing: Annotated[bool, typer.Option("--drop-missing", help="Leave rows with gaps out.")] = False,
    level: Annotated[float, typer.Option(help="Probability inside each interval.")] = 0.95,
    bayes: Annotated[
        bool, typer.Option("--bayes", help="Also Bayesian intervals (Dirichlet and Beta).")
    ] = False,
    refute: Annotated[bool, typer.Option("--refute", help="Also try to break the answer.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a report (default: none).")
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Compare rows as they are, and say what would happen if the treatment were set.

    Examples: example:kidney-stones, example:berkeley, example:ice-cream, example:birth-weight.

    Example: bayesight causal effect example:kidney-stones --refute
    """
    from bayesight.workflows.causal import CausalRequest, causal_effect

    request = CausalRequest(
        table=table,
        treatment=treatment,
        outcome=outcome,
        graph=graph,
        reference=reference,
        success=success,
        adjust=None if adjust is None else _names(adjust),
        direct=direct,
        effect=on,
        unobserved=_all(unobserved),
        counts=counts,
        weights=weights,
        numeric=_all(numeric),
        text=_all(text),
        drop_missing=drop_missing,
        level=level,
        bayes=bayes,
        refute=refute,
        seed=seed,
    )
    with progress_bar("reading", unit="rows") as progress:
        found = causal_effect(request, progress)
    if report is not None:
        from bayesight.workflows.causal import causal_report

        say(marked(f"report: {causal_report(found, report)}"))
    write(found.as_dict(), _tell(found))


@causal_app.command("paths")
@with_json
def paths(
    graph: Annotated[str, typer.Argument(help='"Z->T,Z->Y,T->Y", DOT, or a file with either.')],
    treatment: TreatmentOption,
    outcome: OutcomeOption,
    given: Annotated[
        str, typer.Option(metavar="A,B,...", help="Held fixed: which paths are open then?")
    ] = "",
    direct: DirectFlag = False,
    unobserved: UnobservedOption = None,
) -> None:
    """List every path between two variables, its kind, whether it is open, and what to hold fixed.

    Example: bayesight causal paths "Z->T,Z->Y,T->Y" --treatment T --outcome Y
    """
    from bayesight.workflows.causal import causal_paths

    found = causal_paths(
        graph, treatment, outcome, given=_names(given), unobserved=_all(unobserved), direct=direct
    )
    write(found.as_dict(), _tell_paths(found))


@causal_app.command("simulate")
@with_json
def simulate(
    graph: Annotated[str, typer.Argument(help='"Z->T,Z->Y,T->Y", DOT, or a file with either.')],
    out: Annotated[Path, typer.Option(metavar="T.csv", help="CSV or Parquet file to write.")],
    rows: Annotated[int, typer.Option(help="Lines to draw.")] = 1000,
    kind: Annotated[str, typer.Option(help="linear (Gaussian) or discrete (tables of 0 and 1).")] = "linear",
    treatment: TreatmentOption = "",
    outcome: OutcomeOption = "",
    unobserved: UnobservedOption = None,
    seed: SeedOption = 0,
) -> None:
    """Draw a table from a graph, and print the true effect.

    Example: bayesight causal simulate "Z->T,Z->Y,T->Y" --rows 2000 --kind discrete --out drawn.csv
    """
    from bayesight.workflows.causal import causal_simulate

    found = causal_simulate(
        graph,
        out,
        rows=rows,
        kind=kind,
        seed=seed,
        treatment=treatment,
        outcome=outcome,
        unobserved=_all(unobserved),
    )
    write(found.as_dict(), _tell_simulated(found))


def _tell(found: CausalAnswer) -> str:
    from bayesight.causal.question import ON_WHOM

    document = found.as_dict()
    effect = found.effect
    lines = [effect.warning, ""] if effect.warning else []
    lines += [found.title] if found.title else []
    lines += [marked(f"graph: {document['graph']}"), tr("{rows:,.0f} rows", rows=effect.rows)]
    lines += [*(use.sentence for use in found.columns), *found.notes, ""]
    treatment, outcome = document["treatment"], document["outcome"]
    head = (
        marked(f"Effect of {treatment} on {outcome} (direct): {_how(document)}")
        if effect.question.direct
        else marked(f"Effect of {treatment} on {outcome}: {_how(document)}")
    )
    lines += [head, ""]
    lines += _answer_lines(marked("as they are"), effect.conditional, effect.question.level)
    for answer in (effect.adjusted,) if effect.adjusted else effect.instead:
        title = marked(f"if it were set, {ON_WHOM[answer.on]} ({answer.method})")
        lines += _answer_lines(title, answer, effect.question.level)
    if effect.adjusted is None and not effect.warning:
        lines += [tr("Cannot be known: {reason}.", reason=retold(document["reason"])), ""]
    if effect.reversal:
        lines += [effect.reversal.sentence, ""]
    if effect.warning and effect.adjusted is None:
        lines.append(
            marked(f"What models say of {ON_WHOM[effect.question.effect]}, none of them the answer:")
        )
    lines += [f"{retold(a.method)}: {_interval(a.effect)}" for a in effect.others]
    if found.bayes:
        lines += _answer_lines(marked("Bayesian, if it were set"), found.bayes, effect.question.level)
    if found.exact:
        lines.append(found.exact.sentence)
    if effect.e_value:
        e = effect.e_value
        lines.append(
            marked(
                f"E-value {e.value:.2f} (interval {e.bound:.2f}): something unmeasured would have to go with "
                "both treatment and outcome by this factor to explain the effect away."
            )
        )
    for r in found.refutations:
        verdict = marked("holds") if r.passed else marked("FAILS")
        lines.append(marked(f"{r.name}: {_interval(r.effect)}, expected {r.expected}: {verdict}"))
    lines += [note for note in effect.notes if not (found.columns and note.startswith("The outcome counts"))]
    lines += _forbidden(found.forbidden)
    if found.source:
        lines += ["", marked(f"Source: {found.source}.")]
    return "\n".join(lines)


def _answer_lines(title: str, answer: EffectEstimate, level: float) -> list[str]:
    rows = [(name, e) for name, e in answer.means.items()]
    rows += [(f"{d.of} - {d.versus}", d.estimate) for d in answer.differences]
    if answer.slope is not None:
        rows.append((tr("for one more unit"), answer.slope))
    width = max(columns(name) for name, _ in rows)
    head = tr("{title}, {level} intervals", title=retold(title), level=percent(level, 0))
    return [head, *(f"  {padded(name, width)}  {_interval(e)}" for name, e in rows), ""]


def _how(document: dict[str, Any]) -> str:
    held = document["adjustment_set"]
    if held is not None:
        if document.get("minimal_sets") and held not in document["minimal_sets"]:
            return marked(f"holding {', '.join(held) or 'nothing'} fixed, as you asked")
        more = len(document.get("minimal_sets", [])) - 1
        how = marked(f"hold {', '.join(held)} fixed") if held else marked("nothing has to be held fixed")
        if more == 1:
            return marked(f"{how} (1 other minimal set)")
        return marked(f"{how} ({more} other minimal sets)") if more > 1 else how
    if not document["identified"]:
        return marked("not identified")
    if document["strategy"] == "front-door":
        return marked(f"through the front door, {', '.join(document['mediators'])}")
    if document["given"]:
        return marked(f"by the instrument {document['instrument']} given {', '.join(document['given'])}")
    return marked(f"by the instrument {document['instrument']}")


def _tell_paths(found: PathsAnswer) -> str:
    document = found.as_dict()
    width = max((columns(p["path"]) for p in found.paths), default=0)
    lines = []
    for p in found.paths:
        kind = tr(p["kind"])
        if p["colliders"] and p["kind"] != "collider":
            kind = tr("{kind}, collider {names}", kind=kind, names=", ".join(p["colliders"]))
        blocked = ", ".join(p["blocked_by"])
        told = (
            tr("{kind}, open", kind=kind)
            if p["open"]
            else tr("{kind}, blocked by {names}", kind=kind, names=blocked)
        )
        lines.append(f"{padded(p['path'], width)}  {told}")
    if not lines:
        lines = [marked(f"no path between {found.treatment} and {found.outcome}")]
    if not found.complete:
        lines.append(marked("... and more"))
    lines += [
        "",
        _how(document)
        if document["identified"]
        else tr("not identified: {reason}", reason=retold(document["reason"])),
    ]
    for others in document.get("minimal_sets", [])[1:6]:
        lines.append(marked(f"  or {', '.join(others)}"))
    if not document.get("all_minimal_sets_listed", True):
        lines.append(marked("  and more sets than were listed"))
    lines += _forbidden(found.forbidden)
    return "\n".join(lines)


def _forbidden(found: Mapping[str, str]) -> list[str]:
    """Lines of the variables better left alone."""
    return [tr("{name} {reason}.", name=name, reason=retold(why)) for name, why in found.items()]


def _tell_simulated(found: SimulatedTable) -> str:
    columns = ", ".join(found.columns)
    lines = [tr("{path}: {rows:,} rows of {columns}", path=found.path, rows=found.rows, columns=columns)]
    if found.effect is not None:
        unit = marked("slope") if found.kind == "linear" else marked("difference of probabilities")
        lines.append(
            marked(f"true effect of {found.treatment} on {found.outcome}: {found.effect:.6g} ({unit})")
        )
    return "\n".join(lines)


def _interval(e: Any) -> str:
    spread = tr("{low} to {high}", low=f"{e.low:.4g}", high=f"{e.high:.4g}")
    return f"{e.mean:.4g}  ({spread})"


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _all(values: list[str] | None) -> tuple[str, ...]:
    return tuple(values or ())
