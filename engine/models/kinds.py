"""The kinds of networks that are trained here.  A new kind is one record in KINDS, which alone says what is particular
about it: no other module asks which kind it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer
from torch import nn

from engine.models.causal_dit import CachedCausal, CausalDIT
from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.grid import GridConfig, GridDIT, GridSampler
from engine.models.loading import Loaded, LoadRequest, Network
from engine.models.simplex_roberta import SimplexRoberta
from engine.models.ssd_lm import SsdLM
from engine.models.ssd_lm_layout import library_network, write_layout
from engine.models.text import Codec
from engine.models.time_conditioned import ScoreDIT, TimedDIT
from engine.models.tokenizer import STARTS, special
from engine.system.callbacks import ignore

TrainableNetwork = DIT | CausalDIT | GridDIT | SimplexRoberta


@dataclass(frozen=True)
class FileHints:
    """What a reader knows of a checkpoint besides its network and tokenizer."""

    bos: int | None = None
    """the token that begins a text, where the checkpoint names one"""
    release: Callable[[nn.Module], object] = ignore
    """called with each part of the network once the sampler no longer needs it"""


class SampledNetwork(Network, Protocol):
    """A network that can be sampled, and the name of its attention."""

    @property
    def attention(self) -> str: ...


MakeSampler = Callable[[Any, LoadRequest, Codec, FileHints], tuple[SampledNetwork, Codec]]
"""(trained network, request, its tokenizer, hints) -> (what is sampled, what writes its text)."""


@dataclass(frozen=True)
class NetworkKind:
    label: str
    """what it is called on screen and in results"""
    network: Callable[[Any], TrainableNetwork]
    """makes it from its shape"""
    sampler: MakeSampler
    """turns the trained network into one that can be sampled"""
    parameterization: str
    """the field's word for what turns logits into probabilities"""
    model_type: str | None
    """what the configuration of a copy in the layout of MDLM on the hub calls the model; None: that is none of it"""
    shape: type[DITConfig] = DITConfig
    write_hub: Callable[[Any, Tokenizer, Path], None] | None = None
    """writes the trained network and its tokenizer in the layout of its own on the hub; None: it has no other"""
    words: tuple[str, ...] = ()
    """what parameterizations, algorithms and types of model are called in files of the field, in lower case"""
    name_part: str = ""
    """what the name of a checkpoint contains, where nothing in it says its kind; empty: such a name does not occur"""
    causal: bool = False
    """whether it predicts from the left alone"""
    scores: bool = False
    """whether its logits are scores, used without a softmax; such a network always takes the noise level"""
    discrete: bool = False
    """whether it is trained in steps, of which its configuration has the number"""

    def load(
        self, model: TrainableNetwork, request: LoadRequest, codec: Codec, hints: FileHints | None = None
    ) -> Loaded:
        """Return a trained network as one that can be sampled."""
        network, codec = self.sampler(model, request, codec, hints or FileHints())
        return Loaded(
            network, codec, self.label, causal=self.causal, attention=network.attention,
            parameterization=self.parameterization,
        )  # fmt: skip


def _denoiser(model: DIT, request: LoadRequest, codec: Codec, hints: FileHints) -> tuple[SampledNetwork, Codec]:
    """Fold the noise level into a network of MDLM or D3PM that is not conditioned on it."""
    sampler = TimedDIT if model.time_conditioned else FoldedDIT
    return sampler(model, request.dtype, request.attention, hints.release), codec


def _score(model: DIT, request: LoadRequest, codec: Codec, hints: FileHints) -> tuple[SampledNetwork, Codec]:
    return ScoreDIT(model, request.dtype, request.attention, hints.release), codec


def _causal(model: CausalDIT, request: LoadRequest, codec: Codec, hints: FileHints) -> tuple[SampledNetwork, Codec]:
    bos = special(codec, STARTS) if hints.bos is None else hints.bos
    if bos is None or not 0 <= bos < model.config.vocab_size:
        raise ValueError(f"the tokenizer of {request.name} has no token that begins a text, such as {STARTS[0]}")
    return CachedCausal(model, bos, request.dtype, request.attention, done=hints.release), codec


def _grid(model: GridDIT, request: LoadRequest, codec: Codec, hints: FileHints) -> tuple[SampledNetwork, Codec]:
    return GridSampler(model, request.dtype), codec.arranged(model.config.layout)


def _simplex(
    model: SimplexRoberta, request: LoadRequest, codec: Codec, hints: FileHints
) -> tuple[SampledNetwork, Codec]:
    network = library_network(model).to(request.dtype)
    layers = model.embed_sum.to(request.dtype), model.timestep.to(request.dtype)
    return SsdLM(network, model.mask_id, *layers), codec


KINDS: dict[str, NetworkKind] = {
    "dit": NetworkKind("MDLM", DIT, _denoiser, "subs", "mdlm", words=("subs", "mdlm")),
    "sedd": NetworkKind(
        "SEDD", DIT, _score, "sedd", "sedd", words=("sedd", "sedd_absorb", "score"), name_part="sedd", scores=True
    ),
    "d3pm": NetworkKind("D3PM", DIT, _denoiser, "d3pm", "d3pm", words=("d3pm", "d3pm_absorb"), discrete=True),
    "causal": NetworkKind("AR", CausalDIT, _causal, "ar", "ar", words=("ar",), causal=True),
    "ssd-lm": NetworkKind("SSD-LM", SimplexRoberta, _simplex, "subs", None, write_hub=write_layout),
    "grid": NetworkKind("grid MDLM", GridDIT, _grid, "subs", None, GridConfig),
}
"""By the `kind` of a configuration."""
