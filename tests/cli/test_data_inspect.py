import json
import tarfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bayesight.cli.data import data_app
from bayesight.data.notes import parse_size
from bayesight.errors import InvalidInput, SourceNotFound


def inspect(*arguments):
    return CliRunner().invoke(data_app, ["inspect", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def archive(tmp_path):
    generator = np.random.default_rng(0)
    path = tmp_path / "letters.tar.gz"
    with tarfile.open(path, "w:gz") as members:

        def add(name, content):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            members.addfile(info, BytesIO(content))

        for k in range(9):
            buffer = BytesIO()
            Image.fromarray(generator.integers(0, 256, (6, 6), dtype=np.uint8)).save(buffer, "PNG")
            add(f"{'A' if k < 6 else 'B'}/{k}.png", buffer.getvalue())
        add("B/first-of-A.png", buffer.getvalue())
        add("A/last-of-B.png", buffer.getvalue())
        add("A/broken.png", b"hello")
        add("A/notes.txt", b"words")
    return path


def test_a_large_store_is_told_of_on_standard_error(archive, monkeypatch):
    monkeypatch.setattr("bayesight.data.build._LARGE_BYTES", 0)
    result = inspect(archive, "--size", 7, "--json")
    assert "images of 7x7 take about 0.0 GB in" in result.stderr
    assert json.loads(result.stdout)["examples"] == 11


def test_the_json_of_the_real_letters(real_data):
    result = inspect(real_data / "notmnist" / "notMNIST_real8k.tar.gz", "--json")
    document = json.loads(result.stdout)
    assert document["examples"] == 8000
    assert document["classes"] == dict.fromkeys("ABCDEFGHIJ", 800)
    assert document["shape"] == [28, 28]
    assert [entry["reason"] for entry in document["quarantined"]] == ["zero bytes", "zero bytes"]
    assert document["duplicates"]["extra"] > 100
    assert len(document["content_hash"]) == 64
    assert result.exit_code == 0


def test_what_people_are_told(archive):
    text = inspect(archive, "--near").stdout
    assert "11 images in 2 classes; all images are 6x6; all images are grey." in text
    assert "A/broken.png: not an image (begins with b'hello')" in text
    assert "1 file that is no image was passed over: 1 .txt" in text
    assert "1 image is there more than once (2 copies too many)" in text
    assert "1 as A, 2 as B:" in text
    assert "pairs of images look alike" in text


def test_json_names_conflicts_and_takes_size_and_mode(archive):
    document = json.loads(inspect(archive, "--json", "--size", "8x4", "--mode", "RGB").stdout)
    assert document["shape"] == [8, 4, 3]
    assert document["choice"] == "8x4 as asked for; RGB as asked for"
    assert document["ignored"] == 1
    assert document["duplicates"]["groups"] == 1
    assert sorted(document["duplicates"]["conflicts"][0]["paths"]) == [
        "A/last-of-B.png",
        "B/8.png",
        "B/first-of-A.png",
    ]


def test_refused_input_is_left_to_the_shell(tmp_path, archive):
    with pytest.raises(SourceNotFound):
        inspect(tmp_path / "nothing")
    with pytest.raises(InvalidInput, match="--size"):
        inspect(archive, "--size", "large")
    assert parse_size(" 28 ") == (28, 28)


def test_texts_are_counted_and_take_no_option_of_images(tmp_path):
    source = tmp_path / "reviews.tsv"
    source.write_text("good\tfine\nbad\tdull\n")
    assert "2 texts in 2 classes." in inspect(source).stdout
    assert json.loads(inspect(source, "--json").stdout)["classes"] == {"bad": 1, "good": 1}
    with pytest.raises(InvalidInput, match=r"--near: given with .*, which holds texts"):
        inspect(source, "--near")


def test_help_has_an_example():
    assert "bayesight data inspect" in inspect("--help").stdout


def test_labels_come_from_where_they_are_said_to(archive, tmp_path):
    document = json.loads(inspect(archive, "--labels-from", r"(?P<label>[0-4])\.png", "--json").stdout)
    assert document["classes"] == dict.fromkeys("01234", 1)
    assert any("6 of 11 images have no label there" in note for note in document["notes"])
