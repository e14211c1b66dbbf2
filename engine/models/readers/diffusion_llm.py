"""Diffusion LLMs with a Llama or Qwen transformer: LLaDA, Dream, and converted models of the same layouts.

No code of the checkpoint runs: the network is `engine.models.llama`, the weights are read shard by shard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.files.regular import is_there
from engine.models.chat import chat_of
from engine.models.files import check_claim, check_shapes, fill, open_weights, read_object
from engine.models.llama import Bidirectional, Body, LlamaShape
from engine.models.loading import Loaded, LoadRequest
from engine.models.memory_check import check_room
from engine.models.readers.remote_code import RemoteCode, remote_mask
from engine.models.text import Codec
from engine.models.tokenizer import codec_for

Config = Mapping[str, Any]


@dataclass(frozen=True)
class TensorNames:
    """One family: how its configuration and its tensors are called."""

    kind: str
    shape: Callable[[Config], LlamaShape]
    outer: Mapping[str, str]
    """our name of a module outside the blocks -> the family's"""
    blocks: str
    """what the names of a block's tensors begin with, before its number"""
    inner: Mapping[str, str]

    def theirs(self, name: str) -> str:
        """Return the family's name of one of our tensors."""
        module, kind = name.rsplit(".", 1)
        if not module.startswith("layers."):
            return f"{self.outer[module]}.{kind}"
        _, number, part = module.split(".")
        return f"{self.blocks}{number}.{self.inner[part]}.{kind}"


def _only(config: Config, **allowed: tuple[object, ...]) -> None:
    """Raise ValueError for a setting whose mathematics the native network does not have."""
    for name, values in allowed.items():
        if name in config and config[name] not in values:
            raise ValueError(
                f"config.json has {name} = {config[name]!r}, which the native network does not do "
                f"(only {' or '.join(map(repr, values))}): --trust-remote-code runs the checkpoint's own code"
            )


def _width(hidden: object, heads: object) -> int:
    if not (type(hidden) is type(heads) is int and heads > 0 and hidden % heads == 0):
        raise ValueError(
            f"config.json must give a hidden size that splits into its heads, not {hidden!r} and {heads!r}"
        )
    return hidden // heads


def _llada_shape(config: Config) -> LlamaShape:
    off = (False, None)
    _only(
        config, activation_type=("silu",), block_type=("llama",), layer_norm_type=("rms",), rope=(True,), alibi=off,
        attention_layer_norm=off, scale_logits=off, include_bias=off, bias_for_layer_norm=off, input_emb_norm=off,
    )  # fmt: skip
    dim, heads = config.get("d_model"), config.get("n_heads")
    mlp = config.get("mlp_hidden_size")
    return LlamaShape(
        vocab_size=config.get("embedding_size") or config.get("vocab_size") or 0,
        hidden_size=dim or 0,
        n_layers=config.get("n_layers") or 0,
        n_heads=heads or 0,
        n_kv_heads=config.get("n_kv_heads") or (1 if config.get("multi_query_attention") else heads) or 0,
        head_dim=_width(dim, heads),
        mlp_size=mlp if mlp is not None else config.get("mlp_ratio", 4) * (dim or 0),
        max_length=config.get("max_sequence_length") or 0,
        rope_theta=config.get("rope_theta", 10_000.0),
        eps=config.get("rms_norm_eps", 1e-5),
        qkv_bias=config.get("include_qkv_bias") is True,
        tied=config.get("weight_tying") is True,
    )


def _qwen_shape(config: Config, **traits: bool) -> LlamaShape:
    """Return the fields that Llama, Qwen2 and Qwen3 share in transformers."""
    _only(config, hidden_act=("silu",), use_sliding_window=(False,), mlp_bias=(False,), attention_bias=(False,))
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    _only(rope, rope_type=("default",), type=("default",))
    dim, heads = config.get("hidden_size"), config.get("num_attention_heads")
    return LlamaShape(
        vocab_size=config.get("vocab_size") or 0,
        hidden_size=dim or 0,
        n_layers=config.get("num_hidden_layers") or 0,
        n_heads=heads or 0,
        n_kv_heads=config.get("num_key_value_heads") or heads or 0,
        head_dim=config.get("head_dim") or _width(dim, heads),
        mlp_size=config.get("intermediate_size") or 0,
        max_length=config.get("max_position_embeddings") or 0,
        rope_theta=config.get("rope_theta") or rope.get("rope_theta") or 10_000.0,
        eps=config.get("rms_norm_eps", 1e-6),
        tied=config.get("tie_word_embeddings") is True,
        **traits,
    )


LLADA_OUTER = {
    "embed": "model.transformer.wte", "norm": "model.transformer.ln_f", "head": "model.transformer.ff_out",
}  # fmt: skip
LLADA_INNER = {
    "norm1": "attn_norm", "q": "q_proj", "k": "k_proj", "v": "v_proj", "out": "attn_out",
    "norm2": "ff_norm", "gate": "ff_proj", "up": "up_proj", "down": "ff_out",
}  # fmt: skip
QWEN_OUTER = {"embed": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}
QWEN_INNER = {
    "norm1": "input_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
    "q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm", "out": "self_attn.o_proj",
    "norm2": "post_attention_layernorm", "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip


def _qwen(kind: str, **traits: bool) -> TensorNames:
    return TensorNames(kind, lambda config: _qwen_shape(config, **traits), QWEN_OUTER, "model.layers.", QWEN_INNER)


LAYOUTS: dict[str, TensorNames] = {
    "llada": TensorNames("LLaDA", _llada_shape, LLADA_OUTER, "model.transformer.blocks.", LLADA_INNER),
    "dream": _qwen("Dream", qkv_bias=True, shifted=True),
    "a2d-llama": _qwen("diffusion Llama"),
    "a2d-qwen2": _qwen("diffusion Qwen2", qkv_bias=True),
    "a2d-qwen3": _qwen("diffusion Qwen3", qk_norm=True),
}
"""By model_type, in lower case.  LLaDA: arXiv 2502.09992; Dream (also DiffuCoder): arXiv 2508.15487; a2d-*: the
models that the dllm project made bidirectional (github.com/ZHZisZZ/dllm)."""

STRANGERS = {
    "sdar": "attends block by block",
    "sdar_moe": "is a mixture of experts",
    "llada_moe": "is a mixture of experts",
    "llada2_moe": "is a mixture of experts",
    "rnd1": "is a mixture of experts",
}
"""Relatives by model_type that the native network cannot compute, and why."""


class DiffusionLLM:
    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        return _model_type(config) in {*LAYOUTS, *STRANGERS}

    def read(self, request: LoadRequest) -> Loaded:
        config = read_object(request.home / "config.json", "a configuration")
        model_type = _model_type(config)
        if model_type in STRANGERS or any("expert" in name and value for name, value in config.items()):
            if request.trust_remote_code:
                return RemoteCode().read(request)
            why = STRANGERS.get(model_type, "is a mixture of experts")
            raise ValueError(
                f"{request.name} ({model_type}) {why}, which the native network does not do: "
                "--trust-remote-code runs the checkpoint's own code"
            )
        layout = LAYOUTS[model_type]
        try:
            shape = layout.shape(config)
        except TypeError as error:
            raise ValueError(f"{request.home / 'config.json'} has a field of the wrong type: {error}") from error
        codec, chat = _codec(request), chat_of(request.home)
        if codec.size > shape.vocab_size:
            raise ValueError(f"{request.home}: the tokenizer has {codec.size} tokens, the model {shape.vocab_size}")
        mask_id = remote_mask(request, config, codec, shape.vocab_size)
        body, ignored = _fitted(request, layout, shape)
        known = max(codec.size, mask_id + 1)
        network = Bidirectional(body, mask_id, known, request.attention)
        notes = [f"{name} ignored" for name in ignored]
        notes += ["the head is the embedding"] * shape.tied
        return Loaded(network, codec, layout.kind, tuple(notes), attention=network.attention, chat=chat)


def _model_type(config: Config) -> str:
    return str(config.get("model_type", "")).lower()


def _fitted(request: LoadRequest, layout: TensorNames, shape: LlamaShape) -> tuple[Body, tuple[str, ...]]:
    """Return the network with the file's tensors, and the names of those that are left out."""
    weights = open_weights(request.home)
    check_claim(shape.n_layers, weights)
    with torch.device("meta"):
        body = Body(shape)
    ours = {layout.theirs(name): name for name in body.state_dict()}

    def ignorable(name: str) -> bool:
        """Return whether it is frequencies that follow from the configuration, and a copy of a tied head."""
        return name.endswith("rotary_emb.inv_freq") or (shape.tied and name == f"{layout.outer['head']}.weight")

    def dtype(name: str) -> torch.dtype:
        return torch.float32 if "norm" in name else request.dtype

    # compared by the family's own names, which are what a person can look for in the file
    tensors = body.state_dict()
    found = {name: size for name, size in weights.shapes.items() if not ignorable(name)}
    check_shapes({theirs: tuple(tensors[name].shape) for theirs, name in ours.items()}, found)
    check_room(sum(tensor.numel() * dtype(name).itemsize for name, tensor in tensors.items()), request.device)
    ignored = fill(
        body, weights, device=request.device, dtype=dtype, progress=request.progress,
        rename=lambda name: None if ignorable(name) else ours[name],
    )  # fmt: skip
    return body, ignored


def _codec(request: LoadRequest) -> Codec:
    """Return the tokenizer requested, else tokenizer.json, else Qwen's older files, as Dream ships them."""
    home = request.home
    if request.tokenizer or is_there(home / "tokenizer.json") or not is_there(home / "merges.txt"):
        return codec_for(request)
    from transformers import Qwen2Tokenizer

    try:
        return Codec.of(Qwen2Tokenizer.from_pretrained(str(home), local_files_only=True))
    except Exception as error:  # the library raises whatever its parsers do
        raise ValueError(f"{home} has no readable tokenizer in vocab.json and merges.txt: {error}") from error
