"""Build the files of a store: one pass over the source, then its images put in their canonical order.

Memory stays bounded however large the source is: images go through one batch, one chunk or one bucket at a
time, written with plain writes and never through a mapping. What is kept for every image is its label, its
digest and its path, about 100 bytes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from bayesight.data.archives import Batch, batches
from bayesight.data.decode import PixelBudget, decode, native_frames, refit, survey
from bayesight.data.framing import MOST_PIXELS, BitDepths, ImageSpec, asked_frame, choose, sentence
from bayesight.data.idx import idx_batches
from bayesight.data.layout import WEB_DATASET, document_kind, flat_hint
from bayesight.data.manifest import Manifest, content_hash, digests_of
from bayesight.data.members import HIDDEN, NO_CLASS, Quarantined, Remarks, SkippedFiles
from bayesight.data.placing import Placement, class_counts, part_counts, place, place_by_name, place_by_value
from bayesight.data.rasters import PIXEL_LIMIT
from bayesight.data.sources import AS_STORED, ContainerOptions, Source, find_source
from bayesight.data.unpacking import MemberPlan, ReadAgain
from bayesight.errors import BayesightError, SourceUnreadable, StorageFailed
from bayesight.frame import EIGHT_BIT, Frame, Range, Treatment
from bayesight.types import ImageArray, IntArray, Progress

_DECODED_BYTES = 32 << 20
_BUCKET_BYTES = 64 << 20
_CHUNK_BYTES = 8 << 20
_MOST_BUCKETS = 256
_LARGE_BYTES = 1 << 30
_PACKED = re.compile(
    r"\.(tar|zip|tgz|gz|bz2|xz|zst|7z|rar|\d{3}|z\d\d)|(packed with|a zip|a 7-Zip|a RAR) .*", re.IGNORECASE
)


def build(
    source: Source,
    spec: ImageSpec,
    folder: Path,
    progress: Progress | None = None,
    files: int | None = None,
) -> Manifest:
    """Read a source; write its images, labels, parts and digests as ``.npy`` and ``paths.txt`` into a folder.

    The files are written, but not yet forced to the disk, and the manifest is not.

    Args:
        source: what is read.
        spec: what was asked for.
        folder: where to; it exists and is empty.
        progress: called with images read so far and about how many there are; its ``announce`` is told of a
            large store before it is built.
        files: how many the source has, where that is known.

    Raises:
        SourceUnreadable: the source is damaged, or holds no image that could be read.
        InvalidInput: its folders can be read in several ways.
        StorageFailed: the disk has no room for what will be written.
        OSError: the folder could not be written.
    """
    with Spool(folder, progress, files) as spool:
        if source.kind == "idx":
            choice = _read_idx(source, spec, spool)
        else:
            choice = _read_encoded(source, spec, spool)
        if not spool.count:
            raise _nothing_read(source, spool)
        paths = b"\n".join(spool.paths).split(b"\n")
        return _finish(source, spool, folder, _placed(source, spec, spool, paths), paths, choice)


def first_frames(
    source: str | os.PathLike[str], *, container: ContainerOptions = AS_STORED, most: int = 500
) -> list[Frame]:
    """The frames of the first images of a source, at least one where it can be read and is no IDX data.

    Nothing is decoded and nothing is kept. A source that cannot be read has none: opening it says why.

    Args:
        source: as ``open_store`` takes it.
        container: how names in archives are encoded, and whether links are followed.
        most: images to look at.
    """
    frames: list[Frame] = []
    try:
        found = find_source(source, labelled=False, options=container)
        if found.kind == "idx":
            return []
        for batch in batches(found, labelled=False):
            frames += [frame for frame in native_frames(batch.blobs[: most - len(frames)]) if frame]
            if len(frames) >= most:
                break
    except (BayesightError, ReadAgain, OSError):
        pass
    return frames


class Spool:
    """The images of a reading pass in the order they come, on disk, with what is known of each of them."""

    def __init__(self, folder: Path, progress: Progress | None, files: int | None) -> None:
        self._progress = progress
        self._files = files
        self._path = folder / "images.raw"
        self._file: BinaryIO = self._path.open("w+b")
        self.clear()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget everything: a second pass begins."""
        self._file.seek(0)
        self._file.truncate()
        self.frame: Frame | None = None
        self.is_sized = False
        self.count = 0
        self.folder_ids: dict[str, int] = {}
        self.folders: list[npt.NDArray[np.int32]] = []
        self.digests: list[ImageArray] = []
        self.paths: list[bytes] = []
        self.quarantined: list[Quarantined] = []
        self._passed: Counter[tuple[str, str | None]] = Counter()
        self._first: dict[tuple[str, str | None], str] = {}
        self.others: dict[str, Counter[str]] = {}
        self.treatment = Treatment()
        self.remarks = Remarks()

    def add(self, images: ImageArray, folders: Sequence[str], paths: Sequence[str]) -> None:
        """Take in images ``(K, ...)`` with the folder, or the label, and the path of each."""
        if not len(images):
            return
        size = images[0].nbytes
        flat = np.ascontiguousarray(images).data.cast("B")
        self._file.write(flat)
        self.digests.append(digests_of(flat[at : at + size] for at in range(0, len(flat), size)))
        for name in dict.fromkeys(folders):
            self.folder_ids.setdefault(name, len(self.folder_ids))
        self.folders.append(np.fromiter(map(self.folder_ids.__getitem__, folders), np.int32, len(folders)))
        self.paths.append("\n".join(paths).encode())
        self.count += len(images)

    def set_aside(self, batch: Batch) -> None:
        """Take note of what a batch brought beside images, and of how far the pass has come."""
        self.quarantined += batch.quarantined
        for one in batch.ignored:
            self._passed[one.kind, one.label] += one.files
            self._first.setdefault((one.kind, one.label), one.path)
        for path, what in [
            *((one.path, one.kind) for one in batch.ignored if one.kind != HIDDEN),
            *((one.path, document_kind(one.path) or one.reason) for one in batch.quarantined),
        ]:
            self.others.setdefault(path.rpartition("/")[0], Counter())[what] += 1

    @property
    def passed(self) -> tuple[SkippedFiles, ...]:
        """Kinds and classes of files that were passed over, with their numbers, the most first."""
        return tuple(SkippedFiles(*key, self._first[key], n) for key, n in self._passed.most_common())

    def report(self, fraction: float) -> None:
        """Tell the listener how many images were read and about how many there are."""
        total = round(self.count / fraction) if fraction > 0 else None
        if self._files is not None:
            total = max(self.count, self._files)
        if total:
            self.expect(total)
        if self._progress is not None:
            self._progress(self.count, total)

    def expect(self, images: int, copies: int = 1) -> None:
        """Say, once the frame is known, how large a store of about so many images will be if that is much.

        Raises:
            StorageFailed: the disk has no room for ``copies`` of it, which are two unless their number is but
                an estimate.
        """
        if self.is_sized or self.frame is None:
            return
        self.is_sized = True
        needed, free = images * self.frame.size_bytes, shutil.disk_usage(self._path.parent).free
        size = f"{images:,} images of {self.frame.height}x{self.frame.width} take about {needed / 1e9:.1f} GB"
        mend = "--size HxW makes them smaller, BAYESIGHT_CACHE names a folder on another disk"
        if copies * needed > free + self._file.tell():
            raise StorageFailed(
                f"{size} in {self._path.parent.parent}, twice that while they are sorted, and "
                f"{free / 1e9:.1f} GB are free there; free some space, or: {mend}"
            )
        announce: Callable[[str], None] | None = getattr(self._progress, "announce", None)
        if needed >= _LARGE_BYTES and announce is not None:
            announce(f"{size} in {self._path.parent.parent}; {mend}")

    def chunks(self, rows: int, size: int) -> Iterator[npt.NDArray[np.uint8]]:
        """The images again, at most ``rows`` at a time, each as ``size`` bytes."""
        self._file.seek(0)
        for first in range(0, self.count, rows):
            many = min(rows, self.count - first)
            yield np.frombuffer(self._file.read(many * size), np.uint8).reshape(many, size)

    def discard_images(self) -> None:
        """Give the space on the disk back; the images are elsewhere by now."""
        self._file.seek(0)
        self._file.truncate()


def _read_idx(source: Source, spec: ImageSpec, spool: Spool) -> str:
    """Fill the spool from IDX data; returns how size and mode were chosen."""
    name = source.path.name
    if spec.levels not in (None, EIGHT_BIT):
        raise SourceUnreadable(
            f"{source.path} holds values of 8 bits; expected values of {Range(*spec.levels)}, as the run's"
        )
    for block in idx_batches(source.path, source.labels, PIXEL_LIMIT, spool.remarks):
        _, height, width, *channels = block.images.shape
        native = Frame(height, width, "RGB" if channels else "L")
        spool.frame = asked_frame(spec, native)
        images = refit(block.images, spool.frame)
        spool.treatment += Treatment.of(native, spool.frame, len(images))
        labels = [str(label) for label in block.labels.tolist()] if spec.labelled else [""] * len(images)
        spool.add(images, labels, [f"{name}[{block.first + i}]" for i in range(len(images))])
        spool.report(block.fraction)
    return sentence(spec, spool.frame, Counter()) if spool.frame else ""


def _read_encoded(source: Source, spec: ImageSpec, spool: Spool) -> str:
    """Fill the spool from image files; returns how size, mode and levels were chosen."""
    try:
        return _read_images(source, spec, spool, None)
    except ReadAgain as again:  # now it is known which members count
        spool.clear()
        return _read_images(source, spec, spool, again.plan)


def _read_images(source: Source, spec: ImageSpec, spool: Spool, plan: MemberPlan | None) -> str:
    """Fill the spool from the members that count.

    As long as they are not known, the first image's are taken. When another one does not agree, the rest of
    the pass only counts what the images are, and a second pass reads with what was chosen.
    """
    seen: Counter[Frame] = Counter()
    depths, budget = BitDepths(str(source.path)), PixelBudget(source.path)
    for batch in batches(source, labelled=spec.by_folder, plan=plan, remarks=spool.remarks):
        if spool.frame is None:
            natives = (native for blob in batch.blobs for native in native_frames([blob]) if native)
            spool.frame = next((asked_frame(spec, native) for native in natives), None)
        for part in _parts(batch, spool.frame):
            if not seen and not _take_in(part, spool, budget, spec):
                assert spool.frame is not None
                seen[spool.frame] = depths.eight = spool.count
            if seen:
                _survey(part, seen, depths, spec, budget)
        spool.report(batch.fraction)
    if not seen or spool.frame is None:
        return sentence(spec, spool.frame, seen) if spool.frame else ""
    known = +seen or Counter({spool.frame: 1})
    spool.clear()
    spool.frame, budget = choose(spec, known, depths.levels()), PixelBudget(source.path)
    spool.expect(known.total(), copies=2)
    for batch in batches(source, labelled=spec.by_folder, plan=plan, remarks=spool.remarks):
        for part in _parts(batch, spool.frame):
            _take_in(part, spool, budget)
        spool.report(batch.fraction)
    return sentence(spec, spool.frame, known)


def _survey(
    part: Batch, seen: Counter[Frame], depths: BitDepths, spec: ImageSpec, budget: PixelBudget
) -> None:
    """Count what the images of a batch are."""
    budget.earn(part.blobs)
    natives = survey(part.blobs, ranges=spec.levels is None, spend=budget.spend)
    for path, found in zip(part.paths, natives, strict=True):
        if found is not None:
            frame, values = found
            seen[frame] += 1
            depths.add(path, values)


def _take_in(part: Batch, spool: Spool, budget: PixelBudget, spec: ImageSpec | None = None) -> bool:
    """Decode a batch into the spool; False, and nothing done, when an image is not as the first one.

    Args:
        part: the batch.
        spool: what it goes to, and the frame.
        budget: told of the batch.
        spec: what may be made to fit, for it was asked for; None where the frame is settled and all may.
    """
    frame = spool.frame or Frame(1, 1, "L")
    if spec is not None and spec.size is None and frame.pixels > MOST_PIXELS:
        return False
    budget.earn(part.blobs)
    strict = [name for name in ("size", "mode", "levels") if spec is not None and getattr(spec, name) is None]
    decoded = decode(part.blobs, frame, strict=strict, spend=budget.spend)
    if decoded.misfits:
        return False
    spool.treatment += decoded.treatment
    kept = decoded.kept.tolist()
    if len(kept) == len(part.blobs):
        paths = part.paths
    else:
        paths = [part.paths[i] for i in kept]
        part.quarantined += [
            Quarantined(part.paths[i], reason, part.classes[i]) for i, reason in decoded.refused
        ]
    spool.add(decoded.images, [path.rpartition("/")[0] for path in paths], paths)
    spool.set_aside(part)
    return True


def _parts(batch: Batch, frame: Frame | None) -> Iterator[Batch]:
    """A batch in pieces whose pixels fit into memory: small files can hold large pictures."""
    step = max(1, _DECODED_BYTES // frame.size_bytes) if frame else _DECODED_BYTES
    many = len(batch.blobs)
    if many <= step:
        yield batch
        return
    for first in range(0, many, step):
        last = first + step
        beside = first + step >= many
        yield Batch(
            batch.paths[first:last],
            batch.classes[first:last],
            batch.blobs[first:last],
            batch.quarantined if beside else [],
            batch.ignored if beside else [],
        )


def _placed(source: Source, spec: ImageSpec, spool: Spool, paths: list[bytes]) -> Placement:
    """The class and the part of every spooled image."""
    ids = np.concatenate(spool.folders).astype(np.int64)
    if source.kind == "idx":
        return place_by_name(list(spool.folder_ids), ids, labelled=spec.labelled)
    asked = spec.layout if spec.labelled else None
    placed = place(source.path.name, list(spool.folder_ids), ids, paths, spool.others, asked)
    if asked is None or asked.labels_from is None:
        return placed
    return place_by_value(placed, asked.labels_from, paths, spool.quarantined)


def _finish(
    source: Source, spool: Spool, folder: Path, placed: Placement, paths: list[bytes], choice: str
) -> Manifest:
    """Put the spooled images in canonical order and write every file of the store."""
    frame = spool.frame
    assert frame is not None
    labels, parts = placed.labels, placed.parts
    digests = np.concatenate(spool.digests)
    keys = digests.view(">u8").astype(np.uint64)
    order = np.lexsort((parts, keys[:, 1], keys[:, 0], labels))
    labels, parts, digests = labels[order], parts[order], digests[order]
    with (folder / "paths.txt").open("wb") as file:
        for first in range(0, len(order), 1 << 16):
            chosen = order[first : first + (1 << 16)].tolist()
            file.write(b"".join([paths[i] + b"\n" for i in chosen]))
    for name, kind, values in (
        ("labels", "<i8", labels),
        ("digests", "|u1", digests),
        ("parts", "|u1", parts),
    ):
        with (folder / f"{name}.npy").open("wb") as file:
            _write_header(file, kind, values.shape)
            file.write(values.astype(kind).tobytes())
    with (folder / "images.npy").open("wb") as file:
        _write_header(file, "|u1", (len(order), *frame.shape))
        _write_sorted(spool, order, frame.size_bytes, file, folder)
    return Manifest(
        source=str(source.path),
        kind=source.kind,
        classes=placed.classes,
        counts=class_counts(placed.classes, labels),
        parts=part_counts(parts),
        notes=(*placed.notes, *spool.remarks.sentences()),
        container=spool.remarks,
        lost=placed.lost,
        shape=frame.shape,
        mode=frame.mode,
        levels=frame.levels,
        fit=frame.fit,
        content_hash=content_hash(frame, labels, digests, parts),
        quarantined=tuple(spool.quarantined),
        passed=spool.passed,
        choice=choice,
        treatment=spool.treatment,
    )


def _write_sorted(spool: Spool, order: IntArray, size: int, out: BinaryIO, folder: Path) -> None:
    """Write the spooled images of ``size`` bytes in the order given.

    What fits into one bucket is sorted in memory. Otherwise the images are first dealt out to files, each of
    them one bucket of the sorted images, so that each byte is read and written twice, always in sequence.
    """
    count = len(order)
    rows = max(1, _BUCKET_BYTES // size, -(-count // _MOST_BUCKETS))
    step = max(1, _CHUNK_BYTES // size)
    if count <= rows:
        images = np.concatenate(list(spool.chunks(step, size)))
        for first in range(0, count, step):
            out.write(images[order[first : first + step]].data.cast("B"))
        return
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    bucket = rank // rows
    paths = [folder / f"bucket-{k}.raw" for k in range(-(-count // rows))]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        first = 0
        for chunk in spool.chunks(step, size):
            here = bucket[first : first + len(chunk)]
            for k in np.unique(here).tolist():
                files[k].write(chunk[here == k].data.cast("B"))
            first += len(chunk)
    spool.discard_images()
    for k, path in enumerate(paths):
        images = np.fromfile(path, np.uint8).reshape(-1, size)
        path.unlink()
        within = np.argsort(rank[bucket == k])  # buckets were filled in the order of the pass
        for first in range(0, len(images), step):
            out.write(images[within[first : first + step]].data.cast("B"))


def _write_header(file: BinaryIO, kind: str, shape: tuple[int, ...]) -> None:
    """Begin a ``.npy`` file; its data are written with plain writes, whose errors say why they fail."""
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})


def _nothing_read(source: Source, spool: Spool) -> SourceUnreadable:
    """The error for a source without a single image, saying what was found instead."""
    found = []
    unplaced = [one.path for one in spool.quarantined if one.reason == NO_CLASS]
    if spool.quarantined:
        first = spool.quarantined[0]
        found.append(f"{len(spool.quarantined):,} quarantined (first: {first.path}: {first.reason})")
    passed = spool.passed
    if passed:
        if any(kind.path.startswith("xl/") for kind in passed):
            return SourceUnreadable(
                f"{source.path} is an Excel workbook; expected images or texts. "
                "Save a sheet of texts as CSV UTF-8."
            )
        counted: Counter[str] = Counter()
        for kind in passed:
            counted[kind.kind] += kind.files
        many, kinds = counted.total(), ", ".join(f"{n:,} {name}" for name, n in counted.most_common(5))
        were = "file ignored as no image" if many == 1 else "files ignored as no images"
        found.append(f"{many:,} {were} ({kinds}; first: {passed[0].path})")
    return SourceUnreadable(
        f"{source.path} holds no image that could be read: {'; '.join(found) or 'it is empty'}; "
        f"expected images in one folder a class, CLASS/NAME.png.{_way_on(unplaced, spool.others)}"
    )


def _way_on(unplaced: Iterable[str], others: Mapping[str, Counter[str]]) -> str:
    """The way on from a source without class folders, by its files: a sentence, or nothing.

    Args:
        unplaced: paths of images that lie in no folder.
        others: kinds of the other files by folder, or why they are no images.
    """
    kinds = sum(others.values(), Counter[str]())
    if kinds[".cls"]:
        return f" {WEB_DATASET[0].upper()}{WEB_DATASET[1:]}."
    packed = sum(many for kind, many in kinds.items() if _PACKED.fullmatch(kind))
    if packed:
        return f" It holds {packed:,} archives, which are not opened: name one of them, or unpack them."
    return flat_hint(unplaced)
