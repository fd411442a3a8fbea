"""``--lang``: answers for people follow it, documents for programs do not."""

import re

BAYES = ("bayes", "--prior", "0.1", "--sensitivity", "0.99", "--false-alarm", "0.1", "--result", "+")


def test_an_answer_is_in_the_language_asked_for(program, monkeypatch):
    status, out, _ = program(*BAYES, "--lang", "ko")
    assert status == 0
    assert "양성 189명 가운데 99명이 해당합니다." in out
    assert not re.findall("[A-Za-z]{2,}", out)
    assert "Of 1,000 such people" in program(*BAYES)[1]
    monkeypatch.setenv("BAYESIGHT_LANG", "ko")
    assert program(*BAYES)[1] == out


def test_a_document_is_the_same_in_every_language(program):
    assert program(*BAYES, "--json", "--lang", "ko") == program(*BAYES, "--json", "--lang", "en")


def test_a_language_that_is_not_there_is_refused(program):
    status, _, err = program(*BAYES, "--lang", "fr")
    assert status == 2
    assert "expected en or ko" in " ".join(err.split())


def test_columns_stay_under_their_heads(program):
    out = program("bayes", "--hypotheses", "A=0.2,B=0.8", "--likelihood", "A=.9,B=.1", "--lang", "ko")[1]
    head, row = next(
        (a, b) for a, b in zip(out.split("\n"), out.split("\n")[1:], strict=False) if "가설" in a
    )
    wide = sum(1 + ("가" <= letter <= "힣") for letter in head)
    assert wide == len(row)
