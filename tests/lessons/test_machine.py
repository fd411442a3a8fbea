"""The check of a classroom's machine."""

import shutil
import webbrowser
from collections import namedtuple

from bayesight.language import speaking
from bayesight.lessons import check_machine, machine


def named(found):
    return {one.name: one for one in found}


def test_a_machine_that_runs_the_tests_is_ready(tmp_path):
    found = named(check_machine(tmp_path))
    assert all(one.ready and not one.mend for one in found.values() if one.needed)
    assert found["pytest"].ready
    assert found["training"].found.endswith(" s")
    assert 0 < float(found["training"].found[:-2]) < 20


def test_what_is_missing_comes_with_its_remedy(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9e9, 8e9, 1e9))
    monkeypatch.setattr(machine, "_SLOWEST_S", 0.0)
    monkeypatch.setattr(machine, "_korean_font", lambda: "")
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    monkeypatch.setattr(webbrowser, "get", lambda: (_ for _ in ()).throw(webbrowser.Error()))
    with speaking("ko"):
        found = named(check_machine(tmp_path))
    missing = {name for name, one in found.items() if not one.ready}
    assert missing == {"disk", "training", "pytest", "notebook", "browser", "fonts"}
    assert {name for name in missing if found[name].needed} == {"disk", "training"}
    assert found["disk"].mend == "2 GB를 비우세요"
    assert found["pytest"].mend == "pip install pytest"


def test_korean_fonts_are_known_by_their_names():
    known = ("NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo", "Noto Sans CJK KR", "맑은 고딕")
    assert all(machine._KOREAN.search(name) for name in known)
    assert not any(machine._KOREAN.search(name) for name in ("DejaVu Sans", "Noto Sans", "Gothic A1x"))
