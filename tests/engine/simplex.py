"""A tiny SSD-LM on disk, and the library's own network and plain layers that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tests.engine import library
from tests.engine.toys import TextToy, Toy

VOCABULARY = 300
ROOM = library.SMALL["max_position_embeddings"] - 2
"""Positions 0 and 1 of RoBERTa's table are not used."""


class TinySsdLM(NamedTuple):
    home: Path
    plain: Any
    """the library's own masked language model, which nothing here has touched"""
    embed_sum: Tensor
    """[H, V]"""
    timestep: Tensor
    """[H, 1]"""
    bias: Tensor
    """[H]"""

    def logits(self, context: Tensor, simplex: Tensor, progress: float) -> Tensor:
        """Logits [B, block, V] as the formula has them: context long [B, C], simplex [B, block, V], progress t / T."""
        time = self.timestep[:, 0] * progress + self.bias
        words = self.plain.get_input_embeddings().weight[context]
        block = torch.einsum("bnv,hv->bnh", simplex, self.embed_sum) + time
        return self.plain(inputs_embeds=torch.cat((words, block), 1)).logits[:, context.shape[1] :]


def write_ssd_lm(home: Path, prefix: str = "module.") -> TinySsdLM:
    """Write the layout of `xhan77/ssdlm`: a RoBERTa, its tokenizer, and two layers whose names have DDP's prefix."""
    special = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    plain = library.made("RobertaForMaskedLM", **library.SMALL, vocab_size=VOCABULARY, **special)
    library.write_roberta(library.saved(plain, home))
    made = TinySsdLM(home, plain, *(torch.randn(shape) for shape in ((32, VOCABULARY), (32, 1), (32,))))
    torch.save({f"{prefix}weight": made.embed_sum}, home / "embed_sum_layer.pt")
    torch.save({f"{prefix}weight": made.timestep, f"{prefix}bias": made.bias}, home / "timestep_layer.pt")
    return made


class SimplexToy(Toy):
    """A toy that reads points on the simplex of its vocabulary, and tokens as its vertices."""

    simplex = True
    name = "toy"

    def mix(self, shares: Tensor, first: int) -> Tensor:
        return shares.float() @ self.whole[first : first + shares.shape[1]]

    def encode_simplex(self, tokens: Tensor, t: Tensor, where: Tensor, mixed: Tensor) -> Tensor:
        self.encoded += len(tokens)
        read = self.whole[tokens]
        read[where] = mixed
        spread = self.left[tokens.roll(1, dims=-1)] * (1 + t.float())[:, None, None]
        return (3 * (self.place[: tokens.shape[1]] + read + read.mean(1, keepdim=True)) + spread)[where]


class SimplexTextToy(SimplexToy, TextToy):
    """The same with a tokenizer, as evaluations and the server want it."""
