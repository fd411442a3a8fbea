"""Every arm with every seed; interrupted, refused, reproduced."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bayesight.errors import InvalidInput, SourceUnreadable, StorageFailed
from bayesight.milestones import Claim, find, run
from bayesight.milestones.bench.sources import open_letters, open_text
from bayesight.milestones.bench.workbench import thinned


def test_every_arm_runs_with_every_seed(toy, setting, counting):
    outcome = run(toy, setting)
    assert counting.calls == [(8, 0), (5, 0), (8, 1), (5, 1), (8, 2), (5, 2)]
    assert outcome.reproduced
    found = outcome.summary("large", "accuracy")
    assert (found.median, found.low, found.high) == pytest.approx((0.81, 0.8, 0.82))


def test_the_document_has_the_promised_keys(toy, setting):
    document = run(toy, setting).as_dict()
    assert list(document)[:6] == ["name", "claim", "arms", "threshold", "reproduced", "seconds"]
    assert document["arms"]["small"]["median"] == {"accuracy": pytest.approx(0.51)}
    assert document["arms"]["small"]["recipes"][0]["model"] == {"name": "toy", "size": 5}
    assert document["threshold"][0]["holds"] is True


def test_a_claim_that_fails_is_not_reproduced(toy, setting):
    hopeless = replace(toy, claims=(*toy.claims, Claim("large", "accuracy", ">=", margin=0.9)))
    outcome = run(hopeless, setting)
    assert [v.holds for v in outcome.verdicts] == [True, False]
    assert not outcome.reproduced


def test_smoke_takes_the_small_budget_and_its_seeds(toy, setting, counting):
    outcome = run(toy, replace(setting, smoke=True))
    assert len(outcome.measured["large"][0].curve) == 3
    assert outcome.seeds == (0,)
    assert outcome.milestone.arm("small").recipes[0].optimization["steps"] == 3


def test_an_interrupted_run_goes_on_where_it_stopped(toy, setting, counting):
    counting.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        run(toy, setting)
    counting.stop_after = None
    resumed = run(toy, setting)
    assert len(counting.calls) == 6  # none twice
    again = run(toy, replace(setting, out=setting.out / "elsewhere"))
    assert [one.values for one in resumed.measured["large"]] == [
        one.values for one in again.measured["large"]
    ]
    assert resumed.measured["large"][0].curve == again.measured["large"][0].curve
    picture = resumed.measured["large"][0].pictures["a square"]
    np.testing.assert_array_equal(picture, again.measured["large"][0].pictures["a square"])


def test_a_finished_run_keeps_nothing_and_begins_anew(toy, setting, counting):
    run(toy, setting)
    assert not (setting.out / ".unfinished").exists()
    run(toy, setting)
    assert len(counting.calls) == 12


@pytest.mark.parametrize("what", ["fresh", "recipe", "damaged"])
def test_what_was_kept_is_dropped_when_it_does_not_fit(toy, setting, counting, what):
    counting.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        run(toy, setting)
    counting.stop_after = None
    if what == "recipe":
        toy = replace(toy, arms=tuple(arm.changed({"optimization.steps": 21}) for arm in toy.arms))
    if what == "damaged":
        for file in (setting.out / ".unfinished" / "toy").iterdir():
            file.write_text('{"values": {')
    run(toy, replace(setting, fresh=what == "fresh"))
    assert len(counting.calls) == 2 + 6


def test_no_write_access_is_one_sentence(toy, setting, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageFailed, match=r"cannot be written .*Give another one with --out"):
        run(toy, replace(setting, out=blocked / "cards"))


def test_no_seeds_are_refused(toy, setting):
    with pytest.raises(InvalidInput, match="seeds: got 0; expected at least 1"):
        run(toy, replace(setting, seeds=0))


def test_too_few_images_say_how_many_are_needed(shapes, setting):
    with pytest.raises(InvalidInput, match=r"images of class .*expected at least 400 of each class"):
        run(find("resnet"), replace(setting, data=shapes))


def test_text_is_read_plain_or_compressed_and_refused_when_short(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("to be or not to be\n" * 3, encoding="utf-8")
    text = open_text(path)
    assert text.alphabet == "\n benort"
    assert "".join(text.alphabet[code] for code in text.codes) == text.characters
    with pytest.raises(InvalidInput, match="at least 1,000 for this protocol"):
        open_text(path, needs=1000)
    binary = tmp_path / "b.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceUnreadable, match="is not text in UTF-8"):
        open_text(binary)


def test_there_is_a_text_without_any_download():
    text = open_text(None, needs=100_000)
    assert "language reference" in text.origin


def test_letters_are_split_without_overlap_and_evenly(real_data):
    letters = open_letters(real_data / "notmnist" / "notMNIST_real8k.tar.gz", needs=700)
    train, test = letters.split(0.2, train=1000)
    assert len(train) == 1000
    assert np.bincount(train.labels).tolist() == [100] * 10
    digests = letters.store.digests
    held = {digests[row].tobytes() for row in test.rows}
    assert not held & {digests[row].tobytes() for row in train.rows}


def test_a_curve_is_means_over_equal_stretches():
    values = [float(v) for v in range(100)]
    curve = thinned(values, points=10)
    assert [x for x, _ in curve] == [float(10 * k) for k in range(1, 11)]
    assert [y for _, y in curve] == [10 * k + 4.5 for k in range(10)]


def test_paths_of_the_users_machine_stay_off_the_card(shapes):
    assert str(Path(shapes).parent) not in open_letters(shapes).origin
