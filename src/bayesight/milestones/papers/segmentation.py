"""U-Net: a class for every pixel, sharp because the way up sees the maps of the way down."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, Smoke, key
from bayesight.milestones.bench.segmenting import segment


def recipe(*, skips: bool) -> Keys:
    """Scenes of three letters, 48x48."""
    return Keys(
        data=key("scenes", batch=32, train=4000, test=400, side=48, glyphs=3),
        model=key("unet", widths=(16, 32, 48, 64, 64), skips=skips),
        loss=key("mask"),
        optimization=key("adamw", lr=1e-2, weight_decay=1e-4, schedule="one_cycle", steps=600),
    )


MILESTONE = Milestone(
    name="segmentation",
    year=2015,
    paper=Paper(
        "Ronneberger, Fischer, Brox",
        "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        "MICCAI 2015",
        "https://arxiv.org/abs/1505.04597",
    ),
    claim=marked(
        "A network that goes down to what is there and up again to where it is names every pixel, and does "
        "so far better when the way up sees the maps of the way down."
    ),
    figure=marked(
        "ISBI 2015 cell tracking, mean intersection over union: PhC-U373 .9203 where the second best has "
        ".83, DIC-HeLa .7756 where it has .46 (table 2)."
    ),
    displaced=marked("a classifier that slides over the image, one pixel at a time (Ciresan et al. 2012)"),
    key="model",
    story="Data become pairs of image and mask, and the loss is the cross-entropy there always was, of every "
    "pixel. The model keeps its maps: what pooling forgets of the place, the way up is handed again.",
    arms=(
        Arm("u-net", (recipe(skips=True),), segment),
        Arm("no skips", (recipe(skips=False),), segment),
    ),
    claims=(
        Claim(
            "u-net",
            "mean_iou",
            ">=",
            against="no skips",
            margin=0.05,
            differs=("model",),
            smoke=(1.0, 0.03),
        ),
        Claim("u-net", "ece", "<=", margin=0.02, smoke=(1.0, 0.1)),
    ),
    metrics={
        "mean_iou": "intersection over union, mean over ground and letters, of the scenes held out",
        "pixel_accuracy": "share of their pixels that are named right",
        "ece": "calibration error of the probability of a pixel's class, 15 bins",
        "parameters": "numbers that are learned",
    },
    watched="training loss, nats a pixel",
    smoke=Smoke(
        {
            "optimization.steps": 300,
            "data.batch": 16,
            "data.train": 1000,
            "data.test": 100,
            "model.widths": (16, 16, 24, 32, 32),
        }
    ),
    minutes=20,
    differences=(
        "Scenes of three letters on textured ground with noise, composed of letters of which none is in both "
        "parts, in place of cells.",
        "Convolutions keep the size of the map and are followed by batch normalisation; maps are doubled by "
        "repetition in place of learned convolutions; a hundredth of the channels.",
        "No elastic deformations, for scenes to learn from can be made at will, and no weights for borders.",
    ),
)
