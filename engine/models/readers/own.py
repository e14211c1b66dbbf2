"""Models of our own: the demo, and what `remdm-tui train` exports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.models import checkpoint
from engine.models.causal_dit import CachedCausal, CausalDIT
from engine.models.dit import DIT
from engine.models.folded import FoldedDIT
from engine.models.loading import Loaded, Request
from engine.models.text import Codec
from engine.models.time_conditioned import ScoreDIT, TimedDIT
from engine.models.tokenizer import STARTS, special, tokenizer_file

Sampler = Callable[[Any, Request, Codec], Loaded]


class Own:
    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        return "format" in config and "kind" in config

    def read(self, request: Request) -> Loaded:
        home = request.home
        model = checkpoint.read(home, request.progress).to(request.device)
        kind, config = checkpoint.read_config(home / "config.json")
        discrete = checkpoint.read_discrete(home / "config.json")
        codec = Codec.from_file(home / "tokenizer.json")
        if codec.size > config.vocab_size:
            raise ValueError(f"{home}: the tokenizer has {codec.size} tokens, the model {config.vocab_size}")
        _check_asked(request, config.mask_id)
        return replace(SAMPLERS[kind](model, request, codec), discrete=discrete)


def _check_asked(request: Request, mask_id: int) -> None:
    """Raise ValueError where another tokenizer or mask is asked for than the model was trained with, which it has."""
    own = request.home / "tokenizer.json"
    if request.tokenizer is not None and tokenizer_file(request, None).read_bytes() != own.read_bytes():
        raise ValueError(
            f"{request.name} was trained with a tokenizer of its own, which {request.tokenizer} is not: "
            "leave out --tokenizer"
        )
    if request.mask_id not in (None, mask_id):
        raise ValueError(f"the mask of {request.name} is {mask_id}, not {request.mask_id}: leave out --mask-id")


def _denoiser(kind: str) -> Sampler:
    """How MDLM's and D3PM's networks are sampled: with what the noise level does folded in where they hear none."""

    def make(model: DIT, request: Request, codec: Codec) -> Loaded:
        sampler = TimedDIT if model.time_conditioned else FoldedDIT
        network = sampler(model, request.dtype, request.attention)
        return Loaded(network, codec, kind, attention=network.attention)

    return make


def _score(model: DIT, request: Request, codec: Codec) -> Loaded:
    network = ScoreDIT(model, request.dtype, request.attention)
    return Loaded(network, codec, "SEDD", attention=network.attention)


def _causal(model: CausalDIT, request: Request, codec: Codec) -> Loaded:
    bos = special(codec, STARTS)
    if bos is None:
        raise ValueError(f"the tokenizer of {request.home} has no token that begins a text, such as {STARTS[0]}")
    network = CachedCausal(model, bos, request.dtype, request.attention)
    return Loaded(network, codec, "AR", causal=True, attention=network.attention)


SAMPLERS: dict[str, Sampler] = {
    "dit": _denoiser("MDLM"),
    "sedd": _score,
    "d3pm": _denoiser("D3PM"),
    "causal": _causal,
}
"""How each kind of network becomes one that can be sampled."""
