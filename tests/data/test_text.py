"""Texts: what is read comes back, faults are named with their line, batches follow from the step."""

import gzip
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bayesight.data import text as text_module
from bayesight.data.text import (
    Characters,
    KnownWords,
    Subwords,
    Windows,
    read_lines,
    read_text,
    vocabulary_from,
)
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable

SENTENCES = ["the quick brown fox", "the lazy dog", "ein schöner Tag", "the dog and the fox"] * 20


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "without a suffix"])
def test_a_text_is_read_plain_or_packed_whatever_its_name(tmp_path, name):
    content = "first\r\nzweite Zeile äöü\rthird\n".encode()
    path = written(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
    assert read_text(path) == "first\nzweite Zeile äöü\nthird\n"
    assert read_lines(path) == ["first", "zweite Zeile äöü", "third"]


def test_a_byte_order_mark_is_no_character(tmp_path):
    assert read_text(written(tmp_path / "a.txt", b"\xef\xbb\xbfhello")) == "hello"


def test_what_is_no_text_is_refused_with_its_line(tmp_path, monkeypatch):
    with pytest.raises(SourceNotFound):
        read_text(tmp_path / "none.txt")
    with pytest.raises(SourceUnreadable, match="is empty; expected a text"):
        read_text(written(tmp_path / "empty.txt", b" \n\n"))
    with pytest.raises(SourceUnreadable, match=r"line 3: byte 0xe9 is not text in UTF-8.*iconv -f CP1252"):
        read_text(written(tmp_path / "latin.txt", b"one\ntwo\ncaf\xe9\n"))
    with pytest.raises(SourceUnreadable, match=r"line 2: .* -f CP949 -t UTF-8 korean\.txt"):
        read_text(written(tmp_path / "korean.txt", "one\n좋은 영화".encode("cp949")))
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        read_text(written(tmp_path / "cut.gz", gzip.compress(b"hello" * 1000)[:-9]))
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        read_text(tmp_path)
    monkeypatch.setattr(text_module, "MOST_BYTES", 100)
    with pytest.raises(SourceUnreadable, match="more than 100 bytes"):
        read_text(written(tmp_path / "bomb.gz", gzip.compress(b"a" * 101)))


@given(st.text(min_size=1))
def test_characters_come_back(text):
    vocabulary = Characters.of(text)
    codes = vocabulary.encode(text)
    assert vocabulary.decode(codes) == text
    assert codes.tolist() == [vocabulary.alphabet.index(one) for one in text]
    again = vocabulary_from(json.loads(json.dumps(vocabulary.as_dict())))
    assert again.alphabet == vocabulary.alphabet


def test_a_character_that_was_not_learned_is_named():
    with pytest.raises(InvalidInput, match="holds 'x', 'é'; expected characters the model has learned"):
        Characters.of("abc").encode("axbéx")


@pytest.fixture(scope="module")
def subwords():
    return Subwords.learned(SENTENCES, 300)


@given(st.text())
def test_any_text_has_subwords_that_give_it_back(subwords, text):
    codes = subwords.encode(text)
    assert subwords.decode(codes) == text
    assert codes.dtype == np.int64


def test_subwords_are_fewer_than_characters_and_saved_as_their_own_json(subwords):
    text = "the lazy fox"
    codes = subwords.encode(text)
    assert len(codes) == 3
    assert len(subwords) <= 300
    assert [list(one) for one in subwords.encode_all([text, ""])] == [list(codes), []]
    again = vocabulary_from(json.loads(json.dumps(subwords.as_dict())))
    assert again.encode(text).tolist() == codes.tolist()
    assert Subwords.learned(SENTENCES, 300).document == subwords.document  # the same on every run


def test_a_vocabulary_of_another_kind_is_refused():
    with pytest.raises(InvalidInput, match="'words'; expected characters or subwords"):
        vocabulary_from({"kind": "words"})
    with pytest.raises(InvalidInput, match="expected a document of tokenizers"):
        vocabulary_from({"kind": "subwords", "tokenizer": {"a": 1}})
    with pytest.raises(InvalidInput, match="each once, sorted"):
        vocabulary_from({"kind": "characters", "alphabet": "ba"})
    with pytest.raises(InvalidInput, match="at least 259"):
        Subwords.learned(SENTENCES, 100)


def test_windows_are_stretches_and_what_follows_them():
    codes = torch.arange(1000)
    windows = Windows(codes, batch=7, context=5, seed=3)
    inputs, targets = windows(nn.Linear(1, 1), 11)
    assert inputs.shape == targets.shape == (7, 5)
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs[:, 1:], inputs[:, :-1] + 1)
    again, _ = Windows(codes, 7, 5, 3)(nn.Linear(1, 1), 11)
    other, _ = windows(nn.Linear(1, 1), 12)
    assert torch.equal(inputs, again)
    assert not torch.equal(inputs, other)
    _, targets = Windows(codes[:10], 200, 9, 0)(nn.Linear(1, 1), 0)
    assert set(targets[:, -1].tolist()) == {9}  # the last symbol is foretold too
    with pytest.raises(InvalidInput, match="5 symbols; expected more than 5"):
        Windows(codes[:5], 7, 5, 3)


def test_words_are_numbers_without_case_and_strange_ones_are_told():
    words = KnownWords.of(["Is the Cat left?", "is  it\tleft"])
    assert words.known == ("?", "cat", "is", "it", "left", "the")
    assert words.encode("LEFT is the dog, cat!").tolist() == [5, 3, 6, 2]
    assert words.strange("LEFT is the dog, dog!") == ("dog", ",", "!")
    assert KnownWords.of(["b b a c c", "c"], most=2).known == ("b", "c")
    assert len(words.encode("")) == 0
    with pytest.raises(InvalidInput, match="each once"):
        KnownWords(["a", "a"])
