"""Samples of tables: what is read, how it is reduced, and what is refused in which words."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

import bayesight.data.samples as samples
import bayesight.data.tables as tables
from bayesight.causal.sample import Discrete, Numeric
from bayesight.data.columns import Kind
from bayesight.data.samples import ReadOptions, read_parts, read_sample
from bayesight.data.tables import Table
from bayesight.errors import InvalidInput, SourceUnreadable, UnknownName


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
    assert Table.of(path).names == ("z", "t")


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
    with pytest.raises(InvalidInput, match="y: the text 'oops' in row 51 among numbers"):
        read_sample(many, ReadOptions(("y",)))
    few = write("y\n1\n0\nyes\n1\n")
    with pytest.raises(InvalidInput, match="the text 'yes' in row 3 among numbers"):
        read_sample(few, ReadOptions(("y",)))
    assert counted(few, "y", text=("y",)) == {("1",): 2.0, ("0",): 1.0, ("yes",): 1.0}
    endless = write("y\n" + "".join(f"{i}.5\n" for i in range(50)) + "inf\n")
    with pytest.raises(InvalidInput, match="the text 'inf' in row 51 among numbers"):
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
        ("t,n\na,1\nb\n", {}, SourceUnreadable, "line 3 has 1 values; expected 2"),
        ('t,n\na,"x\ny"\nb,1,2\n', {}, SourceUnreadable, "line 4 has 3 values; expected 2"),
        (b"PAR1 not really", {}, SourceUnreadable, "expected a CSV file"),
        (b"t,n\n\x00\x01,1\n", {}, SourceUnreadable, "expected a CSV file"),
    ],
)
def test_what_is_no_table_is_refused(write, text, options, error, said):
    name = "treatmnt" if error is UnknownName else "t"
    with pytest.raises(error, match=said):
        read_sample(write(text), ReadOptions((name,), **options))


def test_rows_that_do_not_fit_are_refused_before_they_are_held(write, monkeypatch):
    monkeypatch.setattr(samples, "MEMORY_BYTES", 1000)
    path = write("x,y\n" + "".join(f"{i}.5,{i * 7}\n" for i in range(500)))
    with pytest.raises(
        InvalidInput, match=r"x, y are continuous, and the first 500 rows take .* GiB of memory"
    ):
        read_sample(path, ReadOptions(("x", "y")))


def test_progress_is_told(write):
    told = []
    read_sample(write("t\na\nb\n"), ReadOptions(("t",)), lambda done, total: told.append((done, total)))
    assert told == [(2, None)]


# Names that are numbers, and one value in several spellings.


def levels(path, name="x", **options):
    column = read_sample(path, ReadOptions((name,), **options)).sample.columns[name]
    return column.levels if isinstance(column, Discrete) else None


def codes_of(count, rows=4000, form="{}"):
    return "".join(form.format(i % count + 1) + "\n" for i in range(rows))


@pytest.mark.parametrize(
    ("header", "count", "rows", "line"),
    [
        ("site", 21, 4000, False),
        ("siteId", 90, 900, False),
        ("v", 50, 400, False),  # an untelling name, but each number has 8 rows
        ("v", 50, 200, True),  # 4 rows a value are too few to tell
        ("birthplace", 50, 400, False),
        ("\uc9c0\uc5ed \ucf54\ub4dc", 40, 400, False),
        ("age", 50, 2499, True),
        ("age", 50, 2500, False),
        ("number_of_rooms", 30, 200, True),
        ("house number", 30, 200, False),
        ("x", 20, 20, False),
    ],
)
def test_what_is_a_code_and_what_a_quantity(write, header, count, rows, line):
    path = write(header + "\n" + codes_of(count, rows))
    found = levels(path, header, held=(header,))
    assert (found is None) == line
    if not line:
        assert len(found) == count
    if count > 20:
        assert levels(path, header) is None  # set or looked at, a number is a quantity
        assert levels(path, header, held=(header,), numeric=(header,)) is None
        assert len(levels(path, header, held=(header,), text=(header,))) == count


def test_codes_beyond_what_can_be_held_fixed_are_refused_and_never_a_line(write):
    path = write("site\n" + codes_of(251, 5000))
    with pytest.raises(InvalidInput, match=r"'site': more than 250 different codes .*--numeric site"):
        read_sample(path, ReadOptions(("site",), held=("site",)))
    assert levels(path, "site", held=("site",), numeric=("site",)) is None
    leading = write("x\n" + codes_of(300, 3000, "{:05}"))
    with pytest.raises(InvalidInput, match="its values are written as codes"):
        read_sample(leading, ReadOptions(("x",), held=("x",)))


def test_what_is_decided_is_said(write):
    def kind(name, text, **options):
        return read_sample(write(f"{name}\n" + text), ReadOptions((name,), **options)).kinds[name]

    assert kind("site", codes_of(30), held=("site",)) == Kind(line=False, because="it is named like a code")
    many = Kind(line=False, because="whole numbers with 50 rows a value or more")
    assert kind("age", codes_of(30), held=("age",)) == many
    assert kind("x", "1\n2\n", held=("x",)) == Kind(line=False)
    assert kind("x", codes_of(6), treatment="x") == Kind(line=True, because="more than 5 different numbers")
    assert kind("arm", codes_of(6), treatment="arm").because == "it is named like a code"
    assert kind("arm", codes_of(6), treatment="arm", numeric=("arm",)) == Kind(
        line=True, because="as was said"
    )


def test_numbers_of_places_have_no_tails_and_ages_have(write):
    """A tenth of the places, even of places of unlike size, has about a tenth of the rows; not so of ages."""
    rng = np.random.default_rng(4)
    places = rng.choice(60, 1500, p=rng.dirichlet(np.full(60, 5.0)))
    ages = np.clip(np.round(rng.normal(30, 9, 1500)), 0, None)
    for values, line in ((places, False), (places * 7 + 1003, False), (ages, True)):
        path = write("v\n" + "".join(f"{v:.0f}\n" for v in values))
        assert (levels(path, "v", held=("v",)) is None) == line


@pytest.mark.parametrize(("rows", "line"), [(600, False), (599, True)])
def test_a_code_that_is_set_is_categories_where_each_has_rows(write, rows, line):
    path = write("clinic\n" + codes_of(30, rows))
    assert (levels(path, "clinic", treatment="clinic") is None) == line
    assert levels(path, "clinic", treatment="clinic", compared=True) is not None


@pytest.mark.parametrize(
    ("name", "k", "pairs"), [("pair", 1, 900), ("v", 1, 2500), ("v", 4, 300), ("w", 1, 1500)]
)
def test_matched_sets_are_categories_however_many(write, name, k, pairs):
    """Where nothing else is held fixed and treatments are compared; otherwise they would be too many."""
    prefix = "p" if name == "w" else ""
    lines = [f"{prefix}{7 * i + 3},{int(j == 0)},{i % 5}" for i in range(pairs) for j in range(k + 1)]
    path = write(f"{name},t,z\n" + "\n".join(lines) + "\n")
    read = read_sample(path, ReadOptions((name, "t"), held=(name,), treatment="t"))
    assert len(read.sample.discrete(name).levels) == pairs
    both = ReadOptions((name, "t", "z"), held=(name, "z"), treatment="t")
    if name == "v":
        assert isinstance(read_sample(path, both).sample.columns[name], Numeric)
    else:
        with pytest.raises(InvalidInput):
            read_sample(path, both)


def test_counts_count_when_kinds_are_decided(write):
    """30 values in 60 lines that stand for 3,000 rows: 100 rows a value."""
    path = write("x,n\n" + "".join(f"{i % 30 * 3},50\n" for i in range(60)))
    assert levels(path, held=("x",), counts="n") is not None
    assert levels(path, held=("x",)) is None


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ("01 1 1", ("01", "1")),
        ("1E2 100 3", ("1E2", "3", "100")),
        ("12345678901234567890 12345678901234567891", ("12345678901234567890", "12345678901234567891")),
        ("1 1.0 1.00 2", ("1", "2")),
        ("0 0.0 00.5", ("00.5", "0", "0.0")),
        ("Yes yes Y yes No n", ("No", "yes")),
        ("TRUE True true F", ("F", "TRUE")),
        ("Y N U", ("N", "U", "Y")),
        ("AA Aa aa", ("AA", "Aa", "aa")),
        ("1_000 2", None),
    ],
)
def test_which_texts_are_one_level(write, values, found):
    path = write("x\n" + "\n".join(values.split()) + "\n")
    if found is None:
        with pytest.raises(InvalidInput, match="the text '1_000'"):
            levels(path)
        return
    assert set(levels(path)) == set(found)
    assert set(levels(path, text=("x",))) == set(values.split())


def test_spellings_that_are_one_are_noted(write):
    read = read_sample(write("x\nYes\nyes\nyes\n Y \nNo\n"), ReadOptions(("x",)))
    assert read.notes == ("x: yes, Y, Yes are one",)
    assert read.sample.columns["x"].levels == ("No", "yes")


def test_na_is_a_name_where_names_were_announced(write):
    path = write("country,y\nNA,1\nDE,2\n,3\n")
    with pytest.raises(InvalidInput, match="2 in country of 3 rows"):
        read_sample(path, ReadOptions(("country",)))
    read = read_sample(path, ReadOptions(("country",), text=("country",), drop_missing=True))
    assert read.sample.columns["country"].levels == ("DE", "NA")
    assert read.dropped == 1


# CSV as programs write it.

EXCEL = [
    ("sep=;\nz;t;y\na;0;1,5\nb;1;-2,25\n", "utf-8"),
    ("z;t;y\na;0;1,5\nb;1;-2,25\n", "utf-8-sig"),
    ("z\tt\ty\na\t0\t1,5\nb\t1\t-2,25\n", "utf-16"),
    ("z\tt\ty\na\t0\t1.5\nb\t1\t-2.25\n", "utf-16-le"),
    ('"z","t","y"\r\n"a","0","1.5"\r\n"b","1","-2.25"\r\n', "utf-8"),
    ("\n\nz,t,y\na,0,1.5\nb,1,-2.25\n", "utf-8"),
    ("z,t,y,\na,0,1.5,\nb,1,-2.25,\n", "utf-8"),
    ("z,t,y\na,0,1.5,\nb,1,-2.25,\n", "utf-8"),
    ("z|t|y\na|0|1,5\nb|1|-2,25\n", "utf-8"),
    (",z,t,y\n0,a,0,1.5\n1,b,1,-2.25\n", "utf-8"),
    ("z,t,y\n1,a,0,1.5\n2,b,1,-2.25\n", "utf-8"),
]


@pytest.mark.parametrize(("text", "encoding"), EXCEL)
def test_csv_as_programs_write_it(write, text, encoding):
    path = write(text.encode(encoding))
    sample = read_sample(path, ReadOptions(("z", "t", "y"), numeric=("y",))).sample
    assert sample.columns["z"].levels == ("a", "b")
    assert sample.columns["t"].levels == ("0", "1")
    assert sorted(sample.columns["y"].values.tolist()) == [-2.25, 1.5]


def quantity(write, text):
    """The values of y, a quantity, in their order."""
    read = read_sample(write(text), ReadOptions(("t", "y"), numeric=("y",), treatment="t"))
    return sorted(read.sample.columns["y"].values.tolist())


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("t\ty\na\t1,234\nb\t0,5\n", [0.5, 1.234]),  # one number shows that commas stand before decimals
        ("t|y\na|1,2345\nb|1,234\n", [1.234, 1.2345]),
        ("t;y\na;1,234\nb;2,345\n", [1.234, 2.345]),  # as spreadsheets write where commas do
        ("t;y\na;1.234\nb;2.345\n", [1.234, 2.345]),
        ("t;y\na;1.234\nb;0,5\n", [0.5, 1234.0]),  # as decimals have commas, points part thousands
        ("t;y\na;1.234.567\nb;0,5\n", [0.5, 1234567.0]),
        ("t;y\na;1.234,5\nb;-0,5\n", [-0.5, 1234.5]),
        ("t;y\na;1.5\nb;0,5\n", [0.5, 1.5]),
        ("t;y\na;1,5E+03\nb;0,5\n", [0.5, 1500.0]),
    ],
)
def test_a_mark_in_a_number_is_what_the_others_show(write, text, values):
    assert quantity(write, text) == values


@pytest.mark.parametrize(
    "text", ["t\ty\na\t1,234\nb\t2,345\n", "t|y\na|1,234\nb|2\n", "t;y\na;0.5\nb;1,234\n"]
)
def test_a_comma_that_may_part_thousands_or_decimals_is_refused(write, text):
    with pytest.raises(InvalidInput, match=r"y: '1,234' in row \d; expected a number"):
        quantity(write, text)


@pytest.mark.parametrize("number", ["{:,}", "{}%", "0.{} %", "${:,}", "{:,}원", "{:,}.5"])
def test_numbers_as_people_write_them_are_no_categories(write, number):
    rows = "".join(f"{k % 2}\t{number.format(1000 + 7 * k)}\n" for k in range(30))
    for options in ({"treatment": "t"}, {"treatment": "t", "held": ("y",)}):
        with pytest.raises(InvalidInput, match=r"y: .* may be no plain number; expected digits .* --text y"):
            read_sample(write("t\ty\n" + rows), ReadOptions(("t", "y"), **options))
    named = read_sample(write("t\ty\n" + rows), ReadOptions(("t", "y"), text=("y",), treatment="t"))
    assert len(named.sample.columns["y"].levels) == 30
    doses = "".join(f"{k % 3}%\t{k % 2}\n" for k in range(30))
    read = read_sample(write("t\ty\n" + doses), ReadOptions(("t", "y"), treatment="t"))
    assert read.sample.columns["t"].levels == ("0%", "1%", "2%")


@pytest.mark.parametrize("mark", ["", "NA", "N.A.", "NaT", "#DIV/0!", "#VALUE!", "결측", "?", "."])
def test_a_missing_value_is_no_category_whatever_stands_for_it(write, mark):
    path = write(f"t,y\nyes,1\nno,0\n{mark},1\nyes,2.5\n")
    read = read_sample(path, ReadOptions(("t", "y"), drop_missing=True))
    assert (read.dropped, read.sample.columns["t"].levels) == (1, ("no", "yes"))


def test_the_odd_value_is_named_of_numbers_and_texts(write):
    few = write("t\n" + "yes\nno\n" * 5 + "-99\n")
    with pytest.raises(InvalidInput, match=r"t: the number -99 in row 11 among texts; .* leave it blank"):
        read_sample(few, ReadOptions(("t",)))
    with pytest.raises(InvalidInput, match=r"a b: the text '-' in row 3 among numbers; .* --text 'a b'"):
        read_sample(write("a b\n1\n2\n-\n2\n"), ReadOptions(("a b",)))


def test_names_with_separators_line_breaks_and_foreign_letters(write):
    header = 'z,"weight, kg","first\nsecond",""\n'
    path = write(header + 'a,1,"x\ny",3\n')
    assert Table.of(path).names == ("z", "weight, kg", "first\nsecond", "column 4")
    assert levels(path, "first\nsecond") == ("x\ny",)
    for text, encoding in (
        ("Gr\u00f6\u00dfe;Stra\u00dfe\n1;\u00c4\n", "cp1252"),
        ("\uc9c0\uc5ed,\ub098\uc774\n\uc11c\uc6b8,3\n", "cp949"),
    ):
        path = write(text.encode(encoding))
        separator = ";" if encoding == "cp1252" else ","
        names = tuple(text.split("\n")[0].split(separator))
        assert Table.of(path).names == names
        assert levels(path, names[0]) == (text.split("\n")[1].split(separator)[0],)


def test_thousands_and_decimals_with_commas(write):
    path = write("x;y\n1.234.567,5;3\n-1.000,25;4\n7,5;5\n2,75;1.234\n")
    values = read_sample(path, ReadOptions(("x",), numeric=("x",))).sample.columns["x"].values
    assert sorted(values.tolist()) == [-1000.25, 2.75, 7.5, 1234567.5]


def test_other_encodings_are_decoded_on_no_thread_of_arrows(write, monkeypatch):
    opened = []
    real = csv.open_csv
    monkeypatch.setattr("pyarrow.csv.open_csv", lambda *a, **k: opened.append(k) or real(*a, **k))
    path = write("x,y\n\u00e9,1\n".encode("cp1252"))
    assert levels(path) == ("\u00e9",)
    assert {options["read_options"].encoding for options in opened} == {"utf8"}


def test_codes_of_a_long_table_are_categories_as_those_of_a_short_one(write, monkeypatch):
    monkeypatch.setattr(samples, "_LOOK_ROWS", 2000)
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 4096)
    path = write("x\n" + codes_of(30, 6000))
    assert len(levels(path, held=("x",))) == 30
    rising = write("x\n" + "".join(f"{i // 20}\n" for i in range(6000)))  # 300 values, 101 in the look
    assert levels(rising, held=("x",)) is None


def test_long_identifiers_of_parquet_stay_apart(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [10**17 + k for k in range(5)]}), path)
    assert levels(path) == tuple(str(10**17 + k) for k in range(5))


def test_a_code_that_is_looked_at_as_a_quantity_is_said_to_be(write):
    read = read_sample(write("site\n" + codes_of(30)), ReadOptions(("site",)))
    assert read.kinds["site"] == Kind(line=True, because="although it is named like a code")


def test_nested_values_are_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [[1], [2]]}), path)
    with pytest.raises(InvalidInput, match=r"^x: its values are of type list<.*one number or text a row"):
        read_sample(path, ReadOptions(("x",)))


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 9])
def test_cells_of_a_number_keep_whole_counts_mean_and_variance(write, rows):
    y = np.arange(rows) ** 2.0
    held = ReadOptions(("z", "y"), outcome="y", numeric=("y",))
    sample = read_sample(write("z,y\n" + "".join(f"a,{v}\n" for v in y)), held).sample
    values = sample.columns["y"].values
    assert (sample.n == sample.n.round()).all()
    assert sample.n.tolist() == sample.squares.tolist()
    assert sample.n.sum() == rows
    assert np.average(values, weights=sample.n) == pytest.approx(y.mean(), abs=1e-12)
    assert np.average((values - y.mean()) ** 2, weights=sample.n) == pytest.approx(y.var(), abs=1e-9)


@pytest.mark.parametrize("options", [{}, {"counts": "n"}, {"weights": "w"}])
def test_cells_are_added_up_whenever_they_have_become_many(write, monkeypatch, options):
    """Moments of a number far from 0, added up after every block, are those of all rows at once."""
    rng = np.random.default_rng(5)
    z, n, w = rng.integers(0, 40, 3000), rng.integers(0, 4, 3000), rng.random(3000).round(2)
    y = (1e7 + z + rng.normal(size=3000)).round(4)
    rows = zip(z, n, w, y, strict=True)
    path = write("z,n,w,y\n" + "".join(f"s{a},{b},{c},{d!r}\n" for a, b, c, d in np.array([*rows]).tolist()))
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 4000)
    monkeypatch.setattr(samples, "_CELL_BYTES", 1)
    sample = read_sample(path, ReadOptions(("z", "y"), outcome="y", **options)).sample
    weight = {"counts": n, "weights": w}.get(next(iter(options), ""), np.ones(3000))
    square = w**2 if "weights" in options else weight
    column, values = sample.discrete("z"), sample.columns["y"].values
    assert len(column.levels) == 40
    for level in range(0, 40, 7):
        here = column.codes == column.levels.index(f"s{level}.0")
        true, found = weight[z == level], sample.n[here]
        mean = np.average(y[z == level], weights=true)
        assert found.sum() == pytest.approx(true.sum())
        assert sample.squares[here].sum() == pytest.approx(square[z == level].sum())
        assert np.average(values[here], weights=found) == pytest.approx(mean, abs=1e-8)
        spread = np.average((y[z == level] - mean) ** 2, weights=true)
        assert np.average((values[here] - mean) ** 2, weights=found) == pytest.approx(spread, rel=1e-6)


def test_rows_that_all_count_nothing_are_no_rows(write):
    with pytest.raises(SourceUnreadable, match="no rows"):
        read_sample(write("t,n\na,0\nb,0\n"), ReadOptions(("t",), counts="n"))


def test_columns_called_like_sums_are_columns(write):
    path = write("y_mean,y,n_sum\na,1.5,p\nb,2.5,q\na,0.5,p\n")
    sample = read_sample(path, ReadOptions(("y_mean", "y", "n_sum"), outcome="y", numeric=("y",))).sample
    assert sample.discrete("y_mean").levels == ("a", "b")
    assert sorted(sample.columns["y"].values.tolist()) == [0.5, 1.5, 2.5]


def test_parts_have_the_levels_of_the_whole(write, monkeypatch):
    """Also where one part spells a level as the whole does less often."""
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 400)
    spelled = ["yes"] * 200 + ["Yes"] * 90 + ["No"] * 10
    path = write("x,z,c\n" + "".join(f"{i / 7:.3f},{z},p{i % 3}\n" for i, z in enumerate(spelled)))
    parts = list(read_parts(path, ReadOptions(("x", "z", "c")), ("x",)))
    assert len(parts) > 3
    assert {part.discrete("z").levels for part in parts} == {("No", "yes")}
    assert {part.discrete("c").levels for part in parts} == {("p0", "p1", "p2")}
    codes = np.concatenate([part.discrete("z").codes for part in parts])
    assert codes.tolist() == [int(z != "No") for z in spelled]
    assert sum(part.total for part in parts) == 300
