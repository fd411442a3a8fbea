"""The demonstration tells what it measured, with any seed."""

import re

import pytest
import torch

from bayesight.bayes import theorem
from bayesight.workflows.demo import demo, doubtful_pair, hardest


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_sentence_holds(tmp_path, seed):
    told = demo(tmp_path / "run", seed=seed, threads=1)
    words = {step.title: step.words.replace("\n", " ") for step in told.steps}

    def numbers(title, pattern):
        found = re.search(pattern, next(words[key] for key in words if key.startswith(title)))
        assert found, (title, words)
        return [word if word.isalpha() else float(word.replace(",", "")) for word in found.groups()]

    (held_out,) = numbers("Train", r"it is right in ([\d.]+) %")
    right, flagged, false, auroc = numbers(
        "Measure", r"letters ([\d.]+) % are.* digits ([\d.]+) % are.* letters ([\d.]+) % \(AUROC ([\d.]+)\)"
    )
    assert min(held_out, right) > 95
    assert flagged > 5 * false
    assert auroc > 0.9

    drawn, before, p_before, one_in, after, p_after, left = numbers(
        "Ask again",
        r"drawn as (\w), is read as (\w) \(probability ([\d.]+) %\).* one letter in ([\d,]+) is \2, "
        r".* read as (\w) \(([\d.]+) %\), and \2 has ([\d.]+) %",
    )
    assert drawn in "ABCDEFGH"
    assert before != after
    assert one_in >= 100
    assert left < p_before < 90
    assert left < p_after

    first, both, dependent = numbers(
        "Read the same", r"is ([\d.]+) %, after the second ([\d.]+) % \(([\d.]+) % if"
    )
    assert 50 < first < 98
    assert first < dependent < both

    common, rare, gap = numbers("Infer", r"where (\w) is common \(60 %\) and (\w) rare, .* most ([\d.]+) %")
    assert common != rare
    assert gap < 5
    with_them, without = numbers("Infer", r"With them ([\d.]+) % of the letters .* instead of ([\d.]+) %")
    assert with_them > without

    new, old, was = numbers(
        "Teach", r"new letters ([\d.]+) % are right now, of the old ones ([\d.]+) % \(before: ([\d.]+) %"
    )
    assert new > 75
    assert was - old < 2


def test_the_pair_of_doubtful_images_grows_surer_together():
    generator = torch.Generator().manual_seed(5)
    likelihood = torch.randn(400, 6, generator=generator, dtype=torch.float64) * 2
    labels = torch.randint(6, (400,), generator=generator)
    probability = likelihood.softmax(dim=1).gather(1, labels[:, None])[:, 0]
    first, second = doubtful_pair(probability, labels).tolist()
    assert labels[first] == labels[second]
    assert 0.5 < probability[first] <= probability[second]
    steps = theorem.sequence(theorem.Belief.uniform("abcdef"), list(likelihood[[first, second]]))
    assert steps[-1].posterior.log_p[labels[first]].exp() > probability[second]


@pytest.mark.parametrize("top", [0.4, 0.9, 0.99, 0.9999])
def test_the_hardest_image_gets_a_base_rate_that_changes_its_answer(top):
    rest = torch.tensor([1 - top]) * torch.tensor([0.7, 0.2, 0.1])
    sure = torch.tensor([1 - 3e-6, 1e-6, 1e-6, 1e-6])
    log_likelihood = torch.stack([sure, torch.cat([rest[:1], torch.tensor([top]), rest[1:]])]).log()
    image, answer, rate = hardest(log_likelihood)
    assert (image, answer) == (1, 1 if top > 0.5 else 0 if rest[0] > top else 1)
    prior = torch.full((4,), (1 - rate) / 3)
    prior[answer] = rate
    assert int((log_likelihood[image] + prior.log()).argmax()) != answer
    assert rate == pytest.approx(0.01) if top < 0.95 else rate < 0.01
