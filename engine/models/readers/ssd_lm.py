"""SSD-LM: a masked language model with the layers of the simplex and of the time in files of their own beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.files.run_layout import LAYERS
from engine.models.files import fill, open_weights
from engine.models.loading import Loaded, LoadRequest
from engine.models.readers.masked_lm import head_named, mask_of, vocabulary_of, width_of
from engine.models.ssd_lm import SsdLM
from engine.models.text import Codec

NOTE = "sampled by ssd-lm; other strategies read it as an ordinary masked LM, which it was not trained as"


class SimplexLanguageModel:
    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        beside = home.is_dir() and any((home / name).is_file() for name in LAYERS)
        return beside and head_named(config) == "MaskedLM"

    def read(self, request: LoadRequest) -> Loaded:
        from engine.models.pretrained import library_config, load_network
        from engine.models.pretrained_text import check_tokenizer_size, open_tokenizer

        for name, other in (LAYERS, LAYERS[::-1]):
            if not (request.home / name).is_file():
                raise ValueError(
                    f"{request.home} has {other}, but not {name}: SSD-LM needs both, an ordinary masked LM neither"
                )
        config = library_config(request)
        tokenizer = open_tokenizer(request, config)
        codec = Codec.of(tokenizer)
        mask_id = mask_of(request, tokenizer)
        model, attention, notes = load_network(request, config, "MaskedLM")
        size, width = vocabulary_of(model), width_of(model)
        check_tokenizer_size(request, codec, size)
        embed_sum = _layer(request, LAYERS[0], size, width, bias=False)
        timestep = _layer(request, LAYERS[1], 1, width)
        network = SsdLM(model, mask_id, embed_sum, timestep, attention)
        return Loaded(network, codec, "SSD-LM", (*notes, NOTE), attention=attention)


def _layer(request: LoadRequest, name: str, inputs: int, outputs: int, **options: Any) -> nn.Linear:
    """Return the layer in a file, strictly.  Raises ValueError that names the file and what does not fit."""
    path = request.home / name
    with torch.device("meta"):
        layer = nn.Linear(inputs, outputs, **options)
    try:
        fill(layer, open_weights(path), device=request.device, dtype=lambda _: request.dtype)
    except ValueError as error:
        raise ValueError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    return layer.eval().requires_grad_(False)
