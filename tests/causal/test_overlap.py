"""Overlap: strata and rows that lack a treatment, and the answers offered instead."""

import numpy as np
import pytest

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.orthogonal import Nuisance
from bayesight.causal.overlap import lacking_words, model_overlap, overlap_notes, overlap_of
from bayesight.causal.question import PreparedQuestion
from bayesight.causal.strata import stratify
from bayesight.errors import InvalidInput

TRIANGLE = parse("Z -> T, Z -> Y, T -> Y")


def test_no_overlap_is_named_and_left_out():
    columns = {"Z": ["a"] * 4 + ["b"] * 4 + ["c"] * 2, "T": [0, 0, 1, 1] * 2 + [1, 1], "Y": [0, 1] * 5}
    found = estimate(sample_of(columns, counts=[5] * 10), TRIANGLE, EffectQuestion("T", "Y"))
    assert found.overlap.without == 1
    assert found.overlap.empty == ("Z=c: no 0 among 10 rows",)
    assert found.overlap.share == pytest.approx(0.8)
    assert "the answer is for the other 80.0 % of the rows" in found.notes[0]
    assert found.warning == f"Overlap is lacking: {found.notes[0]}"
    assert found.overlap.lacking
    assert found.e_value is None
    assert "main effects" in found.others[0].method
    nothing = {"Z": [0, 0, 1, 1], "T": [0, 0, 1, 1], "Y": [0, 1, 0, 1]}
    with pytest.raises(InvalidInput, match="in every stratum of Z some treatment never occurs"):
        estimate(sample_of(nothing), TRIANGLE, EffectQuestion("T", "Y"))


def far_apart(rows, seed):
    """Most rows have next to no chance of one of the treatments."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, 2))
    t = (rng.random(rows) < 1 / (1 + np.exp(3 - z @ [4.0, 2.0]))).astype(int)
    y = t + z @ [1.0, 1.0] + rng.normal(size=rows)
    return sample_of({"A": z[:, 0], "B": z[:, 1], "T": t, "Y": y})


def test_without_overlap_there_is_no_answer_but_another_question():
    graph, inside = parse("A->T, A->Y, B->T, B->Y, T->Y"), 0
    for seed in range(30):
        found = estimate(far_apart(450, seed), graph, EffectQuestion("T", "Y"))
        assert found.adjusted is None
        assert found.e_value is None
        assert found.overlap.lacking
        assert found.warning.startswith("Overlap is lacking: ")
        assert found.instead[0].on == "overlap"
        assert found.others[-1].method == "doubly robust, cross-fitted"
        e = found.instead[0].effect
        inside += e.low <= 1 <= e.high
    assert inside >= 24
    asked = estimate(far_apart(450, 0), graph, EffectQuestion("T", "Y", effect="overlap"))
    assert (
        asked.adjusted.effect
        == estimate(far_apart(450, 0), graph, EffectQuestion("T", "Y")).instead[0].effect
    )
    assert not asked.warning


def test_overlap_is_counted_stratum_by_stratum():
    """Four strata of which two lack a treatment; the larger is named first."""
    table = sample_of({"Z": list("aabbcd"), "T": list("xyxyxy")}, counts=[30, 10, 5, 45, 8, 2])
    strata = stratify(table, "T", np.zeros(6), ["Z"], binary=False)
    found = overlap_of(strata, ("x", "y"))
    assert (found.share, found.strata, found.without, found.least) == (0.9, 4, 2, 0)
    assert found.empty == ("Z=c: no y among 8 rows", "Z=d: no x among 2 rows")
    (note,) = overlap_notes(found)
    assert note.startswith("2 of 4 strata lack a treatment (Z=c: no y among 8 rows; Z=d")
    whole = stratify(table.take(np.arange(4), table.n[:4]), "T", np.zeros(4), ["Z"], binary=False)
    full = overlap_of(whole, ("x", "y"))
    assert (full.share, full.without, full.empty, full.least) == (1, 0, (), 0.1)
    assert overlap_notes(full) == []
    assert overlap_notes(None) == []
    told = found.as_dict()
    assert (told["share"], told["strata_without_overlap"], told["named"]) == (0.9, 2, list(found.empty))


def test_overlap_by_a_model_is_that_of_its_probabilities():
    """Rows of which one in five has less than 1 chance in 100, and Kish's rows of equal weights."""
    p = np.repeat([0.5, 0.995], [80, 20])
    treatment = np.append(np.tile([0, 1], 40), np.ones(20, np.int64))
    one = np.ones(100)
    known = Nuisance(
        treatment, one, one, one, one[:, None], np.column_stack([1 - p, p]), np.zeros((100, 2)),
        np.zeros(2), False, {}, {},
    )  # fmt: skip
    table = sample_of({"T": treatment, "Y": np.arange(100.0)})
    prepared = PreparedQuestion.of(table, EffectQuestion("T", "Y"), ())
    found = model_overlap(prepared, known, "ate")
    assert (found.share, found.strata, found.least) == (pytest.approx(0.8), 0, pytest.approx(0.005))
    assert found.effective == pytest.approx(40)  # the untreated all weigh alike
    assert found.lacking
    assert not model_overlap(prepared, known, "overlap").lacking
    assert "20.0 % of everybody had less than 1 chance in 100" in lacking_words(found, "ate", ())
    assert lacking_words(found, "ate", ()).endswith("nor can another.")
