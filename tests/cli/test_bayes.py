"""``bayesight bayes`` gives the worked figures and refuses what is no probability."""

import json

import pytest
import typer
from typer.testing import CliRunner

from bayesight.cli.bayes import bayes
from bayesight.errors import Impossible, InvalidInput, UnknownName

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
app.command("bayes")(bayes)
RATES = ["--prior", "0.1", "--sensitivity", "0.99", "--false-alarm", "0.1"]
MANY = ["--hypotheses", "A=0.2, B=0.5,C=0.3"]


def run(*words):
    return CliRunner().invoke(app, list(words))


def steps(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)["steps"]


@pytest.mark.parametrize(("alarm", "figures"), [("0.01", [0.9167, 0.9991]), ("0.10", [0.5238, 0.9159])])
def test_worked_figures(alarm, figures):
    found = steps(
        "--prior", "0.1", "--sensitivity", "0.99", "--false-alarm", alarm, "--result", "+", "--result", "+"
    )
    assert [round(s["posterior"], 4) for s in found] == figures
    assert found[1]["prior"] == found[0]["posterior"]
    assert found[0]["evidence"] == pytest.approx(0.1 * 0.99 + 0.9 * float(alarm))
    assert set(found[0]) == {"result", "prior", "evidence", "posterior"}


@pytest.mark.parametrize("minus", ["-", "negative", "NEG"])
def test_a_minus_is_a_result(minus):
    found = steps(*RATES, "--result", "+", "--result", minus)
    assert [s["result"] for s in found] == ["+", "-"]
    assert found[1]["posterior"] == pytest.approx(0.099 * 0.01 / (0.099 * 0.01 + 0.09 * 0.9))


def test_dependence_discounts_the_second_reading():
    both = ["--result", "+", "--result", "+"]
    free, some, none = (steps(*RATES, *both, "--dependence", d)[1]["posterior"] for d in ("0", "0.5", "1"))
    assert round(free, 4) == 0.9159
    assert none == pytest.approx(0.099 / 0.189)
    assert none < some < free


def test_percentages_are_taken_as_they_are_typed():
    typed = ["--prior", "10%", "--sensitivity", "99 %", "--false-alarm", "10%", "--result", "+"]
    assert steps(*typed) == steps(*RATES, "--result", "+")
    words = ["--likelihood", "A=90%,B=10%,C=30%"]
    first = steps("--hypotheses", "A=20%,B=50%,C=30%", *words)[0]
    assert first["posterior"] == pytest.approx({"A": 0.5625, "B": 0.15625, "C": 0.28125})
    much = run("--prior", "much", *RATES[2:], "--result", "+")
    assert much.exit_code == 2
    assert "'much' is no number; expected a probability, as 0.1 or 10%" in " ".join(much.stderr.split())
    assert steps("--prior", "0,1", *RATES[2:], "--result", "+") == steps(*RATES, "--result", "+")
    counts = run("--hypotheses", "A=2,B=1,C=1", *words)
    assert "--hypotheses: priors that sum to 4; expected 1. Of what look like counts, divide" in str(
        counts.exception
    )
    beyond = run("--prior", "130%", *RATES[2:], "--result", "+")
    assert beyond.exit_code == 2
    assert "130% is no probability; expected 0% to 100%" in beyond.stderr


def test_many_hypotheses():
    found = steps(*MANY, "--likelihood", "A=.9,B=.1,C=.3", "--likelihood", "C=1,B=0,A=.5")
    assert found[0]["evidence"] == pytest.approx(0.32)
    assert found[0]["posterior"] == pytest.approx({"A": 0.5625, "B": 0.15625, "C": 0.28125})
    assert found[1]["prior"] == found[0]["posterior"]
    assert found[1]["posterior"] == pytest.approx({"A": 0.5, "B": 0.0, "C": 0.5})


def test_text_puts_the_numbers_in():
    text = run(*RATES, "--result", "+", "--result", "-").stdout
    assert "0.1 x 0.99 / (0.1 x 0.99 + 0.9 x 0.1)" in text
    assert "= 0.099 / 0.189 = 0.5238" in text
    assert "99 of 189 positives have it" in text
    assert "Of 1,000 such people 524 have it, and 5 of them test negative" in text
    assert (
        "discounted for dependence 0.3" in run(*RATES, *["--result", "+"] * 2, "--dependence", "0.3").stdout
    )
    table = run(*MANY, "--likelihood", "A=.9,B=.1,C=.3").stdout
    assert "evidence: the sum of the products, 0.32" in table
    assert "0.5625" in table


def test_small_probabilities_keep_their_figures_and_are_counted_in_enough_people():
    rates = ["--sensitivity", "0.99", "--false-alarm", "0.01"]
    text = run("--prior", "1e-6", *rates, "--result", "+").stdout
    assert "0.000001 x 0.99 / (0.000001 x 0.99 + 0.999999 x 0.01)" in text
    assert "= 0.00000099 / 0.01 = 0.00009899" in text
    assert "Of 100,000,000 such people 100 have it, and 99 of them test positive" in text
    assert "99 of 1,000,098 positives have it" in text
    assert "Probability of having it: 0.0001 % before, 0.0099 % after." in text
    sure = run("--prior", "0.99999", *rates, "--result", "+").stdout
    assert "1.0000" not in sure
    assert "Probability of having it: 99.999 % before, 99.99999 % after." in sure
    # In no population that can be counted is there one who has it.
    assert "such people" not in run("--prior", "1e-20", *rates, "--result", "+").stdout
    nearly = ["--sensitivity", "0.999999999999", "--false-alarm", "1e-13", "--result", "+", "--result", "+"]
    text = run("--prior", "0.5", *nearly).stdout
    assert "before, > 99.9999999 % after" in text
    assert text.count("positives have it") == 1  # after the second nobody is left to be alarmed
    table = run("--hypotheses", "A=0.00001,B=0.99999", "--likelihood", "A=1e-3,B=.1").stdout
    assert "0.00001      0.0010  0.00000001  0.0000001" in table


def test_text_survives_an_excluded_hypothesis():
    text = run("--hypotheses", "A=0,B=1", "--likelihood", "A=.9,B=.1").stdout
    assert "nan" not in text
    assert "0.9000" in text


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["--prior", "10", *RATES[2:], "--result", "+"], InvalidInput, r"--prior: got 10; .* write 0\.1"),
        (["--prior", "nan", *RATES[2:], "--result", "+"], InvalidInput, "--prior: got nan"),
        ([*RATES[:4], "--false-alarm", "-0.1", "--result", "+"], InvalidInput, "--false-alarm: got -0.1"),
        ([*RATES, "--result", "maybe"], UnknownName, "no result is called 'maybe'"),
        ([*RATES, "--result", "+", "--dependence", "2"], InvalidInput, "dependence"),
        (
            ["--prior", "1", "--sensitivity", "0", "--false-alarm", "0.5", "--result", "+"],
            Impossible,
            "impossible",
        ),
        (["--hypotheses", "A=3,B=7", "--likelihood", "A=1,B=1"], InvalidInput, "look like counts"),
        ([*MANY, "--likelihood", "A=.9,B=.1"], InvalidInput, "nothing for C"),
        ([*MANY, "--likelihood", "A=.9,B=.1,C=.1,D=.2"], UnknownName, "no hypothesis is called 'D'"),
        ([*MANY, "--likelihood", "A=x"], InvalidInput, "'A=x'; expected NAME=NUMBER"),
        ([*MANY, "--likelihood", "A=.1,A=.2"], InvalidInput, "'A' twice"),
    ],
)
def test_refused(words, kind, message):
    result = run(*words)
    assert isinstance(result.exception, kind)
    with pytest.raises(kind, match=message):
        raise result.exception


@pytest.mark.parametrize(
    "words",
    [
        RATES,
        ["--result", "+"],
        [*RATES, *MANY],
        MANY,
        [*MANY, "--likelihood", "A=1,B=1,C=1", "--result", "+"],
    ],
)
def test_wrong_usage_exits_2(words):
    result = run(*words)
    assert result.exit_code == 2


def test_help_has_an_example():
    assert "Example: bayesight bayes --prior 0.1" in " ".join(run("--help").stdout.split())
