"""GAN: two networks against each other make sharper images than one that is told what is right."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, RecipeKey, Smoke, key
from bayesight.milestones.bench.generating import draw_gaussian, generate

JUDGE = Keys(
    data=key("letters", batch=128),
    model=key("resnet"),
    loss=key("cross_entropy"),
    optimization=key("adamw", lr=2e-3, schedule="one_cycle", steps=300),
    stage="judge",
)


def recipe(model: RecipeKey, loss: RecipeKey, optimization: RecipeKey) -> tuple[Keys, Keys]:
    """First the judge, the same for all, then what it is to judge."""
    return JUDGE, Keys(key("letters", batch=64), model, loss, optimization)


MILESTONE = Milestone(
    name="gan",
    year=2014,
    paper=Paper(
        "Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio",
        "Generative Adversarial Nets",
        "NeurIPS 2014",
        "https://arxiv.org/abs/1406.2661",
    ),
    claim=marked(
        "A network that makes images learns from a second one that tries to tell them from real ones, with "
        "no likelihood to be written down, and its images are better for it."
    ),
    figure=marked(
        "Log-likelihood of a Parzen window on MNIST: 225 ± 2 nats, against 214 ± 1.1 for deep generative "
        "stochastic networks and 138 ± 2 for deep belief networks (table 1)."
    ),
    displaced=marked("models with a likelihood, as the variational autoencoder (Kingma and Welling 2014)"),
    key="loss",
    story="The loss is no longer a formula: it is a network that learns, in turns with the one it judges. "
    "Errors and likelihoods added up over pixels forgive a blur; a judge that saw real letters does not.",
    arms=(
        Arm(
            "gan",
            recipe(
                key("gan", code=64, widths=(64, 32), dropout=0.1),
                key("adversarial", smoothing=0.1),
                key("adam", lr=2e-3, betas=(0.5, 0.999), average=0.995, steps=2400),
            ),
            generate,
        ),
        Arm(
            "vae",
            recipe(
                key("vae", code=64, widths=(64, 32)),
                key("evidence_bound"),
                key("adam", lr=2.5e-3, schedule=key("cosine", final=0.1), steps=5280),
            ),
            generate,
        ),
        Arm(
            "pca-gaussian",
            recipe(key("pca", components=64), key("squared_error"), key("eigenvectors")),
            draw_gaussian,
        ),
    ),
    claims=(
        *(
            Claim(
                "gan",
                "frechet",
                "<=",
                against=other,
                factor=0.5,
                differs=("model", "loss", "optimization"),
                smoke=(1.0, 0.0),
            )
            for other in ("vae", "pca-gaussian")
        ),
        Claim("gan", "class_entropy", ">=", margin=2.1, smoke=(1.0, 1.6)),
    ),
    metrics={
        "frechet": "Fréchet distance between made and held-out letters, over the judge's features",
        "class_entropy": "entropy of the classes the judge takes them for, nats; ln 10 = 2.303 when all are "
        "made equally often",
        "frechet_real": "the same distance for as many training letters: what cannot be beaten",
        "class_entropy_real": "the same entropy for them",
    },
    watched="Fréchet distance",
    smoke=Smoke(
        {
            "train.optimization.steps": 600,
            "judge.optimization.steps": 80,
        }
    ),
    minutes=9,
    needs=200,
    differences=(
        "Convolutions in both networks (Radford et al. 2016), one linear layer in front, none hidden.",
        "The Fréchet distance (Heusel et al. 2017) in place of a Parzen window, which says little of "
        "images. Its features are those of a classifier of letters trained for the run from a fixed seed,"
        " so its figures compare within a card and not with those of other papers.",
        "The VAE has the same decoder and 2.2 times the steps, which makes as many multiply-adds: a step "
        "of the game runs the discriminator three times and the generator twice.",
        "Adam's first mean forgets faster than usual (Radford et al. 2016), real images count as real to "
        "nine parts in ten (Salimans et al. 2016), and images are made with a moving average of the "
        "weights (Yazıcı et al. 2019), where the VAE's rate falls instead.",
    ),
    notes=(
        "What each takes was found with one seed, on digits and on letters, by this very distance. Where "
        "real images counted as wholly real, the game stood still at the VAE's distance; at a rate of "
        "4e-4 the distance was 13 after 800 steps, where 2e-3 has 5; a tenth of the discriminator's maps "
        "silenced in place of three took it from 4.5 to 2.9 after 2,000 steps, and a rate that falls left"
        " it at 3.5 to 4. The VAE came to 7.6 at a rate of 1e-3 and to 6.8 at 2.5e-3, which is its rate "
        "here.",
        "How far ahead the game is depends on the images: a blur harms the strokes of a pen more than the"
        " broad shapes of letters. On 8,000 real notMNIST letters, with a rate that falls, one seed gave "
        "3.4 against the VAE's 6.5.",
        "A smoke run gives both the same number of steps, and so the game twice the work.",
    ),
)
