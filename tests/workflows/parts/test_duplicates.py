"""Duplicates beside a slow version that takes image after image, label after label."""

import tracemalloc
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bayesight.belief.held_parts import HeldParts
from bayesight.belief.part_statistics import PartStatistics
from bayesight.workflows.parts import duplicates
from bayesight.workflows.parts.duplicates import find_duplicates

NAMES = ("bar", "disc", "ring")


@dataclass
class Label:
    """A label that an image was given by the belief, an earlier part or a new one."""

    kind: str
    holder: int
    name: str
    weight: float = 1.0
    row: int = -1


def slow(labels: dict[bytes, list[Label]]):
    """The rules, one after another."""
    subtracted, rows, released, was = [], [], [], Counter()
    repeated = superseded = 0
    for image, given in labels.items():
        stand = [one for one in given if one.kind != "new"]
        former = {one.name for one in stand}
        for one in (one for one in given if one.kind == "new"):
            if stand and all(other.name == one.name for other in stand):
                repeated += 1
                subtracted.append((one.holder, image, one.name, 1.0, True))
                continue
            for other in stand:
                if other.kind == "new":
                    superseded += 1
                    subtracted.append((other.holder, image, other.name, 1.0, True))
                    continue
                subtracted.append((one.holder, image, other.name, other.weight, False))
                if other.kind == "belief":
                    rows.append(other.row)
                else:
                    released.append((image, other.name, other.weight))
            stand = [one]
        if former and stand[0].kind == "new":
            was.update(former)
    return sorted(subtracted), sorted(rows), sorted(released), repeated, superseded, was


def statistics(digests: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> PartStatistics:
    nothing = torch.empty(0, dtype=torch.float64)
    order = np.lexsort(digests.T[::-1])
    return PartStatistics(
        names, nothing, nothing, nothing, torch.from_numpy(digests[order]),
        torch.from_numpy(labels[order]).int(), nothing, torch.empty(0).long(),
    )  # fmt: skip


def belief(digests: np.ndarray, labels: np.ndarray, parts: HeldParts):
    absorbed = SimpleNamespace(
        digests=torch.from_numpy(digests),
        labels=torch.from_numpy(labels),
        weights=torch.linspace(0.3, 0.9, len(labels), dtype=torch.float64),
    )
    return SimpleNamespace(classes=SimpleNamespace(names=NAMES), absorbed=absorbed, parts=parts)


@pytest.fixture
def drawn(tmp_path: Path):
    """A belief with rows and two earlier parts, three new parts, few images, and what each was called."""

    def draw(seed: int):
        chance = np.random.default_rng(seed)
        images = chance.integers(0, 256, (30, 16), dtype=np.uint8)
        images[:5, -1] = 0  # a digest may end in zeros
        left = np.sort(chance.choice(30, 4, replace=False))
        labels: dict[bytes, list[Label]] = {image.tobytes(): [] for image in images}

        def write(name: str, rows: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
            mine = chance.integers(0, len(names), len(rows))
            (tmp_path / name).write_bytes(statistics(images[rows], mine, names).packed())
            return mine

        rows = np.sort(chance.choice(30, 8, replace=False))
        known = belief(
            images[rows],
            chance.integers(0, 3, 8),
            HeldParts(("0", "1"), (0.5, 0.75), released=torch.from_numpy(images[left])),
        )
        for row, (place, label, weight) in enumerate(
            zip(rows, known.absorbed.labels.tolist(), known.absorbed.weights.tolist(), strict=True)
        ):
            labels[images[place].tobytes()].append(Label("belief", 0, NAMES[label], weight, row))
        gone = set(left.tolist())
        for part in range(2):
            held = np.sort(chance.choice(30, 10, replace=False))
            for place, label in zip(held.tolist(), write(f"{part}.images", held, NAMES), strict=True):
                if place in gone:
                    gone.discard(place)
                    continue
                weight = known.parts.weights[part]
                labels[images[place].tobytes()].append(Label("held", part, NAMES[label], weight))
        paths = []
        for part in range(3):
            names = ("ring", f"new-{part % 2}", "bar")
            mine = np.sort(chance.choice(30, 15, replace=False))
            for place, label in zip(mine.tolist(), write(f"new-{part}", mine, names), strict=True):
                labels[images[place].tobytes()].append(Label("new", part, names[label]))
            paths.append(tmp_path / f"new-{part}")
        return known, paths, labels

    return draw


@pytest.mark.parametrize("at_once", [1_000_000, 20, 1])
@pytest.mark.parametrize("seed", range(4))
def test_labels_stand_and_fall_as_one_after_another(seed, at_once, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "_AT_ONCE", at_once)
    known, paths, labels = drawn(seed)
    found = find_duplicates(known, tmp_path, paths)
    subtracted, rows, released, repeated, superseded, was = slow(labels)
    assert repeated > 0
    assert superseded > 0
    assert released
    told = []
    for part in found.parts():
        mine = found.of_part(part)
        assert sorted(mine.digests.tolist()) == mine.digests.tolist()
        elsewhere = [key.ljust(16, b"\0") for key in found.counted_elsewhere(part).tolist()]
        for digest, label, weight in zip(mine.digests, mine.labels, mine.weights, strict=True):
            told.append((part, digest.tobytes(), mine.names[label], float(weight)))
        assert elsewhere == sorted(image for place, image, *_, own in subtracted if place == part and own)
    assert sorted(told) == sorted(one[:4] for one in subtracted)
    assert sorted(found.rows) == rows
    let_go = [
        (row["digest"].tobytes(), found.names[row["label"]], float(row["weight"]))
        for some in found.released
        for row in some
    ]
    assert sorted(let_go) == released
    assert (found.repeated, found.superseded, found.was) == (repeated, superseded, was)


def test_repeated_images_take_few_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "_AT_ONCE", 20_000)
    images = np.random.default_rng(0).integers(0, 256, (100_000, 16), dtype=np.uint8)
    for part in range(2):
        part_of = statistics(images, np.zeros(len(images), np.int64), NAMES)
        (tmp_path / f"new-{part}").write_bytes(part_of.packed())
    known = belief(images[:0], np.zeros(0, np.int64), HeldParts())
    tracemalloc.start()
    try:
        found = find_duplicates(known, tmp_path, [tmp_path / "new-0", tmp_path / "new-1"])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.repeated == 100_000
    assert held < 40 * 100_000
