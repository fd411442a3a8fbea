"""One reading pass over a source of images, whatever holds them; nothing is unpacked to disk.

An image's class is the name of the folder it lies in, so top folders may be nested as deep as they like. What
cannot be an image of the set (a link out of the archive, a name that leads out of it, an encrypted entry) is
quarantined with its reason; what was never meant as one (hidden files, ``__MACOSX``, texts) is ignored and
counted. Of several members with one name the last counts, and links are what they lead to, as if the archive
had been unpacked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bayesight.data.folder import folder_members
from bayesight.data.formats import KnownFormat, recognise
from bayesight.data.members import (
    ENCODED_LIMIT_BYTES,
    FOLDER,
    IGNORED,
    NO_CLASS,
    Content,
    Judge,
    Member,
    Position,
    Quarantined,
    Remarks,
    SkippedFiles,
    Unreadable,
    must_sniff,
    printable,
    printable_all,
    undecoded,
    with_slashes,
)
from bayesight.data.sources import Source
from bayesight.data.streams import ByteStream, ContainerBudget
from bayesight.data.tar import walk
from bayesight.data.unpacking import MemberPlan, ReadAgain, by_plan, first_pass
from bayesight.data.zip import zip_members
from bayesight.errors import BayesightError, SourceUnreadable, shown
from bayesight.language import marked

_DOT = ord(".")
_BATCH_MEMBERS = 8192
_BATCH_BYTES = 8 << 20


@dataclass
class Batch:
    """Some members of a source, in its order: parallel lists of names, classes and encoded images.

    ``classes`` holds None where a member lies in no folder. ``fraction`` is the share of the source read so
    far, in [0, 1].
    """

    paths: list[str] = field(default_factory=list)
    classes: list[str | None] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    ignored: list[SkippedFiles] = field(default_factory=list)
    fraction: float = 0.0


def batches(
    source: Source, *, labelled: bool = True, plan: MemberPlan | None = None, remarks: Remarks | None = None
) -> Iterator[Batch]:
    """The members of a folder, tar or zip source, in one pass.

    Args:
        source: from ``find_source``; IDX data are read by ``idx.idx_batches`` instead.
        labelled: False takes in images that lie in no folder.
        plan: of a pass that could not be finished.
        remarks: told what is noticed on the way.

    Yields:
        Batches of at most 8,192 images or about 8 MiB; memory is bounded by one batch and one member.

    Raises:
        SourceUnreadable: the archive is cut off or damaged, or cannot be read.
        ReadAgain: what was yielded does not count; another pass with its plan is to be made.
    """
    remarks = Remarks() if remarks is None else remarks
    with _opened(source, plan, remarks) as (members, position):
        yield from _pack(members, position, Judge(labelled=labelled), remarks)


def read_files(source: Source, wanted: Callable[[str], bool]) -> tuple[dict[str, bytes], list[Quarantined]]:
    """The content of every file of a folder, tar or zip source whose name is wanted, and what cannot be had.

    All of it is held in memory: for sources whose files belong together, such as images and their masks.

    Args:
        source: from ``find_source``.
        wanted: told the name of a file inside the source.

    Raises:
        SourceUnreadable: the archive is cut off or damaged, or cannot be read.
    """
    try:
        return _wanted_files(source, wanted, None)
    except ReadAgain as again:  # now it is known which members count
        return _wanted_files(source, wanted, again.plan)


def _wanted_files(
    source: Source, wanted: Callable[[str], bool], plan: MemberPlan | None
) -> tuple[dict[str, bytes], list[Quarantined]]:
    files: dict[str, bytes] = {}
    lost: list[Quarantined] = []
    judge = Judge(labelled=False)
    with _opened(source, plan, Remarks()) as (members, _):
        for raw, what, size, content in members:
            name = with_slashes(raw)
            path = printable(name)
            verdict = judge(name, what, size)
            if (
                not wanted(path)
                or verdict == FOLDER
                or judge.place(name[: name.rfind(b"/") + 1])[1] == IGNORED
            ):
                continue
            if size > ENCODED_LIMIT_BYTES:
                verdict = marked(f"{size:,} bytes, over the limit of {ENCODED_LIMIT_BYTES:,} for one file")
            elif verdict is None:
                files[path], verdict = _bytes_of(content)
            if verdict is not None and verdict != IGNORED:
                files.pop(path, None)
                lost.append(Quarantined(path, verdict))
    return files, lost


@contextmanager
def _opened(
    source: Source, plan: MemberPlan | None, remarks: Remarks
) -> Iterator[tuple[Iterator[Member], Position | ByteStream]]:
    """The members of a source, and how far reading them is."""
    position, options = Position(), source.options
    remarks.encoding = options.names or ""
    if source.kind == "folder":
        members = folder_members(source.path, follow_links=options.follow_links)
        yield _guarded(members, source), position
    elif source.kind == "zip":
        entries = zip_members(source.path, position, remarks, options.decoded)
        yield _guarded(entries, source), position
    else:
        with ByteStream(source.path) as stream:
            walked = walk(stream, ENCODED_LIMIT_BYTES, str(source.path), remarks, options.decoded)
            budget = ContainerBudget(source.path, stream.size)
            counted = first_pass(walked, budget) if plan is None else by_plan(walked, plan, remarks, budget)
            yield _guarded(counted, source), stream
            if stream.after:
                remarks.set_after(stream.after, stream.after_start)


def _guarded(members: Iterable[Member], source: Source) -> Iterator[Member]:
    """The members asked for, with whatever goes wrong in a container's reader said in one sentence."""
    try:
        yield from (
            members
            if source.options.share == (0, 1)
            else (one for one in members if source.options.shares(one[0]))
        )
    except (BayesightError, ReadAgain):
        raise
    except Exception as error:  # a container's header can lie about everything
        raise SourceUnreadable(
            marked(
                f"{source.path} cannot be read as a {source.kind} ({type(error).__name__}: "
                f"{shown(str(error))}); it is damaged, fetch or pack it again"
            )
        ) from error


def _pack(
    members: Iterable[Member], position: Position | ByteStream, judge: Judge, remarks: Remarks
) -> Iterator[Batch]:
    """Sort members into batches of images, quarantined and ignored ones."""
    batch, names, held = Batch(), list[bytes](), 0
    for name, what, size, content in members:
        if b"\\" in name:
            name = with_slashes(name)
            remarks.backslashes += 1
        cut = name.rfind(b"/") + 1
        class_, verdict = judge.place(name[:cut])
        plain = verdict is None and what is None and name[-4:] == b".png" and name[cut] != _DOT
        if plain and type(content) is bytes:  # nearly all of them, at the cost of this line
            blob = content
        else:
            verdict = judge(name, what, size)
            if verdict is None:
                blob, verdict = _content(name, content)
            elif verdict == NO_CLASS and must_sniff(name) and _content(name, content)[1] is not None:
                verdict = IGNORED
            if verdict == IGNORED:
                batch.ignored.append(judge.ignored(name, class_))
            elif verdict is not None and verdict != FOLDER:
                batch.quarantined.append(Quarantined(printable(name), verdict, class_))
            if verdict is not None:
                continue
        names.append(name)
        batch.classes.append(class_)
        batch.blobs.append(blob)
        held += size
        if held >= _BATCH_BYTES or len(names) >= _BATCH_MEMBERS:
            batch.paths, batch.fraction = printable_all(names), position.fraction
            remarks.undecoded += undecoded(names)
            yield batch
            batch, names, held = Batch(), [], 0
    batch.paths, batch.fraction = printable_all(names), 1.0
    remarks.undecoded += undecoded(names)
    yield batch


def _content(name: bytes, content: Content) -> tuple[bytes, str | None]:
    """(the bytes of a member, why it is no image after all)."""
    blob, problem = _bytes_of(content)
    if problem is not None or not must_sniff(name):
        return blob, problem
    found = recognise(blob, name)
    if isinstance(found, KnownFormat):
        return b"", found.reason
    return blob, None if found else IGNORED


def _bytes_of(content: Content) -> tuple[bytes, str | None]:
    """(the bytes of a member, why they cannot be had)."""
    try:
        return content if isinstance(content, bytes) else content() if content else b"", None
    except Unreadable as error:
        return b"", str(error)
    except BayesightError:
        raise
    except Exception as error:  # noqa: BLE001 - what a member's header can bring about, nobody can list
        return b"", marked(f"damaged: {str(error) or type(error).__name__}")
