"""The multilayer perceptron: a hidden layer, trained by backpropagation, does what no linear model can."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, RecipeKey, Smoke, key
from bayesight.milestones.bench.classifying import classify, classify_xor

HIDDEN = key("mlp", hidden=(512, 512), dropout=0.1)
LINEAR = key("linear")


def xor(model: RecipeKey) -> Keys:
    """Four points, no two neighbours of the same class."""
    return Keys(
        data=key("xor"),
        model=model,
        loss=key("cross_entropy"),
        optimization=key("adamw", lr=0.02, steps=300),
    )


def letters(model: RecipeKey) -> Keys:
    """Letters that move a little, a smoothed target, and a rate that rises and falls."""
    return Keys(
        data=key(
            "letters", batch=256, augment=key("glyph", rotate_deg=10, scale=0.12, shear=0.12, shift_px=2)
        ),
        model=model,
        loss=key("cross_entropy", label_smoothing=0.1),
        optimization=key("adamw", lr=4e-3, weight_decay=0.05, schedule=key("cosine", warmup=0.2), steps=1000),
    )


MILESTONE = Milestone(
    name="mlp",
    year=1986,
    paper=Paper(
        "Rumelhart, Hinton, Williams",
        "Learning representations by back-propagating errors",
        "Nature 323",
        "https://doi.org/10.1038/323533a0",
    ),
    claim=marked(
        "A network with hidden units, trained by passing errors back, learns what no linear model can."
    ),
    figure=marked(
        "tasks that need hidden units, such as symmetry and exclusive or, are learned without error."
    ),
    displaced=marked("the perceptron, a linear model (Rosenblatt 1958; Minsky and Papert 1969)"),
    key="model",
    story="Between the input and the answer the model gets layers of its own, and the gradient finds what "
    "they should stand for. No line separates the corners of a square from their neighbours; sixteen hidden "
    "units do it every time.",
    arms=(
        Arm("mlp on xor", (xor(key("mlp", hidden=(16,))),), classify_xor),
        Arm("linear on xor", (xor(LINEAR),), classify_xor),
        Arm("mlp", (letters(HIDDEN),), classify),
        Arm("linear", (letters(LINEAR),), classify),
    ),
    claims=(
        Claim("mlp on xor", "accuracy", ">=", margin=1.0),
        Claim("linear on xor", "accuracy", "<=", margin=0.75),
        Claim("mlp", "accuracy", ">=", margin=0.915, smoke=(1.0, 0.85)),
        Claim("mlp", "accuracy", ">=", against="linear", margin=0.03, differs=("model",), smoke=(1.0, 0.01)),
    ),
    metrics={
        "accuracy": "share that is right: of held-out letters, or of the four points",
        "train_loss": "training loss, nats, mean of the last tenth of the steps",
        "parameters": "numbers that are learned",
    },
    watched="training loss, nats",
    smoke=Smoke({"optimization.steps": 150}),
    minutes=4,
    needs=200,
    differences=(
        "Rectified units, AdamW and smoothed targets in place of sigmoids and plain descent.",
        "Letters are moved a little each time they are shown, for both models alike.",
    ),
)
