"""The graph of plain operations: the same terms as the classifier's own, whatever network and precision."""

import pytest
import torch
from torch import nn

from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classes, fit_classifier
from bayesight.belief.exported import OUTPUTS, ExportedClassifier
from bayesight.belief.features import features_of, reader_of
from bayesight.models import build

SHAPE = (1, 28, 28)
PRIOR = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)


def learned(name: str, precision: str = "32"):
    """A classifier of noise in three brightnesses, and new images of the same kinds."""
    network = build(name, SHAPE, 3, seed=3).eval()
    draw = torch.Generator().manual_seed(2)
    labels = torch.arange(150) % 3
    images = torch.randint(0, 90, (150, *SHAPE), generator=draw) + 60 * labels[:, None, None, None]
    images = images.to(torch.uint8)
    features = features_of(reader_of(network, precision), [(images, labels)])
    digests = torch.randint(0, 256, (150, 16), generator=draw, dtype=torch.uint8)
    train, held = (Rows(features[rows], labels[rows], digests[rows]) for rows in (slice(90), slice(90, 150)))
    classes = Classes(("dark", "grey", "light"), "L", SHAPE[1:])
    return fit_classifier(network, classes, train, held, precision=precision), images[90:]


def terms(classifier, images, prior):
    features = classifier.features([(images, images)])
    log_likelihood = classifier.log_likelihood(features)
    joint = log_likelihood + prior.log()
    return log_likelihood, joint.logsumexp(1), joint.softmax(1), classifier.novelty(features, log_likelihood)


@pytest.mark.parametrize("name", ["linear", "mlp", "resnet"])
def test_its_terms_are_the_classifiers(name):
    classifier, images = learned(name)
    with torch.no_grad():
        found = ExportedClassifier(classifier)(images, PRIOR)
    for what, mine, own in zip(OUTPUTS, found, terms(classifier, images, PRIOR), strict=True):
        assert mine.dtype == torch.float64, what
        torch.testing.assert_close(mine, own, rtol=1e-4, atol=2e-3, msg=what)
    assert torch.allclose(found[2], terms(classifier, images, PRIOR)[2], atol=1e-4)
    assert torch.allclose(found[2].sum(1), torch.ones(60).double())


def test_a_network_read_in_bf16_is_rounded_where_that_was():
    classifier, images = learned("resnet", "bf16")
    exported = ExportedClassifier(classifier)
    with torch.no_grad():
        found = exported(images, PRIOR)[2]
    assert all(p.dtype == torch.float32 for p in exported.parameters())
    difference = (found - terms(classifier, images, PRIOR)[2]).abs().max()
    unrounded, _ = learned("resnet", "bf16")
    plain = ExportedClassifier(unrounded)
    plain.network = unrounded.network
    with torch.no_grad():
        without = (plain(images, PRIOR)[2] - terms(classifier, images, PRIOR)[2]).abs().max()
    assert difference < 5e-3
    assert difference < without


def test_a_class_without_images_keeps_its_plain_density():
    classifier, images = learned("mlp")
    wider = classifier.with_classes(["new"])
    prior = torch.tensor([0.5, 0.2, 0.2, 0.1], dtype=torch.float64)
    with torch.no_grad():
        found = ExportedClassifier(wider)(images, prior)
    own = terms(wider, images, prior)
    assert bool(wider.predictive.log_prior.isneginf()[-1])
    torch.testing.assert_close(found[0], own[0], rtol=1e-4, atol=2e-3)
    torch.testing.assert_close(found[2], own[2], rtol=0, atol=1e-4)


def test_base_rates_of_zero_and_one_are_heard():
    classifier, images = learned("mlp")
    with torch.no_grad():
        posterior = ExportedClassifier(classifier)(images, torch.tensor([0.0, 1.0, 0.0]).double())[2]
    assert posterior.tolist() == [[0, 1, 0]] * len(images)


def test_the_classifiers_network_stays_as_it_is():
    classifier, _ = learned("resnet", "bf16")
    before = {name: part.clone() for name, part in classifier.network.state_dict().items()}
    ExportedClassifier(classifier)
    after = classifier.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(layer._forward_hooks for layer in classifier.network.modules())
    assert isinstance(classifier.network, nn.Module)
