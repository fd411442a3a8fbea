"""Published weights of BERT and GPT-2 from a local folder as Hugging Face lays it out.

The folder holds ``config.json`` and ``model.safetensors``; sizes are those of the tensors, so that a
configuration cannot ask for more memory than the file has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bayesight.checks import check, existing_path
from bayesight.errors import SourceUnreadable, shown
from bayesight.files import read_plain
from bayesight.models.transformer import BidirectionalTransformer, CausalTransformer

Weights = dict[str, Tensor]

ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu"}
"""Their names of activations, and ours."""

GPT2 = {
    "wte.weight": "embed.symbol.weight",
    "wpe.weight": "embed.place.weight",
    r"h\.(\d+)\.ln_1\.(weight|bias)": r"blocks.\1.norm1.\2",
    r"h\.(\d+)\.ln_2\.(weight|bias)": r"blocks.\1.norm2.\2",
    r"h\.(\d+)\.attn\.c_attn\.(weight|bias)": r"blocks.\1.attention.project_in.\2",
    r"h\.(\d+)\.attn\.c_proj\.(weight|bias)": r"blocks.\1.attention.project_out.\2",
    r"h\.(\d+)\.mlp\.c_fc\.(weight|bias)": r"blocks.\1.expand.\2",
    r"h\.(\d+)\.mlp\.c_proj\.(weight|bias)": r"blocks.\1.contract.\2",
    r"ln_f\.(weight|bias)": r"norm.\1",
}
BERT = {
    r"embeddings\.word_embeddings\.weight": "embed.symbol.weight",
    r"embeddings\.position_embeddings\.weight": "embed.place.weight",
    r"embeddings\.token_type_embeddings\.weight": "segment.weight",
    r"embeddings\.LayerNorm\.(weight|bias)": r"first_norm.\1",
    r"layer\.(\d+)\.attention\.self\.(query|key|value)\.(weight|bias)": r"blocks.\1.attention.\2.\3",
    r"layer\.(\d+)\.attention\.output\.dense\.(weight|bias)": r"blocks.\1.attention.project_out.\2",
    r"layer\.(\d+)\.attention\.output\.LayerNorm\.(weight|bias)": r"blocks.\1.norm1.\2",
    r"layer\.(\d+)\.intermediate\.dense\.(weight|bias)": r"blocks.\1.expand.\2",
    r"layer\.(\d+)\.output\.dense\.(weight|bias)": r"blocks.\1.contract.\2",
    r"layer\.(\d+)\.output\.LayerNorm\.(weight|bias)": r"blocks.\1.norm2.\2",
    r"cls\.predictions\.transform\.dense\.(weight|bias)": r"transform.\1",
    r"cls\.predictions\.transform\.LayerNorm\.(weight|bias)": r"transform_norm.\1",
    r"cls\.predictions\.bias": "symbol_bias",
}


def from_huggingface(folder: str | Path) -> CausalTransformer | BidirectionalTransformer:
    """The published GPT-2 or BERT in a folder, in evaluation mode.

    A BERT without the layers that name masked symbols has those as they are initialised.

    Raises:
        SourceNotFound: no such folder, or one of its two files missing.
        SourceUnreadable: not JSON, not safetensors, or tensors that are not those of the architecture.
        InvalidInput: another architecture than GPT-2 or BERT, or one of its options that is not built here.
    """
    files = (Path(folder) / name for name in ("config.json", "model.safetensors"))
    config_file, weights_file = map(existing_path, files)
    try:
        config = json.loads(read_plain(config_file, 1 << 20))
        weights = load_file(weights_file)
    except (ValueError, RecursionError, SafetensorError) as problem:
        came = f"{folder} cannot be read: {problem}"
        raise SourceUnreadable(f"{came}; expected config.json and model.safetensors.") from problem
    kind = config.get("model_type") if isinstance(config, dict) else None
    check(kind in ("gpt2", "bert"), f"{config_file}: model_type", shown(kind), "'gpt2' or 'bert'")
    try:
        network = _gpt2(config, weights) if kind == "gpt2" else _bert(config, weights)
    except (KeyError, IndexError, TypeError, RuntimeError) as problem:
        raise SourceUnreadable(
            f"{weights_file} is not the {kind} of its config.json: {problem}."
        ) from problem
    return network.eval()


def _gpt2(config: Mapping[str, Any], theirs: Weights) -> CausalTransformer:
    weights = _renamed(theirs, GPT2, "transformer.")
    for name, value in weights.items():
        if name.startswith("blocks") and value.dim() == 2:
            weights[name] = value.T.contiguous()  # they keep (in, out)
    (symbols, width), (context, _) = weights["embed.symbol.weight"].shape, weights["embed.place.weight"].shape
    network = CausalTransformer(
        symbols,
        context,
        layers=_layers(weights),
        width=width,
        heads=config["n_head"],
        inner=weights["blocks.0.expand.bias"].shape[0],
        eps=config.get("layer_norm_epsilon", 1e-5),
        activation=_activation(config, "activation_function", "gelu_new"),
    )
    network.load_state_dict(weights | {"head.weight": weights["embed.symbol.weight"]})
    return network


def _bert(config: Mapping[str, Any], theirs: Weights) -> BidirectionalTransformer:
    kind = config.get("position_embedding_type") or "absolute"
    check(kind == "absolute", "position_embedding_type", shown(kind), "'absolute'")
    weights = _renamed(theirs, BERT, "bert.")
    layers = _layers(weights)
    for number in range(layers):
        for part in ("weight", "bias"):
            names = [f"blocks.{number}.attention.{one}.{part}" for one in ("query", "key", "value")]
            together = f"blocks.{number}.attention.project_in.{part}"
            weights[together] = torch.cat([weights.pop(name) for name in names])
    (symbols, width), (context, _) = weights["embed.symbol.weight"].shape, weights["embed.place.weight"].shape
    network = BidirectionalTransformer(
        symbols,
        context,
        layers=layers,
        segments=weights["segment.weight"].shape[0],
        width=width,
        heads=config["num_attention_heads"],
        inner=weights["blocks.0.expand.bias"].shape[0],
        eps=config.get("layer_norm_eps", 1e-12),
        activation=_activation(config, "hidden_act", "gelu"),
        norm_first=False,
    )
    naming = ("transform", "symbol_bias")
    initial = {name: value for name, value in network.state_dict().items() if name.startswith(naming)}
    network.load_state_dict(initial | weights)
    return network


def _renamed(theirs: Weights, names: Mapping[str, str], prefix: str) -> Weights:
    """Tensors by our names; those that are no weights of the network (buffers, a pooler) are left out."""
    ours = {}
    for name, value in theirs.items():
        bare = name.removeprefix(prefix).removeprefix("encoder.")
        for pattern, replacement in names.items():
            if re.fullmatch(pattern, bare):
                ours[re.sub(pattern, replacement, bare)] = value.float()
    return ours


def _layers(weights: Weights) -> int:
    return 1 + max((int(name.split(".")[1]) for name in weights if name.startswith("blocks.")), default=-1)


def _activation(config: Mapping[str, Any], key: str, default: str) -> str:
    name = config.get(key, default)
    check(name in ACTIVATIONS, f"config.json: {key}", shown(name), f"one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
