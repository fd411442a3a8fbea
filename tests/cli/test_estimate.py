"""``bayesight estimate``: both schools side by side, from inline data, a file or standard input."""

import json

import pytest
import typer
from scipy import stats
from typer.testing import CliRunner

from bayesight.cli.estimate import estimate
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable, UnknownName

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
app.command("estimate")(estimate)


def run(*words, stdin=None):
    return CliRunner().invoke(app, list(words), input=stdin)


def document(*words, stdin=None):
    result = run("--json", *words, stdin=stdin)
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def test_coin():
    found = document("coin", "1", "1", "0", "H", "tails", "--prior", "a=2,b=3", "--level", "0.9")
    assert found["mle"] == {"rate": 0.6}
    assert found["posterior"]["rate"] == pytest.approx(0.5)
    interval = found["interval"]["rate"]
    assert (interval["low"], interval["high"]) == pytest.approx(stats.beta(5, 5).interval(0.9))
    assert [s["n"] for s in found["growth"]] == [1, 2, 5]
    assert found["log_evidence"] == found["growth"][-1]["log_evidence"]


def test_categories_and_those_not_yet_seen():
    found = document("categories", "a", "c", "a", "--categories", "a,b,c", "--prior", "alpha=0.5")
    assert found["names"] == ["a", "b", "c"]
    assert found["posterior"]["probabilities"] == pytest.approx([2.5 / 4.5, 0.5 / 4.5, 1.5 / 4.5])


def test_mean_from_a_file_with_a_header(tmp_path):
    file = tmp_path / "lengths.csv"
    file.write_text("length\n4.0\n5.0\n\n9\n", encoding="utf-8")
    found = document("mean", str(file))
    assert found["mle"]["mean"] == found["posterior"]["mean"] == 6
    low, high = (found["interval"]["mean"][end] for end in ("low", "high"))
    assert (low, high) == pytest.approx(stats.t(2, 6, (7 / 3) ** 0.5).interval(0.95))
    assert found["log_evidence"] is None
    assert found["growth"][0]["interval"] is None
    assert found["n"] == 3
    assert found["growth"][0]["mle"] == {"mean": 4, "variance": 0}


def test_line_from_standard_input_and_both_converge():
    rows = "\n".join(f"{x / 10},{3 - 0.7 * x / 10 + (0.1 if x % 2 else -0.1)}" for x in range(500))
    found = document("line", "-", stdin="x,y\n" + rows)
    assert found["names"] == ["intercept", "slope of x"]
    assert found["mle"]["coefficients"] == pytest.approx([3, -0.7], abs=0.02)
    assert found["posterior"]["coefficients"] == pytest.approx(found["mle"]["coefficients"], rel=1e-12)
    assert found["growth"][0]["mle"] is None
    low, high = found["interval"]["coefficients"]["low"], found["interval"]["coefficients"]["high"]
    assert low[1] < -0.7 < high[1]


def test_cloud_and_negative_numbers_inline():
    found = document("cloud", "--prior", "strength=0.5,df=4", "--", "-1,2", "-3,4", "5,-6")
    assert found["mle"]["mean"] == pytest.approx([1 / 3, 0])
    assert found["posterior"]["mean"] == pytest.approx([1 / 3.5, 0])


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("coin", "1", "1"), ["rate", "max. likelihood", "0.75", "log-evidence of all 2"]),
        (("line", "0,1", "1,3", "2,4"), ["intercept", "slope of x", "open", "variance:"]),
        (("cloud", "0,1", "1,3"), ["mean of x1", "mean of x2"]),
        (("mean", "3"), ["mean", "open", "not defined after a reference prior"]),
        (("mean", "3", "4", "8", "--prior", "shape=1,rate=2"), ["variance:", "log-evidence of all 3: -"]),
    ],
)
def test_text(words, shown):
    text = run(*words).stdout
    for part in shown:
        assert part in text


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["con", "1"], UnknownName, "no family is called 'con'; did you mean 'coin'"),
        (["coin", "1", "2"], InvalidInput, "coin: got '2'"),
        (["mean", "3", "x"], InvalidInput, "row 2: 'x'; expected a number"),
        (["mean", "nan"], InvalidInput, "NaN"),
        (["line", "1,2", "3"], InvalidInput, "row 2: 1 numbers; expected 2"),
        (["line", "1", "3"], InvalidInput, "row 1: 1 numbers; expected 2"),
        (["categories", "a", "a"], InvalidInput, "expected two or more"),
        (["categories", "a", "d", "--categories", "a,b"], UnknownName, "no category is called 'd'"),
        (["coin", "1", "--prior", "c=1"], UnknownName, "known: a, b"),
        (["coin", "1", "--prior", "a"], InvalidInput, "--prior: 'a'; expected NAME=NUMBER"),
        (["coin", "1", "--prior", "a=-1"], InvalidInput, "above 0"),
        (["mean", "1", "--prior", "shape=1"], InvalidInput, "shape alone; expected shape and rate"),
        (["mean", "1", "--prior", "strength=-1"], InvalidInput, "strength of 0 or more"),
        (["mean", "nowhere.csv"], SourceNotFound, "'nowhere.csv' does not exist"),
        (["mean", ""], SourceUnreadable, "no data"),
        (["mean", "length", "3"], InvalidInput, "row 1: 'length'; expected a number"),
        (["coin", "edge", "1"], InvalidInput, "coin: got 'edge'"),
    ],
)
def test_refused(words, kind, message):
    result = run(*words)
    assert isinstance(result.exception, kind), result.exception
    with pytest.raises(kind, match=message):
        raise result.exception


def test_a_binary_file_is_refused(tmp_path):
    file = tmp_path / "picture.csv"
    file.write_bytes(b"\x89PNG\xff\xfe\x00")
    assert isinstance(run("mean", str(file)).exception, SourceUnreadable)
    assert isinstance(run("mean", str(tmp_path) + "/").exception, SourceUnreadable)
    assert isinstance(run("mean", "-", stdin="\n\n").exception, SourceUnreadable)
    with pytest.raises(SourceUnreadable, match="only a header, length"):
        raise run("mean", "-", stdin="length\n").exception
    assert document("coin", "-", stdin="landed\n1\n0\n")["n"] == 2


def test_help_has_an_example():
    assert "Example: bayesight estimate coin 1 1 0 1" in " ".join(run("--help").stdout.split())
