"""SSD-LM's layout, written: a RoBERTa of the transformers library, with two layers in files of their own beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from engine.data.special_tokens import END_OF_TEXT, MASK
from engine.files.atomic import tidy
from engine.files.checksums import CHECKSUM, replace_checked, replacing_checked
from engine.files.run_layout import LAYERS, MODEL_FILES, TOKENIZER_CONFIG
from engine.models.simplex_roberta import SimplexRoberta

PADDING = 0
"""The library's number of the token that pads, behind which its table of positions begins; nothing is padded."""
TIED = {
    "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
    "lm_head.decoder.bias": "lm_head.bias",
}
"""Tensors of the library's network that are another's."""


def library_network(model: SimplexRoberta) -> Any:
    """Return the library's RoBERTa with the weights of a trained one, float32, in evaluation mode."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    shape = model.config
    config: Any = RobertaConfig(
        vocab_size=shape.vocab_size, hidden_size=shape.hidden_size, num_hidden_layers=shape.n_blocks,
        num_attention_heads=shape.n_heads, intermediate_size=4 * shape.hidden_size, hidden_act="gelu_pytorch_tanh",
        hidden_dropout_prob=shape.dropout, attention_probs_dropout_prob=0.0, type_vocab_size=1, layer_norm_eps=1e-5,
        max_position_embeddings=shape.length + PADDING + 1, pad_token_id=PADDING, bos_token_id=None, eos_token_id=None,
        architectures=["RobertaForMaskedLM"],
    )  # fmt: skip
    network: Any = RobertaForMaskedLM(config)
    tensors = dict(_tensors(model))
    network.load_state_dict(tensors | {name: tensors[other] for name, other in TIED.items()})
    return network.to(model.device).eval().requires_grad_(False)


def write_layout(model: SimplexRoberta, tokenizer: Tokenizer, home: Path) -> None:
    """Write a directory in the layout of `xhan77/ssdlm`, float32.

    Files are written atomically, each with its checksum, the weights last.
    """
    home.mkdir(parents=True, exist_ok=True)
    names = (*MODEL_FILES, TOKENIZER_CONFIG, *LAYERS)
    tidy(home, tuple(f"{name}{more}" for name in names for more in ("", CHECKSUM)))
    network = library_network(model)
    roles = {"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": MASK, "eos_token": END_OF_TEXT}
    replace_checked(home / "config.json", (network.config.to_json_string(use_diff=False) + "\n").encode())
    replace_checked(home / "tokenizer.json", tokenizer.to_str().encode())
    replace_checked(home / TOKENIZER_CONFIG, json.dumps(roles, indent=2).encode() + b"\n")
    for name, layer in zip(LAYERS, (model.embed_sum, model.timestep), strict=True):
        with replacing_checked(home / name) as part:
            torch.save({one: tensor.float() for one, tensor in layer.state_dict().items()}, part)
            part.chmod(0o644)
    with replacing_checked(home / "model.safetensors") as part:
        save_file({name: tensor.contiguous() for name, tensor in _tensors(model)}, part, metadata={"format": "pt"})
        part.chmod(0o644)


def _tensors(model: SimplexRoberta) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors by the library's names, float32, with zeros where the network here has none."""
    width = model.config.hidden_size
    zeros = torch.zeros(width, device=model.device)
    embeddings = "roberta.embeddings."
    places = torch.cat((zeros.expand(PADDING + 1, -1), model.place_embed))
    yield from {
        f"{embeddings}word_embeddings.weight": model.vocab_embed.embedding.detach().float(),
        f"{embeddings}position_embeddings.weight": places.detach().float(),
        f"{embeddings}token_type_embeddings.weight": zeros[None],
        **_norm(f"{embeddings}LayerNorm", model.norm_embed),
        **_linear("lm_head.dense", model.output_layer.dense),
        **_norm("lm_head.layer_norm", model.output_layer.norm),
        "lm_head.bias": model.output_layer.bias.detach().float(),
    }.items()
    for number, block in enumerate(model.blocks):
        layers, at = cast(Any, block), f"roberta.encoder.layer.{number}."
        for name, weight in zip(("query", "key", "value"), layers.attn_qkv.weight.detach().chunk(3), strict=True):
            yield f"{at}attention.self.{name}.weight", weight.float()
            yield f"{at}attention.self.{name}.bias", zeros.clone()
        yield from {
            **_linear(f"{at}attention.output.dense", layers.attn_out),
            **_norm(f"{at}attention.output.LayerNorm", layers.norm1),
            **_linear(f"{at}intermediate.dense", layers.mlp[0]),
            **_linear(f"{at}output.dense", layers.mlp[2]),
            **_norm(f"{at}output.LayerNorm", layers.norm2),
        }.items()


def _linear(name: str, layer: nn.Linear) -> dict[str, Tensor]:
    bias = layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
    return {f"{name}.weight": layer.weight.detach().float(), f"{name}.bias": bias.detach().float()}


def _norm(name: str, norm: nn.Module) -> dict[str, Tensor]:
    weight = cast(Tensor, norm.weight).detach().float()
    return {f"{name}.weight": weight, f"{name}.bias": torch.zeros_like(weight)}
