"""Files of the DIT family in the layouts of their publishers, with every tensor they have, on small dimensions.

Lightning files are pickled from classes of modules that exist only while a file is written, as the settings and the
tokenizer of a run are when its code is not there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

DIM, HEADS, BLOCKS, COND, LENGTH = 16, 2, 3, 6, 12
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
END = len(ALPHABET)
MASK = END + 1
VOCAB = MASK + 1
"""Like GPT-2's: the tokenizer's tokens, the last of which begins and ends texts, and a mask it does not know."""
State = dict[str, Tensor]


def write_tokenizer(path: Path, *more: str) -> Path:
    """Write a byte-level tokenizer.json, the special tokens behind its 256 bytes."""
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(ALPHABET)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in ("<|endoftext|>", *more)])
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return path


def shapes(causal: bool, vocab: int = VOCAB) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor, in the order in which the network registers them."""
    out: dict[str, tuple[int, ...]] = {"vocab_embed.embedding": (vocab, DIM)}
    if not causal:
        out |= {"sigma_map.mlp.0.weight": (COND, 256), "sigma_map.mlp.0.bias": (COND,)}
        out |= {"sigma_map.mlp.2.weight": (COND, COND), "sigma_map.mlp.2.bias": (COND,)}
    out["rotary_emb.inv_freq"] = (DIM // HEADS // 2,)
    for i in range(BLOCKS):
        block = {"norm1.weight": (DIM,), "attn_qkv.weight": (3 * DIM, DIM), "attn_out.weight": (DIM, DIM)}
        block |= {"norm2.weight": (DIM,), "mlp.0.weight": (4 * DIM, DIM), "mlp.0.bias": (4 * DIM,)}
        block |= {"mlp.2.weight": (DIM, 4 * DIM), "mlp.2.bias": (DIM,)}
        if not causal:
            block |= {"adaLN_modulation.weight": (6 * DIM, COND), "adaLN_modulation.bias": (6 * DIM,)}
        out |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    out |= {"output_layer.norm_final.weight": (DIM,), "output_layer.linear.weight": (vocab, DIM)}
    out["output_layer.linear.bias"] = (vocab,)
    if not causal:
        out |= {
            "output_layer.adaLN_modulation.weight": (2 * DIM, COND),
            "output_layer.adaLN_modulation.bias": (2 * DIM,),
        }
    return out


def state(causal: bool = False, seed: int = 0, vocab: int = VOCAB) -> State:
    """Return random weights of a network, none of which is zero."""
    noise = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in shapes(causal, vocab).items():
        out[name] = torch.randn(shape, generator=noise) * 0.3 + (1.0 if "norm" in name else 0.0)
    out["rotary_emb.inv_freq"] = 10000.0 ** (-torch.arange(0, DIM // HEADS, 2).float() / (DIM // HEADS))
    return out


def prefixed(tensors: Mapping[str, Tensor], prefix: str = "backbone.") -> State:
    return {prefix + name: tensor for name, tensor in tensors.items()}


HUB = {
    "architectures": ["MDLM"], "auto_map": {"AutoModelForMaskedLM": "modeling_mdlm.MDLM"}, "cond_dim": COND,
    "dropout": 0.1, "hidden_dim": DIM, "model_length": LENGTH, "model_type": "mdlm", "n_blocks": BLOCKS,
    "n_heads": HEADS, "return_dict": False, "time_conditioning": False, "torch_dtype": "float32", "vocab_size": VOCAB,
}  # fmt: skip
BD3LM = {
    **HUB, "architectures": ["BD3LM"], "model_type": "bd3lm", "adaln": True, "attn_backend": "flash_attn",
    "block_size": LENGTH, "causal": False, "cross_attn": True, "var_min": True,
}  # fmt: skip
SEDD = {
    "data": {"cache_dir": "data", "train": "openwebtext-train"}, "eval": {"batch_size": 512, "perplexity": True},
    "graph": {"type": "absorb", "file": "data", "report_all": False}, "ngpus": 8, "tokens": END + 1,
    "model": {
        "name": "small", "type": "ddit", "hidden_size": DIM, "cond_dim": COND, "length": LENGTH, "n_blocks": BLOCKS,
        "n_heads": HEADS, "scale_by_sigma": True, "dropout": 0.1,
    },
    "noise": {"type": "loglinear", "sigma_min": 0.0001, "sigma_max": 20}, "training": {"ema": 0.9999, "accum": 1},
}  # fmt: skip


def write_hub(home: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
    """Write a repository of the hub into a directory: config.json and model.safetensors."""
    home.mkdir(parents=True)
    (home / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, home / "model.safetensors")
    return home


def run_settings(**changed: Any) -> dict[str, Any]:
    """Return a configuration as MDLM's code has it, with more entries than are read."""
    return {
        "mode": "train", "diffusion": "absorbing_state", "backbone": "dit", "parameterization": "subs",
        "time_conditioning": False, "T": 0, "subs_masking": False, "seed": 1,
        "loader": {"global_batch_size": 512, "num_workers": "${eval:...}"},
        "sampling": {"predictor": "ddpm_cache", "steps": 128, "noise_removal": True},
        "training": {"ema": 0.9999, "antithetic_sampling": True, "importance_sampling": False},
        "model": {
            "name": "small", "type": "ddit", "hidden_size": DIM, "cond_dim": COND, "length": LENGTH,
            "n_blocks": BLOCKS, "n_heads": HEADS, "scale_by_sigma": True, "dropout": 0.1, "tie_word_embeddings": False,
        },
        "noise": {"type": "loglinear", "sigma_min": 1e-4, "sigma_max": 20},
        **changed,
    }  # fmt: skip


@contextmanager
def foreign_classes() -> Iterator[dict[str, type]]:
    """Provide classes of modules that are removed afterwards."""
    made: dict[str, type] = {}
    homes = {
        "DictConfig": "omegaconf.dictconfig", "AnyNode": "omegaconf.nodes", "ContainerMetadata": "omegaconf.base",
        "GPT2TokenizerFast": "gone_transformers.tokenization_gpt2_fast",
    }  # fmt: skip
    modules = {part: ModuleType(part) for home in homes.values() for part in (home.split(".")[0], home)}
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    for name, home in homes.items():
        made[name] = type(name, (), {"__module__": home, "__qualname__": name})
        setattr(modules[home], name, made[name])
    try:
        yield made
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def omega(value: Any, kinds: Mapping[str, type], parent: Any = None) -> Any:
    """Return a value as OmegaConf's nodes hold it: contents, metadata and the way back up."""
    node = kinds["DictConfig" if isinstance(value, dict) else "AnyNode"]()
    metadata = kinds["ContainerMetadata"]()
    metadata.__dict__ |= {"ref_type": Any, "object_type": dict, "optional": True, "key": None, "flags": {}}
    node.__dict__ |= {"_metadata": metadata, "_parent": parent}
    if isinstance(value, dict):
        node.__dict__["_content"] = {name: omega(item, kinds, node) for name, item in value.items()}
    else:
        node.__dict__["_val"] = value
    return node


def write_lightning(
    path: Path,
    tensors: Mapping[str, Tensor],
    settings: Mapping[str, Any] | None,
    average: list[Tensor] | None,
    others: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write a file as Lightning does, with the other entries of a run.  settings None: none were saved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with foreign_classes() as kinds:
        tokenizer = kinds["GPT2TokenizerFast"]()
        tokenizer.__dict__ |= {"init_kwargs": {"model_max_length": 1024}, "vocabulary": ["a", "b"]}
        file: dict[str, Any] = {
            "epoch": 3, "global_step": 1_000_000, "pytorch-lightning_version": "2.2.1",
            "state_dict": {**prefixed(tensors), **(others or {})},
            "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
            "optimizer_states": [{"state": {0: {"step": torch.tensor(5.0), "exp_avg": torch.zeros(3)}}}],
            "lr_schedulers": [{"last_epoch": 5}], "hparams_name": "kwargs", "sampler": {"random_state": None},
        }  # fmt: skip
        if average is not None:
            file["ema"] = {"decay": 0.9999, "num_updates": 1_000_000, "shadow_params": average}
        if settings is not None:
            file["hyper_parameters"] = {"config": omega(dict(settings), kinds), "tokenizer": tokenizer}
        torch.save(file, path)
    return path


def average_of(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the list of averaged parameters that goes with weights: those of the parameters, in their order."""
    return [tensor for name, tensor in tensors.items() if name != "rotary_emb.inv_freq"]
