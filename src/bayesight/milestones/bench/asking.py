"""The trial of a network that answers questions about pictures of shapes.

```
data          shapes(batch, train, test=1000, side=75): pictures, each with its 20 questions
model         any of ``QUESTION_MODELS``
loss          cross_entropy
optimization  any registered optimizer
```
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.evaluation import expected_calibration_error
from bayesight.letters.questions import ANSWERS, KINDS, ShapeScenes, shape_scenes
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey
from bayesight.milestones.bench.pictures import ImageBatches, outputs
from bayesight.milestones.bench.workbench import Bench, parameters_of, thinned, update_of
from bayesight.models.questions import build_question_model
from bayesight.training.engine import Batch, Task
from bayesight.types import FloatArray, ImageArray

SHOWN = 6


def answer_questions(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train on pictures and their questions, and judge on other pictures.

    Returns:
        ``relational`` and ``non_relational``, the accuracy of either kind; ``ece`` of the answers, over 15
        bins; ``parameters``; a picture of some that were judged on.
    """
    (recipe,) = recipes
    train, test = shapes_of(recipe.data, bench)
    codes = torch.from_numpy(train.codes()).to(bench.dtype)
    model = build_question_model(
        recipe.model.name,
        (3, *train.images.shape[1:3]),
        codes.shape[-1],
        len(ANSWERS),
        form="bits",
        seed=bench.derive("initial weights"),
        **recipe.model.options,
    )
    known = torch.from_numpy(train.answers)
    batches = ImageBatches(
        train.images, (codes, known), recipe.data["batch"], bench.derive("data"), "shapes", bench.dtype
    )

    def loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        images, questions, answers = batch
        logits = network(images, questions).float()
        return {"total": F.cross_entropy(logits.flatten(0, 1), answers.flatten())}

    task = Task(batches, model, {"train": loss}, [update_of(recipe.optimization, model)])
    losses = bench.fit(task, recipe.optimization["steps"])
    asked = torch.from_numpy(test.codes()).to(bench.dtype)
    found = outputs(model, test.images, bench, asked, batch=50)
    log_p = np.concatenate([logits.float().log_softmax(dim=-1).cpu().numpy() for logits in found])
    right = log_p.argmax(axis=-1) == test.answers
    values = {
        kind.replace("-", "_"): float(right[test.kinds == number].mean()) for number, kind in enumerate(KINDS)
    }
    rows, truth = log_p.reshape(-1, len(ANSWERS)).astype(np.float64), test.answers.reshape(-1)
    values["ece"] = expected_calibration_error(rows, truth)
    values["parameters"] = parameters_of(model)
    caption = "pictures that were judged on: " + "; ".join(_told(test, log_p, n) for n in range(SHOWN))
    page: ImageArray = np.concatenate(list(test.images[:SHOWN]), axis=1)
    return Measurement(values, thinned(losses), {caption: page})


def shapes_of(data: RecipeKey, bench: Bench) -> tuple[ShapeScenes, ShapeScenes]:
    """Pictures to learn from and to be judged on, the same for every seed."""
    side, counts = data.get("side", 75), (data["train"], data.get("test", 1000))

    def made() -> tuple[ShapeScenes, ShapeScenes]:
        train, test = (shape_scenes(count, side=side, seed=seed) for seed, count in enumerate(counts))
        return train, test

    return bench.once(("shapes", side, counts), made)


def _told(scenes: ShapeScenes, log_p: FloatArray, picture: int) -> str:
    """A relational question about a picture, the answer given, and the right one where it is another."""
    kind = scenes.answers.shape[1] // len(KINDS)
    question = kind + picture % kind
    given, right = int(log_p[picture, question].argmax()), int(scenes.answers[picture, question])
    said = ANSWERS[given] + (f" (it is {ANSWERS[right]})" if given != right else "")
    return f"{scenes.sentence(picture, question)} {said}"
