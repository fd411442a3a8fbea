"""CenterNet: a box is found as the point in its middle, in one look at the image."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, RecipeKey, Smoke, key
from bayesight.milestones.bench.detecting import detect_by_centres, detect_by_windows


def recipe(model: RecipeKey, loss: RecipeKey) -> Keys:
    """Scenes of three letters, 48x48."""
    return Keys(
        data=key("scenes", batch=32, train=16000, test=400, side=48, glyphs=3),
        model=model,
        loss=loss,
        optimization=key("adamw", lr=5e-3, weight_decay=5e-2, schedule="one_cycle", steps=1500),
    )


CENTRES = recipe(key("centernet", widths=(48, 96, 160, 192), width=96, stride=4), key("centres", box=1.0))
WINDOWS = recipe(key("windows", widths=(32, 48, 64, 96), shapes=6, step=3, sampled=6), key("cross_entropy"))

MILESTONE = Milestone(
    name="detection",
    year=2019,
    paper=Paper(
        "Zhou, Wang, Krähenbühl",
        "Objects as Points",
        "arXiv 2019",
        "https://arxiv.org/abs/1904.07850",
    ),
    claim=marked(
        "A thing is the point in the middle of its box: a network that maps these points in one look at "
        "the image finds as much as those that look at every place, and is many times as fast."
    ),
    figure=marked(
        "COCO, average precision .281 at 142 images a second, .374 at 52, and .451 at 1.4 with several "
        "scales (abstract)."
    ),
    displaced=marked(
        "a classifier of windows, asked at every place and in every shape, its answers thinned by "
        "non-maximum suppression"
    ),
    key="model",
    story="Detection had been classification repeated: the image was cut into windows, and the model saw one "
    "of them at a time. Here the model sees the image once; the loss asks of every cell whether it is a "
    "centre, and only of centres how large their box is.",
    arms=(
        Arm("centre heat map", (CENTRES,), detect_by_centres),
        Arm("sliding windows", (WINDOWS,), detect_by_windows),
    ),
    claims=(
        Claim("centre heat map", "f1", ">=", margin=0.9, smoke=(1.0, 0.4)),
        Claim(
            "centre heat map",
            "f1",
            ">=",
            against="sliding windows",
            differs=("model", "loss"),
            smoke=(1.0, -0.1),
        ),
        Claim(
            "centre heat map",
            "images_per_second",
            ">=",
            against="sliding windows",
            factor=5,
            differs=("model", "loss"),
        ),
    ),
    metrics={
        "f1": "of the boxes found in the scenes held out: of the right class, overlapping by half or more",
        "average_precision": "at an overlap of .5, mean over letters",
        "images_per_second": "scenes looked at in a second of the processor's time",
        "parameters": "numbers that are learned",
    },
    timed=("images_per_second",),
    watched="training loss",
    smoke=Smoke(
        {
            "optimization.steps": 150,
            "data.batch": 16,
            "data.train": 400,
            "data.test": 40,
            "model.widths": (16, 24, 32, 48),
            "model.width": 48,
            "model.stride": 2,
            "model.step": 6,
        }
    ),
    minutes=30,
    differences=(
        "Scenes of three letters on textured ground with noise, composed of letters of which none is in both "
        "parts, in place of photographs.",
        "Boxes are learned by generalised overlap (Rezatofighi et al. 2019), not by the distances of their "
        "sides; the heat around a centre is as wide and as high as the box asks; cells are four pixels wide.",
        "The windows have six shapes, the means of the boxes to learn from, and are three pixels apart; both "
        "networks learn from as many scenes, and the classifier sees twelve windows of each.",
        "Images a second are counted in processor time, both arms of a seed in one process.",
    ),
)
