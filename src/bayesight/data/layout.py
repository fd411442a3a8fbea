"""Decide from the folders of a source which are classes, which are parts of it, and which are neither.

What is certain is done and said; what can be read in two ways is refused with both and the option for each.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from shlex import quote
from typing import TypeAlias

from bayesight.data.foldernames import (
    Role,
    is_container,
    is_mask,
    is_unlabelled,
    mask_names,
    names_no_class,
    roles,
)
from bayesight.errors import InvalidInput, listed, shown
from bayesight.language import marked
from bayesight.names import canonical, shared_depth, twins

PARTS = ("", "train", "validation", "test", "unlabelled", "left out")
"""Parts of its source that an image can belong to; the first is none in particular."""
LOWEST = -1
"""The class level that takes the folder an image lies in, whatever its depth."""
_DOCUMENTS = frozenset(("no suffix",)) | frozenset(
    f".{suffix}"
    for suffix in (
        *("cfg", "cls", "csv", "docx", "dtd", "htm", "html", "info", "ini", "ipynb", "json", "jsonl", "lock"),
        *("log", "md", "odt", "py", "rst", "sh", "toml", "tsv", "txt", "xls", "xlsx", "xml", "yaml"),
        *("yml", "ckpt", "h5", "onnx", "pb", "pt", "pth", "safetensors", "tflite", "otf", "ttf"),
    )
)
"""Kinds of files that a folder without images may hold without being a class."""
WEB_DATASET = (
    "it looks like a shard of WebDataset, 0001.jpg beside 0001.cls: labels in files of their own are not "
    "read; unpack it into one folder a class, CLASS/0001.jpg"
)
_SHOWN = 4
_DEEPEST = 16  # levels that are tried for a refusal

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class LayoutOptions:
    """Options for folders that do not show by themselves what they are.

    Args:
        class_level: which folders are classes: 1 those at the top, 2 the next, -1 the lowest.
        split_folders: folders named train, val, test ... are parts of the source (True) or folders like
            others (False); None decides from the source.
        labels_from: labels that no folder tells: "TABLE:COLUMN", or a pattern of paths (``PathValues``).
    """

    class_level: int | None = None
    split_folders: bool | None = None
    labels_from: str | None = None

    @property
    def options(self) -> str:
        """The same on the command line."""
        level = [] if self.class_level is None else [f"--class-level {self.class_level}"]
        split = {None: [], True: ["--split-folders"], False: ["--no-split-folders"]}[self.split_folders]
        return " ".join(level + split)


AS_SHOWN = LayoutOptions()
"""Nothing asked for: the source decides."""


@dataclass
class Folder:
    """Contents of one folder itself, not of those below it.

    Args:
        images: how many images.
        others: how many other files of each kind (".txt"), or of each reason why they are no images.
        names: some of its images' names.
    """

    images: int = 0
    others: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Class and part of the images of a folder.

    Args:
        name: its class; None for none.
        part: one of ``PARTS``.
    """

    name: str | None
    part: str = ""


@dataclass(frozen=True)
class EmptyClass:
    """A folder among those of the classes in which no file could be read as an image.

    Args:
        name: of the class it would be.
        folder: its path inside the source.
        files: how many of each kind (".dat"), or of each reason why they are no images.
    """

    name: str
    folder: str
    files: Mapping[str, int]

    @property
    def kinds(self) -> str:
        """The commonest three of them, counted."""
        return listed((f"{many:,} {kind.partition(':')[0]}" for kind, many in self.files.items()), 3)

    def __str__(self) -> str:
        return (
            f"{shown(self.name)}, of which no file in {self.folder}/ could be read as an image ({self.kinds})"
        )


@dataclass(frozen=True)
class Layout:
    """A decision.

    Args:
        places: of every folder with images.
        notes: sentences about what was taken for what.
        lost: folders that would be classes if one of their files were an image that can be read.
    """

    places: Mapping[Path, Place]
    notes: tuple[str, ...] = ()
    lost: tuple[EmptyClass, ...] = ()


@dataclass(frozen=True)
class LayoutReading:
    """One way to read a source that has several.

    Args:
        asked: what asks for it.
        classes: the classes it gives.
    """

    asked: LayoutOptions
    classes: tuple[str, ...]


class LayoutUnclear(InvalidInput):
    """Folders that can be read in more than one way.

    Args:
        message: both readings and the option for each.
        readings: the same for programs.
    """

    def __init__(self, message: str, readings: Sequence[LayoutReading] = ()) -> None:
        super().__init__(message)
        self.readings = tuple(readings)


def document_kind(path: str) -> str | None:
    """The suffix of a file that is plainly no image of a class; None for others.

    Example:
        >>> document_kind("docs/manual.HTML"), document_kind("ring/1.heic")
        ('.html', None)
    """
    suffix = f".{path.rpartition('.')[2].lower()}"
    return suffix if suffix in _DOCUMENTS else None


def folder_of(path: str) -> Path:
    """The folder of a path inside a source, by parts in their canonical spelling.

    Example:
        >>> folder_of("./set/A/0.png")
        ('set', 'A')
    """
    return tuple(part for part in canonical(path).split("/")[:-1] if part not in ("", "."))


def decide(folders: Mapping[Path, Folder], asked: LayoutOptions, source: str) -> Layout:
    """The class and the part of every folder that holds images.

    Args:
        folders: by path; those without images count for classes that would vanish.
        asked: what was asked for.
        source: its name, for messages.

    Raises:
        LayoutUnclear: two readings, neither of them certain.
        InvalidInput: a level at which there is no class.

    Example:
        >>> tree = {("train", "cat"): Folder(9), ("test", "cat"): Folder(3), ("unlabeled",): Folder(5)}
        >>> decide(tree, LayoutOptions(), "set.zip").places["test", "cat"]
        Place(name='cat', part='test')
    """
    return _Decision(folders, asked, source).made()


class _Decision:
    """One decision under way: the folders whose place is open, and what was said so far."""

    def __init__(self, folders: Mapping[Path, Folder], asked: LayoutOptions, source: str) -> None:
        self.folders, self.asked, self.source = folders, asked, source
        self.places: dict[Path, Place] = {}
        self.notes: list[str] = []
        self.open = sorted(path for path, folder in folders.items() if folder.images)
        self.part: dict[Path, Role] = {}
        self.marks: dict[Path, set[int]] = defaultdict(set)
        self.class_folders: set[Path] = set()

    def made(self) -> Layout:
        """The layout."""
        by_folder = self.asked.labels_from is None
        if by_folder and any(
            folder.images and 2 * folder.others[".cls"] >= folder.images for folder in self.folders.values()
        ):
            raise InvalidInput(f"{self.source}: {WEB_DATASET}.")
        self._set_apart("unlabelled", [p for p in self.open if any(map(is_unlabelled, p))])
        masks = self._masks()
        self._set_apart("left out", masks)
        self._find_parts()
        if by_folder:
            self._name_classes(beside_masks=bool(masks))
        else:
            self.places |= {p: Place(None, self.part.get(p, "train" if self.part else "")) for p in self.open}
        self._say_parts()
        self.notes += twin_notes(place.name for place in self.places.values() if place.name is not None)
        return Layout(self.places, tuple(self.notes), tuple(self._lost()))

    # Folders that are no class.

    def _set_apart(self, part: str, paths: Iterable[Path]) -> None:
        """Give folders to a part without a class, and say so."""
        gone = set(paths)
        self.places |= dict.fromkeys(gone, Place(None, part))
        self.open = [path for path in self.open if path not in gone]
        if gone:
            tops = sorted({"/".join(path[: self._first(path, part)]) for path in gone})
            where, images = _few(tops, "/"), self._images(gone)
            self.notes.append(
                marked(f"{where}: masks or annotations beside images: no class, left out ({images})")
                if part == "left out"
                else marked(f"{where}: no class ({images})")
            )

    def _first(self, path: Path, part: str) -> int:
        """Length of the part of a path that ends with the folder that was set apart."""
        test = is_unlabelled if part == "unlabelled" else lambda name: is_mask(name, weakly=True)
        return next((i + 1 for i, name in enumerate(path) if test(name)), len(path))

    def _masks(self) -> list[Path]:
        """Folders of masks that lie beside folders of images, so that they can be nothing else."""
        if self.asked.class_level is not None:
            return []
        beside: dict[Path, set[str]] = defaultdict(set)
        for path in self.open:
            for i, name in enumerate(path):
                beside[path[:i]].add(name)
        judged = {parent: mask_names(names) for parent, names in beside.items()}
        certain, doubtful = [], []
        for path in self.open:
            found = {judged[path[:i]][name] for i, name in enumerate(path) if name in judged[path[:i]]}
            if True in found:
                certain.append(path)
            elif False in found:
                doubtful.append(path)
        if doubtful and not certain and self.asked.labels_from is None:
            readings = self._level_readings(self.open)
            tops = sorted({path[self._first(path, "left out") - 1] for path in doubtful})
            raise self._unclear(
                f"{_few(tops, '/')} beside class folders may be a class, or hold masks of the other images:",
                readings,
                "if they are masks, take the folder out of the source",
            )
        return certain

    # Parts: train, validation, test.

    def _find_parts(self) -> None:
        """Find the folders that name parts of the source, where that is certain or asked for."""
        if self.asked.split_folders is False or not self.open:
            return
        level = self.asked.class_level
        shared = 0 if self.asked.split_folders else _shared(self.open)
        at: dict[int, set[str]] = defaultdict(set)
        for path in self.open:
            for i in range(shared, len(path)):
                at[i].add(path[i])
        meaning = {i: roles(names) for i, names in at.items()}
        for path in self.open:
            found: list[int] = []
            own = None if level is None else _at_level(path, range(len(path)), level)
            for i in range(shared, len(path)):
                again = i - 1 in found and path[i] == path[i - 1]  # as an archive that holds its own folder
                if (path[i] in meaning[i] or again) and i != own:
                    found.append(i)
            if found:
                self.marks[path] = set(found)
                self.part[path] = meaning[found[0]][path[found[0]]]
        if self.part and self.asked.split_folders is None:
            self._judge_parts(meaning)

    def _judge_parts(self, meaning: Mapping[int, Mapping[str, Role]]) -> None:
        """Keep the parts that are certain; forget those that are plainly none; ask about the rest."""
        at = {path: min(self.marks[path]) for path in self.part}
        found = set(self.part.values())
        same = all({meaning[i].get(p[i], self.part[p]) for i in self.marks[p]} == {self.part[p]} for p in at)
        whole = len(at) == len(self.open) and len(set(at.values())) == 1 and same
        if whole:
            if len(found) == 1:  # as CLASS/train/ alone: no part beside others
                self.part.clear()
            return
        leaf = [path for path, i in at.items() if i == len(path) - 1]
        if found == {"train"} and len(leaf) == len(at) == 1 and len(self.open) > 2:
            name = leaf[0][-1]
            self.notes.append(
                marked(
                    f"{name}/ is taken for a class, for no other folder is named like a part "
                    "(--split-folders makes it one)"
                )
            )
            self.part.clear()
            self.marks.clear()
            return
        names = sorted({path[i] for path, i in at.items()})
        top = _shared(self.open)
        others = sorted({path[min(top, len(path) - 1)] for path in self.open if path and path not in at})
        readings = self._split_readings()
        beside = f" beside {_few(others, '/')}" if others else ""
        raise self._unclear(
            f"{_few(names, '/')}{beside} may be set apart for training and testing, or "
            f"{'classes of that name' if self.asked.labels_from is None else 'folders like others'}:",
            readings,
            "" if readings else "--split-folders sets them apart, --no-split-folders does not",
        )

    def _say_parts(self) -> None:
        """Say what each part holds."""
        if not self.part:
            return
        self.part |= {path: self.part.get(path, "train") for path in self.open}
        told = []
        for role in ("train", "validation", "test"):
            paths = [path for path in self.part if self.part[path] == role]
            if paths:
                names = {path[min(self.marks[path])] for path in paths if self.marks[path]}
                whose = _few(sorted(names), "/") or marked("the other folders")
                images = self._images(paths)
                said = {
                    "train": marked(f"{whose} train ({images})"),
                    "validation": marked(f"{whose} validation ({images})"),
                    "test": marked(f"{whose} test ({images})"),
                }
                told.append(said[role])
        self.notes.append(marked(f"parts of the source by folder: {', '.join(told)}"))
        bare = [path for path in self.part if self.places[path].name is None]
        if bare and self.asked.labels_from is None:
            self.notes.append(
                marked(
                    f"{self._images(bare)} in {_few(['/'.join(p) for p in bare], '/')} have no class folder"
                )
            )

    # Classes.

    def _name_classes(self, *, beside_masks: bool) -> None:
        """Choose the level of the class folders and give every open folder its place."""
        rests = {path: [i for i in range(len(path)) if i not in self.marks[path]] for path in self.open}
        level = self.asked.class_level
        if level is not None:
            chosen = {path: _at_level(path, rest, level) for path, rest in rests.items()}
            self._refuse_empty_level(chosen, level)
        else:
            chosen = self._judge_levels(rests)
        names = {path[i] for path, i in chosen.items() if i is not None}
        nameless = len(names) == 1 and all(map(is_container, names))
        if nameless and beside_masks and level is None:
            readings = self._level_readings([*self.open, *self.places])
            raise self._unclear(
                "images and their masks or annotations, in folders that name no classes; expected a folder a "
                "class. Their pixels, boxes or points are learned by train --task segment, detect or pose.",
                readings,
            )
        if nameless:
            self.notes.append(
                marked(f"{_few(sorted(names), '/')} names no class; classes need a folder each")
            )
        self.class_folders = {path[: i + 1] for path, i in chosen.items() if i is not None}
        for path, i in chosen.items():
            part = self.part.get(path, "train" if self.part else "")
            if i is None and part != "test":
                part = "left out"
            self.places[path] = Place(None if i is None else path[i], part)
        stray = [path for path, i in chosen.items() if i is None and path not in self.part]
        if stray:
            self.notes.append(marked(f"{self._images(stray)} above the class folders are left out"))

    def _judge_levels(self, rests: Mapping[Path, list[int]]) -> dict[Path, int | None]:
        """The class folder of each path, where that is certain."""
        top = _shared(self.open)
        rests = {path: [i for i in rest if i >= top] for path, rest in rests.items()}
        flat = [path for path, rest in rests.items() if not rest]
        self._refuse_flat(flat, rests)
        deep = {path: rest for path, rest in rests.items() if rest}
        shared = _shared([tuple(path[i] for i in rest) for path, rest in deep.items()])
        cut = {path: rest[shared:] for path, rest in deep.items()}
        climbed = {path: _climb(path, rest) for path, rest in cut.items()}
        chosen: dict[Path, int | None] = {path: rest[-1] for path, rest in climbed.items()}
        depths = {len(rest) for rest in climbed.values()}
        if climbed != cut:
            below = sorted({path[-1] for path in cut if climbed[path] != cut[path]})
            self.notes.append(marked(f"{_few(below, '/')} inside the class folders are no classes"))
        if depths - {1}:
            self._judge_depths({path: [path[i] for i in rest] for path, rest in climbed.items()}, depths)
        return chosen | dict.fromkeys(flat)

    def _judge_depths(self, trees: Mapping[Path, list[str]], depths: set[int]) -> None:
        """Refuse trees of several levels unless the lowest one is plainly that of the classes."""
        parents: dict[str, set[Path]] = defaultdict(set)
        for names in trees.values():
            parents[names[-1]].add(tuple(names[:-1]))
        above = {parent for found in parents.values() for parent in found}
        twice = sorted(name for name, found in parents.items() if len(found) > 1)
        stems = {re.sub(r"\d+", "", name) for name in parents}
        numbered = all(re.search(r"\d", name) for name in parents) and len(stems) <= len(above)
        tops = sorted({names[0] for names in trees.values()})
        if len(depths) == 1 and not twice and not numbered:
            self.notes.append(
                marked(f"the classes are the lowest folders; those above ({_few(tops, '/')}) are none")
            )
            return
        if twice:
            what = f"{_few(twice, '/')} lie inside several folders ({_few(tops, '/')})"
        elif numbered and len(depths) == 1:
            what = f"numbered folders ({_few(sorted(parents), '/')}) lie inside several ({_few(tops, '/')})"
        else:
            deep = sorted({"/".join(names) for names in trees.values() if len(names) == max(depths)})
            what = f"images lie at several depths: folders as {_few(deep[:1], '/')} beside {_few(tops, '/')}"
        readings = self._level_readings(list(trees))
        raise self._unclear(f"{what}, so which folders are the classes is not certain.", readings)

    # Refusals.

    def _refuse_flat(self, flat: Sequence[Path], rests: Mapping[Path, list[int]]) -> None:
        """Refuse parts without class folders, but for a test part, which may have none."""
        wrong = [path for path in flat if self.part.get(path) != "test"]
        if not flat or (not wrong and len(flat) < len(rests)):
            return
        bare = wrong or flat
        hint = flat_hint(name for path in bare for name in self.folders[path].names)
        where = _few(["/".join(path) for path in bare], "/")
        raise self._unclear(
            f"{where} hold images, not class folders; expected PART/CLASS/NAME.png.{hint}",
            [*self._level_readings(self.open), *self._split_readings()][:3],
        )

    def _refuse_empty_level(self, chosen: Mapping[Path, int | None], level: int) -> None:
        """Refuse a level at which no image has a folder."""
        if all(i is None for i in chosen.values()) and chosen:
            deepest = max(len(path) for path in self.open)
            raise InvalidInput(
                f"{self.source}: --class-level {level}: no image has a folder there; expected 1 to "
                f"{deepest}, or {LOWEST} for the lowest (as {'/'.join(self.open[0])}/)."
            )

    def _lost(self) -> list[EmptyClass]:
        """Class folders none of whose files could be read as an image."""
        parents = {path[:-1] for path in self.class_folders}
        lost: dict[Path, Counter[str]] = defaultdict(Counter)
        for path, folder in self.folders.items():
            for end in range(1, len(path) + 1):
                if path[: end - 1] in parents and path[:end] not in self.class_folders:
                    lost[path[:end]] += folder.others
                    if folder.images:
                        lost[path[:end]]["images"] += folder.images
        return [
            EmptyClass(path[-1], "/".join(path), dict(files.most_common()))
            for path, files in sorted(lost.items())
            if "images" not in files and not set(files) <= _DOCUMENTS and not names_no_class(path[-1])
        ]

    # Readings.

    def _level_readings(self, paths: Iterable[Path]) -> list[LayoutReading]:
        """Each level at which most paths have a class, by what it takes for classes."""
        every = [path for path in paths if path]
        found: dict[tuple[str, ...], LayoutReading] = {}
        complete = set()
        for level in [*range(1, min(max(map(len, every)), _DEEPEST) + 1), LOWEST]:
            at = {path: _at_level(path, range(len(path)), level) for path in every}
            left_out = sum(i is None for i in at.values())
            if 2 * left_out > len(every) or any(i in self.marks[path] for path, i in at.items()):
                continue
            for reading in self._tried(replace(self.asked, class_level=level)):
                found.setdefault(reading.classes, reading)
                if not left_out:
                    complete.add(reading.classes)
        several = [reading for reading in found.values() if len(reading.classes) > 1]
        whole = [reading for reading in several if reading.classes in complete]
        return (whole if len(whole) > 1 else several)[:3] or list(found.values())[-1:]

    def _split_readings(self) -> list[LayoutReading]:
        """Folders named like parts as parts, and as folders like others, where that can be."""
        found: list[LayoutReading] = []
        for split in (True, False) if self.asked.split_folders is None else ():
            readings = self._tried(replace(self.asked, split_folders=split))
            found += sorted(readings, key=lambda reading: len(roles(reading.classes)))[:1]
        return found

    def _tried(self, asked: LayoutOptions) -> list[LayoutReading]:
        """The reading that options give; several where something stays open, none where they are refused."""
        try:
            places = decide(self.folders, asked, self.source).places
        except LayoutUnclear as unclear:
            return list(unclear.readings)
        except InvalidInput:
            return []
        names = sorted({place.name for place in places.values() if place.name is not None})
        return [LayoutReading(asked, tuple(names))] if names else []

    def _unclear(self, what: str, readings: Sequence[LayoutReading], more: str = "") -> LayoutUnclear:
        """The refusal of folders that can be read in several ways, with the option for each."""
        ways = [
            f"{reading.asked.options} takes {_few(reading.classes)} for the classes" for reading in readings
        ]
        mend = "; ".join([*ways, *([more] if more else [])]) or "put each class into a folder of its own"
        mend = mend[0].upper() + mend[1:] if what.endswith(".") else mend
        return LayoutUnclear(f"{self.source}: {what} {mend}.", readings)

    def _images(self, paths: Iterable[Path]) -> str:
        many = sum(self.folders[path].images for path in paths)
        return marked("1 image") if many == 1 else marked(f"{many:,} images")


def flat_hint(names: Iterable[str]) -> str:
    """A sentence on images whose names, and not their folders, seem to name classes; empty for others.

    Example:
        >>> print(flat_hint(["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"]).strip())
        Names begin with cat, dog: if these are classes, say --labels-from '(^|/)(?P<label>cat|dog)[^/]*$'.
        >>> flat_hint(["1.png", "2.png"])
        ''
    """
    found: Counter[str] = Counter()
    for name in names:
        stem = name.rpartition("/")[2].rpartition(".")[0]
        # Backwards, so that its end is found without a search.
        found[re.sub(r"\A\D*\d+[\W_]*", "", stem[::-1])[::-1]] += 1
    begins = sorted(name for name, many in found.items() if name and many > 1)
    if not 2 <= len(begins) <= max(2, found.total() // 2):
        return ""
    label = "|".join(map(re.escape, begins)) if len(begins) <= _SHOWN else r"[^\W\d]+"
    pattern = f"(^|/)(?P<label>{label})[^/]*$"
    said = f" Names begin with {listed(begins, _SHOWN)}: if these are classes, say"
    return f"{said} --labels-from {quote(pattern)}."


def twin_notes(names: Iterable[str]) -> list[str]:
    """A sentence on each group of classes that a reader could take for one."""
    return [
        marked(
            f"{', '.join(map(repr, group))} differ by case, width or blanks only and are {len(group)} classes"
        )
        for group in twins(sorted(set(names)))
    ]


def _few(names: Sequence[str], after: str = "") -> str:
    return listed([name + after for name in names], _SHOWN) if names else ""


def _shared(paths: Sequence[Path]) -> int:
    """Number of leading folders all paths share, the last of each not counted."""
    return shared_depth([path[:-1] for path in paths])


def _climb(path: Path, rest: list[int]) -> list[int]:
    """A path without the folders at its end that only say that images are in them."""
    end = len(rest)
    while end > 1 and is_container(path[rest[end - 1]]):
        end -= 1
    return rest[:end]


def _at_level(path: Path, rest: Sequence[int], level: int) -> int | None:
    """Position of a path's class folder; None when the path ends above the level."""
    if level < 0:
        return rest[level] if len(rest) >= -level else None
    return level - 1 if len(path) >= level else None
