"""``bayesight cache``: its JSON and its words."""

import json

from bayesight.data.store import open_store


def test_command(program, shapes, monkeypatch, tmp_path):
    monkeypatch.setenv("BAYESIGHT_CACHE", str(tmp_path / "cache"))
    open_store(shapes)
    status, out, _ = program("cache", "--json")
    document = json.loads(out)
    assert status == 0
    assert document["bytes"] == sum(store["bytes"] for store in document["stores"]) > 0
    assert (document["path"], document["cleared"]) == (str(tmp_path / "cache"), None)
    status, out, _ = program("cache")
    assert f"240 images of {shapes}" in out
    assert out.rstrip().endswith("bayesight cache --clear")
    status, out, _ = program("cache", "--clear", "--json")
    assert (json.loads(out)["stores"], json.loads(out)["bytes"]) == ([], 0)
    assert json.loads(out)["cleared"] == {"stores": 1, "bytes": document["bytes"]}
