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

from bayesight.data.annotated import as_tensor
from bayesight.evaluation import expected_calibration_error
from bayesight.letters.questions import ANSWERS, KINDS, ShapeScenes, shape_scenes
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models.questions import build_question_model
from bayesight.seeding import numpy_generator
from bayesight.training.engine import Batch, Task
from bayesight.types import FloatArray, ImageArray, IntArray

__all__ = ["ShapeBatches", "answer_questions", "shapes_of"]

SHOWN = 6


def answer_questions(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train on pictures and their questions, and judge on other pictures.

    Returns:
        ``relational`` and ``non_relational``, the accuracy of either kind; ``ece`` of the answers, over 15
        bins; ``parameters``; a picture of some that were judged on.
    """
    (recipe,) = recipes
    train, test = shapes_of(recipe.data, bench)
    codes = train.codes()
    model = build_question_model(
        recipe.model.name,
        (3, *train.images.shape[1:3]),
        codes.shape[-1],
        len(ANSWERS),
        form="bits",
        seed=bench.derive("initial weights"),
        **recipe.model.options,
    )
    batches = ShapeBatches(train, recipe.data["batch"], bench.derive("data"), bench.dtype)

    def loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        images, questions, answers = batch
        logits = network(images, questions).float()
        return {"total": F.cross_entropy(logits.flatten(0, 1), answers.flatten())}

    task = Task(batches, model, {"train": loss}, [update_of(recipe.optimization, model)])
    losses = bench.fit(task, recipe.optimization["steps"])
    log_p = _answers(model, test, bench)
    right = log_p.argmax(axis=-1) == test.answers
    values = {
        kind.replace("-", "_"): float(right[test.kinds == number].mean()) for number, kind in enumerate(KINDS)
    }
    rows, truth = log_p.reshape(-1, len(ANSWERS)).astype(np.float64), test.answers.reshape(-1)
    values["ece"] = expected_calibration_error(rows, truth)
    values["parameters"] = float(sum(part.numel() for part in model.parameters()))
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


class ShapeBatches:
    """Batches of pictures with their questions: the batch of a step follows from the step alone.

    Args:
        scenes: to draw from.
        batch: pictures a step.
        seed: of the draws.
        dtype: the floating type pictures come in.
    """

    def __init__(self, scenes: ShapeScenes, batch: int, seed: int, dtype: torch.dtype) -> None:
        self.scenes, self.batch, self.seed, self.dtype = scenes, batch, seed, dtype
        self.codes = scenes.codes()

    def __call__(self, model: nn.Module, step: int) -> Batch:
        """Pictures (batch, 3, S, S) in [0, 1], codes (batch, Q, 11) and answers (batch, Q)."""
        rows = numpy_generator(self.seed, "shapes", step).integers(len(self.codes), size=self.batch)
        device = next(model.parameters()).device
        return (*self.of(rows, device), torch.from_numpy(self.scenes.answers[rows]).to(device))

    def of(self, rows: IntArray, device: torch.device) -> tuple[Tensor, Tensor]:
        """The pictures and codes of these rows."""
        images = as_tensor(self.scenes.images[rows], self.dtype).to(device)
        return images, torch.from_numpy(self.codes[rows]).to(device, self.dtype)


@torch.no_grad()
def _answers(model: nn.Module, scenes: ShapeScenes, bench: Bench, batch: int = 50) -> FloatArray:
    """Log-probabilities (N, Q, A), float32."""
    device, parts = next(model.eval().parameters()).device, []
    batches = ShapeBatches(scenes, batch, 0, bench.dtype)
    for start in range(0, len(scenes.images), batch):
        rows = np.arange(start, min(start + batch, len(scenes.images)))
        with bench.hardware.fabric.autocast():
            logits = model(*batches.of(rows, device))
        parts.append(logits.float().log_softmax(dim=-1).cpu().numpy())
    found: FloatArray = np.concatenate(parts)
    return found


def _told(scenes: ShapeScenes, log_p: FloatArray, picture: int) -> str:
    """A relational question about a picture, the answer given, and the right one where it is another."""
    kind = scenes.answers.shape[1] // len(KINDS)
    question = kind + picture % kind
    given, right = int(log_p[picture, question].argmax()), int(scenes.answers[picture, question])
    said = ANSWERS[given] + (f" (it is {ANSWERS[right]})" if given != right else "")
    return f"{scenes.sentence(picture, question)} {said}"
