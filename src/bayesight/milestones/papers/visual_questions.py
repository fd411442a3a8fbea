"""Questions about pictures: a relation network compares every place with every other."""

from typing import Any

from bayesight.language import marked
from bayesight.milestones.bench.asking import answer_questions
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, Smoke, key


def recipe(model: str, **options: Any) -> Keys:
    """Pictures of six shapes, each with its twenty questions."""
    return Keys(
        data=key("shapes", batch=16, train=10000, test=1000, side=64),
        model=key(model, width=128, **options),
        loss=key("cross_entropy"),
        optimization=key(
            "adamw", lr=2e-3, weight_decay=1e-4, clip_norm=1.0, schedule=key("cosine", warmup=0.1), steps=8000
        ),
    )


LOOKS = (32, 32, 32, 32)

MILESTONE = Milestone(
    name="visual-questions",
    year=2017,
    paper=Paper(
        "Santoro, Raposo, Barrett, Malinowski, Pascanu, Battaglia, Lillicrap",
        "A simple neural network module for relational reasoning",
        "NeurIPS 2017",
        "https://arxiv.org/abs/1706.01427",
    ),
    claim=marked(
        "A network that asks the question of every pair of places answers how things stand to each other, "
        "where one that sees the whole map at once answers of single things alone."
    ),
    figure=marked(
        "Sort-of-CLEVR: above .94 for either kind of question, where CNN + MLP has .63 for relational "
        "ones (sec. 5.2); a public reproduction .89 relational and .99 others, CNN + MLP .66 and .66."
    ),
    displaced=marked("convolutions and fully connected layers that see the map as one vector"),
    key="model",
    story="Data are pictures, each with questions, and the loss is the cross-entropy of the answers. The "
    "model compares: one small network sees every pair of places together with the question, and what it "
    "says of all of them is added up, so that what holds of one pair is learned for all.",
    arms=(
        Arm("relation network", (recipe("relation", widths=LOOKS, pairs=128),), answer_questions),
        Arm("attention", (recipe("attention", widths=LOOKS),), answer_questions),
        Arm("cnn + mlp", (recipe("cnn-mlp", widths=LOOKS),), answer_questions),
        Arm("blind", (recipe("blind"),), answer_questions),
    ),
    claims=(
        Claim("relation network", "relational", ">=", margin=0.93, smoke=(1.0, 0.4)),
        Claim("relation network", "non_relational", ">=", margin=0.97, smoke=(1.0, 0.5)),
        Claim(
            "relation network",
            "relational",
            ">=",
            against="cnn + mlp",
            margin=0.1,
            differs=("model",),
            smoke=(1.0, -0.05),
        ),
    ),
    metrics={
        "relational": "accuracy of the questions on one object and the others",
        "non_relational": "accuracy of the questions on one object alone",
        "ece": "calibration error of the answers' probabilities, 15 bins",
        "parameters": "numbers that are learned",
    },
    watched="training loss, nats a question",
    smoke=Smoke(
        {"optimization.steps": 250, "data.train": 1000, "data.test": 200, "data.side": 32, "model.pairs": 32}
    ),
    source="shapes",
    minutes=20,
    differences=(
        "Pictures of 64x64 pixels in place of 75x75; objects never touch, and no distance is a tie, so that "
        "each question has one answer.",
        "A step takes sixteen pictures with all their twenty questions, and looks at each picture once.",
        "One place of each pair is that of which the question is, found by attention of four heads: of "
        "sixteen places sixteen pairs are seen, and not 256. A pair is seen by two layers of 128.",
        "AdamW with a rate that rises and falls, and two thirds of the pictures of the public reproduction.",
    ),
)
