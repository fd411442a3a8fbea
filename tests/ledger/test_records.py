"""Records as what stays and what can be erased, and back again."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.ledger import (
    ErasureRecord,
    PriorRecord,
    Receipt,
    RenameRecord,
    UpdateRecord,
    WithdrawalRecord,
)
from bayesight.ledger.chain import canonical
from bayesight.ledger.records import from_parts, numbers_in, plain_text

IMAGE = "0f" * 16
UPDATE = UpdateRecord(
    "run1", 4, "ab" * 32, "cd" * 32, (2, 3, 7), ("hoop",), 0.5, True, False, 2, True, ("bar",)
)
WITHDRAWAL = WithdrawalRecord("run1", IMAGE, "ann", 4, "ab" * 32, "cd" * 32, (2, 5), ("disc",), ("hoop",), 2)
RENAME = RenameRecord("run1", "bar", "rod", 4, "ab" * 32, "cd" * 32, "ann")
PRIOR = PriorRecord("run1", {"bar": 0.25, "disc": 0.75}, "inferred", {"images": 40}, "ann")
ERASURE = ErasureRecord("run1", (2, 3, 9), 4, "ab" * 32, "cd" * 32, 2, 1)


def there_and_back(record, *, erased=False):
    """A record from its parts, its body read from the text the chain digests."""
    body = json.loads(canonical(record.body()))
    return from_parts(record.kind, record.run, body, None if erased else record.personal())


@pytest.mark.parametrize(
    "record",
    [UPDATE, WITHDRAWAL, RENAME, replace(RENAME, person=""), PRIOR, ERASURE, replace(ERASURE, unlearned=0)],
)
def test_a_record_is_made_again_from_its_parts(record):
    assert there_and_back(record) == record


def test_features_and_pixels_come_back_in_every_bit(run_record, label, prediction):
    assert there_and_back(run_record) == run_record
    for record in (label(1), replace(label(2), second_reading=True), prediction(3, "ann")):
        back = there_and_back(record)
        assert back == record
        assert back.pixels == record.pixels
        assert back.features.dtype == np.float32
        assert np.array_equal(back.features, record.features)
    assert there_and_back(replace(prediction(3), features=None)).features is None


def test_a_body_names_nobody(label, prediction):
    secrets = ("ann", IMAGE, label(1).image)
    for record in (replace(label(1), person="ann"), prediction(1, "ann"), WITHDRAWAL, RENAME, PRIOR):
        text = canonical(record.body())
        assert not any(secret in text for secret in secrets)


def test_of_an_erased_record_what_stays_is_left(label, prediction):
    assert there_and_back(label(1), erased=True) is None
    assert there_and_back(prediction(1), erased=True) is None
    assert there_and_back(WITHDRAWAL, erased=True) == replace(WITHDRAWAL, person="", image="")
    assert there_and_back(PRIOR, erased=True) == replace(PRIOR, person="")
    assert there_and_back(RENAME, erased=True) == replace(RENAME, person="")


def test_a_body_of_before_corrections_is_read_as_it_was_meant():
    body = UPDATE.body()
    del body["corrects"], body["gone_classes"]
    assert from_parts("update", "run1", body, None) == replace(UPDATE, corrects=False, gone_classes=())


@given(st.sets(st.integers(1, 60)))
def test_sequence_numbers_are_kept_as_ranges(numbers):
    made = replace(UPDATE, labels=tuple(sorted(numbers)))
    pairs = made.body()["labels"]
    assert numbers_in(pairs) == made.labels
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(pairs))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda label: replace(label, label="  "), "label: an empty name"),
        (lambda label: replace(label, label="a\nb"), "at most 1,000 printable characters"),
        (lambda label: replace(label, image="0F" * 16), "32 hexadecimal digits"),
        (lambda label: replace(label, features=label.features.astype(np.float64)), "float64"),
        (lambda label: replace(label, features=label.features * np.nan), "NaN or infinity"),
        (lambda label: replace(RENAME, new=" "), "new name: an empty one"),
        (lambda label: replace(PRIOR, source="guessed"), "'stated' or 'inferred'"),
        (lambda label: plain_text("a" * 201, "key"), "at most 200 printable characters"),
    ],
)
def test_what_no_ledger_should_hold_is_refused(label, make, words):
    with pytest.raises(InvalidInput, match=words):
        make(label(1))


def test_a_receipt_counts_its_records_and_equals_its_repetition():
    receipt = Receipt(3, 5, "now", "ab" * 32)
    assert list(receipt.sequences) == [3, 4, 5]
    assert replace(receipt, repeated=True) == receipt
