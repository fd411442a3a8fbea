import gzip

import pytest

from bayesight.data.labelled_texts import open_texts
from bayesight.data.text_table import TextTable, read_labelled
from bayesight.errors import InvalidInput, SourceUnreadable


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_labelled_lines_or_a_file_for_each_class(tmp_path):
    lines = written(tmp_path / "sms.tsv", "ham\thello there\nspam\twin\tnow\n\nham\tbye\n")
    found = read_labelled(lines)
    assert found[:2] == (["hello there", "win\tnow", "bye"], ["ham", "spam", "ham"])
    assert found.places == ["sms.tsv:1", "sms.tsv:2", "sms.tsv:4"]
    folder = tmp_path / "reviews"
    folder.mkdir()
    written(folder / "pos.txt", "good\nfine\n\n")
    written(folder / "neg.txt.gz", gzip.compress(b"bad\n"))
    assert read_labelled(folder)[:2] == (["bad", "good", "fine"], ["neg", "pos", "pos"])
    (folder / "pos.txt").rename(folder / "reviews.pos.txt")
    (folder / "neg.txt.gz").rename(folder / "reviews.neg.gz")
    assert read_labelled(folder)[1] == ["reviews.neg", "reviews.pos", "reviews.pos"]
    with pytest.raises(InvalidInput, match="line 2: 'no tab here' has no tab; expected label<TAB>text"):
        read_labelled(written(tmp_path / "bad.tsv", "ham\thello\nno tab here\n"))
    with pytest.raises(InvalidInput, match="line 1: a label or a text is empty"):
        read_labelled(written(tmp_path / "bad.tsv", "\thello\n"))


ROWS = [("good", "a fine film"), ("bad", "dull and long"), ("good", "fine"), ("bad", "long")]


@pytest.mark.parametrize(
    ("name", "heading", "row"),
    [
        ("a.tsv", "label\ttext", "{1}\t{2}"),
        ("a.tsv", "Text\tLabel", "{2}\t{1}"),
        ("a.tsv", "\n레이블\t문장", "{1}\t{2}"),
        ("a.txt", "id\tdocument\tlabel", "{0}\t{2}\t{1}"),
        ("a.csv", "label,text", '{1},"{2}"'),
        ("a.csv", '"id";"review";"sentiment"', "{0};{2};{1}"),
        ("a.csv", "sep=;\r\ntext;label\r", "{2};{1}\r"),
        ("a.csv", ",text,label", "{0},{2},{1}"),
    ],
)
def test_a_heading_says_which_columns_are_labels_and_texts_and_is_no_text_itself(
    tmp_path, name, heading, row
):
    lines = [row.format(number, *pair) for number, pair in enumerate(ROWS)]
    path = written(tmp_path / name, "\n".join([heading, *lines]) + "\n")
    found = read_labelled(path)
    assert list(zip(found.labels, found.texts, strict=True)) == ROWS
    first = heading.count("\n") + 2
    assert found.places == [f"{name}:{first + number}" for number in range(4)]
    store = open_texts(path, labelled=None)
    assert store.manifest.counts == {"bad": 2, "good": 2}
    (note,) = store.manifest.notes
    assert note.startswith("the first line names the columns: ")
    assert ("left out: " in note) == (row.count("{") == 3)
    assert not note.endswith("left out: ")
    assert open_texts(path, labelled=False, in_order=True).texts == tuple(text for _, text in ROWS)


def test_values_of_csv_may_have_separators_line_ends_and_quotes(tmp_path):
    table = written(tmp_path / "a.csv", 'text,label\n"one, ""two""\nthree",x\nfour,y\n')
    found = read_labelled(table)
    assert found.texts == ['one, "two"\nthree', "four"]
    assert found.places == ["a.csv:2", "a.csv:4"]
    with pytest.raises(
        InvalidInput, match=r"a\.csv, line 2: 3 values; expected 2, as the first line names: text, label"
    ):
        read_labelled(written(table, "text,label\none, two,x\n"))
    with pytest.raises(
        InvalidInput, match=r"a\.csv, line 3: unexpected end of data; expected .* quotes that close"
    ):
        read_labelled(written(table, 'text,label\none,x\n"two,y\nthree,z\n'))


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="the column text comes twice; expected every name once"):
        read_labelled(written(tmp_path / "a.csv", "text,text,label\na,b,x\n"))


def test_a_table_without_labels_has_texts_to_answer(tmp_path):
    path = written(tmp_path / "new.tsv", 'id\tdocument\n1\tone "two\n2\tthree\n')
    assert open_texts(path, labelled=None, in_order=True).texts == ('one "two', "three")
    assert TextTable.of("a text\nof lines\n") is None


@pytest.mark.parametrize("mark", ["", " ", "NA", "n/a", "NaN", "null", "<NA>"])
def test_rows_without_a_label_or_a_text_are_counted_and_left_out(tmp_path, mark):
    table = written(tmp_path / "a.csv", f"text,label\nfine,good\nwhat,{mark}\n,bad\nlong,bad\n")
    found = read_labelled(table)
    assert found[:2] == (["fine", "long"], ["good", "bad"])
    assert found.places == ["a.csv:2", "a.csv:5"]
    assert "2 of 4 rows have no text or no label" in found.notes[1]
    assert "(first: line 3)" in found.notes[1]
    lines = read_labelled(written(tmp_path / "a.tsv", f"good\tfine\n{mark}\twhat\nbad\tlong\n"))
    assert lines.labels == ["good", "bad"]
    assert lines.notes[0].startswith("1 of 3 rows")
    with pytest.raises(InvalidInput, match=r"line 2: a label or a text is empty, there as in every row"):
        read_labelled(written(table, f"text,label\nfine,{mark}\nwhat,{mark}\n"))
    folder = tmp_path / "classes"
    folder.mkdir()
    written(folder / "NA.txt", "Windhoek\n")
    assert read_labelled(folder).labels == ["NA"]  # a file's name is meant


def test_labels_that_differ_by_case_alone_are_told(tmp_path):
    path = written(tmp_path / "a.tsv", "spam\tone\nSpam\ttwo\nham\tthree\n")
    assert open_texts(path).manifest.notes == (
        "'Spam', 'spam' differ by case, width or blanks only and are 2 classes",
    )


def test_texts_before_their_labels_are_refused(tmp_path):
    path = written(tmp_path / "a.tsv", "one film\tgood\nanother\tbad\na third\tgood\na fourth\tbad\n")
    with pytest.raises(
        InvalidInput, match=r"4 different labels of 2 different texts; .* let the first line say so"
    ):
        read_labelled(path)
    each_its_own = written(tmp_path / "b.tsv", "1\tone\n2\ttwo\n3\tthree\n4\tfour\n")
    assert len(read_labelled(each_its_own).labels) == 4


def test_a_label_in_two_spellings_of_unicode_is_one(tmp_path):
    path = written(tmp_path / "a.tsv", "caf\u00e9\tone\ncafe\u0301\ttwo\n")
    assert read_labelled(path).labels == ["caf\u00e9"] * 2


def test_text_in_utf_16_is_told_how_to_convert(tmp_path):
    path = written(tmp_path / "a.tsv", "good\ta film\n".encode("utf-16"))
    with pytest.raises(
        SourceUnreadable, match=r"line 1: byte 0xff is not text in UTF-8.*iconv -f UTF-16 -t UTF-8 a\.tsv"
    ):
        open_texts(path)
