"""The report of a causal answer."""

from bayesight.workflows.causal import CausalRequest, causal_effect, causal_report, causal_sections


def test_reports_hold_graph_answers_and_strata(tmp_path):
    found = causal_effect(CausalRequest("example:kidney-stones", refute=True, bayes=True))
    headings = [section.heading for section in causal_sections(found)]
    assert headings == ["Who causes whom", "Seeing and doing", "Like compared with like"]
    page = causal_report(found, tmp_path / "r.html").read_text(encoding="utf-8")
    for said in ("Simpson&#39;s reversal", "size=small", "87 rows", "hold size fixed", "Charig"):
        assert said in page, said
    plain = causal_effect(CausalRequest("example:ice-cream"))
    assert "one more unit" in causal_report(plain, tmp_path / "i.html").read_text(encoding="utf-8")
