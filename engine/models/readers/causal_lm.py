"""Causal language models: whatever transformers has an AutoModelForCausalLM for, GGUF files among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.models.causal import CausalLM
from engine.models.loading import Loaded, LoadRequest
from engine.models.readers.masked_lm import head_named, vocabulary_of
from engine.models.text import Codec


class CausalLanguageModel:
    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        from engine.models.pretrained import gguf_file

        return head_named(config) == "CausalLM" if config else gguf_file(home) is not None

    def read(self, request: LoadRequest) -> Loaded:
        from engine.models.borrowed_code import code_of
        from engine.models.pretrained import library_config, load_network
        from engine.models.pretrained_text import check_tokenizer_size, framing, open_tokenizer, pretrained_chat

        if request.mask_id is not None:
            raise ValueError(f"{request.name} predicts from the left and has no mask: leave out --mask-id")
        config = library_config(request)
        tokenizer = open_tokenizer(request, config)
        codec = Codec.of(tokenizer)
        model, attention, notes = load_network(request, config, "CausalLM")
        check_tokenizer_size(request, codec, vocabulary_of(model))
        start = _start(framing(tokenizer).before, tokenizer, config)
        network = CausalLM(model, start)
        return Loaded(
            network,
            codec,
            type(model).__name__,
            (*notes, *_notes(network, codec, start)),
            causal=True,
            attention=attention,
            chat=pretrained_chat(request, tokenizer, "" if start is None else codec.piece(start)),
            code=code_of(tokenizer),
        )


def _start(before: tuple[int, ...], tokenizer: Any, config: Any) -> int | None:
    """Return what comes before a text: what the tokenizer puts there, else the token for it, else the one that ends
    texts.
    """
    ends = (tokenizer.bos_token_id, config.bos_token_id, tokenizer.eos_token_id, config.eos_token_id)
    candidates = (*before[-1:], *(end[0] if isinstance(end, list) and end else end for end in ends))
    return next((int(i) for i in candidates if isinstance(i, int) and 0 <= i < config.vocab_size), None)


def _notes(network: CausalLM, codec: Codec, start: int | None) -> tuple[str, ...]:
    notes = ["no token to begin a text with, so a prompt is needed" if start is None else
             f"{codec.piece(start)} comes before the text"]  # fmt: skip
    if not network.separable:
        notes.append("its head cannot be separated, so it runs on every position")
    if not network.cached:
        notes.append("its keys and values cannot be taken back, so every step computes the whole text")
    return tuple(notes)
