"""The answer of ``bayesight data inspect`` about a store: one document for programs, one text for people."""

from __future__ import annotations

import re
from typing import Any

from bayesight.checks import check
from bayesight.data.audit import Audit
from bayesight.data.notes import notes, source_facts
from bayesight.data.store import Store
from bayesight.frame import FITS, Fit

__all__ = ["parse_fit", "parse_size", "report_document", "report_text"]

_SHOWN = 10
_BAR = 30


def parse_size(text: str) -> tuple[int, int]:
    """A side, or HEIGHTxWIDTH.

    Raises:
        InvalidInput: neither of the two.

    Example:
        >>> parse_size("28"), parse_size("32x24")
        ((28, 28), (32, 24))
    """
    found = re.fullmatch(r"(\d{1,6})(?:[xX×](\d{1,6}))?", text.strip())
    check(found is not None, "--size", f"got {text!r}", "a side or HEIGHTxWIDTH, like 28 or 32x24")
    assert found is not None
    return int(found[1]), int(found[2] or found[1])


def parse_fit(text: str | None) -> Fit:
    """The way images of another shape are brought to the size; crop where nothing is said.

    Raises:
        InvalidInput: none of the three.
    """
    found: Fit | None = next((fit for fit in FITS if fit == (text or "crop")), None)
    check(found is not None, "--fit", f"got {text!r}", "crop, pad or stretch")
    assert found is not None
    return found


def report_document(store: Store, found: Audit) -> dict[str, Any]:
    """The keys of the command's JSON."""
    manifest = store.manifest
    return {
        "source": manifest.source,
        "classes": manifest.counts,
        "examples": _with_class(store),
        "without_class": len(store) - _with_class(store),
        "parts": manifest.parts,
        "shape": list(manifest.shape),
        "mode": manifest.mode,
        "choice": manifest.choice,
        "fitted": manifest.fitted,
        "imbalance": round(found.imbalance, 4),
        **source_facts(store),
        "duplicates": found.as_dict(),
        "content_hash": manifest.content_hash,
        "store": str(store.folder),
    }


def report_text(store: Store, found: Audit) -> str:
    """The same for people."""
    manifest = store.manifest
    lines = [
        f"{manifest.source}",
        f"{_with_class(store):,} images in {len(store.classes)} class"
        f"{'' if len(store.classes) == 1 else 'es'}{_others(store)}; "
        f"{manifest.choice}.",
        "",
        *_class_table(manifest.counts),
        "",
    ]
    if found.imbalance > 1.5:
        lines.append(f"The largest class has {found.imbalance:.3g} times as many images as the smallest.")
    lines += _quarantine(store)
    lines += [f"{note[0].upper()}{note[1:]}." for note in notes(store)]
    lines += _duplicates(found)
    lines.append(f"Stored in {store.folder}")
    return "\n".join(lines)


def _with_class(store: Store) -> int:
    """Images that have a class; all of them where classes were not asked for."""
    return sum(store.manifest.counts.values()) if store.manifest.counts else len(store)


def _others(store: Store) -> str:
    many = len(store) - _with_class(store)
    return f", {many:,} without a class" if many else ""


def _class_table(counts: dict[str, int]) -> list[str]:
    if not counts:
        return ["without classes"]
    width = max(len("class"), *(len(name) for name in counts))
    most = max(counts.values())
    lines = [f"  {'class':<{width}}  {'images':>9}"]
    for name, number in counts.items():
        lines.append(f"  {name:<{width}}  {number:>9,}  {'█' * max(1, round(_BAR * number / most))}")
    return lines


def _quarantine(store: Store) -> list[str]:
    entries = store.manifest.quarantined
    if not entries:
        return ["No file was broken."]
    lines = ["Files left out:"]
    lines += [f"  {entry.path}: {entry.reason}" for entry in entries[:_SHOWN]]
    if len(entries) > _SHOWN:
        lines.append(f"  and {len(entries) - _SHOWN:,} more (--json names them all)")
    return lines


def _duplicates(found: Audit) -> list[str]:
    if not found.groups:
        lines = ["No image is there twice."]
    else:
        lines = [
            f"{found.groups:,} image{' is' if found.groups == 1 else 's are'} there more than once "
            f"({found.extra:,} cop{'y' if found.extra == 1 else 'ies'} too many); "
            "copies never lie on both sides of a split."
        ]
    if found.across:
        lines.append(f"{found.across:,} of them lie under different labels, so some of these are wrong:")
        for conflict in found.conflicts[:_SHOWN]:
            given = ", ".join(f"{number} as {name}" for name, number in conflict.labels.items())
            lines.append(
                f"  {given}: {', '.join(conflict.paths[:4])}{' ...' if len(conflict.paths) > 4 else ''}"
            )
    if found.across_parts:
        lines.append(
            f"{found.across_parts:,} images lie in several parts of the source; training leaves them out."
        )
    if found.near is not None:
        total = found.near_pairs or 0
        pairs = "1 pair of images looks" if total == 1 else f"{total:,} pairs of images look"
        more = f"; the {len(found.near):,} most alike:" if len(found.near) < total else ":"
        more = more if found.near else "."
        lines.append(f"{pairs} alike without being equal{more}")
        for pair in found.near:
            note = "" if pair.same_class else " (different classes)"
            lines.append(f"  {pair.first} and {pair.second}{note}")
    return lines
