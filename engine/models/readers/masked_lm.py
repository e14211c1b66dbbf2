"""Masked language models: whatever transformers has an AutoModelForMaskedLM for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.models.loading import Loaded, LoadRequest
from engine.models.masked import MaskedLM
from engine.models.text import Codec


class MaskedLanguageModel:
    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        return head_named(config) == "MaskedLM"

    def read(self, request: LoadRequest) -> Loaded:
        from engine.models.borrowed_code import code_of
        from engine.models.pretrained import library_config, load_network
        from engine.models.pretrained_text import check_tokenizer_size, framing, open_tokenizer, pretrained_chat

        config = library_config(request)
        tokenizer = open_tokenizer(request, config)
        codec = Codec.of(tokenizer)
        mask_id = mask_of(request, tokenizer)
        model, attention, notes = load_network(request, config, "MaskedLM")
        size = vocabulary_of(model)
        check_tokenizer_size(request, codec, size)
        never = _never(tokenizer, codec, mask_id, size)
        network = MaskedLM(model, mask_id, framing(tokenizer), never)
        return Loaded(
            network,
            codec,
            type(model).__name__,
            (*notes, *_notes(network, codec, never)),
            attention=attention,
            chat=pretrained_chat(request, tokenizer),
            code=code_of(tokenizer),
        )


def head_named(config: dict[str, object]) -> str | None:
    """Return MaskedLM or CausalLM by a configuration's architectures, else by the type of its model; None for
    neither.
    """
    named, kind_of_model = config.get("architectures"), config.get("model_type")
    if not isinstance(kind_of_model, str):
        return None
    from transformers.models.auto import modeling_auto

    tables: dict[str, dict[str, Any]] = {
        "MaskedLM": dict(modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES),
        "CausalLM": dict(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    }
    if not any(kind_of_model in table for table in tables.values()):
        return None
    for architecture in named if isinstance(named, list) else ():
        for head, table in tables.items():
            if any(architecture in (kind if isinstance(kind, tuple) else (kind,)) for kind in table.values()):
                return head
    return next((head for head, table in tables.items() if kind_of_model in table), None)


def vocabulary_of(model: Any) -> int:
    """Return how many tokens a network knows."""
    return int(model.get_input_embeddings().num_embeddings)


def width_of(model: Any) -> int:
    """Return how many numbers a network's embedding of a token has."""
    return int(model.get_input_embeddings().embedding_dim)


def mask_of(request: LoadRequest, tokenizer: Any) -> int:
    """Return the id of the mask: the one requested, else the tokenizer's own.  Raises ValueError for none."""
    if request.mask_id is not None:
        return request.mask_id
    if tokenizer.mask_token_id is None:
        raise ValueError(f"the tokenizer of {request.name} names no mask: give its id with --mask-id NUMBER")
    return int(tokenizer.mask_token_id)


def _never(tokenizer: Any, codec: Codec, mask_id: int, size: int) -> list[int]:
    """Return tokens without text: special ones, and numbers behind the tokenizer's last; empty if that
    were all.
    """
    never = {int(i) for i in tokenizer.all_special_ids if 0 <= i < size} | set(range(codec.size, size))
    return sorted(never) if len(never | {mask_id}) < size else []


def _notes(network: MaskedLM, codec: Codec, never: list[int]) -> tuple[str, ...]:
    specials = [codec.piece(i) for i in never if i < codec.size and i != network.mask_id]
    notes = [f"never proposed: {', '.join(specials)}"] if specials else []
    if not network.separable:
        notes.append("its head cannot be separated, so it runs on every position")
    return tuple(notes)
