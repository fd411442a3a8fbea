import gzip
from pathlib import Path

import numpy as np
import pytest

from bayesight.data.labelled_texts import encoded, holds_texts, open_texts
from bayesight.data.text import Subwords
from bayesight.errors import InvalidInput, SourceUnreadable

LINES = "good\ta fine film\nbad\tdull  and long\ngood\twhat a fine film\nbad\tdull and long\n"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "reviews.tsv"
    path.write_text(LINES, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def vocabulary():
    return Subwords.learned(["a fine film", "dull and long", "what a fine film"] * 5, 300, masks=True)


def test_texts_are_a_store_sorted_by_class_that_names_file_and_line(source):
    store = open_texts(source)
    assert store.classes == ("bad", "good")
    assert store.labels.tolist() == [0, 0, 1, 1]
    assert store.manifest.counts == {"bad": 2, "good": 2}
    assert sorted(store.path_of(row) for row in range(4)) == [f"reviews.tsv:{n}" for n in (1, 2, 3, 4)]
    text = dict(zip(store.places, store.texts, strict=True))
    assert text["reviews.tsv:3"] == "what a fine film"
    assert store.shown(store.places.index("reviews.tsv:3")) == "reviews.tsv:3: what a fine film"


def test_the_same_words_are_one_text_whatever_blanks_are_between_them(source):
    store = open_texts(source)
    assert np.array_equal(store.digests[0], store.digests[1])
    assert not np.array_equal(store.digests[2], store.digests[3])


def test_a_store_does_not_depend_on_the_order_of_lines(source, tmp_path):
    turned = tmp_path / "turned.tsv"
    turned.write_text("".join(reversed(LINES.splitlines(keepends=True))), encoding="utf-8")
    assert open_texts(turned).manifest.content_hash == open_texts(source).manifest.content_hash


def test_rows_begin_and_end_with_marks_and_are_padded(vocabulary):
    rows, cut = encoded(["a fine film", ""], vocabulary, 8)
    symbols = vocabulary.encode("a fine film").tolist()
    marks = vocabulary.marks
    assert rows.dtype == np.int32
    assert rows[0].tolist() == [marks.start, *symbols, marks.end] + [0] * (6 - len(symbols))
    assert rows[1].tolist() == [marks.start, marks.end] + [0] * 6
    assert cut.tolist() == [0, 0]


def test_longer_texts_are_cut_counted_and_said(source, vocabulary):
    store = open_texts(source).written(vocabulary, 5)
    needed = max(len(vocabulary.encode(text)) + 2 for text in store.texts)
    longer = sum(len(vocabulary.encode(text)) > 3 for text in store.texts)
    (note,) = store.manifest.notes
    assert note.startswith(f"{longer} of 4 texts are longer than 5 symbols and were cut")
    assert note.endswith(f"--set data.context={needed} to keep all")
    assert store.images.shape == (4, 5)
    assert (
        store.images[:, 4][[len(vocabulary.encode(t)) > 3 for t in store.texts]] == vocabulary.marks.end
    ).all()
    with pytest.raises(InvalidInput, match=r"data.context: got 2; expected at least 3"):
        store.written(vocabulary, 2)


def test_unlabelled_texts_are_lines_and_lose_labels_that_every_line_has(source, tmp_path):
    assert open_texts(source, labelled=False, in_order=True).texts[0] == "a fine film"
    lines = tmp_path / "lines.txt.gz"
    lines.write_bytes(gzip.compress(b"one\n\nwith\ta tab\nthree\n"))
    found = open_texts(lines, labelled=False, in_order=True)
    assert found.texts == ("one", "with\ta tab", "three")
    assert found.places == ("lines.txt.gz:1", "lines.txt.gz:3", "lines.txt.gz:4")
    assert found.classes == ()
    assert found.labels.tolist() == [-1, -1, -1]


def test_texts_are_known_by_their_content(source, tmp_path):
    png = tmp_path / "picture.txt"
    png.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(40))
    packed = tmp_path / "no-suffix"
    packed.write_bytes(gzip.compress("grüß\tgott\n".encode("cp1252")))
    folder = tmp_path / "classes"
    folder.mkdir()
    assert not holds_texts(folder)
    (folder / "neg.txt").write_text("bad\n", encoding="utf-8")
    (folder / "pos.txt").write_text("good\n", encoding="utf-8")
    assert holds_texts(source)
    assert holds_texts(packed)  # in another encoding: what reads it says which line
    assert holds_texts(folder)
    assert not holds_texts(png)
    (folder / "picture.png").write_bytes(png.read_bytes())
    assert not holds_texts(folder)
    with pytest.raises(SourceUnreadable, match="no text; expected lines of label<TAB>text"):
        open_texts(png)
    with pytest.raises(SourceUnreadable, match="line 1: byte 0xfc is not text in UTF-8"):
        open_texts(packed)


def test_a_line_without_a_tab_is_named(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("ham\thello\n\nno tab\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 3: 'no tab' has no tab"):
        open_texts(path)


def test_published_vocabularies_have_marks_of_their_own(vocabulary):
    assert vocabulary.marks == (0, 1, 2, 3)
    assert Subwords.learned(["some text"], 300).marks == (0, 1, 2, None)
    published = Subwords(
        vocabulary.document.replace("<pad>", "[PAD]").replace("<start>", "[CLS]").replace("<end>", "[SEP]")
        .replace("<mask>", "[MASK]")
    )  # fmt: skip
    assert published.marks == (0, 1, 2, 3)
    with pytest.raises(InvalidInput, match="no marks of padding"):
        Subwords(vocabulary.document.replace("<pad>", "<fill>")).marks  # noqa: B018


def test_a_file_of_a_source_that_is_a_folder_is_named(tmp_path):
    for name, text in (("neg", "bad film\n"), ("pos", "\ngood film\n")):
        Path(tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    store = open_texts(tmp_path)
    assert store.places == ("neg.txt:1", "pos.txt:2")
    assert store.classes == ("neg", "pos")
