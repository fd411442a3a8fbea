"""Least squares: the line that misses by least, found by going downhill."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, Smoke, key
from bayesight.milestones.bench.lines import fit_by_averages, fit_by_bayes, fit_by_descent

POINTS = key("line", points=200, slope=2.0, intercept=-1.0, noise=0.5)

DESCENT = Keys(
    data=POINTS,
    model=key("line"),
    loss=key("squared_error"),
    optimization=key("sgd", lr=0.1, momentum=0.9, steps=400),
)
POSTERIOR = Keys(
    data=POINTS,
    model=key("line", prior_precision=1e-6),
    loss=key("negative_log_posterior"),
    optimization=key("closed_form"),
)
AVERAGES = Keys(
    data=POINTS, model=key("line"), loss=key("centres_of_two_halves"), optimization=key("closed_form")
)

MILESTONE = Milestone(
    name="linear-regression",
    year=1805,
    paper=Paper(
        "Legendre",
        "Nouvelles méthodes pour la détermination des orbites des comètes",
        "Paris, appendix 'Sur la méthode des moindres quarrés'",
        "https://archive.org/details/nouvellesmthode00legegoog",
    ),
    claim=marked(
        "Of all lines the one with the least sum of squared errors is easy to find and keeps the errors in "
        "balance."
    ),
    figure=marked("a closed form; here it must be met by gradient descent to 1e-4."),
    displaced=marked("the method of averages (Mayer 1750)"),
    key="loss",
    story="The oldest recipe there is: points, a line, the squared error, and a way down. Everything after "
    "it replaces one of the four. The loss was the news: it made the answer a matter of calculation, and "
    "Bayes' theorem with Gaussian noise gives the same line, with its uncertainty.",
    arms=(
        Arm("gradient descent", (DESCENT,), fit_by_descent),
        Arm("posterior", (POSTERIOR,), fit_by_bayes),
        Arm("averages", (AVERAGES,), fit_by_averages),
    ),
    claims=(
        Claim("gradient descent", "slope_error", "<=", margin=1e-4),
        Claim("gradient descent", "intercept_error", "<=", margin=1e-4),
        Claim("posterior", "slope_error", "<=", margin=1e-4),
        Claim("posterior", "intercept_error", "<=", margin=1e-4),
        Claim(
            "gradient descent",
            "squared_error",
            "<=",
            against="averages",
            differs=("loss", "optimization"),
        ),
    ),
    metrics={
        "slope": "of the line; 2 is true",
        "intercept": "of the line; -1 is true",
        "slope_error": "distance from the slope of `torch.linalg.lstsq`",
        "intercept_error": "distance from its intercept",
        "squared_error": "mean over the points",
        "slope_low": "lower end of the posterior's 95 % interval",
        "slope_high": "its upper end",
        "intercept_low": "lower end of the posterior's 95 % interval",
        "intercept_high": "its upper end",
    },
    watched="squared error",
    source="none",
    smoke=Smoke({}),
    minutes=0.1,
    differences=("Gradient descent on the engine in place of Legendre's normal equations.",),
)
