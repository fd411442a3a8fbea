"""One suite for every conjugate family: what a posterior must do whatever it is of."""

import inspect
import itertools
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes import conjugate
from bayesight.bayes.conjugate import FAMILIES, Family, beta, dirichlet, normal, regression, wishart
from bayesight.errors import InvalidInput, UnknownName

F64 = torch.float64


@dataclass(frozen=True)
class Case:
    """A family with a prior that is not its default, and a way to draw data it fits only after a while."""

    module: ModuleType
    prior: Any
    other_prior: Any

    def draw(self, n: int, seed: int) -> torch.Tensor:
        rng = torch.Generator().manual_seed(seed)
        name = self.module.__name__.rsplit(".", 1)[-1]
        if name == "beta":
            return (torch.rand(n, generator=rng, dtype=F64) < 0.3).to(F64)
        if name == "dirichlet":
            return torch.multinomial(torch.tensor([0.1, 0.6, 0.1, 0.2]), n, replacement=True, generator=rng)
        if name == "normal":
            return torch.randn(n, generator=rng, dtype=F64) * 2.5 + 7
        if name == "wishart":
            mix = torch.tensor([[1.0, 0.4, 0.0], [0.0, 2.0, 0.3], [0.0, 0.0, 0.5]], dtype=F64)
            return torch.randn(n, 3, generator=rng, dtype=F64) @ mix + torch.tensor(
                [5.0, -3.0, 1.0], dtype=F64
            )
        x = torch.randn(n, 2, generator=rng, dtype=F64) * 3 + 1
        noise = torch.randn(n, 1, generator=rng, dtype=F64) * 0.7
        return torch.cat([x, 2.0 + x @ torch.tensor([[1.5], [-0.5]], dtype=F64) + noise], 1)


PSI = torch.tensor([[2.0, 0.3, 0.1], [0.3, 1.0, 0.0], [0.1, 0.0, 0.7]], dtype=F64)
LAM = torch.tensor([[0.5, 0.1, 0.0], [0.1, 0.8, 0.2], [0.0, 0.2, 1.5]], dtype=F64)
CASES = {
    "beta": Case(beta, beta.prior(2.5, 0.7), beta.prior(2.5, 0.8)),
    "dirichlet": Case(dirichlet, dirichlet.prior([0.4, 1.0, 2.0, 0.5]), dirichlet.prior([1, 1, 1, 1])),
    "normal": Case(normal, normal.prior(-1.0, 2.5, 1.7, 3.0), normal.prior(-1.0, 2.5, 1.7, 3.1)),
    "wishart": Case(
        wishart,
        wishart.prior(torch.tensor([1.0, 0.0, -1.0]), 1.5, 4.2, PSI),
        wishart.prior(torch.tensor([1.0, 0.0, -1.0]), 1.5, 4.2, PSI * 2),
    ),
    "regression": Case(
        regression,
        regression.prior(torch.tensor([0.5, -1.0, 1.0]), LAM, features=2, shape=1.4, rate=2.2),
        regression.prior(torch.tensor([0.5, -1.0, 1.0]), LAM, features=2, shape=1.4, rate=2.3),
    ),
}


@pytest.fixture(params=FAMILIES)
def case(request) -> Case:
    return CASES[request.param]


def answers(module: ModuleType, state: Any) -> list[torch.Tensor]:
    """Everything a state can be asked, flat."""
    found = [*module.mean(state).values(), module.log_evidence(state)]
    for low, high in module.interval(state, 0.8).values():
        found += [torch.as_tensor(low), torch.as_tensor(high)]
    return found


def assert_same(module: ModuleType, one: Any, other: Any, tolerance: float = 1e-10) -> None:
    for a, b in zip(answers(module, one), answers(module, other), strict=True):
        assert torch.allclose(a, b, rtol=tolerance, atol=tolerance)


def test_every_family_is_covered_and_follows_the_protocol(case):
    assert set(CASES) == set(FAMILIES)
    wanted = [n for n, _ in inspect.getmembers(Family, inspect.isfunction) if not n.startswith("_")]
    for name in wanted:
        protocol = list(inspect.signature(getattr(Family, name)).parameters)[1:]
        assert list(inspect.signature(getattr(case.module, name)).parameters) == protocol
    order = [
        n
        for n, f in vars(case.module).items()
        if inspect.isfunction(f) and f.__module__ == case.module.__name__
    ]
    public = [n for n in order if not n.startswith("_")]
    assert public == [
        *(["reference"] if case.module in (normal, regression, wishart) else []),
        "prior",
        "update",
        "downdate",
        "merge",
        "mean",
        "interval",
        "log_predictive",
        "log_evidence",
        "maximum_likelihood",
    ]


def test_registry():
    assert conjugate.family("normal") is normal
    assert conjugate.Normal is normal.Normal
    assert sorted(dir(conjugate)) == sorted(conjugate.__all__)
    with pytest.raises(UnknownName, match="did you mean 'normal'"):
        conjugate.family("norml")
    with pytest.raises(AttributeError):
        _ = conjugate.Gamma


@pytest.mark.parametrize("name", FAMILIES)
@given(cuts=st.lists(st.integers(0, 40), max_size=4), seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_batches_of_any_size_and_order_and_merged_parts_agree(name, cuts, seed):
    case = CASES[name]
    data, module = case.draw(40, seed), case.module
    whole, evidence = module.update(case.prior, data)
    shuffled = data[torch.randperm(40, generator=torch.Generator().manual_seed(seed))]
    edges = sorted({0, *cuts, 40})
    state, total = case.prior, torch.zeros((), dtype=F64)
    merged = case.prior
    for a, b in itertools.pairwise(edges):
        state, gained = module.update(state, shuffled[a:b])
        total = total + gained
        part, _ = module.update(case.prior, data[a:b])
        merged = module.merge(merged, part)
    assert_same(module, state, whole)
    assert_same(module, merged, whole)
    assert torch.allclose(total, evidence, atol=1e-9)
    assert torch.allclose(evidence, module.log_evidence(whole), atol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
@given(gone=st.integers(0, 30), seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_downdate_undoes_update(name, gone, seed):
    case = CASES[name]
    data, module = case.draw(30, seed), case.module
    whole, _ = module.update(case.prior, data)
    rest, _ = module.update(case.prior, data[gone:])
    left = module.downdate(whole, data[:gone])
    assert_same(module, left, rest, 1e-8)
    again, _ = module.update(left, data[:gone])
    assert_same(module, again, whole, 1e-8)


def test_log_evidence_is_the_sum_of_one_step_predictives(case):
    data, state, total = case.draw(25, 3), case.prior, torch.zeros((), dtype=F64)
    for row in data.split(1):
        total = total + case.module.log_predictive(state, row).sum()
        state, _ = case.module.update(state, row)
    assert case.module.log_evidence(state).item() == pytest.approx(total.item(), abs=1e-9)


def test_a_wrong_prior_is_overcome_at_the_rate_theory_says(case):
    # The posterior mean is a weighted mean of prior and data, the prior's weight being its strength s in
    # observations: the distance to maximum likelihood is s/(s + n) of the prior's own distance.
    module = case.module
    key = next(iter(module.mean(case.prior)))
    strength = {
        beta: lambda s: s.prior_a + s.prior_b,
        dirichlet: lambda s: s.prior_alpha.sum(),
        normal: lambda s: s.prior_strength,
        wishart: lambda s: s.prior_strength,
    }.get(module)
    gaps = []
    for n in (100, 200, 400, 800):
        state, _ = module.update(case.prior, case.draw(n, 7))
        before, after = module.mean(case.prior)[key], module.mean(state)[key]
        best = module.maximum_likelihood(state)[key]
        if strength is None:  # regression: the weights are matrices, Λ0 against Λn
            left = state.precision @ (after - best)
            assert torch.allclose(left, state.prior_precision @ (before - best), atol=1e-8)
        else:
            s = strength(case.prior)
            assert torch.allclose(after - best, (before - best) * s / (s + n), atol=1e-12)
        gaps.append((after - best).norm().item())
    assert gaps[3] < gaps[0] / 5


def test_intervals_shrink_like_one_over_root_n_and_hold_the_mean(case):
    module, widths = case.module, []
    for n in (400, 1600):
        state, _ = module.update(case.prior, case.draw(n, 1))
        for key, (low, high) in module.interval(state).items():
            centre = module.mean(state).get(key)
            if centre is not None:
                assert bool((low < centre).all())
                assert bool((centre < high).all())
        low, high = next(iter(module.interval(state).values()))
        widths.append((high - low).mean().item())
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.1)


def test_removing_what_never_went_in_is_refused(case):
    module = case.module
    state, _ = module.update(case.prior, case.draw(6, 2))
    with pytest.raises(InvalidInput):
        module.downdate(state, case.draw(7, 2))
    stranger = case.draw(6, 2)
    stranger = 1 - stranger if module is beta else (stranger + 1) % 4 if module is dirichlet else stranger * 9
    with pytest.raises(InvalidInput):
        module.downdate(state, stranger)
    with pytest.raises(InvalidInput):
        module.downdate(case.prior, case.draw(1, 2))


def test_states_of_two_priors_do_not_merge(case):
    with pytest.raises(InvalidInput, match="expected one prior"):
        case.module.merge(case.prior, case.other_prior)


def test_bad_data_are_refused(case):
    module = case.module
    bad = case.draw(3, 0).to(F64)
    bad[1] = float("nan")
    for call in (module.update, module.downdate, module.log_predictive):
        with pytest.raises(InvalidInput, match="NaN"):
            call(case.prior, bad)
    with pytest.raises(InvalidInput):
        module.update(case.prior, torch.zeros(2, 9))
    with pytest.raises(InvalidInput, match="maximum likelihood"):
        module.maximum_likelihood(case.prior)
    with pytest.raises(InvalidInput, match="level"):
        module.interval(case.prior, 1.0)


def test_no_data_change_nothing_and_states_are_frozen(case):
    data = case.draw(5, 0)
    state, gained = case.module.update(case.prior, data[:0])
    assert gained == 0
    assert_same(case.module, state, case.prior)
    with pytest.raises(AttributeError):
        state.data = None


@pytest.mark.parametrize("name", ["normal", "wishart", "regression"])
def test_far_from_the_origin_nothing_is_lost(name):
    case = CASES[name]
    module, data = case.module, case.draw(50, 4)
    shift = torch.zeros(data.shape[-1] if data.ndim > 1 else 1, dtype=F64)
    shift[-1] = 1e7  # the response, the last dimension, or the number itself
    far, _ = module.update(case.prior, data + (shift if data.ndim > 1 else shift[0]))
    near, _ = module.update(case.prior, data)
    assert torch.allclose(far.data.scatter, near.data.scatter, rtol=1e-7, atol=1e-7)


# Reference priors: the data alone, in whatever units.

REFERENCES = {
    "normal": (normal, lambda: normal.reference()),
    "wishart": (wishart, lambda: wishart.reference(3)),
    "regression": (regression, lambda: regression.reference(2)),
}


@settings(deadline=None, max_examples=25)
@given(
    name=st.sampled_from(sorted(REFERENCES)),
    seed=st.integers(0, 99),
    scale=st.floats(1e-6, 1e6),
    rows=st.integers(6, 40),
)
def test_after_a_reference_prior_other_units_change_an_answer_by_that_factor(name, seed, scale, rows):
    module, make = REFERENCES[name]
    data = CASES[name].draw(rows, seed)
    units = torch.full((data.shape[-1] if data.ndim > 1 else 1,), scale, dtype=F64)
    state, other = module.update(make(), data)[0], module.update(make(), data * units)[0]
    key = "coefficients" if name == "regression" else "mean"
    factor = torch.tensor([scale, 1.0, 1.0], dtype=F64) if name == "regression" else scale
    for one, two in zip(module.interval(state)[key], module.interval(other)[key], strict=True):
        torch.testing.assert_close(torch.as_tensor(two), torch.as_tensor(one) * factor, rtol=1e-7, atol=0)
    torch.testing.assert_close(
        module.interval(other)["variance"][1],
        module.interval(state)["variance"][1] * scale**2,
        rtol=1e-7,
        atol=0,
    )
    assert bool(module.log_evidence(state).isnan())


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_a_reference_prior_is_open_until_the_data_settle_it(name):
    module, make = REFERENCES[name]
    data = CASES[name].draw(9, 3)
    for rows in (data[:0], data[:1], data[:1].expand(6, *data.shape[1:])):
        state, _ = module.update(make(), rows)
        for ask in (module.mean, module.interval):
            with pytest.raises(InvalidInput, match="reference prior"):
                ask(state)
    whole, _ = module.update(make(), data)
    pieces, _ = module.update(module.update(make(), data[:1])[0], data[1:])
    key = "coefficients" if name == "regression" else "mean"
    torch.testing.assert_close(module.mean(whole)[key], module.mean(pieces)[key], rtol=1e-9, atol=1e-9)
    for wrong in (-1.0, float("nan")):
        with pytest.raises(InvalidInput, match="reference"):
            module.reference(
                **{"regression": {"precision": wrong}}.get(name, {"strength": wrong}),
                **({"d": 3} if name == "wishart" else {}),
            )
