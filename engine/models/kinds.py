"""The kinds of networks that are trained here.  A new kind is one record in KINDS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.models.causal_dit import CachedCausal, CausalDIT
from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.grid import GridConfig, GridDIT, GridSampler
from engine.models.loading import Loaded, LoadRequest
from engine.models.text import Codec
from engine.models.time_conditioned import ScoreDIT, TimedDIT
from engine.models.tokenizer import STARTS, special

TrainableNetwork = DIT | CausalDIT | GridDIT
LoadSampler = Callable[[Any, LoadRequest, Codec], Loaded]


@dataclass(frozen=True)
class NetworkKind:
    network: Callable[[Any], TrainableNetwork]
    """makes it from its shape"""
    sampler: LoadSampler
    """turns the trained network into one that can be sampled"""
    parameterization: str
    """the field's word for what turns logits into probabilities"""
    model_type: str | None
    """what the configuration of a copy for the hub calls the model; None: the hub has no layout for it"""
    shape: type[DITConfig] = DITConfig


def _denoiser(name: str) -> LoadSampler:
    """Return the sampler of MDLM's and D3PM's networks: with the noise level folded in where they are not
    conditioned on it.
    """

    def make(model: DIT, request: LoadRequest, codec: Codec) -> Loaded:
        sampler = TimedDIT if model.time_conditioned else FoldedDIT
        network = sampler(model, request.dtype, request.attention)
        return Loaded(network, codec, name, attention=network.attention)

    return make


def _score(model: DIT, request: LoadRequest, codec: Codec) -> Loaded:
    network = ScoreDIT(model, request.dtype, request.attention)
    return Loaded(network, codec, "SEDD", attention=network.attention)


def _causal(model: CausalDIT, request: LoadRequest, codec: Codec) -> Loaded:
    bos = special(codec, STARTS)
    if bos is None:
        raise ValueError(f"the tokenizer of {request.home} has no token that begins a text, such as {STARTS[0]}")
    network = CachedCausal(model, bos, request.dtype, request.attention)
    return Loaded(network, codec, "AR", causal=True, attention=network.attention)


def _grid(model: GridDIT, request: LoadRequest, codec: Codec) -> Loaded:
    return Loaded(GridSampler(model, request.dtype), codec.arranged(model.config.layout), "grid MDLM")


KINDS: dict[str, NetworkKind] = {
    "dit": NetworkKind(DIT, _denoiser("MDLM"), "subs", "mdlm"),
    "sedd": NetworkKind(DIT, _score, "sedd", "sedd"),
    "d3pm": NetworkKind(DIT, _denoiser("D3PM"), "d3pm", "d3pm"),
    "causal": NetworkKind(CausalDIT, _causal, "ar", "ar"),
    "grid": NetworkKind(GridDIT, _grid, "subs", None, GridConfig),
}
"""By the `kind` of a configuration."""
