"""The loop, on tasks small enough to be checked by hand, of every kind it must carry."""

import math

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from bayesight.errors import InvalidInput, TrainingDiverged
from bayesight.optim import build_schedule
from bayesight.training.average import WeightAverage
from bayesight.training.checkpoint import FileCheckpointer
from bayesight.training.engine import Budget, Task, Update, fit
from bayesight.training.events import EvaluationEvent, StepEvent, TrainingEnd, TrainingStart


def fabric():
    return Fabric(accelerator="cpu", devices=1)


def regression(seed=0, rows=64, batch=16, dropout=0.0):
    """Noisy linear data, a small network, squared error, SGD with momentum."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 3, generator=generator)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.7
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))

    def data(model, step):
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(step))[:batch]
        return x[order], y[order]

    def loss(model, batch):
        return {"total": (model(batch[0]) - batch[1]).square().mean()}

    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    task = Task(data, model, {"net": loss}, [Update("net", optimizer, build_schedule("cosine", 60))])
    return task, lambda model: {"log_loss": loss(model, (x, y))["total"].item()}


def weights(task):
    return torch.cat([p.detach().flatten() for p in task.model.parameters()])


def test_learns_and_tells_what_happens():
    task, evaluate = regression()
    events = []
    budget = Budget(steps=60, evaluate_every=20)
    state = fit(task, budget, fabric=fabric(), evaluate=evaluate, listeners=[events.append])
    assert state.best < 0.05 < evaluate(regression()[0].model)["log_loss"]
    assert events[0] == TrainingStart(0, 60, 20)
    assert events[-1] == TrainingEnd(60, stopped_early=False)
    assert [e.step for e in events if isinstance(e, StepEvent)] == list(range(1, 61))
    rows = [e.row for e in events if isinstance(e, EvaluationEvent)]
    assert rows == state.history
    assert [row["step"] for row in rows] == [20, 40, 60]
    losses = [e.losses["net.total"] for e in events if isinstance(e, StepEvent)]
    assert math.isclose(rows[1]["net.total"], sum(losses[20:40]) / 20, rel_tol=1e-9)


def test_one_step_is_the_textbook_step():
    task, _ = regression()
    before = {n: p.detach().clone() for n, p in task.model.named_parameters()}
    x, y = task.data(task.model, 0)
    (task.model(x) - y).square().mean().backward()
    expected = {n: before[n] - 0.05 * p.grad for n, p in task.model.named_parameters()}
    task.model.zero_grad()
    fit(task, Budget(steps=1, evaluate_every=1), fabric=fabric())
    for name, parameter in task.model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name])


@pytest.mark.parametrize("accumulate", [2, 3, 16, 50])
def test_accumulated_gradients_are_the_large_batch(accumulate):
    whole, _ = regression()
    cut, _ = regression()
    fit(whole, Budget(steps=7, evaluate_every=7), fabric=fabric())
    fit(cut, Budget(steps=7, evaluate_every=7, accumulate=accumulate), fabric=fabric())
    torch.testing.assert_close(weights(whole), weights(cut), rtol=1e-5, atol=1e-6)


def test_same_seed_same_bits_and_the_callers_generator_is_untouched():
    torch.manual_seed(99)
    before = torch.get_rng_state()
    runs = []
    for seed in (4, 4, 5):
        task, evaluate = regression(dropout=0.5)
        torch.set_rng_state(before)
        fit(task, Budget(30, 10, seed=seed), fabric=fabric(), evaluate=evaluate)
        assert torch.equal(torch.get_rng_state(), before)
        runs.append(weights(task))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


class InterruptError(Exception):
    pass


@pytest.mark.parametrize("stop_at", [1, 13, 20, 47])
def test_resumed_training_ends_with_the_same_bits(tmp_path, stop_at):
    """Dropout, momentum, schedule, average, history and best weights all go on where they were."""

    def run(folder, interrupt=None):
        task, evaluate = regression(dropout=0.3)
        average = WeightAverage(task.model, 0.9)
        keeper = FileCheckpointer(folder, {"recipe": 1}, every_s=0.0)

        def listen(event):
            if isinstance(event, StepEvent) and event.step == interrupt:
                raise InterruptError

        budget = Budget(steps=60, evaluate_every=20, seed=3)
        state = fit(
            task,
            budget,
            fabric=fabric(),
            evaluate=evaluate,
            average=average,
            checkpointer=keeper,
            listeners=[listen],
        )
        return weights(task), average.shadow, state

    straight, shadow, state = run(tmp_path / "a")
    with pytest.raises(InterruptError):
        run(tmp_path / "b", interrupt=stop_at)
    resumed, resumed_shadow, resumed_state = run(tmp_path / "b")
    assert torch.equal(straight, resumed)
    assert all(torch.equal(shadow[k], resumed_shadow[k]) for k in shadow)
    drop = ("elapsed_s",)
    rows = [
        [{k: v for k, v in row.items() if k not in drop} for row in s.history] for s in (state, resumed_state)
    ]
    assert rows[0] == rows[1]
    assert (state.best, state.best_step) == (resumed_state.best, resumed_state.best_step)
    again, _, _ = run(tmp_path / "b")
    assert torch.equal(again, straight)


def test_the_last_step_is_kept_however_rarely_saves_are_made(tmp_path):
    task, _ = regression()
    keeper = FileCheckpointer(tmp_path, {}, every_s=1000.0)
    fit(task, Budget(steps=5, evaluate_every=2), fabric=fabric(), checkpointer=keeper)
    assert keeper.load(task, None).step == 5


def test_early_stop_keeps_the_best_weights():
    task, _ = regression()
    scores = iter([0.5, 0.3, 0.4, 0.35, 0.31, 0.1])
    kept = {}

    def evaluate(model):
        value = next(scores)
        kept[value] = weights(task).clone()
        return {"log_loss": value}

    state = fit(task, Budget(60, 10, patience=2), fabric=fabric(), evaluate=evaluate)
    assert (state.step, state.best, state.best_step) == (50, 0.3, 20)
    assert torch.equal(weights(task), kept[0.3])


def test_not_a_number_stops_names_the_step_and_keeps_the_last_good_weights():
    task, evaluate = regression()

    def bad_after(model, batch):
        total = (model(batch[0]) - batch[1]).square().mean()
        return {"total": total * (math.nan if steps[0] >= 25 else 1.0)}

    steps = [0]

    def count(event):
        steps[0] = event.step if isinstance(event, StepEvent) else steps[0]

    broken = Task(task.data, task.model, {"net": bad_after}, task.updates)
    with pytest.raises(
        TrainingDiverged, match=r"at step 25 of 60; the weights of step 20 are kept"
    ) as caught:
        fit(broken, Budget(60, 10), fabric=fabric(), evaluate=evaluate, listeners=[count])
    assert "Lower the learning rate" in str(caught.value)
    assert math.isfinite(weights(task).sum().item())
    shorter, _ = regression()
    fit(shorter, Budget(20, 10), fabric=fabric(), evaluate=evaluate)
    assert torch.equal(weights(task), weights(shorter))


@pytest.mark.parametrize(("limit", "rise"), [(1e9, 10), (1e-9, 0), (1e-9, 10)])
def test_training_has_diverged_where_its_loss_is_high_and_has_risen(limit, rise):
    task, evaluate = regression()
    steps = []

    def loss(model, batch):
        return {"total": (model(batch[0]) - batch[1]).square().mean() + rise * len(steps)}

    still = [Update("net", torch.optim.SGD(task.model.parameters(), lr=1e-9))]
    run = Task(task.data, task.model, {"net": loss}, still)
    how = {"fabric": fabric(), "evaluate": evaluate, "listeners": [steps.append]}
    if limit < 1 and rise:
        with pytest.raises(TrainingDiverged, match=r"^training diverged: loss 'net' rose to .*no weights"):
            fit(run, Budget(30, 10, diverged_above={"net.total": limit}), **how)
    else:
        assert fit(run, Budget(30, 10, diverged_above={"net.total": limit}), **how).best_weights


def test_weights_that_are_no_numbers_are_noticed_at_the_evaluation():
    task, _ = regression()

    def spoil(model, step):
        next(model.parameters()).data.fill_(math.inf) if step == 9 else None

    broken = Task(task.data, task.model, task.losses, task.updates, after=[spoil])
    with pytest.raises(TrainingDiverged, match="weights became infinite or NaN at step 10 of 20"):
        fit(broken, Budget(20, 10, monitor=None), fabric=fabric())


def test_clipping_bounds_the_step():
    task, _ = regression()
    slow = [Update("net", torch.optim.SGD(task.model.parameters(), lr=1.0), clip_norm=1e-3)]
    before = weights(task)
    fit(Task(task.data, task.model, task.losses, slow), Budget(1, 1), fabric=fabric())
    assert math.isclose((weights(task) - before).norm().item(), 1e-3, rel_tol=1e-3)


def test_evaluation_sees_the_average_and_its_weights_are_kept():
    task, _ = regression()
    average = WeightAverage(task.model, 0.99)
    seen = []

    def evaluate(model):
        seen.append(weights(task).clone())
        return {"log_loss": 1.0 / len(seen)}

    fit(task, Budget(20, 10), fabric=fabric(), evaluate=evaluate, average=average)
    assert torch.equal(seen[-1], weights(task))
    assert torch.equal(weights(task), torch.cat([v.flatten() for v in average.shadow.values()]))


class Pair(nn.Module):
    """Two networks whose forward is told which to run: how adversaries share one task."""

    def __init__(self):
        super().__init__()
        self.generator = nn.Linear(1, 1)
        self.critic = nn.Linear(1, 1)

    def forward(self, which, x):
        return getattr(self, which)(x)


def test_two_updates_each_move_only_their_own_parameters():
    """A one-dimensional adversarial game: the critic climbs, the generator follows its slope."""
    torch.manual_seed(0)
    pair = Pair()
    order = []

    def critic_loss(model, batch):
        order.append("critic")
        fake = model("generator", batch[0]).detach()
        gap = model("critic", batch[1]).mean() - model("critic", fake).mean()
        return {"total": -gap + 0.5 * pair.critic.weight.square().sum(), "gap": gap}

    def generator_loss(model, batch):
        order.append("generator")
        return {"total": -model("critic", model("generator", batch[0])).mean()}

    def data(model, step):
        g = torch.Generator().manual_seed(step)
        return torch.randn(64, 1, generator=g), 3 + torch.randn(64, 1, generator=g)

    updates = [
        Update("critic", torch.optim.SGD(pair.critic.parameters(), lr=0.2)),
        Update("generator", torch.optim.SGD(pair.generator.parameters(), lr=0.2)),
    ]
    hooked = []
    losses = {"critic": critic_loss, "generator": generator_loss}
    task = Task(data, pair, losses, updates, after=[lambda model, step: hooked.append(step)])
    events = []
    fit(task, Budget(200, 200, monitor=None), fabric=fabric(), listeners=[events.append])
    assert order[:4] == ["critic", "generator"] * 2
    assert hooked == list(range(200))
    assert set(events[1].losses) == {"critic.total", "critic.gap", "generator.total"}
    mean = pair.generator(torch.randn(4000, 1, generator=torch.Generator().manual_seed(1))).mean().item()
    assert abs(mean - 3) < 1.0


class Memory:
    """Data that acts with the model and remembers: the shape of a replay buffer."""

    def __init__(self):
        self.seen = torch.zeros(0)

    def __call__(self, model, step):
        with torch.no_grad():
            action = model(torch.ones(1, 1)).view(1)
        self.seen = torch.cat([self.seen, action])
        return (self.seen.view(-1, 1),)

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def test_data_that_acts_with_the_model_resumes_with_its_memory(tmp_path):
    def run(folder, interrupt=None):
        torch.manual_seed(1)
        model, memory = nn.Linear(1, 1), Memory()

        def loss(model, batch):
            return {"total": (model(torch.ones(1, 1)) - batch[0].mean() - 1).square().mean()}

        def listen(event):
            if isinstance(event, StepEvent) and event.step == interrupt:
                raise InterruptError

        update = Update("agent", torch.optim.Adam(model.parameters(), lr=0.1))
        task = Task(memory, model, {"agent": loss}, [update], stateful={"memory": memory})
        keeper = FileCheckpointer(folder, {}, every_s=0.0)
        fit(task, Budget(20, 100), fabric=fabric(), checkpointer=keeper, listeners=[listen])
        return memory.seen, weights(task)

    straight = run(tmp_path / "a")
    with pytest.raises(InterruptError):
        run(tmp_path / "b", interrupt=9)
    resumed = run(tmp_path / "b")
    assert torch.equal(straight[0], resumed[0])
    assert torch.equal(straight[1], resumed[1])


def test_an_arm_can_start_from_another():
    first, evaluate = regression()
    fit(first, Budget(60, 60), fabric=fabric(), evaluate=evaluate)
    second, _ = regression(seed=1)
    second.model.load_state_dict(first.model.state_dict())
    state = fit(second, Budget(1, 1), fabric=fabric(), evaluate=evaluate)
    assert state.best < 0.1


def test_refusals():
    task, _ = regression()
    with pytest.raises(InvalidInput, match="at least 1"):
        fit(task, Budget(0, 1), fabric=fabric())
    with pytest.raises(InvalidInput, match="no loss of that name"):
        fit(Task(task.data, task.model, {}, task.updates), Budget(1, 1), fabric=fabric())
