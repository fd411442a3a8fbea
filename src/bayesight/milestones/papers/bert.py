"""BERT: an encoder that has learned to name hidden words needs few labels for what lies in their order."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, Smoke, key
from bayesight.milestones.bench.reading import from_scratch, naive_bayes, pretrained, published

TEXTS = {"labels": 1000, "few": 100, "judged": 1000, "context": 48, "vocabulary": 2000}
ENCODER = key("bert", layers=2, width=128, heads=4)

PRETRAIN = Keys(
    data=key("sentences", batch=64, context=48, vocabulary=2000),
    model=ENCODER,
    loss=key("masked", share=0.15),
    optimization=key(
        "adamw", lr=3e-3, weight_decay=0.01, clip_norm=1.0, steps=2000, schedule=key("cosine", warmup=0.1)
    ),
    stage="pretrain",
)
LABELS = Keys(
    data=key("sentences", batch=32, **TEXTS),
    model=ENCODER,
    loss=key("cross_entropy", label_smoothing=0.1),
    optimization=key(
        "adamw",
        rates=(3e-4, 1e-3),
        weight_decay=0.01,
        clip_norm=1.0,
        epochs=10,
        word_epochs=2,
        steps=300,
        schedule=key("cosine", warmup=0.1),
    ),
    stage="labels",
)
FROZEN = Keys(
    data=key("sentences", **TEXTS),
    model=key("minilm", on="mean over places, at unit length"),
    loss=key("squared_error", ridge=1.0),
    optimization=key("closed_form"),
    stage="labels",
)
WORDS = Keys(
    data=key("sentences", **TEXTS),
    model=key("words"),
    loss=key("naive_bayes", smoothing=1.0),
    optimization=key("counting"),
    stage="labels",
)

MILESTONE = Milestone(
    name="bert",
    year=2018,
    paper=Paper(
        "Devlin, Chang, Lee, Toutanova",
        "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
        "NAACL 2019",
        "https://arxiv.org/abs/1810.04805",
    ),
    claim=marked(
        "An encoder that has learned to name hidden words from those on both sides needs few labels."
    ),
    figure=marked(
        "GLUE 82.1 (BERT large), against 75.1 for OpenAI's GPT, which reads one way, and 71.0 without "
        "fine-tuning a transformer (table 1)."
    ),
    displaced=marked("training from the labels alone, on fixed vectors of words"),
    key="loss",
    story="The loss needs no label: a word is hidden, and those around it shall name it. The data is any "
    "text, the model a transformer's encoder that sees both sides. What it learns of how words stand "
    "together is then worth thousands of labels, where order matters; where single words decide, counting "
    "them is hard to beat.",
    arms=(
        Arm("bert", (PRETRAIN, LABELS), pretrained),
        Arm("scratch", (LABELS,), from_scratch),
        Arm("minilm", (FROZEN,), published),
        Arm("naive bayes", (WORDS,), naive_bayes),
    ),
    claims=(
        Claim(
            "bert", "order", ">=", against="scratch", margin=0.1, differs=("pretrain",), smoke=(1.0, -0.15)
        ),
        Claim(
            "minilm",
            "reviews_few",
            ">=",
            against="scratch",
            margin=0.1,
            differs=("data", "model", "loss", "optimization"),
            smoke=(1.0, -0.15),
        ),
    ),
    metrics={
        "order": "share of sentences of which it is said rightly whether two words within four places were "
        "exchanged, from 1,000 labels; a bag of words cannot tell",
        "reviews": "share of movie reviews that are told rightly, from 1,000 labels",
        "reviews_few": "the same from 100 labels",
        "spam": "share of short messages that are told rightly, from 1,000 labels",
    },
    watched="cross-entropy of the hidden symbols, nats",
    source="sentences",
    needs=4000,
    smoke=Smoke(
        {
            "optimization.steps": 40,
            "pretrain.data.batch": 32,
            "data.labels": 200,
            "data.judged": 200,
            "data.context": 32,
            "data.vocabulary": 800,
        }
    ),
    minutes=25,
    differences=(
        "29,000 captions and an encoder of two layers in place of 3,300 million words and 24; the sentences "
        "are short, normalisation comes first and nothing is dropped out, as Cramming (Geiping, Goldstein "
        "2022) advises where there is little to compute with; only hidden places are projected, and there "
        "are no pairs of sentences.",
        "The question is made from the captions themselves: were two words within four places exchanged?",
        "MiniLM was fine-tuned contrastively on pairs of sentences after masking; its weights stay as they "
        "are, under a ridge regression.",
    ),
    notes=(
        "Each network takes the better of two rates on texts of its seed that are not judged. The rate, "
        "batch and length of pretraining and the ridge under MiniLM (.05 to 5) were chosen with one seed "
        "each on such texts of splits of their own, so that some of those are judged here by another seed.",
        "Half as large a batch over 1,500 steps taught nothing of order: what tells it is learned late, "
        "when the loss falls from 4.7 to 3.6 nats.",
        "Sentiment and spam lie in single words: naive Bayes stands beside the networks there.",
    ),
)
