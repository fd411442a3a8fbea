"""The trials of an encoder: sentences whose words say nothing, parts that share none, few labels of many."""

from pathlib import Path

import numpy as np
import pytest

from bayesight.errors import InvalidInput, MissingExtra, SourceNotFound
from bayesight.milestones import find
from bayesight.milestones.bench import reading
from bayesight.milestones.bench.claim import key
from bayesight.milestones.bench.running import budgeted
from bayesight.milestones.bench.sources import open_sentences
from bayesight.milestones.bench.workbench import Bench, Sources
from bayesight.seeding import numpy_generator
from bayesight.training.hardware import choose_hardware

DATA = key("sentences", labels=200, few=50, judged=400)


@pytest.fixture(scope="module")
def bench():
    return Bench(Sources(find("bert"), smoke=True), 0, choose_hardware(threads=1))


def test_two_different_words_within_reach_are_exchanged_and_no_other():
    generator = numpy_generator(0, "test")
    for line in open_sentences(None).lines[:300]:
        before, after = line.split(), reading.exchanged(line, generator).split()
        assert sorted(before) == sorted(after)
        changed = [place for place, pair in enumerate(zip(before, after, strict=True)) if len(set(pair)) > 1]
        assert len(changed) == 2
        assert changed[1] - changed[0] <= reading.REACH
    assert reading.exchanged("no no no", generator) == "no no no"


def test_no_sentence_has_two_parts_and_none_that_judges_is_pretrained_on(bench):
    lines = reading.TextTasks(bench, DATA)
    pool = {" ".join(sorted(line.split())) for line in lines.pool}
    for name, question in lines.questions.items():
        bags = {
            part: {" ".join(sorted(text.split())) for text in texts} for part, texts in question.texts.items()
        }
        assert bags["judged"].isdisjoint(bags["train"] | bags["chosen"]), name
        if name == "order":
            # sentences of the same words, were there two, would be left to chance
            assert len(bags["judged"] & pool) <= 2
            assert bags["train"] <= pool


def test_words_alone_cannot_tell_the_order(bench):
    arm = budgeted(find("bert")).arm("naive bayes")
    recipe = arm.changed({"data.judged": 1000, "data.labels": 1000}).recipes
    found = reading.naive_bayes(recipe, bench).values
    assert found["order"] == pytest.approx(0.5, abs=4 * (0.25 / 1000) ** 0.5)
    assert found["reviews"] > 0.6


def test_few_labels_are_the_first_of_many(bench):
    questions = reading.TextTasks(bench, DATA).questions
    few, many = questions["reviews_few"], questions["reviews"]
    assert few.texts["train"] == many.texts["train"][:50]
    assert few.texts["judged"] == many.texts["judged"]
    assert np.array_equal(few.labels["train"], many.labels["train"][:50])


def test_a_folder_without_the_texts_and_too_few_of_them_are_refused(tmp_path):
    with pytest.raises(SourceNotFound, match="rt-polarity"):
        open_sentences(tmp_path)
    with pytest.raises(InvalidInput, match=r"at least 1,000,000 for this protocol"):
        open_sentences(None, needs=1_000_000)


def test_published_weights_that_are_missing_are_named(bench, monkeypatch):
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    recipes = budgeted(find("bert")).arm("minilm").recipes
    with pytest.raises(MissingExtra, match=r"published weights of MiniLM needs .*bayesight\[test\]"):
        reading.published(recipes, bench)


def test_published_weights_tell_reviews_of_the_reference(bench):
    pytest.importorskip("all_minilm_l6_v2")
    arm = budgeted(find("bert")).arm("minilm")
    found = reading.published(arm.changed({"data.judged": 60, "data.labels": 100}).recipes, bench).values
    assert set(found) == {"reviews", "reviews_few"}
    assert found["reviews"] > 0.5
    assert Path(bench.sources.sentences.origin).name
