"""ResNet: with shortcuts a deep network trains as well as a shallow one; without them it does not."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, Smoke, key
from bayesight.milestones.bench.classifying import classify

CROP = key("glyph", rotate_deg=0, shear=0, scale=0, shift_px=2)
"""Each image is seen within two pixels of its place, as in the paper's crops of padded images."""


def recipe(blocks: int, shortcut: str) -> Keys:
    """A network of 6 x blocks + 2 layers, as the paper has for CIFAR-10 (sec. 4.2)."""
    return Keys(
        data=key("letters", batch=128, augment=CROP),
        model=key("resnet", widths=(16, 32, 64), depth=blocks, shortcut=shortcut),
        loss=key("cross_entropy"),
        optimization=key("sgd", lr=0.1, momentum=0.9, schedule="one_cycle", steps=300),
    )


MILESTONE = Milestone(
    name="resnet",
    year=2015,
    paper=Paper(
        "He, Zhang, Ren, Sun",
        "Deep Residual Learning for Image Recognition",
        "CVPR 2016",
        "https://arxiv.org/abs/1512.03385",
    ),
    claim=marked(
        "A plain network trains worse when it is made deeper; with shortcuts that add the input to the "
        "output of every two layers, depth costs nothing."
    ),
    figure=marked(
        "CIFAR-10, test error: plain-20 about 9 %, plain-56 about 13 % and worse in training too "
        "(fig. 1); ResNet-20 8.75 %, ResNet-56 6.97 % (table 6)."
    ),
    displaced=marked("plain networks, as VGG"),
    key="model",
    story="Data, loss and optimizer stay what they were. The model changes by one plus sign: a block says "
    "what is to be added to its input, so that one with nothing to add can stay silent, and the gradient "
    "always has a way around.",
    arms=(
        Arm("res-56", (recipe(9, "pad"),), classify),
        Arm("res-20", (recipe(3, "pad"),), classify),
        Arm("plain-56", (recipe(9, "none"),), classify),
        Arm("plain-20", (recipe(3, "none"),), classify),
    ),
    claims=(
        Claim("plain-56", "train_loss", ">=", against="plain-20", factor=3.0, differs=("model",)),
        Claim(
            "res-56", "train_loss", "<=", against="res-20", factor=1.5, differs=("model",), smoke=(1.0, 0.6)
        ),
        Claim(
            "res-56",
            "train_loss",
            "<=",
            against="plain-56",
            factor=0.25,
            differs=("model",),
            smoke=(0.5, 0.0),
        ),
    ),
    metrics={
        "train_loss": "training loss, nats, mean of the last tenth of the steps",
        "accuracy": "share of held-out letters that are right",
        "parameters": "numbers that are learned",
    },
    watched="training loss, nats",
    smoke=Smoke({"optimization.steps": 100}),
    minutes=7,
    needs=400,
    differences=(
        "Letters of 28x28 pixels in place of CIFAR-10.",
        "The first convolution has stride 2, which makes everything after it four times cheaper.",
        "300 steps with a one-cycle rate in place of 64,000 with two drops; no weight decay.",
        "Random crops as in the paper, but no mirror images, which are other letters.",
        "The training loss is what is judged, for it is where the paper finds the degradation; the accuracy "
        "on letters held out shows it too.",
    ),
)
