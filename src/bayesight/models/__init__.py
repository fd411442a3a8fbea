"""Networks by name: ``build("resnet", (1, 28, 28), 10)``, ``build_generator("gan", (1, 28, 28))``.

Those in ``MODELS`` and ``TEXT_MODELS`` answer with a class, those in ``GENERATORS`` make images.
"""

from bayesight.models.alexnet import AlexNet
from bayesight.models.autoencoder import Autoencoder
from bayesight.models.base import ImageModel, Standardisation, channels_last, kaiming_normal
from bayesight.models.centernet import DETECTORS, CenterNet, Peaks, centre_peaks
from bayesight.models.contrastive import ProjectionHead
from bayesight.models.efficientnet import EfficientNetLite
from bayesight.models.encoders import Lite0Encoder, start_from_imagenet
from bayesight.models.gan import GAN
from bayesight.models.generative import (
    GENERATORS,
    GenerativeModel,
    Measure,
    Turn,
    build_generator,
    squared_error,
)
from bayesight.models.huggingface import from_huggingface
from bayesight.models.language import (
    LANGUAGE_MODELS,
    LanguageModel,
    RecurrentLanguageModel,
    build_language_model,
    continuation,
)
from bayesight.models.mlp import MLP, LinearModel
from bayesight.models.pose import POSE_MODELS, CoordinatePose
from bayesight.models.pretrained import PRETRAINED, pretrained_weights
from bayesight.models.qnet import Q_NETWORKS, QNetwork, build_q_network
from bayesight.models.questions import QUESTION_MODELS, QuestionModel, build_question_model
from bayesight.models.recurrent_translation import RecurrentTranslator
from bayesight.models.registry import MODELS, TEXT_MODELS, build
from bayesight.models.resnet import ResidualBlock, ResNet
from bayesight.models.text import Bert
from bayesight.models.timm import TimmModel, timm_weights
from bayesight.models.transformer import (
    BidirectionalTransformer,
    CausalTransformer,
    TranslationTransformer,
)
from bayesight.models.translation import (
    TRANSLATION_MODELS,
    TranslationModel,
    build_translation_model,
    decoded,
)
from bayesight.models.unet import SEGMENTERS, UNet
from bayesight.models.vae import VAE

__all__ = [
    "DETECTORS",
    "GAN",
    "GENERATORS",
    "LANGUAGE_MODELS",
    "MLP",
    "MODELS",
    "POSE_MODELS",
    "PRETRAINED",
    "QUESTION_MODELS",
    "Q_NETWORKS",
    "SEGMENTERS",
    "TEXT_MODELS",
    "TRANSLATION_MODELS",
    "VAE",
    "AlexNet",
    "Autoencoder",
    "Bert",
    "BidirectionalTransformer",
    "CausalTransformer",
    "CenterNet",
    "CoordinatePose",
    "EfficientNetLite",
    "GenerativeModel",
    "ImageModel",
    "LanguageModel",
    "LinearModel",
    "Lite0Encoder",
    "Measure",
    "Peaks",
    "ProjectionHead",
    "QNetwork",
    "QuestionModel",
    "RecurrentLanguageModel",
    "RecurrentTranslator",
    "ResNet",
    "ResidualBlock",
    "Standardisation",
    "TimmModel",
    "TranslationModel",
    "TranslationTransformer",
    "Turn",
    "UNet",
    "build",
    "build_generator",
    "build_language_model",
    "build_q_network",
    "build_question_model",
    "build_translation_model",
    "centre_peaks",
    "channels_last",
    "continuation",
    "decoded",
    "from_huggingface",
    "kaiming_normal",
    "pretrained_weights",
    "squared_error",
    "start_from_imagenet",
    "timm_weights",
]
