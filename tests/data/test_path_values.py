"""Values by path: from tables in their dialects, from patterns, and refused in words."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesight.data.path_values import PathValues
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable, UnknownName

PATHS = ["set/a/1.png", "./set/b/2.png", "set/Gr\u00fcn.png"]


def test_a_table_tells_values_however_it_is_written(tmp_path):
    texts = {
        "plain.csv": "path,v\nset/a/1.png, 01 \n./set/b/2.png,x y\n",
        "semicolons.csv": "\ufeffpath;other;v\nset/a/1.png;9;01\nset/b/2.png;8;x y\n",
        "shared.csv": "path,v\na/1.png,01\nb/2.png,x y\n",
        "windows.csv": "path,v\nset\\a\\1.png,01\n.\\set\\b\\2.png,x y\n",
        "elsewhere.csv": "path,v\ndata/set/a/1.png,01\ndata/set/b/2.png,x y\n",
        "absolute.csv": "path,v\nC:\\mine\\a\\1.png,01\nC:\\mine\\b\\2.png,x y\n",
        "endings.csv": "path,v\na/1,01\nb/2,x y\n",
        "called.csv": "id,filename,v\n1,a/1.png,01\n2,b/2.png,x y\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        values = PathValues.stated(f"{tmp_path / name}:v", "--x", "label")
        assert values.of(PATHS) == ["01", "x y", ""]
        assert values.without_row(PATHS) == [PATHS[2]]
        assert values.without_path(PATHS[1:]) == [next(iter(values.known))]
    decomposed = "set/Gru\u0308n.png"
    (tmp_path / "u.csv").write_text(f"path,v\n{decomposed},green\n", encoding="utf-16")
    assert PathValues.stated(f"{tmp_path / 'u.csv'}:v", "--x", "label").of(PATHS) == ["", "", "green"]
    pq.write_table(pa.table({"path": PATHS, "v": [1.0, None, 2.0]}), tmp_path / "t.parquet")
    assert PathValues.stated(f"{tmp_path / 't.parquet'}:v", "--x", "label").of(PATHS) == ["1", "", "2"]


@pytest.mark.parametrize("mark", ["", "NA", "N/A", "NaN", "null", "#N/A"])
def test_a_missing_value_is_none_whatever_stands_for_it(tmp_path, mark):
    table = tmp_path / "t.csv"
    table.write_text(f"path,v\nset/a/1.png,cat\nset/b/2.png,{mark}\n")
    values = PathValues.stated(f"{table}:v", "--x", "label")
    assert values.of(PATHS[:2]) == ["cat", ""]
    assert values.without_row(PATHS[:2]) == []


def test_a_row_of_another_folder_is_no_row_of_an_image(tmp_path):
    (tmp_path / "t.csv").write_text("path,v\nother/1.png,1\nset/2.png,2\n")
    values = PathValues.stated(f"{tmp_path / 't.csv'}:v", "--x", "label")
    assert values.of(["set/1.png", "set/2.png"]) == ["", "2"]


def test_a_pattern_is_searched_in_the_whole_path():
    values = PathValues.stated(r"set/(?P<label>[a-z]?)", "--x", "label")
    assert values.of(PATHS) == ["a", "b", ""]
    assert PathValues.stated("(?P<label>Gr\u00fcn)", "--x", "label").of(["Gru\u0308n.png"]) == ["Gr\u00fcn"]


@pytest.mark.parametrize(
    ("stated", "error", "words"),
    [
        ("labels.csv", InvalidInput, r"--x: got 'labels.csv'; expected TABLE.csv:COLUMN.*\(\?P<label>"),
        ("(?P<other>a)", InvalidInput, r"a group \(\?P<label>"),
        ("(?P<label>a", InvalidInput, "no regular expression: missing \\)"),
        ("none.csv:v", SourceNotFound, "none.csv"),
        ("{}:w", UnknownName, "no column of t.csv is called 'w'"),
        ("{}:v", InvalidInput, "'a.png' has '1' and '2'; expected one value an image"),
    ],
)
def test_what_tells_no_values_is_refused(tmp_path, stated, error, words):
    table = tmp_path / "t.csv"
    table.write_text("path,v\na.png,1\nb.png,1\n./a.png,2\n")
    with pytest.raises(error, match=words):
        PathValues.stated(stated.format(table), "--x", "label")


def test_a_header_that_cannot_be_decoded_is_no_table(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceUnreadable, match="expected a CSV file"):
        PathValues.stated(f"{tmp_path / 't.csv'}:v", "--x", "label")


def test_the_nearest_path_is_told(tmp_path):
    (tmp_path / "t.csv").write_text("path,v\na/1.png,1\nb/2.png,2\n")
    values = PathValues.stated(f"{tmp_path / 't.csv'}:v", "--x", "label")
    assert values.nearest("c/2.png") == "the nearest path in the table is 'b/2.png'"
