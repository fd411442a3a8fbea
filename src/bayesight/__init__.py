"""Bayesight: train an image classifier from an archive, and know what its answers are worth."""

__version__ = "0.1.0"
