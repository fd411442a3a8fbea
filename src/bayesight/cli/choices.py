"""The names that options take, in the order in which help shows them.

Help must be there at once, so these are written out instead of asked of the registries, which bring PyTorch;
``tests/cli/test_choices.py`` holds the two together.
"""

from __future__ import annotations

__all__ = [
    "AUGMENTATIONS",
    "CLASSIFIERS",
    "DETECTORS",
    "ENVIRONMENT_LOSSES",
    "GENERATORS",
    "LANGUAGE_MODELS",
    "LOSSES",
    "OPTIMIZERS",
    "POSE_MODELS",
    "PRECISIONS",
    "PRETRAINING",
    "QUESTION_MODELS",
    "SEGMENTERS",
    "TASKS",
    "TEXT_CLASSIFIERS",
    "TRANSLATION_MODELS",
    "either",
]

CLASSIFIERS = ("linear", "mlp", "alexnet", "resnet", "lite0", "lite1", "lite2")
TEXT_CLASSIFIERS = ("bert",)
GENERATORS = ("gan", "vae", "autoencoder")
LANGUAGE_MODELS = ("gpt", "lstm")
TRANSLATION_MODELS = ("transformer", "gru")
POSE_MODELS = ("heat_maps",)
SEGMENTERS = ("unet",)
DETECTORS = ("centernet",)
QUESTION_MODELS = ("relation", "attention", "cnn-mlp", "blind")
TASKS = ("segment", "detect", "pose", "ask")
LOSSES = ("cross_entropy", "forward_corrected")
ENVIRONMENT_LOSSES = ("reweight", "groupdro", "irm")
OPTIMIZERS = ("sgd", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "muon")
AUGMENTATIONS = ("none", "glyph", "photo", "scene")
PRECISIONS = ("auto", "32", "bf16")
PRETRAINING = ("simclr", "masked")


def either(names: tuple[str, ...]) -> str:
    """The names as a reader enumerates them.

    Example:
        >>> either(("none", "glyph", "photo"))
        'none, glyph or photo'
    """
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
