"""The kinds of checkpoints, in the order in which they are tried.  A new one is one file and one line here."""

from __future__ import annotations

from engine.models.loading import Reader
from engine.models.readers.causal_lm import CausalLanguageModel
from engine.models.readers.diffusion_llm import DiffusionLLM
from engine.models.readers.dit_family import DitFamily
from engine.models.readers.masked_lm import MaskedLanguageModel
from engine.models.readers.own import Own
from engine.models.readers.remote_code import RemoteCode
from engine.models.readers.ssd_lm import SimplexLanguageModel

READERS: tuple[Reader, ...] = (
    Own(),
    DitFamily(),
    DiffusionLLM(),
    SimplexLanguageModel(),
    MaskedLanguageModel(),
    CausalLanguageModel(),
    RemoteCode(),
)

__all__ = ["READERS"]
