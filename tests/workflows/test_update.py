"""Posterior becomes prior, on a saved run or in a ledger: exact, reversible, atomic, one at a time."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from bayesight.errors import InvalidInput, RunUnreadable, StorageFailed
from bayesight.ledger import Ledger, belief_digest
from bayesight.run import Run
from bayesight.workflows.belief import belief_of
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.sources import SourceOptions
from bayesight.workflows.update import update


def posterior(folder, source):
    return evaluate(folder, source).evaluation.log_p


def parts_of(make_archive, count, drawing=None):
    """The same drawings in ``count`` archives of unequal size."""
    cuts = [{"bar": 3, "disc": 9}, {"ring": 14, "bar": 6}, {"disc": 5, "ring": 2, "bar": 11}]
    return [make_archive(f"part{i}.tar.gz", cuts[i % 3], seed=50 + i) for i in range(count)]


def test_batches_of_any_order_are_one_belief(shapes_run, more_shapes, make_archive, tmp_path):
    import shutil

    parts = parts_of(make_archive, 3)
    found = []
    for name, order in (("a", (0, 1, 2)), ("b", (2, 0, 1))):
        folder = shutil.copytree(shapes_run, tmp_path / name)
        for i in order:
            update(folder, parts[i])
        found.append(posterior(folder, more_shapes))
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-9)
    assert not np.allclose(found[0], posterior(shapes_run, more_shapes), atol=1e-9)


def test_removing_undoes(run_copy, more_shapes, make_archive):
    before = posterior(run_copy, more_shapes)
    first, second, _ = parts_of(make_archive, 3)
    result = update(run_copy, first)
    assert (result.absorbed, result.removed, result.new_classes) == (12, 0, ())
    assert np.isfinite(result.log_evidence)
    update(run_copy, second)
    taken = update(run_copy, first, remove=True)
    assert (taken.absorbed, taken.removed) == (0, 12)
    update(run_copy, second, remove=True)
    np.testing.assert_allclose(posterior(run_copy, more_shapes), before, rtol=0, atol=1e-8)


def test_what_was_never_absorbed_is_not_removed(run_copy, make_archive):
    belief = (run_copy / "belief.safetensors").read_bytes()
    with pytest.raises(InvalidInput, match="12 of 12 images were never absorbed"):
        update(run_copy, parts_of(make_archive, 1)[0], remove=True)
    assert (run_copy / "belief.safetensors").read_bytes() == belief
    first = parts_of(make_archive, 1)[0]
    update(run_copy, first)
    update(run_copy, first, remove=True)
    with pytest.raises(InvalidInput, match="never absorbed"):
        update(run_copy, first, remove=True)


def test_a_new_class_is_learned_from_a_handful(run_copy, more_shapes, make_archive, tmp_path):
    hollow = make_archive("new.tar.gz", {"stripe": 12}, {"stripe": "bar"}, seed=9)
    flipped = flip_archive(hollow, tmp_path / "flipped", "stripe")
    result = update(run_copy, flipped)
    assert result.new_classes == ("stripe",)
    assert Run.open(run_copy).classes().names == ("bar", "disc", "ring", "stripe")
    test = flip_archive(
        make_archive("t.tar.gz", {"x": 25}, {"x": "bar"}, seed=10), tmp_path / "test", "stripe"
    )
    assert evaluate(run_copy, test).evaluation.accuracy > 0.8
    assert evaluate(run_copy, more_shapes).evaluation.accuracy > 0.85
    update(run_copy, flipped, remove=True)


def flip_archive(archive, folder, name):
    """The archive's images as a folder, black for white."""
    from bayesight.data import open_store

    (folder / name).mkdir(parents=True)
    for i, pixels in enumerate(open_store(archive).images):
        Image.fromarray(255 - np.asarray(pixels)).save(folder / name / f"{i}.png")
    return folder


def test_the_past_can_be_trusted_less(run_copy, more_shapes, make_archive):
    classifier = Run.open(run_copy).classifier()
    counts, kept = classifier.head.counts, classifier.head.kept
    update(run_copy, parts_of(make_archive, 1)[0], trust_past=0.25)
    after = Run.open(run_copy).classifier()
    torch.testing.assert_close(after.head.counts, counts * 0.25 + torch.tensor([3.0, 9.0, 0.0]).double())
    assert (kept, after.head.kept) == (1.0, 0.25)
    assert after.absorbed.weights.min() == 0.25
    with pytest.raises(InvalidInput, match="trust_past"):
        update(run_copy, more_shapes, trust_past=0.0)
    with pytest.raises(InvalidInput, match="trust_past"):
        update(run_copy, more_shapes, trust_past=0.5, remove=True)


def test_removal_after_a_discount_uses_the_weight_of_now(run_copy, more_shapes, make_archive):
    first, second, _ = parts_of(make_archive, 3)
    update(run_copy, first)
    update(run_copy, second, trust_past=0.5)
    update(run_copy, first, remove=True)
    left = Run.open(run_copy).classifier().head.counts
    torch.testing.assert_close(left, torch.tensor([60 * 0.5 + 6, 60 * 0.5, 60 * 0.5 + 14]).double())


def test_robust_updates_weigh_wrong_labels_less(run_copy, make_archive):
    wrong = make_archive("wrong.tar.gz", {"bar": 10, "disc": 10}, {"bar": "ring", "disc": "disc"})
    before = Run.open(run_copy).classifier().head.counts
    update(run_copy, wrong, robust=True)
    added = Run.open(run_copy).classifier().head.counts - before
    assert added[0] < 2
    assert added[1] > 7


def test_other_sizes_are_brought_to_the_runs(run_copy, tmp_path):
    (tmp_path / "big" / "bar").mkdir(parents=True)
    Image.new("RGB", (60, 50), "white").save(tmp_path / "big" / "bar" / "a.png")
    assert update(run_copy, tmp_path / "big").absorbed == 1


def test_repeats_are_counted_and_said(run_copy, make_archive):
    part = parts_of(make_archive, 1)[0]
    assert update(run_copy, part).repeated == 0
    assert update(run_copy, part).repeated == 12


def test_a_corrupted_belief_is_refused(run_copy, more_shapes):
    path = run_copy / "belief.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunUnreadable, match="changed since it was written"):
        update(run_copy, more_shapes)
    path.write_bytes(bytes(content[:2000]))
    with pytest.raises(RunUnreadable, match="damaged"):
        update(run_copy, more_shapes)


def test_an_interrupted_update_leaves_the_old_belief(run_copy, more_shapes, monkeypatch):
    belief = (run_copy / "belief.safetensors").read_bytes()

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(safetensors.torch, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        update(run_copy, more_shapes)
    monkeypatch.undo()
    assert (run_copy / "belief.safetensors").read_bytes() == belief
    assert update(run_copy, more_shapes).absorbed == 90


def test_of_two_updates_at_once_none_is_lost(run_copy, make_archive):
    parts = parts_of(make_archive, 3)
    before = Run.open(run_copy).classifier().head.counts.sum()
    others = [
        subprocess.Popen(
            [sys.executable, "-m", "bayesight", "update", run_copy, part], stdout=subprocess.DEVNULL
        )
        for part in parts[:2]
    ]
    thread = threading.Thread(target=update, args=(run_copy, parts[2]))
    thread.start()
    thread.join()
    assert [other.wait(timeout=120) for other in others] == [0, 0]
    assert Run.open(run_copy).classifier().head.counts.sum() - before == 12 + 20 + 18


def test_a_held_lock_is_an_error_in_time(run_copy, more_shapes, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr("bayesight.workflows.belief.WAIT_S", 0.05)
    with FileLock(run_copy / "belief.lock"), pytest.raises(StorageFailed, match="another update"):
        update(run_copy, more_shapes)


def test_with_a_ledger_the_same_is_learned_and_the_folder_stays(run_copy, make_archive, tmp_path):
    part = make_archive("part.tar.gz", {"bar": 5, "hoop": 4}, {"hoop": "ring"}, seed=50)
    belief, url = (run_copy / "belief.safetensors").read_bytes(), str(tmp_path / "far.sqlite")
    learned = update(run_copy, part, ledger=url, person="ann", trust_past=0.5)
    repeated = update(run_copy, part, ledger=url, person="ann")
    assert (run_copy / "belief.safetensors").read_bytes() == belief
    with Ledger.open(url) as ledger:
        assert {entry.record.person for entry in ledger.since(0, kinds=("label",))} == {"ann"}
    in_ledger = belief_of(Run.open(run_copy), url)
    gone = update(run_copy, part, ledger=url, remove=True)
    assert (gone.removed, gone.gone_classes, gone.log_evidence) == (9, ("hoop",), None)
    alone = update(run_copy, part, trust_past=0.5, run_only=True)
    in_folder = Run.open(run_copy).classifier()
    seconds = ("run", "seconds", "features_s", "belief_s")
    told, same = ({k: v for k, v in one.as_dict().items() if k not in seconds} for one in (learned, alone))
    assert told == same
    assert (told["absorbed"], told["new_classes"], repeated.repeated) == (9, ("hoop",), 9)
    assert belief_digest(in_ledger) == belief_digest(in_folder)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"person": "ann"}, "person: given without --ledger"),
        ({"run_only": True, "ledger": "l.sqlite"}, "run_only: given with --ledger"),
        ({"remove": True, "second_reading": True}, "second_reading: given with --remove"),
        ({"remove": True, "robust": True, "ledger": "l.sqlite"}, "robust: given with --remove"),
    ],
)
def test_options_that_contradict_each_other_are_refused(run_copy, tmp_path, monkeypatch, given, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=words):
        update(run_copy, tmp_path, **given)
    assert not (tmp_path / "l.sqlite").exists()


def test_numbers_of_idx_data_are_the_runs_order_unless_they_are_names(run_copy, numbered):
    result = update(run_copy, numbered)
    assert "labels 0-2 are read as the run's classes in order, 'bar' to 'ring'" in result.note
    assert result.new_classes == ()
    assert update(run_copy, numbered, by_name=True).new_classes == ("0", "2")


def test_numbers_that_are_folder_names_are_names_unless_it_is_said(run_copy, make_archive):
    folders = make_archive("n.tar.gz", {"0": 4, "2": 5}, {"0": "bar", "2": "ring"})
    before = Run.open(run_copy).classifier().head.counts.tolist()
    placed = update(run_copy, folders, options=SourceOptions(numbers="positions"))
    assert placed.new_classes == ()
    after = Run.open(run_copy).classifier().head.counts.tolist()
    assert [b - a for a, b in zip(before, after, strict=True)] == [4, 0, 5]
    more = make_archive("more.tar.gz", {"0": 4, "2": 5}, {"0": "bar", "2": "ring"}, seed=9)
    assert update(run_copy, more).new_classes == ("0", "2")
