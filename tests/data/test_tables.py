"""Tables in files: names of columns and first rows, and files that are no tables."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesight.data.tables import Table, first_rows
from bayesight.errors import SourceNotFound, SourceUnreadable


@pytest.fixture
def write(tmp_path):
    """A file with the given text."""

    def make(text, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def test_a_path_that_is_nothing_or_a_folder(tmp_path):
    with pytest.raises(SourceNotFound):
        Table.of(tmp_path / "no.csv")
    with pytest.raises(SourceUnreadable, match="is a folder"):
        Table.of(tmp_path)


def test_names_are_read_without_a_reader_that_reads_ahead(write, monkeypatch):
    """A reader that is dropped leaves a thread of Arrow's in memory that Python takes back (status 134)."""
    path = write("Z,T,Y\n" + "0,1,1\n1,0,0\n" * 50)
    monkeypatch.setattr("pyarrow.csv.open_csv", None)
    assert Table.of(path).names == ("Z", "T", "Y")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"PK\x03\x04" + bytes(30), "an Excel workbook or another zip"),
        (b"\xd0\xcf\x11\xe0" + bytes(30), "an old Excel workbook"),
        (b'{"x": {"0": 1}}', "JSON"),
    ],
)
def test_files_of_other_programs_are_called_by_their_kind(write, head, kind):
    with pytest.raises(SourceUnreadable, match=rf"is {kind}; .* Save it as CSV"):
        Table.of(write(head))


def test_first_rows_are_text_and_no_more_than_asked_for(write, tmp_path):
    lines = {"x": ["1", "a", ""], "y": ["2.0", "b", "NA"]}
    path = write("x,y\n" + "".join(f"{x},{y}\n" for x, y in zip(*lines.values(), strict=True)))
    assert first_rows(path, ("y", "x"), 2) == {"y": ["2", "b"], "x": ["1", "a"]}
    typed = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [1.0, None, 2.5], "y": [True, False, None]}), typed)
    assert first_rows(typed, ("x", "y"), 9) == {"x": ["1", "", "2.5"], "y": ["true", "false", ""]}
