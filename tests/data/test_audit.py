import json

import numpy as np
import pytest

from bayesight.data import open_store
from bayesight.data.audit import audit
from bayesight.data.notes import report_text


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
    assert all(p.difference == 3 and p.aligned_difference < 0.1 and not p.same_class for p in found.near)
    said = report_text(open_store(tmp_path / "x.tar", cache=tmp_path), found)
    assert "5 pairs of images look alike without being equal:\n" in said
    assert said.count(" (different classes)") == 5
    assert set(found.as_dict()["near"][0]) == {
        "first", "second", "difference", "aligned_difference", "same_class",
    }  # fmt: skip
    assert len(audit(open_store(tmp_path / "x.tar", cache=tmp_path), near=True, pairs=2).near) == 2


def test_unlabelled_stores_have_no_classes(tmp_path, make):
    archive = make.tar(tmp_path / "x.tar", [(f"{n}.png", make.encoded(make.picture(1))) for n in "ab"], "w")
    found = audit(open_store(archive, cache=tmp_path, labelled=False), near=True)
    assert (found.extra, found.across, found.near_pairs, found.imbalance) == (1, 0, 0, 1.0)
