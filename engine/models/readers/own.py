"""Models of our own: the demo, and what `remdm-tui train` exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.models import checkpoint
from engine.models.kinds import KINDS
from engine.models.loading import Loaded, LoadRequest
from engine.models.text import Codec
from engine.models.tokenizer import tokenizer_file


class Own:
    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        return "format" in config and "kind" in config

    def read(self, request: LoadRequest) -> Loaded:
        home = request.home
        model = checkpoint.read_network(home, request.progress).to(request.device)
        kind, config, discrete = checkpoint.read_model_config(home / "config.json")
        codec = Codec.from_file(home / "tokenizer.json")
        if codec.size > config.vocab_size:
            raise ValueError(f"{home}: the tokenizer has {codec.size} tokens, the model {config.vocab_size}")
        _check_request(request, config.mask_id)
        return replace(KINDS[kind].load(model, request, codec), discrete=discrete)


def _check_request(request: LoadRequest, mask_id: int) -> None:
    """Raise ValueError where another tokenizer or mask is requested than the model was trained with, which it has."""
    own = request.home / "tokenizer.json"
    if request.tokenizer is not None and tokenizer_file(request, None).read_bytes() != own.read_bytes():
        raise ValueError(
            f"{request.name} was trained with a tokenizer of its own, which {request.tokenizer} is not: "
            "leave out --tokenizer"
        )
    if request.mask_id not in (None, mask_id):
        raise ValueError(f"the mask of {request.name} is {mask_id}, not {request.mask_id}: leave out --mask-id")
