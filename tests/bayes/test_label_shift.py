import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes import calibrate, label_shift
from bayesight.errors import InvalidInput

UNIFORM = torch.full((4,), 0.25, dtype=torch.float64)
CENTRES = 1.6 * torch.randn(4, 3, generator=torch.Generator().manual_seed(11))


def draw(prior, rows, seed):
    """Images, labels and exact log posteriors under a uniform prior."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.multinomial(prior, rows, replacement=True, generator=generator)
    x = CENTRES[labels] + torch.randn(rows, 3, generator=generator)
    return torch.log_softmax(-0.5 * torch.cdist(x, CENTRES).double().square(), 1), labels


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(0.01, 1), min_size=4, max_size=4), st.lists(st.floats(0.01, 1), min_size=4, max_size=4)
)
def test_reweighting_there_and_back_is_the_identity_and_agrees_with_bayes(a, b):
    old, new = (torch.tensor(p, dtype=torch.float64) / sum(p) for p in (a, b))
    log_p, _ = draw(UNIFORM, 20, 1)
    there = label_shift.reweight(log_p, old, new)
    torch.testing.assert_close(label_shift.reweight(there, new, old), log_p)
    slow = log_p.exp() / old * new
    torch.testing.assert_close(there.exp(), slow / slow.sum(1, keepdim=True))


@pytest.mark.filterwarnings("ignore")
def test_em_agrees_with_quapy():
    emq = pytest.importorskip("quapy.method.aggregative").EMQ
    log_p, _ = draw(torch.tensor([0.6, 0.3, 0.02, 0.08]), 3000, 2)
    expected, _ = emq.EM(UNIFORM.numpy(), log_p.exp().numpy(), epsilon=1e-10)
    np.testing.assert_allclose(label_shift.em_prior(log_p, UNIFORM).numpy(), expected, atol=1e-5)


def test_em_is_where_the_gradient_of_the_likelihood_vanishes_for_another_old_prior():
    old = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    log_p, _ = draw(torch.tensor([0.1, 0.2, 0.3, 0.4]), 500, 3)
    log_p = label_shift.reweight(log_p, UNIFORM, old)
    found = label_shift.em_prior(log_p, old)
    ratio = log_p.exp() / old
    gradient = (ratio / (ratio @ found)[:, None]).mean(0)
    torch.testing.assert_close(gradient, torch.ones(4, dtype=torch.float64), atol=1e-4, rtol=0)


def test_weights_count_images():
    log_p, _ = draw(torch.tensor([0.5, 0.2, 0.2, 0.1]), 200, 4)
    twice = label_shift.em_prior(torch.cat([log_p, log_p[:80]]), UNIFORM)
    weights = torch.ones(2, 200)
    weights[0, :80] = 2
    both = label_shift.em_prior(log_p, UNIFORM, weights=weights)
    torch.testing.assert_close(both[0], twice, atol=1e-6, rtol=0)
    torch.testing.assert_close(both[1], label_shift.em_prior(log_p, UNIFORM), atol=1e-6, rtol=0)


def test_the_inferred_prior_is_nearer_the_truth_than_maximum_likelihood_for_few_images():
    plain, inferred, validation = [], [], draw(UNIFORM, 600, 41)
    for seed in range(40):
        truth = torch.from_numpy(np.random.default_rng(seed).dirichlet([3.0] * 4))
        log_p, _ = draw(truth, 25, seed)
        estimate = label_shift.infer_prior(log_p, *validation, UNIFORM, resamples=4, seed=seed)
        plain.append(float((label_shift.em_prior(log_p, UNIFORM) - truth).abs().sum()))
        inferred.append(float((estimate.prior - truth).abs().sum()))
    assert np.mean(inferred) < np.mean(plain) - 0.02


def test_miscalibrated_posteriors_are_calibrated_before_em():
    validation, labels = draw(UNIFORM, 3000, 6)
    distort = torch.tensor([2.5, -1.5, 0.0, -1.0], dtype=torch.float64)
    truth = torch.tensor([0.7, 0.1, 0.15, 0.05], dtype=torch.float64)
    log_p, _ = draw(truth, 3000, 7)

    def broken(scores):
        return torch.log_softmax(3 * (scores + distort), 1)

    estimate = label_shift.infer_prior(broken(log_p), broken(validation), labels, UNIFORM, resamples=20)
    uncalibrated = label_shift.em_prior(broken(log_p), UNIFORM)
    assert float((estimate.prior - truth).abs().sum()) < 0.06
    assert float((uncalibrated - truth).abs().sum()) > 0.1
    assert float((estimate.second_opinion - truth).abs().sum()) < 0.1
    assert bool(((estimate.low <= estimate.prior) & (estimate.prior <= estimate.high)).all())
    assert estimate.images == 3000
    assert estimate.unknown is None


def fixed_pull(log_p, old, images=4):
    """The most probable prior where as many images more are of the shares ``old``."""
    shares = old
    for _ in range(2000):
        counts = (log_p + shares.log() - old.log()).softmax(1).sum(0) + images * old
        shares = counts / counts.sum()
    return shares


TRUE_SHARES = {
    "as in training": [0.25, 0.25, 0.25, 0.25],
    "skewed": [0.7, 0.2, 0.08, 0.02],
    "one missing": [0.4, 0.0, 0.3, 0.3],
    "one only": [0.0, 0.0, 1.0, 0.0],
}


@pytest.mark.parametrize("shares", TRUE_SHARES.values(), ids=TRUE_SHARES)
def test_the_pull_to_the_training_shares_follows_from_the_images(shares):
    truth, validation = torch.tensor(shares, dtype=torch.float64), draw(UNIFORM, 600, 41)
    found, covered, widths = [], [], []
    for seed in range(25):
        log_p, _ = draw(truth, 40, 200 + seed)
        new = label_shift.infer_prior(log_p, *validation, UNIFORM, level=0.95, resamples=8, seed=seed)
        answers = (new.prior, label_shift.em_prior(log_p, UNIFORM), fixed_pull(log_p, UNIFORM))
        found.append([float((prior - truth).abs().sum()) / 2 for prior in answers])
        covered.append(((new.low <= truth) & (truth <= new.high)).double().mean())
        widths.append((new.high - new.low).mean())
    found = np.array(found)
    better = found[:, 1 + int(np.argmin(found[:, 1:].mean(0)))]
    error = (found[:, 0] - better).std() / np.sqrt(len(found))
    assert found[:, 0].mean() <= 1.1 * better.mean() + 2 * error
    assert np.mean(covered) >= 0.89
    # At least what knowing every class would leave open on the average, and far from saying nothing.
    known = float((truth * (1 - truth) / 40).sqrt().mean())
    assert 0.2 * known <= np.mean(widths) <= 0.42


def unfamiliar(truth, share, rows, seed):
    """Images, labels (-1 for unknown ones) and their novelty, which differs from class to class."""
    log_p, labels = draw(truth, rows, seed)
    generator = torch.Generator().manual_seed(900 + seed)
    novelty = torch.randn(rows, generator=generator) * (1 + labels / 4) + labels
    strange = torch.rand(rows, generator=generator) < share
    other, like = draw(torch.tensor([0.1, 0.1, 0.2, 0.6]), rows, seed + 7000)
    far = like + (1 + like / 4) * (1.5 + 2 * torch.rand(rows, generator=generator))
    novelty = torch.where(strange, far, novelty)
    return torch.where(strange[:, None], other, log_p), torch.where(strange, -1, labels), novelty


def test_the_order_of_images_does_not_matter():
    log_v, labels, score = unfamiliar(UNIFORM, 0.0, 300, 1)
    log_p, _, novelty = unfamiliar(UNIFORM, 0.1, 60, 2)
    turned = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    there, back = (
        label_shift.infer_prior(p, log_v, labels, UNIFORM, novelty=(score, new), resamples=4)
        for p, new in ((log_p, novelty), (log_p[turned], novelty[turned]))
    )
    torch.testing.assert_close(back.prior, there.prior, atol=1e-12, rtol=0)
    torch.testing.assert_close(back.high, there.high, atol=1e-12, rtol=0)
    assert back.unknown == there.unknown


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_unknown_images_are_a_share_of_their_own(share):
    truth = torch.tensor([0.6, 0.25, 0.1, 0.05], dtype=torch.float64)
    log_v, labels, score = unfamiliar(UNIFORM, 0.0, 800, 1)
    covered, widths, alone, held, found = [], [], [], [], []
    for seed in range(12):
        log_p, _, novelty = unfamiliar(truth, share, 300, 50 + seed)
        options = {"level": 0.95, "resamples": 8, "seed": seed}
        new = label_shift.infer_prior(log_p, log_v, labels, UNIFORM, novelty=(score, novelty), **options)
        old = label_shift.infer_prior(log_p, log_v, labels, UNIFORM, **options)
        covered.append(((new.low <= truth) & (truth <= new.high)).double().mean())
        widths.append(float((new.high - new.low).mean()))
        alone.append(((old.low <= truth) & (truth <= old.high)).double().mean())
        held.append(new.unknown.low <= share <= new.unknown.high)
        found.append(new.unknown.found)
        assert new.unknown.high - new.unknown.low < 0.3
    assert np.mean(covered) >= 0.88
    assert 0.02 <= np.mean(widths) <= 0.2
    assert np.mean(held) >= 0.75
    if share:
        assert np.mean(found) == 1
        assert np.mean(alone) < 0.75
    else:
        assert np.mean(found) <= 0.1


@pytest.mark.parametrize(("images", "widest"), [(1, 0.8), (5, 0.5)])
def test_very_few_images_leave_much_open(images, widest):
    validation, truth = draw(UNIFORM, 600, 41), torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    covered, widths = [], []
    for seed in range(30):
        log_p, _ = draw(truth, images, seed)
        found = label_shift.infer_prior(log_p, *validation, UNIFORM, level=0.95, resamples=8, seed=seed)
        assert float(found.prior.sum()) == pytest.approx(1)
        covered.append(((found.low <= truth) & (truth <= found.high)).double().mean())
        widths.append(float((found.high - found.low).max()))
    assert np.mean(covered) >= 0.85
    assert np.mean(widths) >= widest


def test_calibration_recovers_what_was_done_to_the_scores():
    scores, labels = draw(UNIFORM, 20_000, 8)
    bias = torch.tensor([0.5, -0.5, 0.25, -0.25], dtype=torch.float64)
    found = calibrate.fit_bcts(4 * (scores - bias), labels)
    assert found.temperature == pytest.approx(4.0, rel=0.05)
    torch.testing.assert_close(found.bias, bias, atol=0.1, rtol=0)
    once = calibrate.fit_bcts(scores, labels, weights=torch.ones(20_000) * 2)
    torch.testing.assert_close(
        once.bias, calibrate.fit_bcts(scores, labels, ridge=5.0).bias, atol=1e-6, rtol=0
    )


def test_another_shift_than_of_the_prior_is_noticed():
    truth = torch.tensor([0.7, 0.1, 0.15, 0.05], dtype=torch.float64)
    alarms = 0
    for seed in range(60):
        noise = torch.randn(2500, generator=torch.Generator().manual_seed(seed))
        labels, new = draw(UNIFORM, 2000, 300 + seed)[1], draw(truth, 500, 100 + seed)[1]
        score, fresh = noise[:2000] + labels, noise[2000:] + new  # the score depends on the class
        alarms += not label_shift.check_prior_shift(score, labels, fresh, truth, alarm=0.05).prior_shift
    assert alarms <= 8
    moved = label_shift.check_prior_shift(score, labels, fresh + 0.6, truth)
    assert not moved.prior_shift
    assert moved.p_value < 0.001


def test_images_between_the_classes_are_noticed_and_other_base_rates_are_not():
    truth = torch.tensor([0.7, 0.1, 0.15, 0.05], dtype=torch.float64)
    clean, mixed = [], []
    for seed in range(60):
        validation = draw(UNIFORM, 1200, 9000 + seed)
        log_p, _ = draw(truth, 400, 500 + seed)
        clean.append(label_shift.check_ambiguity(*validation, log_p, UNIFORM, truth))
        between = torch.log_softmax(0.1 * torch.randn(100, 4, dtype=torch.float64), 1)
        mixed.append(label_shift.check_ambiguity(*validation, torch.cat([log_p, between]), UNIFORM, truth))
    assert np.mean(np.array(clean) < 0.05) <= 0.12
    assert 0.35 < np.mean(clean) < 0.65
    assert max(mixed) < 0.01


@pytest.mark.parametrize(
    "call",
    [
        lambda: label_shift.reweight(torch.zeros(2, 4), UNIFORM, torch.ones(4)),
        lambda: label_shift.reweight(torch.zeros(2, 4), torch.tensor([0.0, 0.5, 0.5, 0.0]), UNIFORM),
        lambda: label_shift.reweight(torch.zeros(2, 4), UNIFORM, torch.full((3,), 1 / 3)),
        lambda: label_shift.em_prior(torch.zeros(0, 4), UNIFORM),
        lambda: label_shift.em_prior(torch.zeros(3, 4), torch.tensor([0.5, 0.5, 0.0, 0.0])),
        lambda: label_shift.bbse(torch.zeros(3, 4), torch.tensor([0, 1, 2]), torch.zeros(3, 4)),
        lambda: label_shift.infer_prior(draw(UNIFORM, 9, 1)[0], *draw(UNIFORM, 40, 2), UNIFORM, level=1.0),
        lambda: label_shift.infer_prior(torch.zeros(0, 4), *draw(UNIFORM, 40, 2), UNIFORM),
        lambda: calibrate.fit_bcts(torch.zeros(0, 4), torch.zeros(0).long()),
    ],
)
def test_refusals(call):
    with pytest.raises(InvalidInput):
        call()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("values", [1 << 18, 70])
def test_calibration_is_where_newtons_method_on_the_whole_design_stops(bias, values, monkeypatch):
    """The design, N x K x P, is written out here; the fit forms its products alone, in blocks of rows."""
    monkeypatch.setattr(calibrate, "_VALUES", values)
    scores, labels = draw(UNIFORM, 300, 5)
    weights = torch.rand(300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = calibrate.fit_bcts(2 * scores, labels, bias=bias, weights=weights, ridge=3.0)
    z = (2 * scores).double().log_softmax(1)
    indicators = torch.eye(4, dtype=torch.float64)[:, :-1].expand(300, 4, 3)
    design = torch.cat([z[..., None], indicators], 2) if bias else z[..., None]
    centre = torch.zeros(design.shape[2], dtype=torch.float64).index_fill_(0, torch.tensor([0]), 1.0)
    theta = centre.clone()
    for _ in range(30):
        p = (design @ theta).softmax(1)
        mean = (p[..., None] * design).sum(1)
        gradient = ((mean - design[torch.arange(300), labels]) * weights[:, None]).sum(0)
        gradient += 3.0 * (theta - centre)
        about = design - mean[:, None]
        hessian = torch.einsum("n,nk,nkp,nkq->pq", weights, p, about, about)
        theta = theta - torch.linalg.solve(hessian + 3.0 * torch.eye(len(theta)).double(), gradient)
    expected = torch.cat([theta[1:], torch.zeros(1).double()]) if bias else torch.zeros(4).double()
    assert found.temperature == pytest.approx(float(1 / theta[0]), rel=1e-9)
    torch.testing.assert_close(found.bias, expected - expected.mean(), atol=1e-9, rtol=0)
