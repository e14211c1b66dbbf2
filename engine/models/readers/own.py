"""Models of our own: the demo, and what `remdm-tui train` exports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.models import checkpoint
from engine.models.causal_dit import CachedCausal, CausalDIT
from engine.models.dit import DIT
from engine.models.folded import FoldedDIT
from engine.models.loading import Loaded, Request
from engine.models.text import Codec
from engine.models.tokenizer import STARTS, special


class Own:
    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        return "format" in config and "kind" in config

    def read(self, request: Request) -> Loaded:
        home = request.home
        model = checkpoint.read(home, request.progress).to(request.device)
        kind, config = checkpoint.read_config(home / "config.json")
        codec = Codec.from_file(home / "tokenizer.json")
        if codec.size > config.vocab_size:
            raise ValueError(f"{home}: the tokenizer has {codec.size} tokens, the model {config.vocab_size}")
        return SAMPLERS[kind](model, request, codec)


def _denoiser(model: DIT, request: Request, codec: Codec) -> Loaded:
    network = FoldedDIT(model, request.dtype, request.attention)
    return Loaded(network, codec, "MDLM", attention=network.attention)


def _causal(model: CausalDIT, request: Request, codec: Codec) -> Loaded:
    bos = special(codec, STARTS)
    if bos is None:
        raise ValueError(f"the tokenizer of {request.home} has no token that begins a text, such as {STARTS[0]}")
    network = CachedCausal(model, bos, request.dtype, request.attention)
    return Loaded(network, codec, "AR", causal=True, attention=network.attention)


SAMPLERS: dict[str, Callable[[Any, Request, Codec], Loaded]] = {"dit": _denoiser, "causal": _causal}
"""How each kind of network becomes one that can be sampled."""
