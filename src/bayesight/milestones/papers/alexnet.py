"""AlexNet: convolutions find a shape wherever it is; pixels in fixed places do not."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, RecipeKey, Smoke, key
from bayesight.milestones.bench.classifying import classify
from bayesight.milestones.bench.kernels import kernel_machine

MOVED = key("letters", batch=128, canvas=40, shift_px=6)


def network(model: RecipeKey) -> Keys:
    """Either network, trained alike."""
    return Keys(
        data=MOVED,
        model=model,
        loss=key("cross_entropy"),
        optimization=key("adamw", lr=2e-3, weight_decay=1e-2, schedule=key("cosine", warmup=0.1), steps=800),
    )


KERNEL = Keys(
    data=MOVED,
    model=key("rbf_kernel", widths=(1.0, 2.0, 4.0), ridges=(0.01,)),
    loss=key("squared_error"),
    optimization=key("closed_form"),
)

MILESTONE = Milestone(
    name="alexnet",
    year=2012,
    paper=Paper(
        "Krizhevsky, Sutskever, Hinton",
        "ImageNet Classification with Deep Convolutional Neural Networks",
        "NeurIPS 2012",
        "https://papers.nips.cc/paper/4824",
    ),
    claim=marked(
        "A deep convolutional network with rectifiers and dropout recognises photographs far better than "
        "anything before it."
    ),
    figure=marked("ILSVRC-2012, top-5 error: 15.3 % against 26.2 % for the runner-up."),
    displaced=marked("features made by hand with kernel machines on top"),
    key="model",
    story="The model is told one thing about the world before it sees any: a shape is the same shape "
    "wherever it is. Weights shared over all places say so. Networks without that must learn every letter in "
    "every place; kernels compare pixel with pixel and are lost when the letter moves.",
    arms=(
        Arm("conv", (network(key("alexnet", variant="small", dropout=0.5)),), classify),
        Arm("mlp", (network(key("mlp", hidden=(1024, 512), dropout=0.5)),), classify),
        Arm("svm", (KERNEL,), kernel_machine),
    ),
    claims=(
        Claim("conv", "accuracy", ">=", against="mlp", margin=0.03, differs=("model",), smoke=(1.0, 0.01)),
        Claim(
            "conv",
            "accuracy",
            ">=",
            against="svm",
            margin=0.05,
            differs=("model", "loss", "optimization"),
            smoke=(1.0, 0.01),
        ),
    ),
    metrics={
        "accuracy": "share of held-out letters that are right",
        "train_loss": "training loss, nats, mean of the last tenth of the steps",
        "parameters": "numbers that are learned",
    },
    watched="training loss, nats",
    smoke=Smoke({"optimization.steps": 150}),
    minutes=5,
    needs=200,
    differences=(
        "Letters, each put once at a place of its own up to 6 pixels from the middle of a 40x40 canvas, in "
        "place of photographs; no augmentation.",
        "The small variant: three convolutions and one wide layer. The network for 224x224 photographs is "
        "`--model alexnet`, with its 61,100,840 parameters at 1,000 classes.",
        "AdamW in place of momentum; no local response normalisation.",
        "The support vector machine minimises the squared error (Suykens and Vandewalle 1999), which has a "
        "closed form; its width is chosen on a fifth of the training letters.",
    ),
)
