"""Judges by name: one of the transformers library, or one of our own."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.metrics.judge import BATCH_TOKENS, LanguageModel, OnBatch
from engine.metrics.own_judge import DirectoryJudge, load_own, own_model
from engine.models.load import DTYPES, choose_device
from engine.models.loading import LoadRequest
from engine.models.pretrained import library_config, load_network
from engine.models.pretrained_text import open_tokenizer
from engine.models.sources import locate
from engine.system.callbacks import ignore

SHORT = {name: f"openai-community/{name}" for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")}
"""Short names of judges in the literature."""


def load_judge(
    name: str, device: str = "auto", dtype: str = "float32", *, batch_tokens: int = BATCH_TOKENS, done: OnBatch = ignore
) -> LanguageModel | DirectoryJudge:
    """Load a causal model of transformers: a directory, a GGUF file, a hub id, or a key of SHORT such as gpt2-large.

    Or one of ours: demo-judge, which is in the package, or a directory that `remdm-tui train` has exported.

    device: auto or what torch.device takes.  dtype: float32, bfloat16, or auto (bfloat16 on CUDA, else float32).
    The checkpoint's own code is never run.  Raises ValueError for a name, device or dtype that cannot be loaded.
    """
    if own_model(name) is not None:
        return load_own(name, device, dtype, batch_tokens=batch_tokens, done=done)

    place = choose_device(device)
    if dtype not in (*DTYPES, "auto"):
        raise ValueError(f"unknown dtype {dtype!r}: choose auto, {', '.join(DTYPES)}")
    chosen = DTYPES.get(dtype, torch.bfloat16 if place.type == "cuda" else torch.float32)
    home = locate(name if Path(name).exists() else SHORT.get(name, name), ignore)
    request = LoadRequest(name, home, place, chosen)
    config = library_config(request)
    tokenizer = open_tokenizer(request, config)
    network = load_network(request, config, "CausalLM")
    return LanguageModel(name, network.model, tokenizer, batch_tokens=batch_tokens, done=done)
