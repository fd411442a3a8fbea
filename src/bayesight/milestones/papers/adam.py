"""Adam: each parameter at a step size of its own, from means of the gradient and of its square."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, Smoke, key
from bayesight.milestones.bench.rates import best_rate_on_letters, best_rate_on_text

RATES = {
    "adam": (7.5e-4, 1.5e-3, 3e-3),
    "rmsprop": (2.5e-4, 5e-4, 1e-3),
    "adagrad": (2.5e-3, 5e-3, 1e-2),
    "nesterov": (0.02, 0.05, 0.1),
    "sgd": (0.05, 0.1, 0.2),
}
RATES_ON_LETTERS = RATES | {
    "adagrad": (5e-3, 1e-2, 2e-2),
    "nesterov": (0.01, 0.03, 0.1),
    "sgd": (0.1, 0.3, 1.0),
}


def on_text(optimizer: str) -> Keys:
    """A small transformer on a text, in batches large enough that the gradient is mostly signal."""
    return Keys(
        data=key("characters", batch=192, context=32),
        model=key("transformer", layers=2, width=96, heads=4),
        loss=key("next_character"),
        optimization=key(optimizer, lr=RATES[optimizer], steps=220),
    )


def on_letters(optimizer: str) -> Keys:
    """A perceptron with dropout on letters, where far less depends on the optimizer."""
    return Keys(
        data=key("letters", batch=128),
        model=key("mlp", hidden=(512, 512), dropout=0.5),
        loss=key("cross_entropy"),
        optimization=key(optimizer, lr=RATES_ON_LETTERS[optimizer], steps=150),
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
    claim=marked(
        "Steps scaled by running means of the gradient and of its square train faster than AdaGrad, "
        "RMSProp and momentum, with hardly any tuning."
    ),
    figure=marked(
        "curves of training cost: Adam below all others on logistic regression, a multilayer perceptron "
        "with dropout and a convolutional network (figs. 1 to 3)."
    ),
    displaced=marked("SGD with Nesterov's momentum, AdaGrad, RMSProp"),
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
            "adam",
            "train_loss",
            "<=",
            against=name,
            margin=-0.25,
            differs=("optimization",),
            smoke=(1.0, 0.0),
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
    smoke=Smoke({"optimization.steps": 60, "train.data.batch": 32, "letters.optimization.steps": 30}),
    minutes=11,
    differences=(
        "A character transformer on a text in place of the paper's three networks; the perceptron with "
        "dropout is here as well, and no claim is made on it.",
        "Three learning rates for each optimizer, a factor of two or so apart and on the text around its "
        "best, which counts; all constant, as in most of the paper's experiments.",
    ),
    notes=(
        "How far ahead Adam is depends on the batch more than on anything else. In trials with one seed on "
        "tiny Shakespeare its lead over RMSProp was .03 nats with 4 stretches of 64 characters a step, .1 to "
        ".15 with 16, .21 with 48 (four layers, mean of steps 251 to 300), .24 with 128 stretches of 32 (two "
        "layers) and .36 with 256 (two layers, 96 wide). RMSProp is Adam without momentum and without the "
        "correction of its means. Where gradients are mostly noise, momentum has nothing to gather; where "
        "they are mostly signal, it pays.",
        "On the perceptron the order is another one and the differences are small; three of the five are "
        "best there at the highest of their rates.",
    ),
)
