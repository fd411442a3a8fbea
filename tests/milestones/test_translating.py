"""Translation trials: strings said backwards, spelled numbers, parts of a corpus, attention by words."""

import gzip

import pytest
import torch

from bayesight.data.pairs import SentencePairs
from bayesight.data.text import Subwords
from bayesight.errors import InvalidInput, SourceNotFound
from bayesight.milestones.bench.claim import Keys, key
from bayesight.milestones.bench.pictures import CELL, weights_page
from bayesight.milestones.bench.sources import open_pairs
from bayesight.milestones.bench.translating import Strings, attention_of, reverse, translate
from bayesight.milestones.bench.workbench import Bench
from bayesight.models import RecurrentTranslator
from bayesight.training.hardware import choose_hardware


class SpelledNumbers:
    """Sources of the sentences that are there already."""

    pairs = open_pairs(None)


def bench():
    return Bench(SpelledNumbers(), 0, choose_hardware(precision="32", threads=1))


def recipe(data, **optimization):
    return Keys(
        data=data,
        model=key("gru", width=32, attention=True),
        loss=key("next_symbol"),
        optimization=key("adam", lr=5e-3, **optimization),
    )


def test_a_string_is_said_backwards_and_follows_from_its_step():
    strings, model = Strings(40, 5, 2, 6, seed=1), torch.nn.Linear(1, 1)
    source, given, wanted, weight = strings(model, 3)
    lengths = set()
    for row in range(40):
        said = [symbol for symbol in source[row].tolist() if symbol > 2]
        lengths.add(len(said))
        assert source[row].tolist() == said + [2] + [0] * (source.shape[1] - len(said) - 1)
        assert wanted[row, : len(said) + 1].tolist() == [*said[::-1], 2]
        assert given[row, : len(said) + 1].tolist() == [1, *said[::-1]]
    assert lengths == {2, 3, 4, 5, 6}
    assert source.max() < strings.vocabulary == 8
    assert weight[0] == pytest.approx(40 / int((wanted != 0).sum()))
    assert torch.equal(Strings(40, 5, 2, 6, seed=1)(model, 3)[0], source)


def test_exact_counts_whole_strings():
    data = key("strings", batch=16, symbols=3, shortest=2, longest=2)
    assert reverse([recipe(data, steps=1)], bench()).values["exact"] < 0.5
    assert reverse([recipe(data, steps=150)], bench()).values["exact"] > 0.95


def test_numbers_are_spelled_in_both_languages():
    parts = open_pairs(None).between("de", "en")
    assert [len(part) for part in parts] == [6000, 200, 200]
    everything = [one for part in parts for one in part.sources]
    assert len(set(everything)) == len(everything)
    spoken = dict(zip(everything, (one for part in parts for one in part.targets), strict=True))
    lone = next(one for one in everything if one.split()[0] == "sieben" and one.split()[1] == "und")
    english = spoken[lone].split()
    assert english[1] == "seven"
    assert english[0].endswith("ty")
    assert open_pairs(None).between("en", "de").train.targets == parts.train.sources


def test_figures_of_a_translation():
    data = key("sentences", batch=16, source="de", target="en", subwords=300)
    found = translate([recipe(data, steps=2)], bench())
    assert set(found.values) == {"bleu", "loss", "symbols", "parameters"}
    assert 0 <= found.values["bleu"] < 20
    passed = 2 / 375
    words = sum(len(one.split()) for one in SpelledNumbers.pairs.between("de", "en").train.targets)
    assert found.values["symbols"] > passed * words
    (picture,) = found.pictures.values()
    assert picture.dtype.name == "uint8"


def corpus(folder, **changes):
    folder.mkdir()
    lines = {"train": "ein@@ s\nzwei\n", "valid": "drei\n", "test.2016": "vier\n", "test.2017": "nie\n"}
    for part, text in {**lines, **changes}.items():
        for language in ("de", "en"):
            (folder / f"{part}.{language}.gz").write_bytes(gzip.compress(f"{text}".encode()))
    return folder


def test_a_folder_in_three_parts(tmp_path):
    text = open_pairs(corpus(tmp_path / "corpus"))
    parts = text.between("de", "en")
    assert parts.train.sources == ("eins", "zwei")
    assert parts.validation.sources == ("drei",)
    assert parts.test.sources == ("vier",)
    assert text.origin == "2 pairs of de, en from corpus"
    assert text.identity != open_pairs(corpus(tmp_path / "other", valid="fünf\n")).identity
    with pytest.raises(InvalidInput, match="has no language 'fr'; expected one of de, en"):
        text.between("de", "fr")


def test_what_no_corpus_is_is_refused(tmp_path):
    folder = corpus(tmp_path / "corpus")
    with pytest.raises(InvalidInput, match="holds 2 pairs to learn from; expected at least 50"):
        open_pairs(folder, needs=50)
    (folder / "valid.en.gz").write_bytes(gzip.compress(b"three\nfour\n"))
    with pytest.raises(InvalidInput, match=r"valid.en.gz.*expected a translation for each"):
        open_pairs(folder)
    (folder / "valid.en.gz").unlink()
    with pytest.raises(InvalidInput, match=r"no file \*val\*\.en; expected one for each part"):
        open_pairs(folder)
    with pytest.raises(SourceNotFound, match="is no folder"):
        open_pairs(folder / "train.de.gz")
    with pytest.raises(InvalidInput, match="files of no language"):
        open_pairs(tmp_path)


def test_attention_is_drawn_word_by_word():
    """Every row sums to one, so that the ink of a row is that of one cell; the words stand left and above."""
    texts = ["ein hund läuft über die grüne wiese .", "ein kleiner hund schläft ."]
    vocabulary = Subwords.learned(texts, 270)
    model = RecurrentTranslator(len(vocabulary), 128, width=8).eval()
    page = attention_of(model, vocabulary, SentencePairs(tuple(texts), tuple(texts)))
    columns = 9  # eight words and the end
    table = page[:, -columns * CELL :]
    ink = (255.0 - table[-CELL // 2]).reshape(columns, CELL).mean(1) / 255
    assert ink.sum() == pytest.approx(1.0, abs=0.03)


def test_weights_are_dark_where_they_are_large():
    weights = torch.tensor([[1.0, 0.0, 0.5]])
    page = weights_page(weights, ["row"], ["a", "longer word", "c"])
    cells = page[-CELL:, -3 * CELL :]
    assert [int(cells[5, CELL * i + 5]) for i in range(3)] == [0, 255, 128]
    assert (page[:-CELL] < 100).any()  # words above
    assert page.shape[0] > page.shape[1] - 3 * CELL
