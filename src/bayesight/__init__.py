"""Bayesight: train an image classifier from an archive, and know what its answers are worth.

The names below are the public door. Each is loaded when it is first used, so that ``import bayesight`` costs
next to nothing and torch is imported only by what computes with it. What the command line calls train,
evaluate and update is ``train_run``, ``evaluate_run`` and ``update_run`` here, for ``train`` and ``evaluate``
are packages. The theorem itself lives in ``bayesight.bayes``, what reads images in ``bayesight.data``; every
package has such a door.

Example:
    >>> import bayesight
    >>> bayesight.Recipe.default("mlp").optimization.name
    'adamw'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayesight.data.dataset import ImageDataset, NotMNIST
    from bayesight.data.glyphs import RenderOptions, render
    from bayesight.data.store import Store, open_store
    from bayesight.errors import BayesightError
    from bayesight.run import Run
    from bayesight.train.recipe import Recipe
    from bayesight.workflows.evaluate import evaluate as evaluate_run
    from bayesight.workflows.infer_prior import infer_prior
    from bayesight.workflows.predict import Readings, predict
    from bayesight.workflows.train import TrainRequest
    from bayesight.workflows.train import train as train_run
    from bayesight.workflows.update import update as update_run

__version__ = "0.1.0"

__all__ = [
    "BayesightError",
    "ImageDataset",
    "NotMNIST",
    "Readings",
    "Recipe",
    "RenderOptions",
    "Run",
    "Store",
    "TrainRequest",
    "evaluate_run",
    "infer_prior",
    "open_store",
    "predict",
    "render",
    "train_run",
    "update_run",
]

_HOME = {
    "BayesightError": "errors",
    "ImageDataset": "data.dataset",
    "NotMNIST": "data.dataset",
    "Readings": "workflows.predict",
    "Recipe": "train.recipe",
    "RenderOptions": "data.glyphs",
    "Run": "run",
    "Store": "data.store",
    "TrainRequest": "workflows.train",
    "evaluate_run": "workflows.evaluate:evaluate",
    "infer_prior": "workflows.infer_prior",
    "open_store": "data.store",
    "predict": "workflows.predict",
    "render": "data.glyphs",
    "train_run": "workflows.train:train",
    "update_run": "workflows.update:update",
}
"""Public name -> module that defines it, with the name it has there when that is another."""


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, _, attribute = _HOME[name].partition(":")
    value = getattr(import_module(f"{__name__}.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
