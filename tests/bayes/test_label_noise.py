"""Wrong labels are found by the others and kept out of the statistics."""

import pytest
import torch

from bayesight.bayes import gaussian_head as gh
from bayesight.bayes import label_noise
from bayesight.bayes.gaussian_state import within
from bayesight.errors import InvalidInput

NAMES = ("a", "b", "c", "d")


def test_flipped_labels_are_found_and_kept_out_of_the_statistics(sample, start):
    x, y = sample(2000, seed=17, spread=1.2)
    draw = torch.Generator().manual_seed(4)
    wrong = torch.rand(2000, generator=draw) < 0.065
    given = torch.where(wrong, (y + torch.randint(1, 4, (2000,), generator=draw)) % 4, y)
    suspicion = label_noise.label_suspicion(x, given, NAMES)
    order = suspicion.argsort(descending=True)
    hits = wrong[order].double()
    precision = hits.cumsum(0) / torch.arange(1, 2001)
    assert float((precision * hits).sum() / hits.sum()) > 0.95
    assert float(hits[: int(wrong.sum())].mean()) > 0.9
    clean, _ = gh.absorb(start(), x, y)
    plain, _ = gh.absorb(start(), x, given)
    robust, _ = gh.absorb(start(), x, given, 1 - suspicion)

    def scatter(h):
        return float(within(h, 0.0)[0].trace() / h.counts.sum())

    assert scatter(robust) < scatter(clean) + 0.1 * (scatter(plain) - scatter(clean))
    with pytest.raises(InvalidInput, match="folds"):
        label_noise.out_of_fold(x, y, NAMES, folds=1)
