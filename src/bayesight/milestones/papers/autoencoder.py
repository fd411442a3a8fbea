"""Autoencoder: a deep network finds a shorter description of an image than its principal components."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, RecipeKey, Smoke, key
from bayesight.milestones.bench.generating import project, remember

LETTERS = key("letters", batch=128, augment=key("glyph", rotate_deg=5, shear=0.1, scale=0.1, shift_px=1))


def recipe(model: RecipeKey, optimization: RecipeKey) -> Keys:
    """Thirty numbers an image."""
    return Keys(data=LETTERS, model=model, loss=key("squared_error"), optimization=optimization)


MILESTONE = Milestone(
    name="autoencoder",
    year=2006,
    paper=Paper(
        "Hinton, Salakhutdinov",
        "Reducing the Dimensionality of Data with Neural Networks",
        "Science 313",
        "https://doi.org/10.1126/science.1127647",
    ),
    claim=marked(
        "A deep autoencoder brings images back from a few numbers far better than as many principal "
        "components do."
    ),
    figure=marked(
        "MNIST, 784-1000-500-250-30: squared error of a test image 3.00, with 30 principal components "
        "13.87 (fig. 2B)."
    ),
    displaced=marked("principal component analysis (Pearson 1901), the best linear code"),
    key="model",
    story="The label goes away: the image itself is what is to be said, so any image teaches. The model is "
    "squeezed in the middle, and whatever passes there is a description. With linear layers it would find "
    "the principal components; with rectifiers between them it bends its surface to where the images are.",
    arms=(
        Arm(
            "autoencoder",
            (
                recipe(
                    key("autoencoder", hidden=(512, 256), code=30),
                    key("adamw", lr=1e-3, schedule=key("cosine", warmup=0.05), steps=2000),
                ),
            ),
            remember,
        ),
        Arm("pca", (recipe(key("pca", code=30), key("eigenvectors")),), project),
    ),
    claims=(
        Claim(
            "autoencoder",
            "squared_error",
            "<=",
            against="pca",
            factor=0.7,
            differs=("model", "optimization"),
            smoke=(0.85, 0.0),
        ),
    ),
    metrics={"squared_error": "squared error of a held-out image, summed over its pixels in [0, 1]"},
    watched="training loss, squared error an image",
    smoke=Smoke({"optimization.steps": 800}),
    minutes=4,
    needs=100,
    differences=(
        "784-512-256-30 with rectifiers, trained at once by AdamW, in place of 784-1000-500-250-30 with "
        "sigmoids, pretrained layer by layer as restricted Boltzmann machines.",
        "Training letters move a little each time they are shown, for there are few of them; the components "
        "are found on the letters as they are, which suits them better.",
        "A few thousand letters in place of 60,000 digits.",
    ),
    notes=(
        "On 5,000 MNIST digits the same run gave 7.28 (7.2 to 7.34 over three seeds) against 13.87 for "
        "thirty components.",
    ),
)
