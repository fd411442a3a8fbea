"""One canonical form, and digests that cover every part of what they are made of."""

import hashlib
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.ledger import LabelRecord, PriorRecord, RenameRecord, UpdateRecord, WithdrawalRecord
from bayesight.ledger.chain import START, canonical, content_digest, entry_digest, personal_digest
from bayesight.ledger.records import PersonalPart

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(TREES)
def test_the_canonical_text_is_ascii_and_says_the_tree(tree):
    text = canonical(tree)
    assert text.isascii()
    assert json.loads(text) == tree
    assert canonical(json.loads(text)) == text


def test_the_order_of_keys_does_not_matter():
    pairs = [("b", 1), ("a", [2.5, None]), ("ä", {"y": 0, "x": 1})]
    assert len({canonical(dict(order)) for order in itertools.permutations(pairs)}) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, b"bytes"])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(InvalidInput, match="expected finite numbers, text, lists and tables"):
        canonical({"a": [value]})


def test_an_entrys_digest_is_sha256_of_its_parts_and_covers_each():
    parts = (3, "2024-01-01T00:00:00+00:00", "label", "run1", "{}", "ab" * 32, START)
    text = json.dumps([1, *parts], separators=(",", ":"))
    assert entry_digest(*parts) == hashlib.sha256(text.encode()).hexdigest()
    others = (4, "later", "prior", "run2", '{"a":1}', None, "1" * 64)
    changed = {entry_digest(*parts[:k], other, *parts[k + 1 :]) for k, other in enumerate(others)}
    assert len(changed | {entry_digest(*parts)}) == 8


def test_a_personal_digest_covers_each_part_and_where_it_ends():
    salt, whole = b"s" * 16, PersonalPart({}, "alice", "0f" * 16, b"features", b"pixels")
    changed = [replace(whole, **{name: b"x" if name in ("features", "pixels") else "x"})
               for name in ("person", "image", "features", "pixels")]  # fmt: skip
    shifted = [
        replace(whole, features=b"featuresp", pixels=b"ixels"),
        replace(whole, person="", image="alice"),
    ]
    digests = {personal_digest(salt, "{}", one) for one in (whole, *changed, *shifted)}
    digests |= {personal_digest(b"t" * 16, "{}", whole), personal_digest(salt, '{"a":1}', whole)}
    assert len(digests) == 9


def test_a_repeated_request_is_known_by_what_was_asked():
    features = np.zeros(3, np.float32)
    label = LabelRecord("run1", "0f" * 16, "bar", "ann", features)
    update = UpdateRecord("run1", 4, "ab" * 32, "cd" * 32, labels=(2, 3))
    withdrawal = WithdrawalRecord("run1", "0f" * 16, "ann", 4, "ab" * 32, "cd" * 32, (2,))
    rename = RenameRecord("run1", "bar", "bars", 4, "ab" * 32, "cd" * 32)
    prior = PriorRecord("run1", {"bar": 1.0})
    same = [
        (label, replace(label, features=features + 1, pixels=b"PNG")),
        (update, replace(update, position=9, before="", after="", new_classes=("hoop",), threads=2)),
        (withdrawal, replace(withdrawal, position=9, before="", after="", labels=())),
        (rename, replace(rename, position=9, before="", after="")),
    ]
    assert all(content_digest([one]) == content_digest([other]) for one, other in same)
    different = [
        (label, replace(label, label="disc"), replace(label, person="ben"), replace(label, image="1f" * 16),
         replace(label, second_reading=True), replace(label, run="run2")),
        (update, replace(update, labels=(2,)), replace(update, trust_past=0.5), replace(update, remove=True)),
        (withdrawal, replace(withdrawal, image="1f" * 16)),
        (rename, replace(rename, new="rod")),
        (prior, replace(prior, shares={"bar": 0.5}), replace(prior, detail={"follows": "training"})),
    ]  # fmt: skip
    for group in different:
        assert len({content_digest([one]) for one in group}) == len(group)
    assert content_digest([label, prior]) != content_digest([prior, label])
