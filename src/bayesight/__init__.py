"""Bayesight: train an image classifier from an archive, and know what its answers are worth.

The names below are the public door. Each is loaded when it is first used, so that ``import bayesight`` costs
next to nothing and torch is imported only by what computes with it. The jobs of the command line have their
names here: ``train``, ``evaluate``, ``predict``, ``update``, ``infer_prior``. The theorem itself lives in
``bayesight.bayes``, what reads images in ``bayesight.data``; every package has such a door.

Example:
    >>> import bayesight
    >>> bayesight.Recipe.default("mlp").optimization.name
    'adamw'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.data.dataset import ImageDataset as ImageDataset
    from bayesight.data.dataset import NotMNIST as NotMNIST
    from bayesight.data.store import Store as Store
    from bayesight.data.store import open_store as open_store
    from bayesight.errors import BayesightError as BayesightError
    from bayesight.letters.glyphs import RenderOptions as RenderOptions
    from bayesight.letters.glyphs import render as render
    from bayesight.run import Run as Run
    from bayesight.training.recipe import Recipe as Recipe
    from bayesight.workflows.evaluate import evaluate as evaluate
    from bayesight.workflows.infer_prior import infer_prior as infer_prior
    from bayesight.workflows.predict import Readings as Readings
    from bayesight.workflows.predict import predict as predict
    from bayesight.workflows.train import TrainRequest as TrainRequest
    from bayesight.workflows.train import train as train
    from bayesight.workflows.update import update as update

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = door(__name__)
