"""Networks by name: ``build("resnet", (1, 28, 28), 10)``."""

from bayesight.models.alexnet import AlexNet
from bayesight.models.base import ImageModel, Standardise, channels_last, kaiming_normal
from bayesight.models.linear import LinearModel
from bayesight.models.mlp import MLP
from bayesight.models.registry import MODELS, build
from bayesight.models.resnet import ResidualBlock, ResNet
from bayesight.models.transformer import CausalTransformer

__all__ = [
    "MLP",
    "MODELS",
    "AlexNet",
    "CausalTransformer",
    "ImageModel",
    "LinearModel",
    "ResNet",
    "ResidualBlock",
    "Standardise",
    "build",
    "channels_last",
    "kaiming_normal",
]
