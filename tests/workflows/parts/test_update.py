import json
import shutil
import tarfile

import pytest
import torch

from bayesight.bayes.head.gaussian import log_evidence
from bayesight.data.parts import PartsManifest
from bayesight.errors import InvalidInput, SourceUnreadable
from bayesight.run import Run
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.parts import update as by_parts
from bayesight.workflows.parts.update import update_by_parts
from bayesight.workflows.update import update


def same_statistics(one, other, tolerance=1e-9):
    """Whether two beliefs hold the same images under the same labels, whatever rows they keep of them."""
    assert one.head.classes == other.head.classes
    torch.testing.assert_close(one.head.counts, other.head.counts, rtol=0, atol=tolerance)
    torch.testing.assert_close(one.head.sums, other.head.sums, rtol=1e-9, atol=tolerance)
    torch.testing.assert_close(one.head.second_moments, other.head.second_moments, rtol=1e-9, atol=1e-7)


def test_parts_give_the_belief_of_one_machine(run_copy, three, manifest_of, tmp_path):
    alone = shutil.copytree(run_copy, tmp_path / "alone")
    before = Run.open(run_copy).classifier().head
    figures = [update(alone, archive) for archive in three]
    made = update_by_parts(run_copy, manifest_of(*three))
    mine, theirs = Run.open(run_copy).classifier(), Run.open(alone).classifier()
    same_statistics(mine, theirs)
    # c repeats the 6 bars of a, and calls its 5 rings discs.
    assert (made.repeated, made.superseded, made.absorbed) == (6, 5, 20)
    assert sum(f.absorbed - f.corrected for f in figures) == made.absorbed
    assert made.new_classes == ("star",)
    assert made.log_evidence == pytest.approx(log_evidence(theirs.head) - log_evidence(before), abs=1e-6)
    assert not list(by_parts.parts_folder(Run.open(run_copy)).glob("*.stats"))
    assert mine.parts.counts.sum() + len(mine.absorbed.labels) == mine.head.counts.sum()
    assert made.digest == mine.digest()
    hashes = [part.hash for part in PartsManifest.open(tmp_path / "PARTS.json").parts]
    assert all(len(found) == 32 for found in hashes)


def test_the_same_parts_again_change_nothing(run_copy, three, manifest_of):
    manifest = manifest_of(*three)
    first = update_by_parts(run_copy, manifest)
    again = update_by_parts(run_copy, manifest)
    assert (again.held, again.absorbed, again.digest) == (3, 0, first.digest)
    # The same bytes under another name are other parts, whose images are all known.
    copies = [shutil.copy(path, path.with_name(f"copy-{path.name}")) for path in three[:2]]
    copied = update_by_parts(run_copy, manifest_of(*copies, name="copies.json"))
    assert (copied.held, copied.absorbed, copied.repeated, sum(copied.was.values())) == (0, 5, 15, 5)
    assert copied.was == {"disc": 5}  # c's word for the rings of a; a's copy came last


def test_labels_replace_those_of_the_belief_and_of_earlier_parts(
    run_copy, three, manifest_of, shapes, make_archive, tmp_path
):
    alone = shutil.copytree(run_copy, tmp_path / "alone")
    trained = make_archive(
        "trained.tar.gz", {"disc": 80}, {"disc": "bar"}, seed=0
    )  # bars of the training set
    learned = [update(alone, archive) for archive in (*three, trained)][-1]
    update_by_parts(run_copy, manifest_of(*three[:2]))
    made = update_by_parts(run_copy, manifest_of(three[2], trained, name="more.json"))
    assert made.was == {**learned.was, "ring": 5}
    assert learned.was["bar"] > 40
    same_statistics(Run.open(run_copy).classifier(), Run.open(alone).classifier(), 1e-6)


def test_images_of_parts_can_be_corrected_and_taken_out(run_copy, make_archive, manifest_of, tmp_path):
    part = make_archive("part.tar.gz", {"bar": 300, "ring": 3}, seed=5)
    some = make_archive("some.tar.gz", {"disc": 300}, {"disc": "bar"}, seed=5)
    before = Run.open(run_copy).classifier()
    update_by_parts(run_copy, manifest_of(part))
    held = Run.open(run_copy).classifier()
    assert int(held.parts.counts.sum()) == 303 - 128 - 3  # 256 exemplars, shared by two classes
    figures = evaluate(run_copy, part)
    assert figures.learned == 303
    corrected = update(run_copy, some)
    assert (corrected.corrected, corrected.was) == (300, {"bar": 300})
    update(run_copy, some, remove=True)
    after = Run.open(run_copy).classifier()
    assert (after.head.counts - before.head.counts).tolist() == pytest.approx([0, 0, 3])
    update(run_copy, part)  # the 300 are new again, the others known
    update(run_copy, part, remove=True)
    same_statistics(Run.open(run_copy).classifier(), before, 1e-6)


def test_an_image_that_a_later_part_relabels_is_held_by_that_part(run_copy, make_archive, manifest_of):
    first = make_archive("first.tar.gz", {"bar": 400}, seed=5)
    other = make_archive("other.tar.gz", {"disc": 400}, {"disc": "bar"}, seed=5)
    update_by_parts(run_copy, manifest_of(first))
    assert update_by_parts(run_copy, manifest_of(other, name="b.json")).was == {"bar": 400}
    held = Run.open(run_copy).classifier()
    assert evaluate(run_copy, other).learned == 400
    copied = shutil.copy(other, other.with_name("copy.tar.gz"))
    again = update_by_parts(run_copy, manifest_of(copied, name="c.json"))
    assert (again.absorbed, again.repeated) == (0, 400)
    same_statistics(Run.open(run_copy).classifier(), held, 1e-6)


def test_past_images_count_for_less_where_asked(run_copy, three, manifest_of, tmp_path):
    alone = shutil.copytree(run_copy, tmp_path / "alone")
    update(alone, three[0])
    update(alone, three[1], trust_past=0.5)
    update_by_parts(run_copy, manifest_of(three[0]))
    update_by_parts(run_copy, manifest_of(three[1], name="b.json"), trust_past=0.5)
    same_statistics(Run.open(run_copy).classifier(), Run.open(alone).classifier())
    before = Run.open(run_copy).classifier()
    update_by_parts(run_copy, manifest_of(three[1], name="b.json"), trust_past=0.5)  # nothing new came
    same_statistics(Run.open(run_copy).classifier(), before)
    with pytest.raises(InvalidInput, match="trust_past"):
        update_by_parts(run_copy, manifest_of(three[1]), trust_past=2)


def test_a_part_that_comes_later_does_not_discount_the_past_again(run_copy, three, manifest_of, tmp_path):
    whole = shutil.copytree(run_copy, tmp_path / "whole")
    update_by_parts(whole, manifest_of(*three[:2]), trust_past=0.5)
    manifest = manifest_of(*three[:2], name="b.json")
    hidden = three[1].rename(three[1].with_name("hidden"))
    update_by_parts(run_copy, manifest, trust_past=0.5)
    hidden.rename(three[1])
    with pytest.raises(InvalidInput, match=r"--trust-past 0.5: the past holds 1 of the 2 parts"):
        update_by_parts(run_copy, manifest, trust_past=0.5)
    update_by_parts(run_copy, manifest)
    same_statistics(Run.open(run_copy).classifier(), Run.open(whole).classifier())


def test_an_interrupted_job_goes_on(run_copy, three, manifest_of, monkeypatch, tmp_path):
    whole = update_by_parts(shutil.copytree(run_copy, tmp_path / "whole"), manifest_of(*three))
    before = Run.open(run_copy).classifier().digest()
    seen = []

    def killed(reader, task):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(task.part.name)
        return absorb(reader, task)

    absorb = by_parts.absorb_part
    monkeypatch.setattr(by_parts, "absorb_part", killed)
    with pytest.raises(KeyboardInterrupt):
        update_by_parts(run_copy, manifest_of(*three))
    assert Run.open(run_copy).classifier().digest() == before
    monkeypatch.setattr(by_parts, "absorb_part", absorb)
    made = update_by_parts(run_copy, manifest_of(*three))
    assert (made.job.resumed, made.job.done, made.digest) == (2, 1, whole.digest)


def test_a_part_that_is_gone_is_named_and_comes_later(run_copy, three, manifest_of, tmp_path):
    manifest = manifest_of(*three)
    hidden = three[1].rename(three[1].with_name("hidden"))
    made = update_by_parts(run_copy, manifest)
    assert list(made.job.failures) == [str(three[1])]
    assert "does not exist" in made.job.failures[str(three[1])]
    assert made.as_dict()["parts"]["missing"][0]["part"] == str(three[1])
    assert f"missing: {three[1]}: " in made.text()
    hidden.rename(three[1])
    late = update_by_parts(run_copy, manifest)
    assert (late.held, late.absorbed, late.job.failures) == (2, 9, {})
    json.dumps(late.as_dict())


def test_nothing_changes_where_every_part_fails(run_copy, three, manifest_of):
    manifest = manifest_of(three[0])
    three[0].write_bytes(three[0].read_bytes()[:100])
    before = Run.open(run_copy).classifier().digest()
    with pytest.raises(SourceUnreadable, match=r"none of the 1 parts could be read; .*a\.tar\.gz: "):
        update_by_parts(run_copy, manifest)
    assert Run.open(run_copy).classifier().digest() == before


def test_an_archive_that_changes_while_it_is_read_is_named(run_copy, three, manifest_of, monkeypatch):
    from bayesight.data import store

    real = store.build

    def build(source, *rest):
        made = real(source, *rest)
        with source.path.open("ab") as file:
            file.write(b"\0" * 512)
        return made

    manifest = manifest_of(three[0], three[1])
    monkeypatch.setattr(store, "build", lambda s, *r: (build if s.path == three[0] else real)(s, *r))
    made = update_by_parts(run_copy, manifest)
    assert list(made.job.failures) == [str(three[0])]
    assert "changed" in made.job.failures[str(three[0])]


def test_new_classes_that_differ_by_case_are_refused_across_parts(run_copy, make_archive, manifest_of):
    parts = [make_archive(f"{n}.tar.gz", {n: 3}, {n: "ring"}, seed=k) for k, n in enumerate(("Star", "star"))]
    with pytest.raises(InvalidInput, match="'star': differs from 'Star' by case"):
        update_by_parts(run_copy, manifest_of(*parts))


def test_a_shard_of_webdataset_is_read_as_it_is(run_copy, make_archive, manifest_of, tmp_path):
    import io

    source = make_archive("plain.tar.gz", {"bar": 4, "ring": 3}, seed=6)
    alone = shutil.copytree(run_copy, tmp_path / "alone")
    update(alone, source)
    shard = tmp_path / "shard.tar"
    with tarfile.open(source) as images, tarfile.open(shard, "w") as out:
        for number, member in enumerate(images.getmembers()):
            folder = member.name.split("/")[-2]
            # By the run's order bar, disc, ring: a number in .cls is a place in it.
            for name, content in (
                (f"{number:04}.png", images.extractfile(member).read()),
                (f"{number:04}.cls", str(["bar", "disc", "ring"].index(folder)).encode()),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
    update_by_parts(run_copy, manifest_of(shard))
    same_statistics(Run.open(run_copy).classifier(), Run.open(alone).classifier())
    with tarfile.open(source) as images, tarfile.open(shard, "w") as out:
        for number, member in enumerate(images.getmembers()):
            for name, content in (
                (f"{number:04}.png", images.extractfile(member).read()),
                (f"{number:04}.cls", str(number).encode()),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
    with pytest.raises(SourceUnreadable, match="the label 3; expected places in the run's order, 0 to 2"):
        update_by_parts(run_copy, manifest_of(shard, name="b.json"))
