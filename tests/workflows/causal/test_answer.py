"""Answers in words and as documents."""

import numpy as np
import pytest

from bayesight.workflows.causal import CausalRequest, causal_effect


def test_a_line_through_codes_is_said_and_refuted(sites, tmp_path):
    path = sites(tmp_path / "sites.csv", 21)
    request = CausalRequest(path, "T", "Y", "site->T,site->Y,T->Y", numeric=("site",), refute=True)
    found = causal_effect(request)
    assert found.held == {"site": ("a quantity", 21)}
    said = "Held fixed as quantities, which may bend: site (--text makes categories of one)."
    assert found.held_words == said
    assert found.as_dict()["held"] == {"site": {"as": "a quantity", "values": 21}}
    assert found.effect.adjusted.effect.mean == pytest.approx(1, abs=0.15)
    assert found.effect.others[0].effect.mean > 20  # a straight line through codes, and called that:
    assert "Straight lines (standardisation by regression) would say 22" in found.effect.notes[1]
    other = next(r for r in found.refutations if "categories" in r.name)
    assert other.passed
    assert other.effect.mean == pytest.approx(1, abs=0.15)


def test_a_line_that_is_one_survives(tmp_path):
    rng = np.random.default_rng(3)
    age = rng.integers(20, 70, 1500)
    treated = (rng.random(1500) < (age - 10) / 80).astype(int)
    outcome = 0.1 * age + treated + rng.normal(size=1500)
    path = tmp_path / "ages.csv"
    lines = [f"{a},{t},{y:.4f}" for a, t, y in zip(age, treated, outcome, strict=True)]
    path.write_text("age,T,Y\n" + "\n".join(lines) + "\n")
    found = causal_effect(CausalRequest(path, "T", "Y", "age->T,age->Y,T->Y", refute=True))
    assert found.held == {"age": ("a quantity", 50)}
    assert all(attempt.passed for attempt in found.refutations)
