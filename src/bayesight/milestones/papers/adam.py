"""Adam: each parameter at a step size of its own, from means of the gradient and of its square."""

from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, Smoke, key
from bayesight.milestones.bench.rates import best_rate_on_letters, best_rate_on_text

RATES = {
    "adam": (1e-3, 3e-3, 1e-2),
    "rmsprop": (3e-4, 1e-3, 3e-3),
    "adagrad": (3e-3, 1e-2, 3e-2),
    "nesterov": (0.01, 0.03, 0.1),
    "sgd": (0.1, 0.3, 1.0),
}

RATES_ON_LETTERS = RATES | {"nesterov": (3e-3, 0.01, 0.03), "sgd": (0.03, 0.1, 0.3)}
RISE_AND_FALL = key("cosine", warmup=0.2)


def on_text(optimizer: str) -> Keys:
    """A small transformer on a text."""
    return Keys(
        data=key("characters", batch=16, context=64),
        model=key("transformer", layers=4, width=128, heads=4),
        loss=key("next_character"),
        optimization=key(optimizer, lr=RATES[optimizer], schedule=RISE_AND_FALL, steps=300),
    )


def on_letters(optimizer: str) -> Keys:
    """A perceptron with dropout on letters, where far less depends on the optimizer."""
    return Keys(
        data=key("letters", batch=128),
        model=key("mlp", hidden=(512, 512), dropout=0.5),
        loss=key("cross_entropy"),
        optimization=key(optimizer, lr=RATES_ON_LETTERS[optimizer], schedule=RISE_AND_FALL, steps=300),
        stage="letters",
    )


MILESTONE = Milestone(
    name="adam",
    year=2014,
    paper=Paper(
        "Kingma, Ba",
        "Adam: A Method for Stochastic Optimization",
        "ICLR 2015",
        "https://arxiv.org/abs/1412.6980",
    ),
    claim="Steps scaled by running means of the gradient and of its square train faster than AdaGrad, "
    "RMSProp and momentum, with hardly any tuning.",
    figure="curves of training cost: Adam below all others on logistic regression, a multilayer perceptron "
    "with dropout and a convolutional network (figs. 1 to 3).",
    displaced="SGD with Nesterov's momentum, AdaGrad, RMSProp",
    key="optimization",
    story="Data, model and loss stay; only how the parameters move changes. A network is made of parts whose "
    "gradients differ by orders of magnitude, embeddings and norms and matrices, and one rate for all is too "
    "high for some and too low for others.",
    arms=(
        *(Arm(name, (on_text(name),), best_rate_on_text) for name in RATES),
        *(Arm(f"{name} on mlp", (on_letters(name),), best_rate_on_letters) for name in RATES),
    ),
    claims=tuple(
        Claim(
            "adam", "train_loss", "<=", against=name, margin=-0.1, differs=("optimization",), smoke=(1.0, 0.1)
        )
        for name in ("sgd", "nesterov", "adagrad", "rmsprop")
    ),
    metrics={
        "train_loss": "training loss, nats, mean of the last sixth of the steps at the best rate",
        "lr": "the best of three learning rates",
    },
    watched="training loss, nats",
    source="text",
    needs=20_000,
    smoke=Smoke({"optimization.steps": 50, "train.data.batch": 4}),
    minutes=20,
    differences=(
        "A character transformer on a text in place of the paper's three networks; the perceptron with "
        "dropout is here as well, and no claim is made on it.",
        "Three learning rates for each optimizer, the best of which counts, all rising over the first "
        "fifth of the steps and falling along half a cosine.",
    ),
    notes=(
        "How far ahead Adam is depends on the protocol more than on anything else. In trials with one seed "
        "on tiny Shakespeare (mean of steps 251 to 300) the rates that rise and fall gave Adam 2.29, AdaGrad "
        "2.42, RMSProp 2.44 and Nesterov 2.46 nats; constant rates gave Adam 2.38, Nesterov and RMSProp "
        "2.49, AdaGrad 2.51 and plain descent 2.54. A quarter of a nat, which one might expect from the "
        "paper's curves, was not found: up to here all of them learn how often letters and pairs of letters "
        "occur, and a rate that is chosen for each makes up for much.",
        "RMSProp is Adam without momentum and without the correction of its means; it shows mostly in the "
        "first steps, and a rate that rises slowly hides it.",
        "On the perceptron the order is another one, and the differences are small.",
    ),
)
