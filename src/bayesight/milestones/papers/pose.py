"""Heat maps: a map of where each key point is, in place of its coordinates."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, RecipeKey, Smoke, key
from bayesight.milestones.bench.posing import pose


def recipe(model: RecipeKey, loss: RecipeKey) -> Keys:
    """Stick figures of 13 points among letters, 48x48."""
    return Keys(
        data=key("figures", batch=32, train=3000, test=300, side=48),
        model=model,
        loss=loss,
        optimization=key("adamw", lr=8e-3, weight_decay=1e-4, schedule="one_cycle", steps=200),
    )


MILESTONE = Milestone(
    name="pose",
    year=2014,
    paper=Paper(
        "Tompson, Jain, LeCun, Bregler",
        "Joint Training of a Convolutional Network and a Graphical Model for Human Pose Estimation",
        "NIPS 2014",
        "https://arxiv.org/abs/1406.2984",
    ),
    claim=marked(
        "A network that answers with a map of where each joint is finds more joints than one that answers "
        "with their coordinates."
    ),
    figure=marked(
        "FLIC and LSP, the share of elbows and wrists found against the distance allowed: drawn as curves "
        "above those of DeepPose, without a table."
    ),
    displaced=marked("regression of the joints' coordinates (Toshev and Szegedy 2014, DeepPose)"),
    key="loss",
    story="Images and optimizer stay. The answer is no longer a pair of numbers for each joint but a map "
    "that says of every place how likely the joint is there, and the loss compares maps: doubt between two "
    "places is two peaks and not the empty middle between them. A convolution can say it, for it sees here "
    "what is here; a linear layer had to learn every joint in every place.",
    arms=(
        Arm(
            "heat maps",
            (recipe(key("heat_maps", widths=(8, 16, 32, 48, 64)), key("heat_map", spread=1.0)),),
            pose,
        ),
        Arm(
            "coordinates",
            (recipe(key("coordinates", widths=(8, 16, 32, 48, 64), hidden=192), key("coordinate")),),
            pose,
        ),
    ),
    claims=(
        Claim(
            "heat maps",
            "pck",
            ">=",
            against="coordinates",
            margin=0.05,
            differs=("model", "loss"),
        ),
    ),
    metrics={
        "pck": "share of the points of figures held out that are found within a tenth of the longer side of "
        "the figure's box",
        "pck_fine": "the same within a twentieth",
        "pck_hidden": "the same within a tenth, of points that a letter lies over",
        "ece": "calibration error of the probability that a point is found within a tenth, 15 bins",
        "parameters": "numbers that are learned",
    },
    watched="training loss: nats a point of heat maps, shares of the side squared of coordinates",
    smoke=Smoke(
        {
            "optimization.steps": 150,
            "data.batch": 16,
            "data.train": 1000,
            "data.test": 100,
            "model.widths": (8, 12, 16, 24, 32),
            "model.hidden": 96,
        }
    ),
    minutes=10,
    differences=(
        "Stick figures on textured ground with noise, before and behind letters of which none is in both "
        "parts, in place of people.",
        "A U-Net whose maps are as large as the image, in place of a sliding window over a pyramid of three "
        "sizes; no graphical model of which places of neighbours go together: the deepest map sees the whole "
        "figure.",
        "Each map is a distribution over places, fitted to the paper's Gaussian by its divergence and not by "
        "squared error, so that it says how likely a point is near.",
        "DeepPose is its first stage, on the same convolutions as the U-Net's way down, with batch "
        "normalisation and about as many parameters; no second look at each joint.",
    ),
    notes=(
        "The gap does not close with more steps: with 800, 6,000 figures and a rate of 4e-3 (one seed), heat "
        "maps find .893 of the points and coordinates .305.",
    ),
)
