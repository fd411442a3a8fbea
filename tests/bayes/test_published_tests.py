"""Screening and diagnostic tests as they were published: our reading gives the published figures.

Each row names its source. ``digits`` is the precision in which the source prints its figure, so an answer
passes when it rounds to the published one.
"""

from dataclasses import dataclass

import pytest

from bayesight.bayes.diagnostic import Rates, from_counts


@dataclass(frozen=True)
class Published:
    """Rates and prevalence as stated, and the printed worth of a result."""

    name: str
    source: str
    prevalence: float
    sensitivity: float
    false_alarm: float
    precision: float | None = None
    npv: float | None = None
    digits: int = 2


HOFFRAGE_1998 = "Hoffrage and Gigerenzer 1998, Using natural frequencies, Academic Medicine 73:538"
HOFFRAGE_2000 = (
    "Hoffrage, Lindsey, Hertwig, Gigerenzer 2000, Communicating statistical information, Science 290:2261"
)
FREQUENCY = "Gigerenzer and Hoffrage 1995, How to improve Bayesian reasoning, Psychological Review 102:684"
CALCULATED = "Gigerenzer 2002, Calculated Risks, chapter 7 (low-risk men)"
HELPING = "Gigerenzer et al. 2007, Helping doctors and patients make sense of health statistics, p. 55"
CASSCELLS = "Casscells et al. 1978, NEJM 299:999; again in Manrai et al. 2014, JAMA Intern. Med. 174:991"
KAHNEMAN = "Tversky and Kahneman 1982, the cab problem; Kahneman 2011, Thinking, Fast and Slow, chapter 16"
SAVAGE = "Savage 2009, The Flaw of Averages, chapter 36; Savage and Wainer 2008, Chance 21(1)"
BLASTLAND = (
    "Blastland, BBC News 2009, the terrorist detector (contriving.net/2009/07/27/the-base-rate-fallacy)"
)
RICE = "Rice 2007, Mathematical Statistics and Data Analysis, 3rd ed. (math.stackexchange.com/q/4260398)"
DRUGS = "Memorial University, Biology 4250, Bayes' theorem (mun.ca/biology/scarr/4250_Bayes_Theorem.html)"
COVID = "Piltch-Loeb et al. 2021, Interpreting COVID-19 test results, J. Am. Board Fam. Med. 34:S233, table 2"
PCR = "Watson, Whiting, Brush 2020, Interpreting a covid-19 test result, BMJ 369:m1808, two cases"
FLU = "CDC 2008, Rapid diagnostic testing for influenza, tables of predictive values (rapidlab.htm)"
KLINE = "Kline et al. 2006, Simplify D-dimer assay for pulmonary embolism, Chest 129:1417"
PSA = "Rambam Maimonides Medical Journal 9(4):e0027, table 4, PSA above 4 ng/mL"

RATES = [
    Published("mammography at forty", FREQUENCY, 0.01, 0.80, 0.096, precision=0.078, digits=3),
    Published("mammography, no symptoms", HOFFRAGE_1998, 0.008, 0.90, 0.07, precision=0.09),
    Published("mammography, 1 in 10", HELPING, 0.01, 0.90, 0.09, precision=0.1, digits=1),
    Published("mammogram read by a radiologist", RICE, 0.01, 0.80, 0.10, precision=0.075, digits=3),
    Published(
        "haemoccult, colorectal cancer", HOFFRAGE_2000, 0.003, 0.50, 0.03, precision=15 / 314, digits=3
    ),
    Published("HIV, men without known risk", CALCULATED, 1e-4, 0.999, 1e-4, precision=0.5, digits=1),
    Published("a disease of 1 in 1,000", CASSCELLS, 0.001, 1.0, 0.05, precision=0.0196, digits=4),
    Published("the witness and the blue cab", KAHNEMAN, 0.15, 0.80, 0.20, precision=0.41),
    Published("voice analysis for terrorists", SAVAGE, 1e-5, 0.99, 0.01, precision=0.001, digits=3),
    Published("detector in Parliament", BLASTLAND, 1 / 3000, 0.90, 0.10, precision=0.003, digits=3),
    Published("drug test of athletes", DRUGS, 0.005, 0.99, 0.01, precision=0.332, digits=3),
    Published("covid lateral flow, 0.1 %", COVID, 0.001, 0.90, 0.05, precision=0.018, npv=0.999, digits=3),
    Published("covid lateral flow, 0.2 %", COVID, 0.002, 0.90, 0.05, precision=0.035, npv=1.0, digits=3),
    Published("covid PCR, 40 %", COVID, 0.40, 0.85, 0.05, precision=0.919, npv=0.905, digits=3),
    Published("covid PCR, 60 %", COVID, 0.60, 0.85, 0.05, precision=0.962, npv=0.809, digits=3),
    Published("covid PCR, 80 %", COVID, 0.80, 0.90, 0.05, precision=0.986, npv=0.704, digits=3),
    Published("covid PCR, 80 %, poor swab", COVID, 0.80, 0.80, 0.05, precision=0.984, npv=0.543, digits=3),
    Published("covid PCR negative with fever", PCR, 0.50, 0.70, 0.05, npv=1 - 0.24),
    Published("covid PCR negative, strong suspicion", PCR, 0.90, 0.70, 0.05, npv=1 - 0.74),
    Published("rapid influenza, 20 %, specificity 80 %", FLU, 0.20, 0.50, 0.20, precision=0.38, npv=0.86),
    Published("rapid influenza, 20 %, specificity 98 %", FLU, 0.20, 0.50, 0.02, precision=0.86, npv=0.89),
    Published("rapid influenza, 2.5 %, specificity 98 %", FLU, 0.025, 0.50, 0.02, precision=0.39),
    Published("D-dimer, pulmonary embolism", KLINE, 108 / 2302, 0.806, 0.275, npv=0.987, digits=3),
    Published("PSA at 50", PSA, 0.40, 0.21, 0.09, precision=0.6, npv=0.6, digits=1),
    Published("PSA at 70", PSA, 0.80, 0.21, 0.09, precision=0.9, npv=0.2, digits=1),
]


@pytest.mark.parametrize("row", RATES, ids=lambda r: r.name)
def test_worth_of_a_result_from_published_rates(row):
    # One unit of the last printed digit: sources truncate as often as they round.
    unit = 10.0**-row.digits
    test = Rates(row.sensitivity, row.false_alarm, row.prevalence)
    if row.precision is not None:
        assert test.precision == pytest.approx(row.precision, abs=unit)
    if row.npv is not None:
        assert test.negative_predictive_value == pytest.approx(row.npv, abs=unit)
    assert row.source
    assert row.precision is not None or row.npv is not None


ALTMAN = "Altman and Bland 1994, Diagnostic tests 1 and 2, BMJ 308:1552 and 309:102 (liver scan)"
OCCULT = "Wikipedia, template Diagnostic testing example (faecal occult blood, 2,030 people)"
COLUMBIA = "Columbia University, Pedialabs, worked example 1 (faecal occult blood, 203 people)"
VOICE = "J. Clin. Virol. 2017, 94:15, table 1 (PMC5790424), Determine HIV-1/2 in the VOICE trial"
UNIGOLD = "J. Acquir. Immune Defic. Syndr. 2010, 55:625, table 1 (PMC3248920), Uni-Gold in the community"
BMC = "BMC Infectious Diseases 2013, 13:133, table 2, all 235 patients"
PRENATAL = (
    "Non-invasive prenatal testing of 6,238 pregnancies, trisomy 21 (html.scirp.org/file/_2-1370312_3.htm)"
)

COUNTS = [
    (ALTMAN, (231, 27, 32, 54), {"sensitivity": 0.90, "specificity": 0.63, "precision": 0.88}, 2),
    (OCCULT, (20, 10, 180, 1820), {"sensitivity": 0.67, "specificity": 0.91, "precision": 0.10}, 2),
    (OCCULT, (20, 10, 180, 1820), {"negative_predictive_value": 0.995}, 3),
    (
        COLUMBIA,
        (2, 1, 18, 182),
        {"precision": 0.10, "negative_predictive_value": 0.9945, "specificity": 0.91},
        2,
    ),
    (VOICE, (356, 45, 32, 71763), {"sensitivity": 0.8878, "precision": 0.9175, "specificity": 0.9996}, 4),
    (VOICE, (356, 45, 32, 71763), {"negative_predictive_value": 0.9994}, 4),
    (UNIGOLD, (807, 8, 7, 2089), {"sensitivity": 0.990, "specificity": 0.997, "precision": 0.991}, 3),
    (UNIGOLD, (807, 8, 7, 2089), {"negative_predictive_value": 0.996}, 3),
    (BMC, (27, 7, 7, 194), {"sensitivity": 0.794, "specificity": 0.965, "precision": 0.794}, 3),
    (BMC, (27, 7, 7, 194), {"negative_predictive_value": 0.965, "accuracy": 0.940}, 2),
    (PRENATAL, (54, 0, 1, 6183), {"sensitivity": 1.0, "precision": 0.982, "prevalence": 0.0087}, 3),
]


@pytest.mark.parametrize(("source", "counts", "published", "digits"), COUNTS)
def test_published_two_by_two_tables(source, counts, published, digits):
    tp, fn, fp, tn = counts
    rates = Rates(tp / (tp + fn), fp / (fp + tn), (tp + fn) / sum(counts))
    # A prior of next to nothing leaves the observed share, and the interval must hold it.
    found = from_counts(*counts, prior=(1e-9, 1e-9), draws=1000).estimates()
    jeffreys = from_counts(*counts, draws=1000).estimates()
    for name, value in published.items():
        unit = 0.55 * 10.0**-digits
        assert getattr(rates, name) == pytest.approx(value, abs=unit)
        observed = getattr(rates, name)
        if name != "prevalence":
            assert found[name].mean == pytest.approx(observed, abs=1e-6)
        if observed < 1:
            assert jeffreys[name].low < observed < jeffreys[name].high
    assert source


def test_published_likelihood_ratio_and_interval():
    # BMC 2013: 22.8 for a positive, and 63.2-89.7 % for the sensitivity by Wilson's method.
    found = from_counts(27, 7, 7, 194)
    assert Rates(27 / 34, 7 / 201, 34 / 235).likelihood_ratios[0] == pytest.approx(22.8, abs=0.05)
    assert found.sensitivity.low == pytest.approx(0.632, abs=0.015)
    assert found.sensitivity.high == pytest.approx(0.897, abs=0.015)
    # Kline 2006: 0.27 (0.18-0.38) for a negative D-dimer.
    kline = Rates(0.806, 0.275, 108 / 2302)
    assert kline.likelihood_ratios[1] == pytest.approx(0.27, abs=0.005)


def test_there_are_fifteen_and_more():
    assert len({row.name for row in RATES}) >= 15
    assert len({row.source for row in RATES} | {row[0] for row in COUNTS}) >= 15
