"""Estimates from words: closed forms, a text that is piped, and what is refused."""

import pytest
import torch
from scipy import stats

from bayesight.errors import InvalidInput, SourceUnreadable, UnknownName
from bayesight.workflows.estimate import estimate


def test_a_coin_has_the_beta_posterior():
    found = estimate("Coin", ["1", "tails", "yes", "H"], prior="a=3, b=1.5", level=0.8)
    low, high = (bound.item() for bound in found.snapshots[-1].interval["rate"])
    assert (low, high) == pytest.approx(stats.beta(6, 2.5).interval(0.8))
    assert found.family == "beta"
    assert found.as_dict()["growth"][-1]["n"] == 4


def test_a_piped_text_has_a_header_and_words_on_the_line_have_none():
    piped = estimate("line", [], piped="dose;effect\n0;1\n1;3\n2;5.5\n")
    typed = estimate("line", ["0,1", "1,3", "2,5.5"])
    assert (piped.names, typed.names) == (["intercept", "slope of dose"], ["intercept", "slope of x"])
    both = [one.snapshots[-1].mle["coefficients"] for one in (piped, typed)]
    assert torch.equal(*both)
    line = stats.linregress([0, 1, 2], [1, 3, 5.5])
    assert both[0].tolist() == pytest.approx([line.intercept, line.slope])


@pytest.mark.parametrize(
    ("words", "more", "error", "says"),
    [
        (("dice", ["1"]), {}, UnknownName, "dice"),
        (("coin", ["1", "edge"]), {}, InvalidInput, "'edge'; expected 1 or 0"),
        (("mean", []), {"piped": "length\n"}, SourceUnreadable, "only a header, length"),
        (("mean", []), {"piped": " \n"}, SourceUnreadable, "standard input: no data"),
        (("mean", ["1", "2"]), {"prior": "shape=2"}, InvalidInput, "shape and rate, which go together"),
        (("cloud", ["1,2", "3"]), {}, InvalidInput, "row 2: 1 numbers; expected 2"),
    ],
)
def test_refusals_say_what_was_expected(words, more, error, says):
    with pytest.raises(error, match=says):
        estimate(*words, **more)
