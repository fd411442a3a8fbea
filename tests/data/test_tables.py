"""Tables: what is read, how it is reduced, and what is refused in which words."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesight.data.tables as tables
from bayesight.causal.sample import Discrete, Numeric
from bayesight.data.tables import ReadOptions, column_names, read_sample
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable, UnknownName


@pytest.fixture
def write(tmp_path):
    """A file with the given text."""

    def make(text, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def counted(path, *columns, **options):
    """{row values: count} of a table of discrete columns."""
    sample = read_sample(path, ReadOptions(columns, **options)).sample
    rows = zip(*([c.levels[k] for k in c.codes] for c in sample.columns.values()), strict=True)
    found = {}
    for row, n in zip(rows, sample.n.tolist(), strict=True):
        found[row] = found.get(row, 0) + n
    return found


EXPECTED = {("a", "1"): 2.0, ("b", "0"): 1.0}


@pytest.mark.parametrize(
    "text",
    [
        "z,t\na,1\nb,0\na,1\n",
        "z;t\r\na;1\r\nb;0\r\na;1\r\n",
        "z\tt\na\t1.0\nb\t0\na\t1\n",
        '\ufeff"z","t"\n"a", 1\n"b",0.0\na,1',
        "other,z,t\n9,a,1\n8,b,0\n7,a,1\n",
    ],
)
def test_csv_in_its_dialects(write, text):
    assert counted(write(text), "z", "t") == EXPECTED


def test_compressed_and_parquet_say_the_same(write, tmp_path):
    assert counted(write(gzip.compress(b"z,t\na,1\nb,0\na,1\n"), "t.csv.gz"), "z", "t") == EXPECTED
    path = tmp_path / "t.parquet"
    z = pa.array(["a", "b", "a"]).dictionary_encode()
    for t in ([1, 0, 1], [1.0, 0.0, 1.0], ["1", "0", "1"]):
        pq.write_table(pa.table({"z": z, "t": t}), path)
        assert counted(path, "z", "t") == EXPECTED
    pq.write_table(pa.table({"z": z, "t": [True, False, True]}), path)
    assert counted(path, "z", "t") == {("a", "true"): 2.0, ("b", "false"): 1.0}
    assert column_names(path) == ("z", "t")


def test_levels_are_in_order(write):
    sample = read_sample(write("t,u\n10,b\n9,a\n-1,c\n"), ReadOptions(("t", "u"))).sample
    assert sample.columns["t"].levels == ("-1", "9", "10")
    assert sample.columns["u"].levels == ("a", "b", "c")


def test_counts_and_weights(write):
    path = write("t,n\na,3\nb,0\na,2\nb,1\n")
    assert counted(path, "t", counts="n") == {("a",): 5.0, ("b",): 1.0}
    sample = read_sample(path, ReadOptions(("t",), weights="n")).sample
    assert sample.n.tolist() == [5.0, 1.0]
    assert sample.squares.tolist() == [13.0, 1.0]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(60, 400))
def test_batches_make_no_difference(tmp_path_factory, seed, block):
    """However the file is cut into batches, the cells and their moments are the same."""
    rng = np.random.default_rng(seed)
    z, t, y = rng.integers(0, 3, 90), rng.integers(0, 2, 90), rng.normal(size=90).round(3)
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_text("z,t,y\n" + "".join(f"{a},{b},{c}\n" for a, b, c in zip(z, t, y, strict=True)))
    before = tables._BLOCK_BYTES
    tables._BLOCK_BYTES = block
    try:
        sample = read_sample(path, ReadOptions(("z", "t", "y"), outcome="y")).sample
    finally:
        tables._BLOCK_BYTES = before
    assert isinstance(sample.columns["y"], Numeric)
    assert len(sample.n) == 2 * len(set(zip(z.tolist(), t.tolist(), strict=True)))  # two rows a cell
    for a, b in {(0, 0), (1, 1), (2, 0)}:
        here = (z == a) & (t == b)
        rows = (sample.columns["z"].codes == a) & (sample.columns["t"].codes == b)
        n, values = sample.n[rows], sample.columns["y"].values[rows]
        assert n.sum() == here.sum()
        if here.any():
            assert np.average(values, weights=n) == pytest.approx(y[here].mean(), abs=1e-12)
            assert np.average(values**2, weights=n) == pytest.approx((y[here] ** 2).mean(), abs=1e-12)


def test_continuous_columns_keep_their_rows(write):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 200))
    path = write(
        "x,y,z\n"
        + "".join(
            f"{a!r},{b!r},{'pq'[i % 2]}\n"
            for i, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True))
        )
    )
    sample = read_sample(path, ReadOptions(("x", "y", "z"), outcome="y")).sample
    assert sample.columns["x"].values.tolist() == x.tolist()
    assert sample.columns["y"].values.tolist() == y.tolist()
    assert isinstance(sample.columns["z"], Discrete)
    assert sample.total == 200


def test_a_number_of_few_values_can_be_made_continuous_and_back(write):
    few = write("x,y\n" + "".join(f"{i % 5},{i}\n" for i in range(60)))
    assert isinstance(read_sample(few, ReadOptions(("x",))).sample.columns["x"], Discrete)
    assert isinstance(read_sample(few, ReadOptions(("x",), numeric=("x",))).sample.columns["x"], Numeric)
    named = read_sample(few, ReadOptions(("y",), text=("y",))).sample.columns["y"]
    assert isinstance(named, Discrete)
    assert len(named.levels) == 60


def test_thousands_of_different_numbers_or_names(write):
    path = write("x,name\n" + "".join(f"{i / 7},n{i}\n" for i in range(3000)))
    assert isinstance(read_sample(path, ReadOptions(("x",))).sample.columns["x"], Numeric)
    with pytest.raises(InvalidInput, match="name: 'n0' in row 1; expected a number"):
        read_sample(path, ReadOptions(("name",)))
    with pytest.raises(InvalidInput, match="name: more than 1,000 different values"):
        read_sample(path, ReadOptions(("name",), text=("name",)))


def test_missing_values_are_counted_refused_or_dropped(write):
    path = write("z,t,y\na,1,NA\n,0,1\nb, ,0\nb,1,1\na,nan,null\n")
    with pytest.raises(InvalidInput, match=r"t\.csv: missing values \(1 in z, 2 in t, 2 in y of 5 rows\)"):
        read_sample(path, ReadOptions(("z", "t", "y")))
    read = read_sample(path, ReadOptions(("z", "t", "y"), drop_missing=True))
    assert (read.rows, read.dropped, read.sample.total) == (5, 4, 1.0)
    assert read.missing == {"z": 1, "t": 2, "y": 2}
    assert counted(path, "t", drop_missing=True) == {
        ("0",): 1.0,
        ("1",): 2.0,
    }  # only the columns asked for count


def test_missing_in_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [1.0, None, float("nan"), 2.0]}), path)
    with pytest.raises(InvalidInput, match="2 in x of 4 rows"):
        read_sample(path, ReadOptions(("x",)))


def test_text_where_numbers_belong_is_named_with_its_row(write):
    many = write("y\n" + "".join(f"{i}.5\n" for i in range(50)) + "oops\n")
    with pytest.raises(InvalidInput, match="y: 'oops' in row 51; expected a number"):
        read_sample(many, ReadOptions(("y",)))
    few = write("y\n1\n0\nyes\n1\n")
    with pytest.raises(InvalidInput, match="the text 'yes' in row 3 among numbers"):
        read_sample(few, ReadOptions(("y",)))
    assert counted(few, "y", text=("y",)) == {("1",): 2.0, ("0",): 1.0, ("yes",): 1.0}
    endless = write("y\n" + "".join(f"{i}.5\n" for i in range(50)) + "inf\n")
    with pytest.raises(InvalidInput, match="row 51 is not finite"):
        read_sample(endless, ReadOptions(("y",)))


@pytest.mark.parametrize(
    ("text", "options", "error", "said"),
    [
        ("t,n\na,1.5\n", {"counts": "n"}, InvalidInput, "Sampling weights go to --weights"),
        ("t,n\na,-1\n", {"counts": "n"}, InvalidInput, "below 0"),
        ("t,n\na,-1\n", {"weights": "n"}, InvalidInput, "a weight below 0"),
        ("t,n\na,x\n", {"counts": "n"}, InvalidInput, "n: 'x' in row 1; expected a number"),
        ("treatment,n\na,1\n", {}, UnknownName, "did you mean 'treatment'"),
        ("t,t\n1,2\n", {}, SourceUnreadable, "the column 't' comes twice"),
        ("t,n\n", {}, SourceUnreadable, "no rows"),
        ("\n", {}, SourceUnreadable, "no header"),
        ("", {}, SourceUnreadable, "no header"),
        ("t,n\na,1\nb\n", {}, SourceUnreadable, "expected a CSV file"),
        (b"PAR1 not really", {}, SourceUnreadable, "expected a CSV file"),
        (b"t,n\n\xff\xfe,1\n", {}, SourceUnreadable, "expected a CSV file"),
    ],
)
def test_what_is_no_table_is_refused(write, text, options, error, said):
    name = "treatmnt" if error is UnknownName else "t"
    with pytest.raises(error, match=said):
        read_sample(write(text), ReadOptions((name,), **options))


def test_a_path_that_is_nothing_or_a_folder(tmp_path):
    with pytest.raises(SourceNotFound):
        column_names(tmp_path / "no.csv")
    with pytest.raises(SourceUnreadable, match="is a folder"):
        column_names(tmp_path)


def test_rows_that_do_not_fit_are_refused_before_they_are_held(write, monkeypatch):
    monkeypatch.setattr(tables, "MEMORY_BYTES", 1000)
    path = write("x,y\n" + "".join(f"{i}.5,{i * 7}\n" for i in range(500)))
    with pytest.raises(
        InvalidInput, match=r"x, y are continuous, and the first 500 rows take .* GiB of memory"
    ):
        read_sample(path, ReadOptions(("x", "y")))


def test_progress_is_told(write):
    told = []
    read_sample(write("t\na\nb\n"), ReadOptions(("t",)), lambda done, total: told.append((done, total)))
    assert told == [(2, None)]
