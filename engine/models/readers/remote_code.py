"""Checkpoints that run their own Python code, which the user must allow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.models.borrowed_code import code_of
from engine.models.chat import chat_of, token_text, tokenizer_config
from engine.models.files import read_object
from engine.models.loading import Loaded, LoadRequest
from engine.models.readers.names import ignored_note
from engine.models.text import Codec
from engine.models.tokenizer import codec_for, special
from engine.records import HOW_TO_CONSENT
from engine.text.infill import MASKS

CLASSES = ("AutoModel", "AutoModelForMaskedLM", "AutoModelForCausalLM")
"""The classes of transformers under which a checkpoint may offer its network, in order of preference."""
LENGTHS = ("max_position_embeddings", "max_sequence_length", "n_positions", "model_length", "length")


class RemoteDenoiser:
    """A network with unknown internals: `encode` gives its logits, [B, L, V], and `project` leaves them as they are."""

    time_conditioned = False

    def __init__(self, model: Any, mask_id: int, vocab_size: int, known: int, max_length: int | None) -> None:
        self.model, self.mask_id, self.vocab_size, self.max_length = model, mask_id, vocab_size, max_length
        self.known = known
        first = next(model.parameters())
        self.device: torch.device = first.device
        self.dtype: torch.dtype = first.dtype
        self.parameters = sum(p.numel() for p in model.parameters())

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        logits = getattr(self.model(tokens), "logits", None)
        if not isinstance(logits, Tensor) or logits.shape != (*tokens.shape, self.vocab_size):
            raise ValueError(f"the checkpoint's code gives no logits of {self.vocab_size} tokens at every position")
        return logits

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        logits = hidden.clone()
        logits[:, self.known :] = -torch.inf
        return logits


class RemoteCode:
    """The last reader: every other one is tried first."""

    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        return bool(config.get("auto_map"))

    def read(self, request: LoadRequest) -> Loaded:
        config = read_object(request.home / "config.json", "a configuration")
        kind = config.get("model_type") or config.get("architectures") or "unnamed"
        if not request.trust_remote_code:
            raise ValueError(f"{request.name} ({kind}) needs its own Python code: {HOW_TO_CONSENT}")
        codec = codec_for(request)
        model, ignored = _model(request, config)
        vocab_size = getattr(model.config, "vocab_size", None)
        if type(vocab_size) is not int:
            raise ValueError(f"{request.name} does not say how large its vocabulary is")
        mask_id = remote_mask(request, config, codec, vocab_size)
        lengths = (getattr(model.config, name, None) for name in LENGTHS)
        length = next((n for n in lengths if type(n) is int and n > 0), None)
        network = RemoteDenoiser(model, mask_id, vocab_size, max(codec.size, mask_id + 1), length)
        note = "runs the checkpoint's own code; its logits are taken to predict the token at the same position"
        return Loaded(
            network, codec, str(kind), (note, *ignored), attention="its own", chat=chat_of(request.home),
            code=code_of(model),
        )  # fmt: skip


def _model(request: LoadRequest, config: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """Return the checkpoint's network by its own code, on its device, and notes on tensors that it left out.

    Raises ValueError for code that fails and for weights that are missing.
    """
    import transformers

    offered = config.get("auto_map")
    name = next((name for name in CLASSES if isinstance(offered, dict) and name in offered), None)
    if name is None:
        raise ValueError(f"the code of {request.name} offers none of {', '.join(CLASSES)}")
    request.progress("running the checkpoint's code", 0, 0)
    try:
        model, info = getattr(transformers, name).from_pretrained(
            str(request.home), trust_remote_code=True, torch_dtype=request.dtype, local_files_only=True,
            output_loading_info=True,
        )  # fmt: skip
    except Exception as error:  # other people's code
        raise ValueError(f"the code of {request.name} failed: {type(error).__name__}: {error}") from error
    missing = sorted(info["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(f"{request.name} has no weights for {missing[0]}{more}, which its code would make up")
    return model.to(request.device).eval().requires_grad_(False), ignored_note(tuple(sorted(info["unexpected_keys"])))


def remote_mask(request: LoadRequest, config: Mapping[str, Any], codec: Codec, vocab_size: int) -> int:
    """Return the mask's id: the requested one, else the configuration's, else the tokenizer's.

    Raises ValueError for none.
    """
    found = request.mask_id if request.mask_id is not None else config.get("mask_token_id")
    if found is None:
        named = token_text(tokenizer_config(request.home).get("mask_token"))
        found = special(codec, [named, *MASKS] if named else MASKS)
    if found is None:
        raise ValueError(f"{request.name} does not say which token is its mask: give its id with --mask-id")
    if type(found) is not int or not 0 <= found < vocab_size:
        raise ValueError(f"the mask's id must lie in 0 to {vocab_size - 1}, not {found!r}")
    return found
