"""``bayesight data parts``: a manifest on the disk, the same on standard output."""

import json


def test_the_parts_are_written_and_told(program, make_archive, tmp_path):
    for name in ("b.tar.gz", "a.tar.gz"):
        make_archive(name, {"bar": 2})
    manifest = tmp_path / "PARTS.json"
    status, out, _ = program("data", "parts", str(tmp_path / "*.tar.gz"), "--out", manifest, "--json")
    told = json.loads(out)
    assert (status, told.pop("path")) == (0, str(manifest))
    assert told == json.loads(manifest.read_text())
    assert [row["url"][-8:] for row in told["parts"]] == ["a.tar.gz", "b.tar.gz"]
    size = told["parts"][0]["bytes"]
    status, out, _ = program(
        "data", "parts", tmp_path / "a.tar.gz", "--most-bytes", size - 1, "--out", manifest
    )
    assert (status, out.split(",")[0]) == (0, "2 parts")


def test_nothing_there_is_one_sentence(refusal, tmp_path):
    assert "no file fits" in refusal("data", "parts", str(tmp_path / "*.tar"), "--out", tmp_path / "p.json")
    assert not (tmp_path / "p.json").exists()
