"""Put a store into words: what was left out of a source, what was done to its images, and the whole of it.

The words are the same wherever a source is read; ``report_document`` and ``report_text`` are the answer of
``bayesight data inspect`` for programs and for people.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bayesight.checks import check
from bayesight.data.audit import Audit
from bayesight.data.labelled_texts import TextStore
from bayesight.data.members import HIDDEN
from bayesight.data.store import Store
from bayesight.errors import shown
from bayesight.formatting import capitalised, columns, padded, percent
from bayesight.frame import EIGHT_BIT, FITS, Fit, Frame, Range, Treatment
from bayesight.language import marked, retold, tr

_LOUD_CUT = 0.2
"""From this share of pixels cut away on, it is a warning."""

_REASONS = 3
_QUIET_CUT = 0.02
_SHOWN = 10
_BAR = 30


def notes(store: Store, *, whose: str = "") -> list[str]:
    """Sentences on what is not among the images, and on what was done to those that are.

    Args:
        store: the source as it was read.
        whose: "the run's " where its size, mode and levels are a run's.
    """
    return [*store.manifest.notes, *reading_notes(store, whose=whose)]


def reading_notes(store: Store, *, whose: str = "") -> list[str]:
    """The same, but for how its folders were taken."""
    return [*_left_out(store), *_treatment_notes(store, whose)]


def fitted_note(store: Store, whose: str = "") -> str:
    """The sentence on images of another size or mode than the store's; empty where there are none."""
    frame, many = store.manifest.frame, store.manifest.fitted
    if not many:
        return ""
    size, kind = f"{frame.height}x{frame.width}", marked("grey") if frame.mode == "L" else "RGB"
    if whose:
        return marked(f"{many:,} of {len(store):,} images were brought to the run's {size} {kind}")
    return marked(f"{many:,} of {len(store):,} images were brought to {size} {kind}")


def source_facts(store: Store, said: Sequence[str] | None = None, most: int | None = None) -> dict[str, Any]:
    """The same for programs: what was left out, what was done, and the sentences.

    Args:
        store: the source as it was read.
        said: the sentences, where there are others than ``notes``.
        most: how many files to name; None names all.
    """
    manifest = store.manifest
    return {
        "quarantined": [
            {"path": one.path, "reason": one.reason, "class": one.label}
            for one in manifest.quarantined[:most]
        ],
        "superseded": manifest.container.superseded,
        "container": asdict(manifest.container),
        "ignored": manifest.ignored,
        "ignored_kinds": [
            {"kind": kind.kind, "class": kind.label, "files": kind.files, "first": kind.path}
            for kind in manifest.passed[:most]
        ],
        "lost_classes": [
            {"class": one.name, "folder": one.folder, "files": dict(one.files)} for one in manifest.lost
        ],
        "levels": list(manifest.levels),
        "fit": manifest.fit,
        "treatment": asdict(manifest.treatment) | {"cut_share": round(manifest.treatment.cut_share, 4)},
        "notes": list(notes(store) if said is None else said),
    }


def _treatment_notes(store: Store, whose: str) -> list[str]:
    """Sentences on what was done to images."""
    done, frame = store.manifest.treatment, store.manifest.frame
    of, levels = marked(f"of {len(store):,} images"), str(Range(*frame.levels))
    levels = marked(f"the run's {levels}") if whose else levels
    said = [
        (done.fitted, fitted_note(store, whose)),
        (done.cut_share >= _QUIET_CUT, _cut_note(done, frame)),
        (
            done.deep and frame.levels != EIGHT_BIT,
            marked(f"{done.deep:,} {of} have more than 8 bits: {levels} became 0 to 255"),
        ),
        (
            done.clipped,
            marked(f"{done.clipped:,} {of} have values beyond {Range(*frame.levels)}, which were clipped"),
        ),
        (done.turned, marked(f"{done.turned:,} {of} were turned the way their camera noted")),
        (
            done.transparent,
            marked(f"{done.transparent:,} {of} have transparent pixels and were laid over white"),
        ),
        (done.frames, marked(f"{done.frames:,} {of} are the first of several frames in their file")),
        (done.inks, marked(f"{done.inks:,} {of} are of CMYK inks, converted without a colour profile")),
    ]
    return [sentence for holds, sentence in said if holds]


def image_notes(done: Treatment, frame: Frame) -> list[str]:
    """Phrases on what was done to one image, for whoever asked about it."""
    size, share = f"{frame.height}x{frame.width}", percent(done.cut_share, 0)
    cut = marked(f"{share} of its pixels are cut away: cropped to the run's {size} in the centre")
    if done.cut_share >= _LOUD_CUT:
        cut = marked(
            f"{cut}; a run trained with --size HEIGHTxWIDTH of its shape, or with --fit pad, keeps them"
        )
    said = [
        (done.cut_share >= _QUIET_CUT, cut),
        (done.clipped, marked(f"values beyond the run's {Range(*frame.levels)} were clipped")),
        (done.turned, marked("turned the way its camera noted")),
        (done.transparent, marked("laid over white, for some of its pixels are transparent")),
        (done.frames, marked("the first of several frames in its file")),
        (done.inks, marked("of CMYK inks, converted without a colour profile")),
    ]
    return [sentence for holds, sentence in said if holds]


def _cut_note(done: Treatment, frame: Frame) -> str:
    """The share of pixels cut away, and the way to keep them."""
    said = marked(
        f"{percent(done.cut_share, 0)} of the pixels are cut away, for images of another shape are "
        f"cropped to {frame.height}x{frame.width} in the centre; train with --size HEIGHTxWIDTH of their "
        "shape, or with --fit pad or --fit stretch, to keep all of them"
    )
    return marked(f"warning: {said}") if done.cut_share >= _LOUD_CUT else said


def _left_out(store: Store) -> list[str]:
    """Sentences on files that are not among the images."""
    manifest = store.manifest
    said = [
        marked(
            f"warning: no image is left of class {shown(one.name)}, of which no file in {one.folder}/ "
            f"could be read as an image ({one.kinds})"
        )
        for one in manifest.lost
    ]
    out = manifest.quarantined
    if out:
        whole = len(store) + len(out)
        reasons = Counter(one.reason for one in out)
        (reason, many), *others = reasons.most_common(_REASONS)
        told = [f"{many:,} {reason}", *(f"{n:,} {other.partition(': ')[0]}" for other, n in others)]
        if len(reasons) > _REASONS:
            told.append(marked(f"and {len(reasons) - _REASONS:,} other reasons"))
        why = "; ".join(told)
        first = out[0].path
        said.append(marked(f"{len(out):,} of {whole:,} files were left out: {why} (first: {first})"))
    passed = [kind for kind in manifest.passed if kind.kind != HIDDEN]
    if passed:
        many = sum(kind.files for kind in passed)
        kinds = ", ".join(
            f"{kind.files:,} "
            + (kind.kind if kind.label is None else marked(f"{kind.kind} in {kind.label!r}"))
            for kind in passed[:_REASONS]
        )
        if len(passed) > _REASONS:
            kinds = marked(f"{kinds} and {len(passed) - _REASONS:,} other kinds")
        were = marked("file that is no image was") if many == 1 else marked("files that are no images were")
        said.append(marked(f"{many:,} {were} passed over: {kinds} (first: {passed[0].path})"))
    return said


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
        _what_is_there(store),
        "",
        *_class_table(manifest.counts, marked("images")),
        "",
    ]
    if found.imbalance > 1.5:
        lines.append(
            marked(f"The largest class has {found.imbalance:.3g} times as many images as the smallest.")
        )
    lines += _quarantine(store)
    lines += [f"{capitalised(note)}." for note in notes(store)]
    lines += _duplicates(found)
    lines.append(marked(f"Stored in {store.folder}"))
    return "\n".join(lines)


def text_document(store: TextStore, found: Audit) -> dict[str, Any]:
    """The keys of the command's JSON about texts."""
    manifest = store.manifest
    lengths = np.quantile([len(text) for text in store.texts], (0, 0.5, 1)).astype(int).tolist()
    return {
        "source": manifest.source,
        "mode": manifest.mode,
        "classes": manifest.counts,
        "examples": len(store),
        "imbalance": round(found.imbalance, 4),
        "characters": dict(zip(("least", "median", "most"), lengths, strict=True)),
        "alphabet": len(set().union(*store.texts)),
        "duplicates": found.as_dict(),
        "notes": list(manifest.notes),
        "content_hash": manifest.content_hash,
    }


def text_report(document: dict[str, Any], found: Audit) -> str:
    """The same for people, from those keys."""
    least, median, most = document["characters"].values()
    there, classes, alphabet = f"{document['examples']:,}", len(document["classes"]), document["alphabet"]
    twice = marked(
        f"Texts that are there more than once: {found.groups:,}, with {found.extra:,} copies too many; "
        "copies never lie on both sides of a split."
    )
    return "\n".join(
        [
            document["source"],
            marked(f"{there} texts in {classes} classes.") if classes else marked(f"{there} texts."),
            marked(
                f"{least:,} to {most:,} characters each, half of them at most {median:,}; {alphabet:,} "
                "different characters."
            ),
            "",
            *([*_class_table(document["classes"], marked("texts")), ""] if classes else []),
            twice if found.groups else marked("No text is there twice."),
            *_conflicts(found),
            *(f"{capitalised(note)}." for note in document["notes"]),
        ]
    )


def _with_class(store: Store) -> int:
    """Images that have a class; all of them where classes were not asked for."""
    return sum(store.manifest.counts.values()) if store.manifest.counts else len(store)


def _what_is_there(store: Store) -> str:
    images, classes, choice = _with_class(store), len(store.classes), store.manifest.choice
    kinds = marked(f"{images:,} images in {classes} classes")
    if classes == 1:
        kinds = marked(f"{images:,} images in 1 class")
    if many := len(store) - images:
        kinds = marked(f"{kinds}, {many:,} without a class")
    return f"{retold(kinds)}; {retold(choice)}."


def _class_table(counts: dict[str, int], counted: str) -> list[str]:
    """Lines of the classes, each with its number and a bar.

    Args:
        counts: of each class.
        counted: the things they are, in a word.
    """
    if not counts:
        return [marked("without classes")]
    width = max(columns(tr("class")), *map(columns, counts))
    most = max(counts.values())
    lines = [f"  {padded(tr('class'), width)}  {padded(tr(counted), -9)}"]
    for name, number in counts.items():
        lines.append(f"  {padded(name, width)}  {number:>9,}  {'█' * max(1, round(_BAR * number / most))}")
    return lines


def _quarantine(store: Store) -> list[str]:
    entries = store.manifest.quarantined
    if not entries:
        return [marked("No file was broken.")]
    lines = [marked("Files left out:")]
    lines += [f"  {entry.path}: {retold(entry.reason)}" for entry in entries[:_SHOWN]]
    if len(entries) > _SHOWN:
        lines.append(marked(f"  and {len(entries) - _SHOWN:,} more (--json names them all)"))
    return lines


def _duplicates(found: Audit) -> list[str]:
    held = marked("1 image is") if found.groups == 1 else marked(f"{found.groups:,} images are")
    extra = marked("1 copy") if found.extra == 1 else marked(f"{found.extra:,} copies")
    if not found.groups:
        lines = [marked("No image is there twice.")]
    else:
        lines = [
            marked(
                f"{held} there more than once ({extra} too many); copies never lie on both sides of a split."
            )
        ]
    lines += _conflicts(found)
    if found.across_parts:
        lines.append(
            marked(
                f"{found.across_parts:,} images lie in several parts of the source; training leaves them out."
            )
        )
    if found.near is not None:
        total = found.near_pairs or 0
        pairs = marked("1 pair of images looks") if total == 1 else marked(f"{total:,} pairs of images look")
        more = marked(f"; the {len(found.near):,} most alike:") if len(found.near) < total else ":"
        more = more if found.near else "."
        lines.append(marked(f"{pairs} alike without being equal{more}"))
        for pair in found.near:
            note = "" if pair.same_class else marked(" (different classes)")
            lines.append(marked(f"  {pair.first} and {pair.second}{note}"))
    return lines


def _conflicts(found: Audit) -> list[str]:
    """Lines on copies under different labels."""
    if not found.across:
        return []
    lines = [marked(f"{found.across:,} of them lie under different labels, so some of these are wrong:")]
    for conflict in found.conflicts[:_SHOWN]:
        given = ", ".join(marked(f"{number} as {name}") for name, number in conflict.labels.items())
        lines.append(f"  {given}: {', '.join(conflict.paths[:4])}{' ...' if len(conflict.paths) > 4 else ''}")
    return lines
