"""Questions about pictures of the package easy-vqa: learned from 4,000 pictures, judged on 1,000 others.

    python benchmarks/questions.py
    python benchmarks/questions.py --model relation --epochs 4

Beside it stands what the questions alone tell: the most common answer to each wording among those learned
from. One row in results/questions.csv.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import easy_vqa
from support.record import append, facts

from bayesight import Recipe, TrainRequest, train
from bayesight.data.annotations import Question
from bayesight.workflows.tasks.answers import evaluate_task

SMALL = {
    "data.size": 32,
    "data.batch": 8,
    "model.widths": [24, 32, 32],
    "model.width": 64,
    "optimization.lr": 8e-3,
}
"""For shapes that are large in their pictures; it halves the time."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="cnn-mlp")
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = measured(Path(folder), options.model, options.epochs, options.seed, options.threads)
    print(row, flush=True)
    append(
        "questions.csv", [facts() | {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}]
    )


def measured(
    folder: Path, model: str, epochs: float, seed: int, threads: int
) -> dict[str, float | int | str]:
    """Figures of one model, in a folder that may be written to."""
    parts = written(folder / "easy-vqa.zip")
    recipe = Recipe.default(model).changed(SMALL | {"seed": seed, "optimization.epochs": epochs})
    used = time.process_time()
    request = TrainRequest(folder / "easy-vqa.zip", folder / "run", recipe, task="ask", threads=threads)
    run = train(request).run
    processor = time.process_time() - used
    found = evaluate_task(run, folder / "easy-vqa.zip").judgement.figures
    blind = by_wording(parts["train"], parts["test"])
    return {
        "model": model, "seed": seed, "epochs": epochs, "threads": threads, "test_images": found["examples"],
        "questions": found["questions"], "accuracy": found["accuracy"], "blind": blind,
        "points_above_blind": 100 * (found["accuracy"] - blind), "log_loss": found["log_loss"],
        "calibration_error": found["ece"], "before_temperature": found["ece_before_temperature"],
        "train_processor_s": processor,
    }  # fmt: skip


def written(path: Path) -> dict[str, list[Question]]:
    """The package's pictures and questions as an archive of the parts train/ and test/; the questions."""
    parts: dict[str, list[Question]] = {}
    with zipfile.ZipFile(path, "w") as file:
        for part in ("train", "test"):
            home = Path(easy_vqa.__file__).parent / "data" / part
            listed = json.loads((home / "questions.json").read_text(encoding="utf-8"))
            parts[part] = [Question(f"images/{image}.png", asked, answer) for asked, answer, image in listed]
            lines = [json.dumps(vars(one)) for one in parts[part]]
            file.writestr(f"{part}/questions.jsonl", "\n".join(lines))
            for image in sorted((home / "images").iterdir()):
                file.write(image, f"{part}/images/{image.name}")
    return parts


def by_wording(train: list[Question], test: list[Question]) -> float:
    """Accuracy of the most common answer to each wording."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in train:
        counts[one.question][one.answer] += 1
    usual = {question: answers.most_common(1)[0][0] for question, answers in counts.items()}
    return sum(usual.get(one.question) == one.answer for one in test) / len(test)


if __name__ == "__main__":
    main()
