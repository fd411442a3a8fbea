"""Pairs of sentences: found, read, refused by line, and each once a pass in batches of like length."""

import gzip

import numpy as np
import pytest
import torch
from torch import nn

from bayesight.data.pairs import PairBatches, padded, read_pairs
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable


def written(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_the_file_beside_it_is_the_translation(tmp_path):
    written(tmp_path, a_de="eins\n\nzwei\n", a_en="one\n\ntwo\n", b_de="drei\n")
    found = read_pairs(tmp_path / "a.de")
    assert (found.sources, found.targets, found.empty) == (("eins", "zwei"), ("one", "two"), 1)
    assert read_pairs(tmp_path / "a.en").sources == ("one", "two")
    assert found.at([1]).sources == ("zwei",)
    with pytest.raises(InvalidInput, match=r"beside it no file of its stem; expected one file b\.LANGUAGE"):
        read_pairs(tmp_path / "b.de")
    written(tmp_path, a_fr="un\n\ndeux\n")
    with pytest.raises(InvalidInput, match=r"beside it a\.en, a\.fr; expected one file"):
        read_pairs(tmp_path / "a.de")


def test_a_folder_of_two_files_or_a_table_of_two_columns(tmp_path):
    written(tmp_path, c_en_gz=gzip.compress(b"one\n"), c_de_gz=gzip.compress(b"eins\n"))
    assert read_pairs(tmp_path).sources == ("eins",)
    table = tmp_path / "c.tsv.gz"
    table.write_bytes(gzip.compress(b"eins\tone\n\nzwei \ttwo\n"))
    assert read_pairs(table).targets == ("one", "two")
    with pytest.raises(InvalidInput, match=r"Name the file to translate from, as .*c\.de\.gz"):
        read_pairs(tmp_path)
    with pytest.raises(InvalidInput, match=r"line 1: 'ein' has 0 tabs; expected sentence<TAB>translation"):
        read_pairs(written(tmp_path, d_tsv="ein\n") / "d.tsv")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "e.tsv").write_text("a\tb\n", encoding="utf-8")
    assert read_pairs(alone).targets == ("b",)


def test_what_is_wrong_is_said_with_its_line(tmp_path):
    written(tmp_path, a_de="eins\nzwei\n", a_en="one\ntwo\nthree\n", b_de="eins\n\n", b_en="one\ntwo\n")
    with pytest.raises(InvalidInput, match=r"has 2 lines and .* 3; .* a\.de ends after line 2|a\.de ends"):
        read_pairs(tmp_path / "a.de")
    with pytest.raises(InvalidInput, match=r"line 2 is empty in .*b\.de; expected a sentence"):
        read_pairs(tmp_path / "b.de")
    written(tmp_path, c_de="eins\n", c_en=b"one\n\xff\n", d_de="\n", d_en="one\n")
    with pytest.raises(SourceUnreadable, match=r"c\.en, line 2: byte 0xff is not text in UTF-8"):
        read_pairs(tmp_path / "c.de")
    with pytest.raises(SourceUnreadable, match=r"d\.de is empty"):
        read_pairs(tmp_path / "d.de")
    with pytest.raises(SourceNotFound):
        read_pairs(tmp_path / "nothing.de")


def pairs(count, seed=0):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 30, count)
    sources = [generator.integers(3, 9, length) for length in lengths]
    targets = [generator.integers(3, 9, length + generator.integers(4)) for length in lengths]
    for row, sentence in enumerate(sources):
        sentence[0] = row + 100  # tells the pair
    return sources, targets


def test_every_pass_has_every_pair_once_in_batches_of_like_length():
    sources, targets = pairs(500)
    batches, model = PairBatches(sources, targets, 20, seed=3), nn.Linear(1, 1)
    assert batches.pass_steps == 25
    passes = []
    for start in (0, 25):
        seen, lost = [], 0
        for step in range(start, start + 25):
            source, given, wanted, weight = batches(model, step)
            seen += source[:, 0].tolist()
            lost += int((wanted == 0).sum())
            assert weight[0] == pytest.approx(len(source) / int((wanted != 0).sum()))
            assert torch.equal(given[:, 1:][wanted[:, :-1] != 2], wanted[:, :-1][wanted[:, :-1] != 2])
        assert sorted(seen) == list(range(100, 600))
        passes.append(seen)
        assert lost < 0.2 * sum(len(one) + 1 for one in targets)  # at random it is about 70 %
    assert passes[0] != passes[1]


def test_little_is_padding_though_one_side_says_nothing_of_the_other():
    draw = np.random.default_rng(0)
    sides = [[np.full(n, 3) for n in draw.integers(5, 30, 3000)] for _ in range(2)]
    batches, model = PairBatches(*sides, 30, seed=1), nn.Linear(1, 1)
    for side in (0, 2):
        drawn = [batches(model, step)[side] for step in range(100)]
        padding = sum((block == 0).sum().item() for block in drawn) / sum(map(torch.numel, drawn))
        assert padding < 0.17  # by the length of both together it is 30 %


def test_a_batch_follows_from_its_step_alone():
    sources, targets = pairs(90)
    model = nn.Linear(1, 1)
    forth, back = (PairBatches(sources, targets, 8, seed=1) for _ in range(2))
    ahead = [forth(model, step) for step in range(25)]
    for step in reversed(range(25)):
        for one, other in zip(ahead[step], back(model, step), strict=True):
            assert torch.equal(one, other)
    other = PairBatches(sources, targets, 8, seed=2)
    assert any(not torch.equal(ahead[step][0], other(model, step)[0]) for step in range(3))


def test_pairs_of_wildly_different_lengths_still_fill_every_batch():
    sources = [np.array([3])] * 9 + [np.full(50, 3)]
    batches = PairBatches(sources, sources, 1, seed=0)
    assert {len(batches(nn.Linear(1, 1), step)[0]) for step in range(10)} >= {1}


def test_no_pairs_are_refused():
    with pytest.raises(InvalidInput, match="0 sentences and 0 translations"):
        PairBatches([], [], 4, seed=0)


def test_padding_is_behind_the_marks():
    source, given, wanted = padded([np.array([], np.int64), np.array([7])], [np.array([8, 9]), np.array([5])])
    assert source.tolist() == [[2, 0], [7, 2]]
    assert given.tolist() == [[1, 8, 9], [1, 5, 0]]
    assert wanted.tolist() == [[8, 9, 2], [5, 2, 0]]
