"""Unpacking an archive on paper: of several members with one name the last counts, a link is its target.

The members of a stream are read before it is known which of them a later one replaces, and which of them a
later link leads to. So the names of a first pass are kept here; where they show that either is the case, a
second pass is made by the plan that follows from them, and what does not count is never looked at.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from bayesight.data.members import FOLDER, Member, Remarks, with_slashes
from bayesight.data.streams import ContainerBudget
from bayesight.data.tar import HARD_LINK, SYMBOLIC_LINK
from bayesight.language import marked

_OUTSIDE = marked("a symbolic link that leads out of the archive")
_NOWHERE = marked("a symbolic link that leads nowhere")
_CIRCLE = marked("a symbolic link that leads round in a circle")
_READ = marked("a symbolic link that leads to a folder that is read already")
_INTO_ITSELF = marked("a symbolic link that leads to a folder it lies in")
_NO_MEMBER = marked("a hard link to a file that is not in the archive")
_MOST_PARTS = 64
_UNTIDY = re.compile(rb"\\|\./|//").search


@dataclass(frozen=True)
class MemberPlan:
    """Which members count, by their place in the archive.

    Args:
        superseded: those that a later one replaces.
        aliases: further names of members, for links lead to them.
        refused: links that lead to no member, and why.
        followed: links that do.
    """

    superseded: frozenset[int] = frozenset()
    aliases: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    followed: frozenset[int] = frozenset()


class ReadAgain(Exception):
    """A pass cannot be finished: some members are superseded by later ones, or links lead to them.

    Args:
        plan: what the next pass needs to know.
    """

    def __init__(self, plan: MemberPlan) -> None:
        super().__init__("the archive is to be read once more")
        self.plan = plan


@dataclass(frozen=True)
class _Link:
    """A link: its tidy name, where it leads, and the place of that among the members, for a hard link."""

    name: bytes
    target: bytes
    place: int | None = None


def tidy(name: bytes) -> bytes:
    """A name as the system would understand it: without ``./`` and doubled slashes.

    Example:
        >>> tidy(b"./A//x.png")
        b'A/x.png'
    """
    if not _UNTIDY(name):
        return name
    if b"\\" in name:
        name = with_slashes(name)
    kept = b"/".join([part for part in name.split(b"/") if part not in (b"", b".")])
    return b"/" + kept if name.startswith(b"/") else kept


class Unpacking:
    """Takes note of every member but folders, in the order in which unpacking would write them.

    Attributes:
        changes: whether not every member stands for itself.
    """

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}
        self._superseded: set[int] = set()
        self._hard: dict[int, _Link] = {}
        self._soft: dict[int, _Link] = {}
        self._outside: dict[int, str] = {}
        self._count = 0
        self.changes = False

    def take(self, name: bytes) -> int:
        """Take note of a member; its place."""
        place = self._count
        self._count += 1
        before = self._last.setdefault(name, place)
        if before != place:
            self.changes = True
            self._superseded.add(before)
            self._last[name] = place
        return place

    @property
    def last(self) -> int:
        """The place of the member taken last."""
        return self._count - 1

    def link(self, name: bytes, target: bytes, *, hard: bool) -> str | None:
        """Take note of a link; why it certainly leads to no member, or None.

        Args:
            name: its own, tidy.
            target: of a hard link a name in the archive, of a symbolic link a path beside the link.
            hard: which of the two it is.
        """
        before = self._last.get(tidy(target)) if hard else None
        if before in self._soft:  # another name of a link is a link
            hard, target = False, self._soft[before].target
        place = self.take(name)
        if not hard and _climbs_out(name, target):
            self._outside[place] = _OUTSIDE
            return self._outside[place]
        self.changes = True
        (self._hard if hard else self._soft)[place] = _Link(name, tidy(target) if hard else target, before)
        return None

    def plan(self) -> MemberPlan:
        """The plan that follows from all of them."""
        found: dict[int, int] = {}  # the place of what a link stands for
        refused = dict(self._outside)
        links = {*self._hard, *self._soft}
        for place in sorted(links - self._superseded):
            try:
                found[place] = self._end_of(place)
            except _Lost as reason:
                refused[place] = str(reason)
        aliases: dict[int, list[bytes]] = {}
        for place, end in found.items():
            aliases.setdefault(end, []).append((self._hard.get(place) or self._soft[place]).name)
        for name, end in self._below_links(found, refused):
            aliases.setdefault(end, []).append(name)
        return MemberPlan(
            frozenset(self._superseded),
            {place: tuple(names) for place, names in aliases.items()},
            refused,
            frozenset(links - refused.keys()),
        )

    def _end_of(self, place: int) -> int:
        """The place of the member that a link stands for, along links to links."""
        seen = {place}
        while place in self._hard or place in self._soft:
            if place in self._hard:
                link = self._hard[place]
                following = link.place if link.place is not None else self._last.get(link.target)
            else:
                following = self._last.get(self._path_of(self._soft[place]))
            if following is None:
                raise _Lost(_NO_MEMBER if place in self._hard else _NOWHERE)
            if following in seen:
                raise _Lost(_CIRCLE)
            seen.add(following)
            place = following
        return place

    def _path_of(self, link: _Link, *, through: bool = False) -> bytes:
        """The name in the archive that a symbolic link leads to, along the links on the way.

        ``through`` goes on where that is a link itself.
        """
        done = link.name.split(b"/")[:-1]
        left = link.target.split(b"/")[::-1]
        if link.target.startswith(b"/"):
            raise _Lost(_OUTSIDE)
        steps = len(done) + len(left)
        while left:
            if steps > _MOST_PARTS:
                raise _Lost(_CIRCLE)
            part = left.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                if not done:
                    raise _Lost(_OUTSIDE)
                done.pop()
                continue
            done.append(part)
            on_the_way = self._soft.get(self._last.get(b"/".join(done), -1))
            if on_the_way is not None and (left or through):
                if on_the_way.target.startswith(b"/"):
                    raise _Lost(_OUTSIDE)
                done.pop()
                further = on_the_way.target.split(b"/")[::-1]
                left += further
                steps += len(further)
        return b"/".join(done)

    def _below_links(self, found: Mapping[int, int], refused: dict[int, str]) -> list[tuple[bytes, int]]:
        """Further names, with the place, of members below folders that links lead to.

        Such links are taken out of ``refused``, or their reason is mended there.
        """
        tops: dict[bytes, list[int]] = {}
        for place, reason in [*refused.items()]:
            if place not in self._soft or reason != _NOWHERE:
                continue
            try:
                target = self._path_of(self._soft[place], through=True)
            except _Lost:
                continue
            if not target or (self._soft[place].name + b"/").startswith(target + b"/"):
                refused[place] = _INTO_ITSELF
            else:
                tops.setdefault(target, []).append(place)
        if not tops:
            return []
        further = []
        above = cache(_above)
        for name, place in self._last.items():
            if place in refused:
                continue
            for folder in above(name.rpartition(b"/")[0]):
                if folder not in tops:
                    continue
                first, *others = tops[folder]
                refused.pop(first, None)
                refused |= dict.fromkeys(others, _READ)
                alias = self._soft[first].name + name[len(folder) :]
                if alias not in self._last:
                    further.append((alias, found.get(place, place)))
        return further


def first_pass(members: Iterable[Member], budget: ContainerBudget) -> Iterator[Member]:
    """The members of a stream, as long as each of them stands for itself; then only their names are read.

    Raises:
        ReadAgain: not each of them does; what was yielded does not count.
    """
    unpacking = Unpacking()
    for number, member in enumerate(members):
        name, what, size, content = member
        if not number & 1023:
            budget.count(1024)
        if what in (HARD_LINK, SYMBOLIC_LINK) and isinstance(content, bytes):
            refused = unpacking.link(tidy(name), content, hard=what == HARD_LINK)
            member = name, refused, size, None
        elif what != FOLDER:
            unpacking.take(tidy(name))
        if not unpacking.changes:
            yield member
    if unpacking.changes:
        raise ReadAgain(unpacking.plan())


def by_plan(
    members: Iterable[Member], plan: MemberPlan, remarks: Remarks, budget: ContainerBudget
) -> Iterator[Member]:
    """The members of a stream that count, in a pass after the first."""
    places = itertools.count()
    placed = ((-1 if member[1] == FOLDER else next(places), member) for member in members)
    return planned(placed, plan, remarks, budget)


def planned(
    members: Iterable[tuple[int, Member]], plan: MemberPlan, remarks: Remarks, budget: ContainerBudget
) -> Iterator[Member]:
    """The members that count, under all names they have.

    Args:
        members: each with its place; those that have none, as folders, with -1.
        plan: of the same archive.
        remarks: told of links and of what is superseded.
        budget: spent on members that are read again.

    Raises:
        SourceUnreadable: links make far more of a few members.
    """
    remarks.superseded = len(plan.superseded)
    for place, member in members:
        name, what, size, content = member
        for alias in plan.aliases.get(place, ()):
            budget.spend(size)
            budget.count()
            remarks.linked += 1
            yield alias, what, size, content
        if place in plan.refused:
            yield name, plan.refused[place], 0, None
        elif place not in plan.superseded and place not in plan.followed:
            yield member


def _climbs_out(name: bytes, target: bytes) -> bool:
    """True where a path beside a name leads out of the archive, whatever lies on the way."""
    if target.startswith(b"/"):
        return True
    climbed = target.split(b"/")
    up = next((i for i, part in enumerate(climbed) if part != b".."), len(climbed))
    return up > name.count(b"/")


class _Lost(Exception):
    """A link that leads to no member; the text says so."""


def _above(folder: bytes) -> tuple[bytes, ...]:
    """A folder and those above it, at most 64 of them."""
    parts = folder.split(b"/")[:_MOST_PARTS] if folder else []
    return tuple(b"/".join(parts[:many]) for many in range(1, len(parts) + 1))
