"""Occlusion: the parts named are those that carry the answer."""

import numpy as np
import pytest
import torch

from bayesight.belief.occlusion import occlusion, smoothed
from bayesight.data import open_store
from bayesight.errors import InvalidInput
from bayesight.run import Run


@pytest.fixture
def classifier(shapes_run):
    return Run.open(shapes_run).classifier()


@pytest.fixture
def images(more_shapes):
    """uint8 (90, 1, 28, 28) and their classes."""
    store = open_store(more_shapes)
    return torch.from_numpy(np.array(store.images))[:, None], torch.from_numpy(np.array(store.labels)).long()


def test_a_square_is_worth_what_the_odds_lose_without_it(classifier, images):
    image = images[0][31]
    prior = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    found = occlusion(classifier, image, 1, prior, side=14)
    corner = image.clone()
    corner[:, :7, :7] = smoothed(image, 14)[:, :7, :7]  # the pixels that one square alone covers
    hidden = image.clone()
    hidden[:, :14, :14] = smoothed(image, 14)[:, :14, :14]

    def odds(pixels):
        likelihood = classifier.log_likelihood(classifier.features([(pixels[None],) * 2]))
        p = (likelihood + prior.log()).softmax(dim=1)[0, 1]
        return (p / (1 - p)).log()

    assert found.support[:7, :7].numpy() == pytest.approx(float(odds(image) - odds(hidden)), abs=1e-4)
    novelty = [float(classifier.novelty(classifier.features([(x[None],) * 2]))) for x in (image, hidden)]
    assert found.strangeness[:7, :7].numpy() == pytest.approx(novelty[0] - novelty[1], abs=1e-4)


def test_removing_the_parts_named_first_lowers_the_posterior_faster_than_random_parts(classifier, images):
    generator = torch.Generator().manual_seed(0)
    lost = {"named": [], "random": []}
    for image, label in zip(images[0][::4], images[1][::4], strict=True):
        support = occlusion(classifier, image, int(label)).support
        fill = smoothed(image, 4)
        cells = torch.nn.functional.avg_pool2d(support[None], 4)[0].flatten()
        orders = {"named": cells.argsort(descending=True), "random": torch.randperm(49, generator=generator)}
        for name, order in orders.items():
            gone = torch.zeros(49, dtype=torch.bool)
            gone[order[:10]] = True
            mask = gone.view(7, 7).repeat_interleave(4, 0).repeat_interleave(4, 1)
            pixels = torch.where(mask, fill, image)[None]
            log_p = (
                classifier.log_likelihood(classifier.features([(pixels, pixels)])) + classifier.prior.log()
            )
            lost[name].append(1 - float(log_p.softmax(dim=1)[0, label]))
    assert np.mean(lost["named"]) > 2 * np.mean(lost["random"])


def test_what_was_painted_on_is_unfamiliar(classifier, images):
    image = images[0][0].clone()
    noise = torch.Generator().manual_seed(1)
    image[:, 2:10, 2:10] = 255 * torch.randint(2, (1, 8, 8), generator=noise).to(torch.uint8)
    strange = occlusion(classifier, image, 0).strangeness
    assert strange[2:10, 2:10].mean() > 0
    assert strange[2:10, 2:10].mean() > 2 * strange[14:, 14:].mean()


def test_smoothing_is_the_mean_around(images):
    image = images[0][3]
    around = image[0, 10 - 4 : 10 + 5, 12 - 4 : 12 + 5].double().mean()
    assert float(smoothed(image, 2)[0, 10, 12]) == pytest.approx(float(around), abs=0.5)


def test_refusals(classifier, images):
    with pytest.raises(InvalidInput, match=r"got \(1, 14, 14\); expected \(1, 28, 28\), the run's frame"):
        occlusion(classifier, images[0][0, :, :14, :14], 0)
    with pytest.raises(InvalidInput, match="a class from 0 to 2"):
        occlusion(classifier, images[0][0], 3)
