"""Rendered archives: the layout, the box, the seed, the noise, and which fonts are left out and why."""

import base64
import csv
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from bayesight.errors import InvalidConfig, InvalidInput, SourceNotFound, StorageFailed
from bayesight.letters import glyphs
from bayesight.letters.fonts import draw, find_fonts, usable_fonts
from bayesight.letters.glyphs import RenderOptions, folder_names, render, render_arrays
from bayesight.letters.styles import _STYLES, _style, fill_box, vary

SHIPPED = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    """Three text fonts."""
    folder = tmp_path_factory.mktemp("fonts")
    for name in ("DejaVuSans-Bold", "DejaVuSerif", "cmtt10"):
        shutil.copy(SHIPPED / f"{name}.ttf", folder)
    return folder


def contents(path):
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive}


def test_the_archive_is_laid_out_like_notmnist(fonts, tmp_path):
    made = render(
        tmp_path / "new" / "letters.tar.gz",
        RenderOptions(characters="AJx", images_per_class=7, fonts=fonts, size=20, seed=3),
    )
    members = contents(made.path)
    table = members.pop("letters/fonts.csv").decode()
    assert made.examples == len(members) == 21
    assert made.counts == {"A": 7, "J": 7, "x_small": 7}
    used = {"A": [], "J": [], "x_small": []}
    for name, png in members.items():
        top, class_, file = name.split("/")
        assert top == "letters"
        used[class_].append(base64.urlsafe_b64decode(file.rsplit("-", 1)[0]).decode())
        with Image.open(io.BytesIO(png)) as image:
            assert (image.format, image.size, image.mode) == ("PNG", (20, 20), "L")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["family"] for row in rows] == ["DejaVu Sans Bold", "DejaVu Serif Book", "cmtt10 Regular"]
    assert "Bitstream" in rows[0]["licence"]
    assert [Path(row["file"]).parent for row in rows] == [fonts] * 3
    assert sum(int(row["images"]) for row in rows) == 21
    for names in used.values():  # every font twice before any font three times
        assert {names.count(font) for font in set(names)} == {2, 3}
    assert not [p for p in made.path.parent.iterdir() if p != made.path]


def test_the_same_options_give_the_same_bytes_and_another_seed_others(fonts, tmp_path):
    def digest(name, **options):
        chosen = RenderOptions(characters="BC", images_per_class=9, fonts=fonts, **options)
        return hashlib.sha256(render(tmp_path / name / "x.tar.gz", chosen).path.read_bytes()).hexdigest()

    assert digest("one", seed=5) == digest("two", seed=5) != digest("three", seed=6)


def test_the_bytes_are_the_same_in_another_process(fonts, tmp_path):
    options = RenderOptions(characters="BC", images_per_class=9, fonts=fonts, seed=5)
    here = render(tmp_path / "here" / "x.tar.gz", options).path
    there = tmp_path / "there" / "x.tar.gz"
    program = (
        "from bayesight.letters.glyphs import *\n"
        f"o = RenderOptions(characters='BC', images_per_class=9, fonts={str(fonts)!r}, seed=5)\n"
        f"render({str(there)!r}, o)"
    )
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, **threads})
    assert here.read_bytes() == there.read_bytes()
    with gzip.open(here) as file:
        file.read()
        assert file.mtime == 0


def test_memory_and_archive_hold_the_same_images(fonts, tmp_path):
    options = RenderOptions(characters="EF", images_per_class=5, fonts=fonts, seed=1)
    made = render_arrays(options)
    assert made.images.shape == (10, 28, 28)
    assert made.labels.tolist() == [0] * 5 + [1] * 5
    for name, png in contents(render(tmp_path / "a.tar.gz", options).path).items():
        if name.endswith(".png"):
            with Image.open(io.BytesIO(png)) as image:
                place = int(name.removesuffix(".png").rsplit("-", 1)[1])
                assert np.array_equal(np.asarray(image), made.images[place])


@pytest.mark.parametrize("size", [16, 28, 61])
def test_the_glyph_fills_its_box_as_notmnist_does(fonts, size):
    images = render_arrays(
        RenderOptions(characters="ABHI", images_per_class=24, fonts=fonts, size=size, seed=2)
    ).images
    ink = images > 32
    for side in (ink[:, 0], ink[:, -1], ink[:, :, 0], ink[:, :, -1]):
        assert side.any(axis=1).mean() > 0.97
    assert (images.reshape(len(images), -1).max(axis=1) > 240).mean() > 0.95
    assert (images.reshape(len(images), -1).min(axis=1) < 15).mean() > 0.75  # all but the plain I


def test_the_share_of_ink_is_that_of_real_letters(real_data):
    with tarfile.open(real_data / "notmnist" / "notMNIST_real8k.tar.gz") as archive:
        real = {}
        for member in archive:
            if member.size and member.isfile() and len(real.setdefault(member.name.split("/")[-2], [])) < 100:
                with Image.open(archive.extractfile(member)) as image:
                    real[member.name.split("/")[-2]].append(np.asarray(image).mean() / 255)
    made = render_arrays(RenderOptions(images_per_class=100))
    for label, class_ in enumerate(made.classes):
        ours = made.images[made.labels == label].mean() / 255
        assert ours == pytest.approx(np.mean(real[class_]), abs=0.12), class_


def test_without_variation_a_glyph_is_the_drawing_of_its_font(fonts):
    options = RenderOptions(characters="AB", images_per_class=6, fonts=fonts, variation=0, seed=4)
    made = render_arrays(options)
    for label, character in enumerate("AB"):
        for number, font in enumerate(made.fonts):
            mine = made.images[(made.labels == label) & (made.font_of == number)]
            assert len(mine) == 2
            assert np.array_equal(mine[0], mine[1])
            ink = draw(ImageFont.truetype(str(font.path), 300), character)
            expected = np.asarray(Image.fromarray(ink.copy()).resize((28, 28), Image.Resampling.LANCZOS))
            assert np.abs(mine[0].astype(int) - expected).mean() < 10


def test_variation_makes_every_image_another(fonts):
    images = render_arrays(RenderOptions(characters="G", images_per_class=120, fonts=fonts)).images
    assert len(np.unique(images.reshape(120, -1), axis=0)) == 120


@pytest.mark.parametrize("style", _STYLES, ids=lambda style: style.draw.__name__)
def test_every_style_changes_the_glyph_and_leaves_ink(style):
    ink = torch.zeros(4, 98, 98)
    ink[:, 20:78, 20:34] = 1
    ink[:, 42:56, 20:78] = 1
    drawn = style.draw(ink, torch.Generator().manual_seed(0))
    assert drawn.shape == ink.shape
    assert 0 <= drawn.min() <= drawn.max() <= 1 + 1e-6
    assert (drawn.sum((1, 2)) > 200).all()
    assert all(not torch.allclose(one, other, atol=0.2) for one, other in zip(drawn, ink, strict=True))


def test_thin_strokes_outlive_thinning():
    hairline = torch.zeros(64, 98, 98)
    hairline[:, 20:78, 20:23] = 1
    hairline[:, 20:78, 55:75] = 1
    made = fill_box(vary(hairline, 1.0, torch.Generator().manual_seed(0)), 28)
    left_third = made[:, :, :9].amax(dim=(1, 2))
    assert (left_third > 0.3).float().mean() > 0.95


def test_no_style_wipes_a_glyph_out():
    hairline = torch.zeros(400, 98, 98)
    hairline[:, 20:78, 20:22] = 1
    hairline[:, 20:22, 20:78] = 1
    made = _style(hairline, 1.0, torch.Generator().manual_seed(0)) > 0.3
    assert (made.any(dim=1).sum(dim=1) >= 34).all()
    assert (made.any(dim=2).sum(dim=1) >= 34).all()


@settings(deadline=None, max_examples=30)
@given(
    top=st.integers(0, 30), left=st.integers(0, 30), height=st.integers(2, 60), width=st.integers(2, 60),
    size=st.integers(8, 40),
)  # fmt: skip
def test_a_solid_box_becomes_a_white_square_and_no_ink_stays_black(top, left, height, width, size):
    ink = torch.zeros(2, 98, 98)
    ink[0, top : top + height, left : left + width] = 1
    filled = fill_box(ink, size)
    assert torch.allclose(filled[0], torch.ones(size, size), atol=1e-5)
    assert not filled[1].any()


def test_filling_the_box_is_pillows_lanczos():
    random = np.random.default_rng(0)
    ink = np.zeros((98, 98), np.float32)
    ink[11:87, 30:60] = random.random((76, 30)) * 0.6 + 0.4
    expected = Image.fromarray(ink[11:87, 30:60]).resize((28, 28), Image.Resampling.LANCZOS)
    ours = fill_box(torch.from_numpy(ink)[None], 28)[0].numpy()
    assert np.abs(ours - np.asarray(expected).clip(0, 1)).max() < 1e-4


def test_label_noise_is_as_much_as_asked_and_listed(fonts, tmp_path):
    options = RenderOptions(characters="ABC", images_per_class=40, fonts=fonts, label_noise=0.15, seed=8)
    made = render_arrays(options)
    wrong = made.labels != made.true_labels
    assert wrong.sum() == 18
    clean = render_arrays(RenderOptions(characters="ABC", images_per_class=40, fonts=fonts, seed=8))
    assert np.array_equal(made.images, clean.images)
    summary = render(tmp_path / "n.tar.gz", options)
    assert summary.mislabelled == 18
    members = contents(summary.path)
    listed = {}
    for row in csv.DictReader(io.StringIO(members["n/fonts.csv"].decode())):
        listed |= dict(entry.split(" shows ") for entry in row["wrong_labels"].split("; ") if entry)
    assert len(listed) == 18
    for name, shown in listed.items():
        assert f"n/{name}" in members
        assert name.split("/")[0] != shown
        place = int(name.removesuffix(".png").rsplit("-", 1)[1])
        assert "ABC"[made.true_labels[place]] == shown


def test_broken_symbol_and_repeated_fonts_are_left_out_with_a_reason(fonts, tmp_path):
    for name in ("cmex10", "LastResortHE-Regular", "STIXSizOneSymReg", "DejaVuSans-Bold", "STIXGeneral"):
        shutil.copy(SHIPPED / f"{name}.ttf", tmp_path)
    shutil.copy(SHIPPED / "DejaVuSans-Bold.ttf", tmp_path / "Twin.ttf")
    (tmp_path / "text.ttf").write_text("no font")
    (tmp_path / "empty.otf").write_bytes(b"")
    (tmp_path / "cut.ttf").write_bytes((SHIPPED / "DejaVuSans.ttf").read_bytes()[:20_000])
    (tmp_path / "notes.txt").write_text("no font by name either")
    used, left_out = usable_fonts(find_fonts(tmp_path), "ABCDEFGHIJ")
    assert [font.path.name for font in used] == ["DejaVuSans-Bold.ttf", "STIXGeneral.ttf"]
    reasons = {font.path.name: font.reason for font in left_out}
    assert set(reasons) == {
        "cmex10.ttf", "LastResortHE-Regular.ttf", "STIXSizOneSymReg.ttf", "Twin.ttf", "text.ttf", "empty.otf",
        "cut.ttf",
    }  # fmt: skip
    assert "symbols" in reasons["cmex10.ttf"]
    assert "alike" in reasons["LastResortHE-Regular.ttf"]
    assert reasons["STIXSizOneSymReg.ttf"] == "has no 'A', 'B', 'C', 'D', 'E' and 5 more"
    assert "same shapes" in reasons["Twin.ttf"]
    assert all("cannot be" in reasons[name] for name in ("text.ttf", "empty.otf", "cut.ttf"))


def test_the_fonts_of_the_installation_are_enough_and_the_same_whatever_the_system_has(tmp_path, monkeypatch):
    shutil.copy(SHIPPED / "DejaVuSans.ttf", tmp_path / "Nanum.ttf")
    (tmp_path / "Mine.otf").write_bytes(b"")
    monkeypatch.setattr("bayesight.letters.fonts._system_places", lambda: [tmp_path])
    shipped, widened = find_fonts(), find_fonts("system")
    assert {path.parent for path in shipped} == {SHIPPED}
    assert set(widened) - set(shipped) == {tmp_path / "Nanum.ttf", tmp_path / "Mine.otf"}
    used, _ = usable_fonts(shipped, "ABCDEFGHIJ")
    assert len(used) >= 20
    assert usable_fonts([SHIPPED / "DejaVuSans.ttf"], "あ")[0] == ()


def test_small_letters_digits_and_other_scripts_have_safe_folders():
    assert folder_names("AaÉé0") == ("A", "a_small", "É", "é_small", "0")
    assert folder_names("あЖж") == ("あ", "Ж", "ж_small")
    assert folder_names("./*") == ("U+002E", "U+002F", "U+002A")
    assert folder_names("σς") == ("U+03C3", "U+03C2")
    every = [chr(code) for code in range(33, 0x2000) if chr(code).isprintable()]
    folded = [name.casefold() for name in folder_names(every)]
    assert len(set(folded)) == len(folded)
    assert not any(set(name) & set('<>:"/\\|?*.') for name in folded)


def test_greek_and_digits_render(fonts, tmp_path):
    made = render(tmp_path / "g.tgz", RenderOptions(characters="Ωω7", images_per_class=4))
    assert list(made.counts) == ["Ω", "ω_small", "7"]


def test_every_problem_is_named_at_once():
    with pytest.raises(InvalidConfig) as caught:
        RenderOptions(characters="AA ", images_per_class=0, size=5, label_noise=1, variation=2)
    assert len(caught.value.problems) == 6
    with pytest.raises(InvalidConfig, match="none given"):
        RenderOptions(characters="")
    with pytest.raises(InvalidConfig, match="one class"):
        RenderOptions(characters="A", label_noise=0.1)


def test_no_font_that_can_is_told_with_reasons(fonts, tmp_path):
    with pytest.raises(InvalidInput, match=r"no font draws all of 'あい' \(DejaVuSans-Bold.ttf has no 'あ'"):
        render_arrays(RenderOptions(characters="あい", fonts=fonts))
    (tmp_path / "none").mkdir()
    with pytest.raises(InvalidInput, match="no font file found"):
        render_arrays(RenderOptions(fonts=tmp_path / "none"))
    with pytest.raises(SourceNotFound, match="working directory"):
        render_arrays(RenderOptions(fonts="nowhere"))


def test_what_is_there_is_kept_unless_told_otherwise(fonts, tmp_path):
    out = tmp_path / "x.tar.gz"
    out.write_text("mine")
    options = RenderOptions(characters="A", images_per_class=2, fonts=fonts)
    with pytest.raises(StorageFailed, match="--overwrite"):
        render(out, options)
    assert out.read_text() == "mine"
    render(out, options, overwrite=True)
    assert "x/fonts.csv" in contents(out)
    with pytest.raises(InvalidInput, match=r"ends in \.tar\.gz"):
        render(tmp_path / "x.zip", options)
    with pytest.raises(StorageFailed, match="could not be written"):
        render(out / "below" / "y.tar.gz", options)


def test_an_interruption_leaves_nothing_behind(fonts, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    options = RenderOptions(characters="A", images_per_class=2, fonts=fonts)
    with pytest.raises(KeyboardInterrupt):
        render(tmp_path / "x.tar.gz", options, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(fonts, tmp_path, monkeypatch):
    def full(image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(glyphs, "png_of", full)
    with pytest.raises(StorageFailed, match="No space left"):
        render(tmp_path / "x.tar.gz", RenderOptions(characters="A", images_per_class=2, fonts=fonts))
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_image(fonts):
    seen = []
    options = RenderOptions(characters="AB", images_per_class=70, fonts=fonts, size=64)
    render_arrays(options, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (140, 140)
    assert len(seen) > 2
