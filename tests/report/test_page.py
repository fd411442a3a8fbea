"""The page as a whole: balanced, alone, safe, accessible, the same every time."""

import dataclasses
import re
import types
import xml.etree.ElementTree as ET
from functools import partial

import numpy as np
import pytest

from bayesight import report as r
from bayesight.errors import StorageFailed

HOSTILE = "</svg><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\x00\u202e$\\frac"

FIELDS = {
    *("support", "sensitivity", "false_alarm", "precision", "likelihood_ratio_positive"),
    *("likelihood_ratio_negative", "undefined", "intervals"),
    *("sources", "source", "images", "content_hash", "examples", "seed", "selection", "seconds", "training"),
    *("hardware", "threads", "torch", "bayesight", "data", "model", "loss", "optimization"),
    *("title", "sees", "published", "validation", "test", "median", "low", "high"),
}
"""Keys of documents, which are no names that strangers give."""


def kinds():
    """Every function that makes a section."""
    shown = (getattr(r, name) for name in r.__all__)
    return {f for f in shown if isinstance(f, types.FunctionType)} - {r.render, r.save, r.telling}


def hostile(value):
    """The same data with something hostile before every name in them."""
    if isinstance(value, str):
        return HOSTILE + value
    if isinstance(value, tuple):
        return tuple(hostile(item) for item in value)
    if isinstance(value, dict):
        return {name if name in FIELDS else hostile(name): hostile(item) for name, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    if isinstance(value, frozenset):
        return frozenset(map(hostile, value))
    if isinstance(value, partial):
        return partial(value.func, *hostile(value.args), **{k: hostile(v) for k, v in value.keywords.items()})
    if dataclasses.is_dataclass(value):
        return dataclasses.replace(
            value, **{f.name: hostile(getattr(value, f.name)) for f in dataclasses.fields(value)}
        )
    return value


def test_tags_balance_and_ids_are_unique(page, outline):
    parsed = outline(page)
    assert len(parsed.ids) == len(set(parsed.ids)) > 40


def test_every_reference_inside_the_page_has_its_target(page, outline):
    parsed = outline(page)
    links = [v[1:] for _, name, v in parsed.attributes if name == "href" and v.startswith("#")]
    links += re.findall(r"url\(#([^)]+)\)", page)
    links += [v for _, name, v in parsed.attributes if name in ("for", "aria-labelledby")]
    assert len(links) > 40
    assert set(links) <= set(parsed.ids)


def test_it_loads_nothing_and_runs_nothing(page, outline):
    parsed = outline(page)
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(parsed.tags)
    for tag, name, value in parsed.attributes:
        assert not name.startswith("on")
        if name in ("src", "srcset", "action", "data", "poster"):
            assert value.startswith("data:image/png;base64,"), tag
        if name == "href":
            assert value.startswith("#"), tag
    assert set(re.findall(r"https?://[^\s\"')]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_every_figure_is_well_formed_and_says_what_it_is(page):
    figures = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(figures) > 15
    for figure in figures:
        root = ET.fromstring(figure)
        assert root.get("role") == "img"
        assert len(root.get("aria-label")) > 15
        assert "#0a0b" not in figure


def test_structure_for_screen_readers(page, outline):
    parsed = outline(page)
    assert [parsed.tags.count(t) for t in ("h1", "main", "header", "nav", "footer")] == [1] * 5
    assert all(b - a <= 1 for a, b in zip(parsed.headings, parsed.headings[1:], strict=False))
    scopes = [v for tag, name, v in parsed.attributes if tag == "th" and name == "scope"]
    assert len(scopes) == parsed.tags.count("th")
    assert set(scopes) == {"row", "col"}
    assert parsed.tags.count("caption") == parsed.tags.count("table")
    alts = [v for tag, name, v in parsed.attributes if tag == "img" and name == "alt"]
    assert len(alts) == parsed.tags.count("img")
    assert all(alts)
    assert ("html", "lang", "en") in parsed.attributes


def test_hostile_names_are_text_and_nothing_else(full, given, outline):
    sections = tuple(make() for make in hostile(given))
    html = r.render(dataclasses.replace(hostile(dataclasses.replace(full, sections=())), sections=sections))
    parsed = outline(html)
    assert not {"script", "x"} & set(parsed.tags)
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    assert all(v.startswith("data:image/png;base64,") for _, name, v in parsed.attributes if name == "src")
    assert "alert(1)" in "".join(parsed.text)
    assert "\x00" not in html
    assert "\u202e" not in html
    assert len(parsed.ids) == len(set(parsed.ids))
    for figure in re.findall(r"<svg.*?</svg>", html, re.S):
        ET.fromstring(figure)


def test_names_that_are_no_utf_8_reach_the_file(tmp_path):
    broken = b"B\xfccher".decode("utf-8", "surrogateescape")
    report = r.Report(broken, (r.quarantine(((broken, "cut off"),), ignored=0), r.class_counts({broken: 3})))
    assert "B�cher" in r.save(report, tmp_path / "r.html").read_text(encoding="utf-8")


def test_every_kind_of_section_is_in_the_full_report(given):
    assert {make.func for make in given} == kinds()


def test_a_section_is_there_when_given_and_leaves_no_trace_otherwise(given):
    headings = {make.func: re.escape(make().heading.replace("'", "&#39;")) for make in given}
    assert len(set(headings.values())) == len(kinds())
    for kind in kinds():
        page = r.render(r.Report("t", tuple(make() for make in given if make.func is kind)))
        shown = {other for other, heading in headings.items() if re.search(rf"<h2[^>]*>{heading}</h2>", page)}
        assert shown == {kind}


def test_an_empty_report_is_a_page(outline):
    parsed = outline(r.render(r.Report("Nothing yet", ())))
    assert parsed.tags.count("section") == 0
    assert "nav" not in parsed.tags


def test_heading_and_note_are_the_callers(outline):
    section = r.prose("My heading", "One.").with_note("My <note>.")
    page = r.render(r.Report("t", (section,), "sub <title>", "today"))
    assert ">My heading</h2>" in page
    assert "<p>One.</p>\n<p>My &lt;note&gt;.</p>" in re.sub(r"\n+", "\n", page)
    assert section.with_note("") is section
    assert "sub &lt;title&gt; · today" in page


def test_the_same_data_make_the_same_page(full, page):
    assert r.render(full) == page


def test_the_same_section_twice_keeps_ids_apart(classifier, outline):
    parsed = outline(r.render(r.Report("t", tuple(make() for make in (*classifier, *classifier)))))
    assert len(parsed.ids) == len(set(parsed.ids))


def test_size_is_bounded(page):
    assert len(page) < 350_000
    many = tuple((f"{'x' * 60}/{i}.png", "empty") for i in range(50_000))
    picture = r.Picture(
        np.random.default_rng(0).integers(0, 256, (2000, 1500, 3), dtype=np.uint8), "A", "B", 0.9
    )
    sections = (
        r.quarantine(many, ignored=0),
        r.mistakes((picture,) * 500, total=500),
        r.class_counts({f"class {i}": i for i in range(5000)}),
    )
    html = r.render(r.Report("t", sections))
    assert html.count("<img") == 60
    assert "50,000 files" in html
    assert len(html) < 60 * 120_000


def test_a_thousand_classes_stay_readable():
    rng = np.random.default_rng(3)
    names = tuple(f"n{i:04}" for i in range(1000))
    html = r.render(
        r.Report("t", (r.confusion_table(rng.poisson(0.002, (1000, 1000)) + 9 * np.eye(1000), names),))
    )
    assert "Of 1000 classes, the 60 with most mistakes are drawn" in html
    assert len(html) < 400_000


def test_the_first_class_is_the_one_shown(classifier):
    curves = next(make for make in classifier if make.func is r.precision_curves)
    page = r.render(r.Report("t", (curves(),)))
    assert re.search(r'id="choice1-o1" checked><label for="choice1-o1">A</label>', page)
    assert page.count(" checked>") == 1


def test_save_makes_the_folder_and_replaces_the_file(tmp_path):
    path = tmp_path / "a" / "b" / "report.html"
    assert r.save(r.Report("One", ()), path) == path
    r.save(r.Report("Two", ()), str(path))
    assert "<h1>Two</h1>" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match=r"could not be made .*expected a folder for report\.html"):
        r.save(r.Report("One", ()), tmp_path / "file" / "report.html")


def test_the_door_shows_exactly_its_names():
    modules = {"blocks", "figures", "overlays", "page", "pictures", "sections", "words"}
    assert set(r.__all__) == {n for n in vars(r) if not n.startswith("_")} - modules
