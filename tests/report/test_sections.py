"""What the page says in words is what the data say."""

import math

import numpy as np
import pytest

from bayesight import report as r
from bayesight.causal import Strata
from bayesight.data.audit import Conflict
from bayesight.evaluation import reliability
from bayesight.formatting import THIN
from bayesight.report import blocks


def said(section: r.Section) -> str:
    """Every word of a section's blocks, thin spaces made plain."""
    out = []

    def walk(value):
        if isinstance(value, str):
            out.append(value)
        elif isinstance(value, (tuple, list)):
            for item in value:
                walk(item)
        elif hasattr(value, "__dataclass_fields__") and not isinstance(value, blocks.Card):
            for name in value.__dataclass_fields__:
                if name != "svg":
                    walk(getattr(value, name))

    walk(section.blocks)
    return "\n".join(out).replace(THIN, " ")


def summary(**options) -> r.Section:
    """A summary of what is given, and of figures that no test looks at."""
    given = {"log_loss": 0.17, "calibration_error": 0.0082, "bins": 15, "readings": {}}
    return r.summary(r.Estimate(0.953, 0.944, 0.961), 2000, **given | options)


def precise(precision: float) -> dict:
    """A class of which only the precision is looked at; NaN where it was never said."""
    known = not math.isnan(precision)
    return {
        "precision": precision if known else None,
        "undefined": {} if known else {"precision": "never said"},
        "intervals": {"precision": [precision - 0.02, precision + 0.01]},
    }


def test_the_summary_says_what_a_positive_is_worth():
    words = said(summary(readings={"A": precise(0.99), "B": precise(0.97)}, by_chance=0.005))
    assert "Of 100 images it never learned from, it names 95 rightly (95 %: 94–96)." in words
    assert "least when it says B: of 100 images called B, 97 are B (95 %: 95–98)." in words
    assert "most when it says A: of 1,000 images called A, 990 are A" in words
    assert (
        "off by 0.82 percentage points on average. Were all of them true, chance alone would show 0.5."
        in words
    )


def test_a_class_never_called_is_not_the_most_trusted():
    words = said(summary(readings={"A": precise(math.nan), "B": precise(0.97)}))
    assert "says B" in words
    assert "says A" not in words


def test_the_worst_pairs_are_in_words():
    words = said(r.confusion_table([[90, 10], [3, 97]], ("A", "B")))
    assert "13 mistakes in 200 images" in words
    assert "A called B: 10 times, 10 % of all A\nB called A: 3 times, 3 % of all B" in words
    assert "Not one of 5 images" in said(r.confusion_table([[3, 0], [0, 2]], ("A", "B")))


def test_natural_frequencies_count_the_worked_example():
    words = said(r.counted_people(0.10, 0.99, 0.10))
    assert "Of 1,000 people, 100 are ill. Of these 99 are positive and 1 is missed." in words
    assert "Of the 900 healthy, 90 are positive all the same." in words
    assert "So of 189 who are positive, 99 are ill: 52 %." in words
    assert "So of" not in said(r.counted_people(0.0, 0.9, 0.0))


def test_belief_steps_tell_the_published_posteriors():
    words = said(r.belief_steps(("ill", "healthy"), {"prior": [0.1, 0.9], "1st positive": [0.9167, 0.0833]}))
    assert "Prior: healthy, 90 %" in words
    assert "1st positive: ill, 91.7 %" in words
    assert "Image: all 2 alike, 50 % each" in said(r.belief_steps(("a", "b"), {"image": [0.5, 0.5]}))


def test_precision_is_read_off_the_curve_at_the_stated_rate():
    g = np.geomspace(1e-4, 1, 400)
    curve = r.PrecisionCurve("B", g, g * 0.99 / (g * 0.99 + (1 - g) * 0.1), stated_rate=0.1, sample_rate=0.5)
    words = said(r.precision_curves((curve,)))
    assert "10 %\nstated\n52.4 %" in words
    assert "50 %\ntest images\n90.8 %" in words


def test_reliability_names_the_direction():
    sure = np.log([[0.95, 0.05]] * 100)
    words = said(r.reliability_diagram(reliability(sure, [0] * 70 + [1] * 30)))
    assert "Of the 100 images it was 93.3 % to 100 % sure of, 70 % were named rightly." in words
    assert "states 95 % and is right in 70 %: it is too sure of itself." in words
    assert "more modest" in said(r.reliability_diagram(reliability(np.log([[0.6, 0.4]] * 50), [0] * 50)))


def test_novelty_counts_what_the_threshold_flags():
    known, unknown = np.arange(100.0), np.array([50.0, 94.0, 95.0, 200.0])
    words = said(r.novelty(known, unknown, threshold=95.0, level=0.05, auroc=0.75, fpr95=0.6, source="MNIST"))
    assert "Of 100 known images, 5 % are called unknown (meant: 5 %)." in words
    assert "Of 4 images from MNIST that show nothing it knows, 50 % are." in words
    assert "75.0 % – how often" in words
    assert "60.0 % – unknown images" in words


def test_an_update_names_new_classes_and_the_largest_loss():
    section = r.update_change(
        ("A", "B", "H"),
        [0.95, 0.90, np.nan],
        [0.94, 0.93, 0.88],
        1000,
        elapsed_s=0.0382,
        new_classes=("H",),
        measures={"all": (0.6, 0.93), "new": (math.nan, 0.88)},
    )
    words = said(section)
    assert "In 38.2 ms, 1,000 labelled images were taken in, without training again." in words
    assert "H is a new class." in words
    assert "B gained most: 3.0 points" in words
    assert "A lost most: 1.0 points" in words
    assert "+33.0 points" in words
    assert "new\n\n–\n\n88.0 %\n\n–" in words


def test_base_rates_name_the_largest_changes():
    told = {"method": "Stated.", "measures": {"accuracy": (0.5, 0.75)}}
    words = said(r.base_rates(("A", "B", "C"), [0.3, 0.3, 0.4], [0.6, 0.3, 0.1], **told))
    assert "C has a base rate of 10 % here, 40 % in training" in words
    assert "B has" not in words
    assert "those of training" in said(r.base_rates(("A", "B"), [0.5, 0.5], [0.5, 0.5], **told))
    assert "accuracy\n\n50.0 %\n\n75.0 %\n\n+25.0 points" in words


def test_counts_name_the_extremes():
    assert "A has most, 30 (a base rate of 75 %), B fewest, 10 (25 %)." in said(
        r.class_counts({"A": 30, "B": 10})
    )
    assert "Every class has 10, so each has a base rate of 50 %." in said(r.class_counts({"A": 10, "B": 10}))
    assert "no examples" in said(r.class_counts({}))


METRICS = {
    "sources": [{"source": "plays.txt", "characters": 1_115_394, "content_hash": "ab"}],
    "examples": {"train": 1_003_854, "also": 0},
    "seed": 3,
    "selection": "the last",
    "seconds": {"training": 75},
    "hardware": {"threads": 2, "torch": "2.13.0"},
    "bayesight": "0.1.0",
}


def test_the_recipe_is_told_in_the_order_of_its_four_keys():
    recipe = {
        "optimization": {"name": "adam", "lr": 0.001, "warm_up": None},
        "data": {"size": [28, 28], "n": 12345},
        "loss": {"name": "cross-entropy"},
        "model": {"name": "mlp", "bias": True},
    }
    facts = next(b for b in r.training(METRICS, recipe).blocks if isinstance(b, blocks.Facts))
    assert facts.items == [
        ("data", "size 28 × 28, n 12,345"),
        ("model", "mlp, bias yes"),
        ("loss", "cross-entropy"),
        ("optimization", "adam, lr 0.001, warm up none"),
    ]


@pytest.mark.parametrize(("kind", "unit"), [({"kind": "language"}, "characters"), ({}, "images")])
def test_sources_are_counted_in_their_unit(kind, unit):
    section = r.training(METRICS | kind, {key: {} for key in ("data", "model", "loss", "optimization")})
    table, _, facts = section.blocks
    assert table.columns[2].name == unit
    assert [cell.text for cell in table.rows[0]] == [
        "plays.txt",
        "training and validation",
        "1,115,394",
        "ab",
    ]
    assert facts.items[0] == (unit, "1,003,854 train")
    assert ("seed", "3") in facts.items
    assert "bayesight 0.1.0, torch 2.13.0" in said(section)
    assert "1 min 15 s on 2 threads" in said(section)


def test_learning_curves_say_which_weights_were_kept():
    losses = {"validation": [0.9, 0.5, 0.6], "training": [0.8, 0.4, 0.2]}
    words = said(r.learning_curves(losses, [0.7, 0.91, 0.9], best_epoch=2))
    assert "The weights of epoch 2 were kept (dotted line), where 91 % of the validation images" in words
    assert "The weights of epoch 2 were kept (dotted line)." in said(r.learning_curves(losses, best_epoch=2))
    assert "kept" not in said(r.learning_curves(losses))


def test_nothing_to_report_is_said_too():
    assert "It made no mistake." in said(r.mistakes((), total=0))
    assert "No label looks wrong." in said(r.suspicious_labels((), total=0))
    assert "Every image could be read." in said(r.quarantine((), ignored=0))
    assert "No image is there twice." in said(r.duplicates(0, 0, ()))


def test_quarantine_and_duplicates_are_counted():
    words = said(r.quarantine((("A/x.png", "0 bytes"),), ignored=1))
    assert "1 file could not be read" in words
    assert "1 other file was passed over, holding no image." in words
    assert "A/x.png\n" in words
    words = said(r.duplicates(2, 3, (Conflict(("A/1", "B/2"), {"A": 1, "B": 1}),)))
    assert "2 images are there more than once, which makes 3 too many." in words
    assert "one image is there under more than one label" in words
    assert "A and B" in words


def test_strata_stand_largest_first_and_name_what_never_occurs():
    rows, means = np.array([[0.0, 30.0], [10.0, 20.0]]), np.array([[0.0, 0.5], [0.25, 0.75]])
    found = Strata(("size",), (("small",), ("large",)), rows, rows, means, means, True, ("A", "B"))
    words = said(r.strata_table(found, ("A", "B")))
    assert "83 % of the rows lie in strata where every treatment occurs" in words
    assert "size=large\n\n50.0 %\n30 rows\n75.0 %\n20 rows\nyes" in words
    assert "size=small\n\n–\n0 rows\n25.0 %\n10 rows\nno A" in words
    assert words.index("size=large") < words.index("size=small")
