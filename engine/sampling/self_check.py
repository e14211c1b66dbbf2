"""Whether a loaded model knows its language: its loss on a short text, against what knowing nothing gives."""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor

from engine.models.protocol import Denoiser, device_of
from engine.models.text import Codec
from engine.records import ModelCheck
from engine.sampling import rng
from engine.sampling.rng import Purpose

PROSE = (
    "The old man came down to the harbour in the morning, as he had done every day for many years. He looked at the "
    "boats and at the sky, and said that there would be rain before the evening. Nobody answered him. The women were "
    "at work with the nets, and the children had gone to school. He sat down on a stone by the water and began to fill "
    "his pipe."
)
PROTEIN = "EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAK"
"""The human germline antibody gene IGHV3-23, for models of proteins."""
SUDOKU = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
"""A full 9x9 grid, row by row, for models of Sudokus."""
TEXTS = (PROSE, PROTEIN, " ".join(PROTEIN), SUDOKU)
RATES = (0.25, 0.5, 0.75)
"""Shares of the text that are masked."""
LONGEST = 96
"""Tokens of the text at most."""
STRANGE = 0.3
"""A text of which one token makes up more than this is not in the tokenizer's alphabet."""


@torch.no_grad()
def self_check(model: Denoiser, codec: Codec) -> ModelCheck:
    """Return the loss of a model on a short text of its alphabet, the same each time.

    For a denoiser it is the mean cross-entropy of masked positions at each of RATES, for a causal one that of each
    token given those before it; in nats, the mask's logit left out.  Raises ValueError for a tokenizer that makes
    nothing of any text.
    """
    ids = familiar(codec)[: min(LONGEST, model.max_length or LONGEST)]
    text = torch.tensor(ids, device=device_of(model))
    if getattr(model, "causal", False):
        losses = [_loss(model, text, text, 0.0, torch.arange(len(ids), device=text.device) > 0)]
    else:
        losses = []
        for number, rate in enumerate(RATES):
            hidden = _hidden(number, rate, len(ids)).to(text.device)
            losses.append(_loss(model, torch.where(hidden, model.mask_id, text), text, rate, hidden))
    return ModelCheck(sum(losses) / len(losses), math.log(model.vocab_size - 1), len(ids))


def familiar(codec: Codec) -> list[int]:
    """Return the first text that the tokenizer knows, as ids; the one it knows best where it knows none."""
    spelled = [ids for ids in (_spelled(codec, text) for text in TEXTS) if len(ids) > 1]
    if not spelled:
        raise ValueError("the tokenizer makes nothing of any text")
    return next((ids for ids in spelled if _sameness(ids) < STRANGE), min(spelled, key=_sameness))


def _spelled(codec: Codec, text: str) -> list[int]:
    """Return a text as ids, none where a character is not in the tokenizer's vocabulary."""
    try:
        return codec.encode(text)
    except ValueError:
        return []


def _sameness(ids: list[int]) -> float:
    """Return the share of the commonest token: near 1 where a tokenizer knows no letter of a text."""
    return Counter(ids).most_common(1)[0][1] / len(ids)


def _hidden(number: int, rate: float, length: int) -> Tensor:
    """Return bool [L]: the share `rate` of positions with the least uniforms, at least one."""
    key = torch.from_numpy(rng.keys_of(0, [number], [0], Purpose.CHANGE))
    order = rng.uniforms(key[:, None], torch.arange(length))[0].argsort()
    hidden = torch.zeros(length, dtype=torch.bool)
    hidden[order[: max(1, round(rate * length))]] = True
    return hidden


def _loss(model: Denoiser, tokens: Tensor, text: Tensor, t: float, where: Tensor) -> float:
    """Return the mean cross-entropy in nats of text [L] at the chosen positions, tokens [L] being what the model is
    shown.
    """
    times = torch.full((1,), t, dtype=torch.float64, device=tokens.device)
    logits = model.project(model.encode(tokens[None], times)[0, where]).double()
    logits[:, model.mask_id] = -torch.inf
    return float(torch.nn.functional.cross_entropy(logits, text[where]))
