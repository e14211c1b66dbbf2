"""Models of our own: the demo, and what `remdm-tui train` exports."""

from __future__ import annotations

from pathlib import Path

from engine.models import checkpoint
from engine.models.folded import FoldedDIT
from engine.models.loading import Loaded, Request
from engine.models.text import Codec


class Own:
    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        return "format" in config and "kind" in config

    def read(self, request: Request) -> Loaded:
        home = request.home
        model = checkpoint.read(home, request.progress)
        codec = Codec.from_file(home / "tokenizer.json")
        if codec.size > model.vocab_size:
            raise ValueError(f"{home}: the tokenizer has {codec.size} tokens, the model {model.vocab_size}")
        network = FoldedDIT(model.to(request.device), request.dtype, request.attention)
        return Loaded(network, codec, "MDLM", attention=network.attention)
