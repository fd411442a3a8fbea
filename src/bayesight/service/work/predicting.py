"""Images of many requests through one forward pass, and the four terms for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from bayesight.service.ops.settings import Record
from bayesight.service.work.belief import BeliefCache, CurrentBelief
from bayesight.service.work.images import Pixels
from bayesight.service.work.recording import PendingPrediction, Recorder
from bayesight.workflows.predict import Prediction, Readings, judge

__all__ = ["PredictionJob", "PredictionOutcome", "predict_together"]


@dataclass(frozen=True)
class PredictionJob:
    """One request's images.

    Args:
        pixels: the images.
        how: prior, repeated readings, level of the unknown; a prior of None is the one stated for this place.
            None where only features are wanted.
        person: who asks.
    """

    pixels: Pixels
    how: Readings | None = field(default_factory=Readings)
    person: str = ""


@dataclass(frozen=True)
class PredictionOutcome:
    """The answer to one request.

    Args:
        current: the belief that answered.
        predictions: one an image, in order; empty where only features were wanted.
        features: (N, D).
    """

    current: CurrentBelief
    predictions: tuple[Prediction, ...]
    features: Tensor


def predict_together(
    beliefs: BeliefCache, recorder: Recorder, record: Record, questions: Sequence[PredictionJob]
) -> list[PredictionOutcome | Exception]:
    """Answer several requests at once: one look at the ledger, one pass through the network.

    Args:
        beliefs: of the belief.
        recorder: of the answers.
        record: when they are written.
        questions: of concurrent requests.

    Returns:
        For each its answer, or what is wrong with it.

    Raises:
        StorageFailed: the ledger cannot be reached.
    """
    current = beliefs.fresh()
    images = torch.cat([question.pixels.images for question in questions])
    found = current.classifier.features([(images, images)])
    parts = found.split_with_sizes([len(question.pixels) for question in questions])
    answers: list[PredictionOutcome | Exception] = [PredictionOutcome(current, (), part) for part in parts]
    for group in _alike(questions):
        for index, predictions in zip(group, _judged(current, questions, parts, group), strict=True):
            if isinstance(predictions, Exception):
                answers[index] = predictions
            else:
                answers[index] = PredictionOutcome(current, tuple(predictions), parts[index])
    if record != "never":
        write = recorder.write if record == "before" else recorder.soon
        if answered := [one for pair in zip(questions, answers, strict=True) for one in _answered(*pair)]:
            write(answered)
    return answers


def _alike(questions: Sequence[PredictionJob]) -> list[list[int]]:
    """Questions that can be judged in one go: of one prior and level, and no readings of one subject."""
    groups: list[list[int]] = []
    for index, question in enumerate(questions):
        if (how := question.how) is not None:
            fits = (group for group in groups if not how.same_subject and questions[group[0]].how == how)
            group = next(fits, None)
            if group is None:
                groups.append([index])
            else:
                group.append(index)
    return groups


def _judged(
    current: CurrentBelief, questions: Sequence[PredictionJob], parts: Sequence[Tensor], group: Sequence[int]
) -> list[list[Prediction] | Exception]:
    """Predictions for each question of a group; where one spoils it, each by itself."""
    how = questions[group[0]].how
    assert how is not None
    if how.prior is None and current.stated is not None:
        how = replace(how, prior=current.prior())
    names = [name for index in group for name in questions[index].pixels.names]
    try:
        every = judge(current.classifier, names, torch.cat([parts[index] for index in group]), how)
    except Exception as problem:  # noqa: BLE001 - whoever asked is told
        if len(group) == 1:
            return [problem]
        return [_judged(current, questions, parts, [index])[0] for index in group]
    found: list[list[Prediction] | Exception] = []
    for index in group:
        count = len(parts[index])
        found.append(every[:count])
        every = every[count:]
    return found


def _answered(question: PredictionJob, answer: PredictionOutcome | Exception) -> list[PendingPrediction]:
    if isinstance(answer, Exception):
        return []
    pixels, state = question.pixels, answer.current.state
    return [
        PendingPrediction(state.run, state.belief, digest, said, question.person, features, image)
        for digest, said, features, image in zip(
            pixels.digests, answer.predictions, answer.features.unbind(), pixels.images.unbind(), strict=False
        )
    ]
