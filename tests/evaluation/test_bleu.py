"""BLEU against its equations, and what is said of how it was measured."""

import math
from collections import Counter

import pytest

from bayesight.errors import InvalidInput
from bayesight.evaluation.bleu import bleu

HEARD = ["a man in a blue shirt is standing on a ladder .", "two dogs run over the green grass ."]
SAID = ["a man in a blue shirt standing on a ladder .", "two brown dogs run over green grass ."]


def by_hand(said, heard):
    """The equations of the paper, sec. 2.3, without smoothing."""
    logs = []
    for n in range(1, 5):
        right = whole = 0
        for one, other in zip(said, heard, strict=True):
            grams, wanted = (
                Counter(zip(*(text.split()[i:] for i in range(n)), strict=False)) for text in (one, other)
            )
            right += sum((grams & wanted).values())
            whole += sum(grams.values())
        logs.append(math.log(right / whole))
    short = sum(len(x.split()) for x in heard) / sum(len(x.split()) for x in said)
    return 100 * math.exp(min(0.0, 1 - short) + sum(logs) / 4)


def test_it_is_the_equation_of_the_paper():
    assert bleu(SAID, HEARD, tokenised=True).score == pytest.approx(by_hand(SAID, HEARD), abs=1e-9)
    assert bleu(HEARD, HEARD).score == pytest.approx(100)


def test_the_scorer_is_named():
    assert "tok:none" in bleu(SAID, HEARD, tokenised=True).scorer
    assert "tok:13a" in bleu(SAID, HEARD).scorer
    joined = [text.replace(" .", ".") for text in SAID]
    assert bleu(joined, HEARD).score == bleu(SAID, HEARD).score > bleu(joined, HEARD, tokenised=True).score


def test_unequal_numbers_are_refused():
    with pytest.raises(InvalidInput, match="1 translations and 2 references"):
        bleu(["a"], ["a", "b"])
