"""What an inspection says of texts: classes, lengths, copies, and labels that contradict each other."""

import pytest

from bayesight.data.audit import audit
from bayesight.data.labelled_texts import open_texts
from bayesight.data.notes import text_document, text_report
from bayesight.errors import InvalidInput, SourceUnreadable


def inspected(path):
    """The document and the words of an inspection."""
    store = open_texts(path, labelled=None)
    found = audit(store)
    document = text_document(store, found)
    return document, text_report(document, found)


@pytest.fixture
def lines(tmp_path):
    def write(content, name="reviews.tsv"):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_labelled_texts_are_counted_measured_and_compared(lines):
    tree, said = inspected(lines("good\tfine\nbad\tso  dull\ngood\tso dull\ngood\tgreat plot\ngood\tfine\n"))
    assert tree["classes"] == {"bad": 1, "good": 4}
    assert tree["examples"] == 5
    assert tree["imbalance"] == 4
    assert tree["characters"] == {"least": 4, "median": 7, "most": 10}
    assert tree["alphabet"] == len(set("fineso dullgreat plot"))
    assert tree["duplicates"]["extra"] == 2
    assert tree["duplicates"]["conflicts"] == [
        {"paths": ["reviews.tsv:2", "reviews.tsv:3"], "labels": {"bad": 1, "good": 1}}
    ]
    assert "5 texts in 2 classes." in said
    assert "Texts that are there more than once: 2, with 2 copies too many" in said
    assert "  1 as bad, 1 as good: reviews.tsv:2, reviews.tsv:3" in said


def test_plain_lines_and_a_file_a_class(lines, tmp_path):
    tree, said = inspected(lines("To be\n\nor not\tto be\n", "plain.txt"))
    assert tree["examples"] == 2
    assert tree["classes"] == {}
    assert said.endswith("No text is there twice.")
    (tmp_path / "plain.txt").unlink()
    lines("fine\ngreat\n", "good.txt")
    lines("dull\n", "bad.txt")
    assert inspected(tmp_path)[0]["classes"] == {"bad": 1, "good": 2}


def test_a_line_without_its_label_and_a_picture_are_named(lines, tmp_path):
    with pytest.raises(InvalidInput, match="line 2: 'dull' has no tab"):
        inspected(lines("good\tfine\ndull\n"))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(SourceUnreadable):
        inspected(tmp_path / "a.png")
