"""What a trained run's answers are worth, measured on real letters it has never seen.

    python benchmarks/belief.py                # trains three networks first: 15 minutes on an idle core
    python benchmarks/belief.py --runs FOLDER  # keeps them there, and uses those that are there

A resnet is trained on 6,000 real letters by the packaged recipe; 2,000 are held out, identical ones never on
both sides. A second one sees only the classes A to G, a third one digits. One row each in results/belief.csv:
calibration, exactness, new classes, base rates known and inferred, unknown kinds, wrong labels.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from support.record import append, facts
from torch import Tensor

from bayesight import Recipe, RenderOptions, Run, Store, TrainRequest, open_store, render, train
from bayesight.bayes.calibrate import apply, fit_bcts
from bayesight.bayes.label_shift import PriorEstimate, em_prior
from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classifier
from bayesight.belief.updating import absorb
from bayesight.data.batches import Examples
from bayesight.data.splits import split
from bayesight.evaluation import expected_calibration_error, log_loss
from bayesight.evaluation.novelty import auroc, threshold
from bayesight.training.classification import log_probabilities
from bayesight.workflows.infer_prior import infer
from bayesight.workflows.labels import audit_labels
from bayesight.workflows.sources import read_unlabelled

DATA = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data"))
SPLIT_SEED = 2026


@dataclass(frozen=True)
class Setting:
    """Letters, which of them are held out, and where runs are kept."""

    store: Store
    train: np.ndarray
    held: np.ndarray
    folder: Path
    seed: int

    def run(self, name: str, source: Path) -> Run:
        """The run of that name, trained now if it is not there."""
        out = self.folder / name
        if not (out / "metrics.json").exists():
            recipe = Recipe.default("resnet").changed({"seed": self.seed})
            train(TrainRequest(source, out, recipe, overwrite=out.exists()))
        return Run.open(out)

    def rows_of(self, classifier: Classifier, chosen: np.ndarray) -> Rows:
        """Letters as the classifier's head sees them."""
        labels = self.store.labels[chosen]
        features = classifier.features(Examples((self.store.images,), chosen, labels).in_order(1024))
        return Rows(features, torch.from_numpy(labels), torch.from_numpy(self.store.digests[chosen]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, help="where trained runs are kept")
    parser.add_argument("--draws", type=int, default=200, help="of base rates")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = open_store(DATA / "notmnist" / "notMNIST_real8k.tar.gz")
    parts = split(store.labels, store.digests, {"train": 0.75, "held": 0.25}, SPLIT_SEED)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.runs or Path(temporary)
        setting = Setting(store, parts["train"], parts["held"], folder, options.seed)
        for question, figures in measured(setting, options.draws, Path(temporary)):
            row = {"question": question, "seed": options.seed, **figures}
            print(
                question,
                {k: v if isinstance(v, str) else round(v, 5) for k, v in figures.items()},
                flush=True,
            )
            append(
                "belief.csv",
                [facts() | {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}],
            )


def measured(setting: Setting, draws: int, here: Path) -> Iterator[tuple[str, dict[str, float | str]]]:
    """Every question with its figures."""
    run = setting.run("letters", folder_of(setting.store, setting.train, here / "train"))
    classifier = run.classifier()
    held = setting.rows_of(classifier, setting.held)
    yield "held-out letters: the head beside softmax with its temperature", calibration(setting, run, held)
    yield "absorbed in batches of any size and order", exactness(classifier, held)
    yield "after half the past's trust, 1,000 letters absorbed", discounted(classifier, held, 0.5)
    yield "after a tenth of the past's trust, 1,000 letters absorbed", discounted(classifier, held, 0.1)
    yield "base rates of another place", base_rates(classifier, held, draws, setting.seed)
    for images in (30, 100, 300, 1000):
        for name, shares in true_shares(len(classifier.prior)).items():
            question = f"base rates of {images} images, {name}"
            yield question, small_samples(classifier, held, images, shares, min(draws, 25))
    for share in (0.1, 0.3):
        question = f"base rates of 1000 images, {share:.0%} of them digits"
        yield question, mixed_samples(setting, classifier, held, share, min(draws, 25))
    yield from unknown_kinds(setting, classifier, held, here)
    for count in (100, 1000):
        yield f"A-G learned, then {count} labelled H-J", new_classes(setting, here, count)
    yield "6.5 % of the labels flipped", wrong_labels(setting, here)


def calibration(setting: Setting, run: Run, held: Rows) -> dict[str, float | str]:
    """Head and softmax on the same held-out letters, each at the temperature from its validation images."""
    classifier, network = run.classifier(), run.network()
    answer = (classifier.log_likelihood(held.features) + classifier.prior.log()).log_softmax(1)
    logits = log_probabilities(network, Examples((setting.store.images,), setting.held, held.labels.numpy()))
    softmax = (logits / run.metrics()["softmax"]["temperature"]).log_softmax(1)
    figures: dict[str, float | str] = {"examples": len(held)}
    for name, log_p in (("head", answer), ("softmax", softmax)):
        figures |= {
            f"{name}_accuracy": (log_p.argmax(1) == held.labels).double().mean().item(),
            f"{name}_log_loss": log_loss(log_p, held.labels),
            f"{name}_ece": expected_calibration_error(log_p, held.labels),
        }
    best = apply(fit_bcts(answer, held.labels, bias=False), answer)
    return figures | {"head_ece_at_its_best_temperature_here": expected_calibration_error(best, held.labels)}


def exactness(classifier: Classifier, held: Rows) -> dict[str, float | str]:
    """All at once against random pieces; half removed against the other half alone."""
    draw = torch.Generator().manual_seed(1)
    order, asked = torch.randperm(len(held), generator=draw), held.features[:500]

    def posterior(c: Classifier) -> Tensor:
        return (c.log_likelihood(asked) + c.prior.log()).softmax(1)

    whole, _ = classifier.with_rows(held)
    pieces, at = classifier, 0
    while at < len(held):
        size = int(torch.randint(1, 200, (1,), generator=draw))
        pieces, _ = pieces.with_rows(held.at(order[at : at + size]))
        at += size
    half, other = order[: len(held) // 2], order[len(held) // 2 :]
    left, alone = whole.remove(held.at(half)), classifier.with_rows(held.at(other))[0]
    return {
        "examples": len(held),
        "largest_difference": float((posterior(whole) - posterior(pieces)).abs().max()),
        "largest_difference_after_removal": float((posterior(left) - posterior(alone)).abs().max()),
    }


def discounted(classifier: Classifier, held: Rows, trust: float) -> dict[str, float | str]:
    """Calibration on the other held-out letters after a discounted update."""
    order = torch.randperm(len(held), generator=torch.Generator().manual_seed(2))
    after, _ = absorb(classifier, held.at(order[:1000]), trust_past=trust)
    rest = held.at(order[1000:])
    log_p = (after.log_likelihood(rest.features) + after.prior.log()).log_softmax(1)
    return {
        "examples": len(rest),
        "head_accuracy": (log_p.argmax(1) == rest.labels).double().mean().item(),
        "head_log_loss": log_loss(log_p, rest.labels),
        "head_ece": expected_calibration_error(log_p, rest.labels),
    }


def base_rates(classifier: Classifier, held: Rows, draws: int, seed: int) -> dict[str, float | str]:
    """Base rates drawn from Dirichlet(.3): what knowing them brings, and what inferring them brings."""
    rng, true = np.random.default_rng(seed), held.labels.numpy()
    likelihood, base = classifier.log_likelihood(held.features), classifier.prior
    accuracies, covered, widths = [], [], []
    for draw in range(draws):
        prior = rng.dirichlet(np.full(len(base), 0.3))
        chosen = drawn(held, prior, 2000, rng)
        found = infer(classifier, held.features[chosen], seed=draw).estimate

        def accuracy(p: Tensor, chosen: np.ndarray = chosen) -> float:
            answers = (likelihood[chosen] + p.clamp_min(1e-12).log()).argmax(1).numpy()
            return float((answers == true[chosen]).mean())

        accuracies.append([accuracy(p) for p in (base, torch.from_numpy(prior), found.prior)])
        inside, width = coverage(found, prior)
        covered.append(inside)
        widths.append(width)
    old, known, inferred = np.mean(accuracies, axis=0)
    return {
        "draws": draws,
        "examples": 2000,
        "accuracy_training_shares": float(old),
        "gain_known": float(known - old),
        "gain_inferred": float(inferred - old),
        "share_of_gain": float((inferred - old) / (known - old)),
        "coverage_of_90_percent_intervals": float(np.mean(covered)),
        "mean_width": float(np.mean(widths)),
    }


def true_shares(classes: int) -> dict[str, np.ndarray | None]:
    """Kinds of places; None draws the shares from Dirichlet(.3)."""
    even = np.ones(classes)
    missing, only = even.copy(), np.zeros(classes)
    missing[3], only[5] = 0, 1
    kinds = {
        "as in training": even,
        "skewed": 0.6 ** np.arange(classes),
        "one missing": missing,
        "one only": only,
    }
    return {name: shares / shares.sum() for name, shares in kinds.items()} | {"Dirichlet(.3)": None}


def fixed_pull(log_posterior: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """The most probable prior where one image a class more, on the average, is of the training shares."""
    prior = old
    for _ in range(2000):
        counts = (log_posterior + prior.log() - old.log()).softmax(1).sum(0) + len(old) * old
        prior = counts / counts.sum()
    return prior


def small_samples(
    classifier: Classifier, held: Rows, images: int, shares: np.ndarray | None, draws: int
) -> dict[str, float | str]:
    """Total variation from the truth, beside maximum likelihood and a fixed pull to the training shares."""
    rng, found = np.random.default_rng(7), []
    judged, old = classifier.judged, classifier.prior
    validation = (classifier.judged_log_likelihood + old.log()).log_softmax(1)
    calibration = fit_bcts(validation, judged.labels, weights=judged.weights)
    for draw in range(draws):
        prior = rng.dirichlet(np.full(len(old), 0.3)) if shares is None else shares
        features = held.features[drawn(held, prior, images, rng)]
        given = apply(calibration, (classifier.log_likelihood(features) + old.log()).log_softmax(1))
        new = infer(classifier, features, level=0.95, seed=draw).estimate
        answers = (new.prior, em_prior(given, old), fixed_pull(given, old))
        off = [0.5 * np.abs(answer.numpy() - prior).sum() for answer in answers]
        found.append([*off, *coverage(new, prior), new.unknown is not None and new.unknown.found])
    new_tv, plain, pulled, covered, width, warned = np.mean(found, axis=0).tolist()
    return {
        "draws": draws,
        "examples": images,
        "total_variation": new_tv,
        "total_variation_maximum_likelihood": plain,
        "total_variation_fixed_pull": pulled,
        "coverage_of_95_percent_intervals": covered,
        "mean_width": width,
        "unknown_found": warned,
    }


def mixed_samples(
    setting: Setting, classifier: Classifier, held: Rows, share: float, draws: int
) -> dict[str, float | str]:
    """Letters of Dirichlet(.3) shares and digits among them, which nobody has told of."""
    digits, _ = read_unlabelled(DATA / "mnist" / "mnist-half-images-idx3-ubyte.gz", classifier.classes)
    strange, rng, found = classifier.features(digits.in_order(1024)), np.random.default_rng(8), []
    for draw in range(draws):
        prior = rng.dirichlet(np.full(len(classifier.prior), 0.3))
        others = int(rng.binomial(1000, share))
        known = held.features[drawn(held, prior, 1000 - others, rng)]
        features = torch.cat([known, strange[rng.choice(len(strange), others, replace=False)]])
        new = infer(classifier, features, level=0.95, seed=draw).estimate
        assert new.unknown is not None
        off = 0.5 * np.abs(new.prior.numpy() - prior).sum()
        inside = new.unknown.low <= share <= new.unknown.high
        found.append([off, *coverage(new, prior), new.unknown.found, new.unknown.share, inside])
    tv, covered, width, warned, unknown, inside = np.mean(found, axis=0).tolist()
    return {
        "draws": draws,
        "examples": 1000,
        "total_variation": tv,
        "coverage_of_95_percent_intervals": covered,
        "mean_width": width,
        "unknown_found": warned,
        "unknown_share": unknown,
        "unknown_share_covered": inside,
    }


def drawn(held: Rows, prior: np.ndarray, images: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of held-out images with these class shares."""
    true = held.labels.numpy()
    weight = prior[true] / np.bincount(true)[true]
    return rng.choice(len(true), images, p=weight / weight.sum())


def coverage(found: PriorEstimate, prior: np.ndarray) -> tuple[float, float]:
    """Share of the intervals that hold the truth, and their mean width."""
    inside = (found.low.numpy() <= prior + 1e-12) & (prior - 1e-12 <= found.high.numpy())
    return float(inside.mean()), float((found.high - found.low).mean())


def unknown_kinds(
    setting: Setting, letters: Classifier, held: Rows, here: Path
) -> Iterator[tuple[str, dict[str, float | str]]]:
    """One novelty score, in both directions."""
    digits_source = DATA / "mnist" / "mnist-half-images-idx3-ubyte.gz"
    other = here / "k-to-z.tar.gz"
    render(other, RenderOptions(characters="KLMNOPQRSTUVWXYZ", images_per_class=60, seed=9))
    digits_run = setting.run("digits", digits_source).classifier()
    rows = Examples((setting.store.images,), setting.held, held.labels.numpy())
    pairs = {
        "letters learned, digits shown": (
            letters,
            held.features,
            read_unlabelled(digits_source, letters.classes)[0],
        ),
        "letters learned, rendered K-Z shown": (
            letters,
            held.features,
            read_unlabelled(other, letters.classes)[0],
        ),
        "digits learned, letters shown": (digits_run, digits_run.reference, rows),
    }
    for question, (classifier, known, strange) in pairs.items():
        scores = classifier.novelty(known), classifier.novelty(classifier.features(strange.in_order(1024)))
        limit = threshold(classifier.novelty_reference, 0.05)
        yield (
            question,
            {
                "examples": len(known),
                "unknown_examples": len(strange),
                "auroc": auroc(*scores),
                "known_flagged_at_5_percent": float((scores[0] > limit).double().mean()),
                "unknown_flagged": float((scores[1] > limit).double().mean()),
            },
        )


def new_classes(setting: Setting, here: Path, count: int) -> dict[str, float | str]:
    """Three classes a network was never trained on, taught from a few labelled images."""
    store = setting.store
    first = setting.train[store.labels[setting.train] < 7]
    classifier = setting.run("a-to-g", folder_of(store, first, here / "a-to-g")).classifier()
    late = setting.train[store.labels[setting.train] >= 7]
    chosen = np.random.default_rng(setting.seed).permutation(late)[:count]
    after, _ = classifier.with_rows(setting.rows_of(classifier, chosen), store.classes[7:])
    held = setting.rows_of(classifier, setting.held)
    log_p = after.log_likelihood(held.features) + after.prior.log()
    right, old = log_p.argmax(1) == held.labels, held.labels < 7
    before = (classifier.log_likelihood(held.features[old]) + classifier.prior.log()).argmax(1)
    return {
        "examples": len(held),
        "accuracy_all_ten": right.double().mean().item(),
        "accuracy_new": right[~old].double().mean().item(),
        "accuracy_old": right[old].double().mean().item(),
        "accuracy_old_before": (before == held.labels[old]).double().mean().item(),
    }


def wrong_labels(setting: Setting, here: Path) -> dict[str, float | str]:
    """Labels flipped at random among the other classes, and found again."""
    store, rng = setting.store, np.random.default_rng(setting.seed)
    flipped = rng.random(len(store)) < 0.065
    labels = np.where(flipped, (store.labels + rng.integers(1, 10, len(store))) % 10, store.labels)
    source = folder_of(store, np.arange(len(store)), here / "flipped", labels)
    found = audit_labels(source, seed=setting.seed)
    row_of = [int(Path(found.store.path_of(row)).stem) for row in range(len(found.store))]
    return {
        "examples": len(found.store),
        "flipped": int(flipped.sum()),
        "average_precision": float(average_precision_score(flipped[row_of], found.wrong)),
        "wrong_share_estimated": found.wrong_share,
    }


def folder_of(store: Store, rows: np.ndarray, folder: Path, labels: np.ndarray | None = None) -> Path:
    """Rows of a store as a folder of PNG files, one folder a class."""
    for row in rows:
        name = store.classes[(store.labels if labels is None else labels)[row]]
        path = folder / name / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(store.images[row])).save(path)
    return folder


if __name__ == "__main__":
    main()
