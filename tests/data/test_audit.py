import itertools
import json

import numpy as np
import pytest

from bayesight.data import open_store
from bayesight.data.audit import _candidates, audit, perceptual_hash


@pytest.fixture
def source(tmp_path, make):
    members = make.letters("AB", each=5, height=20, width=20)
    one, two = members[0][1], members[1][1]
    copies = [("set/A/copy.png", one), ("set/A/again.png", one), ("set/B/wrong.png", two)]
    return make.tar(tmp_path / "x.tar", members + copies, "w")


def test_exact_duplicates_and_conflicts(source, tmp_path):
    found = audit(open_store(source, cache=tmp_path))
    assert (found.groups, found.extra, found.across) == (2, 3, 1)
    (conflict,) = found.conflicts
    assert sorted(conflict.paths) == ["set/A/1.png", "set/B/wrong.png"]
    assert conflict.labels == {"A": 1, "B": 1}
    assert found.counts == {"A": 7, "B": 6}
    assert found.imbalance == pytest.approx(7 / 6)
    assert found.near is None
    document = json.loads(json.dumps(found.as_dict()))
    assert document["conflicts"][0]["labels"] == {"A": 1, "B": 1}
    assert "near" not in document


def test_real_letters_agree_with_a_slow_count(real_data):
    store = open_store(real_data / "notmnist" / "notMNIST_real8k.tar.gz")
    found = audit(store)
    places = {}
    for image, label in zip(store.images, store.labels.tolist(), strict=True):
        places.setdefault(image.tobytes(), []).append(label)
    several = [labels for labels in places.values() if len(labels) > 1]
    assert found.groups == len(several)
    assert found.extra == len(store) - len(places)
    assert found.across == sum(len(set(labels)) > 1 for labels in several)
    assert 0.01 < found.extra / len(store) < 0.04


def test_near_duplicates_are_found_and_others_are_not(tmp_path, make):
    y, x = np.mgrid[0:28, 0:28]
    shapes = [((x - 14) ** 2 + (y - 14) ** 2 < r * r) * np.uint8(230) for r in (5, 9, 13)]
    shapes += [(np.sin(x / k) > 0) * np.uint8(200) for k in (1.5, 3.0)]
    members = [(f"A/{i}.png", make.encoded(s)) for i, s in enumerate(shapes)]
    members += [
        (f"B/{i}.png", make.encoded(np.clip(s.astype(int) + 3, 0, 255).astype(np.uint8)))
        for i, s in enumerate(shapes)
    ]
    found = audit(open_store(make.tar(tmp_path / "x.tar", members, "w"), cache=tmp_path), near=True)
    pairs = {tuple(sorted((p.first, p.second))) for p in found.near}
    assert pairs == {(f"A/{i}.png", f"B/{i}.png") for i in range(len(shapes))}
    assert found.near_pairs == len(shapes)
    assert all(p.difference == 3 and not p.same_class for p in found.near)
    assert len(audit(open_store(tmp_path / "x.tar", cache=tmp_path), near=True, shown=2).near) == 2


def test_banded_search_agrees_with_comparing_each_with_each():
    generator = np.random.default_rng(4)
    hashes = generator.integers(0, 2**64, 300, dtype=np.uint64)
    for k in range(0, 200, 2):
        flips = generator.choice(64, generator.integers(0, 7), replace=False)
        hashes[k + 1] = hashes[k] ^ np.uint64(sum(1 << int(b) for b in flips))
    for within in (0, 3, 5):
        first, second = _candidates(hashes, within)
        slow = {
            (i, j)
            for i, j in itertools.combinations(range(300), 2)
            if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= within
        }
        assert set(zip(first.tolist(), second.tolist(), strict=True)) == slow
        assert slow


def test_a_crowd_of_equal_hashes_stays_bounded():
    first, _ = _candidates(np.zeros(5_000, np.uint64), 4)
    assert 100_000 < len(first) <= 5_000 * 32


def test_hash_ignores_brightness_scale_and_colour(make):
    y, x = np.mgrid[0:36, 0:36]
    picture = (120 + 50 * np.sin(x / 4) + 40 * np.cos(y / 5 + x / 9)).astype(np.uint8)
    hashes = [
        perceptual_hash(picture[None])[0],
        perceptual_hash(picture[None] // 2 + 40)[0],
        perceptual_hash(np.kron(picture, np.ones((2, 2), np.uint8))[None])[0],
        perceptual_hash(np.repeat(picture[None, :, :, None], 3, axis=3))[0],
    ]
    assert all((int(h) ^ int(hashes[0])).bit_count() <= 3 for h in hashes)
    mirrored = perceptual_hash(picture[None, :, ::-1])[0]
    assert (int(mirrored) ^ int(hashes[0])).bit_count() > 15


def test_unlabelled_stores_have_no_classes(tmp_path, make):
    archive = make.tar(tmp_path / "x.tar", [(f"{n}.png", make.encoded(make.picture(1))) for n in "ab"], "w")
    found = audit(open_store(archive, cache=tmp_path, labelled=False), near=True)
    assert (found.extra, found.across, found.near_pairs, found.imbalance) == (1, 0, 0, 1.0)
