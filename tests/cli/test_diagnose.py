"""``bayesight diagnose`` tells the worth of a result, with intervals."""

import json
import re

import pytest
import typer
from scipy import stats
from typer.testing import CliRunner

from bayesight.cli.bayes import diagnose
from bayesight.errors import Impossible, InvalidInput

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
app.command("diagnose")(diagnose)
COUNTS = ["--counts", "99", "1", "90", "810"]
RATES = ["--sensitivity", "0.99", "--false-alarm", "0.10"]


def run(*words):
    return CliRunner().invoke(app, list(words))


def document(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


@pytest.mark.parametrize(("alarm", "worth"), [("0.01", 0.9167), ("0.10", 0.5238)])
def test_worked_figures(alarm, worth):
    found = document("--sensitivity", "0.99", "--false-alarm", alarm, "--prevalence", "0.1")
    assert round(found["precision"]["mean"], 4) == worth
    for name in ("sensitivity", "false_alarm", "precision", "negative_predictive_value"):
        assert set(found[name]) == {"mean", "low", "high"}
    assert found["likelihood_ratios"]["positive"]["mean"] == pytest.approx(0.99 / float(alarm))


def test_counts_with_their_own_prevalence_are_exact():
    found = document(*COUNTS, "--beta", "2,3", "--level", "0.8")
    assert [found["precision"][k] for k in ("low", "high")] == pytest.approx(
        stats.beta(101, 93).interval(0.8)
    )
    assert [found["sensitivity"][k] for k in ("low", "high")] == pytest.approx(
        stats.beta(101, 4).interval(0.8)
    )


def test_prevalence_as_number_interval_and_counts():
    number = document(*COUNTS, "--prevalence", "0.01")
    assert number["precision"]["mean"] == pytest.approx(0.09, abs=0.01)
    interval = document(*COUNTS, "--prevalence", "5e-3-2e-2")["prevalence"]
    assert (interval["low"], interval["high"]) == pytest.approx((0.005, 0.02))
    counted = document(*COUNTS, "--prevalence", "12/340")["prevalence"]
    assert (counted["low"], counted["high"]) == pytest.approx(stats.beta(12.5, 328.5).interval(0.95))


def test_percentages_are_taken_as_they_are_typed():
    assert document(*COUNTS, "--prevalence", "0.5%-2%") == document(*COUNTS, "--prevalence", "0.005-0.02")
    typed = document("--sensitivity", "99%", "--false-alarm", "10%", "--prevalence", "1%")
    assert typed == document(*RATES, "--prevalence", "0.01")


def test_the_seed_decides():
    words = [*COUNTS, "--prevalence", "0.01"]
    assert document(*words) == document(*words)
    assert document(*words, "--seed", "1") != document(*words)


def test_a_perfect_test_is_still_json():
    found = document("--sensitivity", "1", "--false-alarm", "0", "--prevalence", "0.1")
    assert found["likelihood_ratios"]["positive"]["mean"] is None


def test_text_explains_every_term_and_counts_people():
    text = run(*RATES, "--prevalence", "0.1").stdout
    assert "189 test positive: 99 who have it and 90 who do not." in text
    assert "precision: of those who test positive, the share who have it" in text
    assert "draws" not in text
    own = run(*COUNTS).stdout
    assert "state --prevalence" in own
    assert "100,000 draws" in own
    assert max(map(len, own.splitlines())) <= 125


def test_small_probabilities_keep_their_figures_and_are_counted_in_enough_people():
    text = run(*RATES, "--prevalence", "1e-5").stdout
    assert re.search(r"prevalence +0\.001 %", text)
    assert re.search(r"precision +0\.0099 %", text)
    assert re.search(r"negative predictive value +99\.999989 %", text)
    assert "Of 10,000,000 people 100 have it and 9,999,900 do not." in text
    assert "1,000,089 test positive: 99 who have it and 999,990 who do not." in text
    wide = run(*COUNTS, "--prevalence", "1e-5", "--level", "0.999").stdout
    assert "99.9 % interval" in wide
    assert not re.search(r"\b0\.00 %|\b100\.00 %", wide)


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ([*RATES, "--prevalence", "10"], InvalidInput, r"got 10; .*write 0\.1"),
        ([*RATES, "--prevalence", "often"], InvalidInput, "got 'often'; expected a number"),
        ([*RATES, "--prevalence", "0.3-0.1"], InvalidInput, "lower bound first"),
        ([*RATES, "--prevalence", "5/2"], InvalidInput, "5 of 2; expected no more than the total"),
        (["--counts", "-1", "2", "3", "4"], InvalidInput, "a count of -1"),
        (["--counts", "nan", "2", "3", "4"], InvalidInput, "a count of nan"),
        ([*COUNTS, "--beta", "1"], InvalidInput, "--beta: got '1'; expected two numbers"),
        ([*COUNTS, "--beta", "0,1"], InvalidInput, "above 0"),
        ([*COUNTS, "--level", "95"], InvalidInput, "level"),
        (["--sensitivity", "0", "--false-alarm", "0", "--prevalence", "0.5"], Impossible, "cannot occur"),
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
        [],
        RATES,
        [*COUNTS, *RATES],
        [*RATES, "--prevalence", ".1", "--beta", "2,3"],
        ["--counts", "1", "2", "3"],
    ],
)
def test_wrong_usage_exits_2(words):
    assert run(*words).exit_code == 2


def test_help_has_an_example():
    assert "Example: bayesight diagnose --counts 99 1 90 810" in " ".join(run("--help").stdout.split())
