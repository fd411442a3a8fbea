"""The error tree and its messages."""

import builtins
import inspect
import math
import re
from functools import partial

import numpy as np
import pytest
import torch

from bayesight import errors
from bayesight.checks import check, distribution, existing_path, probability
from bayesight.errors import BayesightError, InvalidConfig, InvalidInput, SourceNotFound, UnknownName, nearest
from bayesight.registry import Registry, option_problems

ERRORS = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, BayesightError)]


@pytest.mark.parametrize("error", [e for e in ERRORS if e is not BayesightError])
def test_every_error_is_also_the_builtin_a_caller_expects(error):
    builtin = [c for c in error.__mro__ if c.__module__ == "builtins" and c.__name__ in dir(builtins)]
    assert builtin[0] not in (Exception, BaseException, object)
    assert f"({builtin[0].__name__})" in errors.__doc__ or issubclass(error, InvalidInput)
    assert error.__name__ in errors.__doc__


def test_public_names_are_exactly_what_is_visible():
    defined = {n for n, v in vars(errors).items() if getattr(v, "__module__", "") == errors.__name__}
    assert defined == set(errors.__all__)


def test_unknown_name_suggests_and_lists():
    assert "did you mean 'resnet'" in str(UnknownName("model", "restnet", ["mlp", "resnet"]))
    assert str(UnknownName("model", "zzz", ["mlp"])) == "no model is called 'zzz'; known: mlp"


@pytest.mark.parametrize("error", [SourceNotFound, InvalidInput, errors.StorageFailed])
def test_a_message_is_short_and_printable_whatever_it_quotes(error):
    word = str(error(f"{'a' * 6000} does not exist; give another --out."))
    assert len(word) < 260
    assert word.startswith("aaaa")
    assert word.endswith("…" + "a" * 66 + " does not exist; give another --out.")
    many = str(error("begins here " + "word " * 5000 + "ends here"))
    assert len(many) == 1500
    assert (many[:11], many[-9:]) == ("begins here", "ends here")
    assert str(error("\x1b[2J\ud800\u202e")) == "\\x1b[2J\\ud800\\u202e"


def test_unknown_names_are_listed_up_to_a_dozen():
    said = str(UnknownName("class", "q" * 300, [f"c{i:03}" for i in range(105)]))
    assert said.endswith("c010, c011 and 93 more")
    assert f"'{'q' * 40}…{'q' * 19}'" in said


def test_config_reports_every_problem():
    assert str(InvalidConfig("r", [f"{i} is bad" for i in range(14)])).endswith("11 is bad; and 2 more")
    message = str(InvalidConfig("r.toml", ["a is 1", "b is 2"]))
    assert message == "r.toml: 2 problems: a is 1; b is 2"
    assert str(InvalidConfig("r.toml", ["a is 1"])) == "r.toml: 1 problem: a is 1"


def test_nearest_ignores_case_and_refuses_the_far():
    assert nearest("RESNET", ["resnet"]) == "resnet"
    assert nearest("resnet", ["transformer"]) is None


def test_check_has_three_parts():
    with pytest.raises(InvalidInput, match=r"^lr: got -1; expected a positive rate\. Try 0\.1\.$"):
        check(False, "lr", "got -1", "a positive rate", "Try 0.1.")
    check(True, "lr", "", "")


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_probability_refuses(value):
    with pytest.raises(InvalidInput, match=r"expected a probability in \[0, 1\]"):
        probability(value, "p")


def test_probability_knows_percentages_and_open_intervals():
    assert probability(0.25, "p") == 0.25
    with pytest.raises(InvalidInput, match=r"percentage, write 0\.35"):
        probability(35, "p")
    with pytest.raises(InvalidInput, match="strictly"):
        probability(1.0, "p", open_interval=True)


def test_missing_path_names_working_directory_and_nearest(tmp_path, monkeypatch):
    (tmp_path / "letters.tar.gz").touch()
    monkeypatch.chdir(tmp_path)
    assert existing_path("letters.tar.gz") == tmp_path / "letters.tar.gz"
    with pytest.raises(SourceNotFound, match="does not exist"):
        existing_path("a" * 300)  # longer than a name may be
    with pytest.raises(SourceNotFound) as caught:
        existing_path("leters.tar.gz")
    assert str(tmp_path) in str(caught.value)
    assert "did you mean 'letters.tar.gz'" in str(caught.value)
    with pytest.raises(SourceNotFound, match="nearest folder that exists is") as caught:
        existing_path("no/such/deep/file")
    assert str(tmp_path) in str(caught.value)


def test_registry_lists_suggests_and_refuses_duplicates():
    things = Registry("thing")
    things.register("one")(lambda *, size=1: size)
    assert (things.names(), "one" in things, list(things)) == (("one",), True, ["one"])
    assert things["one"](size=3) == 3
    with pytest.raises(InvalidInput, match="registered already"):
        things.register("one")(lambda: 0)
    with pytest.raises(UnknownName, match="did you mean 'one'"):
        things["oen"]
    assert option_problems(things["one"], {"size": 2}, "thing") == []
    assert "did you mean 'size'" in option_problems(things["one"], {"sise": 2}, "thing")[0]


@pytest.mark.parametrize("kind", [np.array, partial(torch.tensor, dtype=torch.float64)])
def test_a_distribution_is_returned_with_sum_1(kind):
    found = distribution(kind([0.25, 0.75 + 4e-7]), 2, "prior")
    assert type(found) is type(kind([1.0]))
    assert float(found.sum()) == 1.0
    assert float(found[0]) == pytest.approx(0.25 / (1 + 4e-7), rel=1e-15)


@pytest.mark.parametrize("kind", [np.array, partial(torch.tensor, dtype=torch.float64)])
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([0.5, 0.5, 0.0], "prior: shape (3,); expected one probability for each of the 2 classes."),
        ([3.0, 1.0], "prior: numbers of 1 or more with sum 4; expected probabilities with sum 1. "
         "If these are counts, divide them by their sum."),
        ([1.5, -0.5], "prior: numbers of -0.5 or more with sum 1; expected probabilities with sum 1."),
        ([math.nan, 0.5], "prior: numbers of nan"),
        ([math.inf, 0.0], "with sum inf"),
    ],
)  # fmt: skip
def test_a_distribution_refuses(kind, values, sentence):
    with pytest.raises(InvalidInput, match=re.escape(sentence)):
        distribution(kind(values), 2, "prior")


def test_a_registry_builds_what_it_names_and_refuses_options_nobody_has():
    table = Registry("loss")

    @table.register("hinge")
    def hinge(classes, *, margin: float = 1.0):
        return classes, margin

    assert table.build("hinge", 3, margin=2.0) == (3, 2.0)
    with pytest.raises(InvalidConfig, match="loss 'hinge' has no option 'margn'; did you mean 'margin'"):
        table.build("hinge", 3, margn=2.0)
